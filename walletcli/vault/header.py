"""The vault's header: which slots there are, what opens each, and what the sealed part is sealed with.

Pure codec. Nothing in a header is trusted before the sealed part has opened with it as associated data; the bounds that
are checked here hold what a forged one can cost.

Spec: docs/spec/vault.md, "Bytes" and "Reading", steps 2 and 3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from walletcli.core import cbor
from walletcli.errors import FormatError
from walletcli.vault.fields import PREVIOUS_HINT, malformed, take_bytes, take_fields, take_list, take_uint
from walletcli.vault.keys import KEY_ID_BYTES, NONCE_BYTES, TAG_BYTES, VAULT_ID_BYTES
from walletcli.vault.padding import LARGEST_STEP_BYTES, is_step
from walletcli.vault.slots import Slot

MAGIC: Final = b"walletcli vault 1\n"
"""First bytes of a vault; the number is the version of the format."""

PREFIX_BYTES: Final = len(MAGIC) + 4
"""Length of the magic and the big-endian header length."""

MAX_HEADER_BYTES: Final = 65_536
"""Longest header that is read."""

MAX_SLOTS: Final = 16
"""Most slots that a vault has."""

MAX_GENERATION: Final = 2**63 - 1
"""Highest generation: out of reach for any number of changes."""

_FAMILY = re.compile(rb"walletcli vault (\d{1,9})\n")


@dataclass(frozen=True, slots=True)
class Header:
    """Everything of a vault that is readable while it is locked.

    Args:
        vault_id: 16 bytes, the same for the life of the vault.
        generation: 1 and up, one more with every change.
        key_id: 16 bytes that name the data key.
        nonce: 24 bytes, of the payload.
        sealed_bytes: length of the sealed part.
        slots: 1 to 16, ascending by id.

    Raises:
        FormatError: ``vault.malformed``, ``slot.duplicate``.
    """

    vault_id: bytes
    generation: int
    key_id: bytes
    nonce: bytes
    sealed_bytes: int
    slots: tuple[Slot, ...]

    def __post_init__(self) -> None:
        take_bytes(self.vault_id, VAULT_ID_BYTES, "the vault id")
        take_uint(self.generation, 1, MAX_GENERATION, "the generation")
        take_bytes(self.key_id, KEY_ID_BYTES, "the key id")
        take_bytes(self.nonce, NONCE_BYTES, "the nonce")
        if not is_step(self.sealed_bytes - TAG_BYTES):
            raise malformed("the sealed part has a length that no vault has")
        if not 1 <= len(self.slots) <= MAX_SLOTS:
            raise malformed(f"the slots must number 1 to {MAX_SLOTS}")
        ids = [slot.slot_id for slot in self.slots]
        if len(set(ids)) != len(ids):
            raise malformed("a slot id stands there twice", "slot.duplicate")
        if ids != sorted(ids):
            raise malformed("the slots are not in order")

    def to_bytes(self) -> bytes:
        """Encode magic, length and header: what the sealed part authenticates.

        Raises:
            FormatError: ``vault.malformed`` if the slots take more than 65536 bytes.
        """
        fields = {1: self.vault_id, 2: self.generation, 3: self.key_id, 4: self.nonce, 5: self.sealed_bytes}
        body = cbor.encode({**fields, 6: [slot.to_value() for slot in self.slots]})
        if len(body) > MAX_HEADER_BYTES:
            raise malformed(f"its header has {len(body)} bytes, at most {MAX_HEADER_BYTES} are allowed")
        return MAGIC + len(body).to_bytes(4, "big") + body

    @classmethod
    def from_bytes(cls, data: bytes) -> tuple[Header, int]:
        """Decode the header at the start of `data`.

        Returns:
            The header, and how many bytes magic, length and header take.

        Raises:
            FormatError: ``vault.not-a-vault``, ``vault.version``, ``vault.truncated``, ``vault.malformed``,
                ``slot.malformed``, ``slot.duplicate``, ``kdf.out-of-range``.
        """
        end = header_end(data)
        if len(data) < end:
            raise _ends_early(len(data))
        try:
            value = cbor.decode(data[PREFIX_BYTES:end], MAX_HEADER_BYTES)
        except FormatError as error:
            raise malformed(f"its header is not canonical CBOR ({error.message})") from error
        fields = take_fields(value, 6, "the header")
        header = cls(
            vault_id=take_bytes(fields[1], VAULT_ID_BYTES, "the vault id"),
            generation=take_uint(fields[2], 1, MAX_GENERATION, "the generation"),
            key_id=take_bytes(fields[3], KEY_ID_BYTES, "the key id"),
            nonce=take_bytes(fields[4], NONCE_BYTES, "the nonce"),
            sealed_bytes=take_uint(fields[5], 0, LARGEST_STEP_BYTES + TAG_BYTES, "the length of the sealed part"),
            slots=tuple(Slot.from_value(item) for item in take_list(fields[6], MAX_SLOTS, "the slots")),
        )
        return header, end


def header_end(start: bytes) -> int:
    """Return how many bytes magic, length and header take, from the first 22 bytes of a vault.

    Raises:
        FormatError: ``vault.not-a-vault``, ``vault.version``, ``vault.truncated``, ``vault.malformed``.
    """
    if not start.startswith(MAGIC):
        raise _wrong_magic(start)
    if len(start) < PREFIX_BYTES:
        raise _ends_early(len(start))
    length = int.from_bytes(start[len(MAGIC) : PREFIX_BYTES], "big")
    if not 1 <= length <= MAX_HEADER_BYTES:
        raise malformed(f"its header has {length} bytes, 1 to {MAX_HEADER_BYTES} are allowed")
    return PREFIX_BYTES + length


def _wrong_magic(start: bytes) -> FormatError:
    family = _FAMILY.match(start)
    if family is not None:
        version = family.group(1).decode("ascii")
        message = f"the vault has format version {version}, this program reads version 1"
        return FormatError("vault.version", message, "open it with a newer walletcli")
    if MAGIC.startswith(start):
        return _ends_early(len(start))
    return FormatError("vault.not-a-vault", "the file is not a walletcli vault", "check the path")


def _ends_early(length_bytes: int) -> FormatError:
    message = f"the vault ends inside its header, after {length_bytes} bytes"
    return FormatError("vault.truncated", message, PREVIOUS_HINT)
