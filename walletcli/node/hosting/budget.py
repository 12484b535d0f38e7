"""How much hosting may be asked for: logins, blobs, their bytes, and the memory that bodies take while they come in."""

from __future__ import annotations

from collections import Counter
from typing import Final

from walletcli.node.clock import Clock
from walletcli.node.config import Limits
from walletcli.node.limits import Rate
from walletcli.node.request import Client, Refusal, Room

SHORT_BYTES: Final = 65_536
"""A body up to this length is read like a document, whoever sends it."""

ROOM_BYTES: Final = 64 << 20
"""How much longer bodies may take at once, in all; more where four of the longest do not fit."""


class Budget:
    """Counts what clients and identities use.

    Args:
        clock: the server's.
        limits: rates; None for none.
    """

    def __init__(self, clock: Clock, limits: Limits | None) -> None:
        self._clock = clock
        self._taken = 0
        self._taken_by: Counter[bytes] = Counter()
        self.set_limits(limits)

    def set_limits(self, limits: Limits | None) -> None:
        """Set other rates; what was used under the ones before is forgotten."""
        self._rates = _Rates(limits) if limits is not None else None

    def refuse_login(self, client: Client) -> Refusal | None:
        """Count a login or a request for a grant; return why it is one too many."""
        if self._rates is None:
            return None
        wait_s = self._rates.logins.take(client.bucket, self._clock.now)
        return come_back(wait_s, "limits.requests", "too many logins from this address") if wait_s else None

    def refuse_blob(self, client: Client, key: bytes, size_bytes: int) -> Refusal | None:
        """Count a blob that comes or goes against its address and its identity; return why it is one too many.

        Args:
            client: who asks.
            key: for which identity, 32 bytes.
            size_bytes: length of the blob.
        """
        rates = self._rates
        if rates is None:
            return None
        now = self._clock.now
        units = max(1, min(size_bytes, rates.most_bytes))
        uses = (
            (rates.blobs, client.bucket, 1, "limits.requests"),
            (rates.blobs, key, 1, "limits.requests"),
            (rates.bytes, client.bucket, units, "limits.bytes"),
            (rates.bytes, key, units, "limits.bytes"),
        )
        for rate, name, number, code in uses:
            wait_s = rate.wait_s(name, now, number)
            if wait_s:
                return come_back(wait_s, code, "too many blobs, or bytes of them, at once")
        for rate, name, number, _ in uses:
            rate.use(name, now, number)
        return None

    def room(self, client: Client, length_bytes: int, most_bytes: int) -> Room | Refusal:
        """Set memory aside for a body.

        Args:
            client: who sends it.
            length_bytes: how long it is.
            most_bytes: how long a body can be here.

        Returns:
            What gives the memory back, or why there is none now.
        """
        per_client = max(ROOM_BYTES // 4, most_bytes)
        bucket = client.bucket
        if (
            self._taken + length_bytes > max(ROOM_BYTES, 4 * most_bytes)
            or self._taken_by[bucket] + length_bytes > per_client
        ):
            return Refusal(503, "limits.bytes", "too many long bodies at once", b"Retry-After: 1\r\n")
        self._taken += length_bytes
        self._taken_by[bucket] += length_bytes

        def give_back() -> None:
            self._taken -= length_bytes
            self._taken_by[bucket] -= length_bytes
            if not self._taken_by[bucket]:
                del self._taken_by[bucket]

        return Room(give_back)

    @property
    def taken_bytes(self) -> int:
        """How much memory is set aside now."""
        return self._taken


class _Rates:
    def __init__(self, limits: Limits) -> None:
        self.logins = Rate(limits.logins_per_second, limits.logins_burst)
        self.blobs = Rate(limits.blobs_per_second, limits.blobs_burst)
        self.bytes = Rate(limits.blob_bytes_per_second, limits.blob_bytes_burst)
        self.most_bytes = int(limits.blob_bytes_burst)


def come_back(wait_s: float, code: str, message: str) -> Refusal:
    """Return the refusal of somebody who may ask again after so many seconds."""
    return Refusal(429, code, message, b"Retry-After: %d\r\n" % (int(wait_s) + 1))
