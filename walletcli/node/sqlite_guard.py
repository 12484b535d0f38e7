"""Whose approvers this node has seen, and which of their later documents it follows.

Once a packet was stored whose document names approvers, the identity is *guarded*: a later packet is stored only if its
document is here and approved, or if it changes the approvers and the delay has passed since this node first saw that.

Spec: docs/spec/approval.md, "Following"; docs/spec/node-api.md, "Approvals".
"""

from __future__ import annotations

from typing import Final

import apsw

from walletcli.core.approvals import DocumentApprovals, change_of, check_follows, is_better, is_clock_behind
from walletcli.core.document import Document
from walletcli.core.record import Record
from walletcli.errors import VerificationError, WalletError
from walletcli.node.sqlite_tail import tag_of

SCHEMA: Final = """
CREATE TABLE guard(
    key BLOB PRIMARY KEY, document BLOB NOT NULL, change BLOB, seen_s INTEGER
) WITHOUT ROWID;
"""
"""The newest document that was followed, and the change of approvers that is waited for, with its first sight."""

COLUMNS: Final = "ALTER TABLE document ADD COLUMN has_approvers INTEGER; ALTER TABLE document ADD COLUMN beside BLOB;"
"""What a store of before lacks: whether a document names approvers, and the approvals beside it."""

_DAY_S: Final = 86_400
_ANY: Final = "SELECT 1 FROM guard LIMIT 1"
_FIND: Final = "SELECT document, change, seen_s FROM guard WHERE key = ?"
_SET: Final = "INSERT OR REPLACE INTO guard(key, document, change, seen_s) VALUES(?, ?, ?, ?)"
_CONTENT: Final = "SELECT body, beside FROM document WHERE tag = ? AND hash = ? AND identity = ?"


class Guards:
    """The part of a batch that is about approvers.

    Args:
        cursor: of the writer; inside a transaction whenever a method is called.
    """

    def __init__(self, cursor: apsw.Cursor) -> None:
        self._cursor = cursor
        self._any = False

    def begin(self) -> None:
        """Look, at the start of a batch, whether anybody is guarded."""
        self._any = self._cursor.execute(_ANY).get is not None

    def follows(self, key: bytes, payload: bytes, document_hash: bytes | None, now_s: int) -> bool:
        """Tell whether a packet may replace the one that is stored; if so, it is what is known from here on.

        Args:
            key: its identity, 32 bytes.
            payload: verified relay payload.
            document_hash: of the document that it names, or None.
            now_s: Unix seconds.
        """
        row = self._find(key)
        if row is None:
            return True
        known = Document.from_bytes(row[0])
        record = self._record(key, payload, document_hash)
        if record is None or record.document is None:
            return False
        document = record.document
        try:
            check_follows(known, document, record.beside)
        except VerificationError:
            if not self._has_waited(key, known, document, row, now_s):
                return False
        if document.approvers is not None:
            self._cursor.execute(_SET, (key, document.to_bytes(), None, None))
        else:
            self._cursor.execute("DELETE FROM guard WHERE key = ?", (key,))
        return True

    def see(self, key: bytes, payload: bytes, document_hash: bytes) -> None:
        """Guard an identity from here on, whose stored packet names a stored document with approvers.

        Args:
            key: the identity, 32 bytes.
            payload: of its packet.
            document_hash: of the document, 32 bytes.
        """
        record = self._record(key, payload, document_hash) if self._find(key) is None else None
        if record is not None and record.document is not None and record.document.approvers is not None:
            self._cursor.execute(_SET, (key, record.document.to_bytes(), None, None))
            self._any = True

    def is_better(self, document: Document, offered: DocumentApprovals, before: DocumentApprovals | None) -> bool:
        """Tell whether approvals that are offered beside a document may replace those that are there."""
        row = self._find(document.identity)
        return is_better(Document.from_bytes(row[0]) if row is not None else None, document, offered, before)

    def _find(self, key: bytes) -> tuple[bytes, bytes | None, int | None] | None:
        row: tuple[bytes, bytes | None, int | None] | None
        row = self._cursor.execute(_FIND, (key,)).get if self._any else None
        return row

    def _record(self, key: bytes, payload: bytes, document_hash: bytes | None) -> Record | None:
        """Return packet, document and approvals, verified against each other; None if they are not all good."""
        if document_hash is None:
            return None
        row: tuple[bytes, bytes | None] | None
        row = self._cursor.execute(_CONTENT, (tag_of(document_hash), document_hash, key)).get
        if row is None:
            return None
        try:
            record = Record.from_payload(key, payload, row[0])
            return record.with_approvals(DocumentApprovals.from_bytes(row[1]) if row[1] is not None else None)
        except WalletError:
            return None

    def _has_waited(
        self, key: bytes, known: Document, document: Document, row: tuple[bytes, bytes | None, int | None], now_s: int
    ) -> bool:
        """Tell whether a change of approvers, which nobody approved, has been known here for long enough."""
        change = change_of(known, document)
        if change is None or known.approvers is None or is_clock_behind(known, now_s // _DAY_S):
            return False
        if row[1] != change or row[2] is None:
            self._cursor.execute(_SET, (key, row[0], change, now_s))
            return False
        return now_s - row[2] > known.approvers.delay_days * _DAY_S
