"""Brings an identity in step with its provider, its exit kit, its other devices and its contacts.

Spec: docs/spec/sealed-data.md, "Synchronization".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from walletcli.client.manifests import ItemFault
from walletcli.core.identity_id import IdentityId
from walletcli.errors import InputError, NetworkError, VaultError, VerificationError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.approvers.overview import Renewal, renewal_of
from walletcli.wallet.contacts.refreshing import RefreshReport, refresh_contacts
from walletcli.wallet.contacts.sharing import decide_shares
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.providers.book import read_book
from walletcli.wallet.providers.exit_kits import kit_places
from walletcli.wallet.publish import plan_publish, publish_addresses, refuse_during_migration
from walletcli.wallet.route import dialer_for
from walletcli.wallet.sealed.access import KitRefresh, OpenData, open_data
from walletcli.wallet.sealed.following import follow_newest, publish_due, renew_if_due
from walletcli.wallet.sealed.index import Item, Kind, SealedIndex
from walletcli.wallet.sealed.locking import data_lock
from walletcli.wallet.sealed.memory import DataMemory, change_memory, read_memory
from walletcli.wallet.sealed.own_items import MergedItem, base_changes, merge_contacts, merge_own_settings
from walletcli.wallet.sealed.reading import SealedItems
from walletcli.wallet.sealed.resealing import Cleared, clear, is_stale, reseal, stale_files
from walletcli.wallet.sealed.settling import Settled, put_back
from walletcli.wallet.sealed.writing import MAX_ATTEMPTS, NOT_NAMED, DataWriter, edit_with
from walletcli.wallet.state.lookup import find
from walletcli.wallet.state.view import IdentityView

if TYPE_CHECKING:
    from walletcli.wallet.keepalive.run import KeepReport

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class SyncWish:
    """What is wanted beside the ordinary.

    Attributes:
        put_back: bring back from the exit kits what the provider has lost.
        accept_loss: with that, go on without what is nowhere.
        reseal: seal anew what a removed device could open.
        accept_removed: believe what a device stored that has been removed since.
        accept_link: go ahead where this ties identities together; remembered for the identity.
    """

    put_back: bool = False
    accept_loss: bool = False
    reseal: bool = False
    accept_removed: bool = False
    accept_link: bool = False


@dataclass(frozen=True, slots=True)
class DataReport:
    """What became of the sealed data.

    Attributes:
        provider: name of the place that holds it.
        version: of the index now.
        sent: names of the wallet's own items that were stored.
        taken: names of those from which the wallet has taken something over.
        resealed: names of the files that were sealed anew.
        cleared: what nobody will name any more.
        put_back: what was brought back, if that was wanted.
        faults: what was wrong at places on the way.
    """

    provider: str
    version: int
    sent: tuple[str, ...]
    taken: tuple[str, ...]
    resealed: tuple[str, ...]
    cleared: Cleared
    put_back: Settled | None = None
    faults: tuple[ItemFault, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return all of it, of what was cleared the numbers."""
        return {
            "provider": self.provider,
            "version": self.version,
            "sent": list(self.sent),
            "taken": list(self.taken),
            "resealed": list(self.resealed),
            "deleted_blobs": self.cleared.deleted,
            "ended_uploads": list(self.cleared.ended),
            "put_back": self.put_back.to_json() if self.put_back is not None else None,
            "faults": [fault.to_json() for fault in self.faults],
        }


@dataclass(slots=True)
class SyncReport:
    """What was done for one identity.

    Attributes:
        identity: which, as it was in the beginning.
        followed_seq: `seq` of a record of another device that is now the wallet's, or None.
        renewed: root keys of the providers that gave a new grant.
        record: ``signed``, ``stored``, or None if nothing was due.
        contacts: what came of looking the contacts up; None if that was not done.
        data: what became of the sealed data; None for an identity without a provider, or if it failed.
        kits: what became of the exit kits.
        kept: what was done to keep contacts' records alive; None if that was not done.
        renewal: what has to be renewed with approvals soon, which nobody does unattended; or None.
        errors: the steps that failed, and why.
    """

    identity: IdentityView
    followed_seq: int | None = None
    renewed: tuple[bytes, ...] = ()
    record: str | None = None
    contacts: RefreshReport | None = None
    data: DataReport | None = None
    kits: tuple[KitRefresh, ...] = ()
    kept: KeepReport | None = None
    renewal: Renewal | None = None
    errors: list[tuple[str, WalletError]] = field(default_factory=list)

    @property
    def did(self) -> str:
        """The identity, as did:key."""
        return IdentityId(self.identity.public_key).did

    def to_json(self) -> dict[str, object]:
        """Return did, label, and what each step did."""
        return {
            "did": self.did,
            "label": self.identity.label,
            "followed_seq": self.followed_seq,
            "renewed": [IdentityId(provider).did for provider in self.renewed],
            "record": self.record,
            "contacts": self.contacts.to_json() if self.contacts is not None else None,
            "data": self.data.to_json() if self.data is not None else None,
            "kits": [kit.to_json() for kit in self.kits],
            "kept": self.kept.to_json() if self.kept is not None else None,
            "renewal": self.renewal.to_json() if self.renewal is not None else None,
            "errors": [{"step": step, "error": error.to_json()} for step, error in self.errors],
        }


def sync_identity(
    session: Session,
    who: str,
    *,
    wish: SyncWish | None = None,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
) -> SyncReport:
    """Bring an identity in step; a step that fails keeps no other from being done, and is in the report.

    Args:
        session: the open wallet.
        who: label or id.
        wish: what is wanted beside the ordinary.
        offline: open no connection.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.

    Raises:
        InputError: ``identity.unknown``.
        NetworkError: ``network.offline``.
        VaultError: ``vault.*``, ``agent.*``: nothing more can be done then.
    """
    if offline:
        raise NetworkError("network.offline", "nothing can be brought in step offline", "leave out --offline")
    identity = find(session.snapshot().wallet, who)
    route = dialer if dialer is not None else dialer_for(offline)
    return _Sync(session, identity, wish if wish is not None else SyncWish(), route, progress).run()


class _Sync:
    """One run for one identity."""

    def __init__(
        self, session: Session, identity: IdentityView, wish: SyncWish, dialer: Dialer, progress: Progress
    ) -> None:
        self._session = session
        self._index = identity.index
        self._wish = wish
        self._dialer = dialer
        self._progress = progress
        self._is_newest = False
        self._report = SyncReport(identity)

    @property
    def _identity(self) -> IdentityView:
        return self._session.snapshot().wallet.by_index(self._index)

    def run(self) -> SyncReport:
        if self._may_go_on():
            self._step("record", self._follow)
            self._step("record", self._publish)
            self._step("contacts", self._contacts)
            self._step("data", self._data)
        self._report.renewal = renewal_of(self._identity)
        return self._report

    def _step(self, name: str, act: Callable[[], None]) -> bool:
        try:
            act()
        except VaultError:
            raise
        except WalletError as error:
            self._report.errors.append((name, error))
            return False
        return True

    def _may_go_on(self) -> bool:
        """Check, before anybody hears of the identity, that they may."""

        def check() -> None:
            identity = self._identity
            if identity.unseen:
                raise InputError(
                    "sync.not-recovered",
                    f"{identity.label!r} was restored and has not been looked up yet",
                    "walletcli wallet recover",
                )
            refuse_during_migration(identity, read_book(self._session, self._index))
            plan_publish(self._session, identity.label, self._addresses(), self._wish.accept_link)

        return self._step("plan", check)

    def _addresses(self) -> list[NodeAddress]:
        """Return where the record belongs; nowhere before it has been published."""
        identity = self._identity
        if identity.record is None:
            return []
        try:
            return publish_addresses(self._session, identity.label)
        except NetworkError as error:
            if error.code != "relay.none":
                raise
            return []

    def _follow(self) -> None:
        addresses = self._addresses()
        if addresses:
            self._progress(f"looking up what has been published of {self._identity.label}")
            followed = follow_newest(self._session, self._identity, addresses, self._dialer)
            self._report.followed_seq, self._is_newest = followed.seq, followed.is_confirmed

    def _publish(self) -> None:
        addresses = self._addresses()
        if not addresses or any(step == "record" for step, _ in self._report.errors):
            return  # what another device has published, and could not be followed, must not be written over
        renewals = renew_if_due(self._session, self._identity, self._dialer, self._progress)
        self._report.renewed = tuple(item.provider for item in renewals if item.error is None)
        self._report.errors += [("record", item.error) for item in renewals if item.error is not None]
        self._report.record = publish_due(self._session, self._identity, addresses, self._dialer, self._progress)

    def _contacts(self) -> None:
        from walletcli.wallet.contacts.book import read_book as read_contacts

        if len(read_contacts(self._session, self._index)):
            self._report.contacts = refresh_contacts(
                self._session, self._report.did, dialer=self._dialer, progress=self._progress
            )

    def _data(self) -> None:
        with data_lock(self._session.home, self._index):
            identity = self._identity
            if identity.record is None or identity.retired is not None:
                return
            with open_data(self._session, identity, self._dialer) as data:
                if data.places.providers:
                    self._progress(f"bringing the data of {identity.label} in step")
                    report, kits = sync_data(data, self._wish, is_newest=self._is_newest, progress=self._progress)
                    self._report.data, self._report.kits = report, kits


def sync_data(
    data: OpenData, wish: SyncWish, *, is_newest: bool, progress: Progress
) -> tuple[DataReport, tuple[KitRefresh, ...]]:
    """Bring an identity's sealed data in step; the caller holds its lock.

    Args:
        data: open.
        wish: what is wanted beside the ordinary.
        is_newest: whether the identity's record in the wallet is known to be the newest.
        progress: takes a line per step.

    Raises:
        WalletError: the provider's, and what the data ends in.
    """
    if wish.accept_removed:
        data.believe_removed()
    settled = _put_back(data, wish, progress) if wish.put_back else None
    writer = data.writer()
    data.first_look(writer)
    sent, taken = _sync_own_items(data, writer)
    resealed = []
    for item in stale_files(writer, strict=wish.reseal):
        resealed.append(reseal(writer, _with_kits(data, writer), item, progress).name)
    cleared = clear(writer, data.memory, is_newest=is_newest)
    seen = writer.items().seen
    change_memory(
        data.session,
        data.identity.index,
        lambda memory: _after(memory, cleared).with_seen(seen),
    )
    kits = tuple(data.refresh_kits(seen, progress))
    names = tuple(item.name for item in sent)
    return DataReport(writer.place.name, seen.version, names, taken, tuple(resealed), cleared, settled), kits


def _after(memory: DataMemory, cleared: Cleared) -> DataMemory:
    for name in cleared.ended:
        memory = memory.without_plan(name)
    return replace(memory, nameless=cleared.nameless)


def _put_back(data: OpenData, wish: SyncWish, progress: Progress) -> Settled:
    def step(done: int, total: int) -> None:
        progress(f"bringing back: {done >> 20} of {total >> 20} MiB")

    kits = [place.believing(data.base) for place in kit_places(data.places)]
    settled = put_back(data.session, data.identity, data.main(), kits, accept_loss=wish.accept_loss, progress=step)
    files = [item.item.name for item in settled.lost if item.item.kind is Kind.FILE]
    if files and not settled.wrote:
        raise VerificationError(
            "data.would-lose",
            f"{len(files)} file(s) are nowhere as they were: {', '.join(map(repr, files[:5]))}",
            "make every exit kit available and try again, or go on without them with --accept-loss",
        )
    data.memory = read_memory(data.session, data.identity.index)
    return settled


def _with_kits(data: OpenData, writer: DataWriter) -> SealedItems:
    """Return the items as the provider's index has them, with the exit kits as second source of pieces."""
    items = writer.items()
    writers = items.seen.writers(data.base)
    kits = [place.believing(writers) for place in kit_places(data.places)]
    return SealedItems(items.seen, [*items.places, *kits], items.unseal, items.base)


def _sync_own_items(data: OpenData, writer: DataWriter) -> tuple[list[Item], tuple[str, ...]]:
    """Merge contact book and settings, and store what differs; returns what was stored, and what was taken over."""
    taken: set[str] = set()
    for _ in range(MAX_ATTEMPTS):
        items = _with_kits(data, writer)
        merged = _merged(data, items)
        taken |= {item.name for item in merged if item.taken}
        made: list[tuple[MergedItem, Item]] = []
        for item in merged:
            stale = item.there is not None and is_stale(writer, item.there, strict=True)
            if item.content is not None and (item.differs or stale):
                made.append((item, writer.store(Kind.SYSTEM, item.name, item.content)))
        try:
            writer.commit(lambda index, made=made: _edited(index, made))  # type: ignore[misc]
        except (InputError, VerificationError) as error:
            if error.code not in NOT_NAMED:
                raise
            writer.discard([piece for _, item in made for piece in item.pieces])
            if error.code == "data.full":
                raise
            continue
        _remember_bases(data, merged)
        return [item for _, item in made], tuple(sorted(taken))
    raise VerificationError("data.contended", "other devices keep writing to the identity's data", "try again")


def _merged(data: OpenData, items: SealedItems) -> list[MergedItem]:
    session, identity, known = data.session, data.identity, data.memory.seen
    has_base = known is not None and known.index.epoch == items.index.epoch
    contacts = merge_contacts(session, identity, items, has_base=has_base)
    settings = merge_own_settings(session, identity, data.owner, items, has_base=has_base)
    decide_shares(session, identity)  # the merged book says who may read what, whatever either device had made of it
    return [contacts, settings]


def _edited(index: SealedIndex, made: list[tuple[MergedItem, Item]]) -> SealedIndex:
    for merged, item in made:
        index = edit_with(index, item, merged.there)
    return index


def _remember_bases(data: OpenData, merged: list[MergedItem]) -> None:
    """Remember what is at the place now as the base of the next merge."""
    from walletcli.wallet.state.changes import Several

    contents = {item.name: item.content for item in merged if item.content is not None}
    changes = base_changes(data.session, data.identity, contents)
    if changes:
        data.session.apply(Several(changes))
