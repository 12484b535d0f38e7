"""The document: an identity's full public state, deterministic, padded, and complete in itself.

Spec: docs/spec/record.md, "Document".
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from walletcli.core import cbor, ed25519
from walletcli.core.bep44 import MAX_SEQ
from walletcli.core.cbor import Map, Value
from walletcli.core.document_parts import (
    HASH_BYTES,
    Address,
    Approvers,
    Delegation,
    Retirement,
    Succession,
    sized,
    uint,
    wrong,
)
from walletcli.core.identity_id import IdentityId
from walletcli.errors import FormatError

_T = TypeVar("_T")

VERSION = 1
"""Version of the document format."""

STEPS: Final = tuple(1024 << n for n in range(7))
"""Sizes in bytes that a document can have."""

MAX_DOCUMENT_BYTES = STEPS[-1]
"""Longest document."""

MAX_EXTENSION_BYTES = 8192
"""Longest encoded map of extensions."""

MAX_SECTION_BYTES = 16_384
"""Longest sealed section."""

MAX_VALUE_BYTES = 1024
"""Longest value of a public attribute, in bytes of UTF-8."""

_ATTRIBUTE = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_REQUIRED: Final = frozenset({1, 2, 3, 16})
_OPTIONAL: Final = frozenset({4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15})


def check_attribute(name: str, value: str) -> None:
    """Check an attribute of a profile.

    Args:
        name: 1 to 32 characters: a lower case letter or digit, then those and ``._-``.
        value: 1 to 1024 bytes of UTF-8 in NFC; line feed is the only control character allowed.

    Raises:
        FormatError: ``document.profile``.
    """
    if not _ATTRIBUTE.fullmatch(name):
        raise wrong("profile", "a name has 1 to 32 of a-z, 0-9, '.', '_', '-' and starts with a letter or digit")
    if value.isascii() and value.isprintable():
        size = len(value)
    else:
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            raise wrong("profile", "a value is not valid Unicode") from None
        if not unicodedata.is_normalized("NFC", value):
            raise wrong("profile", "a value is not in Unicode form NFC")
        if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn") for c in value if c != "\n"):
            raise wrong("profile", "a value holds control, format or unassigned characters")
    if not 1 <= size <= MAX_VALUE_BYTES:
        raise wrong("profile", f"a value has 1 to {MAX_VALUE_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class Document:
    """What an identity says of itself, in full.

    Attributes:
        identity: root key, Ed25519, 32 bytes.
        seq: 0 to 2^63 - 1, the packet's.
        previous: SHA-256 of the document that this one replaces, or None for a first one.
        bindings: grants, each a COSE_Sign1 of 1 to 4096 bytes, at most 16.
        delegations: device keys, at most 32, ascending by signing key.
        approvers: who must approve, or None.
        succession: commitment to a successor, or None.
        profile: public attributes, at most 64; see `check_attribute`.
        sections: sealed sections of 1 to 16,384 bytes, at most 64, ascending.
        addresses: where it can be reached, at most 16, best first.
        retirement: the signed end, or None.
        healed: pairs of hashes of split documents, at most 8, each ascending.
        extensions: kept and ignored, at most 32 keys.
    """

    identity: bytes
    seq: int
    previous: bytes | None = None
    bindings: tuple[bytes, ...] = ()
    delegations: tuple[Delegation, ...] = ()
    approvers: Approvers | None = None
    succession: Succession | None = None
    profile: Mapping[str, str] = field(default_factory=dict)
    sections: tuple[bytes, ...] = ()
    addresses: tuple[Address, ...] = ()
    retirement: Retirement | None = None
    healed: tuple[tuple[bytes, bytes], ...] = ()
    extensions: Mapping[int | str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ed25519.check_encoding(self.identity)
        uint(self.seq, 0, MAX_SEQ, "seq")
        if self.previous is not None:
            sized(self.previous, HASH_BYTES, HASH_BYTES, "previous")
        _check_list(self.bindings, 16, "bindings", lambda item: sized(item, 1, 4096, "bindings"))
        _check_list(self.sections, 64, "sections", lambda item: sized(item, 1, MAX_SECTION_BYTES, "sections"))
        _check_ascending(self.sections, "sections")
        if (
            len(self.delegations) > 32
            or len(self.addresses) > 16
            or len(self.profile) > 64
            or len(self.extensions) > 32
        ):
            raise wrong("too-many", "at most 32 delegations, 16 addresses, 64 attributes and 32 extensions")
        _check_ascending([item.signing_key for item in self.delegations], "delegations")
        for name, value in self.profile.items():
            check_attribute(name, value)
        _check_list(self.healed, 8, "healed", _check_split)
        if self.extensions and len(cbor.encode(dict(self.extensions))) > MAX_EXTENSION_BYTES:
            raise wrong("extensions", f"at most {MAX_EXTENSION_BYTES} bytes")

    def to_bytes(self) -> bytes:
        """Encode and pad the document.

        Raises:
            FormatError: ``document.too-long`` over 65,536 bytes.
        """
        data = self._to_cbor()
        bare = len(cbor.encode(data)) + 1
        return cbor.encode({**data, 16: bytes(_padding_bytes(bare))})

    @property
    def hash(self) -> bytes:
        """SHA-256 of the encoded document, 32 bytes."""
        return hashlib.sha256(self.to_bytes()).digest()

    def _to_cbor(self) -> Map:
        data: Map = {1: VERSION, 2: self.identity, 3: self.seq}
        parts: dict[int, Value] = {
            4: self.previous,
            5: list(self.bindings),
            6: [item.to_cbor() for item in self.delegations],
            7: self.approvers.to_cbor() if self.approvers else None,
            8: self.succession.to_cbor() if self.succession else None,
            9: _as_map(self.profile),
            10: list(self.sections),
            11: [item.to_cbor() for item in self.addresses],
            12: self.retirement.to_cbor() if self.retirement else None,
            13: [list(pair) for pair in self.healed],
            15: dict(self.extensions),
        }
        data.update((key, value) for key, value in parts.items() if value)
        return data

    @classmethod
    def from_bytes(cls, data: bytes) -> Document:
        """Decode a document; exactly one encoding is accepted.

        Raises:
            FormatError: ``document.too-long``, ``document.unknown-version``, ``document.padding``, other
                ``document.*`` by field, ``cbor.*`` or ``key.malformed``.
        """
        if len(data) > MAX_DOCUMENT_BYTES:
            raise FormatError(
                "document.too-long", f"a document has at most {MAX_DOCUMENT_BYTES} bytes, found {len(data)}"
            )
        fields = cbor.decode(data, MAX_DOCUMENT_BYTES)
        if type(fields) is not dict:
            raise wrong("form", "needs a map")
        if fields.get(1) != VERSION or type(fields[1]) is not int:
            raise FormatError(
                "document.unknown-version", "the document is of a version that is not known here", "update walletcli"
            )
        keys = fields.keys()
        if not keys >= _REQUIRED or not keys <= _REQUIRED | _OPTIONAL:
            raise wrong("form", "a field is missing or unknown")
        _check_padding(fields[16], len(data))
        return cls(
            sized(fields[2], 32, 32, "identity"),
            uint(fields[3], 0, MAX_SEQ, "seq"),
            sized(fields[4], 32, 32, "previous") if 4 in fields else None,
            tuple(sized(item, 1, 4096, "bindings") for item in _list(fields, 5, "bindings")),
            tuple(Delegation.from_cbor(item) for item in _list(fields, 6, "delegations")),
            Approvers.from_cbor(fields[7]) if 7 in fields else None,
            Succession.from_cbor(fields[8]) if 8 in fields else None,
            _profile(fields),
            tuple(sized(item, 1, MAX_SECTION_BYTES, "sections") for item in _list(fields, 10, "sections")),
            tuple(Address.from_cbor(item) for item in _list(fields, 11, "addresses")),
            Retirement.from_cbor(fields[12]) if 12 in fields else None,
            tuple(_split(item) for item in _list(fields, 13, "healed")),
            _extensions(fields),
        )

    def to_json(self) -> dict[str, object]:
        """Return the document for people and scripts: bytes as hex, empty parts left out."""
        parts: dict[str, object] = {
            "previous": self.previous and self.previous.hex(),
            "delegations": [item.to_json() for item in self.delegations],
            "approvers": self.approvers
            and {"threshold": self.approvers.threshold, "keys": [a.public_key.hex() for a in self.approvers.approvers]},
            "succession": self.succession and {"delay_days": self.succession.delay_days},
            "profile": dict(self.profile),
            "addresses": [item.to_json() for item in self.addresses],
            "retirement": self.retirement and self.retirement.to_json(),
            "healed": [[half.hex() for half in pair] for pair in self.healed],
            "bindings": [grant.hex() for grant in self.bindings],
            "sealed_sections": len(self.sections),
            "extensions": sorted(map(str, self.extensions)),
        }
        kept = {key: value for key, value in parts.items() if value}
        return {"version": VERSION, "did": IdentityId(self.identity).did, "seq": self.seq, **kept}


def _padding_bytes(bare_bytes: int) -> int:
    """Return how many zero bytes follow `bare_bytes` (the document and the padding's key) and a head to hit a step."""
    for step in STEPS:
        rest = step - bare_bytes
        for head, low, high in ((1, 0, 23), (2, 24, 255), (3, 256, 65535)):
            if low <= rest - head <= high:
                return rest - head
    raise FormatError("document.too-long", f"a document has at most {MAX_DOCUMENT_BYTES} bytes")


def _check_padding(padding: Value, size: int) -> None:
    if type(padding) is not bytes or padding.count(0) != len(padding):
        raise wrong("padding", "needs zero bytes")
    count = len(padding)
    head = 1 if count < 24 else 2 if count < 256 else 3
    if size not in STEPS or _padding_bytes(size - count - head) != count:
        raise wrong("padding", "does not reach the smallest size step")


def _list(fields: Map, key: int, name: str) -> list[Value]:
    value = fields.get(key)
    if value is None and key not in fields:
        return []
    if type(value) is not list or not 1 <= len(value) <= 64:
        raise wrong(name, "needs a list that is not empty")
    return value


def _map(fields: Map, key: int, name: str) -> Map:
    value = fields.get(key)
    if value is None and key not in fields:
        return {}
    if type(value) is not dict or not value:
        raise wrong(name, "needs a map that is not empty")
    return value


def _as_map(profile: Mapping[str, str]) -> Map:
    result: Map = {}
    result.update(profile)
    return result


def _profile(fields: Map) -> dict[str, str]:
    profile: dict[str, str] = {}
    for name, value in _map(fields, 9, "profile").items():
        if type(name) is not str or type(value) is not str:
            raise wrong("profile", "needs texts")
        profile[name] = value
    return profile


def _extensions(fields: Map) -> Map:
    return _map(fields, 15, "extensions")


def _split(value: Value) -> tuple[bytes, bytes]:
    if type(value) is not list or len(value) != 2:
        raise wrong("healed", "needs pairs of hashes")
    return sized(value[0], 32, 32, "healed"), sized(value[1], 32, 32, "healed")


def _check_split(pair: tuple[bytes, bytes]) -> None:
    for half in pair:
        sized(half, HASH_BYTES, HASH_BYTES, "healed")
    if pair[0] >= pair[1]:
        raise wrong("healed", "the hashes of a pair are out of order")


def _check_list(items: tuple[_T, ...], most: int, name: str, check: Callable[[_T], object]) -> None:
    if not items:
        return
    for count, item in enumerate(items, 1):
        if count > most:
            raise wrong(name, f"at most {most}")
        check(item)


def _check_ascending(items: Iterable[bytes], name: str) -> None:
    previous = b""
    for item in items:
        if item <= previous:
            raise wrong(name, "repeated or out of order")
        previous = item
