"""Signs packets with a root key that is on a Trezor: blindly, and so only after its owner was asked, each time.

Spec: docs/spec/trezor.md, "Verification steps".
"""

from __future__ import annotations

import hashlib
from typing import Protocol

from walletcli.core import bep44
from walletcli.core.packet import SignedPacket
from walletcli.core.record import packet_value
from walletcli.core.slip13 import UriIdentity
from walletcli.errors import SignerError, VerificationError
from walletcli.signers.devices.trezor import Trezor
from walletcli.signers.devices.trezor_frames import bad_answer
from walletcli.signers.requests import PacketRequest


class Consent(Protocol):
    """Asks the owner of a device for what the device does not show."""

    def blind(self, device: str, lines: list[str]) -> bool:
        """Tell whether something is to be signed that the device does not show; asked for each signature.

        Args:
            device: what it is called.
            lines: what signing would do.

        Raises:
            UsageError: ``terminal.missing``.
        """
        ...


class TrezorSigner:
    """A signer over the key of one identity on a Trezor.

    Args:
        device: open.
        asked: what the device knows the identity by.
        expected_public_key: the identity that it is meant to be, 32 bytes.
        consent: asks its owner before each signature.

    Raises:
        SignerError: ``signer.wrong-key``: the device holds another key; ``trezor.*``, ``key.removed``.
        InputError: ``trezor.pin-form``, ``trezor.passphrase-length``.
    """

    __slots__ = ("_asked", "_consent", "_device", "_public_key")

    def __init__(self, device: Trezor, asked: UriIdentity, expected_public_key: bytes, consent: Consent) -> None:
        found = device.public_key(asked)
        if found != expected_public_key:
            hint = "is it the device with these words, and is the passphrase right?"
            raise SignerError("signer.wrong-key", "the device holds another key than this identity's", hint)
        self._device = device
        self._asked = asked
        self._public_key = found
        self._consent = consent

    @property
    def public_key(self) -> bytes:
        """The root public key, 32 bytes."""
        return self._public_key

    def sign(self, request: PacketRequest) -> SignedPacket:
        """Have the device sign the packet of the request's document.

        Raises:
            SignerError: ``signer.other-identity``, ``signer.refused``, ``signer.failed``, ``trezor.*``,
                ``key.removed``.
            InputError: ``trezor.pin-form``, ``trezor.passphrase-length``.
        """
        if request.identity != self._public_key:
            raise SignerError("signer.other-identity", "the request is for another identity than this signer's")
        value = packet_value(request.document)
        message = bep44.signable(request.document.seq, value)
        self._device.require_room(len(message))
        if not self._consent.blind(self._device.name, request.describe()):
            raise SignerError("signer.refused", "it was not confirmed, and nothing was signed")
        visual = f"walletcli record {hashlib.sha256(message).hexdigest()[:16]}"
        key, signature = self._device.sign(self._asked, message, visual)
        if key != self._public_key:
            raise bad_answer("another key than before")
        payload = signature + request.document.seq.to_bytes(8, "big") + value
        try:
            return SignedPacket.from_relay_payload(self._public_key, payload)
        except VerificationError as error:
            hint = "do not use the device any more before you know why"
            raise SignerError("signer.failed", "the device's signature does not verify", hint) from error
