"""Places that hold an identity's sealed data: a provider, an exit kit.

Spec: docs/spec/hosting.md, docs/spec/exit-kit.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from walletcli.client.host import HostClient
from walletcli.client.manifests import Blob, Listed, SignedManifest, Writers


class Place(Protocol):
    """Holds blobs of one identity; for one thread at a time. Whatever comes out of it has been verified."""

    @property
    def name(self) -> str:
        """How the place is called in messages: an address or a path."""

    @property
    def writers(self) -> Writers:
        """Who may sign manifests, and what is known of the blobs."""

    def believing(self, writers: Writers) -> Place:
        """Return the same place, going by other `writers`; it shares the connection with this one."""

    def manifests(self) -> Iterator[Listed]:
        """Go through what is there, ascending by id; what does not verify comes as a fault.

        Raises:
            NetworkError, StorageError, FormatError, VerificationError: when the place cannot be gone through.
        """

    def get(self, blob_id: bytes, expected: SignedManifest | None = None) -> Blob | None:
        """Return a blob, or None where the place does not have it.

        Args:
            blob_id: 16 bytes.
            expected: as it was listed; this version or a newer one is given.

        Raises:
            NetworkError, StorageError, FormatError, VerificationError: ``blob.*``, ``host.*``, ``exit-kit.*``.
        """

    def put(self, manifest: bytes, content: bytes, replaces_version: int) -> None:
        """Store a blob, durably, in place of the version that it replaces (0 for nothing).

        Raises:
            NetworkError, StorageError: ``blob.version`` when another version is there; ``host.*``, ``storage.*``.
        """


class HostPlace:
    """A provider.

    Args:
        client: logged in; for this identity.
        writers: who may sign manifests, and which versions are known.
    """

    def __init__(self, client: HostClient, writers: Writers) -> None:
        self._client = client
        self._writers = writers

    @property
    def name(self) -> str:
        """The provider's address."""
        return self._client.name

    @property
    def writers(self) -> Writers:
        """Who may sign manifests, and what is known of the blobs."""
        return self._writers

    def believing(self, writers: Writers) -> HostPlace:
        """Return the same place, going by other `writers`."""
        return HostPlace(self._client, writers)

    def manifests(self) -> Iterator[Listed]:
        """As `HostClient.listed`."""
        return self._client.listed(self._writers)

    def get(self, blob_id: bytes, expected: SignedManifest | None = None) -> Blob | None:
        """As `HostClient.get_blob`."""
        return self._client.get_blob(blob_id, self._writers, expected)

    def put(self, manifest: bytes, content: bytes, replaces_version: int) -> None:
        """As `HostClient.put_blob`."""
        self._client.put_blob(manifest, content, replaces_version)
