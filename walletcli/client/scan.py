"""Looks many identities up at once: what a restore asks of the network.

Two ways. `scan` asks each relay for all of them over one connection, and so tells each relay that they are asked for
together. `scan_apart` gives every identity connections of its own, opened for it alone.

Spec: docs/spec/resolution.md, "Many at once".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from walletcli.client.answers import Answer, with_others
from walletcli.client.approved import hashes_to_ask_for
from walletcli.client.choice import choose
from walletcli.client.fanout import for_each
from walletcli.client.freshness import Freshness
from walletcli.client.link import TIMEOUT_S
from walletcli.client.resolution import Outcome, Resolution, SourceReport
from walletcli.client.resolve import ask_relays, resolution_of
from walletcli.client.sources import open_visit
from walletcli.client.visit import Found
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.errors import NetworkError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer

PER_KEY_S: Final = 0.25
"""How much longer a relay may take for each identity that it is asked for, in seconds."""

_NOT_FOUND: Final = "resolve.not-found"


@dataclass(frozen=True, slots=True)
class Scanned:
    """What came of one identity.

    Attributes:
        identity: who was looked for.
        resolution: its verified state, or None.
        error: why there is none; exactly then.
        sources: what each relay said.
    """

    identity: IdentityId
    resolution: Resolution | None
    error: WalletError | None
    sources: tuple[SourceReport, ...]

    @property
    def is_absent(self) -> bool:
        """Whether all relays said that they have nothing; otherwise it may exist, found or not."""
        return self.error is not None and self.error.code == _NOT_FOUND


def scan(
    identities: Sequence[IdentityId],
    relays: Sequence[NodeAddress],
    *,
    dialer: Dialer,
    memory: Freshness | None = None,
    for_identity: str | None = None,
    timeout_s: float = TIMEOUT_S,
    now_s: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Scanned]:
    """Ask every relay for all identities, over one connection each, and verify what comes.

    Every relay learns that somebody asks for all of these at once.

    Args:
        identities: who to look for.
        relays: who to ask; the same one twice is asked once.
        dialer: opens the connections.
        memory: what is remembered of identities; brought up to date. None: freshness is not checked.
        for_identity: did:key of the identity on whose behalf is asked, or None.
        timeout_s: how long each relay may take for anything, in seconds; `PER_KEY_S` more for each identity.
        now_s: Unix time in seconds; None takes the clock.
        progress: takes how many answers are there, and how many there will be; called from several threads.

    Returns:
        One result for each of `identities`, in their order.

    Raises:
        NetworkError: ``relay.none`` without relays.
    """
    with TogetherScan(relays, dialer=dialer, memory=memory, for_identity=for_identity, timeout_s=timeout_s) as asking:
        return asking.look_up(identities, now_s=now_s, progress=progress)


class TogetherScan:
    """Asks each relay for any number of identities over one connection, in as many steps as it takes.

    Every relay learns that somebody asks for all of these.

    Args:
        relays: who to ask; the same one twice is asked once.
        dialer: opens the connections.
        memory: what is remembered of identities; brought up to date. None: freshness is not checked.
        for_identity: did:key of the identity on whose behalf is asked, or None.
        timeout_s: how long each relay may take for anything, in seconds; `PER_KEY_S` more for each identity.
        with_bindings: verify the bindings of what is found.

    Raises:
        NetworkError: ``relay.none`` without relays.
    """

    def __init__(
        self,
        relays: Sequence[NodeAddress],
        *,
        dialer: Dialer,
        memory: Freshness | None = None,
        for_identity: str | None = None,
        timeout_s: float = TIMEOUT_S,
        with_bindings: bool = True,
    ) -> None:
        self._memory = memory
        self._timeout_s = timeout_s
        self._with_bindings = with_bindings
        self._found = Found()
        self._visits = [open_visit(address, dialer, for_identity, memory, self._found) for address in _relays(relays)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        for visit in self._visits:
            visit.close()

    def look_up(
        self,
        identities: Sequence[IdentityId],
        *,
        now_s: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Scanned]:
        """Ask every relay for all of these identities, and verify what comes.

        Args:
            identities: who to look for.
            now_s: Unix time in seconds; None takes the clock.
            progress: takes how many answers are there, and how many there will be; called from several threads.

        Returns:
            One result for each of `identities`, in their order.
        """
        now_s = time.time() if now_s is None else now_s
        keys = [identity.public_key for identity in identities]
        deadline_s = time.monotonic() + self._timeout_s + PER_KEY_S * len(keys)
        step = _Steps(progress, len(keys) * len(self._visits))
        for_each(self._visits, lambda visit: visit.look_up(keys, deadline_s, step))
        for_each(self._visits, lambda visit: visit.look_for_documents(self._found.missing_documents, deadline_s))
        asked = [visit.answer(key) for visit in self._visits for key in keys]
        beside = approvals_wanted(asked, self._memory)
        for_each(self._visits if beside else (), lambda visit: visit.look_for_approvals(beside, deadline_s))
        node_records = [visit.node_record for visit in self._visits]
        found = [
            scanned(
                identity,
                [visit.answer(identity.public_key) for visit in self._visits],
                self._memory,
                now_s,
                node_records,
                with_bindings=self._with_bindings,
            )
            for identity in identities
        ]
        self._found.wanted.clear()  # what nobody has is looked for once, not in every step
        return found


def scan_apart(
    identities: Iterable[IdentityId],
    relays: Sequence[NodeAddress],
    *,
    dialer: Dialer,
    memory: Freshness | None = None,
    timeout_s: float = TIMEOUT_S,
    now_s: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    with_bindings: bool = True,
) -> list[Scanned]:
    """Look each identity up over connections of its own, which are opened for it.

    Args:
        identities: who to look for, in the order in which they are asked for.
        relays: who to ask; the same one twice is asked once.
        dialer: opens the connections.
        memory: what is remembered of identities; brought up to date. None: freshness is not checked.
        timeout_s: how long each call to a relay may take, in seconds.
        now_s: Unix time in seconds; None takes the clock.
        progress: takes how many identities are done, and how many there are; called from several threads.
        with_bindings: verify the bindings of what is found.

    Returns:
        One result for each of `identities`, in their order.

    Raises:
        NetworkError: ``relay.none`` without relays.
    """
    addresses = _relays(relays)
    wanted = list(identities)
    step = _Steps(progress, len(wanted))
    now_s = time.time() if now_s is None else now_s

    def look_up(identity: IdentityId) -> Scanned:
        try:
            answers, node_records = ask_relays(
                identity,
                addresses,
                dialer=dialer,
                memory=memory,
                for_identity=identity.did,
                timeout_s=timeout_s,
            )
        finally:
            step()
        return scanned(identity, answers, memory, now_s, node_records, with_bindings=with_bindings)

    return for_each(wanted, look_up)


class _Steps:
    """Counts what is done; from several threads, where a number that comes late does no harm."""

    def __init__(self, progress: Callable[[int, int], None] | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def __call__(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(min(self._done, self._total), self._total)


def approvals_wanted(answers: Iterable[Answer], memory: Freshness | None) -> list[bytes]:
    """Return the hashes of documents beside which approvals may matter.

    Args:
        answers: with their documents.
        memory: what is remembered, or None.
    """
    named = [
        (answer.packet.public_key, answer.packet.document_hash, answer.document)
        for answer in answers
        if answer.packet is not None and answer.packet.document_hash is not None
    ]
    return hashes_to_ask_for(named, memory.get if memory is not None else lambda _: None)


def _relays(relays: Sequence[NodeAddress]) -> list[NodeAddress]:
    addresses = list(dict.fromkeys(relays))
    if not addresses:
        raise NetworkError("relay.none", "no relay is known to ask", "add one with `relay add`, or give --relay")
    return addresses


def scanned(
    identity: IdentityId,
    answers: list[Answer],
    memory: Freshness | None,
    now_s: float,
    node_records: Sequence[Record | None],
    *,
    with_bindings: bool = True,
) -> Scanned:
    """Choose one state out of what relays answered of an identity, and remember it.

    Args:
        identity: who was looked for.
        answers: one from each relay that was asked.
        memory: what is remembered; brought up to date. None: freshness is not checked.
        now_s: Unix time in seconds.
        node_records: of the relays themselves, where known.
        with_bindings: verify the bindings of what was found.
    """
    answers = with_others(answers)
    try:
        choice = choose(identity, answers, memory, int(now_s) // 86_400)
    except WalletError as error:
        return Scanned(identity, None, error, tuple(_report(answer) for answer in answers))
    found = resolution_of(choice, answers, identity, memory, now_s, node_records, with_bindings=with_bindings)
    return Scanned(identity, found, None, found.sources)


def _report(answer: Answer) -> SourceReport:
    """Say what an answer was where nothing could be chosen."""
    error = answer.error
    outcome = Outcome.FAILED if error is not None or answer.packet is not None else Outcome.NOT_FOUND
    seq = answer.packet.seq if answer.packet is not None else None
    code, message = (error.code, error.message) if error is not None else (None, None)
    return SourceReport(answer.address, outcome, seq, code, message)
