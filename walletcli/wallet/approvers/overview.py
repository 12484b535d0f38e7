"""Says what of an identity waits for approvals, and whose are there.

Spec: docs/spec/gathering.md, "What is kept".
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from walletcli.core.approval import Kind
from walletcli.core.request_file import RequestFile
from walletcli.wallet.access.session import Session
from walletcli.wallet.airgap.book import RequestBook
from walletcli.wallet.airgap.review import request_json
from walletcli.wallet.airgap.waiting import read_book
from walletcli.wallet.approvers.gathering import Gathering, gatherings
from walletcli.wallet.state.draft import RENEW_DAYS, last_document, today
from walletcli.wallet.state.view import IdentityView

KINDS = {Kind.DOCUMENT: "record", Kind.CONTACT_EXPORT: "contacts"}
"""What can wait for approvals, in one word."""


@dataclass(frozen=True, slots=True)
class WaitingApproval:
    """Something that waits for approvals.

    Attributes:
        request: its request.
        did: the identity's.
        label: its label.
        kind: ``record`` or ``contacts``.
        given: the owner's names of the approvers that have approved; of one that has none, its key.
        missing: likewise, of the others.
        needed: how many must.
        state: ``waiting``, ``complete``, ``expired`` or ``superseded``.
    """

    request: RequestFile
    did: str
    label: str
    kind: str
    given: tuple[str, ...]
    missing: tuple[str, ...]
    needed: int
    state: str

    def to_json(self) -> dict[str, object]:
        """Return the fields, of the request id, digest and days."""
        return {
            **request_json(self.request),
            "did": self.did,
            "label": self.label,
            "kind": self.kind,
            "given": list(self.given),
            "missing": list(self.missing),
            "needed": self.needed,
            "state": self.state,
        }


def waiting_of(identity: IdentityView, book: RequestBook) -> tuple[WaitingApproval, ...]:
    """Return what of an identity waits for approvals, the oldest first."""
    return tuple(_told(identity, found) for found in gatherings(book, identity))


def _told(identity: IdentityView, found: Gathering) -> WaitingApproval:
    names = {item.public_key: item.name for item in identity.credentials}
    keys = [item.public_key for item in found.item.approvers.approvers]
    done = {approval.public_key for approval in found.given}
    called = {key: names.get(key) or key.hex()[:16] for key in keys}
    given = tuple(sorted(called[key] for key in keys if key in done))
    missing = tuple(sorted(called[key] for key in keys if key not in done))
    is_late = found.request.has_expired(today(time.time()))
    state = "superseded" if found.is_over else "expired" if is_late else "complete" if found.is_complete else "waiting"
    did, needed = identity.summary().did, found.item.approvers.threshold
    kind = KINDS[found.item.subject.kind]
    return WaitingApproval(found.request, did, identity.label, kind, given, missing, needed, state)


def all_waiting(session: Session) -> tuple[WaitingApproval, ...]:
    """Return what of any identity of the wallet waits for approvals."""
    book = read_book(session)
    if not book.waiting:
        return ()
    return tuple(item for identity in session.snapshot().wallet.identities for item in waiting_of(identity, book))


@dataclass(frozen=True, slots=True)
class Renewal:
    """A device whose say in an identity ends soon, and is renewed only with approvals.

    Attributes:
        did: the identity's.
        label: its label.
        last_day: the last day on which it holds, days since 1970-01-01; None if the record does not name it.
        days: how many are left from today; 0 if none is.
    """

    did: str
    label: str
    last_day: int | None
    days: int

    def to_json(self) -> dict[str, object]:
        """Return the fields."""
        return {"did": self.did, "label": self.label, "last_day": self.last_day, "days": self.days}


def renewal_of(identity: IdentityView) -> Renewal | None:
    """Return what has to be renewed with approvals within 30 days, or None; nobody does that unattended."""
    document = last_document(identity)
    is_guarded = document is not None and document.approvers is not None and document.retirement is None
    if document is None or not is_guarded or identity.retired is not None:
        return None
    own = next((item for item in document.delegations if item.signing_key == identity.device_signing_key), None)
    days = max(0, own.not_after_day - today(time.time())) if own is not None else 0
    if days >= RENEW_DAYS:
        return None
    last_day = own.not_after_day - 1 if own is not None else None
    return Renewal(identity.summary().did, identity.label, last_day, days)


def renewals(session: Session) -> tuple[Renewal, ...]:
    """Return what of any identity of the wallet has to be renewed with approvals."""
    found = (renewal_of(identity) for identity in session.snapshot().wallet.identities)
    return tuple(item for item in found if item is not None)
