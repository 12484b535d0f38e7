"""What a resolution says: the state that was found, what was verified of it, and what each source answered.

Spec: docs/spec/resolution.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from walletcli.client.approved import NotApprovedError
from walletcli.client.independence import WANTED_SOURCES
from walletcli.client.splits import Split
from walletcli.core.bindings import Binding
from walletcli.core.document import Document
from walletcli.core.identity_id import IdentityId
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record

_DAY_S = 86_400


class FreshnessCheck(StrEnum):
    """How a result stands to what was known before."""

    CHECKED = "checked"
    """at or above the remembered state"""
    FIRST_SEEN = "first-seen"
    """nothing was remembered of this identity, so a source could have held back something newer"""
    NEWEST_KNOWN = "newest-known"
    """the remembered state itself; what the sources offered could not be used"""
    NOT_CHECKED = "not-checked"
    """the memory was not at hand"""


class Outcome(StrEnum):
    """What a source's answer was worth."""

    CURRENT = "current"
    OLDER = "older"
    STALE = "stale"
    """below the remembered state"""
    UNAPPROVED = "unapproved"
    """newer, but approvers that are remembered have not approved it"""
    PENDING = "pending"
    """newer, but its document could not be had or not be used"""
    SPLIT = "split"
    """one of two that were signed with the same seq, or a later one that does not heal that"""
    NOT_FOUND = "not-found"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What one source said.

    Args:
        address: as text.
        outcome: what it was worth.
        seq: of its packet, if it gave a verified one.
        error_code: why it failed, or why its document was not taken from it; None where nothing went wrong.
        message: the same for a reader.
    """

    address: str
    outcome: Outcome
    seq: int | None = None
    error_code: str | None = None
    message: str | None = None

    @property
    def is_answer(self) -> bool:
        """Whether the source said what it has, were it nothing, or something that cannot be used."""
        return self.outcome is not Outcome.FAILED or self.seq is not None

    def to_json(self) -> dict[str, object]:
        """Return all five fields."""
        return {
            "address": self.address,
            "outcome": self.outcome.value,
            "seq": self.seq,
            "error": self.error_code,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class Resolution:
    """The verified state of an identity.

    Args:
        identity: who was asked for.
        record: the state; its document is None for a packet that names none, and for a `pending` one.
        sources: what each relay said, in the order they were given.
        verified: plain statements of what was checked.
        freshness: how the state stands to the remembered one.
        pending: the newest packet, where its document could not be had or used.
        splits: what was signed twice with one `seq`.
        bindings: the document's, each verified on its own.
        refused: why a newer state is not followed that remembered approvers have not approved, or None.
        independent: those of `sources` that count towards freshness, as text (docs/spec/resolution.md, "Sources").
        latest_day: latest date in the document that is not in the future, days since 1970-01-01; None without any.
    """

    identity: IdentityId
    record: Record
    sources: tuple[SourceReport, ...]
    verified: tuple[str, ...]
    freshness: FreshnessCheck
    pending: SignedPacket | None = None
    splits: tuple[Split, ...] = ()
    bindings: tuple[Binding, ...] = ()
    refused: NotApprovedError | None = None
    independent: tuple[str, ...] = ()
    latest_day: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether the identity was known before: then the first valid answer at or above that will do."""
        return self.freshness in (FreshnessCheck.CHECKED, FreshnessCheck.NEWEST_KNOWN)

    @property
    def may_start_trust(self) -> bool:
        """Whether enough independent sources have answered for somebody who did not know the identity."""
        return self.is_known or len(self.independent) >= WANTED_SOURCES

    @property
    def open_splits(self) -> tuple[Split, ...]:
        """The splits that the state does not heal."""
        return tuple(split for split in self.splits if not split.is_healed_by(self.record))

    def to_json(self) -> dict[str, object]:
        """Return the resolution for scripts."""
        document = self.record.document
        return {
            "did": self.identity.did,
            "seq": self.record.packet.seq,
            "document": document.to_json() if document is not None else None,
            "packet": self.record.packet.to_json(),
            "verified": list(self.verified),
            "sources": [{**source.to_json(), "counts": source.address in self.independent} for source in self.sources],
            "independent": len(self.independent),
            "wanted": WANTED_SOURCES,
            "latest_day": self.latest_day,
            "freshness": self.freshness.value,
            "pending": {"seq": self.pending.seq} if self.pending is not None else None,
            "splits": [split.to_json() for split in self.splits],
            "bindings": [binding.to_json() for binding in self.bindings],
            "refused": {"message": self.refused.message, "last_day": self.refused.last_day} if self.refused else None,
        }


def latest_day(document: Document | None, bindings: Sequence[Binding], today: int) -> int | None:
    """Return the latest date in a document that is not in the future: how old it is at most, if its owner is honest.

    `seq` is a counter and no date.

    Args:
        document: verified, or None.
        bindings: its bindings.
        today: days since 1970-01-01.
    """
    days = [delegation.not_before_day for delegation in document.delegations] if document is not None else []
    days += [binding.grant.not_before_day for binding in bindings if binding.grant is not None]
    return max((day for day in days if day <= today), default=None)


def statements(
    record: Record, now_s: float, bindings: Sequence[Binding] = (), before: Document | None = None
) -> tuple[str, ...]:
    """Return what the verification of `record` established, one plain statement each.

    Args:
        record: verified.
        now_s: Unix time in seconds, for the delegations.
        bindings: the document's, verified.
        before: the document that was remembered, if approvers stand in it, and the record was followed from it.
    """
    packet, document = record.packet, record.document
    did = IdentityId(packet.public_key).did
    said = [f"signature: the packet with seq {packet.seq} is signed by {did}"]
    if document is None:
        said.append("document: the packet names none" if packet.document_hash is None else "document: not at hand")
        return tuple(said)
    said += [
        "document: its SHA-256 is the one in the packet",
        "identity: packet and document belong to the same key",
        f"seq: packet and document both say {packet.seq}",
        "derivation: the packet says nothing but what follows from the document",
    ]
    if document.delegations:
        today = int(now_s) // _DAY_S
        valid = sum(delegation.holds_on(today) for delegation in document.delegations)
        said.append(f"delegations: {valid} of {len(document.delegations)} hold today")
    if bindings:
        said.append(f"bindings: {sum(binding.is_valid for binding in bindings)} of {len(bindings)} hold today")
    said += _about_approvers(document, before)
    if document.retirement is not None:
        said.append("retirement: the identity has been ended by its own key")
    return tuple(said)


def _about_approvers(document: Document, before: Document | None) -> list[str]:
    """Say who must approve from here on, and whether what was found needed an approval."""
    said = []
    if before is not None and before.approvers is not None and before.hash != document.hash:
        said.append("approvers: those of before have approved this, or the delay for a change without them has passed")
    if document.approvers is not None:
        names = f"{document.approvers.threshold} of {len(document.approvers.approvers)}"
        if before is None:
            said.append(
                f"approvers: {names} must approve what follows; not seen before, so this state rests on the root"
            )
        else:
            said.append(f"approvers: {names} must approve what follows")
    return said
