"""Gathers approvals at the machine with the root keys, before it signs: what one key gave is not lost there either.

Spec: docs/spec/gathering.md, "What is kept".
"""

from __future__ import annotations

from collections.abc import Sequence

from walletcli.core.record import Record
from walletcli.core.request_file import RequestFile
from walletcli.core.request_items import PublishItem
from walletcli.errors import WalletError
from walletcli.wallet.access.session import Session
from walletcli.wallet.airgap.waiting import read_book
from walletcli.wallet.approvers.asking import ASKED_ELSEWHERE
from walletcli.wallet.approvers.gathering import approvals_of, question_of
from walletcli.wallet.state.draft import last_record
from walletcli.wallet.state.view import IdentityView


def approve_here(session: Session, request: RequestFile, numbers: Sequence[int], *, is_patient: bool) -> None:
    """Have approvers whose keys are here approve the new documents of a request, if that takes more than one.

    Args:
        session: a wallet that was opened in this process.
        request: what the root is about to sign.
        numbers: of the items that its owner approved.
        is_patient: whether further keys are waited for, once one has approved here.

    Raises:
        SignerError: ``key.*``. That too few keys are here is no error: the other machine may have them.
    """
    views = {identity.public_key: identity for identity in session.snapshot().wallet.identities}
    for item in (request.item(number) for number in numbers):
        if isinstance(item, PublishItem) and item.identity in views:
            _approve(session, views[item.identity], item, is_patient=is_patient)


def _approve(session: Session, view: IdentityView, item: PublishItem, *, is_patient: bool) -> None:
    own = last_record(view)
    last = own if own is not None and own.packet.document_hash == item.record.packet.document_hash else item.record
    if _threshold(session, view, last, item) < 2:
        return
    try:
        approvals_of(session, view, item.document, last=last, is_patient=False)
    except WalletError as error:
        if error.code not in ASKED_ELSEWHERE:
            raise
        if is_patient and read_book(session).approvals_of(item.document.hash):
            approvals_of(session, view, item.document, last=last)


def _threshold(session: Session, view: IdentityView, last: Record, item: PublishItem) -> int:
    question = question_of(view.credentials, last, item.document, read_book(session))
    return question.threshold if question is not None else 0
