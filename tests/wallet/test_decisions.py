"""Bindings, shares and revocations: decided first, carried by the next document."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import pytest

from walletcli.core import x25519
from walletcli.core.document import Document
from walletcli.core.document_parts import Delegation, Power
from walletcli.core.ed25519 import SigningKey
from walletcli.core.record import Record
from walletcli.core.sealed import unseal
from walletcli.core.secret import Secret
from walletcli.errors import InputError, VerificationError
from walletcli.wallet.access.session import Session
from walletcli.wallet.identities import create_identity, retire_identity, set_attribute
from walletcli.wallet.state import sections
from walletcli.wallet.state.changes import Adopt, RevokeDevices, SetBindings, SetShares
from walletcli.wallet.state.draft import next_document
from walletcli.wallet.state.view import Share

CONTACT = Secret(b"\x07" * 32)
CONTACT_KEY = x25519.public_key(CONTACT)
LOST = SigningKey(Secret(b"\x08" * 32)).public_key


@pytest.fixture
def alice(session: Session) -> Session:
    create_identity(session, "alice")
    set_attribute(session, "alice", "phone", "+1 555 0100", sealed=True)
    return session


def sign(session: Session) -> Document:
    snapshot = session.snapshot()
    document = next_document(snapshot.wallet.by_index(0), (), time.time(), os.urandom)
    record = Record.from_bytes(session.sign(0, document.to_bytes(), snapshot.generation))
    assert record.document is not None
    return record.document


def opened(document: Document) -> list[dict[str, str]]:
    """Return what the contact can read in a document."""
    found = []
    for section in document.sections:
        try:
            content = unseal(section, CONTACT, sections.shared_context(document.identity))
        except VerificationError:
            continue
        found.append(sections.SharedSection.from_bytes(content).attributes)
    return found


def test_bindings_are_in_the_next_document_and_stay(alice: Session) -> None:
    alice.apply(SetBindings(0, (b"grant",)))
    assert sign(alice).bindings == (b"grant",)
    assert sign(alice).bindings == (b"grant",)
    alice.apply(SetBindings(0, ()))
    assert sign(alice).bindings == ()


def test_bindings_have_their_limits(alice: Session) -> None:
    for grants in ((b"a", b"a"), tuple(bytes([n]) for n in range(17)), (b"",)):
        with pytest.raises(InputError):
            alice.apply(SetBindings(0, grants))


def test_a_contact_reads_what_is_shared_and_nothing_else(alice: Session) -> None:
    set_attribute(alice, "alice", "home", "a street", sealed=True)
    alice.apply(SetShares(0, (Share(("phone",), (CONTACT_KEY,)),)))
    assert opened(sign(alice)) == [{"phone": "+1 555 0100"}]


def test_what_was_shared_is_withdrawn_with_the_next_document(alice: Session) -> None:
    alice.apply(SetShares(0, (Share(("phone",), (CONTACT_KEY,)),)))
    assert opened(sign(alice))
    alice.apply(SetShares(0, ()))
    document = sign(alice)
    assert opened(document) == []
    assert len(document.sections) == 1


def test_a_share_follows_the_value(alice: Session) -> None:
    alice.apply(SetShares(0, (Share(("phone",), (CONTACT_KEY,)),)))
    sign(alice)
    set_attribute(alice, "alice", "phone", "+1 555 0199", sealed=True)
    assert opened(sign(alice)) == [{"phone": "+1 555 0199"}]


def test_the_owner_opens_what_is_shared(alice: Session) -> None:
    alice.apply(SetShares(0, (Share(("phone",), (CONTACT_KEY,)),)))
    document = sign(alice)
    context = sections.shared_context(document.identity)
    readable = 0
    for section in document.sections:
        try:
            alice.unseal(0, section, context)
        except VerificationError:
            continue
        readable += 1
    assert readable == 1


def test_a_revoked_device_is_left_out_of_the_next_document(alice: Session) -> None:
    before = sign(alice)
    lost = replace(before.delegations[0], signing_key=LOST)
    tree = _with_device(alice, before, lost)
    assert LOST in [item.signing_key for item in tree.delegations]
    alice.apply(RevokeDevices(0, (LOST,)))
    after = sign(alice)
    assert [item.signing_key for item in after.delegations] == [before.delegations[0].signing_key]


def _with_device(session: Session, before: Document, device: Delegation) -> Document:
    """Let another holder of the same words enrol a device, and adopt its record."""
    from walletcli.core.keys import KeyTree, Scheme
    from walletcli.core.packet import SignedPacket
    from walletcli.core.record import packet_value
    from walletcli.wallet.access.local_session import LocalSession

    assert isinstance(session, LocalSession)
    keeper = session._keeper
    assert keeper is not None
    assert keeper._state.seed is not None
    tree = KeyTree(keeper._state.seed, Scheme.WALLETCLI)
    delegations = tuple(sorted((*before.delegations, device), key=lambda item: item.signing_key))
    document = replace(before, delegations=delegations, previous=before.hash, seq=before.seq + 1)
    packet = SignedPacket.sign(tree.root(0), document.seq, packet_value(document))
    session.apply(Adopt(0, Record.verified(packet, document.to_bytes()).to_bytes()))
    return document


def test_every_device_of_the_document_reads_the_owners_sections(alice: Session) -> None:
    second = Secret(b"\x09" * 32)
    before = sign(alice)
    other = replace(before.delegations[0], signing_key=LOST, sealing_key=x25519.public_key(second))
    node = replace(
        other, signing_key=SigningKey(CONTACT).public_key, sealing_key=CONTACT_KEY, powers=frozenset({Power.GRANT})
    )
    after_both = _with_device(alice, _with_device(alice, before, other), node)
    alice.apply(SetShares(0, (Share(("phone",), (x25519.public_key(Secret(b"\x0a" * 32)),)),)))
    document = sign(alice)
    assert document.previous == after_both.hash
    contexts = (sections.context(document.identity), sections.shared_context(document.identity))
    for section, where in zip(_by_context(alice, document), contexts, strict=True):
        unseal(section, second, where)
        with pytest.raises(VerificationError) as refused:
            unseal(section, CONTACT, where)
        assert refused.value.code == "sealed.not-for-you"


def _by_context(session: Session, document: Document) -> list[bytes]:
    """Return the owner's section and the shared one."""
    found: list[bytes] = []
    for where in (sections.context(document.identity), sections.shared_context(document.identity)):
        for section in document.sections:
            try:
                session.unseal(0, section, where)
            except VerificationError:
                continue
            found.append(section)
    return found


def test_a_share_with_many_contacts_and_devices_takes_several_sections(alice: Session) -> None:
    before = sign(alice)
    extra = [
        replace(before.delegations[0], signing_key=SigningKey(Secret(bytes([n]) * 32)).public_key,
                sealing_key=x25519.public_key(Secret(bytes([n]) * 32)))
        for n in range(0x30, 0x3A)
    ]  # fmt: skip
    document = before
    for device in extra:
        document = _with_device(alice, document, device)
    contacts = tuple(sorted(x25519.public_key(Secret(bytes([n]) * 32)) for n in range(0x50, 0x5D)))
    alice.apply(SetShares(0, (Share(("phone",), (*contacts, CONTACT_KEY)),)))
    document = sign(alice)
    assert len(document.sections) == 3
    assert opened(document) == [{"phone": "+1 555 0100"}]
    own = next(item for item in document.delegations if item.signing_key == before.delegations[0].signing_key)
    read = []
    for device in (*extra, own):
        secret = next((Secret(bytes([n]) * 32) for n in range(0x30, 0x3A)
                       if x25519.public_key(Secret(bytes([n]) * 32)) == device.sealing_key), None)  # fmt: skip
        if secret is not None:
            read.append(_reads(document, secret))
    assert sum(read) == 7  # with this device they are eight
    alice.apply(SetShares(0, ()))
    assert len(sign(alice).sections) == 1


def _reads(document: Document, secret: Secret) -> bool:
    for section in document.sections:
        try:
            unseal(section, secret, sections.context(document.identity))
        except VerificationError:
            continue
        return True
    return False


def test_a_device_does_not_revoke_itself(alice: Session) -> None:
    own = alice.snapshot().wallet.by_index(0).device_signing_key
    with pytest.raises(InputError) as error:
        alice.apply(RevokeDevices(0, (own,)))
    assert error.value.code == "device.own"


def test_nothing_is_decided_about_a_retired_identity(alice: Session) -> None:
    retire_identity(alice, "alice")
    for change in (SetBindings(0, (b"x",)), SetShares(0, ()), RevokeDevices(0, (LOST,))):
        with pytest.raises(InputError) as error:
            alice.apply(change)
        assert error.value.code == "identity.retired"


def test_a_retirement_takes_shares_along(alice: Session) -> None:
    alice.apply(SetShares(0, (Share(("phone",), (CONTACT_KEY,)),)))
    retire_identity(alice, "alice")
    document = sign(alice)
    assert opened(document) == []
    assert len(document.sections) == 1
