"""An SSH key of an online wallet without root keys: drawn there, named by a record that the cold machine has signed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.samples import key
from tests.vectors.cases_ssh_security_keys import sk_key
from tests.wallet.airgap.parts import Machines, document_of, here, refusal, with_document
from walletcli.core.cbor import Value
from walletcli.core.document import Document
from walletcli.core.ssh.named_keys import EXTENSION, named_keys, naming
from walletcli.core.ssh.named_security_keys import NamedSecurityKey, named_security_keys, naming_security_keys
from walletcli.core.ssh.security_keys import SkKey
from walletcli.core.ssh.signable import FileHash
from walletcli.wallet.identities import set_attribute
from walletcli.wallet.ssh.key import SshKeyPage, ssh_key
from walletcli.wallet.state.changes import SetSshCredentials
from walletcli.wallet.state.ssh_credentials import SshCredential


def asked(machines: Machines) -> tuple[SshKeyPage, str]:
    """Have the key named: return it, and the path of the request."""
    with here(machines.online) as session:
        page = ssh_key(session, "alice", named=True)
        assert len(session.sign_ssh(page.identity.index, FileHash("file", "sha512", bytes(64)).to_bytes())) == 64
    return page, machines.ask().path


def test_the_cold_side_shows_the_key_and_asks_about_it(alice: Machines) -> None:
    page, path = asked(alice)
    (item,) = alice.review(path).items
    print_ = str(page.to_json()["fingerprint"])
    assert any(line.startswith(f"ADDS the SSH key {print_}") for line in item.lines)
    assert [one.name for one in item.alarms] == ["ssh-key"]
    assert print_ in item.alarms[0].text


def test_it_is_named_once_that_is_accepted(alice: Machines) -> None:
    page, path = asked(alice)
    assert refusal(lambda: alice.approve(path)).code == "request.alarm"
    alice.apply(alice.approve(path, accept=["ssh-key"]))
    view = alice.view("alice")
    assert named_keys(document_of(view.record)) == {view.device_signing_key: page.public_key}
    assert not view.changed


def test_what_stands_there_already_is_not_asked_about_again(alice: Machines) -> None:
    _, path = asked(alice)
    alice.apply(alice.approve(path, accept=["ssh-key"]))
    with here(alice.online) as session:
        set_attribute(session, "alice", "name", "Alice A.", sealed=False)
    (item,) = alice.review(alice.ask().path).items
    assert item.alarms == ()
    assert any(line.startswith("SSH key SHA256:") for line in item.lines)


def hostile(document: Document) -> Document:
    """Return a document in which somebody else's key stands for the owner's device."""
    return replace(document, extensions=naming({}, {document.delegations[0].signing_key: key("somebody").public_key}))


def in_no_form(document: Document) -> Document:
    value: Value = ["what is this"]
    return replace(document, extensions={EXTENSION: value})


@pytest.mark.parametrize("change", [hostile, in_no_form])
def test_a_hostile_machine_gets_no_key_named_unseen(alice: Machines, change) -> None:  # type: ignore[no-untyped-def]
    _, path = asked(alice)
    path = alice.tampered(path, with_document(change))
    assert "ssh-key" in [one.name for one in alice.review(path).items[0].alarms]
    assert refusal(lambda: alice.approve(path)).code == "request.alarm"


# On a security key

BLUE = SshCredential(sk_key(), True, b"credential", "blue", True)


def asked_for_blue(machines: Machines) -> str:
    """Have a key on a security key named: return the path of the request."""
    with here(machines.online) as session:
        session.apply(SetSshCredentials(session.snapshot().wallet.identities[0].index, (BLUE,)))
    return machines.ask().path


def test_the_cold_side_shows_a_key_on_a_security_key_and_asks_about_it(alice: Machines) -> None:
    path = asked_for_blue(alice)
    (item,) = alice.review(path).items
    assert any(line.startswith(f"ADDS the {BLUE.in_document().described()}") for line in item.lines)
    assert [one.name for one in item.alarms] == ["ssh-key"]
    assert refusal(lambda: alice.approve(path)).code == "request.alarm"
    alice.apply(alice.approve(path, accept=["ssh-key"]))
    view = alice.view("alice")
    assert named_security_keys(document_of(view.record)) == (BLUE.in_document(),)
    assert (view.ssh_credentials, view.changed) == ((BLUE,), False)


def without_its_pin(document: Document) -> Document:
    """Return a document that takes signatures of the owner's key without its PIN."""
    (named,) = named_security_keys(document)
    return replace(document, extensions=naming_security_keys({}, [replace(named, verify=False)]))


def one_more(document: Document) -> Document:
    """Return a document with somebody else's key as well."""
    strange = NamedSecurityKey(SkKey(-8, key("somebody").public_key), True)
    return replace(document, extensions=naming_security_keys({}, [*named_security_keys(document), strange]))


@pytest.mark.parametrize("change", [without_its_pin, one_more])
def test_a_hostile_machine_gets_no_security_key_named_unseen(alice: Machines, change) -> None:  # type: ignore[no-untyped-def]
    alice.apply(alice.approve(asked_for_blue(alice), accept=["ssh-key"]))
    with here(alice.online) as session:
        set_attribute(session, "alice", "name", "Alice A.", sealed=False)
    path = alice.tampered(alice.ask().path, with_document(change))
    assert [one.name for one in alice.review(path).items[0].alarms] == ["ssh-key"]
    assert refusal(lambda: alice.approve(path)).code == "request.alarm"
