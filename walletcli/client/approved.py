"""Whether what is found may be followed by who remembers approvers, and since when a change of them is waited for.

Spec: docs/spec/approval.md, "Following".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from walletcli.client.freshness import Freshness, Seen, Waiting
from walletcli.core.approvals import (
    DocumentApprovals,
    approved_by,
    approvers_before,
    change_of,
    check_follows,
    is_better,
    is_clock_behind,
)
from walletcli.core.document import Document
from walletcli.core.record import Record
from walletcli.errors import FormatError, VerificationError

_MARK: Final = b"\x07\xa3\x01"
"""How approvers stand in a document: its field 7, a map of three, the first of them its field 1."""


class NotApprovedError(VerificationError):
    """A state that may not be followed, for now or at all.

    Args:
        message: why.
        waiting: since when its change of approvers is known, which is to be remembered; None: it changes none.
        last_day: the last day on which it may not be followed, days since 1970-01-01; None: for ever.
    """

    def __init__(self, message: str, waiting: Waiting | None, last_day: int | None) -> None:
        hint = "its owner has to approve it with a security key; if you are not the owner, ask them whether they know"
        super().__init__("approval.missing", message, hint)
        self.waiting = waiting
        self.last_day = last_day


def known_document(seen: Seen | None) -> Document | None:
    """Return the document that is followed, if approvers stand in it; else nobody's approval is asked for."""
    document = seen.record.document if seen is not None and seen.record is not None else None
    return document if document is not None and document.approvers is not None else None


def check_approved(seen: Seen | None, record: Record, today: int) -> None:
    """Check that who remembers `seen` may follow a state that is not older.

    Args:
        seen: what is remembered, or None.
        record: verified.
        today: days since 1970-01-01.

    Raises:
        NotApprovedError: ``approval.missing``.
    """
    known = known_document(seen)
    if known is None or seen is None:
        return
    document = record.document
    if document is None:
        raise NotApprovedError("an identity with approvers has signed a packet without a document", None, None)
    try:
        check_follows(known, document, record.beside)
    except VerificationError as error:
        change = change_of(known, document)
        if change is None or known.approvers is None:
            raise NotApprovedError(error.message, None, None) from error
        if is_clock_behind(known, today):
            why = "this machine's clock stands before what is known of the identity, so that no delay can be counted"
            raise NotApprovedError(f"{error.message}; {why}", None, None) from error
        waiting = seen.waiting if seen.waiting is not None and seen.waiting.change == change else Waiting(change, today)
        last_day = waiting.since_day + known.approvers.delay_days
        if today <= last_day:
            raise NotApprovedError(error.message, waiting, last_day) from error


def is_approved(seen: Seen | None, record: Record) -> bool:
    """Tell whether a state comes after the remembered one and was approved, by approvers who are remembered.

    Or by those that steps lead to; where these lead to none, nothing is approved any more. No split that the root alone
    can make holds an approved state up.
    """
    known, document = known_document(seen), record.document
    if known is None or document is None or document.seq <= known.seq:
        return False
    approvers = approvers_before(known, document, record.beside)
    return approvers is not None and approved_by(approvers, document, record.beside)


def check_remembered(memory: Freshness | None, record: Record, today: int) -> None:
    """Check as `check_approved` against what is remembered, and remember the first sight of a change of approvers.

    Args:
        memory: what is remembered; None: nothing is.
        record: verified, not older than what is remembered.
        today: days since 1970-01-01.

    Raises:
        NotApprovedError: ``approval.missing``.
    """
    key = record.packet.public_key
    seen = memory.get(key) if memory is not None else None
    try:
        check_approved(seen, record, today)
    except NotApprovedError as error:
        if memory is not None and seen is not None and error.waiting is not None:
            memory.put(key, replace(seen, waiting=error.waiting))
        raise


def names_approvers(document: bytes) -> bool:
    """Tell whether a document names approvers; quick for those that do not."""
    if _MARK not in document:
        return False
    try:
        return Document.from_bytes(document).approvers is not None
    except FormatError:
        return False


def best_beside(seen: Seen | None, record: Record, offered: Sequence[DocumentApprovals]) -> Record:
    """Return a record with the best of what relays have beside its document, and of what is remembered of it.

    Args:
        seen: what is remembered, or None.
        record: verified.
        offered: by the relays.
    """
    document = record.document
    if document is None:
        return record
    known, best = known_document(seen), record.beside
    kept = seen.record if seen is not None else None
    if kept is not None and kept.beside is not None and kept.packet.document_hash == document.hash:
        offered = (kept.beside, *offered)
    for beside in offered:
        if is_better(known, document, beside, best):
            best = beside
    return record.with_approvals(best)


def hashes_to_ask_for(
    documents: Iterable[tuple[bytes, bytes, bytes | None]], remembered: Callable[[bytes], Seen | None]
) -> list[bytes]:
    """Return the hashes of documents beside which approvals may matter: to who remembers approvers, or to be kept.

    Args:
        documents: identity, hash and bytes (None: not at hand) of each.
        remembered: returns what is remembered of an identity.
    """
    return sorted({
        document_hash
        for identity, document_hash, document in documents
        if document is not None
        and (names_approvers(document) or known_document(remembered(identity)) is not None)
    })  # fmt: skip
