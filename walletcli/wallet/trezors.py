"""Trezors: which are plugged in, what one says about itself, and the identity whose root key it holds.

Spec: docs/spec/trezor.md.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from walletcli.core.document import Document
from walletcli.core.identity_id import IdentityId
from walletcli.core.keys import Scheme, identity_path
from walletcli.core.slip10 import path_to_text
from walletcli.core.slip13 import identity_uri
from walletcli.errors import SignerError, UsageError
from walletcli.signers.devices.hidapi import (
    HidConnection,
    PluggedKey,
    is_one_of,
    plugged_trezors,
    webusb_trezors,
)
from walletcli.signers.devices.trezor import Trezor, TrezorFacts, TrezorPrompts
from walletcli.signers.devices.trezor_signer import Consent, TrezorSigner
from walletcli.signers.requests import PacketRequest

CHECKED: Final = "against published vectors and framing only, not the device's firmware"
"""How far what is said about these devices was checked."""

SMALLEST_RECORD_BYTES: Final = 270
"""What is signed of the shortest record: one without a device key."""

_LOWEST_SEQ = 1


@dataclass(frozen=True, slots=True)
class OnDevice:
    """An identity whose root key is on a device.

    Attributes:
        index: of the identity in the scheme ``slip13``.
        identity: its id.
    """

    index: int
    identity: IdentityId

    def to_json(self) -> dict[str, object]:
        """Return where its key is, and what it is called."""
        asked = identity_uri(self.index)
        return {"index": self.index, "did": self.identity.did, "uri": asked.uri, "path": path_to_text(asked.path)}


@dataclass(frozen=True, slots=True)
class TrezorView:
    """A Trezor that is plugged in.

    Attributes:
        device: as the system describes it.
        over: ``hid``, or ``webusb`` for one that hidapi does not reach as signer.
        facts: what it says about itself, if it was asked.
        identity: that was asked for, or None.
    """

    device: PluggedKey
    over: str
    facts: TrezorFacts | None = None
    identity: OnDevice | None = None

    @property
    def signs_records(self) -> bool:
        """Whether its firmware has room for a record."""
        return self.facts is not None and self.facts.max_challenge_bytes >= SMALLEST_RECORD_BYTES

    def to_json(self) -> dict[str, object]:
        """Return what names it and, if it was asked, what it says."""
        found: dict[str, object] = {
            "path": self.device.path,
            "name": self.device.name,
            "vendor_id": self.device.vendor_id,
            "product_id": self.device.product_id,
            "serial": self.device.serial,
            "over": self.over,
        }
        if self.facts is not None:
            found |= {
                "model": self.facts.model,
                "firmware": ".".join(map(str, self.facts.firmware)),
                "label": self.facts.label,
                "pin_set": self.facts.pin_set,
                "passphrase_used": self.facts.passphrase_used,
                "max_challenge_bytes": self.facts.max_challenge_bytes,
                "signs_records": self.signs_records,
                "checked": CHECKED,
                "identity": self.identity.to_json() if self.identity is not None else None,
            }
        return found


def list_trezors() -> tuple[TrezorView, ...]:
    """Return the Trezors that are plugged in; nothing is asked of them.

    Raises:
        MissingExtraError: ``key.no-hidapi``.
        SignerError: ``key.no-list``.
    """
    by_hid = [TrezorView(device, "hid") for device in plugged_trezors()]
    return (*by_hid, *(TrezorView(device, "webusb") for device in webusb_trezors()))


def is_trezor(which: str | None) -> bool:
    """Tell whether a path or serial number is that of a Trezor, or, for None, nothing but one is plugged in.

    Raises:
        MissingExtraError: ``key.no-hidapi``.
        SignerError: ``key.no-list``.
    """
    return is_one_of(which, plugged_trezors())


def trezor_info(which: str | None, prompts: TrezorPrompts, index: int | None = None) -> TrezorView:
    """Ask a Trezor about itself and, by choice, for the public key of an identity; nothing is signed.

    Args:
        which: its path or serial number; None if one only is plugged in.
        prompts: asks its owner for PIN and passphrase, if an identity is asked for.
        index: of that identity, or None.

    Raises:
        SignerError: ``trezor.*``, ``key.*``.
        UsageError: ``trezor.unknown``, ``terminal.missing``.
        InputError: ``trezor.pin-form``, ``trezor.passphrase-length``, ``identity.index``.
        MissingExtraError: ``key.no-hidapi``.
    """
    with _opened(which, prompts, index) as (device, trezor):
        view = TrezorView(device, "hid", trezor.facts)
        if index is None:
            return view
        return replace(view, identity=OnDevice(index, IdentityId(trezor.public_key(identity_uri(index)))))


def try_trezor(which: str | None, prompts: TrezorPrompts, consent: Consent, index: int) -> TrezorView:
    """Have a Trezor sign a record of an identity that says nothing, verify the signature, and throw it away.

    The record has the lowest `seq`: whoever kept it could put it before no other.

    Args:
        which: its path or serial number; None if one only is plugged in.
        prompts: asks its owner for PIN, passphrase and button.
        consent: asks its owner whether to sign what the device does not show.
        index: of the identity in the scheme ``slip13``.

    Raises:
        SignerError: ``trezor.*``, ``key.*``, ``signer.refused``, ``signer.failed``.
        UsageError: ``trezor.unknown``, ``terminal.missing``.
        InputError: ``trezor.pin-form``, ``trezor.passphrase-*``, ``identity.index``.
        MissingExtraError: ``key.no-hidapi``.
    """
    with _opened(which, prompts, index) as (device, trezor):
        asked = identity_uri(index)
        key = trezor.public_key(asked)
        TrezorSigner(trezor, asked, key, consent).sign(PacketRequest(key, Document(key, _LOWEST_SEQ)))
        return TrezorView(device, "hid", trezor.facts, OnDevice(index, IdentityId(key)))


@contextlib.contextmanager
def _opened(which: str | None, prompts: TrezorPrompts, index: int | None) -> Iterator[tuple[PluggedKey, Trezor]]:
    if index is not None:
        identity_path(Scheme.SLIP13, index)  # before anybody is asked for anything
    device = chosen_trezor(which)
    connection = HidConnection(device)
    try:
        yield device, Trezor(device.name, connection, prompts)
    finally:
        connection.close()


def chosen_trezor(which: str | None) -> PluggedKey:
    """Return the plugged-in Trezor with a path or serial number, or the only one for None.

    Raises:
        SignerError: ``trezor.none``, ``trezor.webusb``, ``trezor.several``, ``key.no-list``.
        UsageError: ``trezor.unknown``.
        MissingExtraError: ``key.no-hidapi``.
    """
    found = [device for device in plugged_trezors() if which in (None, device.path, device.serial)]
    over_webusb = [device for device in webusb_trezors() if which in (None, device.path, device.serial)]
    if not found and over_webusb:
        hint = "it can open a vault as security key (walletcli key enrol); its words can be used: docs/spec/trezor.md"
        raise SignerError("trezor.webusb", f"{over_webusb[0].name} is reached over WebUSB only, not over HID", hint)
    if not found and which is not None:
        raise UsageError("trezor.unknown", f"no Trezor {which} is plugged in", "see: walletcli key list")
    if not found:
        hint = "put one in; only a Trezor One with firmware below 1.7.0 can be reached here"
        raise SignerError("trezor.none", "no Trezor is plugged in", hint)
    if len(found) > 1:
        names = ", ".join(f"{device.path} ({device.name})" for device in found)
        raise SignerError("trezor.several", f"several Trezors are plugged in: {names}", "name one with --key")
    return found[0]
