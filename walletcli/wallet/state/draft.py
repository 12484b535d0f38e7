"""Makes the next document of an identity from its public half: needs no secret, so it works without the seed.

Spec: docs/spec/wallet-state.md, "Next document".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from walletcli.core.cbor import Value
from walletcli.core.document import Document
from walletcli.core.document_parts import MAX_DELEGATION_DAYS, Approvers, Delegation, Power, Retirement
from walletcli.core.record import SEQ_JUMP, Record, next_seq
from walletcli.core.sealed import MAX_RECIPIENTS
from walletcli.core.ssh.named_keys import named_keys, naming
from walletcli.core.ssh.named_security_keys import named_security_keys, naming_security_keys
from walletcli.errors import FormatError
from walletcli.wallet.state.kept_splits import healed_by
from walletcli.wallet.state.sections import OwnerSection, SharedSection, seal_section, seal_shared
from walletcli.wallet.state.view import IdentityView

RENEW_DAYS = 30
"""A delegation with fewer days left is renewed by the next publish."""

SPREAD_DAYS = 28
"""A delegation starts up to this many days less one in the past, at random for each identity, so that the dates of
identities signed on one day differ."""

DEVICE_POWERS = frozenset({Power.HOST, Power.MESSAGE, Power.SHARE})
"""What this device may do in an identity's name."""

MAX_OWN_DEVICES = 8
"""Most devices of the owner's that read what the owner seals; half of what a section can be sealed to."""

MAX_VERIFIED = 4096
"""Most records that are kept verified; a restore holds as many identities in one write."""

_DAY_S = 86_400

Entropy = Callable[[int], bytes]
"""Gives as many random bytes as asked."""


def today(now_s: float) -> int:
    """Return the day of a Unix time, in days since 1970-01-01 UTC."""
    return int(now_s) // _DAY_S


def verified_record(record: bytes) -> Record:
    """Verify a record of the wallet's own; one and the same is looked at several times in a row.

    Raises:
        As `Record.from_bytes`.
    """
    known = _verified.get(record)
    return known if known is not None else _kept(record, Record.from_bytes(record))


def file_form(record: Record) -> bytes:
    """Return a record that was verified in file form; `verified_record` knows it then in this process."""
    data = record.to_bytes()
    _kept(data, record)
    return data


_verified: Final[dict[bytes, Record]] = {}
"""What this process has verified last, by file form."""


def _kept(data: bytes, record: Record) -> Record:
    if len(_verified) >= MAX_VERIFIED:
        _verified.clear()
    _verified[data] = record
    return record


def last_record(identity: IdentityView) -> Record | None:
    """Return the latest record, or None before the first."""
    return verified_record(identity.record) if identity.record is not None else None


def last_document(identity: IdentityView) -> Document | None:
    """Return the document of the latest record, or None before the first."""
    record = last_record(identity)
    return record.document if record is not None else None


def needs_document(identity: IdentityView, now_s: float) -> bool:
    """Tell whether the next publish has to sign something new: a change, or a delegation that ends soon."""
    previous = last_document(identity)
    if previous is None:
        return True
    if previous.retirement is not None:
        return False
    own = _own_delegation(previous, identity)
    ends_soon = own is None or own.not_after_day - today(now_s) < RENEW_DAYS
    return identity.changed or (ends_soon and identity.retired is None)


def next_document(
    identity: IdentityView,
    foreign_sections: tuple[bytes, ...],
    now_s: float,
    entropy: Entropy,
    above_seq: int | None = None,
) -> Document:
    """Return the document that says what the wallet now says of `identity`.

    Everything of the last document that this wallet does not manage stays: other devices, bindings, approvers,
    successor, addresses, extensions.

    Args:
        identity: its public half.
        foreign_sections: sealed sections of the last document that the owner's own keys do not open.
        now_s: Unix time, seconds.
        entropy: randomness.
        above_seq: a `seq` that the new one has to be above, if that does not lie ahead of the clock by more than a day.

    Raises:
        FormatError: ``document.too-long`` or ``owner-section.too-long``.
        InputError: ``seq.exhausted``.
    """
    previous = last_document(identity)
    section = OwnerSection(
        identity.label, dict(identity.sealed_profile), identity.credentials, identity.ssh_credentials
    )
    delegations = _delegations(previous, identity, now_s, entropy)
    before = previous if previous is not None else Document(identity.public_key, 0)
    readers = own_readers(delegations, identity.recovery_key, identity.device_sealing_key)
    own_section = seal_section(section, identity.public_key, readers, entropy)
    document = replace(
        before,
        seq=next_seq(_last_seq(previous, identity, above_seq, now_s), now_s, entropy),
        previous=previous.hash if previous is not None else None,
        profile=dict(identity.profile),
        bindings=_bindings(previous, identity),
        approvers=next_approvers(previous, identity),
        sections=tuple(sorted({own_section, *_shared_sections(identity, readers, entropy), *foreign_sections})),
        delegations=delegations,
        extensions=_security_keys(before, identity, _device_keys(before, identity, delegations)),
    )
    document = healed_by(document, identity.healing)
    if identity.retired is None:
        return document
    end = Retirement(identity.retired.day, identity.retired.reason)
    return replace(
        document, retirement=end, profile={}, delegations=(), bindings=(), addresses=(), sections=(own_section,),
        extensions=naming_security_keys(naming(document.extensions, {}), ()),
    )  # fmt: skip


def says_the_same(document: Document, fresh: Document) -> bool:
    """Tell whether a document that was drafted before says what the wallet says now; only whoever drafts can know.

    `seq`, the days of delegations and what is sealed differ from draft to draft.

    Args:
        document: as it waited, wherever that was.
        fresh: drafted now.
    """
    devices, now = ([(item.signing_key, item.sealing_key, item.powers) for item in one.delegations]
                    for one in (document, fresh))  # fmt: skip
    alike = replace(document, seq=fresh.seq, delegations=fresh.delegations, sections=fresh.sections)
    return alike == fresh and devices == now and len(document.sections) == len(fresh.sections)


def _device_keys(
    previous: Document, identity: IdentityView, delegations: Sequence[Delegation]
) -> Mapping[int | str, Value]:
    """Return the extensions: as they were, but for the SSH keys of this device and of devices that have gone."""
    try:
        named = named_keys(previous)
    except FormatError:  # in another form than this version knows: it stays, unless there is something to say
        if not identity.names_ssh_key:
            return previous.extensions
        named = {}
    own = identity.device_signing_key
    kept = {item.signing_key: named[item.signing_key] for item in delegations if item.signing_key in named}
    kept.pop(own, None)
    if identity.names_ssh_key and identity.ssh_key is not None:
        kept[own] = identity.ssh_key
    return naming(previous.extensions, kept)


def _security_keys(
    previous: Document, identity: IdentityView, extensions: Mapping[int | str, Value]
) -> Mapping[int | str, Value]:
    """Return the extensions with the identity's SSH keys on security keys, as far as its owner wants them named."""
    named = [item.in_document() for item in identity.ssh_credentials if item.named]
    try:
        named_security_keys(previous)
    except FormatError:  # in another form than this version knows: it stays, unless there is something to say
        if not named:
            return extensions
    return naming_security_keys(extensions, named)


def _last_seq(previous: Document | None, identity: IdentityView, above_seq: int | None, now_s: float) -> int | None:
    """Return the highest `seq` that the next document has to be above: the last one's, of what it heals or beats."""
    known = [previous.seq] if previous is not None else []
    if above_seq is not None and above_seq <= highest_to_follow(now_s):
        known.append(above_seq)
    return max([*known, *(item.seq for item in identity.healing)], default=None)


def highest_to_follow(now_s: float) -> int:
    """Return the highest `seq` above which another one can be drawn that lies no more than a day ahead of the clock."""
    return int((now_s + _DAY_S) * 1_000_000) - SEQ_JUMP


def next_approvers(previous: Document | None, identity: IdentityView) -> Approvers | None:
    """Return the approvers that the next document names: those that were decided on, or those of the last one."""
    if identity.approvers is not None:
        return identity.approvers.approvers
    return previous.approvers if previous is not None else None


def _bindings(previous: Document | None, identity: IdentityView) -> tuple[bytes, ...]:
    if identity.bindings is not None:
        return identity.bindings
    return previous.bindings if previous is not None else ()


def reading_devices(delegations: Sequence[Delegation]) -> list[bytes]:
    """Return the sealing keys of devices that read what their owner seals.

    Devices that only grant are a node's, and read nothing of their owner's.
    """
    return [item.sealing_key for item in delegations if item.powers != frozenset({Power.GRANT})]


def own_readers(
    delegations: Sequence[Delegation], recovery_key: bytes, first: bytes | None = None
) -> tuple[bytes, ...]:
    """Return the sealing keys that the owner's own sections are sealed to: devices and the recovery recipient.

    Args:
        delegations: of the document.
        recovery_key: the recovery recipient, 32 bytes.
        first: sealing key of a device that is among them in any case, or None.
    """
    ordered = dict.fromkeys([*([first] if first is not None else []), *reading_devices(delegations)])
    return (*list(ordered)[:MAX_OWN_DEVICES], recovery_key)


def _shared_sections(identity: IdentityView, readers: tuple[bytes, ...], entropy: Entropy) -> list[bytes]:
    """Return sections for each share whose attributes the identity still has; every device of its own reads them."""
    attributes = {**identity.profile, **identity.sealed_profile}
    room = MAX_RECIPIENTS - len(readers)
    found = []
    for share in identity.shares:
        section = SharedSection({name: attributes[name] for name in share.names if name in attributes})
        for start in range(0, len(share.recipients) if section.attributes else 0, room):
            recipients = sorted({*readers, *share.recipients[start : start + room]})
            found.append(seal_shared(section, identity.public_key, recipients, entropy))
    return found


def new_delegation(signing_key: bytes, sealing_key: bytes, now_s: float, entropy: Entropy) -> Delegation:
    """Return a delegation to a wallet's device that begins on a random day of the last four weeks.

    Args:
        signing_key: Ed25519 public key, 32 bytes.
        sealing_key: X25519 public key, 32 bytes.
        now_s: Unix time, seconds.
        entropy: randomness.
    """
    start = today(now_s) - int.from_bytes(entropy(8), "big") % SPREAD_DAYS
    return Delegation(signing_key, sealing_key, DEVICE_POWERS, start, start + MAX_DELEGATION_DAYS)


def _own_delegation(document: Document, identity: IdentityView) -> Delegation | None:
    return next((item for item in document.delegations if item.signing_key == identity.device_signing_key), None)


def _delegations(
    previous: Document | None, identity: IdentityView, now_s: float, entropy: Entropy
) -> tuple[Delegation, ...]:
    """Return the unexpired delegations of other devices, and this device's own: kept, or renewed if it ends soon."""
    day = today(now_s)
    own = _own_delegation(previous, identity) if previous is not None else None
    if own is None or own.not_after_day - day < RENEW_DAYS:
        own = new_delegation(identity.device_signing_key, identity.device_sealing_key, now_s, entropy)
    others = (item for item in (previous.delegations if previous is not None else ()) if item.not_after_day > day)
    gone = {own.signing_key, *identity.revoked}
    kept = [item for item in others if item.signing_key not in gone]
    return tuple(sorted((own, *kept), key=lambda item: item.signing_key))
