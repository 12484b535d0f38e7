"""The login: an identity's device, or after a loss its root, shows a provider who it is.

Spec: docs/spec/grant.md, "Login".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final

from walletcli.core import cbor, ed25519
from walletcli.core.grant_request import MAX_NONCE_BYTES, MIN_NONCE_BYTES
from walletcli.core.payload import VERSION, Payload, malformed

MAX_LOGIN_BYTES: Final = 512
"""Longest signed login."""

MAX_MINUTES: Final = 15
"""Longest that a login is good for."""

_WHAT = "login"


class Purpose(IntEnum):
    """What a login is for."""

    DEVICE = 1
    """a device's daily work"""
    ROOT = 2
    """the root reads what is kept for it, after all devices were lost"""


@dataclass(frozen=True, slots=True)
class Login:
    """What is signed to log in.

    Attributes:
        identity: root key, 32 bytes.
        audience: root key of the provider, 32 bytes: nobody else can use the login.
        nonce: the provider's challenge, 16 to 64 bytes: it can be used once.
        minutes: how long it is good for, 1 to 15.
        purpose: by whom and for what.

    Raises:
        FormatError: ``login.malformed``, ``key.malformed``.
    """

    TYP: ClassVar[str] = "application/walletcli-login+cose"

    identity: bytes
    audience: bytes
    nonce: bytes
    minutes: int
    purpose: Purpose = Purpose.DEVICE

    def __post_init__(self) -> None:
        ed25519.check_encoding(self.identity)
        ed25519.check_encoding(self.audience)
        if not MIN_NONCE_BYTES <= len(self.nonce) <= MAX_NONCE_BYTES:
            raise malformed(_WHAT, "the challenge has 16 to 64 bytes")
        if not 1 <= self.minutes <= MAX_MINUTES:
            raise malformed(_WHAT, f"a login is good for 1 to {MAX_MINUTES} minutes")

    @property
    def by_root(self) -> bool:
        """Whether the root signs it; otherwise a device."""
        return self.purpose is Purpose.ROOT

    def to_payload(self) -> bytes:
        """Encode what is signed."""
        return cbor.encode(
            {
                1: VERSION,
                2: self.identity,
                3: self.audience,
                4: self.nonce,
                5: self.minutes,
                6: int(self.purpose),
            }
        )

    @classmethod
    def from_payload(cls, data: bytes) -> Login:
        """Decode what is signed.

        Raises:
            FormatError: ``login.malformed``, ``login.unknown-version``, ``key.malformed``, ``cbor.*``.
        """
        fields = Payload(data, _WHAT, (2, 3, 4, 5, 6), (), MAX_LOGIN_BYTES)
        return cls(
            fields.raw(2, 32, 32),
            fields.raw(3, 32, 32),
            fields.raw(4, MIN_NONCE_BYTES, MAX_NONCE_BYTES),
            fields.integer(5, 1, MAX_MINUTES),
            Purpose(fields.integer(6, Purpose.DEVICE, Purpose.ROOT)),
        )
