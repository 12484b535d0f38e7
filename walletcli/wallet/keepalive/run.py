"""Visits relays for what is due, one record after the other, spread over time, and remembers how it went.

Spec: docs/spec/keepalive.md.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from walletcli.client.keeping import Outcome, Visit, keep_alive
from walletcli.core.identity_id import IdentityId
from walletcli.errors import InputError, NetworkError, PartialError, WalletError
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.access.waited import session_after
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.keepalive.log import Entry, KeepLog, change_log
from walletcli.wallet.keepalive.plan import Plan, Task, keeping_relays, make_plan, takes_part
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.pacing import DEFAULT_SPREAD_S, Pause, random_fraction, random_waits
from walletcli.wallet.route import dialer_for
from walletcli.wallet.state.lookup import find
from walletcli.wallet.state.view import IdentityView

AGAIN_MIN_S: Final = 12 * 3600
"""A record is looked after again after so many seconds at the earliest."""

AGAIN_MAX_S: Final = 36 * 3600
"""After so many at the latest."""

RETRY_MIN_S: Final = 3600
"""After a failure, after so many seconds at the earliest."""

RETRY_MAX_S: Final = 3 * 3600
"""After so many at the latest."""

PER_VISIT_S: Final = 10.0
"""How many seconds of a synchronization's spread a visit may take up."""

_ANSWERED: Final = frozenset({Outcome.KEPT, Outcome.RESTORED, Outcome.NEWER, Outcome.REFUSED, Outcome.SPLIT})


@dataclass(slots=True)
class KeepReport:
    """What was done for one identity.

    Attributes:
        identity: which.
        visits: each task with what came of it, in the order of the visits.
        left: how many more are due, for another run.
        not_due: how many contacts are not due yet.
        without_record: how many contacts' records are not at hand.
        elsewhere: how many contacts are left to another identity of the wallet, or are one.
        error: why nothing could be done, or None.
    """

    identity: IdentityView
    visits: list[tuple[Task, Visit]] = field(default_factory=list)
    left: int = 0
    not_due: int = 0
    without_record: int = 0
    elsewhere: int = 0
    error: WalletError | None = None

    @property
    def did(self) -> str:
        """The identity, as did:key."""
        return IdentityId(self.identity.public_key).did

    def count(self, *outcomes: Outcome) -> int:
        """Return how many visits came to one of these."""
        return sum(visit.outcome in outcomes for _, visit in self.visits)

    def to_json(self) -> dict[str, object]:
        """Return did, label, each visit, and the counts."""
        return {
            "did": self.did,
            "label": self.identity.label,
            "visits": [_visit_json(task, visit) for task, visit in self.visits],
            "left": self.left,
            "not_due": self.not_due,
            "without_record": self.without_record,
            "elsewhere": self.elsewhere,
            "error": self.error.to_json() if self.error is not None else None,
        }


def _visit_json(task: Task, visit: Visit) -> dict[str, object]:
    return {
        "did": IdentityId(task.key).did,
        "name": task.name,
        "own": task.is_own,
        "relay": task.relay.to_text(),
        "outcome": visit.outcome.value,
        "seq": visit.seq,
        "error": visit.error.to_json() if visit.error is not None else None,
    }


@dataclass(frozen=True, slots=True)
class WalletKept:
    """What was done for each identity.

    Attributes:
        reports: in the order in which they had their turns.
    """

    reports: tuple[KeepReport, ...]

    @property
    def shortfall(self) -> PartialError | None:
        """What is missing, or None."""
        failed = sum(report.count(Outcome.FAILED, Outcome.LIMITED) for report in self.reports)
        refused = [report.error for report in self.reports if report.error is not None]
        if not failed and not refused:
            return None
        text = refused[0].message if refused else f"{failed} visit(s) failed, and are tried again later"
        return PartialError("keepalive.partial", text, refused[0].hint if refused else "see what each relay said")

    def to_json(self) -> dict[str, object]:
        """Return the report of each identity."""
        return {"identities": [report.to_json() for report in self.reports]}


@dataclass(frozen=True, slots=True)
class KeepWish:
    """How it is to be done.

    Attributes:
        relays: among which contacts are spread; none: the wallet's list.
        few_relays: be content with fewer than three.
        everything: also what is not due yet.
        own: the identities' own records as well.
        spread_s: how long all visits may be spread over, in seconds; 0: one right after the other.
    """

    relays: tuple[str, ...] = ()
    few_relays: bool = False
    everything: bool = False
    own: bool = True
    spread_s: float = DEFAULT_SPREAD_S


def keep_wallet_alive(
    session: Session,
    whom: Sequence[str] = (),
    wish: KeepWish | None = None,
    *,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
    pause: Pause = time.sleep,
) -> WalletKept:
    """Keep alive what is due of several identities, each in a turn of its own, in random order.

    Args:
        session: the open wallet.
        whom: labels or ids; none: all that are published.
        wish: how.
        offline: open no connection.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.
        pause: waits.

    Raises:
        InputError: ``identity.unknown``; ``keepalive.unpublished`` for a named identity that is not published;
            ``keepalive.few-relays`` if there is but one identity.
        NetworkError: ``network.offline``; ``relay.none`` if there is but one identity.
        VaultError: ``vault.*``, ``agent.*``.
    """
    if offline:
        raise NetworkError("network.offline", "nothing can be kept alive offline", "leave out --offline")
    asked = wish if wish is not None else KeepWish()
    wallet = session.snapshot().wallet
    named = [_published(find(wallet, who)) for who in whom]
    chosen = named or [item for item in wallet.identities if takes_part(item)]
    order = sorted({item.index: item for item in chosen}.values(), key=lambda _: os.urandom(16))
    plans: list[Plan] = []
    reports: list[KeepReport] = []
    for identity in order:
        try:
            plans.append(_plan(session, identity, asked))
        except (InputError, NetworkError) as error:
            if len(order) == 1:
                raise
            reports.append(KeepReport(identity, error=error))
    waits = iter(random_waits(sum(len(plan.tasks) for plan in plans), asked.spread_s))
    route = dialer if dialer is not None else dialer_for(offline)
    for plan in plans:
        turn = _Turn(session, plan, route, progress, pause)
        for task in plan.tasks:
            turn.visit(task, next(waits))
        turn.end()
        reports.append(turn.report)
    return WalletKept(tuple(reports))


def keep_due_contacts(
    session: Session,
    index: int,
    spread_s: float,
    *,
    dialer: Dialer | None = None,
    progress: Progress = silent,
    pause: Pause = time.sleep,
) -> KeepReport | None:
    """Keep alive which of an identity's contacts are due, as part of a synchronization.

    Args:
        session: the open wallet.
        index: of the identity.
        spread_s: how long the visits may be spread over at most, in seconds.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.
        pause: waits.

    Returns:
        What was done; None for an identity that takes no part, or without relays enough.

    Raises:
        VaultError: ``vault.*``, ``agent.*``.
        FormatError: ``contact-book.*``, ``keepalive-log.*``.
    """
    identity = session.snapshot().wallet.by_index(index)
    if not takes_part(identity):
        return None
    try:
        plan = _plan(session, identity, KeepWish(own=False))
    except (InputError, NetworkError):
        return None
    turn = _Turn(session, plan, dialer if dialer is not None else dialer_for(offline=False), progress, pause)
    spread_s = min(spread_s, PER_VISIT_S * len(plan.tasks))
    for task, wait_s in zip(plan.tasks, random_waits(len(plan.tasks), spread_s), strict=True):
        turn.visit(task, wait_s)
    turn.end()
    return turn.report


def _published(identity: IdentityView) -> IdentityView:
    if not takes_part(identity):
        raise InputError(
            "keepalive.unpublished",
            f"{identity.label!r} is not published, or was restored and not looked up yet",
            f"first: walletcli publish {identity.label_word}",
        )
    return identity


def _plan(session: Session, identity: IdentityView, wish: KeepWish) -> Plan:
    relays = keeping_relays(session, identity, wish.relays, few=wish.few_relays)
    return make_plan(session, identity, relays, time.time(), everything=wish.everything, own=wish.own)


class _Turn:
    """The visits for one identity; what went well is remembered at once, so that a run goes on where it was cut off."""

    def __init__(self, session: Session, plan: Plan, dialer: Dialer, progress: Progress, pause: Pause) -> None:
        self._session = session
        self._plan = plan
        self._dialer = dialer
        self._progress = progress
        self._pause = pause
        self._limited: set[str] = set()
        self._waited_s = 0.0
        self.report = KeepReport(
            plan.identity,
            left=plan.left,
            not_due=plan.not_due,
            without_record=plan.without_record,
            elsewhere=plan.elsewhere,
        )

    def visit(self, task: Task, wait_s: float) -> None:
        """Do one task after a wait (seconds); one at a relay that wanted fewer requests is left for another run."""
        if task.relay.to_text() in self._limited:
            self.report.left += 1
            return
        if wait_s > 0:
            self._progress(f"waiting {wait_s:.0f} s before the next visit")
            self._pause(wait_s)
            self._waited_s += wait_s
        self._progress(f"looking after the record of {task.name}")
        with session_after(self._session, self._waited_s) as session:
            memory = WalletMemory(session.snapshot().wallet)
            did = IdentityId(self._plan.identity.public_key).did
            with memory.keeping_splits(session):
                visit = keep_alive(task.record, task.relay, dialer=self._dialer, for_identity=did, memory=memory)
            memory.save(session, but={self._plan.identity.public_key})
            self.report.visits.append((task, visit))
            if visit.outcome is Outcome.LIMITED:
                self._limited.add(task.relay.to_text())
            if visit.outcome in _ANSWERED:
                self._log(session, {task.key: self._entry(task.key).kept(_instant(AGAIN_MIN_S, AGAIN_MAX_S))})

    def end(self) -> None:
        """Remember what failed: of a relay it says something only if others answered."""
        failed: dict[bytes, Entry] = {}
        for task, visit in self.report.visits:
            if visit.outcome in _ANSWERED:
                continue
            alone = visit.outcome is Outcome.FAILED and self._another_answered(task)
            failed[task.key] = self._entry(task.key).failed(_instant(RETRY_MIN_S, RETRY_MAX_S), alone=alone)
        with session_after(self._session, self._waited_s) as session:
            self._log(session, failed)

    def _another_answered(self, task: Task) -> bool:
        return any(
            visit.outcome in _ANSWERED and other.relay.to_text() != task.relay.to_text()
            for other, visit in self.report.visits
        )

    def _entry(self, key: bytes) -> Entry:
        return self._plan.log.entries.get(key, Entry(0))

    def _log(self, session: Session, entries: dict[bytes, Entry]) -> None:
        def changed(log: KeepLog) -> KeepLog:
            kept = log.only(self._plan.keys)
            for key, entry in entries.items():
                kept = kept.with_entry(key, entry)
            return kept

        if entries:
            change_log(session, self._plan.identity.index, changed)


def _instant(low_s: int, high_s: int) -> int:
    """Return a random instant between so many seconds from now, drawn from the operating system's entropy."""
    return int(time.time() + low_s + random_fraction() * (high_s - low_s))
