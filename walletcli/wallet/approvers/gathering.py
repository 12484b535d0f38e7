"""Gathers approvals one after another: what was given is in the vault before the next key is asked.

What waits for approvals is a request of its own (docs/spec/request.md), whether it ever leaves this machine as a file
or not; so it is listed, cancelled and expires as they do.

Spec: docs/spec/gathering.md, "What is kept".
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from walletcli.core.approval import Approval, Subject
from walletcli.core.approvals import approvals_for
from walletcli.core.approver_items import ApproveItem, AskedKey
from walletcli.core.document import Document
from walletcli.core.document_parts import Approvers
from walletcli.core.record import Record
from walletcli.core.request_file import ID_BYTES, RequestFile
from walletcli.core.request_items import PublishItem
from walletcli.errors import SignerError
from walletcli.signers.requests import PacketRequest
from walletcli.wallet.access.session import Session
from walletcli.wallet.airgap.book import Context, End, RequestBook, Waiting
from walletcli.wallet.airgap.waiting import change_book, read_book
from walletcli.wallet.approvers.asking import ASKED_ELSEWHERE, Question, ask, valid_approvals
from walletcli.wallet.home import Home, Progress, silent
from walletcli.wallet.state.approvers import Credential
from walletcli.wallet.state.changes import Change
from walletcli.wallet.state.decided import decisions_hash
from walletcli.wallet.state.draft import last_record, today
from walletcli.wallet.state.view import IdentityView

GATHER_DAYS = 14
"""How long approvals of one thing are gathered unless said otherwise, days."""


@dataclass(frozen=True, slots=True)
class Gathering:
    """Something of an identity that waits for approvals.

    Attributes:
        waiting: the request; it has one item.
        item: what is to be approved.
        given: what was approved so far and is worth something.
        is_over: whether something else was signed or decided since.
    """

    waiting: Waiting
    item: ApproveItem
    given: tuple[Approval, ...]
    is_over: bool

    @property
    def request(self) -> RequestFile:
        """The request."""
        return self.waiting.request

    @property
    def is_complete(self) -> bool:
        """Whether enough have approved."""
        return len(self.given) >= self.item.approvers.threshold


def gatherings(book: RequestBook, identity: IdentityView) -> list[Gathering]:
    """Return what of an identity waits for approvals, the oldest first; what has expired as well."""
    return [
        Gathering(waiting, item, given_for(book, item.approvers, item.subject), _is_over(book, waiting, item, identity))
        for waiting in book.waiting
        if isinstance(item := waiting.request.items[0], ApproveItem) and item.identity == identity.public_key
    ]


def _is_over(book: RequestBook, waiting: Waiting, item: ApproveItem, identity: IdentityView) -> bool:
    """Tell whether what waits can not be signed any more: something else was signed, or decided."""
    last = last_record(identity)
    if last is None or last.packet.document_hash != item.record.packet.document_hash:
        return True
    if item.document is None or waits_for_root(book, item.document):
        return False
    return waiting.contexts[0].decisions != decisions_hash(identity)


def waits_for_root(book: RequestBook, document: Document) -> bool:
    """Tell whether a request asks the root, on another machine, for its signature of a document."""
    items = [item for waiting in book.waiting for item in waiting.request.items]
    return any(isinstance(item, PublishItem) and item.document.hash == document.hash for item in items)


def given_for(book: RequestBook, approvers: Approvers, subject: Subject) -> tuple[Approval, ...]:
    """Return what was approved so far, by these approvers, and is worth something."""
    return valid_approvals(book.approvals_of(subject.digest), approvers, subject)


def waiting_document(session: Session, identity: IdentityView, above_seq: int | None = None) -> Document | None:
    """Return the identity's next document if one waits for approvals and says what the wallet says now.

    Args:
        session: the open wallet.
        identity: as it is.
        above_seq: a `seq` that it has to be above, or None.
    """
    day = today(time.time())
    for found in gatherings(read_book(session), identity):
        document = found.item.document
        if document is None or found.is_over or found.request.has_expired(day):
            continue
        if above_seq is None or document.seq > above_seq:
            return document
    return None


def approvals_of(
    session: Session,
    identity: IdentityView,
    document: Document,
    progress: Progress = silent,
    *,
    is_patient: bool = True,
    last: Record | None = None,
) -> bytes | None:
    """Return what goes beside an identity's next document; approvers are asked for as many approvals as it takes.

    Args:
        session: the open wallet, whose prompts ask for PIN and touch.
        identity: as it was when the document was made.
        document: what is about to be signed.
        progress: takes a line per step.
        is_patient: whether another key is waited for, if somebody is there to plug it in.
        last: the record that the document follows, if that is not the wallet's own.

    Returns:
        What is beside it, encoded; None if that is nothing.

    Raises:
        SignerError: ``approver.*``, ``key.*``.
        MissingExtraError: ``key.no-hidapi``.
        InputError: ``request.too-many`` if too much waits already.
    """
    last = last if last is not None else last_record(identity)
    is_lost = identity.approvers is not None and identity.approvers.lost
    question = None if is_lost else question_of(identity.credentials, last, document, read_book(session))
    if last is not None and question is not None and question.threshold > 1:
        question = replace(question, keep=Keeper(session, identity, last, document).keep)
        if is_waiting(read_book(session), question.subject):  # the document was made at another time
            about = PacketRequest(identity.public_key, document, last.document).describe(today(time.time()))
            question = replace(question, about=tuple(about))
    return beside_of(session.home, question, last, document, progress, is_patient=is_patient)


def is_waiting(book: RequestBook, subject: Subject) -> bool:
    """Tell whether something waits for approvals: by itself, or in a request for the root's signature."""
    return any(subject.digest in waiting.to_approve for waiting in book.waiting)


def question_of(
    credentials: Sequence[Credential], last: Record | None, document: Document, book: RequestBook
) -> Question | None:
    """Return what approvers of the record in force are asked of the next document; None if there are none.

    Args:
        credentials: how they are asked.
        last: the record in force, or None before the first.
        document: what is about to be signed.
        book: what was approved before.
    """
    if last is None or last.document is None or last.document.approvers is None:
        return None
    subject = Subject.of_document(document)
    return Question(credentials, last.document.approvers, subject, given_for(book, last.document.approvers, subject))


def beside_of(
    home: Home | None,
    question: Question | None,
    last: Record | None,
    document: Document,
    progress: Progress = silent,
    *,
    is_patient: bool = True,
) -> bytes | None:
    """Return what goes beside a document that follows a record, approved by whoever the question asks; encoded.

    Raises:
        As `approvals_of`.
    """
    approvals = ask(home, replace(question, is_patient=is_patient), progress) if question is not None else ()
    before = last.document if last is not None else None
    made = approvals_for(before, last.beside if last is not None else None, document, approvals)
    return made.to_bytes() if made is not None else None


def waiting_export(session: Session, identity: IdentityView, context: bytes) -> bytes | None:
    """Return an export (COSE bytes) that waits for approvals and was made from the same.

    Args:
        session: the open wallet.
        identity: as it is.
        context: what it was made from, 32 bytes.
    """
    day = today(time.time())
    for found in gatherings(read_book(session), identity):
        is_it = found.item.export is not None and found.waiting.contexts[0].decisions == context
        if is_it and not found.is_over and not found.request.has_expired(day):
            return found.item.export
    return None


def approvals_of_export(
    session: Session, identity: IdentityView, export: bytes, context: bytes, progress: Progress = silent
) -> tuple[Approval, ...]:
    """Have the approvers of an identity approve an export; nobody is asked where there are none.

    Args:
        session: the open wallet, whose prompts ask for PIN and touch.
        identity: whose export it is.
        export: its COSE bytes.
        context: what it was made from, 32 bytes.
        progress: takes a line per step.

    Raises:
        SignerError: ``approver.*``, ``key.*``.
        MissingExtraError: ``key.no-hidapi``.
        InputError: ``request.too-many`` if too much waits already.
    """
    last = last_record(identity)
    if last is None or last.document is None or last.document.approvers is None:
        return ()
    group = last.document.approvers
    keeper = Keeper(session, identity, last, export=export, context=context)
    subject = keeper.subject
    given = given_for(read_book(session), group, subject)
    keep = keeper.keep if group.threshold > 1 else None
    try:
        return ask(session.home, Question(identity.credentials, group, subject, given, keep), progress)
    except SignerError as error:
        if error.code in ASKED_ELSEWHERE:  # another one would be another export: this one waits
            change_book(session, lambda book: (keeper.begun(book), ()))
        raise


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps approvals of one thing, and the thing itself, in the vault.

    Attributes:
        session: the open wallet.
        identity: whose it is.
        last: the record in force.
        document: what is approved, or None for an export.
        export: what is approved, COSE bytes, or None for a document.
        context: what an export was made from (32 bytes); of a document that is what its owner has decided.
    """

    session: Session
    identity: IdentityView
    last: Record
    document: Document | None = None
    export: bytes | None = None
    context: bytes | None = None

    def keep(self, approval: Approval) -> None:
        """Keep one more approval; on disk when this returns.

        Raises:
            InputError: ``request.too-many``.
            VaultError: ``vault.*``.
        """
        change_book(self.session, lambda book: (self._with(self.begun(book), (approval,)), ()))

    def begun(self, book: RequestBook) -> RequestBook:
        """Return the book in which this waits; what waited of the identity and is over, does not any more."""
        book = self.alone(book)
        return book if is_waiting(book, self.subject) else self.waiting_in(book, self.request())

    def alone(self, book: RequestBook) -> RequestBook:
        """Return the book in which nothing else of this kind waits of the identity."""
        for other in gatherings(book, self.identity):
            if other.item.subject.kind == self.subject.kind and other.item.subject != self.subject:
                book = book.closing(other.request.request_id, today(time.time()), End.SUPERSEDED)
        return book

    def request(self, days: int = GATHER_DAYS, only: Sequence[bytes] = ()) -> RequestFile:
        """Return a new request for this.

        Args:
            days: how long it holds, 1 to 90.
            only: keys of the approvers that are asked; none: all that the wallet can ask.
        """
        day, item = today(time.time()), self.item
        if only:
            item = replace(item, keys=tuple(key for key in item.keys if key.public_key in only))
        return RequestFile(os.urandom(ID_BYTES), day, day + days, (item,))

    def waiting_in(self, book: RequestBook, request: RequestFile) -> RequestBook:
        """Return the book in which a request for this waits.

        Raises:
            InputError: ``request.too-many``.
        """
        decisions = self.context if self.document is None else decisions_hash(self.identity)
        return book.with_waiting(Waiting(request, (Context(decisions),)))

    @property
    def item(self) -> ApproveItem:
        """What approvers are asked."""
        names = {item.public_key for item in self.approvers.approvers}
        keys = tuple(
            AskedKey(item.public_key, item.credential_id)
            for item in self.identity.credentials
            if item.public_key in names
        )
        return ApproveItem(self.identity.public_key, self.last, self.document, self.export, keys)

    @property
    def subject(self) -> Subject:
        """What is approved."""
        return self.item.subject

    @property
    def approvers(self) -> Approvers:
        """Who may approve it."""
        assert self.last.document is not None
        assert self.last.document.approvers is not None
        return self.last.document.approvers

    def _with(self, book: RequestBook, approvals: Sequence[Approval]) -> RequestBook:
        subject = self.item.subject
        known = {item.public_key: item for item in given_for(book, self.approvers, subject)}
        known.update({item.public_key: item for item in approvals})
        return book.with_approvals(subject.digest, tuple(known.values()))


def signed_of(session: Session, identity: bytes, digest: bytes) -> None:
    """Close what waited for approvals and was signed.

    Args:
        session: the open wallet.
        identity: root key, 32 bytes.
        digest: of the document or export, 32 bytes.
    """

    def closed(book: RequestBook) -> tuple[RequestBook, Sequence[Change]]:
        for waiting in book.waiting:
            item = waiting.request.items[0]
            if isinstance(item, ApproveItem) and item.identity == identity and item.subject.digest == digest:
                book = book.closing(waiting.request.request_id, today(time.time()), End.APPLIED)
        return book, ()

    if any(digest in waiting.to_approve for waiting in read_book(session).waiting):
        change_book(session, closed)
