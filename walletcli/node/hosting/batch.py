"""What is hosted, written inside the store's transactions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final, cast

import apsw

from walletcli.node.hosting.kept import (
    MAX_BLOBS,
    PART_BYTES,
    Claim,
    Disown,
    Forget,
    Hosted,
    HostWrite,
    Kept,
    PutBlob,
    Rule,
    StoredBlob,
    UseInvitation,
)
from walletcli.node.hosting.tables import PARTS, find_blob, find_hosted, find_rule
from walletcli.node.sqlite_tail import tag_of
from walletcli.node.store import Outcome

DAY_S: Final = 86_400
_AT_ONCE: Final = 100
"""How many identities one sweep looks at, and how many blobs of deleted data it clears away."""

_CLEAR_BYTES: Final = 4 << 20
"""How much deleted content one sweep clears away; one blob at least."""

_BIND: Final = "INSERT INTO hosted VALUES(NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?)"
_REBIND: Final = (
    "UPDATE hosted SET state = ?, due_s = ?, quota = ?, retention = ?, max_blob = ?, digest = ?, signer = ? "
    "WHERE id = ?"
)
_LEAVE: Final = "UPDATE hosted SET state = 2, due_s = ? + retention * 86400 WHERE id = ?"
_DISOWN: Final = (
    "UPDATE hosted SET state = 2, due_s = ? + retention * 86400 WHERE state = 1 AND signer != ? RETURNING 1"
)
_DUE: Final = "SELECT id, state, host, blobs, used FROM hosted WHERE due_s <= ? ORDER BY due_s LIMIT ?"
_PUT_BLOB: Final = "INSERT OR REPLACE INTO blob VALUES(?, ?, ?, ?, ?, ?)"
_PUT_PART: Final = "INSERT INTO blob_part VALUES(?, ?)"
_DROP_PARTS: Final = "DELETE FROM blob_part WHERE id BETWEEN ? AND ?"
_COUNT_BLOB: Final = "UPDATE hosted SET used = used + ?, blobs = blobs + ? WHERE id = ?"
_USE: Final = "UPDATE invitation SET used = used + 1 WHERE digest = ?"


class HostBatch:
    """Applies writes on the store's writing connection, inside its transaction.

    Args:
        cursor: of that connection.
        count: changes a count of the store by a difference.
        stored_count: returns a count as the transaction has it.
    """

    def __init__(
        self, cursor: apsw.Cursor, count: Callable[[str, int], None], stored_count: Callable[[str], int]
    ) -> None:
        self._cursor = cursor
        self._count = count
        self._stored_count = stored_count
        self._has_claims = stored_count("claims") > 0
        self._signer: bytes | None = None
        last_part = cursor.execute("SELECT max(id) FROM blob_part").get
        self._last_content = last_part // PARTS if last_part is not None else 0

    def apply(self, write: HostWrite, now_s: int) -> Outcome:
        """Apply one write and return what becomes of it.

        Args:
            write: what to do.
            now_s: Unix seconds.
        """
        if isinstance(write, PutBlob):
            return self._put_blob(write, now_s)
        if isinstance(write, UseInvitation):
            return self._use_invitation(write, now_s)
        if isinstance(write, Forget):
            self._forget(write.key)
        elif isinstance(write, Disown):
            self._disown(write, now_s)
        else:
            self._end_what_is_due(now_s)
            self._clear_trash()
        return Outcome.STORED

    # how identities stand

    def count_claim(self) -> None:
        """Count a document with a claim."""
        self._count("claims", 1)
        self._has_claims = True

    def named(self, key: bytes, claim: bytes | None, now_s: int) -> None:
        """Let an identity's state follow its record.

        Args:
            key: the identity's, 32 bytes.
            claim: stored with the document that its packet names; None if that has none, or none is named.
            now_s: Unix seconds.
        """
        if not self._has_claims:  # nobody was ever bound here: that saves a look-up for each packet
            return
        hosted = find_hosted(self._cursor, key)
        found = Claim.from_bytes(claim) if claim is not None else None
        if found is not None and self._counts(key, found, now_s):
            self._bind(key, hosted, found)
        elif hosted is not None and hosted.state is Kept.BOUND:
            self._leave(hosted, now_s)

    def _counts(self, key: bytes, claim: Claim, now_s: int) -> bool:
        """Tell whether a claim binds today."""
        if claim.not_after_day * DAY_S <= now_s or claim.signer != (self._signer or claim.signer):
            return False
        return find_rule(self._cursor, key) is not Rule.BLOCKED

    def _bind(self, key: bytes, hosted: Hosted | None, claim: Claim) -> None:
        terms, due_s = claim.terms, claim.not_after_day * DAY_S
        given = (due_s, terms.quota_bytes, terms.retention_days, terms.max_blob_bytes, claim.grant_digest)
        if hosted is None:
            self._cursor.execute(_BIND, (tag_of(key), key, self._next_host(), Kept.BOUND.value, *given, claim.signer))
            self._count("hosted", 1)
            return
        self._cursor.execute(_REBIND, (Kept.BOUND.value, *given, claim.signer, hosted.row_id))
        if hosted.state is Kept.LEAVING:
            self._count("leaving", -1)

    def _leave(self, hosted: Hosted, now_s: int) -> None:
        self._cursor.execute(_LEAVE, (now_s, hosted.row_id))
        self._count("leaving", 1)

    def _disown(self, write: Disown, now_s: int) -> None:
        self._signer = write.signer
        gone = self._cursor.execute(_DISOWN, (now_s, write.signer)).fetchall()
        self._count("leaving", len(gone))

    def leave(self, key: bytes, now_s: int) -> None:
        """Have an identity leave, whatever its record says: the operator has blocked it."""
        hosted = find_hosted(self._cursor, key)
        if hosted is not None and hosted.state is Kept.BOUND:
            self._leave(hosted, now_s)

    def _next_host(self) -> int:
        """Return a number that was not given out before."""
        self._count("last_host", 1)
        return self._stored_count("last_host")

    # blobs

    def _put_blob(self, put: PutBlob, now_s: int) -> Outcome:
        hosted = find_hosted(self._cursor, put.key)
        if hosted is None or not hosted.is_bound(now_s):
            return Outcome.NOT_BOUND
        stored = find_blob(self._cursor, hosted.host_id, put.blob_id)
        refusal = self._blob_refusal(put, hosted, stored)
        if refusal is not None:
            return refusal
        size = len(put.content)
        content_id = self._put_content(put.content) if size else 0
        self._cursor.execute(_PUT_BLOB, (hosted.host_id, put.blob_id, put.version, put.manifest, content_id, size))
        more_bytes, more_blobs = size - (stored.size_bytes if stored is not None else 0), int(stored is None)
        if stored is not None:
            self._drop_content(stored.content_id)
        self._cursor.execute(_COUNT_BLOB, (more_bytes, more_blobs, hosted.row_id))
        self._count("blob_bytes", more_bytes)
        self._count("blobs", more_blobs)
        return Outcome.STORED

    def _blob_refusal(self, put: PutBlob, hosted: Hosted, stored: StoredBlob | None) -> Outcome | None:
        """Return why a blob is not stored, or None if it is."""
        if stored is not None and stored.manifest == put.manifest:
            return Outcome.SAME
        version = stored.version if stored is not None else 0
        if version != put.replaces or put.version <= version:
            return Outcome.PRECONDITION
        if stored is not None and put.version == version + 1 and _denies(put.previous, stored.manifest):
            return Outcome.CONFLICT
        if len(put.content) > hosted.terms.max_blob_bytes:
            return Outcome.TOO_LONG
        more = len(put.content) - (stored.size_bytes if stored is not None else 0)
        if (more > 0 and hosted.used_bytes + more > hosted.terms.quota_bytes) or (
            stored is None and hosted.blobs >= MAX_BLOBS
        ):
            return Outcome.NO_QUOTA
        if more > 0 and put.share_bytes and self._stored_count("blob_bytes") + more > put.share_bytes:
            return Outcome.NO_ROOM
        return None

    def _put_content(self, content: bytes | memoryview) -> int:
        self._last_content += 1  # a transaction that is rolled back leaves a gap
        content_id = self._last_content
        for number, at in enumerate(range(0, len(content), PART_BYTES)):
            self._cursor.execute(_PUT_PART, (content_id * PARTS + number, content[at : at + PART_BYTES]))
        return content_id

    def _drop_content(self, content_id: int) -> None:
        if content_id:
            self._cursor.execute(_DROP_PARTS, (content_id * PARTS, content_id * PARTS + PARTS - 1))

    def _forget(self, key: bytes) -> None:
        """Take everything away from an identity at once; the sweep clears it up, a little at a time."""
        hosted = find_hosted(self._cursor, key)
        if hosted is None or not hosted.blobs:
            return
        self._discard(hosted.host_id, hosted.blobs, hosted.used_bytes)
        self._cursor.execute(
            "UPDATE hosted SET host = ?, used = 0, blobs = 0 WHERE id = ?", (self._next_host(), hosted.row_id)
        )

    def _discard(self, host_id: int, blobs: int, used_bytes: int) -> None:
        self._count("blobs", -blobs)
        self._count("blob_bytes", -used_bytes)
        if blobs:
            self._cursor.execute("INSERT INTO trash VALUES(?)", (host_id,))
            self._count("trash", 1)

    # invitations

    def _use_invitation(self, write: UseInvitation, now_s: int) -> Outcome:
        found = self._cursor.execute(
            "SELECT uses - used, expires_s FROM invitation WHERE digest = ?", (write.digest,)
        ).get
        if found is None or found[1] <= now_s:
            return Outcome.REFUSED
        pair = (write.digest, write.key)
        if self._cursor.execute("SELECT 1 FROM invited WHERE digest = ? AND key = ?", pair).get is not None:
            return Outcome.SAME
        if found[0] <= 0:
            return Outcome.REFUSED
        self._cursor.execute("INSERT INTO invited VALUES(?, ?)", pair)
        self._cursor.execute(_USE, (write.digest,))
        return Outcome.STORED

    # by the clock

    def _end_what_is_due(self, now_s: int) -> None:
        rows = cast("list[tuple[int, int, int, int, int]]", self._cursor.execute(_DUE, (now_s, _AT_ONCE)).fetchall())
        for row_id, state, host_id, blobs, used in rows:
            if Kept(state) is Kept.BOUND:
                self._cursor.execute(_LEAVE, (now_s, row_id))
                self._count("leaving", 1)
                continue
            self._cursor.execute("DELETE FROM hosted WHERE id = ?", (row_id,))
            self._discard(host_id, blobs, used)
            self._count("hosted", -1)
            self._count("leaving", -1)
        self._cursor.execute(
            "DELETE FROM invited WHERE digest IN (SELECT digest FROM invitation WHERE expires_s <= ?)", (now_s,)
        )
        self._cursor.execute("DELETE FROM invitation WHERE expires_s <= ?", (now_s,))

    def _clear_trash(self) -> None:
        host_id = self._cursor.execute("SELECT host FROM trash ORDER BY host LIMIT 1").get
        if host_id is None:
            return
        rows = cast(
            "list[tuple[bytes, int, int]]",
            self._cursor.execute(
                "SELECT id, content, size FROM blob WHERE host = ? LIMIT ?", (host_id, _AT_ONCE)
            ).fetchall(),
        )
        cleared = 0
        for blob_id, content_id, size in rows:
            if cleared and cleared + size > _CLEAR_BYTES:
                return
            cleared += size
            self._drop_content(content_id)
            self._cursor.execute("DELETE FROM blob WHERE host = ? AND id = ?", (host_id, blob_id))
        if len(rows) < _AT_ONCE:
            self._cursor.execute("DELETE FROM trash WHERE host = ?", (host_id,))
            self._count("trash", -1)


def _denies(previous: bytes | None, manifest: bytes) -> bool:
    """Tell whether a hash, where there is one, is another manifest's."""
    return previous is not None and hashlib.sha256(manifest).digest() != previous
