"""Picks one state out of what relays answered and what is remembered.

Spec: docs/spec/resolution.md, "Resolving", steps 3 to 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from walletcli.client.answers import Answer, State, states
from walletcli.client.approved import NotApprovedError, best_beside, check_approved, is_approved
from walletcli.client.freshness import Freshness, Seen, Waiting
from walletcli.client.resolution import FreshnessCheck, Outcome, SourceReport
from walletcli.client.splits import SplitError, find_splits, keep_splits
from walletcli.core.equivocation import EquivocationProof
from walletcli.core.identity_id import IdentityId
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record
from walletcli.errors import NetworkError, VerificationError, WalletError
from walletcli.net.addresses import NAME_HINT


class Choice:
    """One state, chosen when constructed.

    Args:
        identity: who was asked for.
        answers: one from each relay.
        seen: what is remembered, or None.
        known: splits of the identity that were met before.
        today: days since 1970-01-01: how long a change of approvers is known depends on it. On day 0 none is followed.

    Attributes:
        record: the state.
        kept: the same, where it is the remembered one because nothing that was offered could be used.
        pending: the newest packet, where its document could not be had or used.
        splits: what was signed twice with one `seq`, not below the remembered state.
        refused: why the newest state that remembered approvers have not approved is not followed, or None.

    Raises:
        NetworkError: ``resolve.not-found``, ``resolve.unreachable``, ``network.offline``.
        VerificationError: ``resolve.unverified``, ``record.stale``, ``record.equivocation`` (as a `SplitError`), and
            what the only document ends in.
        FormatError: what the only document ends in.
    """

    def __init__(
        self,
        identity: IdentityId,
        answers: Sequence[Answer],
        seen: Seen | None,
        known: Sequence[EquivocationProof] = (),
        today: int = 0,
    ) -> None:
        self._identity = identity
        self._seen = seen
        self._states = states(answers)
        if not self._states:
            _raise_nothing_found(identity, answers)
        self._complete_from_memory()
        floor = -1 if seen is None else seen.seq
        self._candidates = [state for state in self._states if state.packet.seq >= floor]
        if not self._candidates:
            self._raise_stale()
        self.splits = find_splits(self._candidates, seen, known)
        self.refused = self._refuse_unapproved(today)
        self.pending: SignedPacket | None = None
        self.kept: Record | None = None
        self.record = self._pick()

    @property
    def is_bare_pending(self) -> bool:
        """Whether nothing better was found than a packet without its document."""
        return self.pending is not None and self.record.packet == self.pending

    @property
    def waiting(self) -> Waiting | None:
        """A change of approvers that is waited for, to be remembered with the remembered state."""
        return self.refused.waiting if self.refused is not None else None

    @property
    def freshness(self) -> FreshnessCheck:
        """How the choice stands to what is remembered."""
        if self._seen is None:
            return FreshnessCheck.FIRST_SEEN
        return FreshnessCheck.NEWEST_KNOWN if self.kept is not None else FreshnessCheck.CHECKED

    def report(self, answer: Answer) -> SourceReport:
        """Say what `answer` was worth."""
        error = answer.error
        code, message = (error.code, error.message) if error else (None, None)
        if answer.packet is None:
            return SourceReport(answer.address, Outcome.FAILED if error else Outcome.NOT_FOUND, None, code, message)
        return SourceReport(answer.address, self._worth(answer.packet), answer.packet.seq, code, message)

    def _worth(self, packet: SignedPacket) -> Outcome:
        chosen = self.record.packet
        if self._seen is not None and packet.seq < self._seen.seq:
            return Outcome.STALE
        if any(packet in split.packets for split in self.splits):
            return Outcome.SPLIT
        if any(state.is_refused and state.packet == packet for state in self._states):
            return Outcome.UNAPPROVED
        if self.pending is not None and packet.seq >= self.pending.seq:
            return Outcome.PENDING
        if packet.seq > chosen.seq:
            return Outcome.SPLIT  # it comes after a split and does not heal it
        return Outcome.OLDER if packet.seq < chosen.seq else Outcome.CURRENT

    def _complete_from_memory(self) -> None:
        seen = self._seen
        if seen is None or seen.record is None:
            return
        for state in self._states:
            if state.is_pending and (state.packet.seq, state.packet.document_hash) == (seen.seq, seen.document_hash):
                state.record = seen.record

    def _refuse_unapproved(self, today: int) -> NotApprovedError | None:
        """Give each state what is beside it, and mark those that may not be followed; return why of the newest."""
        newest = None
        for state in self._candidates:
            if state.record is None:
                continue
            state.record = best_beside(self._seen, state.record, state.beside)
            try:
                check_approved(self._seen, state.record, today)
            except NotApprovedError as error:
                state.is_refused, state.fault = True, error
                newest = newest if newest is not None else error
        return newest

    def _pick(self) -> Record:
        whole = [state for state in self._candidates if state.record is not None and not state.is_refused]
        usable = [state for state in whole if self._heals_all(state)]
        newest = self._candidates[0]
        if self.splits and not usable:
            return self._keep_or_refuse()
        if usable and usable[0] is newest:
            assert newest.record is not None
            return newest.record
        self.pending = newest.packet
        if usable:
            assert usable[0].record is not None
            return usable[0].record
        if self._seen is not None and self._seen.record is not None:
            self.kept = self._seen.record
            return self.kept
        if newest.fault is not None:
            raise newest.fault
        return Record.verified(newest.packet, None)

    def _heals_all(self, state: State) -> bool:
        """Whether a state comes after every split and its document names both sides of each; or it is approved.

        Of several approved ones with one `seq` none is followed.
        """
        if not self._is_approved(state):
            return all(split.is_healed_by(state.record) for split in self.splits)
        at_seq = [other for other in self._candidates if other.packet.seq == state.packet.seq]
        return len({other.packet.document_hash for other in at_seq if self._is_approved(other)}) == 1

    def _is_approved(self, state: State) -> bool:
        return state.record is not None and is_approved(self._seen, state.record)

    def _keep_or_refuse(self) -> Record:
        """Stay at the remembered state in front of a split, wherever that state can be had."""
        seen = self._seen
        if seen is not None:
            served = [
                s for s in self._states if (s.packet.seq, s.packet.document_hash) == (seen.seq, seen.document_hash)
            ]
            record = seen.record or next((state.record for state in served if state.record is not None), None)
            if record is not None:
                self.kept = record
                return record
        sides = "; ".join(
            f"seq {split.seq} from {', '.join(split.addresses) or 'what is remembered'}" for split in self.splits
        )
        raise SplitError(
            f"{self._identity.did} has signed different states with the same seq ({sides})",
            "its key may be in two hands: ask its owner over another channel, and trust neither state; "
            f"the proof: walletcli record prove {self._identity.did} --out FILE",
            [proof for split in self.splits for proof in split.proofs],
        )

    def _raise_stale(self) -> NoReturn:
        assert self._seen is not None
        named = "; ".join(f"seq {s.packet.seq} from {', '.join(s.addresses)}" for s in self._states)
        raise VerificationError(
            "record.stale",
            f"only older states than the known seq {self._seen.seq} were offered: {named}",
            "ask other relays; these serve old answers or have lost the newer one",
        )


def choose(identity: IdentityId, answers: Sequence[Answer], memory: Freshness | None, today: int) -> Choice:
    """Pick one state, given what is remembered; splits that were met are remembered, whatever comes of it.

    Args:
        identity: who was asked for.
        answers: one from each relay.
        memory: what is remembered; None: nothing is.
        today: days since 1970-01-01.

    Raises:
        NetworkError, VerificationError, FormatError: as `Choice`.
    """
    if memory is None:
        return Choice(identity, answers, None)
    key = identity.public_key
    try:
        choice = Choice(identity, answers, memory.get(key), memory.splits(key), today)
    except SplitError as error:
        keep_splits(memory, error.proofs)
        raise
    keep_splits(memory, [proof for split in choice.splits for proof in split.proofs])
    return choice


def _raise_nothing_found(identity: IdentityId, answers: Sequence[Answer]) -> NoReturn:
    errors: list[WalletError] = [answer.error for answer in answers if answer.error]
    if not errors:
        raise NetworkError(
            "resolve.not-found",
            f"relays asked: {len(answers)}; none of them knows {identity.did}",
            "check the id; or ask other relays with --relay",
        )
    if all(error.code == "network.offline" for error in errors):
        raise errors[0]
    listed = "; ".join(f"{error.message} ({error.code})" for error in errors)
    are_misnamed = {error.hint for error in errors} == {NAME_HINT}
    if any(isinstance(error, VerificationError) for error in errors):
        raise VerificationError(
            "resolve.unverified",
            f"nothing that verifies was found: {listed}",
            NAME_HINT if are_misnamed else "ask other relays with --relay",
        )
    raise NetworkError(
        "resolve.unreachable",
        f"not found, and not everybody answered: {listed}",
        NAME_HINT if are_misnamed else "try again, or ask other relays with --relay",
    )
