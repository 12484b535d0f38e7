"""Story 2, device loss: from the words alone, in a new home, everything that can be had comes back.

Spec: docs/spec/recovery.md.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from walletcli.client.link import TIMEOUT_S
from walletcli.errors import InputError
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Home, Progress, silent
from walletcli.wallet.pacing import Pause
from walletcli.wallet.recovery.journal import Journal, JournalFile
from walletcli.wallet.recovery.plan import Plan
from walletcli.wallet.recovery.report import Report, report_of
from walletcli.wallet.recovery.resealing import reseal
from walletcli.wallet.recovery.run import Run
from walletcli.wallet.recovery.settle import settle
from walletcli.wallet.relays import add_relay, list_relays
from walletcli.wallet.route import dialer_for


@dataclass(frozen=True, slots=True)
class Wish:
    """What the owner says about a restore, or anew about one that goes on.

    Attributes:
        relays: whom to ask, beside those that were named before.
        kits: directories of exit kits, beside those that were named before.
        gap: as in `Plan`; None leaves it as it is.
        together: the same.
        sources: the same.
        spread_s: the same.
        keep_devices: the same.
        accept_link: the same.
        gone: relays and exit kits that are gone for good.
        scan: the same.
        beyond: the same.
        decoys: the same.
    """

    relays: Sequence[str] = ()
    kits: Sequence[str] = ()
    gap: int | None = None
    together: bool | None = None
    sources: int | None = None
    spread_s: int | None = None
    keep_devices: bool | None = None
    accept_link: bool | None = None
    gone: Sequence[str] = ()
    scan: bool | None = None
    beyond: int | None = None
    decoys: int | None = None

    def on(self, plan: Plan) -> Plan:
        """Return `plan` with what is wished.

        Raises:
            UsageError: ``recovery.*``.
            InputError: ``address.malformed``.
        """
        return plan.without(self.gone).with_more(
            self.relays,
            self.kits,
            gap=self.gap,
            together=self.together,
            sources=self.sources,
            spread_s=self.spread_s,
            keep_devices=self.keep_devices,
            accept_link=self.accept_link,
            scan=self.scan,
            beyond=self.beyond,
            decoys=self.decoys,
        )


NOTHING = Wish()
"""Nothing is said anew."""


def first_plan(home: Home, wish: Wish) -> Plan:
    """Return the plan of a restore that begins: with the relays that are named, or else those that the home knows.

    Raises:
        UsageError: ``recovery.*``.
        InputError: ``address.malformed``.
        FormatError: ``relays.malformed``.
    """
    return wish.on(Plan(relays=() if wish.relays else tuple(list_relays(home))))


def journal_of(session: Session, wish: Wish = NOTHING) -> JournalFile:
    """Return the journal of this wallet's restore with what is wished anew; nothing is written.

    Relays and kits that are new are asked for everything, also for what was found without them. Of those that are gone
    for good nothing is expected any more.

    Args:
        session: the open wallet.
        wish: what the owner says now.

    Raises:
        InputError: ``recovery.nothing`` for a wallet that was not made from words in use before.
        UsageError: ``recovery.*``.
    """
    if not session.facts().restored:
        raise InputError(
            "recovery.nothing",
            "this wallet was made from new words: there is nothing to recover",
            "to bring back another wallet, use: walletcli wallet restore, with another --home",
        )
    file = JournalFile.read(session) or JournalFile(Journal())
    before = file.journal.plan
    known = before if before.relays or wish.relays else replace(before, relays=tuple(list_relays(session.home)))
    plan = wish.on(known)
    journal = file.journal
    journal.plan = plan
    if set(plan.relays) - set(before.relays):
        journal.next_index, journal.finished, journal.index = 0, False, None
        journal.open.clear()
    gone = (set(before.relays) | set(before.kits)) - set(plan.relays) - set(plan.kits)
    if gone:
        journal.missing = [item for item in journal.missing if item.place not in gone]
    for entry in journal.entries:
        if set(plan.kits) - set(before.kits) or any(item.place in gone for item in entry.missing):
            journal.put(replace(entry, is_read=False))
    return file


def recover(
    session: Session,
    file: JournalFile,
    *,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
    pause: Pause = time.sleep,
    timeout_s: float = TIMEOUT_S,
) -> Report:
    """Bring back what can be had, and take the identities up again; run again, it goes on where it stopped.

    Args:
        session: the open wallet.
        file: of `journal_of`.
        offline: open no connection; only exit kits are read, and nothing is published.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.
        pause: waits where records are spread over a time.
        timeout_s: how long a call to a relay or provider may take, in seconds.

    Returns:
        What came back and what did not; what could not be had is no error here.

    Raises:
        VaultError: ``vault.*``, ``agent.*``; ``drawer.changed`` if another process restores as well.
        StorageError: ``storage.*``.
    """
    route = dialer if dialer is not None else dialer_for(offline)
    run = Run(session, file, route, progress, timeout_s, pause)
    run.search(() if offline else run.journal.plan.addresses)
    run.read()
    if not offline:
        settle(run)
        reseal(run)
    run.remember()
    _add_relays(session.home, (*run.journal.plan.relays, *sorted(run.known_relays)) if run.journal.found else ())
    asked = (*run.index_relays.values(), *run.relays.values())
    return report_of(run.journal, run.wallet, asked, run.places, offline=offline)


def _add_relays(home: Home, relays: Sequence[str]) -> None:
    """Have the home know the relays of the restore, and those of the lost wallet; as many as there is room for."""
    known = set(list_relays(home))
    for relay in relays:
        if relay not in known:
            try:
                add_relay(home, relay)
            except InputError:
                continue


def last_report(session: Session) -> Report | None:
    """Return what the last run of a restore brought, or None if nothing was ever restored into this wallet.

    Raises:
        FormatError: ``recovery-journal.*``, ``cbor.*``.
    """
    file = JournalFile.read(session)
    return report_of(file.journal, session.snapshot().wallet) if file is not None else None
