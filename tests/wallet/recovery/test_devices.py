"""The devices of an identity: named by their keys, and left out of the next document once they are lost."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import pytest

from walletcli.core import x25519
from walletcli.core.document import Document
from walletcli.core.document_parts import Delegation, Power
from walletcli.core.ed25519 import SigningKey
from walletcli.core.identity_id import IdentityId
from walletcli.core.keys import KeyTree
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.core.secret import Secret
from walletcli.errors import InputError
from walletcli.wallet.access.session import Session
from walletcli.wallet.identities import create_identity, retire_identity
from walletcli.wallet.recovery.devices import Device, list_devices, revoke_device
from walletcli.wallet.state.changes import Adopt
from walletcli.wallet.state.draft import next_document, today


def phone(number: int, first_day: int = -10, last_day: int = 60) -> Delegation:
    """Return the delegation of another device of the owner; days are counted from today."""
    day = today(time.time())
    secret = Secret(bytes([number]) * 32)
    sealing = x25519.public_key(secret)
    return Delegation(SigningKey(secret).public_key, sealing, frozenset({Power.HOST}), day + first_day, day + last_day)


def tree_of(session: Session) -> KeyTree:
    return session._keeper._tree  # type: ignore[attr-defined] # the test signs as another device's owner would


def publish_elsewhere(session: Session, *devices: Delegation) -> None:
    """Have another device of the owner publish a record with `devices`, and continue from it here."""
    identity = session.snapshot().wallet.by_index(0)
    document = next_document(identity, (), time.time(), os.urandom)
    delegations = tuple(sorted((*document.delegations, *devices), key=lambda item: item.signing_key))
    session.apply(Adopt(0, signed(tree_of(session).root(0), replace(document, delegations=delegations)).to_bytes()))


def signed(root: SigningKey, document: Document) -> Record:
    return Record.verified(SignedPacket.sign(root, document.seq, packet_value(document)), document.to_bytes())


@pytest.fixture
def alice(session: Session) -> Session:
    create_identity(session, "alice")
    return session


def states(session: Session) -> dict[str, str]:
    return {item.name: item.state for item in list_devices(session, "alice").devices}


def next_devices(session: Session) -> set[bytes]:
    snapshot = session.snapshot()
    document = next_document(snapshot.wallet.by_index(0), (), time.time(), os.urandom)
    record = Record.from_bytes(session.sign(0, document.to_bytes(), snapshot.generation))
    assert record.document is not None
    return {item.signing_key for item in record.document.delegations}


def test_before_the_first_record_no_device_is_named(alice: Session) -> None:
    assert list_devices(alice, "alice").devices == ()


def test_each_device_is_shown_with_its_days_and_this_one_is_marked(alice: Session) -> None:
    old, new = phone(1, -80, -1), phone(2, 1, 20)
    publish_elsewhere(alice, old, new, phone(3))
    own = alice.snapshot().wallet.by_index(0).device_signing_key.hex()
    assert states(alice) == {
        own: "valid",
        old.signing_key.hex(): "expired",
        new.signing_key.hex(): "not yet",
        phone(3).signing_key.hex(): "valid",
    }
    assert [item.name for item in list_devices(alice, "alice").devices if item.is_this] == [own]


@pytest.mark.parametrize("form", ["prefix", "whole", "upper", "did"])
def test_a_revoked_device_is_not_in_the_next_document(alice: Session, form: str) -> None:
    lost, kept = phone(1), phone(2)
    publish_elsewhere(alice, lost, kept)
    name = lost.signing_key.hex()
    texts = {"prefix": name[:8], "whole": name, "upper": name.upper(), "did": IdentityId(lost.signing_key).did}
    revoked = revoke_device(alice, "alice", texts[form])
    assert revoked.believed_until_day == lost.not_after_day
    assert states(alice)[name] == "revoked"
    assert lost.signing_key not in next_devices(alice)
    assert kept.signing_key in next_devices(alice)


def test_a_device_is_revoked_once(alice: Session) -> None:
    lost = phone(1)
    publish_elsewhere(alice, lost)
    for _ in range(2):
        device: Device = revoke_device(alice, "alice", lost.signing_key.hex()).device
        assert device.state == "revoked"
    next_devices(alice)
    with pytest.raises(InputError) as refused:
        revoke_device(alice, "alice", lost.signing_key.hex())
    assert refused.value.code == "device.unknown"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "device.malformed"),
        ("abc", "device.malformed"),
        ("zzzzzzzzzz", "device.malformed"),
        ("00" * 33, "device.malformed"),
        ("did:key:zabc", "identity.malformed"),
        ("00000000", "device.unknown"),
    ],
)
def test_what_names_no_device_is_refused(alice: Session, name: str, code: str) -> None:
    publish_elsewhere(alice, phone(1))
    with pytest.raises(InputError) as refused:
        revoke_device(alice, "alice", name)
    assert refused.value.code == code


def test_digits_that_two_devices_begin_with_name_neither(alice: Session) -> None:
    one = phone(1)
    publish_elsewhere(alice, one)
    listed = list_devices(alice, "alice")
    twins = tuple(item for item in listed.devices if item.name == one.signing_key.hex()) * 2
    from walletcli.wallet.recovery.devices import _named

    with pytest.raises(InputError) as refused:
        _named(replace(listed, devices=twins), one.signing_key.hex()[:8])
    assert refused.value.code == "device.ambiguous"


def test_this_device_does_not_revoke_itself(alice: Session) -> None:
    publish_elsewhere(alice)
    own = alice.snapshot().wallet.by_index(0).device_signing_key.hex()
    with pytest.raises(InputError) as refused:
        revoke_device(alice, "alice", own)
    assert refused.value.code == "device.own"


def test_a_retired_identity_has_no_device_to_revoke(alice: Session) -> None:
    lost = phone(1)
    publish_elsewhere(alice, lost)
    retire_identity(alice, "alice")
    with pytest.raises(InputError) as refused:
        revoke_device(alice, "alice", lost.signing_key.hex())
    assert refused.value.code == "identity.retired"
