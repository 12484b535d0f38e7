"""Identities, with the wallet open here and by its agent alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wallet.parts import WORDS, make_home, opened
from walletcli.core.bip39 import Mnemonic
from walletcli.core.identity_id import IdentityId
from walletcli.core.keys import KeyTree, Scheme
from walletcli.errors import FormatError, InputError, WalletError
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Home
from walletcli.wallet.identities import (
    create_identity,
    derive_identities,
    list_identities,
    rename_identity,
    retire_identity,
    set_attribute,
    show_identity,
    unset_attribute,
)
from walletcli.wallet.state.changes import AddIdentity


def test_identities_come_from_the_seed_in_order(tmp_path: Path) -> None:
    tree = KeyTree(Mnemonic.parse(WORDS).seed(None), Scheme.WALLETCLI)
    with opened(make_home(tmp_path / "fixed", WORDS)) as session:
        for number in range(3):
            view = create_identity(session, f"identity {number}")
            assert view.public_key == tree.root(number).public_key
            assert view.recovery_key == tree.recovery_public_key(number, 0)
            assert view.path == f"m/9791'/{number}'"


def test_a_list_shows_every_form_of_the_id(either_session: Session) -> None:
    view = create_identity(either_session, "alice")
    (summary,) = list_identities(either_session)
    key_id = IdentityId(view.public_key)
    assert summary == view.summary()
    assert summary.to_json() == {
        "label": "alice",
        "did": key_id.did,
        "did_dht": key_id.did_dht,
        "pk": key_id.pk,
        "z32": key_id.z32,
        "path": "m/9791'/0'",
        "aliases": list(key_id.aliases),
        "published": False,
        "retired": False,
        "index": 0,
    }


def test_an_identity_is_found_by_label_and_by_every_form_of_its_id(either_session: Session) -> None:
    create_identity(either_session, "bob")
    view = create_identity(either_session, "Alice")
    key_id = IdentityId(view.public_key)
    for who in ("Alice", "alice", " ALICE ", key_id.did, key_id.did_dht, key_id.pk, key_id.z32):
        assert show_identity(either_session, who) == view


@pytest.mark.parametrize("who", ["carol", "", "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"])
def test_an_identity_that_is_not_held_is_unknown(either_session: Session, who: str) -> None:
    create_identity(either_session, "alice")
    with pytest.raises(InputError) as refused:
        show_identity(either_session, who)
    assert refused.value.code == "identity.unknown"


def test_a_slip_in_an_id_is_told(either_session: Session) -> None:
    did = IdentityId(create_identity(either_session, "alice").public_key).did
    with pytest.raises(InputError) as refused:
        show_identity(either_session, did[:-1] + ("1" if did[-1] != "1" else "2"))
    assert refused.value.code in ("identity.malformed", "identity.unknown")


def test_derived_identities_need_not_be_held(either_session: Session) -> None:
    held = create_identity(either_session, "alice", index=2)
    found = derive_identities(either_session, 4)
    assert [summary.label for summary in found] == [None, None, "alice", None]
    assert found[2] == held.summary()
    assert found[3].path == "m/9791'/3'"
    assert len({summary.did for summary in found}) == 4


@pytest.mark.parametrize(("count", "start"), [(0, 0), (-1, 0), (1, -1), (2, 2**31 - 2)])
def test_identities_that_no_seed_has_are_refused(session: Session, count: int, start: int) -> None:
    with pytest.raises(InputError) as refused:
        derive_identities(session, count, start)
    assert refused.value.code == "identity.count"


def test_the_next_index_is_above_all_others(either_session: Session) -> None:
    create_identity(either_session, "far", index=2**31 - 3)
    assert create_identity(either_session, "next").index == 2**31 - 2
    with pytest.raises(InputError) as refused:
        create_identity(either_session, "too far")
    assert refused.value.code == "identity.index"
    assert create_identity(either_session, "gap", index=0).index == 0


@pytest.mark.parametrize("index", [-1, 2**31 - 1, 2**40])
def test_an_index_out_of_range_is_refused(either_session: Session, index: int) -> None:
    with pytest.raises(InputError) as refused:
        create_identity(either_session, "alice", index)
    assert refused.value.code == "identity.index"


BAD: list[tuple[Callable[[Session], object], str]] = [
    (lambda session: create_identity(session, "bob", index=0), "identity.exists"),
    (lambda session: create_identity(session, "ALICE"), "label.exists"),
    (lambda session: create_identity(session, ""), "label.malformed"),
    (lambda session: create_identity(session, "  "), "label.malformed"),
    (lambda session: create_identity(session, "x" * 65), "label.malformed"),
    (lambda session: create_identity(session, "a\nb"), "label.malformed"),
    (lambda session: create_identity(session, "a\udce4b"), "cbor.text"),
    (lambda session: set_attribute(session, "alice", "name", "\udce4"), "document.profile"),
    (lambda session: create_identity(session, "a\u202eb"), "label.malformed"),
    (lambda session: create_identity(session, "did:key:z6Mk"), "label.malformed"),
    (lambda session: create_identity(session, "PK:x"), "label.malformed"),
    (lambda session: create_identity(session, "y" * 52), "label.malformed"),
    (lambda session: rename_identity(session, "alice", "Bertha"), "label.exists"),
    (lambda session: rename_identity(session, "nobody", "x"), "identity.unknown"),
    (lambda session: set_attribute(session, "nobody", "name", "x"), "identity.unknown"),
    (lambda session: set_attribute(session, "alice", "Name", "x"), "document.profile"),
    (lambda session: set_attribute(session, "alice", "", "x"), "document.profile"),
    (lambda session: set_attribute(session, "alice", "n" * 33, "x"), "document.profile"),
    (lambda session: set_attribute(session, "alice", "name", ""), "document.profile"),
    (lambda session: set_attribute(session, "alice", "name", "x" * 1025), "document.profile"),
    (lambda session: set_attribute(session, "alice", "name", "a\x1b[2J"), "document.profile"),
    (lambda session: set_attribute(session, "alice", "name", "a\x00", sealed=True), "document.profile"),
    (lambda session: unset_attribute(session, "alice", "name"), "attribute.unknown"),
    (lambda session: retire_identity(session, "alice", "bored"), "identity.retire-reason"),
]


def test_whoever_sets_an_attribute_that_cannot_be_is_told_what_to_do(session: Session) -> None:
    create_identity(session, "alice")
    with pytest.raises(FormatError) as refused:
        set_attribute(session, "alice", "name", "")
    assert "walletcli identity unset alice" in refused.value.hint


@pytest.mark.parametrize(("action", "code"), BAD)
def test_a_change_that_cannot_be_made_leaves_everything_as_it_was(
    either_session: Session, action: Callable[[Session], object], code: str
) -> None:
    create_identity(either_session, "alice")
    create_identity(either_session, "bertha")
    before = either_session.snapshot()
    with pytest.raises(WalletError) as refused:
        action(either_session)
    assert refused.value.code == code
    assert isinstance(refused.value, InputError | FormatError)
    assert either_session.snapshot() == before


def test_a_rename_to_another_case_is_no_clash(either_session: Session) -> None:
    create_identity(either_session, "alice")
    assert rename_identity(either_session, "alice", "Alice").label == "Alice"


def test_labels_are_normalised(either_session: Session) -> None:
    assert create_identity(either_session, " Zoe\u0308 ").label == "Zo\u00eb"


def test_an_attribute_is_public_or_sealed_and_never_both(either_session: Session) -> None:
    create_identity(either_session, "alice")
    view = set_attribute(either_session, "alice", "phone", "1", sealed=True)
    assert (view.profile, view.sealed_profile) == ({}, {"phone": "1"})
    view = set_attribute(either_session, "alice", "phone", "2")
    assert (view.profile, view.sealed_profile) == ({"phone": "2"}, {})
    view = set_attribute(either_session, "alice", "phone", "3", sealed=True)
    assert (view.profile, view.sealed_profile) == ({}, {"phone": "3"})
    assert unset_attribute(either_session, "alice", "phone").sealed_profile == {}


def test_an_identity_has_at_most_64_attributes_of_a_kind(session: Session) -> None:
    create_identity(session, "alice")
    for number in range(64):
        set_attribute(session, "alice", f"a{number}", "x")
    with pytest.raises(InputError) as refused:
        set_attribute(session, "alice", "one-more", "x")
    assert refused.value.code == "attribute.too-many"
    set_attribute(session, "alice", "a0", "y")


def test_device_keys_are_random_and_differ_for_each_identity_and_wallet(tmp_path: Path) -> None:
    keys = []
    for name in ("one", "two"):
        with opened(make_home(tmp_path / name, WORDS)) as session:
            for number in range(3):
                view = create_identity(session, f"identity {number}")
                keys += [view.device_signing_key, view.device_sealing_key]
    assert len(set(keys)) == 12


def test_changes_survive_the_process(wallet_home: Home) -> None:
    with opened(wallet_home) as session:
        create_identity(session, "alice")
        before = set_attribute(session, "alice", "name", "Alice")
    with opened(wallet_home) as session:
        assert show_identity(session, "alice") == before


def test_a_retirement_is_dated_within_the_last_week(session: Session) -> None:
    create_identity(session, "alice")
    retired = retire_identity(session, "alice", "replaced").retired
    assert retired is not None
    assert 0 <= int(time.time()) // 86_400 - retired.day < 7


def test_hundreds_of_identities_are_held_listed_and_found(wallet_home: Home) -> None:
    with opened(wallet_home) as session:
        for number in range(300):
            session.apply(AddIdentity(f"identity {number}", None, 20_000))
    with opened(wallet_home) as session:
        summaries = session.summaries()
        assert [summary.label for summary in summaries] == [f"identity {number}" for number in range(300)]
        assert len({summary.did for summary in summaries}) == 300
        assert show_identity(session, summaries[299].did).label == "identity 299"
