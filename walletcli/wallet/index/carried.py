"""The shards that a wallet without words carries: signed ahead, and opaque to it.

Spec: docs/spec/wallet-index.md, "Signed ahead".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from walletcli.core.index_batch import IndexBatch
from walletcli.core.packet import SignedPacket
from walletcli.errors import NetworkError, SignerError, VerificationError

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session

DRAWER: Final = "index-batch"
"""Name of the wallet's own drawer: the file as it came."""


def read_batch(session: Session) -> IndexBatch | None:
    """Return the shards that the open wallet carries, or None if it carries none.

    Raises:
        FormatError: ``index-batch.*``, ``wallet-index.malformed``, ``packet.*``, ``dns.*``, ``cbor.*``.
        VerificationError: ``signature.invalid``.
    """
    data = session.drawer(None, DRAWER)
    return IndexBatch.from_bytes(data) if data is not None else None


def require_batch(session: Session) -> IndexBatch:
    """Return the shards that a wallet without words carries.

    Raises:
        SignerError: ``wallet.watch-only`` if there are none.
        FormatError, VerificationError: as `read_batch`.
    """
    batch = read_batch(session)
    if batch is None:
        raise SignerError(
            "wallet.watch-only",
            "the wallet index is signed where the words are, and this wallet was made without them",
            "on that machine: walletcli wallet index sign --out FILE; then here: walletcli wallet index apply FILE; "
            "else a restore searches without an index",
        )
    return batch


def next_carried(batch: IndexBatch, number: int, last: int, seen: Mapping[int, SignedPacket]) -> SignedPacket:
    """Return the packet of a shard that is written next.

    What somebody else with the words has written since these were signed may list more, and is not written over: here
    nobody can read it.

    Args:
        batch: what was signed ahead.
        number: of the shard.
        last: highest `seq` that this wallet wrote, or -1.
        seen: what relays have of the shard, by `seq`.

    Raises:
        VerificationError: ``wallet-index.elsewhere``.
        NetworkError: ``wallet-index.used-up``.
    """
    packets = batch.shards[number]
    if any(seq >= packets[0].seq and packet not in packets for seq, packet in seen.items()):
        raise VerificationError(
            "wallet-index.elsewhere",
            "another wallet with the words has written the index since this one was signed, and may list more",
            "that wallet keeps it; or sign anew: walletcli wallet index sign --out FILE",
        )
    found = batch.next_of(number, max(last, *seen, -1))
    if found is None:
        raise NetworkError(
            "wallet-index.used-up",
            "all that was signed ahead of the index has been written",
            "on the machine with the words: walletcli wallet index sign --out FILE; here: walletcli wallet index apply",
        )
    return found
