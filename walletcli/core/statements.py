"""Signed statements: the type label, the payload and the signature, checked in one order.

Spec: docs/spec/cose.md.
"""

from __future__ import annotations

from typing import ClassVar, Protocol, Self, TypeVar

from walletcli.core.cose import Sign1
from walletcli.errors import FormatError


class Statement(Protocol):
    """What a type of statement offers."""

    TYP: ClassVar[str]

    def to_payload(self) -> bytes:
        """Encode what is signed."""
        ...

    @classmethod
    def from_payload(cls, data: bytes) -> Self:
        """Decode what is signed; exactly one encoding is accepted."""
        ...


_S = TypeVar("_S", bound=Statement)


def verify_statement(data: bytes, cls: type[_S], max_bytes: int) -> tuple[_S, Sign1]:
    """Check size, form, type, payload and signature, in that order.

    Raises:
        FormatError: ``cose.*``, the statement's own, ``key.malformed``, ``cbor.*``.
        VerificationError: ``signature.invalid``.
    """
    sign1 = Sign1.from_bytes(data, max_bytes)
    if sign1.typ != cls.TYP:
        raise FormatError("cose.type", f"a statement of type {cls.TYP} is needed here")
    statement = cls.from_payload(sign1.payload)
    sign1.verify()
    return statement, sign1
