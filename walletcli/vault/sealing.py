"""A vault's whole state, sealed to bytes and opened again.

Pure: the file system is `storage`'s, entropy is an argument.

Spec: docs/spec/vault.md, "Keys", "Padding", and "Reading", steps 4 to 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from walletcli.core.secret import Secret
from walletcli.errors import FormatError, StorageError, UsageError, VaultError
from walletcli.vault.factors import Enrolment
from walletcli.vault.fields import PREVIOUS_HINT
from walletcli.vault.header import MAX_HEADER_BYTES, MAX_SLOTS, PREFIX_BYTES, Header
from walletcli.vault.keys import (
    KEY_BYTES,
    NONCE_BYTES,
    TAG_BYTES,
    VAULT_ID_BYTES,
    Entropy,
    SlotKey,
    damaged,
    key_id,
    open_payload,
    seal_data_key,
    seal_payload,
    wrap_slot_key,
)
from walletcli.vault.padding import LARGEST_STEP_BYTES, step_for
from walletcli.vault.slots import MAX_SLOT_ID, Slot, slot_parameters

MAX_PAYLOAD_BYTES: Final = LARGEST_STEP_BYTES - 4096
"""Longest payload: 64 MiB less room for what stands before it."""

MAX_FILE_BYTES: Final = PREFIX_BYTES + MAX_HEADER_BYTES + LARGEST_STEP_BYTES + TAG_BYTES
"""Longest file that is read."""

_LENGTH_BYTES = 4


@dataclass(frozen=True, slots=True)
class VaultState:
    """An open vault, all of it.

    Args:
        vault_id: 16 bytes.
        generation: 1 and up.
        data_key: 32 bytes.
        slots: ascending by id.
        publics: the public half of each slot's key, in the same order.
        payload: what the vault is for; at most 64 MiB less 4 KiB.
    """

    vault_id: bytes
    generation: int
    data_key: Secret
    slots: tuple[Slot, ...]
    publics: tuple[bytes, ...]
    payload: bytes = field(repr=False)

    @classmethod
    def new(cls, payload: bytes, entropy: Entropy, vault_id: bytes | None = None) -> VaultState:
        """Begin a vault that has no slots yet."""
        return cls(
            vault_id=vault_id or entropy(VAULT_ID_BYTES), generation=1, data_key=Secret(entropy(KEY_BYTES)),
            slots=(), publics=(), payload=payload,
        )  # fmt: skip

    def slot(self, slot_id: int) -> Slot:
        """Return the slot with that id.

        Raises:
            UsageError: ``slot.unknown``.
        """
        for slot in self.slots:
            if slot.slot_id == slot_id:
                return slot
        known = ", ".join(str(slot.slot_id) for slot in self.slots)
        raise UsageError("slot.unknown", f"there is no slot {slot_id}", f"the slots are: {known}")

    def with_payload(self, payload: bytes) -> VaultState:
        """Return the next generation, with another payload."""
        return replace(self, payload=payload, generation=self.generation + 1)

    def with_slot(
        self, enrolments: Sequence[Enrolment], day: int, entropy: Entropy, slot_id: int | None = None
    ) -> VaultState:
        """Return the state with one slot more; the generation stays.

        Args:
            enrolments: the factors of the slot, all needed.
            day: days since 1970-01-01 (UTC).
            entropy: source of the slot key, its nonce and the ephemeral key.
            slot_id: None for the next free one.

        Raises:
            VaultError: ``slot.too-many``.
        """
        if len(self.slots) == MAX_SLOTS:
            raise VaultError("slot.too-many", f"the vault has {MAX_SLOTS} slots, no more fit", "remove one first")
        number = self._next_slot_id() if slot_id is None else slot_id
        factors = tuple(enrolment.record for enrolment in enrolments)
        slot_key = SlotKey.from_scalar(Secret(entropy(KEY_BYTES)))
        outputs = [enrolment.output for enrolment in enrolments]
        parameters = slot_parameters(number, day, factors)
        slot = Slot(
            slot_id=number, created_day=day, factors=factors,
            wrapped_key=wrap_slot_key(slot_key, outputs, self.vault_id, parameters, entropy),
            sealed_data_key=seal_data_key(self.data_key, slot_key.public_key, self.vault_id, entropy),
        )  # fmt: skip
        pairs = [*zip(self.slots, self.publics, strict=True), (slot, slot_key.public_key)]
        return self._with_pairs(sorted(pairs, key=lambda pair: pair[0].slot_id))

    def without_slot(self, slot_id: int) -> VaultState:
        """Return the state without that slot; the data key stays, so `with_new_data_key` must follow.

        Raises:
            UsageError: ``slot.unknown``.
        """
        gone = self.slot(slot_id)
        return self._with_pairs([pair for pair in zip(self.slots, self.publics, strict=True) if pair[0] is not gone])

    def with_new_data_key(self, entropy: Entropy) -> VaultState:
        """Return the state with another data key, sealed to every slot; no factor is needed for that."""
        data_key = Secret(entropy(KEY_BYTES))
        slots = tuple(
            replace(slot, sealed_data_key=seal_data_key(data_key, public, self.vault_id, entropy))
            for slot, public in zip(self.slots, self.publics, strict=True)
        )
        return replace(self, data_key=data_key, slots=slots)

    def _with_pairs(self, pairs: Sequence[tuple[Slot, bytes]]) -> VaultState:
        return replace(self, slots=tuple(slot for slot, _ in pairs), publics=tuple(public for _, public in pairs))

    def _next_slot_id(self) -> int:
        used = {slot.slot_id for slot in self.slots}
        after = max(used, default=0) + 1
        return after if after <= MAX_SLOT_ID else min(set(range(1, MAX_SLOTS + 2)) - used)

    def to_bytes(self, entropy: Entropy) -> bytes:
        """Seal the vault under a new nonce.

        Raises:
            StorageError: ``vault.payload-too-long``.
            FormatError: ``vault.malformed`` if the slots do not fit in a header.
        """
        if len(self.payload) > MAX_PAYLOAD_BYTES:
            message = f"the wallet has {len(self.payload)} bytes, a vault holds {MAX_PAYLOAD_BYTES}"
            raise StorageError("vault.payload-too-long", message, "split the identities over two wallets (--home)")
        body = b"".join(self.publics) + len(self.payload).to_bytes(_LENGTH_BYTES, "big") + self.payload
        body = body.ljust(step_for(len(body)), b"\0")
        header = Header(
            vault_id=self.vault_id, generation=self.generation, key_id=key_id(self.data_key, self.vault_id),
            nonce=entropy(NONCE_BYTES), sealed_bytes=len(body) + TAG_BYTES, slots=self.slots,
        )  # fmt: skip
        start = header.to_bytes()
        return start + seal_payload(self.data_key, self.vault_id, header.nonce, body, start)

    @classmethod
    def from_bytes(cls, data: bytes, data_key: Secret) -> VaultState:
        """Open a vault with its data key.

        Raises:
            FormatError: as `parse`.
            VaultError: ``vault.changed`` if the data key is another, ``vault.damaged``.
        """
        header, end = parse(data)
        if key_id(data_key, header.vault_id) != header.key_id:
            message = "the vault has another data key than when it was unlocked"
            raise VaultError("vault.changed", message, "unlock it again")
        body = open_payload(data_key, header.vault_id, header.nonce, data[end:], data[:end])
        at = KEY_BYTES * len(header.slots)
        publics = tuple(body[start : start + KEY_BYTES] for start in range(0, at, KEY_BYTES))
        length = int.from_bytes(body[at : at + _LENGTH_BYTES], "big")
        at += _LENGTH_BYTES
        payload = body[at : at + length]
        if len(payload) != length or body.count(0, at + length) != len(body) - at - length:
            raise damaged("its contents do not fit their frame")
        if step_for(at + length) != len(body):
            raise damaged("its padding has a wrong length")
        return cls(header.vault_id, header.generation, data_key, header.slots, publics, payload)


def parse(data: bytes) -> tuple[Header, int]:
    """Decode the header of a whole vault and check that the sealed part has its length.

    Returns:
        The header, and where the sealed part begins.

    Raises:
        FormatError: ``vault.too-long``, ``vault.not-a-vault``, ``vault.version``, ``vault.truncated``,
            ``vault.trailing``, ``vault.malformed``, ``slot.malformed``, ``slot.duplicate``, ``kdf.out-of-range``.
    """
    if len(data) > MAX_FILE_BYTES:
        message = f"the file is longer than the {MAX_FILE_BYTES} bytes that a vault can have"
        raise FormatError("vault.too-long", message, "check the path")
    header, end = Header.from_bytes(data)
    found, needed = len(data) - end, header.sealed_bytes
    if found < needed:
        raise FormatError("vault.truncated", f"the vault lacks its last {needed - found} bytes", PREVIOUS_HINT)
    if found > needed:
        raise FormatError("vault.trailing", f"the vault has {found - needed} bytes too many", PREVIOUS_HINT)
    return header, end
