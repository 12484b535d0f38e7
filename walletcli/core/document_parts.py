"""The parts of a document: delegations, approvers, succession, addresses, retirement.

Each part is a frozen value that is valid once constructed, with a CBOR form for `walletcli.core.document`.

Spec: docs/spec/record.md, "Document".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from itertools import pairwise
from typing import Final

from walletcli.core import ed25519
from walletcli.core.cbor import Map, Value
from walletcli.core.x25519 import check_public_key as check_sealing_key
from walletcli.errors import FormatError

MAX_DELEGATION_DAYS = 90
"""Longest life of a delegation, and so of a revocation's way to somebody who sees no newer document."""

LAST_DAY = 47_482
"""2100-01-01 as days since 1970-01-01; no date may lie later."""

HASH_BYTES = 32
"""SHA-256."""

_NO_KEYS: Final[frozenset[int]] = frozenset()
_DELEGATION_KEYS: Final = frozenset({1, 2, 3, 4, 5})
_LOCATION = re.compile(r"[!-~]{1,255}")


class Power(StrEnum):
    """What a device key may do in its identity's name."""

    HOST = "host"
    MESSAGE = "message"
    SHARE = "share"
    GRANT = "grant"


_POWER_BITS: Final = {Power.HOST: 1, Power.MESSAGE: 2, Power.SHARE: 4, Power.GRANT: 8}
_POWER_SETS: Final = tuple(frozenset(p for p, bit in _POWER_BITS.items() if mask & bit) for mask in range(16))
_POWER_MASKS: Final = {powers: mask for mask, powers in enumerate(_POWER_SETS) if mask}
_P256_P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1


def wrong(field: str, detail: str) -> FormatError:
    """Return the error for a malformed `field` of a document."""
    return FormatError(f"document.{field}", f"{field.replace('-', ' ')}: {detail}")


def uint(value: object, low: int, high: int, field: str) -> int:
    """Return `value` if it is an integer from `low` to `high`."""
    if type(value) is not int or not low <= value <= high:
        raise wrong(field, f"needs a whole number from {low} to {high}")
    return value


def sized(value: object, low: int, high: int, field: str) -> bytes:
    """Return `value` if it is a byte string of `low` to `high` bytes."""
    if type(value) is not bytes or not low <= len(value) <= high:
        raise wrong(field, f"needs {low} bytes" if low == high else f"needs {low} to {high} bytes")
    return value


def fields(value: object, required: frozenset[int], optional: frozenset[int], field: str) -> Map:
    """Return `value` if it is a map that has the required keys and no unknown ones."""
    if type(value) is not dict:
        raise wrong(field, "needs a map")
    keys = value.keys()
    if not required <= keys or not keys <= required | optional:
        raise wrong(field, "a field is missing or unknown")
    return value


@dataclass(frozen=True, slots=True)
class Delegation:
    """A device's keys and what they may do.

    Attributes:
        signing_key: Ed25519 public key, 32 bytes.
        sealing_key: X25519 public key, 32 bytes.
        powers: at least one.
        not_before_day: first day it holds, in days since 1970-01-01 (UTC).
        not_after_day: first day it no longer holds; 1 to 90 days later.
    """

    signing_key: bytes
    sealing_key: bytes
    powers: frozenset[Power]
    not_before_day: int
    not_after_day: int

    def __post_init__(self) -> None:
        ed25519.check_encoding(self.signing_key)
        check_sealing_key(self.sealing_key)
        if self.powers not in _POWER_MASKS:
            raise wrong("delegation", "needs at least one power, and known ones only")
        uint(self.not_before_day, 0, LAST_DAY, "delegation")
        uint(self.not_after_day, 0, LAST_DAY, "delegation")
        if not 1 <= self.not_after_day - self.not_before_day <= MAX_DELEGATION_DAYS:
            raise wrong("delegation", f"must last 1 to {MAX_DELEGATION_DAYS} days")

    def holds_on(self, day: int) -> bool:
        """Tell whether the delegation holds on `day` (days since 1970-01-01, UTC)."""
        return self.not_before_day <= day < self.not_after_day

    def to_cbor(self) -> Map:
        """Return the map of the CDDL."""
        mask = _POWER_MASKS[self.powers]
        return {1: self.signing_key, 2: self.sealing_key, 3: mask, 4: self.not_before_day, 5: self.not_after_day}

    @classmethod
    def from_cbor(cls, value: Value) -> Delegation:
        """Read the map of the CDDL.

        Raises:
            FormatError: ``document.delegation`` or ``key.malformed``.
        """
        data = fields(value, _DELEGATION_KEYS, _NO_KEYS, "delegation")
        signing, sealing, mask, start, end = data.values()  # in the order of the keys
        if type(signing) is not bytes or type(sealing) is not bytes or type(start) is not int or type(end) is not int:
            raise wrong("delegation", "needs two keys, powers and two days")
        return cls(signing, sealing, _POWER_SETS[uint(mask, 1, 15, "delegation")], start, end)

    def to_json(self) -> dict[str, object]:
        """Return keys (hex), powers and days."""
        return {
            "signing_key": self.signing_key.hex(),
            "sealing_key": self.sealing_key.hex(),
            "powers": sorted(self.powers),
            "not_before_day": self.not_before_day,
            "not_after_day": self.not_after_day,
        }


class Form(IntEnum):
    """What an approver's approvals are."""

    ASSERTION = 0
    SIGNED_TEXT = 1


@dataclass(frozen=True, slots=True)
class Approver:
    """A hardware key that must approve.

    Attributes:
        algorithm: COSE algorithm, -8 (EdDSA) or -7 (ES256).
        public_key: 32 bytes (Ed25519) or 33 bytes (compressed P-256 point).
        user_verification: whether the key must have checked a PIN or the like; no signed text tells.
        form: of its approvals; a signed text is EdDSA.
    """

    algorithm: int
    public_key: bytes
    user_verification: bool
    form: Form = Form.ASSERTION

    def __post_init__(self) -> None:
        if self.form is Form.SIGNED_TEXT and (self.algorithm != -8 or self.user_verification):
            raise wrong("approvers", "whoever signs a text does so with Ed25519, and tells nothing of a PIN")
        if self.algorithm == -8:
            ed25519.check_encoding(self.public_key)
        elif (
            self.algorithm != -7
            or len(self.public_key) != 33
            or self.public_key[0] not in (2, 3)
            or int.from_bytes(self.public_key[1:], "big") >= _P256_P
        ):
            raise wrong("approvers", "a key must be Ed25519 (-8) or a compressed P-256 point (-7)")

    def to_cbor(self) -> Map:
        """Return the map of the CDDL."""
        base: Map = {1: self.algorithm, 2: self.public_key, 3: self.user_verification}
        return base if self.form is Form.ASSERTION else {**base, 4: int(self.form)}

    @classmethod
    def from_cbor(cls, value: Value) -> Approver:
        """Read the map of the CDDL; raises FormatError ``document.approvers`` or ``key.malformed``."""
        data = fields(value, frozenset({1, 2, 3}), frozenset({4}), "approvers")
        if type(data[3]) is not bool:
            raise wrong("approvers", "user verification must be true or false")
        form = Form(uint(data[4], 1, 1, "approvers")) if 4 in data else Form.ASSERTION
        return cls(uint(data[1], -8, -7, "approvers"), sized(data[2], 32, 33, "approvers"), data[3], form)


@dataclass(frozen=True, slots=True)
class Approvers:
    """Who must approve, how many of them, and how long a removal without them takes.

    Attributes:
        threshold: 1 to the number of approvers.
        approvers: 1 to 8, ascending by key.
        delay_days: 1 to 365, from a verifier's own first sight.
    """

    threshold: int
    approvers: tuple[Approver, ...]
    delay_days: int

    def __post_init__(self) -> None:
        if not 1 <= len(self.approvers) <= 8:
            raise wrong("approvers", "needs 1 to 8 keys")
        uint(self.threshold, 1, len(self.approvers), "approvers")
        uint(self.delay_days, 1, 365, "approvers")
        keys = [approver.public_key for approver in self.approvers]
        if any(a >= b for a, b in pairwise(keys)):
            raise wrong("approvers", "keys are repeated or out of order")

    def to_cbor(self) -> Map:
        """Return the map of the CDDL."""
        return {1: self.threshold, 2: [approver.to_cbor() for approver in self.approvers], 3: self.delay_days}

    @classmethod
    def from_cbor(cls, value: Value) -> Approvers:
        """Read the map of the CDDL; raises FormatError ``document.approvers`` or ``key.malformed``."""
        data = fields(value, frozenset({1, 2, 3}), frozenset(), "approvers")
        if type(data[2]) is not list or len(data[2]) > 8:
            raise wrong("approvers", "needs a list of 1 to 8 keys")
        approvers = tuple(Approver.from_cbor(item) for item in data[2])
        return cls(uint(data[1], 1, 8, "approvers"), approvers, uint(data[3], 1, 365, "approvers"))


@dataclass(frozen=True, slots=True)
class Succession:
    """A commitment to the key that may take over.

    Attributes:
        commitment: SHA-256 of a 32-byte salt and the successor's key.
        delay_days: 7 to 365, from a verifier's own first sight.
        veto_key: Ed25519 public key that can stop it, or None.
    """

    commitment: bytes
    delay_days: int
    veto_key: bytes | None = None

    def __post_init__(self) -> None:
        sized(self.commitment, HASH_BYTES, HASH_BYTES, "succession")
        uint(self.delay_days, 7, 365, "succession")
        if self.veto_key is not None:
            ed25519.check_encoding(self.veto_key)

    def to_cbor(self) -> Map:
        """Return the map of the CDDL."""
        base: Map = {1: self.commitment, 2: self.delay_days}
        return base if self.veto_key is None else {**base, 3: self.veto_key}

    @classmethod
    def from_cbor(cls, value: Value) -> Succession:
        """Read the map of the CDDL; raises FormatError ``document.succession`` or ``key.malformed``."""
        data = fields(value, frozenset({1, 2}), frozenset({3}), "succession")
        veto = sized(data[3], 32, 32, "succession") if 3 in data else None
        return cls(sized(data[1], 32, 32, "succession"), uint(data[2], 7, 365, "succession"), veto)


class Transport(StrEnum):
    """How an address is reached."""

    TCP = "tcp"
    TOR = "tor"
    I2P = "i2p"
    HTTPS = "https"


_TRANSPORTS: Final = {str(transport): transport for transport in Transport}


@dataclass(frozen=True, slots=True)
class Address:
    """Where an identity (a node) can be reached.

    Attributes:
        transport: how.
        location: 1 to 255 printable ASCII characters, such as ``198.51.100.7:7411``.
        pin: SHA-256 of the TLS certificate's SubjectPublicKeyInfo (32 bytes), or None.
    """

    transport: Transport
    location: str
    pin: bytes | None = None

    def __post_init__(self) -> None:
        if not _LOCATION.fullmatch(self.location):
            raise wrong("address", "a location has 1 to 255 printable ASCII characters without spaces")
        if self.pin is not None:
            sized(self.pin, HASH_BYTES, HASH_BYTES, "address")

    def to_cbor(self) -> list[Value]:
        """Return the array of the CDDL."""
        base: list[Value] = [str(self.transport), self.location]
        return base if self.pin is None else [*base, self.pin]

    @classmethod
    def from_cbor(cls, value: Value) -> Address:
        """Read the array of the CDDL; raises FormatError ``document.address``."""
        if type(value) is not list or len(value) not in (2, 3) or type(value[1]) is not str:
            raise wrong("address", "needs a transport, a location and perhaps a pin")
        transport = _TRANSPORTS.get(value[0]) if type(value[0]) is str else None
        if transport is None:
            raise wrong("address", "an unknown transport")
        return cls(transport, value[1], sized(value[2], 32, 32, "address") if len(value) == 3 else None)

    def to_json(self) -> dict[str, object]:
        """Return transport, location and pin (hex or null)."""
        return {
            "transport": str(self.transport),
            "location": self.location,
            "pin": self.pin.hex() if self.pin else None,
        }


RETIREMENT_REASONS = ("none given", "no longer used", "key compromised", "replaced")
"""What a retirement's number means, by position."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """The signed end of an identity.

    Attributes:
        day: days since 1970-01-01 (UTC).
        reason: index into `RETIREMENT_REASONS`.
    """

    day: int
    reason: int = 0

    def __post_init__(self) -> None:
        uint(self.day, 0, LAST_DAY, "retirement")
        uint(self.reason, 0, len(RETIREMENT_REASONS) - 1, "retirement")

    def to_cbor(self) -> list[Value]:
        """Return the array of the CDDL."""
        return [self.day, self.reason]

    @classmethod
    def from_cbor(cls, value: Value) -> Retirement:
        """Read the array of the CDDL; raises FormatError ``document.retirement``."""
        if type(value) is not list or len(value) != 2:
            raise wrong("retirement", "needs a day and a reason")
        return cls(uint(value[0], 0, LAST_DAY, "retirement"), uint(value[1], 0, 3, "retirement"))

    def to_json(self) -> dict[str, object]:
        """Return the day and the reason in words."""
        return {"day": self.day, "reason": RETIREMENT_REASONS[self.reason]}
