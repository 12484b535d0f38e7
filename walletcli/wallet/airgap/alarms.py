"""What an honest online wallet seldom asks for, and a hostile one would try: each is asked about by itself.

Spec: docs/spec/request.md, "What is shown".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from walletcli.core.bindings import bindings_of
from walletcli.core.document import Document
from walletcli.core.document_parts import MAX_DELEGATION_DAYS, Delegation
from walletcli.core.request_file import CLOCK_DAYS
from walletcli.core.ssh import named_security_keys as sk_keys
from walletcli.core.ssh.keys import fingerprint, key_blob
from walletcli.core.ssh.named_keys import EXTENSION, named_keys
from walletcli.errors import FormatError
from walletcli.signers.requests import PacketRequest, date_of, describe_delegation, plain_line
from walletcli.wallet.state.draft import DEVICE_POWERS

HISTORY = "history"
"""This wallet has not signed what the request follows, or does not remember."""

SEQ = "seq"
"""`seq` jumps ahead."""

CLOCK = "clock"
"""Dates lie ahead of this machine's clock."""

DEVICE = "device"
"""A device that nobody asked to enrol, or one that becomes another."""

GRANT = "grant"
"""A new binding's grant does not verify."""

RECOVERY = "recovery"
"""The words alone would not bring label and sealed attributes back."""

SSH_KEY = "ssh-key"
"""An SSH key that was not named before."""

APPROVERS = "approvers"
"""Other keys would approve what moves the identity, or none."""

RETIRE = "retire"
"""The identity would end."""

NAMES = (HISTORY, SEQ, CLOCK, DEVICE, GRANT, SSH_KEY, RECOVERY, APPROVERS, RETIRE)
"""All alarms, in the order in which they are told."""

_DAY_S = 86_400
_DAY_US = _DAY_S * 1_000_000


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that its owner has to accept by itself.

    Attributes:
        name: one of `NAMES`.
        text: what it is, one line of printable ASCII.
    """

    name: str
    text: str

    def to_json(self) -> dict[str, object]:
        """Return name and text."""
        return {"name": self.name, "text": self.text}


def alarm(name: str, text: str) -> Alarm:
    """Return an alarm whose text is safe to show."""
    return Alarm(name, plain_line(text))


def packet_alarms(asked: PacketRequest, declared: Delegation | None, now_s: float) -> list[Alarm]:
    """Return what is alarming about a new record by itself.

    Args:
        asked: the record that is asked for.
        declared: the device that the item enrols, or None.
        now_s: this machine's clock, Unix time in seconds.
    """
    document, previous = asked.document, asked.previous
    found = [
        *_seq_alarms(document, previous, now_s),
        *_date_alarms(document, previous, int(now_s) // _DAY_S),
        *_device_alarms(document, previous, declared),
        *_grant_alarms(document, previous, int(now_s) // _DAY_S),
        *_ssh_alarms(document, previous),
        *_security_key_alarms(document, previous),
    ]
    if document.approvers != (previous.approvers if previous is not None else None):
        text = "OTHER APPROVERS: their touch would be needed from here on, and that of those before no longer"
        found.append(alarm(APPROVERS, text))
    if document.retirement is not None:
        found.append(alarm(RETIRE, "the identity would end for good: nothing can follow this record"))
    return found


def _seq_alarms(document: Document, previous: Document | None, now_s: float) -> Iterator[Alarm]:
    last = previous.seq if previous is not None else 0
    now_us = int(now_s * 1_000_000)
    if document.seq > max(now_us, last) + _DAY_US:
        days = (document.seq - max(now_us, last)) // _DAY_US
        yield alarm(
            SEQ, f"seq jumps {days} day(s) past this machine's clock and past the last one: every later one must"
        )


def _date_alarms(document: Document, previous: Document | None, today: int) -> Iterator[Alarm]:
    before = previous.delegations if previous is not None else ()
    for item in document.delegations:
        if item not in before and item.not_after_day > today + MAX_DELEGATION_DAYS + CLOCK_DAYS:
            key = item.signing_key.hex()[:16]
            yield alarm(CLOCK, f"device {key} would hold until {date_of(item.not_after_day)}, by this machine's clock")


def _device_alarms(document: Document, previous: Document | None, declared: Delegation | None) -> Iterator[Alarm]:
    before = {item.signing_key: item for item in (previous.delegations if previous is not None else ())}
    for item in document.delegations:
        known = before.get(item.signing_key)
        if known is None and item != declared:
            yield alarm(DEVICE, f"A NEW DEVICE that this request does not ask to enrol: {describe_delegation(item)}")
        elif known is None and item.powers - DEVICE_POWERS:
            yield alarm(DEVICE, f"more powers than a wallet's device needs: {describe_delegation(item)}")
        elif known is not None and (known.sealing_key, known.powers) != (item.sealing_key, item.powers):
            yield alarm(DEVICE, f"OTHER KEYS OR POWERS of a known device: {describe_delegation(item)}")


def _grant_alarms(document: Document, previous: Document | None, today: int) -> Iterator[Alarm]:
    before = previous.bindings if previous is not None else ()
    for binding in bindings_of(document, today):
        if binding.error is not None and binding.data not in before:
            yield alarm(GRANT, f"the grant of a new binding does not verify: {binding.error.message}")


def _ssh_alarms(document: Document, previous: Document | None) -> Iterator[Alarm]:
    """Find SSH keys that were not named before: with one, somebody signs files in the identity's name."""
    value = document.extensions.get(EXTENSION)
    if value is None or (previous is not None and previous.extensions.get(EXTENSION) == value):
        return
    try:
        before = named_keys(previous) if previous is not None else {}
    except FormatError:
        before = {}
    try:
        named = named_keys(document)
    except FormatError as error:
        yield alarm(SSH_KEY, f"SSH keys in a form that is not known here: {error.message}")
        return
    for device, key in named.items():
        if before.get(device) != key:
            yield alarm(
                SSH_KEY, f"the SSH key {fingerprint(key_blob(key))} of device {device.hex()[:16]}: is it yours?"
            )


def _security_key_alarms(document: Document, previous: Document | None) -> Iterator[Alarm]:
    """Find SSH keys on security keys that were not named before, or not so: they hold without any device."""
    value = document.extensions.get(sk_keys.EXTENSION)
    if value is None or (previous is not None and previous.extensions.get(sk_keys.EXTENSION) == value):
        return
    try:
        before = sk_keys.named_security_keys(previous) if previous is not None else ()
    except FormatError:
        before = ()
    try:
        named = sk_keys.named_security_keys(document)
    except FormatError as error:
        yield alarm(SSH_KEY, f"SSH keys on security keys in a form that is not known here: {error.message}")
        return
    for item in named:
        if item not in before:
            yield alarm(SSH_KEY, f"the {item.described()}: is it yours?")


def healing_alarms(document: Document, previous: Document) -> list[Alarm]:
    """Find what a document heals that the one before it did not: somebody has signed twice with these words."""
    new = set(document.healed) - set(previous.healed)
    text = "two records with one seq were signed with these words: was the other one yours?"
    return [alarm(HISTORY, text)] if new else []
