"""The sealed sections of a document: what only the owner reads, and what the owner shares with some contacts.

All are sealed to the owner's device and to the recovery recipient, so that the words alone bring them back.

Spec: docs/spec/wallet-state.md, "Owner's section" and "Shared sections".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from walletcli.core import cbor, sealed
from walletcli.core.document import check_attribute
from walletcli.errors import FormatError
from walletcli.wallet.state.approvers import Credential, read_credentials
from walletcli.wallet.state.fields import Fields
from walletcli.wallet.state.ssh_credentials import SshCredential
from walletcli.wallet.state.ssh_credentials import read_credentials as read_ssh_credentials

VERSION = 1
"""Version of the section's content."""

CONTEXT_LABEL = b"walletcli owner section 1"
"""First part of the owner's section's sealing context; the identity's public key follows."""

SHARED_CONTEXT_LABEL = b"walletcli shared section 1"
"""First part of a shared section's sealing context; the identity's public key follows."""

STEP_BYTES = 512
"""The content is padded to a multiple of this, so that its length says little about labels and values."""

LENGTH_BYTES = 2
"""Length of the content's length."""

MAX_CONTENT_BYTES = 12_288
"""Longest content: sealed, it stays below the limit of a section (docs/spec/record.md)."""

MAX_ATTRIBUTES = 64
"""Most attributes of a kind, as in a document's public profile."""

_WHAT = "owner-section"
_SHARED = "shared-section"


@dataclass(frozen=True, slots=True)
class OwnerSection:
    """What an identity's owner keeps in its document for themselves.

    Attributes:
        label: local name, or empty.
        attributes: sealed attributes.
        credentials: how the identity's approvers are asked; the words alone must bring them back.
        ssh_credentials: its SSH keys on security keys, likewise; which of them are named, the document says.
    """

    label: str
    attributes: dict[str, str]
    credentials: tuple[Credential, ...] = ()
    ssh_credentials: tuple[SshCredential, ...] = ()

    def to_bytes(self) -> bytes:
        """Encode and pad.

        Raises:
            FormatError: ``owner-section.too-long`` over 12,288 bytes.
        """
        fields: dict[int, object] = {1: VERSION, 2: self.label, 3: self.attributes}
        if self.credentials:
            fields[4] = [item.to_row() for item in self.credentials]
        if self.ssh_credentials:
            fields[5] = [item.to_section_row() for item in self.ssh_credentials]
        return _padded(cbor.encode(fields), _WHAT)

    @classmethod
    def from_bytes(cls, data: bytes) -> OwnerSection:
        """Decode.

        Raises:
            FormatError: ``owner-section.malformed`` or ``cbor.*``.
        """
        fields = _unpadded(data, _WHAT)
        credentials = read_credentials(fields.items(4), _WHAT) if fields.has(4) else ()
        ssh = read_ssh_credentials(fields.items(5), _WHAT, in_section=True) if fields.has(5) else ()
        section = cls(fields.text(2), fields.text_map(3), credentials, ssh)
        fields.end()
        return section


@dataclass(frozen=True, slots=True)
class SharedSection:
    """What an identity's owner lets some contacts read; it does not say who they are.

    Attributes:
        attributes: names and values.
    """

    attributes: dict[str, str]

    def to_bytes(self) -> bytes:
        """Encode and pad.

        Raises:
            FormatError: ``shared-section.too-long`` over 12,288 bytes.
        """
        return _padded(cbor.encode({1: VERSION, 2: self.attributes}), _SHARED)

    @classmethod
    def from_bytes(cls, data: bytes) -> SharedSection:
        """Decode; names and values come from somebody else and obey the rule of a public profile.

        Raises:
            FormatError: ``shared-section.malformed``, ``document.profile`` or ``cbor.*``.
        """
        fields = _unpadded(data, _SHARED)
        attributes = fields.text_map(2)
        fields.end()
        if len(attributes) > MAX_ATTRIBUTES:
            raise FormatError(f"{_SHARED}.malformed", f"malformed {_SHARED}: more than {MAX_ATTRIBUTES} attributes")
        for name, value in attributes.items():
            check_attribute(name, value)
        return cls(attributes)


def _padded(content: bytes, what: str) -> bytes:
    padded_bytes = -(-(LENGTH_BYTES + len(content)) // STEP_BYTES) * STEP_BYTES
    if padded_bytes > MAX_CONTENT_BYTES:
        raise FormatError(
            f"{what}.too-long",
            f"label and sealed attributes take {len(content)} bytes, {MAX_CONTENT_BYTES - LENGTH_BYTES} fit",
            "shorten or remove a sealed attribute",
        )
    return (len(content).to_bytes(LENGTH_BYTES, "big") + content).ljust(padded_bytes, b"\0")


def _unpadded(data: bytes, what: str) -> Fields:
    """Return the content's fields after its version, which is checked."""
    end = LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES], "big")
    if (
        len(data) > MAX_CONTENT_BYTES
        or len(data) % STEP_BYTES
        or not end <= len(data) < end + STEP_BYTES
        or any(data[end:])
    ):
        raise FormatError(f"{what}.malformed", f"malformed {what}: length or padding are wrong")
    fields = Fields(cbor.decode(data[LENGTH_BYTES:end], MAX_CONTENT_BYTES), what)
    fields.integer(1, VERSION, VERSION)
    return fields


def context(identity: bytes) -> bytes:
    """Return the sealing context of the owner's section of `identity` (root public key, 32 bytes)."""
    return CONTEXT_LABEL + identity


def shared_context(identity: bytes) -> bytes:
    """Return the sealing context of the shared sections of `identity` (root public key, 32 bytes)."""
    return SHARED_CONTEXT_LABEL + identity


def seal_section(
    section: OwnerSection, identity: bytes, recipients: Sequence[bytes], entropy: Callable[[int], bytes]
) -> bytes:
    """Seal the owner's section of `identity` to X25519 keys (32 bytes each)."""
    return sealed.seal(section.to_bytes(), recipients, entropy, context(identity))


def seal_shared(
    section: SharedSection, identity: bytes, recipients: Sequence[bytes], entropy: Callable[[int], bytes]
) -> bytes:
    """Seal a shared section of `identity` to X25519 keys (32 bytes each)."""
    return sealed.seal(section.to_bytes(), recipients, entropy, shared_context(identity))
