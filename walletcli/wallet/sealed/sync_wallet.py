"""Brings several identities in step, and the wallet index, each for itself: in random order, at instants of their own.

Spec: docs/spec/sealed-data.md, "Synchronization".
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from walletcli.errors import FormatError, InputError, PartialError, VerificationError, WalletError
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.access.waited import session_after
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.index.book import IndexBook
from walletcli.wallet.index.writing import IndexVisit, has_index, keep_index, plan_index
from walletcli.wallet.keepalive.run import keep_due_contacts
from walletcli.wallet.pacing import DEFAULT_SPREAD_S, Pause, random_waits
from walletcli.wallet.sealed.sync import SyncReport, SyncWish, sync_identity
from walletcli.wallet.sealed.sync_log import SyncEntry, SyncFault, change_log
from walletcli.wallet.state.lookup import find
from walletcli.wallet.state.view import IdentityView


@dataclass(frozen=True, slots=True)
class WalletSync:
    """What was done for each identity.

    Attributes:
        reports: in the order in which they were visited.
        held: labels of identities that were left out: restored, and too few sources have been asked yet.
        index: what was done for the wallet index; None where identities were named, or the seed is elsewhere.
    """

    reports: tuple[SyncReport, ...]
    held: tuple[str, ...] = ()
    index: IndexVisit | None = None

    @property
    def shortfall(self) -> PartialError | None:
        """What is missing, or None."""
        failed = [report for report in self.reports if report.errors]
        if not failed:
            return None
        first_step, first = failed[0].errors[0]
        return PartialError(
            "sync.partial",
            f"{len(failed)} of {len(self.reports)} identities are not in step; {failed[0].identity.label!r}, "
            f"{first_step}: {first.message}",
            first.hint or "try again; what failed for each is in the answer",
        )

    def to_json(self) -> dict[str, object]:
        """Return the report of each identity, and what was done for the index."""
        index = self.index.to_json() if self.index is not None else None
        return {"identities": [report.to_json() for report in self.reports], "index": index}


def sync_wallet(
    session: Session,
    whom: Sequence[str] = (),
    *,
    wish: SyncWish | None = None,
    spread_s: float = DEFAULT_SPREAD_S,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
    pause: Pause = time.sleep,
) -> WalletSync:
    """Bring identities in step, and remember how that went.

    Each is visited at a random instant of its own within `spread_s`: what several identities of one owner do at one
    instant ties them together. The first is visited at once.

    Args:
        session: the open wallet.
        whom: labels or ids; none: all that have been published or have a provider.
        wish: what is wanted beside the ordinary.
        spread_s: how long the visits of identities may be spread over, in seconds, and for each of them those for its
            contacts' records; 0: one right after the other.
        offline: open no connection.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.
        pause: waits.

    Raises:
        InputError: ``identity.unknown``.
        NetworkError: ``network.offline``.
        VaultError: ``vault.*``, ``agent.*``.
    """
    wallet = session.snapshot().wallet
    chosen = [find(wallet, who) for who in whom] or [item for item in wallet.identities if _takes_part(item)]
    visits: list[IdentityView | None] = list({item.index: item for item in chosen}.values())
    visit = _planned_index(session) if not whom and has_index(session) else None
    if visit is not None and not offline and visit.book.due(time.time()) is not None:
        visits.append(None)
    order = sorted(visits, key=lambda _: os.urandom(16))
    reports = []
    for identity, wait_s in zip(order, random_waits(len(order), spread_s), strict=True):
        if wait_s > 0:
            progress(f"waiting {wait_s:.0f} s before the next visit")
            pause(wait_s)
        with session_after(session, wait_s) as open_session:
            if identity is None:
                visit = keep_index(open_session, dialer=dialer, progress=progress)
                continue
            reports.append(
                _sync_and_log(open_session, identity, wish, offline=offline, dialer=dialer, progress=progress)
            )
            reports[-1].kept = keep_due_contacts(
                open_session, identity.index, spread_s, dialer=dialer, progress=progress, pause=pause
            )
    held = () if whom else tuple(item.label for item in wallet.identities if item.record is not None and item.unseen)
    return WalletSync(tuple(reports), held, visit)


def _planned_index(session: Session) -> IndexVisit:
    """Plan the index; that it cannot be planned keeps no identity from being brought in step."""
    try:
        return IndexVisit(plan_index(session))
    except (FormatError, InputError, VerificationError) as error:
        return IndexVisit(IndexBook(is_on=False), None, error)


def _takes_part(identity: IdentityView) -> bool:
    return identity.record is not None and not identity.unseen


def _sync_and_log(
    session: Session,
    identity: IdentityView,
    wish: SyncWish | None,
    *,
    offline: bool,
    dialer: Dialer | None,
    progress: Progress,
) -> SyncReport:
    who = identity.label
    report = sync_identity(session, who, wish=wish, offline=offline, dialer=dialer, progress=progress)
    log_report(session, report)
    return report


def log_report(session: Session, report: SyncReport) -> None:
    """Remember how the synchronization of an identity went.

    Raises:
        VaultError: ``vault.*``, ``agent.*``.
    """
    now_s = int(time.time())
    faults = tuple(SyncFault.of(step, error) for step, error in report.errors)
    followed = report.followed_seq is not None

    def entry(before: SyncEntry | None) -> SyncEntry:
        done_s = before.done_s if before is not None else None
        followed_s = before.followed_s if before is not None else None
        return SyncEntry(
            report.identity.index,
            now_s,
            done_s if faults else now_s,
            now_s if followed else followed_s,
            faults,
        )

    change_log(session, report.identity.index, entry)


def log_failure(session: Session, index: int, error: WalletError) -> None:
    """Remember that the synchronization of an identity could not even begin."""
    fault = SyncFault.of("begin", error)

    def entry(before: SyncEntry | None) -> SyncEntry:
        done_s, followed_s = (before.done_s, before.followed_s) if before is not None else (None, None)
        return SyncEntry(index, int(time.time()), done_s, followed_s, (fault,))

    change_log(session, index, entry)
