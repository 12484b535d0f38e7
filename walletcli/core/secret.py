"""A type for secrets: bytes that do not print, pickle or compare in variable time."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """Holds secret bytes and gives them out only through `reveal`.

    Args:
        value: the secret bytes, of any length.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes | bytearray) -> None:
        self._value = bytes(value)

    @classmethod
    def from_text(cls, text: str) -> Secret:
        """Hold `text` as UTF-8."""
        return cls(text.encode("utf-8"))

    def reveal(self) -> bytes:
        """Return the secret bytes. Every call is a place to review."""
        return self._value

    def reveal_text(self) -> str:
        """Return the secret as text (UTF-8)."""
        return self._value.decode("utf-8")

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    def __hash__(self) -> int:
        raise TypeError("a secret has no hash")

    def __repr__(self) -> str:
        return f"Secret(<{len(self._value)} bytes>)"

    def __str__(self) -> NoReturn:
        raise TypeError("a secret has no text form")

    def __format__(self, spec: str) -> NoReturn:
        raise TypeError("a secret has no text form")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")
