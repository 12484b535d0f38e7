"""Enrols a key that the owner never holds: asks somebody for one by file, and takes what they offer.

Spec: docs/spec/gathering.md, "What is asked", "Where the identity is".
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from walletcli.core.approval_file import MAX_FILE_BYTES, ApprovalFile, Offer, offer_subject
from walletcli.core.approver_items import OfferItem
from walletcli.core.request_file import ID_BYTES, MAX_DAYS, RequestFile, digest_words
from walletcli.errors import SignerError, UsageError, VerificationError, WalletError
from walletcli.wallet.access.session import Session
from walletcli.wallet.airgap.book import Context, End, RequestBook, Waiting
from walletcli.wallet.airgap.review import Review
from walletcli.wallet.airgap.telling import read_only_review
from walletcli.wallet.airgap.waiting import answered_request, change_book, read_book
from walletcli.wallet.approvers.deciding import ApproversView, list_approvers, plan_with
from walletcli.wallet.approvers.gathering import GATHER_DAYS
from walletcli.wallet.files import read_file, refuse_existing, write_file
from walletcli.wallet.state.changes import Change
from walletcli.wallet.state.draft import last_document, next_approvers, today
from walletcli.wallet.state.lookup import find
from walletcli.wallet.state.view import IdentityView


@dataclass(frozen=True, slots=True)
class Invited:
    """A request for somebody's key.

    Attributes:
        review: what it asks for.
        path: of the file.
    """

    review: Review
    path: str

    def to_json(self) -> dict[str, object]:
        """Return the request and where it is."""
        return {"request": self.review.to_json(), "file": self.path}


def invite_approver(session: Session, who: str, path: str, *, verify: bool = True, days: int = GATHER_DAYS) -> Invited:
    """Write a request that asks somebody for a key of theirs as approver.

    Args:
        session: the open wallet.
        who: the identity, by label or id.
        path: of the new file.
        verify: its approvals are to ask for its PIN.
        days: how long the request holds, 1 to 90.

    Raises:
        InputError: ``identity.unknown``, ``request.too-many``, ``file.exists``.
        UsageError: ``request.days``.
        StorageError: ``storage.*``; what is not written does not wait.
    """
    if not 1 <= days <= MAX_DAYS:
        raise UsageError("request.days", f"a request holds 1 to {MAX_DAYS} days", "choose another number")
    refuse_existing(path)
    identity, day = find(session.snapshot().wallet, who), today(time.time())
    request = RequestFile(os.urandom(ID_BYTES), day, day + days, (OfferItem(identity.public_key, verify),))
    change_book(session, lambda book: (book.with_waiting(Waiting(request, (Context(),))), ()))
    try:
        write_file(path, request.to_bytes(), replace=False)
    except WalletError:
        change_book(session, lambda book: (book.closing(request.request_id, day, End.CANCELLED), ()))
        raise
    review = Review(request, (read_only_review(1, request.items[0], identity.label),), False, by_root=False)
    return Invited(review, os.path.abspath(path))


@dataclass(frozen=True, slots=True)
class OfferView:
    """A key that somebody offers.

    Attributes:
        file: the answer.
        offer: the key in it.
        digest: SHA-256 of the file, 32 bytes.
    """

    file: ApprovalFile
    offer: Offer
    digest: bytes

    @property
    def words(self) -> tuple[str, ...]:
        """The 8 words that the holder's machine shows as well."""
        return digest_words(self.digest)


def read_offer(session: Session, who: str, path: str) -> OfferView:
    """Read and verify the answer to a request for a key; nothing is decided yet.

    Args:
        session: the open wallet.
        who: the identity, by label or id.
        path: of the approval file.

    Raises:
        InputError: ``file.*``, ``identity.unknown``.
        FormatError: ``approval-file.*``, ``approval.*``, ``cbor.*``.
        UsageError: ``response.is-approval``.
        VerificationError: ``response.*``, ``approval.*``.
    """
    data = read_file(path, MAX_FILE_BYTES)
    file = ApprovalFile.from_bytes(data)
    if file.offer is None:
        raise UsageError(
            "response.is-approval", "the file approves something; it offers no key",
            "walletcli identity approver apply FILE",
        )  # fmt: skip
    _check(find(session.snapshot().wallet, who), read_book(session), file, file.offer)
    return OfferView(file, file.offer, hashlib.sha256(data).digest())


def _check(identity: IdentityView, book: RequestBook, file: ApprovalFile, offer: Offer) -> None:
    item = answered_request(book, file).request.items[0]
    if not isinstance(item, OfferItem):
        raise VerificationError("response.item", "the response answers an item that is not in the request, or not so")
    if item.identity != identity.public_key:
        raise VerificationError("response.identity", "the response is another identity's than the one it was asked of")
    if item.verify and not offer.approver.user_verification:
        raise VerificationError("response.pin", "the key would approve without its PIN", "ask its holder once more")
    offer.proof.check(offer_subject(item.identity, file.digest, offer.approver), offer.approver)
    group = next_approvers(last_document(identity), identity)
    if group is not None and offer.approver.public_key in {one.public_key for one in group.approvers}:
        raise VerificationError("response.counted", "this key is an approver already", "nothing is to be done")


def add_offered(
    session: Session,
    who: str,
    view: OfferView,
    *,
    name: str,
    threshold: int | None = None,
    delay_days: int | None = None,
) -> ApproversView:
    """Have a key that somebody offers approve for an identity from the next record on.

    Args:
        session: the wallet, opened for this and not by the agent.
        who: the identity, by label or id.
        view: the offer, whose words its owner has compared with the holder's.
        name: the owner's name for it.
        threshold: how many must approve; None: as it is, or one.
        delay_days: 1 to 365; None: as it is, or 30.

    Raises:
        InputError: ``identity.*``, ``approver.too-many``, ``approver.threshold``, ``approver.name``,
            ``approver.root``.
        SignerError: ``approver.consent`` if the agent was asked.
        VerificationError: as `read_offer`, if it was taken meanwhile.
    """

    def decided(book: RequestBook) -> tuple[RequestBook, Sequence[Change]]:
        identity = find(session.snapshot().wallet, who)
        _check(identity, book, view.file, view.offer)
        offer = view.offer
        change = plan_with(identity, offer.approver, offer.credential_id, name, threshold, delay_days)
        return book.closing(view.file.request_id, today(time.time()), End.APPLIED), (change,)

    change_book(session, decided)
    return list_approvers(session, who)


def check_offer_digest(view: OfferView, given: str) -> None:
    """Check that a digest that somebody typed is the offer's.

    Args:
        view: the offer.
        given: 64 hexadecimal digits, or the 8 words.

    Raises:
        SignerError: ``response.digest-typed``.
    """
    text = given.lower().replace("-", " ").split()
    if text not in ([view.digest.hex()], list(view.words)):
        raise SignerError(
            "response.digest-typed",
            "the offer is not the one whose words were given",
            "ask the holder of the key to read out the words once more",
        )
