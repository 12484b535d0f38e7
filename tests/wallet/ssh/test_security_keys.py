"""SSH keys on security keys in the wallet: which documents name, what two wallets of one owner make of them, and whose
wish counts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.core.samples import key
from tests.vectors.cases_ssh import MESSAGE
from tests.vectors.cases_ssh_security_keys import sk_key, sk_signed
from tests.wallet.parts import WORDS, HonestRelay, opened, restored_home
from walletcli.core.document import Document
from walletcli.core.record import Record
from walletcli.core.ssh.named_security_keys import (
    EXTENSION,
    NamedSecurityKey,
    named_security_keys,
    naming_security_keys,
)
from walletcli.core.ssh.security_keys import EDDSA, ES256, SkKey
from walletcli.core.ssh.sshsig import SshSignature
from walletcli.errors import FormatError, SignerError, VerificationError
from walletcli.signers.requests import PacketRequest
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity, retire_identity, set_attribute, show_identity
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.recovery.devices import revoke_device
from walletcli.wallet.ssh.listing import signer_lines
from walletcli.wallet.ssh.on_security_keys import list_security_keys, remove_security_key, show_security_key
from walletcli.wallet.ssh.verifying import Evidence, by_identity, check_signature
from walletcli.wallet.state.changes import PlanPublish, SetSshCredentials, Several
from walletcli.wallet.state.decided import decisions_hash
from walletcli.wallet.state.draft import last_document, next_document
from walletcli.wallet.state.ssh_credentials import SshCredential, merged, ordered

BLUE = SshCredential(sk_key(), True, b"credential of blue", "blue", True)
RED = SshCredential(sk_key(ES256), False, b"credential of red", "red", True)
GREEN = SshCredential(SkKey(EDDSA, key("green").public_key), True, b"credential of green", "green", False)


def keep(session: Session, *credentials: SshCredential) -> None:
    session.apply(SetSshCredentials(0, ordered(credentials)))


def names(session: Session) -> list[str]:
    return sorted(page.credential.name for page in list_security_keys(session, "ada"))


def document_of(session: Session) -> Document:
    document = last_document(show_identity(session, "ada"))
    assert document is not None
    return document


@pytest.fixture
def ada(tmp_path: Path, relay: HonestRelay) -> Iterator[Session]:
    """A wallet whose identity has three of them, two of which its published record names."""
    with opened(restored_home(tmp_path / "first", WORDS)) as session:
        create_identity(session, "ada")
        keep(session, BLUE, RED, GREEN)
        publish_identity(session, "ada", [relay.url])
        yield session


def test_the_record_names_those_whose_owner_wants_it_and_no_others(ada: Session, relay: HonestRelay) -> None:
    found = named_security_keys(document_of(ada))
    assert {item.key for item in found} == {BLUE.key, RED.key}
    assert {item.verify for item in found if item.key == BLUE.key} == {True}
    assert [page.is_in_record for page in list_security_keys(ada, "ada") if page.credential == GREEN] == [False]
    show_security_key(ada, "ada", "blue", named=False)
    assert show_identity(ada, "ada").changed
    publish_identity(ada, "ada", [relay.url])
    assert [item.key for item in named_security_keys(document_of(ada))] == [RED.key]
    assert not publish_identity(ada, "ada", [relay.url]).new


def test_an_identity_that_ends_names_none(ada: Session, relay: HonestRelay) -> None:
    retire_identity(ada, "ada")
    publish_identity(ada, "ada", [relay.url])
    assert EXTENSION not in document_of(ada).extensions


def test_each_decision_is_one(ada: Session) -> None:
    before = decisions_hash(show_identity(ada, "ada"))
    show_security_key(ada, "ada", "green", named=True)
    named = decisions_hash(show_identity(ada, "ada"))
    remove_security_key(ada, "ada", "red")
    assert len({before, named, decisions_hash(show_identity(ada, "ada"))}) == 3


def test_what_is_signed_tells_of_them(ada: Session) -> None:
    first = document_of(ada)
    lines = PacketRequest(first.identity, first).describe()
    assert sum("on a security key (PIN and touch)" in line for line in lines) == 1
    assert sum("on a security key (touch)" in line for line in lines) == 1
    only_blue = naming_security_keys(first.extensions, [BLUE.in_document()])
    later = replace(first, seq=first.seq + 1, previous=first.hash, extensions=only_blue)
    assert any(
        line.startswith("REMOVES the SSH key") for line in PacketRequest(first.identity, later, first).describe()
    )
    back = replace(first, seq=first.seq + 2, previous=later.hash)
    assert any(line.startswith("ADDS the SSH key") for line in PacketRequest(first.identity, back, later).describe())


STRANGE = NamedSecurityKey(SkKey(EDDSA, key("somebody's").public_key), True)
FOREIGN: dict[str, Callable[[list[NamedSecurityKey]], list[NamedSecurityKey]]] = {
    "somebody else's": lambda _: [STRANGE],
    "somebody else's as well": lambda named: [*named, STRANGE],
    "one that is not to be named": lambda named: [*named, GREEN.in_document()],
    "one without its PIN": lambda named: [NamedSecurityKey(item.key, False) for item in named],
}


@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
def test_no_program_has_another_one_named(
    either_session: Session, change: Callable[[list[NamedSecurityKey]], list[NamedSecurityKey]]
) -> None:
    """The agent signs what other programs draft; what its owner has not decided is not signed."""
    create_identity(either_session, "ada")
    snapshot = either_session.snapshot()
    drafted = next_document(snapshot.wallet.by_index(0), (), time.time(), os.urandom)
    wrong = naming_security_keys(drafted.extensions, change([item.in_document() for item in (BLUE, RED)]))
    with pytest.raises(SignerError) as refused:
        either_session.sign(0, replace(drafted, extensions=wrong).to_bytes(), snapshot.generation)
    assert refused.value.code == "request.foreign-ssh-key"
    assert show_identity(either_session, "ada").record is None


@pytest.mark.parametrize("change", list(FOREIGN)[1:])
def test_no_program_changes_what_is_named(ada: Session, change: str) -> None:
    snapshot = ada.snapshot()
    drafted = next_document(snapshot.wallet.by_index(0), (), time.time(), os.urandom)
    wrong = naming_security_keys(drafted.extensions, FOREIGN[change](list(named_security_keys(drafted))))
    with pytest.raises(SignerError) as refused:
        ada.sign(0, replace(drafted, extensions=wrong).to_bytes(), snapshot.generation)
    assert refused.value.code == "request.foreign-ssh-key"


def test_keys_in_no_form_are_not_signed(ada: Session) -> None:
    snapshot = ada.snapshot()
    drafted = next_document(snapshot.wallet.by_index(0), (), time.time(), os.urandom)
    wrong = replace(drafted, extensions={**drafted.extensions, EXTENSION: ["what is this"]})
    with pytest.raises(FormatError):
        ada.sign(0, wrong.to_bytes(), snapshot.generation)


@pytest.mark.parametrize("within", [False, True])
def test_the_agent_takes_no_change_of_them(agent_home: Home, within: bool) -> None:
    change: SetSshCredentials | Several = SetSshCredentials(0, (BLUE,))
    if within:
        change = Several((PlanPublish(0, (), ()), change))
    with opened(agent_home) as session:
        create_identity(session, "ada")
        with pytest.raises(SignerError) as refused:
            session.apply(change)
        assert refused.value.code == "approver.consent"
        assert list_security_keys(session, "ada") == ()


@pytest.fixture
def second(ada: Session, relay: HonestRelay, tmp_path: Path) -> Iterator[Session]:
    """Another wallet of the same words, which has taken over what the first one published."""
    with opened(restored_home(tmp_path / "second", WORDS)) as session:
        create_identity(session, "ada")
        publish_identity(session, "ada", [relay.url], on_top=True)
        yield session


def test_the_words_bring_them_back_with_all_that_asking_takes(second: Session) -> None:
    assert {page.credential for page in list_security_keys(second, "ada")} == {BLUE, RED, GREEN}


def test_what_one_wallet_adds_names_or_removes_the_other_takes_over(
    ada: Session, second: Session, relay: HonestRelay
) -> None:
    keep(second, replace(GREEN, named=True), RED)
    publish_identity(second, "ada", [relay.url])
    set_attribute(ada, "ada", "name", "Ada", sealed=False)
    publish_identity(ada, "ada", [relay.url], on_top=True)
    assert {page.credential for page in list_security_keys(ada, "ada")} == {replace(GREEN, named=True), RED}
    assert {item.key for item in named_security_keys(document_of(ada))} == {GREEN.key, RED.key}


def test_a_removed_key_does_not_come_back_from_a_wallet_that_has_not_heard(
    ada: Session, second: Session, relay: HonestRelay
) -> None:
    set_attribute(second, "ada", "note", "mine", sealed=True)
    remove_security_key(ada, "ada", "blue")
    publish_identity(ada, "ada", [relay.url], on_top=True)
    publish_identity(second, "ada", [relay.url], on_top=True)
    assert names(second) == ["green", "red"]
    assert [item.key for item in named_security_keys(document_of(second))] == [RED.key]


def test_where_both_sides_have_changed_a_key_this_wallet_decides() -> None:
    base = {BLUE.key.public_key: BLUE}
    theirs = {BLUE.key.public_key: replace(BLUE, name="theirs")}
    mine = replace(BLUE, name="mine")
    assert merged(base, [mine], theirs) == (mine,)
    assert merged(base, [BLUE], theirs) == (replace(BLUE, name="theirs"),)
    assert merged(base, [BLUE], {}) == ()
    assert merged(base, [], base) == ()
    assert merged({}, [BLUE], {RED.key.public_key: RED}) == ordered((BLUE, RED))


def test_a_named_key_that_the_wallet_cannot_ask_stays_named(ada: Session) -> None:
    """Another device has added it, and this one does not open the owner's section that tells how it is asked."""
    from walletcli.wallet.state.continuing import Found, continued

    identity, own = show_identity(ada, "ada"), document_of(ada)
    named = naming_security_keys(own.extensions, [*named_security_keys(own), STRANGE])
    later = replace(own, seq=own.seq + 1, previous=own.hash, extensions=named)
    record = Record.from_bytes(identity.record or b"")
    after = continued(identity, Found(replace(record, document=later, packet=record.packet), None))
    (strange,) = [item for item in after.ssh_credentials if item.key == STRANGE.key]
    assert (strange.can_be_asked, strange.named) == (False, True)
    assert {item.key for item in after.ssh_credentials} == {BLUE.key, RED.key, GREEN.key, STRANGE.key}


def test_they_outlive_each_device_but_not_all_of_them(ada: Session, second: Session, relay: HonestRelay) -> None:
    before = show_identity(ada, "ada").device_signing_key
    revoke_device(second, "ada", before.hex())
    publish_identity(second, "ada", [relay.url])
    document = document_of(second)
    assert before not in {item.signing_key for item in document.delegations}
    assert len(signer_lines(document)) == 2
    with pytest.raises(VerificationError) as none_left:
        signer_lines(replace(document, delegations=()))
    assert none_left.value.code == "ssh-keys.none"


def test_the_touch_of_a_signature_is_told() -> None:
    touch, without = sk_signed().touch, sk_signed(ES256, flags=1).touch
    assert touch is not None
    assert without is not None
    assert (touch.to_json(), without.to_json()) == ({"pin": True}, {"pin": False})


@pytest.mark.parametrize(
    ("signature", "code"),
    [
        (sk_signed(), None),
        (sk_signed(ES256), None),
        (sk_signed(ES256, flags=1), None),
        (sk_signed(flags=1), "ssh-keys.not-verified"),
        (sk_signed(application="ssh:other"), "ssh-keys.not-named"),
    ],
    ids=["with its PIN", "needs none", "has none", "without its PIN", "of another application"],
)
def test_a_signature_counts_as_the_record_says(
    ada: Session, tmp_path: Path, signature: SshSignature, code: str | None
) -> None:
    file, path = tmp_path / "file", tmp_path / "file.sig"
    file.write_bytes(MESSAGE)
    path.write_text(signature.to_text())
    checked = check_signature(str(file), str(path), "file")
    evidence = Evidence(Record.from_bytes(show_identity(ada, "ada").record or b""), "checked")
    if code is None:
        good = by_identity(checked, evidence, ada)
        assert (good.device, good.kept_day) == (None, None)
        assert good.until_day is not None
        return
    with pytest.raises(VerificationError) as refused:
        by_identity(checked, evidence, ada)
    assert refused.value.code == code


def test_a_signature_that_was_kept_counts_after_its_key_was_removed(
    ada: Session, tmp_path: Path, relay: HonestRelay
) -> None:
    file, path = tmp_path / "file", tmp_path / "file.sig"
    file.write_bytes(MESSAGE)
    path.write_text(sk_signed().to_text())
    checked = check_signature(str(file), str(path), "file")
    by_identity(
        checked, Evidence(Record.from_bytes(show_identity(ada, "ada").record or b""), "checked"), ada, keep=True
    )
    remove_security_key(ada, "ada", "blue")
    publish_identity(ada, "ada", [relay.url])
    evidence = Evidence(Record.from_bytes(show_identity(ada, "ada").record or b""), "checked")
    assert by_identity(checked, evidence, ada).kept_day is not None
    with pytest.raises(VerificationError):
        by_identity(checked, evidence, None)
