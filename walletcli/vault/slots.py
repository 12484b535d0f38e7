"""Unlock slots as the header holds them: each names its factors and carries the data key for whoever shows them all.

Spec: docs/spec/vault.md, "Bytes" and "Slots and the data key".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from walletcli.core import cbor
from walletcli.core.cbor import Value
from walletcli.vault.fields import malformed, take_bytes, take_fields, take_list, take_uint
from walletcli.vault.keys import SEALED_DATA_KEY_BYTES, WRAPPED_SLOT_KEY_BYTES
from walletcli.vault.kinds import Parameters, check_parameters

MAX_FACTORS: Final = 4
"""Most factors that a slot asks for."""

MAX_SLOT_ID: Final = 65_535
"""Highest slot id."""

MAX_DAY: Final = 65_535
"""Latest day that a slot can be made: in the year 2149."""

_MAX_PARAMETERS = 8
_MAX_PARAMETER_KEY = 64
_MAX_PARAMETER_BYTES = 1024
_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}")
_CODE = "slot.malformed"


@dataclass(frozen=True, slots=True)
class FactorRecord:
    """One thing that a slot asks for, as the header says it.

    Args:
        kind: 1 to 32 characters of a-z, 0-9 and "-"; a kind that is not known here is kept as it is.
        parameters: its public values; numbers, or bytes and text of up to 1024 bytes.

    Raises:
        FormatError: ``slot.malformed``, ``kdf.out-of-range``.
    """

    kind: str
    parameters: Parameters

    def __post_init__(self) -> None:
        if not _KIND.fullmatch(self.kind):
            raise malformed("the kind of a factor is not a slug", _CODE)
        if len(self.parameters) > _MAX_PARAMETERS:
            raise malformed(f"a factor has more than {_MAX_PARAMETERS} parameters", _CODE)
        for value in self.parameters.values():
            _check_value(value)
        check_parameters(self.kind, self.parameters)

    def to_value(self) -> list[object]:
        """Return what stands for it in the header."""
        return [self.kind, dict(self.parameters)]

    @classmethod
    def from_value(cls, value: Value) -> FactorRecord:
        """Read what `to_value` made."""
        if not isinstance(value, list) or len(value) != 2:
            raise malformed("a factor is not a pair of kind and parameters", _CODE)
        kind, given = value
        if not isinstance(kind, str) or not isinstance(given, dict):
            raise malformed("a factor is not a pair of kind and parameters", _CODE)
        parameters: dict[int, int | bytes | str] = {}
        for key, item in given.items():
            number = take_uint(key, 1, _MAX_PARAMETER_KEY, "the number of a parameter", _CODE)
            parameters[number] = _check_value(item)
        return cls(kind, parameters)


def _check_value(value: object) -> int | bytes | str:
    if isinstance(value, bool) or not isinstance(value, int | bytes | str):
        raise malformed("a parameter is neither a number, bytes nor text", _CODE)
    if isinstance(value, int):
        return take_uint(value, 0, 2**64 - 1, "a parameter", _CODE)
    if len(value.encode() if isinstance(value, str) else value) > _MAX_PARAMETER_BYTES:
        raise malformed(f"a parameter has more than {_MAX_PARAMETER_BYTES} bytes", _CODE)
    return value


def slot_parameters(slot_id: int, created_day: int, factors: tuple[FactorRecord, ...]) -> bytes:
    """Encode what the wrap of a slot key authenticates: id, day and factors."""
    return cbor.encode({1: slot_id, 2: created_day, 3: [factor.to_value() for factor in factors]})


@dataclass(frozen=True, slots=True)
class Slot:
    """An unlock slot: all its factors together open the slot key, and that opens the data key.

    Args:
        slot_id: 1 to 65535, unique in the vault.
        created_day: days since 1970-01-01 (UTC).
        factors: 1 to 4, all needed, none twice.
        wrapped_key: the slot key under its factors, 72 bytes.
        sealed_data_key: the data key for the slot key, 80 bytes.

    Raises:
        FormatError: ``slot.malformed``.
    """

    slot_id: int
    created_day: int
    factors: tuple[FactorRecord, ...]
    wrapped_key: bytes
    sealed_data_key: bytes

    def __post_init__(self) -> None:
        take_uint(self.slot_id, 1, MAX_SLOT_ID, "a slot id", _CODE)
        take_uint(self.created_day, 0, MAX_DAY, "the day of a slot", _CODE)
        if not 1 <= len(self.factors) <= MAX_FACTORS:
            raise malformed(f"the factors of a slot must number 1 to {MAX_FACTORS}", _CODE)
        encoded = {cbor.encode(factor.to_value()) for factor in self.factors}
        if len(encoded) != len(self.factors):
            raise malformed("a slot asks for the same factor twice", _CODE)
        take_bytes(self.wrapped_key, WRAPPED_SLOT_KEY_BYTES, "the wrapped key of a slot", _CODE)
        take_bytes(self.sealed_data_key, SEALED_DATA_KEY_BYTES, "the sealed data key of a slot", _CODE)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its factors, in their order."""
        return tuple(factor.kind for factor in self.factors)

    @property
    def parameters(self) -> bytes:
        """What the wrap of the slot key authenticates, as CBOR."""
        return slot_parameters(self.slot_id, self.created_day, self.factors)

    def to_value(self) -> dict[int, object]:
        """Return what stands for it in the header."""
        factors = [factor.to_value() for factor in self.factors]
        return {1: self.slot_id, 2: self.created_day, 3: factors, 4: self.wrapped_key, 5: self.sealed_data_key}

    @classmethod
    def from_value(cls, value: Value) -> Slot:
        """Read what `to_value` made."""
        fields = take_fields(value, 5, "a slot", _CODE)
        factors = take_list(fields[3], MAX_FACTORS, "the factors of a slot", _CODE)
        return cls(
            slot_id=take_uint(fields[1], 1, MAX_SLOT_ID, "a slot id", _CODE),
            created_day=take_uint(fields[2], 0, MAX_DAY, "the day of a slot", _CODE),
            factors=tuple(FactorRecord.from_value(item) for item in factors),
            wrapped_key=take_bytes(fields[4], WRAPPED_SLOT_KEY_BYTES, "the wrapped key of a slot", _CODE),
            sealed_data_key=take_bytes(fields[5], SEALED_DATA_KEY_BYTES, "the sealed data key of a slot", _CODE),
        )


@dataclass(frozen=True, slots=True)
class SlotInfo:
    """What a list of slots shows: nothing of it is secret.

    Args:
        slot_id: the number that names it.
        kinds: all of these are needed to open it.
        created_day: days since 1970-01-01 (UTC).
        factors: the same kinds with their public values.
    """

    slot_id: int
    kinds: tuple[str, ...]
    created_day: int
    factors: tuple[FactorRecord, ...] = field(default=(), compare=False, repr=False)

    @classmethod
    def of(cls, slot: Slot) -> SlotInfo:
        """Describe `slot`."""
        return cls(slot.slot_id, slot.kinds, slot.created_day, slot.factors)
