"""Binds an identity to a provider: its grant, in the identity's next document, and a second place for the data.

Each step looks at what is there and does what is missing, so that an interrupted run is completed by the next one.

Spec: docs/spec/providers.md, "Binding".
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from walletcli.client.copying import CopyReport
from walletcli.client.independence import WANTED_SOURCES
from walletcli.client.publish import PublishedShortError, Stored
from walletcli.core.grant import VerifiedGrant
from walletcli.core.record import Record
from walletcli.core.secret import Secret
from walletcli.errors import InputError, NetworkError, UsageError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.linkability import Link
from walletcli.wallet.providers.book import KitChoice, ProviderBook, ProviderEntry, Role, change_book, read_book
from walletcli.wallet.providers.exit_kits import refresh_kit, remembered_versions
from walletcli.wallet.providers.grants import held_binding, remember_provider, request_grant, with_grants
from walletcli.wallet.providers.introducing import introduce, is_known
from walletcli.wallet.providers.links import bound_entries, kit_link, provider_link
from walletcli.wallet.providers.overview import ProviderOverview, overview_of
from walletcli.wallet.providers.places import Access, access_to, bound_places
from walletcli.wallet.publish import plan_publish, publish_identity, refuse_during_migration
from walletcli.wallet.relays import chosen_relays, list_relays
from walletcli.wallet.route import dialer_for
from walletcli.wallet.state.changes import Change, SetBindings
from walletcli.wallet.state.lookup import find
from walletcli.wallet.state.view import IdentityView


@dataclass(frozen=True, slots=True)
class BindWish:
    """What the owner wants.

    Attributes:
        address: of the provider, as text.
        kit: where the exit kit is to be: a directory, or the address of a second provider; None: nothing was said.
        no_kit: no exit kit, on purpose.
        quota_bytes: room that is wanted; None: all that is offered.
        invitation: token of a closed provider, or None.
        accept_link: go ahead where this ties identities together; remembered for this identity.
        relays: where the record goes beside the providers; none: the wallet's list.
    """

    address: str
    kit: str | None = None
    no_kit: bool = False
    quota_bytes: int | None = None
    invitation: Secret | None = None
    accept_link: bool = False
    relays: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bound:
    """An identity that is bound.

    Attributes:
        overview: its providers and kits, as they are now.
        stored: where the record that says so is.
        new: whether anything was signed for it; otherwise it was bound already.
        kit_reports: what became of each exit kit.
        shortfall: what is not done though the identity is bound, or None; the same command again completes it.
        independent: how many independent sources have answered about a provider that was new to this wallet; of two the
            smaller number; None if none was new.
    """

    overview: ProviderOverview
    stored: Stored
    new: bool
    kit_reports: tuple[CopyReport, ...] = ()
    shortfall: WalletError | None = None
    independent: int | None = None

    def to_json(self) -> dict[str, object]:
        """Return the overview, where the record is, and what became of the kits."""
        return {
            **self.overview.to_json(),
            "new": self.new,
            "stored": self.stored.to_json(),
            "kit_reports": [report.to_json() for report in self.kit_reports],
            "independent": self.independent,
            "wanted": WANTED_SOURCES,
        }


def bind_provider(
    session: Session,
    who: str,
    wish: BindWish,
    *,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
) -> Bound:
    """Bind an identity to a provider, publish that, and make its exit kit.

    Args:
        session: the open wallet.
        who: label or id.
        wish: what the owner wants.
        offline: open no connection.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.

    Raises:
        UsageError: ``provider.kit-choice`` unless exactly one of kit and no kit was chosen, now or before.
        InputError: ``identity.unknown``, ``identity.retired``, ``link.would-link``, ``provider.self``,
            ``provider.bound-elsewhere``, ``migration.under-way``.
        NetworkError: ``host.*``, ``provider.not-counted``, and what publishing ends in. That too few relays have the
            record is told by the result.
        VerificationError: ``host.*``, ``publish.newer-exists``, ``record.stale`` and ``record.equivocation`` of the
            provider's own record.
        StorageError: ``exit-kit.taken``. That the kit cannot be written is told by the result.
        SignerError: ``request.*``.
    """
    route = dialer if dialer is not None else dialer_for(offline)
    identity = find(session.snapshot().wallet, who)
    if identity.retired is not None:
        raise InputError("identity.retired", "a retired identity has no provider", "create a new one")
    refuse_during_migration(identity, read_book(session, identity.index))
    kit = _kit_wish(wish, read_book(session, identity.index))
    main = NodeAddress.from_text(wish.address)
    second = NodeAddress.from_text(kit) if kit is not None and _is_address(kit) else None
    directory = os.path.abspath(kit) if kit and second is None else None
    wanted = [(main, Role.MAIN)] + ([(second, Role.KIT)] if second is not None else [])
    _plan(session, identity, wish, [address for address, _ in wanted], directory)
    run = _Run(session, identity.index, wish, route, progress)
    granted = [found for address, role in wanted if (found := run.grant_of(address, role)) is not None]
    _decide(session, identity.index, granted, KitChoice(directory or "") if kit is not None else None)
    return run.finish(who)


def _kit_wish(wish: BindWish, book: ProviderBook) -> str | None:
    """Return what was chosen: a place, an empty text for none on purpose, None for what was decided before."""
    if wish.kit and not wish.no_kit:
        return wish.kit
    if wish.no_kit and wish.kit is None:
        return ""
    if wish.kit is None and book.kit is not None:
        return None
    raise UsageError(
        "provider.kit-choice",
        "either a place for the exit kit is needed, or the decision to have none",
        "give --kit DIRECTORY or --kit ADDRESS, or else --no-kit; without a kit, what only a dead provider has is lost",
    )


def _is_address(text: str) -> bool:
    return "://" in text


def _plan(
    session: Session, identity: IdentityView, wish: BindWish, providers: Sequence[NodeAddress], directory: str | None
) -> None:
    """Check what would tie identities together, before anybody hears of anything."""
    links: list[Link] = []
    for address in providers:
        if address.node is not None:
            links += provider_link(session, identity, address.node.public_key)
    if directory is not None:
        links += kit_link(session, identity, directory)
    plan_publish(session, identity.label, [*_relays(session, wish), *providers], wish.accept_link, links)


def _relays(session: Session, wish: BindWish) -> list[NodeAddress]:
    texts = [*wish.relays] or list_relays(session.home)
    return chosen_relays(None, texts) if texts else []


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant to be decided.

    Attributes:
        grant: verified.
        address: where the provider is.
        role: what it is for.
    """

    grant: VerifiedGrant
    address: NodeAddress
    role: Role


@dataclass(slots=True)
class _Run:
    """One run of a bind."""

    session: Session
    index: int
    wish: BindWish
    dialer: Dialer
    progress: Progress
    independent: int | None = None

    @property
    def identity(self) -> IdentityView:
        return self.session.snapshot().wallet.by_index(self.index)

    def grant_of(self, address: NodeAddress, role: Role) -> Granted | None:
        """Ask a provider for its grant; None if the identity has one of it that will do."""
        identity = self.identity
        access = access_to(self.session, identity, self.dialer)
        with access.client(address) as client:
            self.progress(f"asking {address.to_text()} what it offers")
            offer = client.offer()
            provider = offer.provider
            self._check_provider(identity, provider, address, role)
            self._introduce(access, offer.record)
            held = held_binding(identity, provider)
            quota = self.wish.quota_bytes
            if held is not None and held.grant is not None and quota in (None, held.grant.terms.quota_bytes):
                remember_provider(self.session, self.index, ProviderEntry(provider, address.to_text(), role))
                access.memory.save(self.session)
                return None
            grant = request_grant(
                access, client, address, _relays(self.session, self.wish), quota, self.wish.invitation, self.progress
            )
        access.memory.save(self.session)
        return Granted(grant, address, role)

    def _introduce(self, access: Access, shown: Record) -> None:
        """Look a provider up that this wallet does not know yet."""
        if is_known(access, shown.packet.public_key):
            return
        count = introduce(access, shown, _relays(self.session, self.wish), self.progress)
        self.independent = count if self.independent is None else min(self.independent, count)

    def _check_provider(self, identity: IdentityView, provider: bytes, address: NodeAddress, role: Role) -> None:
        if provider == identity.public_key:
            raise InputError("provider.self", "nobody is one's own provider", "name another node")
        if address.node is None:  # only now it is known who is there
            links = list(provider_link(self.session, identity, provider))
            plan_publish(self.session, identity.label, [address], self.wish.accept_link, links)
        bound = bound_entries(identity, read_book(self.session, self.index))
        main = next((entry for entry in bound if entry.role is Role.MAIN), None)
        if role is Role.MAIN and main is not None and main.provider != provider:
            raise InputError(
                "provider.bound-elsewhere",
                f"{identity.label!r} is bound to {main.address} already",
                "move with `provider migrate`, or have this one keep the second copy: "
                "`provider bind` the first one again with --kit ADDRESS",
            )

    def finish(self, who: str) -> Bound:
        """Publish what was decided, and bring data to where it belongs."""
        before = self.identity.record
        shortfall: WalletError | None = None
        relays = [address.to_text() for address in _relays(self.session, self.wish)]
        relays += [entry.address for entry in bound_entries(self.identity, read_book(self.session, self.index))]
        try:
            stored = publish_identity(
                self.session, who, relays, self.wish.accept_link, dialer=self.dialer, progress=self.progress
            ).stored
        except PublishedShortError as error:
            shortfall, stored = error, error.stored
        shortfall = self._first_sync() or shortfall
        identity = self.identity
        self.progress("making the exit kit")
        with bound_places(self.session, identity, self.dialer) as places:
            wanted = remembered_versions(self.session, self.index)
            reports = refresh_kit(self.session, identity, places, wanted=wanted)
            overview = overview_of(identity, places, read_book(self.session, self.index), wanted)
        check_counted(overview)
        stopped = [report.stopped for report in reports if report.stopped is not None]
        shortfall = stopped[0] if stopped else shortfall
        is_new = identity.record != before
        return Bound(overview, stored, is_new, tuple(reports), shortfall, self.independent)

    def _first_sync(self) -> WalletError | None:
        """Store the wallet's own items at a provider that has none yet; return why that failed, or None.

        With them there, the words alone bring back what stands nowhere else, from the first day on.
        """
        from walletcli.wallet.sealed.access import open_data
        from walletcli.wallet.sealed.locking import data_lock
        from walletcli.wallet.sealed.memory import read_memory
        from walletcli.wallet.sealed.sync import SyncWish, sync_data

        if read_memory(self.session, self.index).seen is not None:
            return None
        try:
            with (
                data_lock(self.session.home, self.index),
                open_data(self.session, self.identity, self.dialer) as data,
            ):
                sync_data(data, SyncWish(), is_newest=True, progress=self.progress)
        except WalletError as error:
            return error
        return None


def _decide(session: Session, index: int, granted: Sequence[Granted], kit: KitChoice | None) -> None:
    """Remember providers and kit, and what the next document will say, in one write."""

    def changed(book: ProviderBook) -> ProviderBook:
        for item in granted:
            entry = ProviderEntry(item.grant.grant.provider, item.address.to_text(), item.role)
            book = book.with_entry(entry)
        if kit is None or (book.kit is not None and book.kit.path == kit.path):
            return book
        return replace(book, kit=kit)

    def bindings() -> Iterator[Change]:
        if granted:
            identity = session.snapshot().wallet.by_index(index)
            yield SetBindings(index, with_grants(identity, [(item.grant.data, item.role) for item in granted]))

    change_book(session, index, changed, lambda: tuple(bindings()))


def check_counted(overview: ProviderOverview) -> None:
    """Check that each provider that answers goes by the grant that the published document holds.

    Raises:
        NetworkError: ``provider.not-counted``.
    """
    for view in overview.providers:
        if view.counts_the_grant is False:
            raise NetworkError(
                "provider.not-counted",
                f"{view.address} has the record and does not go by the grant in it",
                "run the same command again; if that stays so, choose another provider",
            )
