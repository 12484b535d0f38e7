"""``/host/KEY…``: sealed blobs in and out, and how an identity stands.

Spec: docs/spec/hosting.md, "Blobs".
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from functools import partial
from typing import Final, NamedTuple

from walletcli.client.host_answers import PAGE_ITEMS, HostState, HostStatus, write_page
from walletcli.core.blob import MAX_MANIFEST_BYTES
from walletcli.core.manifest import Manifest
from walletcli.core.statements import verify_statement
from walletcli.errors import StorageError, WalletError
from walletcli.node.gate import Gate
from walletcli.node.hosting.budget import SHORT_BYTES, Budget
from walletcli.node.hosting.devices import DeviceBook
from walletcli.node.hosting.doors import CBOR_TYPE
from walletcli.node.hosting.kept import PART_BYTES, Forget, Hosted, Kept, PutBlob, StoredBlob
from walletcli.node.hosting.lately import Lately
from walletcli.node.hosting.provider import DAY_S, Provider
from walletcli.node.hosting.tokens import Session
from walletcli.node.http import Connection
from walletcli.node.metrics import HostingCounters
from walletcli.node.request import BodyLimit, Client, Refusal, Request
from walletcli.node.store import Outcome

FRAME_TYPE: Final = b"application/walletcli-blob-frame"
CODE_TOO_LONG: Final = "blob.too-long"

_HEAD_BYTES: Final = 2 + MAX_MANIFEST_BYTES
_NOT_BOUND: Final = Refusal(403, "host.not-bound", "the record stored here holds no valid grant of this node")
_READ_ONLY: Final = Refusal(403, "host.read-only", "a root may only read")
_REFUSALS: Final = {
    Outcome.NOT_BOUND: _NOT_BOUND,
    Outcome.PRECONDITION: Refusal(412, "blob.version", "another version is stored than the request expects"),
    Outcome.CONFLICT: Refusal(412, "blob.version", "another blob is stored than the manifest says it replaces"),
    Outcome.TOO_LONG: Refusal(413, CODE_TOO_LONG, "the grant allows no blob of this length"),
    Outcome.NO_QUOTA: Refusal(507, "blob.quota", "there is no room left under the grant"),
    Outcome.NO_ROOM: Refusal(507, "storage.full", "this node has no room"),
}


class _Frame(NamedTuple):
    """A blob as it came: verified in form and signature, and of whom it says it is."""

    manifest: Manifest
    data: bytes
    content: memoryview


class Blobs:
    """Answers requests about what is kept for an identity.

    Args:
        gate: store, writer and answers.
        provider: who this node is.
        devices: who may act for whom.
        budget: how much may be asked for.
        counters: what is counted.
    """

    def __init__(
        self, gate: Gate, provider: Provider, devices: DeviceBook, budget: Budget, counters: HostingCounters
    ) -> None:
        self._gate = gate
        self._provider = provider
        self._devices = devices
        self._budget = budget
        self._counters = counters
        self._lately = Lately(gate.store.hosted, gate.writer.state, gate.clock)

    # how an identity stands

    def status(self, session: Session) -> bytes:
        """Answer ``GET /host/KEY``; raises StorageError."""
        hosted = self._gate.store.hosted(session.key)
        if hosted is None:
            status = HostStatus(HostState.UNKNOWN, None, 0, 0, None, None)
        else:
            bound = hosted.is_bound(time.time())
            status = HostStatus(
                HostState.BOUND if bound else HostState.LEAVING,
                hosted.terms,
                hosted.used_bytes,
                hosted.blobs,
                None if bound else _leaving_day(hosted),
                hosted.grant_digest,
            )
        return self._gate.answers.text(200, status.to_bytes(), CBOR_TYPE)

    def forget(self, session: Session, connection: Connection) -> bytes | None:
        """Answer ``DELETE /host/KEY``; None as long as it is not on disk."""
        if not session.may_write:
            return self._refused(_READ_ONLY)
        self._gate.writer.submit(Forget(session.key), partial(self._written, connection))
        return None

    # reading

    def page(self, session: Session, client: Client, after: bytes | None, limit: int) -> bytes:
        """Answer ``GET /host/KEY/blobs``; raises StorageError.

        Args:
            session: who asks.
            client: from where.
            after: the blob id (16 bytes) that the page begins behind, or None.
            limit: most manifests.
        """
        hosted = self._gate.store.hosted(session.key)
        found = self._gate.store.manifests(hosted.host_id, after, min(limit, PAGE_ITEMS)) if hosted is not None else []
        body = write_page(found)
        refusal = self._budget.refuse_blob(client, session.key, len(body))
        return self._refused(refusal) if refusal is not None else self._gate.answers.text(200, body, CBOR_TYPE)

    def get(self, session: Session, request: Request, connection: Connection, blob_id: bytes) -> bytes | None:
        """Answer ``GET /host/KEY/blob/ID``; None for one that goes out in parts. Raises StorageError."""
        store = self._gate.store
        hosted = store.hosted(session.key)
        blob = store.blob(hosted.host_id, blob_id) if hosted is not None else None
        if blob is None:
            return self._gate.answers.error(404, "request.path", "no such blob is kept")
        refusal = self._budget.refuse_blob(request.client, session.key, blob.size_bytes)
        if refusal is not None:
            return self._refused(refusal)
        self._counters.blobs_out += 1
        self._counters.blob_bytes_out += blob.size_bytes
        front = len(blob.manifest).to_bytes(2, "big") + blob.manifest
        head = self._gate.answers.long(FRAME_TYPE, len(front) + blob.size_bytes, b'ETag: "%d"\r\n' % blob.version)
        parts = self._parts(blob)
        if blob.size_bytes <= PART_BYTES:
            return b"".join((head, front, *parts))
        connection.stream(head + front, parts)
        return None

    def _parts(self, blob: StoredBlob) -> Iterator[bytes]:
        """Read a content part by part; it may be replaced meanwhile, and then there is no rest to give."""
        for number in range(-(-blob.size_bytes // PART_BYTES)):
            part = self._gate.store.blob_part(blob.content_id, number)
            if part is None:
                raise StorageError("storage.failed", "a blob was replaced while it was read")
            yield part

    # writing

    def body_limit(self, session: Session, client: Client, length_bytes: int | None) -> BodyLimit | Refusal:
        """Decide from a request's head whether the body of a PUT is taken.

        Args:
            session: who asks.
            client: from where.
            length_bytes: of the body, or None if it was not said.

        Raises:
            StorageError: the store cannot be read.
        """
        if not session.may_write:
            return _READ_ONLY
        hosted = self._lately.of(session.key)
        if hosted is None or not hosted.is_bound(time.time()):
            return _NOT_BOUND
        if length_bytes is None:
            return Refusal(411, "request.length", "a blob is sent with its length")
        most_bytes = _HEAD_BYTES + hosted.terms.max_blob_bytes
        if length_bytes > most_bytes:
            return BodyLimit(most_bytes, CODE_TOO_LONG)
        refusal = self._budget.refuse_blob(client, session.key, length_bytes)
        if refusal is None and self._gate.is_full and length_bytes > _HEAD_BYTES:
            refusal = _REFUSALS[Outcome.NO_ROOM]
        if refusal is not None:
            return refusal
        if length_bytes <= SHORT_BYTES:
            return BodyLimit(most_bytes, CODE_TOO_LONG)
        room = self._budget.room(client, length_bytes, most_bytes)
        return room if isinstance(room, Refusal) else BodyLimit(most_bytes, CODE_TOO_LONG, room)

    def put(self, session: Session, request: Request, connection: Connection, blob_id: bytes) -> bytes | None:
        """Answer ``PUT /host/KEY/blob/ID``; None as long as it is not on disk. Raises StorageError."""
        if request.room is None:
            limit = self.body_limit(session, request.client, len(request.body))
            if isinstance(limit, Refusal):
                return self._refused(limit)
            if len(request.body) > limit.most_bytes:
                return self._gate.answers.error(413, limit.code, f"at most {limit.most_bytes} bytes are taken here")
        replaces = _expected(request.headers.get(b"if-match"))
        if replaces is None:
            status = 400 if b"if-match" in request.headers else 428
            return self._gate.answers.error(
                status, "blob.precondition", "say with If-Match which version is replaced, 0 for none"
            )
        body = request.view if request.view is not None else memoryview(request.body)
        frame = self._frame(body, session.key, blob_id, replaces)
        if isinstance(frame, Refusal):
            return self._refused(frame)
        manifest = frame.manifest
        put = PutBlob(
            session.key,
            blob_id,
            manifest.version,
            frame.data,
            frame.content,
            replaces,
            manifest.previous,
            self._provider.settings.max_mib << 20,
        )
        self._counters.blob_bytes_in += len(frame.content)
        self._gate.writer.submit(put, partial(self._written, connection))
        return None

    def _frame(self, body: memoryview, key: bytes, blob_id: bytes, replaces: int) -> _Frame | Refusal:
        """Take a frame apart and check it, step by step as docs/spec/hosting.md has it."""
        size = int.from_bytes(body[:2], "big")
        if not 1 <= size <= MAX_MANIFEST_BYTES or len(body) < 2 + size:
            return Refusal(400, "blob.malformed", "a blob is a manifest's length, the manifest and the sealed content")
        data, content = bytes(body[2 : 2 + size]), body[2 + size :]
        try:
            manifest, sign1 = verify_statement(data, Manifest, MAX_MANIFEST_BYTES)
        except WalletError as error:
            return Refusal(400, error.code, error.message)
        if manifest.identity != key:
            return Refusal(400, "blob.identity", "the manifest is of another identity")
        if manifest.blob_id != blob_id:
            return Refusal(400, "blob.other", "the manifest is of another blob")
        devices = self._devices.of(key)
        if sign1.signer != key and (devices is None or sign1.signer not in devices.by_key):
            return Refusal(403, "blob.writer", "the manifest is signed by no device of the identity that may host")
        if manifest.version <= replaces:
            return Refusal(400, "blob.old-version", "a version replaces a lower one")
        digest = hashlib.sha256(content).digest() if len(content) else None
        if len(content) != manifest.length_bytes or digest != manifest.content_hash:
            return Refusal(400, "blob.mismatch", "the content is not what the manifest names")
        return _Frame(manifest, data, content)

    def _written(self, connection: Connection, result: Outcome | WalletError) -> None:
        answers = self._gate.answers
        if isinstance(result, StorageError):
            connection.finish(self._gate.storage_failed(result))
        elif isinstance(result, Outcome) and result in _REFUSALS:
            connection.finish(self._refused(_REFUSALS[result]))
        else:
            self._counters.blobs_in += result is Outcome.STORED
            connection.finish(answers.no_content)

    def _refused(self, refusal: Refusal) -> bytes:
        return self._gate.answers.error(refusal.status, refusal.code, refusal.message, refusal.extra)


def _leaving_day(hosted: Hosted) -> int:
    """Return the day on which what is kept is deleted."""
    if hosted.state is Kept.LEAVING:
        return hosted.due_s // DAY_S
    return hosted.due_s // DAY_S + hosted.terms.retention_days  # the grant is over, and the sweep has not come yet


def _expected(header: bytes | None) -> int | None:
    """Return the version in an If-Match, or None if there is none to be read."""
    text = (header or b"").strip()
    if len(text) < 3 or text[:1] != b'"' or text[-1:] != b'"' or len(text) > 18 or not text[1:-1].isdigit():
        return None
    return int(text[1:-1])
