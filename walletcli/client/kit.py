"""The exit kit in a directory: an identity's record, grants and sealed data at a place of its owner's choice.

Spec: docs/spec/exit-kit.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from walletcli.client.kit_files import BLOBS, HEAD, KitFiles
from walletcli.client.manifests import Blob, ItemFault, Listed, SignedManifest, Writers, checked_blob, manifest_of
from walletcli.core.blob import MAX_MANIFEST_BYTES
from walletcli.core.exit_kit import (
    BLOB_MAGIC,
    MAX_BLOB_FILE_BYTES,
    MAX_HEAD_BYTES,
    ExitKitHead,
    blob_file,
    blob_file_name,
    blob_id_of,
    read_blob_file,
)
from walletcli.errors import FormatError, StorageError, VerificationError

_FIRST_BYTES = len(BLOB_MAGIC) + 2 + MAX_MANIFEST_BYTES


class DirectoryPlace:
    """A `Place` that is a directory; for one identity, and for one thread at a time.

    Args:
        path: the directory.
        writers: who may sign manifests, and which versions are known.
    """

    def __init__(self, path: str, writers: Writers) -> None:
        self._files = KitFiles(path)
        self._writers = writers

    @property
    def name(self) -> str:
        """The directory's path."""
        return self._files.path

    @property
    def writers(self) -> Writers:
        """Who may sign manifests, and what is known of the blobs."""
        return self._writers

    def believing(self, writers: Writers) -> DirectoryPlace:
        """Return the same place, going by other `writers`."""
        return DirectoryPlace(self._files.path, writers)

    def head(self) -> ExitKitHead | None:
        """Return the kit's head, its record verified, or None where there is no kit.

        Raises:
            FormatError, VerificationError: as `ExitKitHead.from_bytes`; ``exit-kit.foreign``.
            VerificationError: ``exit-kit.identity`` for another identity's kit.
            StorageError: ``storage.failed``.
        """
        head = read_head(self._files.path)
        if head is not None and head.identity != self._writers.identity:
            raise VerificationError(
                "exit-kit.identity", f"{self.name} is another identity's exit kit", "name a directory of its own"
            )
        return head

    def write_head(self, head: ExitKitHead) -> None:
        """Make the kit, or bring its head up to date; never in place of one with a newer record.

        Raises:
            StorageError: ``exit-kit.not-empty``, ``exit-kit.busy``, ``storage.*``.
            VerificationError: ``exit-kit.identity``, ``exit-kit.newer``.
        """
        self._files.make()
        with self._files.lock():
            known = self.head()
            if known is not None and known.record.packet.seq > head.record.packet.seq:
                raise VerificationError(
                    "exit-kit.newer",
                    f"{self.name} holds a newer record than the one to be kept there",
                    "resolve the identity first: another device has published",
                )
            self._files.write(None, HEAD, head.to_bytes())

    def manifests(self) -> Iterator[Listed]:
        """Go through the blobs, ascending by id; content is not read, its length is checked."""
        for name in self._files.names():
            try:
                yield self._manifest(name)
            except (FormatError, VerificationError) as error:
                yield ItemFault(blob_id_of(name), error, name)

    def get(self, blob_id: bytes, expected: SignedManifest | None = None) -> Blob | None:
        """Return a blob, checked against its manifest, or None where the kit does not have it."""
        try:
            data, _ = self._files.read(BLOBS, blob_file_name(blob_id), MAX_BLOB_FILE_BYTES)
        except FileNotFoundError:
            return None
        manifest_bytes, content = read_blob_file(data)
        manifest = self._writers.verified(manifest_bytes, self.name, blob_id)
        if expected is not None and manifest.version < expected.version:
            raise VerificationError("blob.old-version", f"{self.name} holds an older version of {blob_id.hex()}")
        return checked_blob(manifest, content, self.name)

    def put(self, manifest: bytes, content: bytes, replaces_version: int) -> None:
        """Store a blob, fsynced, in place of the version that it replaces.

        Raises:
            StorageError: ``blob.version`` when another version is there, ``exit-kit.missing``, ``exit-kit.busy``,
                ``storage.*``.
            FormatError: ``blob.malformed``, ``cose.*``, ``manifest.*``.
        """
        blob_id = manifest_of(manifest).blob_id
        data = blob_file(manifest, content)
        with self._files.lock():
            if self._holds(blob_id, replaces_version, manifest):
                return
            self._files.write(BLOBS, blob_file_name(blob_id), data)

    def _holds(self, blob_id: bytes, replaces_version: int, manifest: bytes) -> bool:
        """Tell whether the blob is there already; refuse if it is in another version than the one to replace."""
        try:
            there = self._manifest(blob_file_name(blob_id))
        except FileNotFoundError:
            version = 0
        except (FormatError, VerificationError):
            return False  # what does not verify is worth nothing: it is written over
        else:
            if there.data == manifest:
                return True
            version = there.version
        if version != replaces_version:
            raise StorageError(
                "blob.version",
                f"{self.name} holds version {version} of blob {blob_id.hex()}, not {replaces_version}",
                "refresh the exit kit again: another process has written to it",
            )
        return False

    def _manifest(self, name: str) -> SignedManifest:
        blob_id = blob_id_of(name)
        if blob_id is None:
            raise FormatError("exit-kit.foreign", f"{name!r} in {self.name} is no blob", "remove it")
        data, size = self._files.read(BLOBS, name, MAX_BLOB_FILE_BYTES, _FIRST_BYTES)
        manifest_bytes, _ = read_blob_file(data)
        manifest = self._writers.verified(manifest_bytes, self.name, blob_id)
        if size != len(BLOB_MAGIC) + 2 + len(manifest_bytes) + manifest.manifest.length_bytes:
            raise VerificationError("blob.mismatch", f"{name} in {self.name} has another length than its manifest says")
        return manifest


def read_head(path: str) -> ExitKitHead | None:
    """Return the head of the kit in `path`, whoever's it is, or None where there is none.

    Raises:
        FormatError, VerificationError: as `ExitKitHead.from_bytes`; ``exit-kit.foreign``.
        StorageError: ``storage.failed``.
    """
    try:
        data, _ = KitFiles(path).read(None, HEAD, MAX_HEAD_BYTES)
    except FileNotFoundError:
        return None
    return ExitKitHead.from_bytes(data)
