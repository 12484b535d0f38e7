"""Records that were found after a restore: held under their owner's label, and signed upon only if that is safe."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.approving import ONE, SoftKey, approvers
from tests.wallet.parts import WORDS, opened, restored_home
from tests.wallet.recovery.parts import FIRST_SEQ, device, published, tree_of
from walletcli.core.approvals import DocumentApprovals
from walletcli.core.document_parts import Retirement
from walletcli.core.record import Record
from walletcli.core.sealed import seal
from walletcli.errors import SignerError, VerificationError, WalletError
from walletcli.wallet.access.session import Session
from walletcli.wallet.access.unlock import lock, unlock
from walletcli.wallet.identities import create_identity
from walletcli.wallet.state.changes import Several, TakeFound
from walletcli.wallet.state.draft import file_form, next_document, verified_record
from walletcli.wallet.state.sections import context
from walletcli.wallet.state.view import IdentityView

TREE = tree_of(WORDS)
RELAYS = ("https://a.example", "https://b.example")


@pytest.fixture(params=["here", "agent"])
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Session]:
    from tests.wallet.parts import password

    home = restored_home(tmp_path / "home", WORDS)
    if request.param == "agent":
        unlock(home, password)
    with opened(home) as found:
        yield found
    lock(home)


def take(session: Session, index: int, record: Record, *, is_fresh: bool = True) -> IdentityView:
    return session.change(TakeFound(index, 20_000, record.to_bytes(), is_fresh, RELAYS))


def sign(session: Session, index: int, *keys: SoftKey) -> Record:
    """Sign the next document, approved by `keys`."""
    snapshot = session.snapshot()
    document = next_document(snapshot.wallet.by_index(index), (), time.time(), os.urandom)
    beside = DocumentApprovals(tuple(key.approve(document) for key in keys)).to_bytes() if keys else None
    return Record.from_bytes(session.sign(index, document.to_bytes(), snapshot.generation, beside))


def test_an_identity_comes_back_with_its_label_its_profile_and_new_device_keys(session: Session) -> None:
    record = published(TREE, 7, "Alice", {"phone": "+1 555 0100"}, profile={"name": "A."})
    view = take(session, 7, record)
    assert (view.index, view.label, view.record) == (7, "Alice", record.to_bytes())
    assert (view.profile, view.sealed_profile) == ({"name": "A."}, {"phone": "+1 555 0100"})
    assert view.device_signing_key != device(8).signing_key
    assert view.contacted == RELAYS
    assert not view.unseen
    assert view.changed


def test_only_what_was_verified_is_known_without_being_verified_again() -> None:
    record = published(TREE, 3, "Alice")
    data = file_form(record)
    assert data == record.to_bytes()
    assert verified_record(data) is record
    for at in (20, 60, 130, len(data) - 1):
        changed = bytearray(data)
        changed[at] ^= 1
        with pytest.raises(WalletError):
            verified_record(bytes(changed))


def test_what_was_found_at_too_few_sources_is_held_and_not_signed_upon(session: Session) -> None:
    view = take(session, 0, published(TREE, 0, "Alice"), is_fresh=False)
    assert view.unseen
    with pytest.raises(SignerError) as refused:
        sign(session, 0)
    assert refused.value.code == "identity.unseen"
    assert not take(session, 0, published(TREE, 0, "Alice")).unseen
    assert sign(session, 0).packet.seq > FIRST_SEQ


def test_freshness_once_reached_is_not_lost(session: Session) -> None:
    record = published(TREE, 0, "Alice")
    take(session, 0, record)
    assert not take(session, 0, record, is_fresh=False).unseen


def test_an_older_record_than_the_one_held_changes_nothing(session: Session) -> None:
    newer = published(TREE, 0, "Alice", seq=FIRST_SEQ + 9)
    take(session, 0, newer)
    assert take(session, 0, published(TREE, 0, "Older")).record == newer.to_bytes()


def test_an_identity_that_was_created_by_hand_continues_from_what_was_found(session: Session) -> None:
    create_identity(session, "mine", 3)
    record = published(TREE, 3, "theirs", {"phone": "1"})
    view = take(session, 3, record)
    assert (view.label, view.record, view.sealed_profile) == ("mine", record.to_bytes(), {"phone": "1"})


@pytest.mark.parametrize("label", ["", "did:key:x", "x" * 65])
def test_a_label_that_cannot_be_had_is_replaced(session: Session, label: str) -> None:
    assert take(session, 4, published(TREE, 4, label)).label == "identity 4"


def test_two_identities_with_one_label_keep_apart(session: Session) -> None:
    take(session, 0, published(TREE, 0, "Alice"))
    assert take(session, 1, published(TREE, 1, "alice")).label == "alice (1)"
    take(session, 2, published(TREE, 2, "identity 3"))
    take(session, 5, published(TREE, 5, "Alice (3)"))
    assert take(session, 3, published(TREE, 3, "identity 3")).label == "identity 3 (3)"


def test_nothing_of_the_document_is_dropped(session: Session) -> None:
    record = published(TREE, 0, "Alice", bindings=(b"grant",), approvers=approvers(ONE), extensions={99: b"later"})
    take(session, 0, record)
    after, before = sign(session, 0, ONE).document, record.document
    assert after is not None
    assert before is not None
    assert (after.bindings, after.approvers, dict(after.extensions)) == ((b"grant",), before.approvers, {99: b"later"})
    assert before.delegations[0] in after.delegations


def test_a_retired_identity_comes_back_retired(session: Session) -> None:
    view = take(session, 0, published(TREE, 0, "Old", retirement=Retirement(20_000, 1), devices=()))
    assert view.retired is not None
    assert not view.changed


def test_a_record_of_another_key_is_refused_and_several_changes_fail_as_one(session: Session) -> None:
    good, foreign = published(TREE, 0, "Alice"), published(tree_of("abandon " * 11 + "about"), 1, "Bob")
    with pytest.raises(VerificationError) as refused:
        session.apply(
            Several(tuple(TakeFound(index, 20_000, r.to_bytes(), True, ()) for index, r in enumerate((good, foreign))))
        )
    assert refused.value.code == "record.identity-mismatch"
    assert session.summaries() == []


@pytest.mark.parametrize("damage", [b"", b"walletcli record 1\n", None])
def test_what_is_no_record_is_refused(session: Session, damage: bytes | None) -> None:
    record = published(TREE, 0, "Alice")
    bare = Record(record.packet, None).to_bytes()
    with pytest.raises(WalletError):
        session.change(TakeFound(0, 20_000, bare if damage is None else damage, True, ()))
    assert session.summaries() == []


def test_the_root_keys_are_those_of_the_tree(session: Session) -> None:
    assert session.root_keys(5, 3) == [TREE.root(index).public_key for index in (5, 6, 7)]


def test_the_words_open_what_is_sealed_to_the_recovery_recipient_of_any_identity(session: Session) -> None:
    key = TREE.root(9).public_key
    blob = seal(b"content", [TREE.recovery_public_key(9, 0)], os.urandom, context(key))
    assert session.unseal_as_root(9, blob, context(key)) == b"content"
    for index, where in ((8, context(key)), (9, b"elsewhere")):
        with pytest.raises(VerificationError) as refused:
            session.unseal_as_root(index, blob, where)
        assert refused.value.code == "sealed.not-for-you"


def test_no_device_key_is_tried_where_the_words_alone_must_do(session: Session) -> None:
    view = take(session, 0, published(TREE, 0, "Alice"))
    blob = seal(b"content", [view.device_sealing_key], os.urandom, b"x")
    assert session.unseal(0, blob, b"x") == b"content"
    with pytest.raises(VerificationError):
        session.unseal_as_root(0, blob, b"x")
