"""Uploads a file piece by piece, by a plan that outlives an interruption.

The file is read twice: once for its hash and those of its pieces, and once to be sealed; a piece that is no longer what
it was is not stored.

Spec: docs/spec/sealed-data.md, "Interrupted uploads".
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from walletcli.errors import InputError
from walletcli.wallet.home import Progress
from walletcli.wallet.sealed.index import MAX_INDEX_BYTES, PIECE_BYTES, Item, Kind, Piece, padded_bytes
from walletcli.wallet.sealed.memory import Plan, PlannedPiece
from walletcli.wallet.sealed.slots import Slot
from walletcli.wallet.sealed.writing import DataWriter

_INDEX_BYTES_PER_PIECE: Final = 55
_MAX_BYTES: Final = MAX_INDEX_BYTES // _INDEX_BYTES_PER_PIECE * PIECE_BYTES


@dataclass(frozen=True, slots=True)
class Scan:
    """What a file was when it was read the first time.

    Attributes:
        length_bytes: of the file.
        digest: SHA-256 of the file.
        pieces: SHA-256 of each piece, padding included.
    """

    length_bytes: int
    digest: bytes
    pieces: tuple[bytes, ...]


class SourceFile:
    """A regular file that is uploaded; a context manager.

    Args:
        path: of the file.

    Raises:
        InputError: ``file.missing``, ``file.unreadable``, ``file.not-regular``, ``data.too-large``.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            # without O_NONBLOCK a pipe without a writer would be waited for
            self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError as error:
            raise InputError("file.missing", f"there is no file {path}", "check the name") from error
        except OSError as error:
            raise self._unreadable(error) from error
        about = os.fstat(self._handle)
        self._size = about.st_size
        if not stat.S_ISREG(about.st_mode) or self._size > _MAX_BYTES:
            os.close(self._handle)
            if self._size > _MAX_BYTES:
                raise InputError(
                    "data.too-large", f"{path} has more than {_MAX_BYTES} bytes", "divide it, or keep it elsewhere"
                )
            raise InputError(
                "file.not-regular",
                f"{path} is no ordinary file",
                "what is uploaded has to be read twice: save it first",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)

    def scan(self) -> Scan:
        """Read the file for its hashes.

        Raises:
            InputError: ``file.unreadable``, ``data.file-changed``.
        """
        whole = hashlib.sha256()
        pieces = []
        for number, size in enumerate(_sizes(self._size)):
            part = self._read(number * PIECE_BYTES, min(size, max(0, self._size - number * PIECE_BYTES)))
            whole.update(part)
            pieces.append(hashlib.sha256(part.ljust(size, b"\0")).digest())
        return Scan(self._size, whole.digest(), tuple(pieces))

    def piece(self, number: int, digest: bytes) -> bytes:
        """Return a piece, padding included, if it still is what it was.

        Args:
            number: of the piece, from 0.
            digest: its SHA-256.

        Raises:
            InputError: ``file.unreadable``, ``data.file-changed``.
        """
        start = number * PIECE_BYTES
        size = min(PIECE_BYTES, padded_bytes(self._size) - start)
        content = self._read(start, min(size, max(0, self._size - start))).ljust(size, b"\0")
        if hashlib.sha256(content).digest() != digest:
            raise self._changed()
        return content

    def _read(self, start: int, size: int) -> bytes:
        parts = []
        while size:
            try:
                part = os.pread(self._handle, size, start)
            except OSError as error:
                raise self._unreadable(error) from error
            if not part:
                raise self._changed()
            parts.append(part)
            start, size = start + len(part), size - len(part)
        return b"".join(parts)

    def _changed(self) -> InputError:
        return InputError(
            "data.file-changed", f"{self.path} was changed while it was read", "try again when nobody writes to it"
        )

    def _unreadable(self, error: OSError) -> InputError:
        return InputError(
            "file.unreadable", f"cannot read {self.path}: {error.strerror}", "check the name and its permissions"
        )


def _sizes(length_bytes: int) -> Iterator[int]:
    """Give the length of each piece, padding included."""
    left = padded_bytes(length_bytes)
    while left:
        yield min(left, PIECE_BYTES)
        left -= min(left, PIECE_BYTES)


def new_plan(writer: DataWriter, name: str, scan: Scan) -> Plan:
    """Choose where the pieces of a file go."""
    slots = [writer.next_slot() for _ in scan.pieces]
    pieces = tuple(
        PlannedPiece(slot.blob_id, slot.version, digest) for slot, digest in zip(slots, scan.pieces, strict=True)
    )
    return Plan(name, scan.length_bytes, scan.digest, int(time.time()), writer.owner.recipients, pieces)


def is_of(plan: Plan, scan: Scan, recipients: tuple[bytes, ...]) -> bool:
    """Tell whether a plan is for this file and these recipients, so that the upload can go on."""
    same = (plan.length_bytes, plan.digest, plan.recipients) == (scan.length_bytes, scan.digest, recipients)
    return same and tuple(piece.digest for piece in plan.pieces) == scan.pieces


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The pieces of a file, stored; no index names them yet.

    Attributes:
        item: that they make.
        resumed: how many had been stored before.
    """

    item: Item
    resumed: int


def upload(writer: DataWriter, plan: Plan, source: SourceFile, progress: Progress) -> Uploaded:
    """Store the pieces that are not there yet.

    Raises:
        InputError: ``data.file-changed``, ``file.unreadable``.
        NetworkError, StorageError: the place's; what was stored stays, and the next attempt goes on.
    """
    pieces: list[Piece] = []
    resumed = 0
    for number, planned in enumerate(plan.pieces):
        there = _stored(writer, planned)
        if there is not None:
            pieces.append(there)
            resumed += 1
            continue
        content = source.piece(number, planned.digest)
        pieces.append(writer.store_piece(content, _slot_for(writer, planned)))
        done = min(plan.length_bytes, (number + 1) * PIECE_BYTES)
        progress(f"storing {plan.name}: {done >> 20} of {plan.length_bytes >> 20} MiB")
    item = Item(Kind.FILE, plan.name, plan.length_bytes, plan.digest, plan.made_s, plan.recipients, tuple(pieces))
    return Uploaded(item, resumed)


def _stored(writer: DataWriter, planned: PlannedPiece) -> Piece | None:
    """Return the piece if an earlier attempt has stored it: only this device writes this version of this id."""
    there = writer.listed().manifests.get(planned.blob_id)
    if there is None or there.version != planned.version or there.signer != writer.owner.device:
        return None
    content_hash = there.manifest.content_hash
    return Piece(planned.blob_id, planned.version, content_hash) if content_hash is not None else None


def _slot_for(writer: DataWriter, planned: PlannedPiece) -> Slot | None:
    """Return the planned place if it still is free, or None."""
    listing = writer.listed()
    there = listing.manifests.get(planned.blob_id)
    if planned.blob_id in listing.faults:
        return None
    if there is None:
        return Slot(planned.blob_id, planned.version, 0)
    dead = dict(writer.seen.index.free).get(planned.blob_id, 0) if writer.seen is not None else 0
    if there.version < planned.version and (there.is_deletion or there.version <= dead):
        return Slot(planned.blob_id, planned.version, there.version)
    return None


def stored_pieces(writer: DataWriter, plan: Plan) -> int:
    """Return how many pieces of an upload under way are stored."""
    return sum(_stored(writer, planned) is not None for planned in plan.pieces)


def abandon(writer: DataWriter, plan: Plan) -> None:
    """Delete the pieces of an upload that will not go on, unless the index names them."""
    pins = writer.items().index.pins
    stored = [
        planned for planned in plan.pieces if _stored(writer, planned) is not None and planned.blob_id not in pins
    ]
    writer.delete([writer.listed().manifests[planned.blob_id] for planned in stored])
