"""Finds the identities of a restore: by the wallet index first, else in steps until a gap is long enough.

Spec: docs/spec/recovery.md, "Index" and "Gap scan".
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from walletcli.core.identity_id import IdentityId
from walletcli.core.keys import MAX_INDEX, Scheme
from walletcli.errors import NetworkError
from walletcli.net.addresses import NodeAddress
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.pacing import random_pauses
from walletcli.wallet.recovery.asking import Asking, Looked, RelayLookups
from walletcli.wallet.recovery.decoys import Decoys, ask_for_decoys
from walletcli.wallet.recovery.found import newest, why_not
from walletcli.wallet.recovery.index_search import MISSING, IndexRead, IndexReader
from walletcli.wallet.recovery.journal import Missing, is_done
from walletcli.wallet.recovery.kits import FoundKits
from walletcli.wallet.state.draft import last_record

if TYPE_CHECKING:
    from walletcli.wallet.recovery.run import Run


class Search:
    """The search of one run.

    Args:
        run: the restore; it holds what is found.
        kits: exit kits that were named.
        memory: what is remembered of identities and of the relays' own records.
    """

    def __init__(self, run: Run, kits: FoundKits, memory: WalletMemory) -> None:
        wallet = run.wallet
        records = ((view.index, last_record(view)) for view in wallet.identities)
        self._run = run
        self._kits = kits
        self._memory = memory
        self._held = {index: record for index, record in records if record is not None}
        self._unseen = {view.index for view in wallet.identities if view.unseen}
        self._scheme = Scheme(wallet.scheme)
        self._asked: set[int] = set()
        index, left = run.journal.index, run.journal.open
        self._listed = {
            number for number in left if index is not None and number <= index.highest and number not in index.near
        }
        self._exist: set[int] = set()

    def search(self, relays: Sequence[NodeAddress]) -> None:
        """Read the index, ask for what it names, then go on from where the search stood.

        Args:
            relays: whom to ask.

        Raises:
            VaultError: ``vault.*``, ``agent.*``, ``drawer.changed``.
        """
        run, journal = self._run, self._run.journal
        if relays and not is_done(journal):
            self._read_index(relays)
        with Asking(
            relays,
            dialer=run.dialer,
            memory=self._memory,
            together=journal.plan.together,
            timeout_s=run.timeout_s,
            decoys=self._decoys(relays),
        ) as asking:
            run.relays = asking.lookups
            self._take_known(asking)
            self._go_on(asking)
            self._take_kits(asking)
        self._note_relays()

    def _read_index(self, relays: Sequence[NodeAddress]) -> None:
        """Read the index, unless that was done, or is not wanted; note what it names as what has to be asked for."""
        run, journal = self._run, self._run.journal
        before = journal.index
        is_lacking = any(item.kind == MISSING for item in journal.missing)
        if journal.plan.scan or not (is_lacking or (before is None and not journal.finished)):
            return
        run.progress("asking for the wallet index")
        reader = IndexReader(
            run.session, relays, run.dialer, self._memory, run.timeout_s,
            lambda wait_s: run.wait(wait_s, "the next shard of the wallet index is asked for"),
        )  # fmt: skip
        run.index_relays = reader.lookups
        self._take_index(reader.read(self._scheme, journal.plan.pace_s))
        run.write()

    def _take_index(self, read: IndexRead) -> None:
        journal = self._run.journal
        journal.missing = [item for item in journal.missing if item.kind != MISSING] + list(read.missing)
        if read.found is None:
            return
        near = read.listed.lowest_missing(journal.plan.beyond) if read.found.is_whole else ()
        journal.index = replace(read.found, near=near)
        self._listed = set(read.listed)
        journal.open |= {*self._listed, *near} - journal.found.keys()
        if read.found.is_whole and not journal.finished:
            journal.last_found = max(journal.last_found, read.found.highest)
            journal.next_index = max(journal.next_index, read.found.highest + 1)

    def _decoys(self, relays: Sequence[NodeAddress]) -> Decoys | None:
        """Have relays name decoys, if there is a search to hide."""
        run, journal = self._run, self._run.journal
        has_index = journal.index is not None and journal.index.is_whole
        if has_index or journal.plan.together or journal.next_index > journal.last_found + journal.gap:
            return None
        silent = {name for name, relay in run.index_relays.items() if relay.failed}
        asked = [relay for relay in relays if relay.to_text() not in silent]
        decoys = ask_for_decoys(asked, journal.plan.decoys, dialer=run.dialer, timeout_s=run.timeout_s)
        if journal.plan.decoys:
            run.progress(f"{decoys.known} decoys were named")
        return decoys

    def _take_known(self, asking: Asking) -> None:
        """Ask for what is named or was not found before; behind an index the first ones beyond it stand among these."""
        journal = self._run.journal
        again = self._to_ask_again()
        beyond = self._next_step() if journal.index is not None and journal.index.is_whole else range(0)
        if not again and not beyond:
            return
        self._run.progress(f"looking {len(again) + len(beyond)} identities up")
        for looked in self._look_up(asking, [*again, *beyond]):
            self._take(looked)
        if asking.alive:
            self._searched(beyond)

    def _to_ask_again(self) -> list[int]:
        """Return the indices about which more may be learned: not found, or at too few sources, or split."""
        journal = self._run.journal
        failed = {item.place for item in journal.missing if item.kind == "relay"}
        unsure = [
            entry.index
            for entry in journal.entries
            if entry.blocked or entry.index in self._unseen or not failed <= set(entry.answered)
        ]
        return sorted({*journal.open, *unsure})

    def _go_on(self, asking: Asking) -> None:
        """Search in steps. No step goes further than the gap beyond the last identity that exists.

        What is asked for is told to the relays, and the keys beyond are the owner's future ones.
        """
        run = self._run
        while asking.alive and (step := self._next_step()):
            for looked in self._look_up(asking, [index for index in step if index not in self._asked]):
                self._take(looked)
            self._searched(step)
            run.progress(f"{run.journal.next_index} looked up, {len(run.journal.entries)} found")

    def _next_step(self) -> range:
        journal = self._run.journal
        return range(journal.next_index, min(journal.last_found + journal.gap, MAX_INDEX) + 1)

    def _searched(self, step: range) -> None:
        """Note that a step was asked for, and how far what was found in it leads on."""
        journal = self._run.journal
        if step:
            journal.next_index = step.stop
            exists = [index for index in step if index in journal.found or index in self._exist]
            journal.last_found = max([journal.last_found, *exists])

    def _look_up(self, asking: Asking, wanted: Sequence[int]) -> Iterator[list[Looked]]:
        """Ask for identities in random order: at once, or each at an instant of its own if the plan spreads them."""
        run, pace_s = self._run, self._run.journal.plan.pace_s
        self._asked.update(wanted)
        if not pace_s or run.journal.plan.together:
            yield asking.look_up([(index, run.key(index)) for index in wanted])
            return
        order = sorted(wanted, key=lambda _: os.urandom(16))
        for done, (index, wait_s) in enumerate(zip(order, random_pauses(len(order), pace_s), strict=True)):
            run.wait(wait_s, f"the next identity is looked up ({done} of {len(order)} are)")
            yield asking.look_up([(index, run.key(index))])

    def _take(self, looked: Sequence[Looked]) -> None:
        """Take over what relays said of some identities."""
        run, journal = self._run, self._run.journal
        dids = {IdentityId(run.key(item.index)).did for item in looked if item.index in journal.open}
        journal.missing = [item for item in journal.missing if item.kind != "record" or item.name not in dids]
        journal.open -= {item.index for item in looked}
        self._exist.update(item.index for item in looked if item.exists)
        for item in looked:
            found = newest(item.index, item, self._kits.newest(item.index), self._held.get(item.index))
            if found is not None:
                run.hold(found)
                continue
            why = why_not(run.key(item.index), item) or self._why_gone(item)
            if why is not None:
                journal.missing.append(why)
            if why is not None or item.is_open:
                journal.open.add(item.index)
        run.write_if_due()

    def _why_gone(self, looked: Looked) -> Missing | None:
        """Say that the index names an identity of which all relays have nothing."""
        if looked.index not in self._listed or looked.is_open:
            return None
        error = NetworkError(
            "recovery.listed-not-found",
            "the wallet index names it, and no relay has its record",
            "name more relays with: walletcli wallet recover --relay URL",
        )
        return Missing.of("record", error, IdentityId(self._run.key(looked.index)).did)

    def _take_kits(self, asking: Asking) -> None:
        """Hold the identities that only their exit kits show, after the relays were asked for them as well."""
        run = self._run
        left = [index for index in self._kits.by_index if index not in run.journal.found]
        if left and asking.alive:
            for looked in self._look_up(asking, left):
                self._take(looked)
        for index in left:
            kit = self._kits.newest(index)
            if index not in run.journal.found and kit is not None:
                found = newest(index, None, kit, None)
                if found is not None:
                    run.hold(found)

    def _note_relays(self) -> None:
        """Note which relays did not answer, and whether the search came to its end."""
        journal, relays = self._run.journal, self._run.relays
        asked = {relay.address for relay in relays.values() if relay.asked}
        journal.missing = [
            item
            for item in journal.missing
            if item.kind != "kit" and not (item.kind == "relay" and item.place in asked)
        ]
        journal.missing += [
            Missing("relay", "", relay.address, relay.errors[0], f"{_of(relay)}: {relay.message}")
            for relay in relays.values()
            if relay.failed
        ]
        journal.missing += self._kits.missing
        journal.finished = journal.next_index > journal.last_found + journal.gap


def _of(relay: RelayLookups) -> str:
    rest = ", and was not asked any further" if relay.silent else ""
    return f"it did not answer for {relay.failed} of {relay.asked} identities{rest}"
