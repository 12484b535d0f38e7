"""The owner's side of approvals from elsewhere: asks for them by file, and takes them in.

Spec: docs/spec/gathering.md, "What is asked", "Where the identity is".
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from walletcli.core.approval import Approval
from walletcli.core.approval_file import MAX_FILE_BYTES, ApprovalFile
from walletcli.core.approver_items import ApproveItem
from walletcli.core.identity_id import IdentityId
from walletcli.core.request_file import MAX_DAYS
from walletcli.core.request_items import PublishItem
from walletcli.errors import InputError, SignerError, UsageError, VerificationError, WalletError
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.airgap.book import End, RequestBook
from walletcli.wallet.airgap.making import relays_to_ask
from walletcli.wallet.airgap.review import Review
from walletcli.wallet.airgap.telling import read_only_review
from walletcli.wallet.airgap.waiting import answered_request, change_book, read_book, superseded
from walletcli.wallet.approvers.deciding import named_approver
from walletcli.wallet.approvers.gathering import GATHER_DAYS, Gathering, Keeper, gatherings, waiting_document
from walletcli.wallet.approvers.overview import WaitingApproval, waiting_of
from walletcli.wallet.files import read_file, refuse_existing, write_file
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.next_record import draft_next
from walletcli.wallet.publish import plan_publish
from walletcli.wallet.route import dialer_for
from walletcli.wallet.state.changes import Change
from walletcli.wallet.state.draft import last_record, needs_document, today
from walletcli.wallet.state.lookup import find
from walletcli.wallet.state.view import IdentityView


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was written for approvers.

    Attributes:
        review: what it asks for.
        path: of the file.
        waiting: how far it has come.
    """

    review: Review
    path: str
    waiting: WaitingApproval

    def to_json(self) -> dict[str, object]:
        """Return the request, where it is, and how far it has come."""
        return {"request": self.review.to_json(), "file": self.path, "waiting": self.waiting.to_json()}


@dataclass(frozen=True, slots=True)
class AskWish:
    """What approvers are asked.

    Attributes:
        who: the identity, by label or id.
        approvers: which are asked, by name or the beginning of their key; none: all.
        contacts: to approve the contact export that waits; otherwise the next record.
        days: how long the request holds, 1 to 90.
        relays: whom to ask first what has been published; none: the wallet's list and the identity's providers.
        accept_link: go ahead where asking relays ties identities together; remembered.
        on_top: continue from a newer record of the identity that relays have.
    """

    who: str
    approvers: tuple[str, ...] = ()
    contacts: bool = False
    days: int = GATHER_DAYS
    relays: tuple[str, ...] = ()
    accept_link: bool = False
    on_top: bool = False


def ask_approvers(
    session: Session,
    wish: AskWish,
    path: str,
    *,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
) -> Asked:
    """Write a request that asks approvers, wherever they are, to approve what is about to be signed.

    Args:
        session: the open wallet.
        wish: what is asked, and whom.
        path: of the new file.
        offline: open no connection.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.

    Raises:
        InputError: ``identity.unknown``, ``approver.none``, ``approver.nothing-waits``, ``approver.unknown``,
            ``request.too-many``, ``link.would-link``, ``file.exists``.
        SignerError: ``approver.no-credential`` if the wallet does not know how to ask an approver.
        UsageError: ``request.days``, ``approver.ambiguous``.
        VerificationError, NetworkError: as `publish_identity`.
        StorageError: ``storage.*``; what is not written does not wait.
    """
    if not 1 <= wish.days <= MAX_DAYS:
        raise UsageError("request.days", f"a request holds 1 to {MAX_DAYS} days", "choose another number")
    refuse_existing(path)
    identity = find(session.snapshot().wallet, wish.who)
    _require_approvers(identity)
    route = dialer if dialer is not None else dialer_for(offline)
    keeper = (
        _export_that_waits(session, identity)
        if wish.contacts
        else _next_record(session, wish, route, offline, progress)
    )
    only = [named_approver(keeper.identity, keeper.approvers, text) for text in wish.approvers]
    _require_credentials(keeper, only)
    request = keeper.request(wish.days, only)
    change_book(session, lambda book: (keeper.waiting_in(keeper.alone(book), request), ()))
    try:
        write_file(path, request.to_bytes(), replace=False)
    except WalletError:
        change_book(session, lambda book: (book.closing(request.request_id, _today(), End.CANCELLED), ()))
        raise
    review = Review(request, (read_only_review(1, request.items[0], keeper.identity.label),), False, by_root=False)
    found = next(
        item for item in waiting_of(keeper.identity, read_book(session)) if item.request.digest == request.digest
    )
    return Asked(review, os.path.abspath(path), found)


def _require_approvers(identity: IdentityView) -> None:
    last = last_record(identity)
    if last is None or last.document is None or last.document.approvers is None:
        raise InputError(
            "approver.none",
            f"nobody has to approve what moves {identity.label!r}",
            f"publish it: walletcli publish {identity.label_word}",
        )


def _require_credentials(keeper: Keeper, only: Sequence[bytes]) -> None:
    known = {item.public_key for item in keeper.identity.credentials}
    wanted = only or [item.public_key for item in keeper.approvers.approvers]
    if not known & set(wanted) or set(only) - known:
        raise SignerError(
            "approver.no-credential",
            "this wallet does not know how to ask that approver",
            "use the wallet that enrolled it; if it is lost: walletcli identity approver remove WHO KEY --lost",
        )


def _export_that_waits(session: Session, identity: IdentityView) -> Keeper:
    for found in gatherings(read_book(session), identity):
        last = last_record(identity)
        if found.item.export is not None and not found.is_over and last is not None:
            context = found.waiting.contexts[0].decisions
            return Keeper(session, identity, last, export=found.item.export, context=context)
    raise InputError(
        "approver.nothing-waits",
        f"no contact export of {identity.label!r} waits for approvals",
        "walletcli contact export FILE: it says what is missing, and waits from then on",
    )


def _next_record(session: Session, wish: AskWish, dialer: Dialer, offline: bool, progress: Progress) -> Keeper:
    identity = find(session.snapshot().wallet, wish.who)
    last = last_record(identity)
    assert last is not None
    book = read_book(session)
    for waiting in book.waiting:
        for item in waiting.request.items:  # a watch wallet has asked the root for its signature of this
            if isinstance(item, PublishItem) and item.identity == identity.public_key:
                return Keeper(session, identity, item.record.with_approvals(last.beside), item.document)
    document = waiting_document(session, identity)
    if document is not None:
        return Keeper(session, identity, last, document)
    if session.facts().watch:
        raise InputError(
            "approver.nothing-waits",
            f"no record of {identity.label!r} waits for the root's signature",
            f"ask for that first: walletcli request make {identity.label_word} --out FILE",
        )
    if not needs_document(identity, time.time()):
        raise InputError(
            "approver.nothing-waits",
            f"nothing of {identity.label!r} waits to be signed",
            "decide something first; a device is renewed in its last 30 days",
        )
    addresses = relays_to_ask(session, identity, wish.relays, offline)
    if addresses:
        plan_publish(session, identity.label, addresses, wish.accept_link)
    view, document = draft_next(session, identity.index, addresses, dialer, on_top=wish.on_top, progress=progress)
    newest = last_record(view)
    assert newest is not None
    return Keeper(session, view, newest, document)


@dataclass(frozen=True, slots=True)
class TakenApprovals:
    """Approvals that were taken in.

    Attributes:
        waiting: how far it has come with them.
        names: the owner's names of the approvers whose approvals are new.
    """

    waiting: WaitingApproval
    names: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether enough have approved."""
        return self.waiting.state == "complete"

    def to_json(self) -> dict[str, object]:
        """Return how far it has come, and what is new."""
        return {"waiting": self.waiting.to_json(), "taken": list(self.names), "complete": self.is_complete}


def take_approvals(session: Session, path: str) -> TakenApprovals:
    """Take in what an approver has approved somewhere else; on disk when this returns.

    Args:
        session: the open wallet.
        path: of the approval file.

    Raises:
        InputError: ``file.*``, ``identity.unknown``.
        FormatError: ``approval-file.*``, ``approval.*``, ``cbor.*``.
        UsageError: ``response.is-offer`` for a key that is offered.
        VerificationError: ``response.unknown``, ``response.applied``, ``response.cancelled``,
            ``response.superseded``, ``response.expired``, ``response.digest``, ``response.item``,
            ``response.approver``, ``response.counted``, ``approval.*``.
    """
    file = ApprovalFile.from_bytes(read_file(path, MAX_FILE_BYTES))
    if file.offer is not None:
        raise UsageError(
            "response.is-offer",
            "the file offers a key as approver; it approves nothing",
            "walletcli identity approver add WHO --offer FILE",
        )
    taken: list[tuple[IdentityView, RequestBook, bytes]] = []

    def with_them(book: RequestBook) -> tuple[RequestBook, Sequence[Change]]:
        found, identity = _asked_for(session, book, file)
        taken[:] = [(identity, _counted(book, found, file.approvals), found.request.digest)]
        return taken[0][1], ()

    _close_if_over(session, file)
    change_book(session, with_them)
    identity, book, digest = taken[0]
    waiting = next(item for item in waiting_of(identity, book) if item.request.digest == digest)
    names = {item.public_key: item.name for item in identity.credentials}
    new = tuple(sorted(names.get(item.public_key) or item.public_key.hex()[:16] for item in file.approvals))
    return TakenApprovals(waiting, new)


def _asked_for(session: Session, book: RequestBook, file: ApprovalFile) -> tuple[Gathering, IdentityView]:
    """Return what an approval file answers, which still waits."""
    waiting = answered_request(book, file)
    item = waiting.request.items[0]
    if not isinstance(item, ApproveItem):
        raise VerificationError("response.item", "the response answers an item that is not in the request, or not so")
    identity = find(session.snapshot().wallet, IdentityId(item.identity).did)
    found = next(one for one in gatherings(book, identity) if one.request.digest == file.digest)
    if found.is_over:
        raise superseded()
    return found, identity


def _close_if_over(session: Session, file: ApprovalFile) -> None:
    """Remember that what was asked for is over, so that it waits no more."""
    try:
        _asked_for(session, read_book(session), file)
    except VerificationError as error:
        if error.code == "response.superseded":
            change_book(session, lambda book: (book.closing(file.request_id, _today(), End.SUPERSEDED), ()))
        raise


def _counted(book: RequestBook, found: Gathering, approvals: Sequence[Approval]) -> RequestBook:
    """Return the book with approvals that pass, all of them."""
    known = {item.public_key: item for item in found.item.approvers.approvers}
    for approval in approvals:
        if approval.public_key not in known:
            raise VerificationError("response.approver", "the approval is by a key that is no approver of the identity")
        approval.check(found.item.subject, known[approval.public_key])
    before = {item.public_key: item for item in found.given}
    new = {item.public_key: item for item in approvals if item.public_key not in before}
    if not new:
        raise VerificationError(
            "response.counted", "this approval has been taken in before", "it counts once: ask another approver"
        )
    return book.with_approvals(found.item.subject.digest, (*before.values(), *new.values()))


def cancel_waiting(session: Session, who: str) -> tuple[WaitingApproval, ...]:
    """Forget all of an identity that waits for approvals; answers to it are refused from then on.

    Returns:
        What waited.

    Raises:
        InputError: ``identity.unknown``, ``approver.nothing-waits``.
    """
    identity = find(session.snapshot().wallet, who)
    gone: list[WaitingApproval] = []

    def without(book: RequestBook) -> tuple[RequestBook, Sequence[Change]]:
        gone[:] = waiting_of(identity, book)
        for item in gone:
            book = book.closing(item.request.request_id, _today(), End.CANCELLED)
        return book, ()

    change_book(session, without)
    if not gone:
        hint = f"see: walletcli identity approver list {identity.label_word}"
        raise InputError("approver.nothing-waits", f"nothing of {identity.label!r} waits for approvals", hint)
    return tuple(gone)


def _today() -> int:
    return today(time.time())
