"""What every signer of packets offers, whether its key is in this process, in hardware, or across an air gap."""

from __future__ import annotations

from typing import Protocol

from walletcli.core.packet import SignedPacket
from walletcli.signers.requests import PacketRequest


class Signer(Protocol):
    """Signs typed requests with one root key."""

    @property
    def public_key(self) -> bytes:
        """The key that signs, 32 bytes; derived by the signer itself and checked against the expected one."""
        ...

    def sign(self, request: PacketRequest) -> SignedPacket:
        """Sign what `request` describes.

        Returns:
            The packet, whose signature the signer has verified before giving it out.

        Raises:
            SignerError: ``signer.other-identity``, ``signer.failed`` or ``signer.refused``.
        """
        ...
