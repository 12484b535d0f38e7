"""One run of a restore: search, read, take up again; each step is in the vault before the next, and can be stopped.

Spec: docs/spec/recovery.md, "Steps".
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from walletcli.client.fanout import for_each
from walletcli.client.link import TIMEOUT_S
from walletcli.core.bindings import grants_of
from walletcli.core.document_parts import Delegation, Power
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.errors import FormatError, InputError, VerificationError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.access.shared import SharedSession
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.recovery.data import PlaceLookup, ReadData, read_data
from walletcli.wallet.recovery.found import FoundRecord, newest, why_not
from walletcli.wallet.recovery.gap_scan import Asking, Looked, RelayLookups, gap_scan
from walletcli.wallet.recovery.journal import Entry, FormerDevice, Item, Journal, JournalFile, Missing
from walletcli.wallet.recovery.keeping import changes_of
from walletcli.wallet.recovery.kits import FoundKits, find_kits
from walletcli.wallet.relays import known_relays
from walletcli.wallet.state.changes import Change, PutDrawer, Remember, Several, TakeFound
from walletcli.wallet.state.draft import file_form, last_document, last_record, today
from walletcli.wallet.state.view import IdentityView
from walletcli.wallet.state.wallet_view import WalletView

WRITE_EVERY_S: Final = 5.0
"""What has been found is in the vault after so many seconds: each write seals all of the wallet anew, however little
has changed. What a crash takes is asked for again by the next run."""

MAX_CHANGES: Final = 4096
"""Most changes in one write."""

MAX_WRITE_BYTES: Final = 16 << 20
"""About how much goes into one write."""

READ_AT_ONCE: Final = 64
"""How many identities' data is read before what came is handed on."""


@dataclass(slots=True)
class Run:
    """A restore that is under way.

    Args:
        session: the open wallet.
        file: the journal.
        dialer: opens the connections.
        progress: takes a line per step.
        timeout_s: how long a call may take, in seconds.

    Attributes:
        relays: what each relay was asked in this run.
        places: how places answered in this run.
        known_relays: relays that wallets on the owner's other devices published to, by the settings that were read.
    """

    session: Session
    file: JournalFile
    dialer: Dialer
    progress: Progress = silent
    timeout_s: float = TIMEOUT_S
    relays: dict[str, RelayLookups] = field(default_factory=dict)
    places: list[PlaceLookup] = field(default_factory=list)
    known_relays: set[str] = field(default_factory=set)
    _changes: list[Change] = field(default_factory=list, init=False)
    _changed_bytes: int = field(default=0, init=False)
    _written_s: float = field(default_factory=time.monotonic, init=False)
    _memory: WalletMemory = field(init=False)
    _kits: FoundKits = field(default_factory=FoundKits, init=False)
    _keys: dict[int, bytes] = field(default_factory=dict, init=False)
    _held: dict[int, Record] = field(default_factory=dict, init=False)
    _unseen: set[int] = field(default_factory=set, init=False)
    _remembered: Remember | None = field(default=None, init=False)
    _home_relays: list[NodeAddress] = field(init=False)

    def __post_init__(self) -> None:
        self.session = SharedSession(self.session)
        wallet = self.wallet
        self._memory = WalletMemory(wallet)
        self._home_relays = known_relays(self.session.home)
        self._unseen = {view.index for view in wallet.identities if view.unseen}
        records = ((view.index, last_record(view)) for view in wallet.identities)
        self._held = {index: record for index, record in records if record is not None}

    @property
    def journal(self) -> Journal:
        """The journal as it is now."""
        return self.file.journal

    @property
    def wallet(self) -> WalletView:
        """The public half of the wallet, read anew."""
        return self.session.snapshot().wallet

    def has_kit(self, index: int) -> bool:
        """Tell whether an exit kit that was named holds this identity; known after the search."""
        return index in self._kits.by_index

    def search(self, relays: Sequence[NodeAddress]) -> None:
        """Find the identities: those that were not found before, then on from where the search stood.

        Args:
            relays: whom to ask.

        Raises:
            VaultError: ``vault.*``, ``agent.*``, ``drawer.changed``.
        """
        plan = self.journal.plan
        self._kits = find_kits(plan.kits, self.session.root_keys)
        with Asking(
            relays, dialer=self.dialer, memory=self._memory, together=plan.together, timeout_s=self.timeout_s
        ) as asking:
            self.relays = asking.lookups
            again = self._to_ask_again()
            if again:
                self.progress(f"looking {len(again)} identities up again")
                self._take(asking.look_up([(index, self._key(index)) for index in again]))
            journal = self.journal
            for looked in gap_scan(self._root_keys, asking, plan.gap, journal.next_index, journal.last_found):
                self._take(looked, searched=True)
                self.progress(f"{self.journal.next_index} looked up, {len(self.journal.entries)} found")
            self._take_kits(asking)
        self._note_relays()
        self.write()
        self._describe()

    def _to_ask_again(self) -> list[int]:
        """Return the indices about which more may be learned: not found, or at too few sources, or split."""
        journal = self.journal
        failed = {item.place for item in journal.missing if item.kind == "relay"}
        unsure = [
            entry.index
            for entry in journal.entries
            if entry.blocked or entry.index in self._unseen or not failed <= set(entry.answered)
        ]
        return sorted({*journal.open, *unsure})

    def _root_keys(self, start: int, count: int) -> list[bytes]:
        keys = self.session.root_keys(start, count)
        self._keys.update(enumerate(keys, start))
        return keys

    def _key(self, index: int) -> bytes:
        return self._keys[index] if index in self._keys else self._root_keys(index, 1)[0]

    def _take(self, looked: Sequence[Looked], *, searched: bool = False) -> None:
        """Take over what relays said of some identities; `searched`: they are the next ones of the search."""
        journal = self.journal
        if searched and looked:
            journal.next_index = looked[-1].index + 1
        dids = {IdentityId(self._key(item.index)).did for item in looked if item.index in journal.open}
        journal.missing = [item for item in journal.missing if item.kind != "record" or item.name not in dids]
        journal.open -= {item.index for item in looked}
        for item in looked:
            if item.exists and item.index < journal.next_index:
                journal.last_found = max(journal.last_found, item.index)
            found = newest(item.index, item, self._kits.newest(item.index), self._held.get(item.index))
            if found is not None:
                self._hold(found)
                continue
            why = why_not(self._key(item.index), item)
            if why is not None:
                journal.missing.append(why)
            if why is not None or item.is_open:
                journal.open.add(item.index)
        self.write_if_due()

    def _hold(self, found: FoundRecord) -> None:
        """Have an identity held with a record that was found."""
        plan, before = self.journal.plan, self.journal.found.get(found.index)
        is_fresh = not found.blocked and len(found.answered) >= plan.sources
        data = file_form(found.record)
        self._change(TakeFound(found.index, today(time.time()), data, is_fresh, plan.relays), len(data))
        document = found.record.document
        devices = tuple(map(_former, document.delegations)) if document is not None else ()
        entry = before if before is not None else Entry(found.index, devices=devices)
        entry = replace(entry, answered=found.answered, blocked=found.blocked)
        record = Item("record", "", found.place, None, found.record.packet.seq, found.day)
        known = next((item for item in entry.items if item.kind == "record"), None)
        if known is None or (known.version or 0) < found.record.packet.seq:
            # a newer record than before may name other providers: its data is read again
            others = tuple(item for item in entry.items if item.kind not in _OF_RECORD)
            entry = replace(entry, items=(record, *others), is_read=False)
        self.journal.put(entry)

    def _take_kits(self, asking: Asking) -> None:
        """Hold the identities that only their exit kits show, after the relays were asked for them as well."""
        left = [index for index in self._kits.by_index if index not in self.journal.found]
        if left:
            self._take(asking.look_up([(index, self._key(index)) for index in left]))
        for index in left:
            kit = self._kits.newest(index)
            if index not in self.journal.found and kit is not None:
                found = newest(index, None, kit, None)
                if found is not None:
                    self._hold(found)

    def _note_relays(self) -> None:
        """Note which relays did not answer, and whether the search came to its end."""
        journal = self.journal
        asked = {relay.address for relay in self.relays.values() if relay.asked}
        journal.missing = [
            item
            for item in journal.missing
            if item.kind != "kit" and not (item.kind == "relay" and item.place in asked)
        ]
        journal.missing += [
            Missing("relay", "", relay.address, relay.errors[0], f"{_of(relay)}: {relay.message}")
            for relay in self.relays.values()
            if relay.failed
        ]
        journal.missing += self._kits.missing
        journal.finished = journal.next_index > journal.last_found + journal.plan.gap

    def _describe(self) -> None:
        """Note what came back with the records themselves: label, profile, bindings."""
        bare = [entry for entry in self.journal.entries if not any(item.kind == "label" for item in entry.items)]
        views = {view.index: view for view in self.wallet.identities} if bare else {}
        for entry in bare:
            if entry.index in views:
                self.journal.put(_described(entry, views[entry.index]))

    def read(self) -> None:
        """Read the sealed data of every identity whose data has not been read, each over connections of its own.

        Raises:
            VaultError: ``vault.*``, ``agent.*``, ``drawer.changed``.
        """
        views = {view.index: view for view in self.wallet.identities}
        left = [entry.index for entry in self.journal.entries if not entry.is_read and entry.index in views]
        left.sort(key=lambda _: os.urandom(16))
        done = 0
        for start in range(0, len(left), READ_AT_ONCE):
            chunk = left[start : start + READ_AT_ONCE]
            for index, data in zip(chunk, for_each(chunk, lambda index: self._read_one(views[index])), strict=True):
                self._keep(views[index], data)
            done += len(chunk)
            self.progress(f"read the data of {done} of {len(left)} identities")
            self.write_if_due()
        self._remembered = self._learned()
        if self._remembered is not None:
            self._change(self._remembered, 0)
        self.write()

    def _read_one(self, identity: IdentityView) -> ReadData:
        kits = self._kits.by_index.get(identity.index, [])
        return read_data(self.session, identity, kits, self.dialer, self._memory, self._home_relays, self.timeout_s)

    def _keep(self, identity: IdentityView, data: ReadData) -> None:
        """Have what was read put into the vault, beside what is there already."""
        self.places += data.lookups
        if data.settings is not None:
            self.known_relays.update(relay for device in data.settings.devices for relay in device.relays)
        for change in changes_of(self.session, identity, data):
            self._change(change, len(change.data or b"") if isinstance(change, PutDrawer) else 0)
        entry = self.journal.found.get(identity.index)
        if entry is not None:
            items = (*(item for item in entry.items if item.kind in _OF_RECORD), *data.items)
            kept = [item for item in entry.missing if item.kind == "label"]
            entry = replace(entry, items=items, missing=(*kept, *data.missing), is_read=data.is_complete)
            self.journal.put(entry)

    def _change(self, change: Change, size: int) -> None:
        self._changes.append(change)
        self._changed_bytes += size

    def write_if_due(self) -> None:
        """Write if enough has come together, or the last time is long enough ago."""
        is_late = time.monotonic() - self._written_s > WRITE_EVERY_S
        if is_late or len(self._changes) >= MAX_CHANGES or self._changed_bytes >= MAX_WRITE_BYTES:
            self.write()

    def write(self) -> None:
        """Put what was found, and how far the restore has come, into the vault: all of it at once, or nothing.

        Raises:
            VaultError: ``vault.*``, ``agent.*``, ``drawer.changed`` if another process restores as well.
        """
        changes, self._changes, self._changed_bytes = self._changes, [], 0
        while True:
            journal = self.file.change()
            if not changes and journal is None:
                break
            try:
                self.session.apply(Several((*changes, *([journal] if journal is not None else []))))
            except (FormatError, InputError, VerificationError):
                changes = self._without_bad(changes)
            else:
                self.file.done(journal)
                break
        self._written_s = time.monotonic()

    def _without_bad(self, changes: Sequence[Change]) -> list[Change]:
        """Make the changes one by one, and note those that cannot be made: one bad record holds up no other."""
        for change in changes:
            try:
                self.session.apply(change)
            except (FormatError, InputError, VerificationError) as error:
                self._drop(change, error)
        return []

    def _drop(self, change: Change, error: WalletError) -> None:
        index = getattr(change, "index", None)
        if index is None:
            return
        if isinstance(change, TakeFound):
            did = IdentityId(self._key(index)).did
            missing = Missing.of("record", error, did)
            self.journal.found.pop(index, None)
            self.journal.missing.append(missing)
            return
        entry = self.journal.found.get(index)
        if entry is not None:
            what = change.name if isinstance(change, PutDrawer) else "settings"
            missing = Missing.of(what, error)
            self.journal.put(replace(entry, missing=(*entry.missing, missing)))

    def remember(self) -> None:
        """Keep what was learned of relays' and providers' own records since the data was read."""
        learned = self._learned()
        if learned is not None and learned != self._remembered:
            self.session.apply(learned)

    def _learned(self) -> Remember | None:
        self._memory.save_splits(self.session)
        return self._memory.change(but=set(self._keys.values()))


_OF_RECORD: Final = frozenset({"record", "label", "profile", "binding"})
"""Kinds of items that come with an identity's record itself."""


def _former(delegation: Delegation) -> FormerDevice:
    is_a_nodes = delegation.powers == frozenset({Power.GRANT})
    return FormerDevice(delegation.signing_key, delegation.not_after_day, is_a_nodes)


def _of(relay: RelayLookups) -> str:
    rest = ", and was not asked any further" if relay.silent else ""
    return f"it did not answer for {relay.failed} of {relay.asked} identities{rest}"


def _described(entry: Entry, view: IdentityView) -> Entry:
    """Return the entry with what the record itself brought back."""
    record = next((item for item in entry.items if item.kind == "record"), None)
    place, version, day = (record.place, record.version, record.day) if record is not None else ("", None, None)
    items = []
    missing = list(entry.missing)
    if view.label == f"identity {view.index}":
        error = VerificationError(
            "recovery.no-label",
            "its record has no section of its owner's that these words open",
            f"give it a label with: walletcli identity rename {view.label_word} LABEL",
        )
        missing.append(Missing.of("label", error, place=place))
    items.append(Item("label", view.label, place, None, version, day))
    if view.profile or view.sealed_profile:
        items.append(Item("profile", "", place, len(view.profile) + len(view.sealed_profile), version, day))
    document = last_document(view)
    for grant in grants_of(document) if document is not None else ():
        items.append(Item("binding", IdentityId(grant.provider).did, place, None, version, day))
    others = [item for item in entry.items if item.kind not in ("label", "profile", "binding")]
    return replace(entry, items=(*others, *items), missing=tuple(missing))
