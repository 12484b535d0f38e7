"""An identity's SSH key: one for each identity and device, kept in the vault, named by the record on request only."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.core.samples import key
from tests.wallet.parts import HonestRelay, make_home, opened, password
from walletcli.core.cbor import Value
from walletcli.core.document import Document
from walletcli.core.document_parts import Delegation, Power
from walletcli.core.record import Record
from walletcli.core.ssh.keys import key_blob
from walletcli.core.ssh.named_keys import EXTENSION, named_keys, naming
from walletcli.core.ssh.signable import FileHash, Login
from walletcli.errors import FormatError, InputError, SignerError, WalletError
from walletcli.signers.requests import PacketRequest
from walletcli.wallet.access.opening import open_vault
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity, retire_identity, show_identity
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.ssh.key import SshKeyPage, check_line, ssh_key
from walletcli.wallet.state.decided import decisions_hash
from walletcli.wallet.state.draft import last_document, next_document
from walletcli.wallet.state.wallet_state import WalletState

OTHER = key("another ssh").public_key
FILE = FileHash("file", "sha512", bytes(64))


@pytest.fixture
def ada(either_session: Session) -> Session:
    """A wallet with one identity, here and behind its agent."""
    create_identity(either_session, "ada")
    return either_session


def draft(session: Session) -> tuple[Document, int]:
    snapshot = session.snapshot()
    return next_document(snapshot.wallet.by_index(0), (), time.time(), os.urandom), snapshot.generation


def signed(session: Session, change: Callable[[Document], Document] = lambda document: document) -> Document:
    """Have the next document signed, after a change."""
    document, generation = draft(session)
    record = Record.from_bytes(session.sign(0, change(document).to_bytes(), generation))
    assert record.document is not None
    return record.document


def naming_of(document: Document, keys: dict[bytes, bytes]) -> Document:
    return replace(document, extensions=naming(document.extensions, keys))


def test_the_key_is_drawn_once_and_stays(ada: Session) -> None:
    first, second = ssh_key(ada, "ada"), ssh_key(ada, "ADA")
    assert (first.is_new, second.is_new) == (True, False)
    assert first.public_key == second.public_key
    assert first.line() == second.line()


def test_no_two_identities_or_devices_have_one_key(session: Session, tmp_path: os.PathLike[str]) -> None:
    words = "legal winner thank year wave sausage worth useful legal winner thank yellow"
    keys = []
    for name in ("one", "two"):
        with opened(make_home(os.path.join(tmp_path, name), words)) as device:  # type: ignore[arg-type]
            for label in ("ada", "bob"):
                create_identity(device, label)
                keys.append(ssh_key(device, label).public_key)
    assert len(set(keys)) == 4


def test_it_is_none_of_the_identitys_other_keys(ada: Session) -> None:
    page = ssh_key(ada, "ada")
    view = page.identity
    assert page.public_key not in (view.public_key, view.device_signing_key, view.device_sealing_key, view.recovery_key)


def test_a_vault_from_before_opens_and_gets_a_key_when_it_is_asked_for(wallet_home: Home) -> None:
    with opened(wallet_home) as session:
        create_identity(session, "ada")
    vault = open_vault(wallet_home, password)
    state = WalletState.from_bytes(vault.read())
    assert state.ssh == {}
    assert state.public.identities[0].ssh_key is None
    with opened(wallet_home) as session:
        page = ssh_key(session, "ada")
    state = WalletState.from_bytes(open_vault(wallet_home, password).read())
    assert list(state.ssh) == [0]
    assert state.public.identities[0].ssh_key == page.public_key


def test_the_private_half_is_in_no_answer(ada: Session) -> None:
    ssh_key(ada, "ada", named=True)
    signed(ada)
    seed = WalletState.from_bytes(open_vault(ada.home, password).read()).ssh[0].reveal()
    shown = repr(ada.snapshot()) + repr(ada.facts()) + repr(ada.summaries())
    assert seed.hex() not in shown
    assert repr(seed) not in shown
    assert seed not in (show_identity(ada, "ada").record or b"")


def test_a_state_whose_keys_do_not_match_is_refused(wallet_home: Home) -> None:
    with opened(wallet_home) as session:
        create_identity(session, "ada")
        ssh_key(session, "ada")
    state = WalletState.from_bytes(open_vault(wallet_home, password).read())
    with pytest.raises(FormatError):
        replace(state, ssh={})
    nobody = replace(state.public, identities=(replace(state.public.identities[0], ssh_key=None),))
    with pytest.raises(FormatError):
        replace(state, public=nobody)


def test_a_retired_identity_has_no_use_of_it(ada: Session) -> None:
    page = ssh_key(ada, "ada")
    retire_identity(ada, "ada")
    with pytest.raises(InputError) as refused:
        ssh_key(ada, "ada")
    assert refused.value.code == "identity.retired"
    with pytest.raises(InputError):
        ada.sign_ssh(page.identity.index, FILE.to_bytes())


def test_it_signs_what_it_can_parse(ada: Session) -> None:
    page = ssh_key(ada, "ada")
    login = Login(bytes(32), "git", key_blob(page.public_key))
    for asked in (FILE, login, replace(login, host_key=b"host")):
        assert len(ada.sign_ssh(0, asked.to_bytes())) == 64


def refusals(page: SshKeyPage) -> list[tuple[bytes, str]]:
    login = Login(bytes(32), "git", key_blob(page.public_key))
    return [
        (b"", "ssh.not-signable"),
        (bytes(32), "ssh.not-signable"),
        (b"3:seqi1e1:v4:abcd", "ssh.not-signable"),
        (FILE.to_bytes() + b"\0", "ssh.not-signable"),
        (FILE.to_bytes()[:-1], "ssh.not-signable"),
        (b"x" + login.to_bytes(), "ssh.not-signable"),
        (replace(login, key_blob=key_blob(OTHER)).to_bytes(), "ssh.other-key"),
        (replace(login, key_blob=key_blob(page.identity.device_signing_key)).to_bytes(), "ssh.other-key"),
        (replace(login, key_blob=key_blob(page.identity.public_key)).to_bytes(), "ssh.other-key"),
    ]


def test_it_signs_nothing_else(ada: Session) -> None:
    page = ssh_key(ada, "ada")
    for data, code in refusals(page):
        with pytest.raises(WalletError) as refused:
            ada.sign_ssh(0, data)
        assert refused.value.code == code


def test_without_a_key_nothing_is_signed(ada: Session) -> None:
    with pytest.raises(SignerError) as refused:
        ada.sign_ssh(0, FILE.to_bytes())
    assert refused.value.code == "ssh.no-key"


def test_the_record_names_it_only_on_request(ada: Session) -> None:
    page = ssh_key(ada, "ada")
    assert EXTENSION not in signed(ada).extensions
    page = ssh_key(ada, "ada", named=True)
    assert not page.is_in_record
    assert named_keys(signed(ada)) == {page.identity.device_signing_key: page.public_key}
    assert ssh_key(ada, "ada").is_in_record
    assert ssh_key(ada, "ada", named=False).is_in_record
    assert EXTENSION not in signed(ada).extensions
    assert not ssh_key(ada, "ada").is_in_record


def test_to_name_it_is_a_change_that_the_next_publish_signs(session: Session, relay: HonestRelay) -> None:
    create_identity(session, "ada")
    publish_identity(session, "ada", [relay.url])
    ssh_key(session, "ada")
    assert not publish_identity(session, "ada", [relay.url]).new
    before = decisions_hash(show_identity(session, "ada"))
    page = ssh_key(session, "ada", named=True)
    assert decisions_hash(page.identity) != before
    assert publish_identity(session, "ada", [relay.url]).new
    assert not publish_identity(session, "ada", [relay.url]).new
    ssh_key(session, "ada", named=True)
    assert not show_identity(session, "ada").changed


FOREIGN: list[tuple[str, Callable[[Document, SshKeyPage], Document]]] = [
    ("another key", lambda d, page: naming_of(d, {page.identity.device_signing_key: OTHER})),
    ("for another device", lambda d, page: naming_of(d, {OTHER: page.public_key})),
    (
        "one more",
        lambda d, page: naming_of(d, {page.identity.device_signing_key: page.public_key, OTHER: key("x").public_key}),
    ),
]


@pytest.mark.parametrize("change", [change for _, change in FOREIGN], ids=[name for name, _ in FOREIGN])
@pytest.mark.parametrize("named", [True, False])
def test_no_program_has_a_foreign_key_named(
    ada: Session, change: Callable[[Document, SshKeyPage], Document], named: bool
) -> None:
    page = ssh_key(ada, "ada", named=named)
    with pytest.raises(SignerError) as refused:
        signed(ada, lambda document: change(document, page))
    assert refused.value.code == "request.foreign-ssh-key"
    assert show_identity(ada, "ada").record is None


def test_no_program_has_the_key_named_against_its_owners_wish(ada: Session) -> None:
    page = ssh_key(ada, "ada")
    with pytest.raises(SignerError):
        signed(ada, lambda document: naming_of(document, {page.identity.device_signing_key: page.public_key}))


@pytest.mark.parametrize("value", [[], 1, [[OTHER]], {1: 2}])
def test_keys_in_no_form_are_not_signed(ada: Session, value: Value) -> None:
    ssh_key(ada, "ada", named=True)
    with pytest.raises((FormatError, SignerError)):
        signed(ada, lambda document: replace(document, extensions={EXTENSION: value}))


def with_another_device(document: Document) -> Document:
    """Return a document as another device of the owner's leaves it: with its own SSH key and something unknown."""
    own = document.delegations[0]
    other = Delegation(OTHER, own.sealing_key, frozenset({Power.SHARE}), own.not_before_day, own.not_after_day)
    delegations = tuple(sorted((own, other), key=lambda item: item.signing_key))
    extensions: dict[int | str, Value] = {"later": 7}
    keys = {**named_keys(document), OTHER: key("their ssh").public_key}
    return replace(document, delegations=delegations, extensions=naming(extensions, keys))


def test_other_devices_keys_stay_as_long_as_their_devices_do(session: Session) -> None:
    create_identity(session, "ada")
    page = ssh_key(session, "ada", named=True)
    own = page.identity.device_signing_key
    document = with_another_device(signed(session))
    view = replace(show_identity(session, "ada"), record=None)
    drafted = _next(view, document)
    assert named_keys(drafted) == {own: page.public_key, OTHER: key("their ssh").public_key}
    assert drafted.extensions["later"] == 7
    without = _next(replace(view, revoked=(OTHER,)), document)
    assert named_keys(without) == {own: page.public_key}
    alone = _next(replace(view, revoked=(OTHER,), names_ssh_key=False), document)
    assert alone.extensions == {"later": 7}


def _next(view, previous: Document) -> Document:  # type: ignore[no-untyped-def]
    from walletcli.wallet.state import draft as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "last_document", lambda _: previous)
        return next_document(view, (), time.time(), os.urandom)


def test_what_cannot_be_read_stays_unless_there_is_something_to_say(session: Session) -> None:
    create_identity(session, "ada")
    ssh_key(session, "ada")
    document = replace(signed(session), extensions={EXTENSION: ["a later form"]})
    view = show_identity(session, "ada")
    assert _next(view, document).extensions == document.extensions
    named = _next(replace(view, names_ssh_key=True), document)
    assert list(named_keys(named)) == [view.device_signing_key]


def test_an_identity_that_ends_names_no_key(session: Session) -> None:
    create_identity(session, "ada")
    ssh_key(session, "ada", named=True)
    assert EXTENSION in signed(session).extensions
    retire_identity(session, "ada")
    assert EXTENSION not in signed(session).extensions


def test_what_is_signed_tells_of_the_key(session: Session) -> None:
    create_identity(session, "ada")
    page = ssh_key(session, "ada", named=True)
    first = signed(session)
    print_ = page.to_json()["fingerprint"]
    assert any(f"SSH key {print_} of device" in line for line in PacketRequest(first.identity, first).describe())
    later = replace(first, seq=first.seq + 1, previous=first.hash, extensions={})
    gone = PacketRequest(first.identity, later, first).describe()
    assert any(line.startswith(f"REMOVES the SSH key {print_}") for line in gone)
    back = replace(first, seq=first.seq + 2, previous=later.hash)
    assert any(line.startswith("ADDS the SSH key") for line in PacketRequest(first.identity, back, later).describe())


def test_the_line_holds_no_label(ada: Session) -> None:
    page = ssh_key(ada, "ada")
    assert page.line().split()[0] == "ssh-ed25519"
    assert len(page.line().split()) == 2
    assert "ada" not in page.line().split()
    assert page.signer_line().split()[0] == page.did


@pytest.mark.parametrize("text", ["two\nlines", "x" * 257, "\x1b[31m"])
def test_a_comment_is_one_short_line(text: str) -> None:
    with pytest.raises(InputError):
        check_line(text, "comment")


@pytest.mark.parametrize("text", ["", "two words", "a,b", 'a"', "*", "!x", "#x", "ü"])
def test_a_principal_is_one_word(text: str) -> None:
    with pytest.raises(InputError):
        check_line(text, "principal")


def test_the_last_document_is_what_names_it(session: Session) -> None:
    create_identity(session, "ada")
    page = ssh_key(session, "ada", named=True)
    assert last_document(page.identity) is None
    assert page.to_json()["in_record"] is False
