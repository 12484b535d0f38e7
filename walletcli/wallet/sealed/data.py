"""The owner's files at the provider: put, list, get, remove.

Spec: docs/spec/sealed-data.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from walletcli.client.manifests import ItemFault
from walletcli.errors import InputError, NetworkError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.providers.book import read_book
from walletcli.wallet.providers.links import bound_entries
from walletcli.wallet.publish import plan_publish
from walletcli.wallet.route import dialer_for
from walletcli.wallet.sealed.access import OpenData, open_data
from walletcli.wallet.sealed.file_results import ItemList, ReadFile, RemovedFile, StoredFile
from walletcli.wallet.sealed.index import Item, Kind, check_name
from walletcli.wallet.sealed.locking import data_lock
from walletcli.wallet.sealed.memory import DataMemory, Plan, change_memory, read_memory
from walletcli.wallet.sealed.reading import SeenIndex
from walletcli.wallet.sealed.upload import Scan, SourceFile, abandon, is_of, new_plan, upload
from walletcli.wallet.sealed.writing import DataWriter, check_replaced, edit_with, edit_without
from walletcli.wallet.state.lookup import find
from walletcli.wallet.state.view import IdentityView


class Target(Protocol):
    """Takes the content of an item."""

    def write(self, data: bytes) -> None:
        """Take up to 1 MiB more."""

    def restart(self) -> None:
        """Forget what was written: the item was replaced meanwhile, and comes from its beginning."""


@contextmanager
def _opened(session: Session, identity: IdentityView, offline: bool, dialer: Dialer | None) -> Iterator[OpenData]:
    with open_data(session, identity, dialer if dialer is not None else dialer_for(offline)) as data:
        yield data


def plan_contact(session: Session, identity: IdentityView, accept_link: bool) -> None:
    """Check what talking to the identity's providers would tie together, and remember that they hear of it.

    Raises:
        InputError: ``link.would-link``.
    """
    addresses = [entry.address for entry in bound_entries(identity, read_book(session, identity.index))]
    plan_publish(session, identity.label, [NodeAddress.from_text(text) for text in addresses], accept_link)


def put_file(
    session: Session,
    who: str,
    path: str,
    *,
    name: str | None = None,
    replace: bool = False,
    accept_link: bool = False,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
) -> StoredFile:
    """Seal a file and store it at the identity's provider, and in its exit kits as far as they can be reached.

    An interrupted upload goes on when the same file is put under the same name again.

    Args:
        session: the open wallet.
        who: label or id.
        path: of the file.
        name: that it gets; None: that of the file.
        replace: whether another item may stand under the name.
        accept_link: go ahead where talking to the provider ties identities together; remembered for this identity.
        offline: open no connection.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.

    Raises:
        InputError: ``identity.unknown``, ``data.exists``, ``data.name``, ``data.no-provider``, ``data.file-changed``,
            ``file.*``, ``link.would-link``.
        VerificationError: ``data.changed``, ``data.split``, ``data.withheld``, ``blob.*``.
        NetworkError: ``blob.quota``, ``host.*``.
        StorageError: ``data.busy``.
    """
    identity = find(session.snapshot().wallet, who)
    chosen = check_name(name if name is not None else os.path.basename(path))
    plan_contact(session, identity, accept_link)
    with SourceFile(path) as source, data_lock(session.home, identity.index):
        progress(f"reading {chosen}")
        scan = source.scan()
        with _opened(session, identity, offline, dialer) as data:
            return _Put(data, chosen, progress).run(source, scan, replace=replace)


@dataclass(slots=True)
class _Put:
    """One run of a put."""

    data: OpenData
    name: str
    progress: Progress

    def run(self, source: SourceFile, scan: Scan, *, replace: bool) -> StoredFile:
        writer = self.data.writer()
        index = self.data.first_look(writer).index
        there = index.get(Kind.FILE, self.name)
        recipients = self.data.owner.recipients
        if there is not None and (there.digest, there.recipients) == (scan.digest, recipients):
            return self._done(writer, there, new=False)
        check_replaced(index, Kind.FILE, self.name, there if replace else None)
        plan = self._plan(writer, scan)
        made = upload(writer, plan, source, self.progress)
        writer.commit(lambda index: edit_with(index, made.item, there))
        return self._done(writer, made.item, new=True, replaced=there is not None, resumed=made.resumed)

    def _plan(self, writer: DataWriter, scan: Scan) -> Plan:
        """Return the plan of an earlier attempt with this file, or write a new one down."""
        earlier = self.data.memory.plan(self.name)
        if earlier is not None and is_of(earlier, scan, writer.owner.recipients):
            return earlier
        if earlier is not None:
            abandon(writer, earlier)
        plan = new_plan(writer, self.name, scan)
        change_memory(self.data.session, self.data.identity.index, lambda memory: memory.with_plan(plan))
        return plan

    def _done(
        self, writer: DataWriter, item: Item, *, new: bool, replaced: bool = False, resumed: int = 0
    ) -> StoredFile:
        seen = settled(self.data, writer, lambda memory: memory.without_plan(self.name))
        kits = self.data.refresh_kits(seen, self.progress)
        return StoredFile(self.data.identity, item, writer.place.name, new, replaced, resumed, tuple(kits))


def settled(data: OpenData, writer: DataWriter, change: Callable[[DataMemory], DataMemory]) -> SeenIndex:
    """Remember the index that was written or seen, together with another change of the memory; returns the index."""
    seen = writer.seen if writer.seen is not None else SeenIndex.empty(data.identity.public_key)
    change_memory(data.session, data.identity.index, lambda memory: change(memory.with_seen(seen)))
    return seen


def list_data(
    session: Session,
    who: str,
    *,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
) -> ItemList:
    """Say what an identity keeps: by its provider's index, by the exit kit's, or by what is remembered.

    Raises:
        InputError: ``identity.unknown``, ``data.no-provider``.
        WalletError: why no index could be had, where none is remembered either.
    """
    identity = find(session.snapshot().wallet, who)
    memory = read_memory(session, identity.index)
    faults: tuple[ItemFault, ...] = ()
    if not offline:
        progress("reading the index")
        with _opened(session, identity, offline, dialer) as data:
            try:
                items = data.items()
            except WalletError as error:
                if memory.seen is None:
                    raise
                faults = (ItemFault(None, error, identity.label),)
            else:
                change_memory(session, identity.index, lambda now: now.with_seen(items.seen))
                return ItemList(identity, items.seen, items.places[0].name, memory.plans, tuple(items.faults))
    if memory.seen is None and not memory.plans:
        raise NetworkError("network.offline", "nothing is remembered of this identity's data", "leave out --offline")
    seen = memory.seen if memory.seen is not None else SeenIndex.empty(identity.public_key)
    return ItemList(identity, seen, None, memory.plans, faults)


def get_file(
    session: Session,
    who: str,
    name: str,
    target: Target,
    *,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
) -> ReadFile:
    """Read a file of an identity: from its provider, and what that does not have from the exit kit.

    Args:
        session: the open wallet.
        who: label or id.
        name: of the item.
        target: takes the content.
        offline: open no connection: only an exit kit in a directory is read.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.

    Raises:
        InputError: ``identity.unknown``, ``data.unknown``, ``data.no-provider``.
        VerificationError: ``data.damaged``, ``data.split``, ``data.withheld``, ``blob.*``.
        NetworkError: ``host.*``.
        WalletError: the target's.
    """
    identity = find(session.snapshot().wallet, who)
    chosen = check_name(name)
    with _opened(session, identity, offline, dialer) as data:
        items = data.items()
        if items.index.get(Kind.FILE, chosen) is None:
            raise _unknown(identity, chosen)
        written = 0

        def write(part: bytes) -> None:
            nonlocal written
            target.write(part)
            written += len(part)
            progress(f"reading {chosen}: {written >> 20} MiB")

        def restart() -> None:
            nonlocal written
            target.restart()
            written = 0

        item = items.copy_out(Kind.FILE, chosen, write, restart)
        change_memory(session, identity.index, lambda memory: memory.with_seen(items.seen))
        return ReadFile(identity, item, items.places[0].name, tuple(items.faults))


def remove_file(
    session: Session,
    who: str,
    name: str,
    *,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
) -> RemovedFile:
    """Remove a file of an identity from its provider and its exit kits, and an interrupted upload of that name.

    Raises:
        InputError: ``identity.unknown``, ``data.unknown``, ``data.no-provider``.
        VerificationError: ``data.changed``, ``data.split``, ``data.withheld``, ``blob.*``.
        NetworkError: ``host.*``.
        StorageError: ``data.busy``.
    """
    identity = find(session.snapshot().wallet, who)
    chosen = check_name(name)
    with data_lock(session.home, identity.index), _opened(session, identity, offline, dialer) as data:
        progress("reading the index")
        writer = data.writer()
        item = data.first_look(writer).index.get(Kind.FILE, chosen)
        plan = data.memory.plan(chosen)
        if item is None and plan is None:
            raise _unknown(identity, chosen)
        if item is not None:
            removed = item
            writer.commit(lambda index: edit_without(index, Kind.FILE, chosen, removed))
        if plan is not None:
            abandon(writer, plan)
        seen = settled(data, writer, lambda memory: memory.without_plan(chosen))
        kits = data.refresh_kits(seen, progress)
        return RemovedFile(identity, chosen, item is not None, plan is not None, tuple(kits))


def _unknown(identity: IdentityView, name: str) -> InputError:
    return InputError(
        "data.unknown", f"{identity.label!r} keeps no file {name!r}", f"see: walletcli data list {identity.label_word}"
    )
