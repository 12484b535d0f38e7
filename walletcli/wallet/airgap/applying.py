"""The watch side takes over what was answered: everything that passes all checks, in one write, or nothing.

Spec: docs/spec/request.md, "On the watch side".
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from walletcli.core.approval_file import MAGIC as APPROVAL_MAGIC
from walletcli.core.approvals import DocumentApprovals, check_follows
from walletcli.core.approver_items import ApproveItem, OfferItem
from walletcli.core.card import Card, CardFile
from walletcli.core.contact_export import ContactExport
from walletcli.core.cose import Sign1
from walletcli.core.document import Document
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import MAGIC as RECORD_MAGIC
from walletcli.core.record import MAX_FILE_BYTES as MAX_RECORD_BYTES
from walletcli.core.record import Record, packet_value
from walletcli.core.relation import Relation, RelationFile
from walletcli.core.request_file import MAGIC as REQUEST_MAGIC
from walletcli.core.request_file import MAX_FILE_BYTES as MAX_REQUEST_BYTES
from walletcli.core.request_file import RequestFile
from walletcli.core.request_items import CreateItem, EnrolItem, PublishItem, SignItem
from walletcli.core.response import MAX_FILE_BYTES, Response, ResponseFile
from walletcli.core.short_record import from_short, to_short
from walletcli.errors import FormatError, InputError, StorageError, UsageError, VerificationError
from walletcli.wallet.access.session import Session
from walletcli.wallet.airgap.book import Context, End, RequestBook, Waiting
from walletcli.wallet.airgap.record_files import check_record_file
from walletcli.wallet.airgap.review import KINDS, request_json
from walletcli.wallet.airgap.waiting import answered_request, change_book, read_book, require_watch
from walletcli.wallet.approvers.gathering import approvals_of, signed_of
from walletcli.wallet.contacts.cards import own_record
from walletcli.wallet.contacts.exporting import seal_own_export
from walletcli.wallet.files import read_file, write_file
from walletcli.wallet.state.changes import Adopt, Change, TakeIdentity, TakeSigned
from walletcli.wallet.state.draft import last_record, today
from walletcli.wallet.state.view import IdentityView
from walletcli.wallet.state.wallet_view import WalletView


@dataclass(frozen=True, slots=True)
class AppliedItem:
    """One item that was answered.

    Attributes:
        number: of the item, counted from 1; 0 for a record file.
        kind: publish, create, enrol or sign; ``record`` for a record file.
        identity: root key, 32 bytes.
        label: this wallet's name for it, now.
        seq: of the new record, or None for a statement.
        statement: path of the signed statement, or None for a record.
    """

    number: int
    kind: str
    identity: bytes
    label: str
    seq: int | None
    statement: str | None = None

    def to_json(self) -> dict[str, object]:
        """Return the fields, the identity as did:key."""
        return {
            "item": self.number,
            "kind": self.kind,
            "did": IdentityId(self.identity).did,
            "label": self.label,
            "seq": self.seq,
            "statement": self.statement,
        }


@dataclass(frozen=True, slots=True)
class Applied:
    """A response that was taken over.

    Attributes:
        request: what was answered; None for a record file.
        items: what was answered of it.
        unanswered: numbers of the items that its owner did not approve.
    """

    request: RequestFile | None
    items: tuple[AppliedItem, ...]
    unanswered: tuple[int, ...]

    @property
    def to_publish(self) -> tuple[str, ...]:
        """Labels of identities that have a new record."""
        return tuple(item.label for item in self.items if item.seq is not None)

    def to_json(self) -> dict[str, object]:
        """Return the request, its items, and what is to be published."""
        return {
            "request": request_json(self.request) if self.request is not None else None,
            "applied": [item.to_json() for item in self.items],
            "unanswered": list(self.unanswered),
            "to_publish": list(self.to_publish),
        }


def apply_response(session: Session, path: str, out: str | None = None) -> Applied:
    """Take over what the machine with the root keys has answered; the vault holds it when this returns.

    A record file of an identity that this wallet holds is taken over as well: that helps when a response was lost.

    Args:
        session: an open watch wallet.
        path: of the response file.
        out: directory that signed statements are written to, as files that others read; needed if there are any.

    Raises:
        SignerError: ``request.not-watch``.
        InputError: ``file.*``, ``identity.exists``, ``identity.unknown``.
        UsageError: ``response.out`` if a signed statement has no place to go.
        FormatError: ``response.is-request`` for the request itself, ``response.from-approver`` for an approval,
            ``response.file``, ``response.malformed``, ``cose.*``, ``cbor.*``, ``record.file``.
        VerificationError: ``response.*``, ``signature.invalid``, ``record.*``.
    """
    require_watch(session)
    data = read_file(path, max(MAX_FILE_BYTES, MAX_RECORD_BYTES, MAX_REQUEST_BYTES))
    if data.startswith(RECORD_MAGIC):
        return _apply_record(session, data)
    if data.startswith(REQUEST_MAGIC):
        raise FormatError(
            "response.is-request",
            f"{path} is a request, not the answer to one",
            "take it to the machine with the root keys: walletcli request approve FILE --out RESPONSE; apply RESPONSE",
        )
    if data.startswith(APPROVAL_MAGIC):
        raise FormatError(
            "response.from-approver",
            f"{path} comes from somebody who approves, not from the root",
            "walletcli identity approver apply FILE",
        )
    file = ResponseFile.from_bytes(data)
    beside = _approved(session, answered_request(read_book(session), file), file)
    statements = _write_statements(session, file, out, beside)
    taken: list[tuple[Waiting, list[_Taken]]] = []

    def answered(book: RequestBook) -> tuple[RequestBook, Sequence[Change]]:
        waiting = answered_request(book, file)
        wallet = session.snapshot().wallet
        found = [_taken(wallet, waiting, response, beside.get(response.item)) for response in file.responses]
        taken[:] = [(waiting, found)]
        closed = book.closing(file.request_id, today(time.time()), End.APPLIED)
        return closed, [item.change for item in found if item.change is not None]

    change_book(session, answered)
    waiting, found = taken[0]
    for item in (waiting.request.item(answer.response.item) for answer in found):
        if isinstance(item, PublishItem):
            signed_of(session, item.identity, item.document.hash)
    return _told(session, waiting, found, statements)


def _approved(session: Session, waiting: Waiting, file: ResponseFile) -> dict[int, DocumentApprovals]:
    """Return what is beside each new document, by item: as it came, or from approvers who are asked here."""
    found = {response.item: response.beside for response in file.responses if response.beside is not None}
    views = {identity.public_key: identity for identity in session.snapshot().wallet.identities}
    for response in file.responses:
        item = waiting.request.item(response.item) if response.item <= len(waiting.request.items) else None
        if response.item in found or not isinstance(item, PublishItem) or item.identity not in views:
            continue
        view = views[item.identity]
        if _is_lost(view):
            continue
        own = last_record(view)
        last = own if own is not None and own.packet.document_hash == item.record.packet.document_hash else item.record
        beside = approvals_of(session, view, item.document, last=last)
        if beside is not None:
            found[response.item] = DocumentApprovals.from_bytes(beside)
    return found


def _is_lost(view: IdentityView) -> bool:
    return view.approvers is not None and view.approvers.lost


def _check_approved(before: Record, document: Document, beside: DocumentApprovals | None) -> None:
    try:
        check_follows(before.document, document, beside)
    except VerificationError as error:
        raise VerificationError(
            "response.not-approved",
            f"the identity's approvers have not approved the new record: {error.message}",
            "plug the security key in, and approve the request again or apply the response again",
        ) from error


def _write_statements(
    session: Session, file: ResponseFile, out: str | None, beside: Mapping[int, DocumentApprovals]
) -> dict[int, str]:
    """Write the signed statements of a response before it counts as applied; return their paths by item."""
    waiting = answered_request(read_book(session), file)
    wallet = session.snapshot().wallet
    found = [_taken(wallet, waiting, response, beside.get(response.item)) for response in file.responses]
    contents = {
        taken.response.item: _statement_file(session, wallet, waiting, taken) for taken in found if taken.statement
    }
    if contents and out is None:
        raise UsageError(
            "response.out", "the response holds a signed statement, which needs a place", "name a directory with --out"
        )
    paths = {}
    if contents:
        _make_directory(out or "")
    for number, (name, content) in contents.items():
        paths[number] = os.path.abspath(os.path.join(out or "", f"item-{number}.{name}"))
        write_file(paths[number], content, replace=False)
    return paths


def _make_directory(out: str) -> None:
    try:
        os.makedirs(out, mode=0o700, exist_ok=True)
    except OSError as error:
        raise StorageError(
            "storage.failed", f"cannot make the directory {out}: {error.strerror}", "name another one with --out"
        ) from error


def _statement_file(session: Session, wallet: WalletView, waiting: Waiting, taken: _Taken) -> tuple[str, bytes]:
    """Return the ending of a name, and the file, that a signed statement travels in."""
    item, data = waiting.request.item(taken.response.item), taken.statement or b""
    assert isinstance(item, SignItem)
    identity = next(found for found in wallet.identities if found.public_key == item.identity)
    if item.typ == Card.TYP:
        return "card", CardFile(data, to_short(own_record(identity))).to_bytes()
    if item.typ == ContactExport.TYP:
        return "contacts", seal_own_export(session, identity, data)
    lower = Relation.from_payload(item.payload).parties[0] == item.identity
    return "relation", RelationFile((data, None) if lower else (None, data)).to_bytes()


@dataclass(frozen=True, slots=True)
class _Taken:
    """A response that has passed, and the change that takes it over."""

    response: Response
    change: Change | None
    seq: int | None
    statement: bytes | None = None


def _told(session: Session, waiting: Waiting, found: Sequence[_Taken], statements: Mapping[int, str]) -> Applied:
    labels = {identity.public_key: identity.label for identity in session.snapshot().wallet.identities}
    items = tuple(
        AppliedItem(
            taken.response.item,
            KINDS[waiting.request.item(taken.response.item).KIND],
            taken.response.identity,
            labels[taken.response.identity],
            taken.seq,
            statements.get(taken.response.item),
        )
        for taken in found
    )
    answered = {item.number for item in items}
    unanswered = tuple(n for n in range(1, len(waiting.request.items) + 1) if n not in answered)
    return Applied(waiting.request, items, unanswered)


def _apply_record(session: Session, data: bytes) -> Applied:
    record = Record.from_bytes(data)
    wallet = session.snapshot().wallet
    held = next((item for item in wallet.identities if item.public_key == record.packet.public_key), None)
    if held is None:
        raise InputError(
            "identity.unknown", "the record is of an identity that this wallet does not hold", "ask to be enrolled"
        )
    check_record_file(session, held, record)
    view = session.change(Adopt(held.index, data))
    return Applied(None, (AppliedItem(0, "record", view.public_key, view.label, record.packet.seq),), ())


def _taken(wallet: WalletView, waiting: Waiting, response: Response, beside: DocumentApprovals | None = None) -> _Taken:
    """Check a response against the item that it answers."""
    if response.item > len(waiting.request.items):
        raise _not_asked()
    item = waiting.request.item(response.item)
    context = waiting.contexts[response.item - 1]
    drafted_there = isinstance(item, CreateItem | EnrolItem)
    if (response.signature is None) != drafted_there:
        raise _not_asked()
    if isinstance(item, PublishItem):
        is_lost = any(view.public_key == item.identity and _is_lost(view) for view in wallet.identities)
        return _taken_publish(response, item, context, beside, is_lost=is_lost)
    if isinstance(item, SignItem):
        return _taken_statement(response, item)
    if isinstance(item, ApproveItem | OfferItem):
        raise _not_asked()  # no root answers for approvers
    return _taken_identity(wallet, response, item, context, beside)


def _not_asked() -> VerificationError:
    return VerificationError("response.item", "the response answers an item that is not in the request, or not so")


def _check_identity(response: Response, item: PublishItem | SignItem | EnrolItem) -> None:
    if response.identity != item.identity:
        raise VerificationError("response.identity", "the response is another identity's than the one it was asked of")


def _taken_publish(
    response: Response, item: PublishItem, context: Context, beside: DocumentApprovals | None, *, is_lost: bool
) -> _Taken:
    _check_identity(response, item)
    document = item.document
    payload = (response.signature or b"") + document.seq.to_bytes(8, "big") + packet_value(document)
    record = Record.from_payload(item.identity, payload, document.to_bytes()).with_approvals(beside)
    if not is_lost:
        _check_approved(item.record, document, beside)
    return _Taken(response, TakeSigned(item.index, record.to_bytes(), context.decisions or bytes(32)), document.seq)


def _taken_statement(response: Response, item: SignItem) -> _Taken:
    _check_identity(response, item)
    signed = Sign1(item.typ, item.identity, item.payload, response.signature or b"")
    signed.verify()
    return _Taken(response, None, None, signed.to_bytes())


def _taken_identity(
    wallet: WalletView,
    response: Response,
    item: CreateItem | EnrolItem,
    context: Context,
    beside: DocumentApprovals | None,
) -> _Taken:
    """Check a record that was drafted by the other side: it says what was asked, and no more."""
    record = from_short(response.record or b"").with_approvals(beside)
    document, origin = record.document, response.origin
    if document is None or origin is None or document.identity != response.identity:
        raise _other_record("it is another identity's")
    if any(identity.public_key == response.identity for identity in wallet.identities):
        raise InputError("identity.exists", "this wallet holds that identity already", "see: walletcli identity list")
    if isinstance(item, EnrolItem):
        _check_identity(response, item)
    if document != _expected(item, document):
        raise _other_record("it says something else")
    if isinstance(item, EnrolItem):
        _check_approved(item.record, document, beside)
    change = TakeIdentity(
        (item.label, tuple(sorted(item.sealed.items()))) if isinstance(item, CreateItem) else None,
        item.device.signing_key,
        record.to_bytes(),
        origin.scheme.value,
        origin.index,
        origin.recovery_key,
        origin.recovery_generation,
        origin.check,
        today(time.time()),
        context.asked,
    )
    return _Taken(response, change, document.seq)


def _expected(item: CreateItem | EnrolItem, found: Document) -> Document:
    """Return the document that was asked for, with the sealed sections of the one that was found."""
    if isinstance(item, CreateItem):
        return Document(
            found.identity, item.seq, delegations=(item.device,), profile=dict(item.public), sections=found.sections
        )
    before = item.record.document
    assert before is not None  # a short record has its document
    delegations = tuple(sorted((*before.delegations, item.device), key=lambda one: one.signing_key))
    return replace(before, seq=item.seq, previous=before.hash, delegations=delegations, sections=found.sections)


def _other_record(why: str) -> VerificationError:
    return VerificationError("response.record", f"the record in the response is not the one that was asked for: {why}")
