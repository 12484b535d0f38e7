"""The wallet index: opaque items of one size that tell, to the words alone, which identities of a seed exist.

An index is a few *shards*. Each is a signed packet under a key of its own, whose one TXT holds sealed, padded content.
What shards list only ever grows, so any two of one number can be joined.

Spec: docs/spec/wallet-index.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

from walletcli.core import bep44, cbor, dns
from walletcli.core.ed25519 import SigningKey
from walletcli.core.encodings import z32_encode
from walletcli.core.hkdf import hkdf_sha512
from walletcli.core.keys import MAX_INDEX, Scheme
from walletcli.core.packet import SignedPacket
from walletcli.errors import FormatError, InputError, VerificationError

VERSION: Final = 1
"""Version of the content."""

MAX_SHARDS: Final = 64
"""Most shards of an index."""

MAX_LISTED: Final = 100_000
"""Most identities that one shard may list."""

VALUE_BYTES: Final = bep44.MAX_VALUE_BYTES
"""Length of every shard's packet, in bytes: as long as a packet can be."""

TTL_S: Final = 3600
"""Time to live of the one DNS answer, in seconds."""

SEALED_BYTES: Final = 916
"""Length of what the TXT holds: nonce, content, tag."""

CONTENT_BYTES: Final = SEALED_BYTES - 24 - 16
"""Length of the padded content, in bytes."""

_NONCE_BYTES: Final = 24
_SEAL_LABEL: Final = b"walletcli/wallet-index/seal/1"
_CONTEXT: Final = b"walletcli wallet index 1"
SCHEMES: Final = (Scheme.WALLETCLI, Scheme.MERCURY, Scheme.MORPHEUS, Scheme.SLIP13)
"""Schemes by their number."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """A set of identities.

    Attributes:
        spans: first index, and the one after the last, of each range; ascending, with gaps in between.
    """

    spans: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, indices: Iterable[int]) -> Ranges:
        """Return the set of these indices (0 to `MAX_INDEX`)."""
        return cls._joined((index, index + 1) for index in indices)

    @classmethod
    def _joined(cls, spans: Iterable[tuple[int, int]]) -> Ranges:
        found: list[tuple[int, int]] = []
        for start, stop in sorted(spans):
            if found and start <= found[-1][1]:
                found[-1] = found[-1][0], max(stop, found[-1][1])
            else:
                found.append((start, stop))
        return cls(tuple(found))

    def __or__(self, other: Ranges) -> Ranges:
        return self._joined((*self.spans, *other.spans))

    def __contains__(self, index: object) -> bool:
        return isinstance(index, int) and any(start <= index < stop for start, stop in self.spans)

    def __iter__(self) -> Iterator[int]:
        for start, stop in self.spans:
            yield from range(start, stop)

    def __len__(self) -> int:
        return sum(stop - start for start, stop in self.spans)

    @property
    def highest(self) -> int:
        """The highest index, or -1."""
        return self.spans[-1][1] - 1 if self.spans else -1

    def lowest_missing(self, count: int) -> tuple[int, ...]:
        """Return the lowest indices below `highest` that are not in the set, at most `count`."""
        found: list[int] = []
        end = 0
        for start, stop in self.spans:
            found += range(end, min(start, end + count - len(found)))
            end = stop
        return tuple(found)

    def to_row(self) -> list[int]:
        """Return skip and length of each range, one after the other: a skip counts from the end of the one before."""
        row: list[int] = []
        end = 0
        for start, stop in self.spans:
            row += [start - end, stop - start]
            end = stop
        return row

    @classmethod
    def from_row(cls, value: object) -> Ranges:
        """Read the list that `to_row` wrote.

        Raises:
            FormatError: ``wallet-index.malformed``: not a list of pairs, an empty range, ranges that touch, an index
                above `MAX_INDEX`, or more than `MAX_LISTED` identities.
        """
        if type(value) is not list or len(value) % 2:
            raise _malformed("ranges are pairs of skip and length")
        spans: list[tuple[int, int]] = []
        end = count = 0
        for skip, length in zip(value[::2], value[1::2], strict=True):
            if type(skip) is not int or type(length) is not int or length < 1 or skip < (1 if spans else 0):
                raise _malformed("a range is empty, or touches the one before")
            start, end = end + skip, end + skip + length
            count += length
            if end > MAX_INDEX + 1 or count > MAX_LISTED:
                raise _malformed("a range ends beyond what there can be")
            spans.append((start, end))
        return cls(tuple(spans))


NOTHING: Final = Ranges()
"""No identity."""


@dataclass(frozen=True, slots=True)
class ShardContent:
    """What a shard says.

    Attributes:
        listed: the identities of each scheme; a scheme without any is not in it.
        shards: of how many shards the index consists; in shard 0 only, None in others.
    """

    listed: Mapping[Scheme, Ranges] = field(default_factory=dict)
    shards: int | None = None

    def of(self, scheme: Scheme) -> Ranges:
        """Return the identities of a scheme."""
        return self.listed.get(scheme, NOTHING)

    def __or__(self, other: ShardContent) -> ShardContent:
        """Return what both say together: lists only grow, and so does the number of shards."""
        listed = {scheme: self.of(scheme) | other.of(scheme) for scheme in {*self.listed, *other.listed}}
        counts = [count for count in (self.shards, other.shards) if count is not None]
        return ShardContent(listed, max(counts, default=None))

    def with_index(self, scheme: Scheme, index: int) -> ShardContent:
        """Return the content with one more identity."""
        return self | ShardContent({scheme: Ranges.of([index])})

    @property
    def fits(self) -> bool:
        """Whether there is room for all of it, whatever number of shards it will name."""
        return len(self._encoded(MAX_SHARDS)) < CONTENT_BYTES and all(
            len(ranges) <= MAX_LISTED for ranges in self.listed.values()
        )

    def _encoded(self, shards: int | None) -> bytes:
        rows = {
            number: self.listed[scheme].to_row()
            for number, scheme in enumerate(SCHEMES)
            if self.listed.get(scheme, NOTHING)
        }
        return cbor.encode({1: VERSION, **({2: shards} if shards is not None else {}), 3: rows})

    def to_bytes(self) -> bytes:
        """Encode and pad the content to `CONTENT_BYTES`.

        Raises:
            InputError: ``wallet-index.full``.
        """
        encoded = self._encoded(self.shards)
        if len(encoded) >= CONTENT_BYTES:
            raise InputError("wallet-index.full", "a shard of the wallet index has no room for so many identities")
        return (encoded + b"\x80").ljust(CONTENT_BYTES, b"\0")

    @classmethod
    def from_bytes(cls, data: bytes, number: int) -> ShardContent:
        """Decode the content of shard `number`.

        Raises:
            FormatError: ``wallet-index.malformed``, ``wallet-index.unknown-version``, ``cbor.*``.
        """
        encoded = data.rstrip(b"\0")
        if len(data) != CONTENT_BYTES or not encoded.endswith(b"\x80"):
            raise _malformed("its padding is wrong")
        fields = cbor.decode(encoded[:-1], CONTENT_BYTES)
        if type(fields) is not dict or type(fields.get(1)) is not int:
            raise _malformed("a map with a version is needed")
        if fields[1] != VERSION:
            raise FormatError(
                "wallet-index.unknown-version", "the wallet index was written by a newer program", "update walletcli"
            )
        if fields.keys() != ({1, 2, 3} if number == 0 else {1, 3}):
            raise _malformed("a field is missing or unknown")
        return cls(_listed(fields[3]), _shards(fields[2]) if number == 0 else None)


def _listed(value: object) -> dict[Scheme, Ranges]:
    if type(value) is not dict:
        raise _malformed("the lists are a map")
    found = {}
    for number, row in value.items():
        if type(number) is not int or not 0 <= number < len(SCHEMES):
            raise _malformed("a list is of a scheme that is not known")
        found[SCHEMES[number]] = Ranges.from_row(row)
        if not found[SCHEMES[number]]:
            raise _malformed("a list is empty")
    return found


def _shards(value: object) -> int:
    if type(value) is not int or value not in STEPS:
        raise _malformed("the number of shards is not one of the steps")
    return value


STEPS: Final = (1, 2, 4, 8, 16, 32, 64)
"""How many shards an index can have."""


def step_for(shards: int) -> int:
    """Return the number of shards that an index has if it needs `shards`.

    Raises:
        InputError: ``wallet-index.full``.
    """
    for step in STEPS:
        if step >= shards:
            return step
    raise InputError("wallet-index.full", f"a wallet index has at most {MAX_SHARDS} shards")


def seal_shard(
    key: SigningKey, number: int, content: ShardContent, seq: int, entropy: Callable[[int], bytes]
) -> SignedPacket:
    """Seal, wrap and sign a shard.

    Args:
        key: of the shard.
        number: of the shard.
        content: what it says; with a number of shards exactly if it is shard 0.
        seq: of the packet.
        entropy: gives as many random bytes as asked.

    Raises:
        InputError: ``wallet-index.full``.
        FormatError: ``packet.seq``.
    """
    if (content.shards is None) != (number > 0):
        raise _malformed("shard 0, and no other, says how many there are")
    nonce = entropy(_NONCE_BYTES)
    sealed = nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(
        content.to_bytes(), _associated(key.public_key, seq), nonce, _sealing_key(key)
    )
    return SignedPacket.sign(key, seq, _value(key.public_key, sealed))


def open_shard(key: SigningKey, number: int, packet: SignedPacket) -> ShardContent:
    """Open a verified packet of a shard's key.

    Args:
        key: of the shard.
        number: of the shard.
        packet: signed by `key`.

    Raises:
        FormatError: ``wallet-index.malformed``, ``wallet-index.unknown-version``, ``cbor.*``.
        VerificationError: ``wallet-index.damaged``.
    """
    sealed = check_shape(packet)
    nonce, cipher = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        content = crypto_aead_xchacha20poly1305_ietf_decrypt(
            cipher, _associated(key.public_key, packet.seq), nonce, _sealing_key(key)
        )
    except CryptoError as error:
        raise VerificationError("wallet-index.damaged", "the shard does not open with these words") from error
    return ShardContent.from_bytes(content, number)


def check_shape(packet: SignedPacket) -> bytes:
    """Return the sealed bytes of a packet that is a shard by its form; what it says only the words tell.

    Raises:
        FormatError: ``wallet-index.malformed``.
    """
    records = packet.records
    sealed = records[0].data if records else b""
    if len(sealed) != SEALED_BYTES or packet.value != _value(packet.public_key, sealed):
        raise _malformed("it is not one TXT of the right length")
    return sealed


def _value(public_key: bytes, sealed: bytes) -> bytes:
    name = b"\x34" + z32_encode(public_key).encode("ascii") + b"\0"
    return dns.response_header(1, authoritative=False) + dns.txt_record(name, sealed, TTL_S)


def _sealing_key(key: SigningKey) -> bytes:
    return hkdf_sha512(key.seed, _SEAL_LABEL, 32).reveal()


def _associated(public_key: bytes, seq: int) -> bytes:
    return _CONTEXT + public_key + seq.to_bytes(8, "big")


def _malformed(why: str) -> FormatError:
    return FormatError("wallet-index.malformed", f"malformed wallet index: {why}")
