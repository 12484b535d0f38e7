"""Copies an identity's sealed data from one place to another, blob by blob, and can be run again.

Spec: docs/spec/exit-kit.md, "Copying".
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from walletcli.client.manifests import Blob, ItemFault, SignedManifest
from walletcli.client.places import Place
from walletcli.core.blob import INDEX_ID
from walletcli.errors import FormatError, NetworkError, StorageError, VerificationError, WalletError

Progress: TypeAlias = Callable[[int, int], None]
"""Takes the bytes that are done and the bytes in all; called after each blob."""

PATIENCE: Final = 2
"""How many blobs in a row may fail because a place does not answer, before the rest is not tried."""

_GONE: Final = ("host.unreachable", "host.timeout", "host.login", "host.failed", "network.offline", "storage.failed")
_FULL: Final = ("blob.quota", "host.full", "storage.full", "host.not-bound", "exit-kit.missing", "exit-kit.busy")


@dataclass(frozen=True, slots=True)
class Missing:
    """A blob that should be somewhere and was not found.

    Attributes:
        blob_id: 16 bytes.
        version: the one that was looked for; a newer one would have done.
        found_version: the newest that was found, older than that; 0 for none.
    """

    blob_id: bytes
    version: int
    found_version: int = 0

    def to_json(self) -> dict[str, object]:
        """Return blob (hex), version and the version that was found."""
        return {"blob": self.blob_id.hex(), "version": self.version, "found_version": self.found_version}


@dataclass(slots=True)
class CopyReport:
    """What became of every blob.

    Attributes:
        source: name of the place that was copied from.
        target: name of the place that was copied to.
        copied: now at the target, durably.
        same: were at the target already, in this version or a newer one.
        missing: were wanted and are neither at the source nor at the target.
        failed: are at the source and could not be used or stored; the error says why.
        stopped: why the copy was given up before its end, or why the source could not be listed in full; None if
            neither.
        copied_bytes: sealed bytes of `copied`.
    """

    source: str
    target: str
    copied: list[SignedManifest] = field(default_factory=list)
    same: list[SignedManifest] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    failed: list[ItemFault] = field(default_factory=list)
    stopped: WalletError | None = None
    copied_bytes: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether everything that should be at the target is there."""
        return not self.missing and not self.failed and self.stopped is None

    def to_json(self) -> dict[str, object]:
        """Return counts, and each item that is not at the target."""
        return {
            "source": self.source,
            "target": self.target,
            "copied": len(self.copied),
            "copied_bytes": self.copied_bytes,
            "same": len(self.same),
            "missing": [item.to_json() for item in self.missing],
            "failed": [fault.to_json() for fault in self.failed],
            "stopped": self.stopped.to_json() if self.stopped is not None else None,
        }


def copy(
    source: Place, target: Place, wanted: Mapping[bytes, int] | None = None, progress: Progress | None = None
) -> CopyReport:
    """Bring what `source` has to `target`; what is there already in this version or a newer one stays.

    One blob is fetched while the one before is stored, so that a few blobs are in memory and no more. The index comes
    last: what it names is there before it. Nothing is undone when it is interrupted, and the next run goes on from
    there.

    Args:
        source: where from.
        target: where to.
        wanted: id and version of what should be there by a newer index or the owner's memory; None: what is listed.
        progress: is told of every blob.

    Returns:
        The report; failures of the places are in it, and are not raised.
    """
    report = CopyReport(source.name, target.name)
    there: dict[bytes, SignedManifest] = {}
    left: dict[bytes, int] = {}
    unknown: WalletError | None = None
    try:
        there, left = _at_target(target)
    except WalletError as error:
        unknown = error
    listed = list(_listed(source, report))
    if unknown is None:
        _Copy(source, target, there, left, report, progress).run(list(_to_do(listed, there, report)))
    else:
        report.failed += [ItemFault(item.blob_id, unknown, target.name) for item in listed]
        report.stopped = unknown
    if wanted is not None:
        _note_missing(wanted, listed, there, report)
    return report


def _at_target(target: Place) -> tuple[dict[bytes, SignedManifest], dict[bytes, int]]:
    """Return what a target has, and the versions of what is there by nobody who is trusted: that is to be replaced.

    Such blobs are left at a provider of before, by a device that has been removed since.
    """
    listed = list(target.manifests())
    there = {item.blob_id: item for item in listed if isinstance(item, SignedManifest)}
    if not any(isinstance(item, ItemFault) and item.error.code == "blob.writer" for item in listed):
        return there, {}
    anyones = target.believing(replace(target.writers, anyone=True)).manifests()
    return there, {item.blob_id: item.version for item in anyones if isinstance(item, SignedManifest)}


def _listed(source: Place, report: CopyReport) -> Iterator[SignedManifest]:
    """Go through the source as far as possible; faults go to the report."""
    try:
        for item in source.manifests():
            if isinstance(item, ItemFault):
                report.failed.append(item)
            else:
                yield item
    except WalletError as error:
        report.stopped = error


def _to_do(
    listed: Iterable[SignedManifest], there: Mapping[bytes, SignedManifest], report: CopyReport
) -> Iterator[SignedManifest]:
    index = None
    for item in listed:
        known = there.get(item.blob_id)
        if known is not None and known.version >= item.version:
            report.same.append(known)
        elif item.blob_id == INDEX_ID:
            index = item
        else:
            yield item
    if index is not None:
        yield index


def _note_missing(
    wanted: Mapping[bytes, int],
    listed: Iterable[SignedManifest],
    there: Mapping[bytes, SignedManifest],
    report: CopyReport,
) -> None:
    best = {fault.blob_id: -1 for fault in report.failed if fault.blob_id is not None}
    for item in (*listed, *there.values()):
        best[item.blob_id] = max(best.get(item.blob_id, 0), item.version)
    for blob_id, version in sorted(wanted.items()):
        found = best.get(blob_id, 0)
        if found != -1 and found < version:
            report.missing.append(Missing(blob_id, version, found))


class _Copy:
    """One run: a thread fetches, the caller's stores."""

    def __init__(
        self,
        source: Place,
        target: Place,
        there: Mapping[bytes, SignedManifest],
        left: Mapping[bytes, int],
        report: CopyReport,
        progress: Progress | None,
    ) -> None:
        self._source = source
        self._target = target
        self._there = there
        self._left = left
        self._report = report
        self._progress = progress
        self._fetched: queue.Queue[tuple[SignedManifest, Blob | WalletError | BaseException]] = queue.Queue(1)
        self._ends = threading.Event()
        self._failures = 0
        self._given_up: WalletError | None = None

    def run(self, todo: list[SignedManifest]) -> None:
        """Copy `todo` in its order."""
        if not todo:
            return
        total = sum(item.manifest.length_bytes for item in todo)
        done = 0
        fetcher = threading.Thread(target=self._fetch_all, args=(todo,), name="copy", daemon=True)
        fetcher.start()
        try:
            for _ in todo:
                item, found = self._fetched.get()
                self._take(item, found)
                done += item.manifest.length_bytes
                if self._progress is not None:
                    self._progress(done, total)
        finally:
            self._ends.set()
            _drain(self._fetched)
        fetcher.join()

    def _fetch_all(self, todo: list[SignedManifest]) -> None:
        failures = 0
        for at, item in enumerate(todo):
            found: Blob | WalletError | BaseException
            try:
                found = self._fetch(item)
                failures = 0
            except WalletError as error:
                found = error
                failures = failures + 1 if error.code in _GONE else 0
            except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
                found = error
            if not self._hand_over(item, found):
                return
            if failures >= PATIENCE and isinstance(found, WalletError):
                for rest in todo[at + 1 :]:
                    if not self._hand_over(rest, found):
                        return
                return

    def _hand_over(self, item: SignedManifest, found: Blob | WalletError | BaseException) -> bool:
        while not self._ends.is_set():
            try:
                self._fetched.put((item, found), timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def _fetch(self, item: SignedManifest) -> Blob:
        blob = self._source.get(item.blob_id, item)
        if blob is None:
            raise VerificationError(
                "blob.withheld",
                f"{self._source.name} lists blob {item.blob_id.hex()} and does not give it",
                f"do not rely on {self._source.name}: take the blob from another place, such as the exit kit",
            )
        return blob

    def _take(self, item: SignedManifest, found: Blob | WalletError | BaseException) -> None:
        if isinstance(found, Blob) and self._given_up is not None:
            found = self._given_up
        if isinstance(found, WalletError):
            if found.code in _GONE and self._given_up is None:
                self._report.stopped = found
            self._report.failed.append(ItemFault(item.blob_id, found, self._source.name))
        elif isinstance(found, Blob):
            self._store(found)
        else:
            raise found

    def _store(self, blob: Blob) -> None:
        item = blob.manifest
        known = self._there.get(item.blob_id)
        try:
            self._put(blob, known.version if known is not None else self._left.get(item.blob_id, 0))
        except (NetworkError, StorageError, FormatError, VerificationError) as error:
            self._report.failed.append(ItemFault(item.blob_id, error, self._target.name))
            self._failures = self._failures + 1 if error.code in _GONE else 0
            if error.code in _FULL or self._failures >= PATIENCE:
                self._given_up = self._report.stopped = error
        else:
            self._failures = 0

    def _put(self, blob: Blob, replaces_version: int) -> None:
        """Store a blob; if another device has meanwhile, look at what it stored."""
        item = blob.manifest
        try:
            self._target.put(item.data, blob.content, replaces_version)
        except (NetworkError, StorageError) as error:
            if error.code != "blob.version":
                raise
            there = self._target.get(item.blob_id)
            if there is not None and there.manifest.version >= item.version:
                self._report.same.append(there.manifest)
                return
            self._target.put(item.data, blob.content, there.manifest.version if there is not None else 0)
        self._report.copied.append(item)
        self._report.copied_bytes += len(blob.content)


def _drain(waiting: queue.Queue[tuple[SignedManifest, Blob | WalletError | BaseException]]) -> None:
    while True:
        try:
            waiting.get_nowait()
        except queue.Empty:
            return
