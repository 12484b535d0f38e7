"""The sealed section of a document: the label and the attributes that only the owner reads.

It is sealed to the owner's device and to the recovery recipient, so that the words alone bring it back.

Spec: docs/spec/wallet-state.md, "Owner's section".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from walletcli.core import cbor, sealed
from walletcli.errors import FormatError
from walletcli.wallet.fields import Fields

VERSION = 1
"""Version of the section's content."""

CONTEXT_LABEL = b"walletcli owner section 1"
"""First part of the sealing context; the identity's public key follows."""

STEP_BYTES = 512
"""The content is padded to a multiple of this, so that its length says little about labels and values."""

LENGTH_BYTES = 2
"""Length of the content's length."""

MAX_CONTENT_BYTES = 12_288
"""Longest content: sealed, it stays below the limit of a section (docs/spec/record.md)."""

MAX_ATTRIBUTES = 64
"""Most attributes of a kind, as in a document's public profile."""

_WHAT = "owner-section"


@dataclass(frozen=True, slots=True)
class OwnerSection:
    """What an identity's owner keeps in its document for themselves.

    Attributes:
        label: local name, or empty.
        attributes: sealed attributes.
    """

    label: str
    attributes: dict[str, str]

    def to_bytes(self) -> bytes:
        """Encode and pad.

        Raises:
            FormatError: ``owner-section.too-long`` over 12,288 bytes.
        """
        content = cbor.encode({1: VERSION, 2: self.label, 3: self.attributes})
        padded_bytes = -(-(LENGTH_BYTES + len(content)) // STEP_BYTES) * STEP_BYTES
        if padded_bytes > MAX_CONTENT_BYTES:
            raise FormatError(
                f"{_WHAT}.too-long",
                f"label and sealed attributes take {len(content)} bytes, {MAX_CONTENT_BYTES - LENGTH_BYTES} fit",
                "shorten or remove a sealed attribute",
            )
        return (len(content).to_bytes(LENGTH_BYTES, "big") + content).ljust(padded_bytes, b"\0")

    @classmethod
    def from_bytes(cls, data: bytes) -> OwnerSection:
        """Decode.

        Raises:
            FormatError: ``owner-section.malformed`` or ``cbor.*``.
        """
        end = LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES], "big")
        if (
            len(data) > MAX_CONTENT_BYTES
            or len(data) % STEP_BYTES
            or not end <= len(data) < end + STEP_BYTES
            or any(data[end:])
        ):
            raise FormatError(f"{_WHAT}.malformed", "malformed owner-section: length or padding are wrong")
        fields = Fields(cbor.decode(data[LENGTH_BYTES:end], MAX_CONTENT_BYTES), _WHAT)
        fields.integer(1, VERSION, VERSION)
        section = cls(fields.text(2), fields.text_map(3))
        fields.end()
        return section


def context(identity: bytes) -> bytes:
    """Return the sealing context of the owner's section of `identity` (root public key, 32 bytes)."""
    return CONTEXT_LABEL + identity


def seal_section(
    section: OwnerSection, identity: bytes, recipients: Sequence[bytes], entropy: Callable[[int], bytes]
) -> bytes:
    """Seal the owner's section of `identity` to X25519 keys (32 bytes each)."""
    return sealed.seal(section.to_bytes(), recipients, entropy, context(identity))
