"""Places as a move sees them: it does not wait for ever, and what lost devices have signed is signed again.

Spec: docs/spec/migration.md, "Data".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from walletcli.client.host_session import MIN_BYTES_PER_S
from walletcli.client.manifests import Blob, Listed, SignedManifest, Writers, manifest_of
from walletcli.client.places import Place
from walletcli.errors import NetworkError
from walletcli.wallet.sealed.owner import Owner

GRACE_S: Final = 60.0
"""How much longer than its bytes allow a place may take in all, in seconds."""


class Resigned:
    """A place whose blobs come with manifests that a new provider takes: of a device of today.

    A blob that the identity's index names is right whoever has signed its manifest (docs/spec/sealed-data.md), but a
    provider goes by the devices of the record that it has. So the manifest of a device that is no longer in it is made
    again, with the same version and hash.

    Args:
        place: where the blobs are.
        owner: this device.
    """

    def __init__(self, place: Place, owner: Owner) -> None:
        self._place = place
        self._owner = owner

    @property
    def name(self) -> str:
        """As the place's."""
        return self._place.name

    @property
    def writers(self) -> Writers:
        """As the place's."""
        return self._place.writers

    def believing(self, writers: Writers) -> Resigned:
        """Return the same place, going by other `writers`."""
        return Resigned(self._place.believing(writers), self._owner)

    def manifests(self) -> Iterator[Listed]:
        """As the place's."""
        return self._place.manifests()

    def get(self, blob_id: bytes, expected: SignedManifest | None = None) -> Blob | None:
        """Return a blob of the place, its manifest made again if a former device has signed it."""
        blob = self._place.get(blob_id, expected)
        if blob is None or blob.manifest.signer in self._owner.devices | {self._owner.identity}:
            return blob
        signed = self._owner.manifest(blob_id, blob.manifest.version, blob.content)
        return Blob(SignedManifest(manifest_of(signed), signed), blob.content)

    def put(self, manifest: bytes, content: bytes, replaces_version: int) -> None:
        """As the place's."""
        self._place.put(manifest, content, replaces_version)


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
