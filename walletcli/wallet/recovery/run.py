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
from walletcli.errors import FormatError, InputError, VerificationError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.access.shared import SharedSession
from walletcli.wallet.collection import rare_collection
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.pacing import Pause, random_pauses
from walletcli.wallet.recovery.asking import RelayLookups
from walletcli.wallet.recovery.data import PlaceLookup, ReadData, read_data
from walletcli.wallet.recovery.found import FoundRecord
from walletcli.wallet.recovery.journal import Entry, FormerDevice, Item, Journal, JournalFile, Missing
from walletcli.wallet.recovery.keeping import changes_of
from walletcli.wallet.recovery.kits import FoundKits, find_kits
from walletcli.wallet.recovery.searching import Search
from walletcli.wallet.relays import known_relays
from walletcli.wallet.state.changes import Change, PutDrawer, Remember, Several, TakeFound
from walletcli.wallet.state.draft import file_form, last_document, today
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
        pause: waits where the plan spreads what is done over a time.

    Attributes:
        relays: what each relay was asked in this run.
        index_relays: what each relay was asked of the wallet index.
        places: how places answered in this run.
        known_relays: relays that wallets on the owner's other devices published to, by the settings that were read.
    """

    session: Session
    file: JournalFile
    dialer: Dialer
    progress: Progress = silent
    timeout_s: float = TIMEOUT_S
    pause: Pause = time.sleep
    relays: dict[str, RelayLookups] = field(default_factory=dict)
    index_relays: dict[str, RelayLookups] = field(default_factory=dict)
    places: list[PlaceLookup] = field(default_factory=list)
    known_relays: set[str] = field(default_factory=set)
    _changes: list[Change] = field(default_factory=list, init=False)
    _changed_bytes: int = field(default=0, init=False)
    _written_s: float = field(default_factory=time.monotonic, init=False)
    _memory: WalletMemory = field(init=False)
    _kits: FoundKits = field(default_factory=FoundKits, init=False)
    _keys: dict[int, bytes] = field(default_factory=dict, init=False)
    _remembered: Remember | None = field(default=None, init=False)
    _home_relays: list[NodeAddress] = field(init=False)

    def __post_init__(self) -> None:
        self.session = SharedSession(self.session)
        self._memory = WalletMemory(self.wallet)
        self._home_relays = known_relays(self.session.home)

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

    @rare_collection()
    def search(self, relays: Sequence[NodeAddress]) -> None:
        """Find the identities: by the wallet index, or else in steps; those that were not found before come first.

        Args:
            relays: whom to ask.

        Raises:
            VaultError: ``vault.*``, ``agent.*``, ``drawer.changed``.
        """
        self._kits = find_kits(self.journal.plan.kits, self.session.root_keys)
        Search(self, self._kits, self._memory).search(relays)
        self.write()
        self._describe()

    def root_keys(self, start: int, count: int) -> list[bytes]:
        """Return the root public keys of `count` identities from `start` on, 32 bytes each."""
        keys = self.session.root_keys(start, count)
        self._keys.update(enumerate(keys, start))
        return keys

    def key(self, index: int) -> bytes:
        """Return the root public key of an identity, 32 bytes."""
        return self._keys[index] if index in self._keys else self.root_keys(index, 1)[0]

    def wait(self, wait_s: float, before: str) -> None:
        """Wait before something that the plan spreads over a time; what was found is in the vault meanwhile.

        Args:
            wait_s: how long, in seconds.
            before: what comes next.
        """
        self.write()
        self.progress(f"waiting {wait_s:.0f} s before {before}")
        self.pause(wait_s)

    def hold(self, found: FoundRecord) -> None:
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

    def _describe(self) -> None:
        """Note what came back with the records themselves: label, profile, bindings."""
        bare = [entry for entry in self.journal.entries if not any(item.kind == "label" for item in entry.items)]
        views = {view.index: view for view in self.wallet.identities} if bare else {}
        for entry in bare:
            if entry.index in views:
                self.journal.put(_described(entry, views[entry.index]))

    @rare_collection()
    def read(self) -> None:
        """Read the sealed data of every identity whose data has not been read, each over connections of its own.

        Raises:
            VaultError: ``vault.*``, ``agent.*``, ``drawer.changed``.
        """
        views = {view.index: view for view in self.wallet.identities}
        left = [entry.index for entry in self.journal.entries if not entry.is_read and entry.index in views]
        left.sort(key=lambda _: os.urandom(16))
        pace_s = self.journal.plan.pace_s
        size = 1 if pace_s else READ_AT_ONCE
        chunks = [left[start : start + size] for start in range(0, len(left), size)]
        done = 0
        for chunk, wait_s in zip(chunks, random_pauses(len(chunks), pace_s), strict=True):
            if wait_s:
                self.wait(wait_s, f"the data of the next identity is read ({done} of {len(left)} are)")
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
            did = IdentityId(self.key(index)).did
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
