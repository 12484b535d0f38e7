"""The request: what a wallet asks the machine with the root keys to sign, or an approver to approve, as a file.

It proves nothing: whoever makes one can ask for anything. What it asks for is shown to whoever answers it.

Spec: docs/spec/request.md, "Request file".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from walletcli.core import bip39, cbor
from walletcli.core.approver_items import ApproveItem, OfferItem
from walletcli.core.document_parts import LAST_DAY
from walletcli.core.item_parts import malformed
from walletcli.core.request_items import CreateItem, EnrolItem, Item, PublishItem, read_item
from walletcli.errors import FormatError, InputError

MAGIC: Final = b"walletcli request 1\n"
"""First bytes of a request file."""

MAX_FILE_BYTES: Final = 16 << 20
"""Longest request file."""

MAX_ITEMS: Final = 32
"""Most items in a request."""

MAX_DAYS: Final = 90
"""Longest life of a request, days."""

CLOCK_DAYS: Final = 1
"""How many days ahead of the reader's own a request's day may be: clocks differ, and so do time zones."""

ID_BYTES: Final = 16
"""Length of a request's id."""

WORDS: Final = 8
"""Number of words that a digest is shown as; 11 bits each."""

_WORD_BITS: Final = 11
_DIGEST_BITS: Final = 256


def _file(detail: str) -> FormatError:
    return FormatError("request.file", f"not a request of a known version: {detail}")


@dataclass(frozen=True, slots=True)
class RequestFile:
    """A request.

    Attributes:
        request_id: 16 random bytes.
        made_day: days since 1970-01-01.
        expires_day: first day it no longer holds, 1 to 90 days later.
        items: 1 to 32, numbered from 1.

    Raises:
        FormatError: ``request.malformed``, ``request.repeated``.
    """

    request_id: bytes
    made_day: int
    expires_day: int
    items: tuple[Item, ...]
    _data: bytes = field(default=b"", init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.request_id) != ID_BYTES:
            raise malformed(f"an id has {ID_BYTES} bytes")
        if not 0 <= self.made_day < self.expires_day <= min(LAST_DAY, self.made_day + MAX_DAYS):
            raise malformed(f"a request lasts 1 to {MAX_DAYS} days")
        if not 1 <= len(self.items) <= MAX_ITEMS:
            raise malformed(f"1 to {MAX_ITEMS} items")
        _check_repeated(self.items)
        data = MAGIC + cbor.encode(
            {1: self.request_id, 2: self.made_day, 3: self.expires_day, 4: [item.to_row() for item in self.items]}
        )
        if len(data) > MAX_FILE_BYTES:
            raise malformed(f"a request has at most {MAX_FILE_BYTES} bytes")
        object.__setattr__(self, "_data", data)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the file, 32 bytes."""
        return hashlib.sha256(self._data).digest()

    def to_bytes(self) -> bytes:
        """Return the file."""
        return self._data

    @classmethod
    def from_bytes(cls, data: bytes) -> RequestFile:
        """Decode a file; exactly one encoding is accepted. Records in it are verified.

        Raises:
            FormatError: ``request.file``, ``request.malformed``, ``request.repeated``, ``cbor.*``, ``document.*``,
                ``key.malformed``, ``short-record.*``.
            VerificationError: ``signature.invalid``, ``request.record``.
        """
        if len(data) > MAX_FILE_BYTES or not data.startswith(MAGIC):
            raise _file("it starts with 'walletcli request 1'")
        fields = cbor.decode(data[len(MAGIC) :], MAX_FILE_BYTES)
        if type(fields) is not dict or fields.keys() != {1, 2, 3, 4}:
            raise _file("needs an id, two days and items")
        request_id, made, expires, rows = fields.values()  # in the order of the keys
        if type(request_id) is not bytes or type(made) is not int or type(expires) is not int:
            raise malformed("needs an id and two days")
        if type(rows) is not list or not 1 <= len(rows) <= MAX_ITEMS:
            raise malformed(f"1 to {MAX_ITEMS} items")
        request = cls(request_id, made, expires, tuple(map(read_item, rows)))
        if request.to_bytes() != data:  # the digest that people compare is that of the file
            raise _file("it is not written in the one way there is")
        return request

    def item(self, number: int) -> Item:
        """Return the item with this number, counted from 1.

        Raises:
            InputError: ``request.item``.
        """
        if not 1 <= number <= len(self.items):
            raise InputError("request.item", f"the request has items 1 to {len(self.items)}, not {number}")
        return self.items[number - 1]

    def has_expired(self, today: int) -> bool:
        """Tell whether the request no longer holds on `today`, days since 1970-01-01."""
        return today >= self.expires_day


def digest_words(digest: bytes) -> tuple[str, ...]:
    """Return the 8 words that people compare for a digest (32 bytes)."""
    bits = int.from_bytes(digest, "big") >> (_DIGEST_BITS - WORDS * _WORD_BITS)
    return bip39.words_at(
        tuple(bits >> shift & 2047 for shift in range(_WORD_BITS * (WORDS - 1), -1, -_WORD_BITS)), "english"
    )


def _check_repeated(items: tuple[Item, ...]) -> None:
    """Refuse two items of which the second would not follow the first, or that different people answer."""
    if len(items) > 1 and any(isinstance(item, ApproveItem | OfferItem) for item in items):
        raise malformed("what is asked of approvers stands alone")
    identities = [item.identity for item in items if isinstance(item, PublishItem | EnrolItem)]
    labels = [item.label.casefold() for item in items if isinstance(item, CreateItem)]
    if len(set(identities)) < len(identities) or len(set(labels)) < len(labels):
        raise FormatError("request.repeated", "two items of the request are about one identity, or have one label")
