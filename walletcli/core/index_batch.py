"""Shards of the wallet index that were signed ahead: a file that goes from the machine with the words to one without.

Spec: docs/spec/wallet-index.md, "Signed ahead".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from walletcli.core import cbor
from walletcli.core.packet import MAX_RELAY_PAYLOAD_BYTES, SignedPacket
from walletcli.core.wallet_index import STEPS, check_shape
from walletcli.errors import FormatError

MAGIC: Final = b"walletcli index batch 1\n"
"""First bytes of the file."""

VERSION: Final = 1
"""Version of the format."""

MAX_WRITES: Final = 64
"""Most packets of one shard."""

MAX_FILE_BYTES: Final = len(MAGIC) + STEPS[-1] * (MAX_WRITES * (MAX_RELAY_PAYLOAD_BYTES + 3) + 40) + 16
"""Longest file."""


@dataclass(frozen=True, slots=True)
class IndexBatch:
    """Shards, each as often as it was signed.

    Attributes:
        shards: by number; of each the packets, `seq` ascending, at least one; all of one key.
    """

    shards: tuple[tuple[SignedPacket, ...], ...]

    def __post_init__(self) -> None:
        if len(self.shards) not in STEPS:
            raise _malformed("the number of shards is not one of the steps")
        if not all(1 <= len(packets) <= MAX_WRITES for packets in self.shards):
            raise _malformed(f"a shard has 1 to {MAX_WRITES} packets")
        for packets in self.shards:
            seqs = [packet.seq for packet in packets]
            if seqs != sorted(set(seqs)) or len({packet.public_key for packet in packets}) > 1:
                raise _malformed("packets of a shard are of one key, and ascending")
            for packet in packets:
                check_shape(packet)
        if len(set(self.keys)) < len(self.shards):
            raise _malformed("two shards have one key")

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The public key of each shard, 32 bytes."""
        return tuple(packets[0].public_key for packets in self.shards)

    @property
    def writes(self) -> int:
        """How many writes of the whole index are signed."""
        return min(len(packets) for packets in self.shards)

    def next_of(self, number: int, above: int) -> SignedPacket | None:
        """Return the first packet of a shard with a `seq` over `above`, or None if they are used up."""
        return next((packet for packet in self.shards[number] if packet.seq > above), None)

    def left_of(self, number: int, above: int) -> int:
        """Return how many packets of a shard have a `seq` over `above`."""
        return sum(packet.seq > above for packet in self.shards[number])

    def follows(self, before: IndexBatch) -> bool:
        """Tell whether this was signed after another batch of the same words, and lacks none of its shards."""
        is_same = self.keys[: len(before.keys)] == before.keys
        pairs = zip(before.shards, self.shards, strict=False)
        return is_same and all(later[0].seq > earlier[-1].seq for earlier, later in pairs)

    def to_bytes(self) -> bytes:
        """Encode the file."""
        rows = [[packets[0].public_key, [packet.to_relay_payload() for packet in packets]] for packets in self.shards]
        return MAGIC + cbor.encode({1: VERSION, 2: rows})

    @classmethod
    def from_bytes(cls, data: bytes) -> IndexBatch:
        """Decode a file and verify every packet in it.

        Raises:
            FormatError: ``index-batch.file``, ``index-batch.unknown-version``, ``index-batch.malformed``,
                ``wallet-index.malformed``, ``packet.*``, ``dns.*``, ``cbor.*``.
            VerificationError: ``signature.invalid``.
        """
        if len(data) > MAX_FILE_BYTES or not data.startswith(MAGIC):
            raise FormatError(
                "index-batch.file",
                "this is no file of shards that were signed ahead",
                "it comes from: walletcli wallet index sign --out FILE",
            )
        value = cbor.decode(data[len(MAGIC) :], MAX_FILE_BYTES)
        if not isinstance(value, dict) or set(value) != {1, 2}:
            raise _malformed("its fields")
        if value[1] != VERSION or type(value[1]) is not int:
            raise FormatError(
                "index-batch.unknown-version", "the shards were signed by a newer program", "update walletcli"
            )
        rows = value[2]
        if not isinstance(rows, list) or len(rows) not in STEPS:
            raise _malformed("the number of shards is not one of the steps")
        return cls(tuple(_packets(row) for row in rows))


def _packets(row: cbor.Value) -> tuple[SignedPacket, ...]:
    if not isinstance(row, list) or len(row) != 2:
        raise _malformed("a shard is a key and its packets")
    key, payloads = row
    if not isinstance(key, bytes) or len(key) != 32 or not isinstance(payloads, list):
        raise _malformed("a shard is a key and its packets")
    if not 1 <= len(payloads) <= MAX_WRITES:
        raise _malformed(f"a shard has 1 to {MAX_WRITES} packets")
    return tuple(SignedPacket.from_relay_payload(key, _bytes(payload)) for payload in payloads)


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes) or len(value) > MAX_RELAY_PAYLOAD_BYTES:
        raise _malformed("a packet is too long, or none")
    return value


def _malformed(why: str) -> FormatError:
    return FormatError("index-batch.malformed", f"malformed file of shards: {why}")
