"""A place as the source for another provider: what a device has signed that is one no longer is signed anew on the way.

A provider takes only what a device of the identity's latest record has signed. The sealed bytes and the version stay,
and so the index names them as before. What neither the index names nor a device of today has signed is left behind.

Spec: docs/spec/sealed-data.md, "Putting back".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from walletcli.client.manifests import Blob, ItemFault, Listed, SignedManifest, Writers
from walletcli.client.places import Place
from walletcli.core.manifest import Manifest
from walletcli.wallet.sealed.owner import Owner


class ResignedPlace:
    """Gives what another place has, signed by this device where it has to be.

    Args:
        place: it goes by writers that pin what the index names.
        owner: this device.
    """

    def __init__(self, place: Place, owner: Owner) -> None:
        self._place = place
        self._owner = owner

    @property
    def name(self) -> str:
        """Name of the place."""
        return self._place.name

    @property
    def writers(self) -> Writers:
        """Those of the place."""
        return self._place.writers

    def believing(self, writers: Writers) -> ResignedPlace:
        """Return the same place, going by other `writers`."""
        return ResignedPlace(self._place.believing(writers), self._owner)

    def manifests(self) -> Iterator[Listed]:
        """Go through what is there, each signed by a device of today."""
        writers = self._place.writers
        for item in self._place.believing(replace(writers, anyone=True)).manifests():
            if isinstance(item, ItemFault):
                yield item
                continue
            said = (item.version, item.manifest.content_hash)
            trusted = item.signer in writers.keys or writers.pinned.get(item.blob_id) == said
            if trusted or item.is_deletion:
                yield self._signed(item)

    def get(self, blob_id: bytes, expected: SignedManifest | None = None) -> Blob | None:
        """Return a blob, signed by a device of today."""
        if expected is not None and expected.is_deletion:
            return Blob(self._signed(expected), b"")  # whoever has signed it: there is nothing to be fetched
        blob = self._place.get(blob_id, expected)
        return Blob(self._signed(blob.manifest), blob.content) if blob is not None else None

    def put(self, manifest: bytes, content: bytes, replaces_version: int) -> None:
        """Store a blob at the place."""
        self._place.put(manifest, content, replaces_version)

    def _signed(self, item: SignedManifest) -> SignedManifest:
        if item.signer in self._owner.devices:
            return item
        said = item.manifest
        again = Manifest(said.identity, said.blob_id, said.version, said.content_hash, said.length_bytes)
        return SignedManifest(again, self._owner.sign(again.to_payload()))
