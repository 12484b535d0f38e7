"""The book of requests of an open wallet: read, changed as a whole, and told.

Spec: docs/spec/request.md, "Drawer requests".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from walletcli.core.approval_file import ApprovalFile
from walletcli.core.identity_id import IdentityId
from walletcli.core.request_file import digest_words
from walletcli.core.request_items import CreateItem, EnrolItem, Item
from walletcli.core.response import ResponseFile
from walletcli.errors import InputError, SignerError, VaultError, VerificationError
from walletcli.wallet.access.session import Session
from walletcli.wallet.airgap.book import DRAWER, End, RequestBook, Waiting, drawer_hash
from walletcli.wallet.airgap.review import KINDS, request_json
from walletcli.wallet.state.changes import Change, KeepDevices, PutDrawer, Several
from walletcli.wallet.state.draft import today

MAX_ATTEMPTS = 20
"""How often a change is made again because another process changed the book meanwhile."""

MIN_ID_DIGITS = 4
"""Fewest hexadecimal digits that name a request."""

_RACES = ("drawer.changed", "request.device-gone")


def require_watch(session: Session) -> None:
    """Check that this wallet asks another machine for signatures.

    Raises:
        SignerError: ``request.not-watch``.
    """
    if not session.facts().watch:
        raise SignerError(
            "request.not-watch",
            "this wallet has its root keys: it asks nobody",
            "do directly what the request would ask for",
        )


def read_book(session: Session) -> RequestBook:
    """Return what the wallet remembers of requests."""
    return RequestBook.from_bytes(session.drawer(None, DRAWER))


def change_book(session: Session, change: Callable[[RequestBook], tuple[RequestBook, Sequence[Change]]]) -> None:
    """Change the book and whatever goes with it in one write; devices that no request waits for are forgotten.

    Args:
        session: the open wallet.
        change: makes the new book, and other changes that come before it, of the book as it is; may be called again.

    Raises:
        VaultError: ``vault.busy``.
        WalletError: what `change` and the other changes end in.
    """
    for _ in range(MAX_ATTEMPTS):
        data = session.drawer(None, DRAWER)
        book, others = change(RequestBook.from_bytes(data))
        put = PutDrawer(None, DRAWER, book.to_bytes(), drawer_hash(data))
        try:
            session.apply(Several((*others, KeepDevices(waiting_devices(book)), put)))
        except VaultError as error:
            if error.code not in _RACES:
                raise
        else:
            return
    raise VaultError("vault.busy", "other processes keep changing the wallet", "try again")


def waiting_devices(book: RequestBook) -> tuple[bytes, ...]:
    """Return the signing keys of devices that wait for an answer, ascending."""
    items = (item for waiting in book.waiting for item in waiting.request.items)
    return tuple(sorted(item.device.signing_key for item in items if isinstance(item, CreateItem | EnrolItem)))


def answered_request(book: RequestBook, file: ResponseFile | ApprovalFile) -> Waiting:
    """Return the request that an answer is to.

    Raises:
        VerificationError: ``response.unknown``, ``response.applied``, ``response.cancelled``, ``response.digest``,
            ``response.superseded``, ``response.expired``.
    """
    waiting = next((item for item in book.waiting if item.request.request_id == file.request_id), None)
    if waiting is None:
        _check_not_closed(book, file.request_id)
        raise VerificationError(
            "response.unknown",
            "the response answers a request that this wallet did not make, or does not remember",
            "apply it in the wallet that made the request",
        )
    if waiting.request.digest != file.digest:
        raise VerificationError(
            "response.digest",
            "what was approved is not what this wallet asked for",
            "the request was altered on its way: make it anew, and compare the words on both machines",
        )
    if waiting.request.has_expired(today(time.time())):
        raise VerificationError("response.expired", "the request has expired", "cancel it and make it anew")
    return waiting


def _check_not_closed(book: RequestBook, request_id: bytes) -> None:
    for closed in book.closed:
        if closed.request_id == request_id and closed.end is End.CANCELLED:
            raise VerificationError("response.cancelled", "the request was cancelled", "make it anew")
        if closed.request_id == request_id and closed.end is End.SUPERSEDED:
            raise superseded()
        if closed.request_id == request_id:
            raise VerificationError("response.applied", "the response has been applied before", "nothing is to be done")


def superseded() -> VerificationError:
    """Return the error for an answer that comes too late."""
    return VerificationError(
        "response.superseded",
        "something else was decided or signed since the request was made: what it asks for is over",
        "make it anew, and ask for the approvals of that",
    )


def cancel_request(session: Session, request_id: str) -> Waiting:
    """Forget a request that waits; an answer to it is refused from then on.

    Args:
        session: the open wallet.
        request_id: its id in hexadecimal, or at least 4 digits that no other one begins with.

    Raises:
        InputError: ``request.unknown``.
    """
    found: list[Waiting] = []

    def cancelled(book: RequestBook) -> tuple[RequestBook, Sequence[Change]]:
        found[:] = [_named(book, request_id)]
        return book.closing(found[0].request.request_id, today(time.time()), End.CANCELLED), ()

    change_book(session, cancelled)
    return found[0]


def _named(book: RequestBook, request_id: str) -> Waiting:
    text = request_id.strip().lower()
    found = [item for item in book.waiting if item.request.request_id.hex().startswith(text)]
    if len(text) < MIN_ID_DIGITS or len(found) != 1:
        raise InputError(
            "request.unknown", f"no single request that waits has the id {request_id!r}", "see: walletcli request list"
        )
    return found[0]


@dataclass(frozen=True, slots=True)
class RequestState:
    """One request in a list.

    Attributes:
        request_id: 16 bytes.
        digest: 32 bytes.
        state: waiting, expired, applied, cancelled, superseded (made here) or approved (answered here).
        day: of the request, its end or its approval; days since 1970-01-01.
        expires_day: first day it no longer holds, or None where that is not remembered.
        items: what it asks for, a line each; empty where that is not remembered.
    """

    request_id: bytes
    digest: bytes
    state: str
    day: int
    expires_day: int | None
    items: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the fields, the digest's words beside it."""
        return {
            "id": self.request_id.hex(),
            "digest": self.digest.hex(),
            "digest_words": list(digest_words(self.digest)),
            "state": self.state,
            "day": self.day,
            "expires_day": self.expires_day,
            "items": list(self.items),
        }


def list_requests(session: Session) -> list[RequestState]:
    """Return what the wallet remembers of requests: those that wait, then approved ones, then ended ones."""
    book = read_book(session)
    labels = {identity.public_key: identity.label for identity in session.snapshot().wallet.identities}
    day = today(time.time())
    states = [_waiting_state(item, labels, day) for item in book.waiting]
    for answer in book.answered:
        states.append(
            RequestState(answer.request_id, answer.digest, "approved", answer.approved_day, answer.expires_day)
        )
    for closed in book.closed:
        states.append(RequestState(closed.request_id, closed.digest, closed.end.name.lower(), closed.day, None))
    return states


def _waiting_state(waiting: Waiting, labels: dict[bytes, str], day: int) -> RequestState:
    request = waiting.request
    items = tuple(f"{KINDS[item.KIND]} {_who(item, labels)}" for item in request.items)
    state = "expired" if request.has_expired(day) else "waiting"
    return RequestState(request.request_id, request.digest, state, request.made_day, request.expires_day, items)


def _who(item: Item, labels: dict[bytes, str]) -> str:
    if isinstance(item, CreateItem):
        return item.label
    return labels.get(item.identity) or IdentityId(item.identity).did


def waiting_json(waiting: Waiting) -> dict[str, object]:
    """Return id, digest and days of a request that waits or waited."""
    return request_json(waiting.request)
