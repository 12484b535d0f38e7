"""The document: an identity's full public state, deterministic, padded, and complete in itself.

Spec: docs/spec/record.md, "Document".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import ge
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

_T = TypeVar("_T", bytes, tuple[bytes, bytes])
_Item = TypeVar("_Item")

VERSION = 1
"""Version of the document format."""

STEPS: Final = tuple(1024 << n for n in range(7))
"""Sizes in bytes that a document can have."""

MAX_DOCUMENT_BYTES = STEPS[-1]
"""Longest document."""

MAX_EXTENSION_BYTES = 8192
"""Longest encoded map of extensions."""

MAX_GRANT_BYTES = 4096
"""Longest grant."""

MAX_SECTION_BYTES = 16_384
"""Longest sealed section."""

MAX_VALUE_BYTES = 1024
"""Longest value of a public attribute, in bytes of UTF-8."""

_ATTRIBUTE = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_FORBIDDEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f"  # controls, but line feed
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # unseen, or turning text
    "\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff\U000e0000-\U000e00ff\U000f0000-\U0010ffff]"  # private, unseen, none
)
_BARE_BYTES: Final = 20_000
"""More than a document takes without its sections, bindings and profile's values."""

_PADDING_KEY: Final = cbor.encode(16)
_REQUIRED: Final = frozenset({1, 2, 3, 16})
_KNOWN: Final = _REQUIRED | {4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15}


def check_attribute(name: str, value: str) -> None:
    """Check an attribute of a profile.

    Args:
        name: 1 to 32 characters: a lower case letter or digit, then those and ``._-``.
        value: 1 to 1024 bytes of UTF-8 without control characters but line feed, and without what cannot be seen or
            turns text around. The rule does not depend on a version of Unicode: all verifiers must agree.

    Raises:
        FormatError: ``document.profile``.
    """
    fault = attribute_fault(name, value)
    if fault:
        raise wrong("profile", fault)


def attribute_fault(name: str, value: str) -> str | None:
    """Return what is wrong with an attribute, in words, or None; the rules are those of `check_attribute`."""
    if len(name) > 32 or not _is_attribute(name):
        return "a name has 1 to 32 of a-z, 0-9, '.', '_', '-' and starts with a letter or digit"
    return text_fault(value, MAX_VALUE_BYTES)


@lru_cache(maxsize=1024)
def _is_attribute(name: str) -> bool:
    return _ATTRIBUTE.fullmatch(name) is not None


def text_fault(value: str, max_bytes: int) -> str | None:
    """Return what is wrong with a text of 1 to `max_bytes` bytes of UTF-8 for people, in words, or None."""
    if value.isascii() and value.isprintable():
        size = len(value)
    else:
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            return "a value is not valid Unicode"
        if _FORBIDDEN.search(value):
            return "a value holds control, private or invisible characters"
    return None if 1 <= size <= max_bytes else f"a value has 1 to {max_bytes} bytes"


def check_document_size(data: bytes) -> None:
    """Refuse a document that is too long to look at.

    Raises:
        FormatError: ``document.too-long``.
    """
    if len(data) > MAX_DOCUMENT_BYTES:
        raise FormatError("document.too-long", f"a document has at most {MAX_DOCUMENT_BYTES} bytes, found {len(data)}")


@dataclass(frozen=True, slots=True)
class Document:
    """What an identity says of itself, in full.

    Attributes:
        identity: root key, Ed25519, 32 bytes.
        seq: 0 to 2^63 - 1, the packet's.
        previous: SHA-256 of the document that this one replaces, or None for a first one.
        bindings: grants, each a COSE_Sign1 of 1 to 4096 bytes, at most 16, no two alike.
        delegations: device keys, at most 32, ascending by signing key; never the root key.
        approvers: who must approve, or None.
        succession: commitment to a successor, or None.
        profile: public attributes, at most 64; see `check_attribute`.
        sections: sealed sections of 1 to 16,384 bytes, at most 64, ascending.
        addresses: where it can be reached, at most 16, best first, no two alike.
        retirement: the signed end, or None.
        healed: pairs of hashes of split documents, at most 8; ascending, and so is each.
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
        keys = [item.signing_key for item in self.delegations]
        _check_ascending(keys, 32, "delegations")
        if self.identity in keys:
            raise wrong("delegations", "the root key cannot be a device key")
        if self.approvers or self.succession:
            self._check_other_keys()
        if self.profile:
            self._check_profile()
        if self.bindings or self.sections:
            self._check_blobs()
        if self.addresses or self.healed or self.extensions:
            self._check_rarer_parts()

    def _check_other_keys(self) -> None:
        """Refuse the root key where the format asks for a second one: it would stand for itself."""
        if self.approvers and any(item.public_key == self.identity for item in self.approvers.approvers):
            raise wrong("approvers", "the root key cannot approve")
        if self.succession and self.succession.veto_key == self.identity:
            raise wrong("succession", "the root key cannot be the veto key")

    def _check_profile(self) -> None:
        if len(self.profile) > 64:
            raise wrong("profile", "at most 64")
        for name, value in self.profile.items():
            check_attribute(name, value)
        if len(self.profile) > 8:
            self._check_size()

    def _check_blobs(self) -> None:
        for grant in self.bindings:
            sized(grant, 1, MAX_GRANT_BYTES, "bindings")
        if len(self.bindings) > 16 or len(set(self.bindings)) < len(self.bindings):
            raise wrong("bindings", "at most 16, no two alike")
        for section in self.sections:
            sized(section, 1, MAX_SECTION_BYTES, "sections")
        _check_ascending(self.sections, 64, "sections")
        self._check_size()

    def _check_rarer_parts(self) -> None:
        if len(self.addresses) > 16 or len(set(self.addresses)) < len(self.addresses):
            raise wrong("addresses", "at most 16, no two alike")
        for pair in self.healed:
            if len(pair) != 2:
                raise wrong("healed", "needs pairs of hashes")
            _check_ascending([sized(half, HASH_BYTES, HASH_BYTES, "healed") for half in pair], 2, "healed")
        _check_ascending(self.healed, 8, "healed")
        if len(self.extensions) > 32:
            raise wrong("extensions", "at most 32 keys")
        # In a list, so that it is as deep as in the document.
        if self.extensions and len(cbor.encode([dict(self.extensions)])) > MAX_EXTENSION_BYTES + 1:
            raise wrong("extensions", f"at most {MAX_EXTENSION_BYTES} bytes")

    def _check_size(self) -> None:
        values_bytes = 4 * sum(map(len, self.profile.values()))  # UTF-8 has at most 4 bytes for a character
        blobs_bytes = sum(map(len, self.bindings)) + sum(map(len, self.sections))
        if _BARE_BYTES + values_bytes + blobs_bytes > MAX_DOCUMENT_BYTES:
            self.to_bytes()

    def to_bytes(self) -> bytes:
        """Encode and pad the document.

        A document that was constructed can be encoded.

        Raises:
            FormatError: ``document.too-long`` over 65,536 bytes; only while it is constructed.
        """
        bare = cbor.encode(self._to_cbor())
        # The padding's key is the highest, and a map of so few fields has its length in its first byte.
        padding = cbor.encode(bytes(_padding_bytes(len(bare) + 1)))
        return bytes((bare[0] + 1,)) + bare[1:] + _PADDING_KEY + padding

    def to_bare_bytes(self) -> bytes:
        """Encode without the padding, which a reader puts there again."""
        return cbor.encode(self._to_cbor())

    @classmethod
    def from_bare_bytes(cls, data: bytes) -> Document:
        """Decode what `to_bare_bytes` wrote; raises as `from_bytes`."""
        check_document_size(data)
        fields = cbor.decode(data, MAX_DOCUMENT_BYTES)
        if type(fields) is not dict or 16 in fields:
            raise wrong("form", "needs a map without padding")
        return cls._from_fields({**fields, 16: b""})

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
        check_document_size(data)
        fields = cbor.decode(data, MAX_DOCUMENT_BYTES)
        if type(fields) is not dict:
            raise wrong("form", "needs a map")
        document = cls._from_fields(fields)
        _check_padding(fields[16], len(data))
        return document

    @classmethod
    def _from_fields(cls, fields: Map) -> Document:
        if fields.get(1) != VERSION or type(fields[1]) is not int:
            raise FormatError(
                "document.unknown-version", "the document is of a version that is not known here", "update walletcli"
            )
        keys = fields.keys()
        if not keys >= _REQUIRED or not keys <= _KNOWN:
            raise wrong("form", "a field is missing or unknown")
        return cls(
            sized(fields[2], 32, 32, "identity"),
            uint(fields[3], 0, MAX_SEQ, "seq"),
            sized(fields[4], 32, 32, "previous") if 4 in fields else None,
            _each(fields, 5, "bindings", _grant),
            _each(fields, 6, "delegations", Delegation.from_cbor),
            Approvers.from_cbor(fields[7]) if 7 in fields else None,
            Succession.from_cbor(fields[8]) if 8 in fields else None,
            _profile(fields),
            _each(fields, 10, "sections", _section),
            _each(fields, 11, "addresses", Address.from_cbor),
            Retirement.from_cbor(fields[12]) if 12 in fields else None,
            _each(fields, 13, "healed", _split),
            _map(fields, 15, "extensions"),
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


def _each(fields: Map, key: int, name: str, read: Callable[[Value], _Item]) -> tuple[_Item, ...]:
    if key not in fields:
        return ()
    value = fields[key]
    if type(value) is not list or not 1 <= len(value) <= 64:
        raise wrong(name, "needs a list that is not empty, nor too long")
    return tuple(map(read, value))


def _grant(value: Value) -> bytes:
    return sized(value, 1, MAX_GRANT_BYTES, "bindings")


def _section(value: Value) -> bytes:
    return sized(value, 1, MAX_SECTION_BYTES, "sections")


def _map(fields: Map, key: int, name: str) -> Map:
    if key not in fields:
        return {}
    value = fields[key]
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


def _split(value: Value) -> tuple[bytes, bytes]:
    if type(value) is not list or len(value) != 2:
        raise wrong("healed", "needs pairs of hashes")
    return sized(value[0], 32, 32, "healed"), sized(value[1], 32, 32, "healed")


def _check_ascending(items: Sequence[_T], most: int, name: str) -> None:
    if len(items) > most:
        raise wrong(name, f"at most {most}")
    if any(map(ge, items, items[1:])):
        raise wrong(name, "repeated or out of order")
