"""``/document/HASH``: documents in and out, and the approvals beside them.

Spec: docs/spec/node-api.md, "Documents" and "Approvals".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Final

from walletcli.core.approvals import MAX_APPROVALS_BYTES, DocumentApprovals
from walletcli.core.document import MAX_DOCUMENT_BYTES, Document
from walletcli.errors import StorageError, WalletError
from walletcli.node.gate import Gate
from walletcli.node.hosting.kept import Claim
from walletcli.node.http import Connection
from walletcli.node.request import BodyLimit, Request
from walletcli.node.store import Outcome, PutApprovals, PutDocument

PREFIX: Final = b"/document/"
BODY: Final = BodyLimit(MAX_DOCUMENT_BYTES, "document.too-long")
"""A document is no longer than this."""

BESIDE: Final = b"/approvals"
"""How the path of the approvals beside a document goes on behind the hash."""

BESIDE_BODY: Final = BodyLimit(MAX_APPROVALS_BYTES, "approval.too-long")
"""What is beside a document is no longer than this."""

_BESIDE_TYPE: Final = b"application/walletcli-approvals+cbor"
_REFUSALS: Final = {
    Outcome.NO_DOCUMENT: (404, "approval.no-document", "the document is not stored: put it first"),
    Outcome.NOT_APPROVED: (409, "approval.conflict", "approvals that are worth more are stored"),
}

_HEX: Final = frozenset(b"0123456789abcdef")


class DocumentRoutes:
    """Answers requests for documents.

    Args:
        gate: the store, the limits and the answers.
        claim_of: returns this node's grant that a document holds, or None.
        ask: as in `PacketRoutes`, for a document's hash.
    """

    def __init__(
        self,
        gate: Gate,
        claim_of: Callable[[Document], Claim | None],
        ask: Callable[[bytes, Callable[[bytes | None], None]], bool] | None = None,
    ) -> None:
        self._gate = gate
        self._claim_of = claim_of
        self._ask = ask

    def get(self, request: Request, connection: Connection, document_hash: bytes) -> bytes | None:
        """Answer GET and HEAD; None if a source is asked first.

        Raises:
            StorageError: the store cannot be read.
        """
        body = self._gate.store.document(document_hash)
        if body is None and self._ask is not None:
            only_stored = b"only-if-cached" in request.headers.get(b"cache-control", b"")
            if not only_stored and self._ask(
                document_hash, lambda found: connection.finish(self._render(request, document_hash, found))
            ):
                return None
        return self._render(request, document_hash, body)

    def _render(self, request: Request, document_hash: bytes, body: bytes | None) -> bytes:
        answers = self._gate.answers
        if body is None:
            return answers.error(404, "request.path", "no such document is stored")
        name = document_hash.hex().encode("ascii")
        if name in request.headers.get(b"if-none-match", b""):
            return answers.document_unchanged(name)
        return answers.document(name, len(body)) + body

    def put(self, request: Request, connection: Connection, document_hash: bytes) -> bytes | None:
        """Check a PUT and submit it; None as long as it is not on disk."""
        gate = self._gate
        refused = gate.refuse_write(request.client, None, len(request.body))
        if refused is not None:
            return refused
        if hashlib.sha256(request.body).digest() != document_hash:
            return gate.answers.error(400, "record.hash-mismatch", "the body's SHA-256 is not the one in the path")
        try:
            document = Document.from_bytes(request.body)
        except WalletError as error:
            return gate.answers.error(400, error.code, error.message)
        write = PutDocument(
            document_hash,
            document.identity,
            request.body,
            forward=True,
            claim=self._claim_of(document),
            has_approvers=document.approvers is not None,
        )
        gate.writer.submit(write, partial(self._written, connection))
        return None

    def _written(self, connection: Connection, result: Outcome | WalletError) -> None:
        if isinstance(result, StorageError):
            connection.finish(self._gate.storage_failed(result))
        elif isinstance(result, Outcome) and result in _REFUSALS:
            connection.finish(self._gate.answers.error(*_REFUSALS[result]))
        else:
            connection.finish(self._gate.answers.no_content)

    # approvals

    def get_beside(self, document_hash: bytes) -> bytes:
        """Answer GET and HEAD for what is beside a document; it may get better, so nobody keeps it.

        Raises:
            StorageError: the store cannot be read.
        """
        body = self._gate.store.approvals(document_hash)
        if body is None:
            return self._gate.answers.error(404, "request.path", "nothing is stored beside this document")
        return self._gate.answers.text(200, body, _BESIDE_TYPE)

    def put_beside(self, request: Request, connection: Connection, document_hash: bytes) -> bytes | None:
        """Check a PUT of what is beside a document and submit it; None as long as it is not on disk."""
        gate = self._gate
        refused = gate.refuse_write(request.client, None, len(request.body))
        if refused is not None:
            return refused
        try:
            DocumentApprovals.from_bytes(request.body)
        except WalletError as error:
            return gate.answers.error(400, error.code, error.message)
        gate.writer.submit(PutApprovals(document_hash, request.body), partial(self._written, connection))
        return None


def hash_of(text: bytes) -> bytes | None:
    """Return the 32 bytes that a path's 64 lower-case hexadecimal digits stand for, or None."""
    if len(text) != 64 or not _HEX.issuperset(text):
        return None
    return bytes.fromhex(text.decode("ascii"))
