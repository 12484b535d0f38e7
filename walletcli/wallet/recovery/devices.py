"""The devices of an identity: which keys act in its name, until when, and how one that was lost is left out.

Spec: docs/spec/recovery.md, "Devices".
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from walletcli.core.document_parts import Delegation
from walletcli.core.identity_id import IdentityId
from walletcli.errors import InputError
from walletcli.wallet.access.session import Session
from walletcli.wallet.state.changes import RevokeDevices
from walletcli.wallet.state.draft import last_document, today
from walletcli.wallet.state.lookup import find
from walletcli.wallet.state.view import IdentityView

MIN_PREFIX_LETTERS = 8
"""Fewest hexadecimal digits that name a device."""

_HEX = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, slots=True)
class Device:
    """A device in the last document of an identity.

    Attributes:
        delegation: its keys, powers and days, as they are published.
        is_this: whether its keys are this wallet's.
        state: ``valid``, ``not yet``, ``expired``, or ``revoked`` once the next document leaves it out.
    """

    delegation: Delegation
    is_this: bool
    state: str

    @property
    def name(self) -> str:
        """Its signing key in hexadecimal."""
        return self.delegation.signing_key.hex()

    def to_json(self) -> dict[str, object]:
        """Return the delegation, whether it is this device, and the state."""
        return {**self.delegation.to_json(), "this_device": self.is_this, "state": self.state}


@dataclass(frozen=True, slots=True)
class DeviceList:
    """All devices of an identity.

    Attributes:
        identity: its public half.
        devices: in the order of the document; empty before the first one.
    """

    identity: IdentityView
    devices: tuple[Device, ...]

    def to_json(self) -> dict[str, object]:
        """Return did, label and devices."""
        did = IdentityId(self.identity.public_key).did
        return {"did": did, "label": self.identity.label, "devices": [item.to_json() for item in self.devices]}


@dataclass(frozen=True, slots=True)
class Revoked:
    """A device that the next document leaves out.

    Attributes:
        identity: its public half, after the decision.
        device: which.
    """

    identity: IdentityView
    device: Device

    @property
    def believed_until_day(self) -> int:
        """First day on which nobody believes the device any more, newer document seen or not (since 1970-01-01)."""
        return self.device.delegation.not_after_day

    def to_json(self) -> dict[str, object]:
        """Return did, device, and the day on which its delegation ends."""
        did = IdentityId(self.identity.public_key).did
        return {"did": did, "device": self.device.to_json(), "believed_until_day": self.believed_until_day}


def list_devices(session: Session, who: str) -> DeviceList:
    """Return the devices that the last document of an identity names.

    Args:
        session: the open wallet.
        who: label or id.

    Raises:
        InputError: ``identity.unknown``.
    """
    return _devices(find(session.snapshot().wallet, who))


def revoke_device(session: Session, who: str, name: str) -> Revoked:
    """Decide that the next document of an identity leaves a device out.

    Whoever has not seen that document believes the device until its delegation ends.

    Args:
        session: the open wallet.
        who: label or id.
        name: the device's signing key: 8 to 64 hexadecimal digits that begin it, or its did:key.

    Raises:
        InputError: ``identity.unknown``, ``identity.malformed``, ``identity.retired``, ``device.unknown``,
            ``device.ambiguous``, ``device.malformed``, ``device.own``.
    """
    listed = list_devices(session, who)
    device = _named(listed, name)
    view = session.change(RevokeDevices(listed.identity.index, (device.delegation.signing_key,)))
    key = device.delegation.signing_key
    return Revoked(view, next(item for item in _devices(view).devices if item.delegation.signing_key == key))


def _devices(identity: IdentityView) -> DeviceList:
    document = last_document(identity)
    day = today(time.time())
    delegations = document.delegations if document is not None else ()
    return DeviceList(identity, tuple(_device(item, identity, day) for item in delegations))


def _device(delegation: Delegation, identity: IdentityView, day: int) -> Device:
    if delegation.signing_key in identity.revoked:
        state = "revoked"
    elif day >= delegation.not_after_day:
        state = "expired"
    else:
        state = "valid" if delegation.holds_on(day) else "not yet"
    return Device(delegation, delegation.signing_key == identity.device_signing_key, state)


def _named(listed: DeviceList, name: str) -> Device:
    """Return the one device that `name` stands for."""
    text = name.strip()
    prefix = IdentityId.from_text(text).public_key.hex() if text.startswith("did:") else text.lower()
    if not _HEX.fullmatch(prefix):
        raise InputError(
            "device.malformed",
            f"{text!r} names no device",
            f"give its did:key, or the first {MIN_PREFIX_LETTERS} or more digits of its key",
        )
    found = [item for item in listed.devices if item.name.startswith(prefix)]
    if not found:
        raise InputError(
            "device.unknown",
            f"the last document of {listed.identity.label!r} names no device {text}",
            f"see: walletcli device list {listed.identity.label_word}",
        )
    if len(found) > 1:
        raise InputError("device.ambiguous", f"{len(found)} devices begin with {text}", "give more of its digits")
    return found[0]
