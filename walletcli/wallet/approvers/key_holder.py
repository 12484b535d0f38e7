"""The side of whoever holds a key that approves: shows what is asked, and has the key approve it.

Neither a wallet nor words are needed. If a wallet is open there, what it has seen of the identity is compared.

Spec: docs/spec/gathering.md, "Where the key is".
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from walletcli.client.approved import known_document
from walletcli.client.freshness import Freshness, Seen
from walletcli.core.approval import Approval, in_order
from walletcli.core.approval_file import ApprovalFile, Offer, offer_subject
from walletcli.core.approvals import check_follows
from walletcli.core.approver_items import ApproveItem, OfferItem
from walletcli.core.document_parts import Approvers
from walletcli.core.request_file import MAX_FILE_BYTES, RequestFile, digest_words
from walletcli.errors import SignerError, UsageError, VerificationError, WalletError
from walletcli.signers.devices.opening import opened
from walletcli.signers.requests import PacketRequest
from walletcli.wallet.airgap.alarms import Alarm, packet_alarms
from walletcli.wallet.airgap.review import KINDS, ItemReview, Review, error_parts
from walletcli.wallet.airgap.telling import approval_lines, read_only_review
from walletcli.wallet.approvers.asking import Question, ask
from walletcli.wallet.files import read_file, refuse_existing, write_file
from walletcli.wallet.home import Home, Progress, silent
from walletcli.wallet.security_keys import chosen_key, prompts_of
from walletcli.wallet.state.approvers import Credential
from walletcli.wallet.state.draft import today


def review_asked(path: str, now_s: float, memory: Freshness | None = None) -> Review:
    """Say what a request asks of whoever holds a key that approves.

    Args:
        path: of the request file.
        now_s: this machine's clock, Unix time in seconds.
        memory: what an open wallet has seen, or None.

    Raises:
        InputError: ``file.*``.
        FormatError: what the file ends in.
        VerificationError: ``signature.invalid``, ``request.record``.
        UsageError: ``request.for-root`` if it asks the root keys.
    """
    request = RequestFile.from_bytes(read_file(path, MAX_FILE_BYTES))
    item, is_late = request.items[0], request.has_expired(today(now_s))
    if isinstance(item, OfferItem):
        return Review(request, (read_only_review(1, item, None),), is_late, by_root=True)
    if not isinstance(item, ApproveItem):
        raise UsageError(
            "request.for-root",
            "this asks the machine with the root keys, not somebody who approves",
            "there: walletcli request approve FILE --out RESPONSE",
        )
    return Review(request, (_reviewed(item, now_s, memory),), is_late, by_root=True)


def _reviewed(item: ApproveItem, now_s: float, memory: Freshness | None) -> ItemReview:
    found = ItemReview(1, KINDS[item.KIND], item.identity, None, None, ())
    try:
        lines = approval_lines(item, today(now_s))
        seen = memory.get(item.identity) if memory is not None else None
        compared = _compared(item, seen)
        return ItemReview(1, found.kind, item.identity, None, None, (*lines, compared), _alarms(item, now_s))
    except WalletError as error:
        return ItemReview(1, found.kind, item.identity, None, None, (), error=error_parts(error))


def _alarms(item: ApproveItem, now_s: float) -> tuple[Alarm, ...]:
    if item.document is None:
        return ()
    return tuple(packet_alarms(PacketRequest(item.identity, item.document, item.record.document), None, now_s))


def _compared(item: ApproveItem, seen: Seen | None) -> str:
    """Compare the record that is followed with what was seen here; return what came of it.

    Raises:
        SignerError: ``request.stale``, ``request.split``.
        VerificationError: ``approval.missing`` if the record itself was not approved.
    """
    if seen is None:
        return "nothing is known here of the identity: ask its owner whether this is its newest state"
    packet, document = item.record.packet, item.record.document
    if packet.seq < seen.seq:
        raise SignerError(
            "request.stale",
            f"the request follows seq {packet.seq}, and seq {seen.seq} has been seen here since",
            "ask for a request that follows the newest record",
        )
    if packet.seq == seen.seq and packet.document_hash != seen.document_hash:
        raise SignerError(
            "request.split",
            f"another record with seq {packet.seq} has been seen here: somebody else signs with the root key as well",
            "approve nothing, and tell the owner",
        )
    assert document is not None
    check_follows(known_document(seen), document, item.record.beside)
    return f"follows what was seen here, seq {seen.seq}"


@dataclass(frozen=True, slots=True)
class Answered:
    """An approval file that was written.

    Attributes:
        review: what was asked.
        path: of the file.
        keys: of the approvers that have approved, or the one that is offered; 32 or 33 bytes each.
        digest: SHA-256 of the file, 32 bytes.
    """

    review: Review
    path: str
    keys: tuple[bytes, ...]
    digest: bytes

    def to_json(self) -> dict[str, object]:
        """Return the request, the keys, and where the answer is."""
        return {
            "request": self.review.to_json(),
            "keys": [key.hex() for key in self.keys],
            "answer": self.path,
            "answer_digest": self.digest.hex(),
            "answer_words": list(digest_words(self.digest)),
        }


def approve_asked(
    home: Home, review: Review, path: str, accepted: Sequence[str] = (), progress: Progress = silent
) -> Answered:
    """Have the keys that are plugged in approve what a request asks, and write the answer.

    Args:
        home: whose prompts ask; no wallet is needed in it.
        review: of the request, which the holder of the key has seen.
        path: of the new file.
        accepted: names of the alarms that the holder accepts.
        progress: takes a line per step.

    Raises:
        VerificationError: ``request.expired``, and why it cannot be approved.
        UsageError: ``request.for-offer`` if a key is asked for, not an approval.
        InputError: ``file.exists``.
        SignerError: ``request.alarm``, ``approver.not-here``, ``key.*``.
        MissingExtraError: ``key.no-hidapi``.
    """
    refuse_existing(path)
    item = review.request.items[0]
    if not isinstance(item, ApproveItem):
        raise UsageError(
            "request.for-offer",
            "this asks for a key of yours as approver, not for an approval",
            "walletcli identity approver offer FILE --out ANSWER",
        )
    _check(review)
    for found in review.items[0].alarms:
        if found.name not in accepted:
            raise SignerError(
                "request.alarm",
                f"item 1 raises an alarm, {found.name}: {found.text}",
                f"if that is meant: --accept {found.name}",
            )
    approvals = _approvals(home, item, progress)
    file = ApprovalFile(review.request.request_id, review.request.digest, in_order(approvals))
    return _written(review, file, path, tuple(approval.public_key for approval in approvals))


def _approvals(home: Home, item: ApproveItem, progress: Progress) -> tuple[Approval, ...]:
    asked = {key.public_key: key.credential_id for key in item.keys}
    credentials = [Credential(key, known, key.hex()[:16]) for key, known in asked.items()]
    members = tuple(one for one in item.approvers.approvers if one.public_key in asked)
    given: list[Approval] = []
    question = Question(credentials, Approvers(1, members, 1), item.subject, keep=given.append, enough=1)
    ask(home, question, progress)
    if len(members) > 1:  # of several that are plugged in, all
        try:
            rest = Question(credentials, Approvers(1, members, 1), item.subject, tuple(given), given.append, False,
                            len(members))  # fmt: skip
            ask(home, rest, progress)
        except SignerError as error:
            if error.code != "approver.not-here":
                raise
    return tuple(given)


def offer_key(home: Home, review: Review, path: str, which: str | None = None) -> Answered:
    """Have a security key make a credential for somebody else's identity, and write the offer; it is touched twice.

    Args:
        home: whose prompts ask; no wallet is needed in it.
        review: of the request, which the holder of the key has seen.
        path: of the new file.
        which: path or serial number of the key; None if one only is plugged in.

    Raises:
        VerificationError: ``request.expired``.
        UsageError: ``request.for-approval`` if an approval is asked for; ``key.unknown``.
        InputError: ``file.exists``.
        SignerError: ``key.*``.
        MissingExtraError: ``key.no-hidapi``.
    """
    refuse_existing(path)
    item, request = review.request.items[0], review.request
    if not isinstance(item, OfferItem):
        raise UsageError(
            "request.for-approval",
            "this asks for an approval, not for a key of yours as approver",
            "walletcli identity approver approve FILE --out ANSWER",
        )
    _check(review)
    with opened(chosen_key(which), prompts_of(home)) as device:
        made = device.new_approver([], verify=item.verify)
        subject = offer_subject(item.identity, request.digest, made.approver)
        proof = device.approve(made.credential_id, made.approver, subject)
    offer = Offer(made.approver, made.credential_id, proof)
    file = ApprovalFile(request.request_id, request.digest, offer=offer)
    return _written(review, file, path, (made.approver.public_key,))


def _check(review: Review) -> None:
    if review.expired:
        raise VerificationError("request.expired", "the request has expired", "ask its owner to make it anew")
    error = review.items[0].error
    if error is not None:
        raise VerificationError(*error)


def _written(review: Review, file: ApprovalFile, path: str, keys: tuple[bytes, ...]) -> Answered:
    data = file.to_bytes()
    write_file(path, data, replace=False)
    return Answered(review, os.path.abspath(path), keys, hashlib.sha256(data).digest())
