"""The cold side: says what a request would do, and has the root sign what its owner approved.

Pure but for the entropy and the clock that it is given: whoever holds the open vault calls it, and writes the state
that it returns before anybody sees the answer.

Spec: docs/spec/request.md, "On the cold side".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from walletcli.core.approvals import DocumentApprovals
from walletcli.core.approver_items import ApproveItem, OfferItem
from walletcli.core.document import Document
from walletcli.core.ed25519 import SigningKey
from walletcli.core.record import Record
from walletcli.core.request_items import CreateItem, Item
from walletcli.core.response import Origin, Response, ResponseFile
from walletcli.core.short_record import to_short
from walletcli.errors import SignerError, VerificationError, WalletError
from walletcli.signers.requests import PacketRequest
from walletcli.signers.software import SoftwareSigner
from walletcli.signers.statement_requests import StatementRequest
from walletcli.signers.statements import sign_statement
from walletcli.wallet.airgap.book import DRAWER, Answered, RequestBook
from walletcli.wallet.airgap.preparing import Prepared, Preparer, for_approvers
from walletcli.wallet.airgap.review import KINDS, ItemReview, Review, error_parts
from walletcli.wallet.airgap.telling import read_only_review
from walletcli.wallet.approvers.asking import ASKED_ELSEWHERE
from walletcli.wallet.state import naming, transitions
from walletcli.wallet.state.approvers import Credential, joined
from walletcli.wallet.state.continuing import Found
from walletcli.wallet.state.draft import today
from walletcli.wallet.state.wallet_state import WALLET_DRAWER, WalletState

Hold = Callable[[WalletState, int, str], WalletState]
"""Returns the state with one more identity, by index and label."""

Ask = Callable[[Sequence[Credential], Record, Document, bool], bytes | None]
"""Has approvers approve a document that follows a record, waiting for keys or not; returns what is beside it."""


def review(preparer: Preparer) -> Review:
    """Say what each item of a request would do; nothing is signed."""
    request = preparer.request
    known = read_book(preparer.state).answer_to(request.digest)
    answered = {item.item for item in known.responses} if known is not None else set()
    items = tuple(_reviewed(preparer, number, item, number in answered) for number, item in enumerate(request.items, 1))
    return Review(request, items, request.has_expired(today(preparer.now_s)), by_root=True)


def _reviewed(preparer: Preparer, number: int, item: Item, answered: bool) -> ItemReview:
    identity = getattr(item, "identity", None)
    held = preparer.held(identity)
    index = held.index if held is not None else getattr(item, "index", None)
    label = held.label if held is not None else item.label if isinstance(item, CreateItem) else None
    if isinstance(item, ApproveItem | OfferItem):
        return replace(read_only_review(number, item, label), error=error_parts(for_approvers()))
    found = ItemReview(number, KINDS[item.KIND], identity, index, label, (), answered=answered)
    if answered:
        return replace(found, lines=("this wallet has signed it before: approving it gives the same answer again",))
    try:
        prepared = preparer.prepared(number)
    except WalletError as error:
        return replace(found, error=error_parts(error))
    return replace(
        found,
        identity=prepared.asked.identity,
        index=prepared.index,
        lines=prepared.lines,
        alarms=prepared.alarms,
    )


def approve(
    preparer: Preparer, numbers: Sequence[int], accepted: Sequence[str], hold: Hold, ask: Ask
) -> tuple[WalletState, ResponseFile]:
    """Sign items, or return what was signed of them before.

    Args:
        preparer: the request, and what is needed to answer it.
        numbers: of the items that the owner approved.
        accepted: names of the alarms that the owner accepted.
        hold: makes the wallet hold an identity that it did not hold.
        ask: asks the approvers of an identity.

    Returns:
        The state that has to be written before the response leaves; the response to all items that were ever approved.

    Raises:
        InputError: ``request.item``.
        SignerError: ``request.alarm``, ``request.foreign``, ``request.stale``, ``request.split`` and others of
            docs/spec/request.md.
        VerificationError: ``request.expired``.
    """
    request, day = preparer.request, today(preparer.now_s)
    book = read_book(preparer.state)
    known = book.answer_to(request.digest)
    signed = {one.item: data for one, data in zip(known.responses, known.signed, strict=True)} if known else {}
    new = [number for number in sorted(set(numbers)) if number not in signed]
    if new and request.has_expired(day):
        raise VerificationError(
            "request.expired", "the request has expired", "make it anew; and is this machine's clock right?"
        )
    for number in new:
        preparer.state, signed[number] = _signed(preparer, number, accepted, hold, ask)
    file = ResponseFile.of(tuple(data for _, data in sorted(signed.items())))
    if new:
        answer = Answered(request.digest, request.request_id, day, request.expires_day, file.signed)
        preparer.state = write_book(preparer.state, book.with_answer(answer, day))
    return preparer.state, file


def _signed(
    preparer: Preparer, number: int, accepted: Sequence[str], hold: Hold, ask: Ask
) -> tuple[WalletState, bytes]:
    """Return the state after an item was signed, and the signed response."""
    prepared = preparer.prepared(number)
    unaccepted = [found for found in prepared.alarms if found.name not in accepted]
    if unaccepted:
        raise SignerError(
            "request.alarm",
            f"item {number} raises an alarm, {unaccepted[0].name}: {unaccepted[0].text}",
            f"if that is meant: --accept {unaccepted[0].name}",
        )
    root, request, asked = preparer.tree.root(prepared.index), preparer.request, prepared.asked
    response = Response(asked.identity, request.request_id, request.digest, number, bytes(64))
    if isinstance(asked, StatementRequest):
        return preparer.state, _sign_response(root, replace(response, signature=_statement_signature(root, asked)))
    beside = _beside(preparer, number, prepared, asked, ask)
    record, response = _sign_packet(root, asked).with_approvals(beside), replace(response, beside=beside)
    state = _kept(preparer.state, prepared, record, hold)
    if prepared.drafted:
        origin = _origin(preparer, state, prepared.index)
        response = replace(response, signature=None, record=to_short(record), origin=origin)
    else:
        response = replace(response, signature=record.packet.signature)
    return state, _sign_response(root, response)


def _beside(
    preparer: Preparer, number: int, prepared: Prepared, asked: PacketRequest, ask: Ask
) -> DocumentApprovals | None:
    """Have the approvers of the record that is followed approve, before the root signs; None if that is not needed.

    What was drafted here must be approved here; what the other side has drafted can be approved there as well.
    """
    given = getattr(preparer.request.item(number), "record", None)
    if asked.previous is None or given is None:
        return None
    held = preparer.held(asked.identity)
    own = Record.from_bytes(held.record) if held is not None and held.record is not None else None
    last = own if own is not None and own.packet.document_hash == given.packet.document_hash else given
    known = (held.credentials if held is not None else (), prepared.section.credentials if prepared.section else ())
    try:
        beside = ask(joined(*known), last, asked.document, prepared.drafted)
    except WalletError as error:
        if prepared.drafted or error.code not in ASKED_ELSEWHERE:
            raise
        return None
    return DocumentApprovals.from_bytes(beside) if beside is not None else None


def _sign_packet(root: SigningKey, asked: PacketRequest) -> Record:
    packet = SoftwareSigner(root, asked.identity).sign(asked)
    return Record.verified(packet, asked.document.to_bytes())


def _statement_signature(root: SigningKey, asked: StatementRequest) -> bytes:
    """Sign a statement; its signature is the end of its one encoding."""
    return sign_statement(root, asked.statement.TYP, asked.statement.to_payload())[-64:]


def _sign_response(root: SigningKey, response: Response) -> bytes:
    return sign_statement(root, Response.TYP, response.to_payload())


def _origin(preparer: Preparer, state: WalletState, index: int) -> Origin:
    identity = state.public.by_index(index)
    key, generation = identity.recovery_key, identity.recovery_generation
    return Origin(index, preparer.tree.scheme, key, generation, state.public.check)


def _kept(state: WalletState, prepared: Prepared, record: Record, hold: Hold) -> WalletState:
    index = prepared.index
    held = any(identity.index == index for identity in state.public.identities)
    if not held:
        state = hold(state, index, naming.label_for(state.public, prepared.section, index))
    return transitions.record_approved(state, index, Found(record, prepared.section, prepared.before), held=held)


def read_book(state: WalletState) -> RequestBook:
    """Return what a wallet remembers of requests.

    Raises:
        FormatError: ``request-book.*``.
    """
    return RequestBook.from_bytes(state.drawers.get((WALLET_DRAWER, DRAWER)))


def write_book(state: WalletState, book: RequestBook) -> WalletState:
    """Return the state with another book of requests."""
    return replace(state, drawers={**state.drawers, (WALLET_DRAWER, DRAWER): book.to_bytes()})
