"""Signs with a root key that is in this process."""

from __future__ import annotations

from walletcli.core import bep44, ed25519
from walletcli.core.ed25519 import SigningKey
from walletcli.core.packet import SignedPacket
from walletcli.core.record import packet_value
from walletcli.errors import SignerError, VerificationError
from walletcli.signers.requests import PacketRequest


class SoftwareSigner:
    """A signer over a key in memory.

    Args:
        key: the root key.
        expected_public_key: the identity that it is meant to be, 32 bytes.

    Raises:
        SignerError: ``signer.wrong-key``: the key is not that identity's.
    """

    __slots__ = ("_key",)

    def __init__(self, key: SigningKey, expected_public_key: bytes) -> None:
        if key.public_key != expected_public_key:
            raise SignerError("signer.wrong-key", "the derived key is not the one that this identity is known by")
        self._key = key

    @property
    def public_key(self) -> bytes:
        """The root public key, 32 bytes."""
        return self._key.public_key

    def sign(self, request: PacketRequest) -> SignedPacket:
        """Sign the packet of the request's document.

        A fault while signing can give away an Ed25519 key, so the signature is verified before anybody sees it.

        Raises:
            SignerError: ``signer.other-identity`` or ``signer.failed``.
        """
        if request.identity != self.public_key:
            raise SignerError("signer.other-identity", "the request is for another identity than this signer's")
        value = packet_value(request.document)
        packet = SignedPacket.sign(self._key, request.document.seq, value)
        try:
            ed25519.verify(self.public_key, bep44.signable(packet.seq, value), packet.signature)
        except VerificationError as error:
            raise SignerError(
                "signer.failed",
                "the signer's own signature does not verify",
                "check this machine's memory, then try again",
            ) from error
        return packet
