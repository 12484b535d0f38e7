"""A place as a move sees it: it does not wait for ever.

Spec: docs/spec/migration.md, "Data".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from walletcli.client.host_session import MIN_BYTES_PER_S
from walletcli.client.manifests import Blob, Listed, SignedManifest, Writers
from walletcli.client.places import Place
from walletcli.errors import NetworkError

GRACE_S: Final = 60.0
"""How much longer than its bytes allow a place may take in all, in seconds."""


class Paced:
    """A place that is given up when all that it gives comes too slowly: one that never says no, and never ends.

    Each call has a deadline of its own (`HostClient`); this one is for all of them together: `GRACE_S`, and a second
    for each 32 KiB.

    Args:
        place: which.
        clock: monotonic seconds.
    """

    def __init__(self, place: Place, clock: Callable[[], float] = time.monotonic) -> None:
        self._place = place
        self._clock = clock
        self._taken_s = 0.0
        self._given_bytes = 0

    @property
    def name(self) -> str:
        """As the place's."""
        return self._place.name

    @property
    def writers(self) -> Writers:
        """As the place's."""
        return self._place.writers

    def believing(self, writers: Writers) -> Paced:
        """Return the same place, going by other `writers`, with its time used so far."""
        other = Paced(self._place.believing(writers), self._clock)
        other._taken_s, other._given_bytes = self._taken_s, self._given_bytes
        return other

    def manifests(self) -> Iterator[Listed]:
        """As the place's."""
        return self._place.manifests()

    def get(self, blob_id: bytes, expected: SignedManifest | None = None) -> Blob | None:
        """Return a blob, as long as the place keeps pace.

        Raises:
            NetworkError: ``host.timeout`` when it has used up its time.
        """
        if self._taken_s > GRACE_S + self._given_bytes / MIN_BYTES_PER_S:
            raise NetworkError(
                "host.timeout",
                f"{self.name} gives less than {MIN_BYTES_PER_S // 1024} KiB a second",
                "what is at another place is taken from there",
            )
        started_s = self._clock()
        try:
            blob = self._place.get(blob_id, expected)
        finally:
            self._taken_s += self._clock() - started_s
        self._given_bytes += len(blob.content) if blob is not None else 0
        return blob

    def put(self, manifest: bytes, content: bytes, replaces_version: int) -> None:
        """As the place's."""
        self._place.put(manifest, content, replaces_version)
