"""The contact card: what an identity says of itself, signed, to pass on as a file, link or QR code.

Spec: docs/spec/contact.md, "Card".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, cast

from walletcli.core import cbor, ed25519
from walletcli.core.cbor import Map, Value
from walletcli.core.cose import Sign1
from walletcli.core.document import attribute_fault
from walletcli.core.document_parts import LAST_DAY
from walletcli.core.encodings import b32_decode, b32_encode
from walletcli.core.short_record import MAX_SHORT_BYTES
from walletcli.core.statements import verify_statement
from walletcli.errors import FormatError, InputError, VerificationError

VERSION: Final = 1
"""Version of the card's payload."""

MAX_CARD_BYTES: Final = 4096
"""Longest card, COSE included."""

MAX_CARD_ATTRIBUTES: Final = 16
"""Most attributes in a card."""

MAX_CARD_DAYS: Final = 3653
"""Longest life of a card: ten years."""

MAX_HINTS: Final = 4
"""Most addresses of nodes in a card."""

CLOCK_DAYS: Final = 1
"""How many days ahead of the verifier's own a statement's day may be: clocks differ, and so do time zones."""

MAGIC: Final = b"walletcli card 1\n"
"""First bytes of a card file."""

MAX_FILE_BYTES: Final = len(MAGIC) + MAX_CARD_BYTES + MAX_SHORT_BYTES + 16
"""Longest card file."""

LINK_PREFIX: Final = "walletcli:card:"
"""How a card's link starts, in any case."""

MAX_LINK_CARD_BYTES: Final = 2675
"""Longest card that has a link: with its prefix it fills a QR code of version 40-L (4,296 alphanumeric characters)."""

_KEYS: Final = frozenset({1, 2, 3, 4, 5, 6})
_HINT: Final = re.compile(r"[!-~]{1,255}")


def _malformed(detail: str) -> FormatError:
    return FormatError("card.malformed", f"contact card: {detail}")


@dataclass(frozen=True, slots=True)
class Card:
    """What a contact card says.

    Attributes:
        identity: root key of whose card it is, 32 bytes.
        attributes: at most 16, as in a profile; ``name`` is the display name. Whatever its maker wrote.
        day: when it was made, days since 1970-01-01.
        not_after_day: first day it no longer holds, 1 to 3,653 days later.
        hints: at most 4 addresses of nodes that have the identity's record, 1 to 255 printable ASCII characters each.

    Raises:
        FormatError: ``card.malformed``, ``card.dates``, ``key.malformed``.
    """

    TYP: ClassVar[str] = "application/walletcli-card+cose"

    identity: bytes
    attributes: Mapping[str, str]
    day: int
    not_after_day: int
    hints: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        ed25519.check_encoding(self.identity)
        check_attributes(self.attributes, MAX_CARD_ATTRIBUTES)
        if not 0 <= self.day < self.not_after_day <= min(LAST_DAY, self.day + MAX_CARD_DAYS):
            raise FormatError("card.dates", f"a card lasts 1 to {MAX_CARD_DAYS} days, within the years 1970 to 2099")
        if self.hints:
            if len(self.hints) > MAX_HINTS or len(set(self.hints)) < len(self.hints):
                raise _malformed(f"at most {MAX_HINTS} addresses, no two alike")
            if not all(map(_HINT.fullmatch, self.hints)):
                raise _malformed("an address has 1 to 255 printable ASCII characters without spaces")

    @property
    def name(self) -> str | None:
        """The display name, or None. Hostile text: show it as such."""
        return self.attributes.get("name")

    def check_day(self, today: int) -> None:
        """Check that the card holds today.

        Raises:
            VerificationError: ``card.expired``, ``card.not-yet``.
        """
        if today >= self.not_after_day:
            raise VerificationError("card.expired", "the contact card has expired", "ask its owner for a new one")
        if self.day > today + CLOCK_DAYS:
            raise VerificationError(
                "card.not-yet", "the contact card was made on a day to come", "check the clock of this machine"
            )

    def to_payload(self) -> bytes:
        """Encode what is signed."""
        attributes: Map = {}
        attributes.update(self.attributes)
        hints: list[Value] = list(self.hints)
        return cbor.encode({1: VERSION, 2: self.identity, 3: attributes, 4: self.day, 5: self.not_after_day, 6: hints})

    @classmethod
    def from_payload(cls, data: bytes) -> Card:
        """Decode what is signed; exactly one encoding is accepted.

        Raises:
            FormatError: ``card.unknown-version``, ``card.malformed``, ``card.dates``, ``key.malformed``, ``cbor.*``.
        """
        fields = cbor.decode(data, MAX_CARD_BYTES)
        if type(fields) is not dict or fields.get(1) != VERSION or type(fields[1]) is not int:
            raise FormatError("card.unknown-version", "the card is of a version not known here", "update walletcli")
        if fields.keys() != _KEYS:
            raise _malformed("a field is missing or unknown")
        _, identity, attributes, day, not_after_day, hints = fields.values()  # in the order of the keys
        if type(identity) is not bytes or type(day) is not int or type(not_after_day) is not int:
            raise _malformed("needs a key and two days")
        if type(hints) is not list:
            raise _malformed("needs a list of addresses")
        return cls(identity, read_attributes(attributes), day, not_after_day, tuple(map(_text, hints)))


def check_attributes(attributes: Mapping[str, str], most: int) -> None:
    """Check names and values as a profile's.

    Raises:
        FormatError: ``card.attributes``.
    """
    if len(attributes) > most:
        raise FormatError("card.attributes", f"at most {most} attributes")
    for name, value in attributes.items():
        fault = attribute_fault(name, value)
        if fault:
            raise FormatError("card.attributes", fault)


def read_attributes(value: Value) -> dict[str, str]:
    """Return a decoded map if it holds texts by texts.

    Raises:
        FormatError: ``card.attributes``.
    """
    if type(value) is not dict:
        raise FormatError("card.attributes", "needs a map of texts")
    for name, text in value.items():
        if type(name) is not str or type(text) is not str:
            raise FormatError("card.attributes", "needs a map of texts")
    return cast("dict[str, str]", value)


def _text(value: Value) -> str:
    if type(value) is not str:
        raise _malformed("an address is a text")
    return value


def verify_card(data: bytes) -> tuple[Card, Sign1]:
    """Decode a card and check its signature, but not yet whether its signer may sign it.

    Raises:
        FormatError: ``cose.*``, ``card.*``, ``key.malformed``, ``cbor.*``.
        VerificationError: ``signature.invalid``.
    """
    return verify_statement(data, Card, MAX_CARD_BYTES)


def to_link(card: bytes) -> str:
    """Return the link of a card (COSE bytes): at most 4,295 characters; in upper case it is alphanumeric for QR codes.

    Raises:
        InputError: ``card.too-long-for-link`` over 2,675 bytes.
    """
    if len(card) > MAX_LINK_CARD_BYTES:
        raise InputError(
            "card.too-long-for-link",
            f"a card of at most {MAX_LINK_CARD_BYTES} bytes fits into a link, this one has {len(card)}",
            "leave attributes out, or give the card as a file",
        )
    return LINK_PREFIX + b32_encode(card)


def from_link(text: str) -> bytes:
    """Return the card (COSE bytes, not looked at yet) of a link, in upper or lower case.

    Raises:
        FormatError: ``card.link``.
    """
    text = text.strip() if len(text) < 2 * MAX_LINK_CARD_BYTES else text
    prefix, body = text[: len(LINK_PREFIX)], text[len(LINK_PREFIX) :]
    try:
        if prefix.lower() != LINK_PREFIX or not body:
            raise FormatError("card.link", "it does not start with walletcli:card:")
        return b32_decode(body, MAX_LINK_CARD_BYTES)
    except FormatError as error:
        raise FormatError(
            "card.link",
            f"not the link of a contact card: {error.message}",
            "copy the whole link, or scan the code anew",
        ) from error


@dataclass(frozen=True, slots=True)
class CardFile:
    """A card as a file.

    Attributes:
        card: the card's COSE bytes, 1 to 4096; not looked at yet.
        short_record: record of its identity, for readers without a network, or None; not looked at yet.
    """

    card: bytes
    short_record: bytes | None = None

    def to_bytes(self) -> bytes:
        """Encode the file."""
        return MAGIC + cbor.encode([self.card, self.short_record])

    @classmethod
    def from_bytes(cls, data: bytes) -> CardFile:
        """Decode the file; what is in it is for `verify_card` and `from_short`.

        Raises:
            FormatError: ``card.file``, ``cbor.*``.
        """
        if len(data) > MAX_FILE_BYTES or not data.startswith(MAGIC):
            raise FormatError(
                "card.file", "not a card file of a known version", "a card file starts with 'walletcli card 1'"
            )
        parts = cbor.decode(data[len(MAGIC) :], MAX_FILE_BYTES)
        if type(parts) is not list or len(parts) != 2:
            raise FormatError("card.file", "needs a card and a record")
        card, record = parts
        if type(card) is not bytes or not 1 <= len(card) <= MAX_CARD_BYTES:
            raise FormatError("card.file", f"a card has 1 to {MAX_CARD_BYTES} bytes")
        if record is not None and (type(record) is not bytes or not 1 <= len(record) <= MAX_SHORT_BYTES):
            raise FormatError("card.file", f"a record is null or has 1 to {MAX_SHORT_BYTES} bytes")
        return cls(card, record)
