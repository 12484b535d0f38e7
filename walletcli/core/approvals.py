"""The approvals that travel beside a document, and whether a verifier may follow it.

Spec: docs/spec/approval.md, "Approvals beside a document" and "Following".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from walletcli.core import cbor
from walletcli.core.approval import Approval, Subject, check_threshold, in_order, read_approvals
from walletcli.core.cbor import Value
from walletcli.core.document import Document
from walletcli.core.document_parts import Approver, Approvers
from walletcli.errors import FormatError, VerificationError

VERSION: Final = 1
"""Version of the approvals beside a document."""

MAX_APPROVALS_BYTES: Final = 16_384
"""Longest approvals beside one document, steps included."""

MAX_STEPS: Final = 4
"""Most earlier documents that come with their approvals."""


@dataclass(frozen=True, slots=True)
class Step:
    """An earlier document that changed the approvers, with the approvals of those who were it before.

    Attributes:
        document: as it was.
        approvals: of it, ascending by key.
    """

    document: Document
    approvals: tuple[Approval, ...]

    def to_cbor(self) -> list[Value]:
        """Return the array of the CDDL."""
        return [self.document.to_bytes(), [approval.to_cbor() for approval in self.approvals]]

    @classmethod
    def from_cbor(cls, value: Value) -> Step:
        """Read the array of the CDDL; raises FormatError as `DocumentApprovals.from_bytes`."""
        if type(value) is not list or len(value) != 2 or type(value[0]) is not bytes:
            raise FormatError("approval.malformed", "a step has a document and approvals of it")
        return cls(Document.from_bytes(value[0]), read_approvals(value[1]))


@dataclass(frozen=True, slots=True)
class DocumentApprovals:
    """What comes beside a document.

    Attributes:
        approvals: of the document, ascending by key.
        steps: earlier documents of the same identity that changed the approvers, ascending by `seq`, so that whoever
            has not seen them can go from the approvers that they know to those of now.
    """

    approvals: tuple[Approval, ...]
    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        seqs = [step.document.seq for step in self.steps]
        if len(seqs) > MAX_STEPS or any(map(int.__ge__, seqs, seqs[1:])):
            raise FormatError("approval.malformed", f"at most {MAX_STEPS} steps, ascending by seq")

    def to_bytes(self) -> bytes:
        """Encode."""
        approvals: list[Value] = [approval.to_cbor() for approval in self.approvals]
        return cbor.encode([VERSION, approvals, [step.to_cbor() for step in self.steps]])

    @classmethod
    def from_bytes(cls, data: bytes) -> DocumentApprovals:
        """Decode; exactly one encoding is accepted. No signature is checked.

        Raises:
            FormatError: ``approval.too-long``, ``approval.malformed``, ``approval.unknown-version``,
                ``approval.authenticator-data``, ``cbor.*``, and what `Document.from_bytes` raises for a step.
        """
        if len(data) > MAX_APPROVALS_BYTES:
            raise FormatError(
                "approval.too-long", f"approvals of at most {MAX_APPROVALS_BYTES} bytes, found {len(data)}"
            )
        value = cbor.decode(data, MAX_APPROVALS_BYTES)
        if type(value) is not list or not value:
            raise FormatError("approval.malformed", "approvals: a list is needed")
        if type(value[0]) is not int or value[0] != VERSION:
            raise FormatError("approval.unknown-version", "approvals: of a version not known here", "update walletcli")
        if len(value) != 3 or type(value[2]) is not list or len(value[2]) > MAX_STEPS:
            raise FormatError("approval.malformed", f"approvals: needs approvals and at most {MAX_STEPS} steps")
        return cls(read_approvals(value[1]), tuple(map(Step.from_cbor, value[2])))


def approvals_for(
    before: Document | None, beside: DocumentApprovals | None, document: Document, approvals: tuple[Approval, ...]
) -> DocumentApprovals | None:
    """Return what goes beside a document; None if that is nothing.

    Args:
        before: the document that it replaces, or None for a first one.
        beside: what was beside that one, or None.
        document: the new one. Where it changes the approvers, it is a step for all that follow.
        approvals: of it.
    """
    steps = beside.steps if beside is not None else ()
    if before is not None and before.approvers is not None and before.approvers != document.approvers and approvals:
        steps = (*steps, Step(document, in_order(approvals)))[-MAX_STEPS:]
    found = DocumentApprovals(in_order(approvals), steps)
    while len(found.to_bytes()) > MAX_APPROVALS_BYTES and found.steps:
        found = replace(found, steps=found.steps[1:])
    return found if found.approvals or found.steps else None


def is_better(
    known: Document | None, document: Document, offered: DocumentApprovals, before: DocumentApprovals | None
) -> bool:
    """Tell whether what is offered beside a document may take the place of what is there.

    Anybody can offer something: a stranger who strips or pads what is good must not get it replaced.

    Args:
        known: the newest document that was followed, or None; of no use where it is that document itself.
        document: beside which it is.
        offered: by whomever.
        before: what is there, or None.
    """
    if before is None:
        return True
    worth = _worth(known, document, offered), _worth(known, document, before)
    if worth[0] != worth[1] or not worth[0]:
        return worth[0] > worth[1]
    now, then = (_parts(known, document, beside) for beside in (offered, before))
    return now > then


def _worth(known: Document | None, document: Document, beside: DocumentApprovals) -> int:
    """Return 2 if approvers who are known have approved, 1 if those have whom the document names itself, else 0."""
    is_later = known is not None and known.hash != document.hash and known.approvers is not None
    if known is not None and is_later and _passes(known, document, beside):
        return 2
    return int(document.approvers is not None and approved_by(document.approvers, document, beside))


def _parts(known: Document | None, document: Document, beside: DocumentApprovals) -> frozenset[bytes]:
    """Return what tells one thing of value beside a document from another: keys that approved it, and steps."""
    subject = Subject.of_document(document)
    keys: set[bytes] = set()
    for approvers in (document.approvers, known.approvers if known is not None else None):
        for approver in approvers.approvers if approvers is not None else ():
            keys.update(item.public_key for item in beside.approvals if _counts(item, subject, approver))
    steps = {step.document.hash + item.to_bytes() for step in beside.steps for item in step.approvals}
    return frozenset(keys | steps)


def _counts(approval: Approval, subject: Subject, approver: Approver) -> bool:
    try:
        approval.check(subject, approver)
    except VerificationError:
        return False
    return True


def change_of(known: Document, document: Document) -> bytes | None:
    """Return what tells one change of approvers from another, for a verifier who waits: 32 bytes; None without one."""
    if known.approvers == document.approvers:
        return None
    return hashlib.sha256(cbor.encode([_encoded(known.approvers), _encoded(document.approvers)])).digest()


def is_clock_behind(known: Document, day: int) -> bool:
    """Tell whether a clock is wrong: it stands before the day on which something in a followed document began.

    A first sight on such a day would be over as soon as the clock is set right.

    Args:
        known: the newest document that was followed.
        day: what the clock says, days since 1970-01-01.
    """
    return day + 1 < max((item.not_before_day for item in known.delegations), default=0)


def _encoded(approvers: Approvers | None) -> Value:
    return approvers.to_cbor() if approvers is not None else None


def check_follows(known: Document | None, document: Document, beside: DocumentApprovals | None) -> None:
    """Check that who knows one document of an identity may follow a later one.

    Args:
        known: the newest document that the verifier has followed, or None for a newcomer.
        document: a later one of the same identity.
        beside: what came beside it, or None.

    Raises:
        VerificationError: ``approval.missing``.
    """
    if known is None or known.approvers is None or known.hash == document.hash:
        return
    approvers = approvers_before(known, document, beside)
    if approvers is not None:
        check_threshold(approvers, Subject.of_document(document), beside.approvals if beside is not None else ())


def approvers_before(known: Document, document: Document, beside: DocumentApprovals | None) -> Approvers | None:
    """Return who has to approve a later document, for who knows `known`: its approvers, or those that steps lead to.

    Args:
        known: a document that was followed.
        document: a later one of the same identity.
        beside: what came beside it, or None.
    """
    approvers = known.approvers
    for step in beside.steps if beside is not None else ():
        is_between = step.document.identity == known.identity and known.seq < step.document.seq < document.seq
        if is_between and approvers is not None and _approved(approvers, step.document, step.approvals):
            approvers = step.document.approvers
    return approvers


def approved_by(approvers: Approvers, document: Document, beside: DocumentApprovals | None) -> bool:
    """Tell whether enough approvers have approved a document by what came beside it."""
    return _approved(approvers, document, beside.approvals if beside is not None else ())


def _passes(known: Document, document: Document, beside: DocumentApprovals) -> bool:
    try:
        check_follows(known, document, beside)
    except VerificationError:
        return False
    return True


def _approved(approvers: Approvers, document: Document, approvals: Iterable[Approval]) -> bool:
    try:
        check_threshold(approvers, Subject.of_document(document), approvals)
    except VerificationError:
        return False
    return True
