"""Leaves a provider: the next document no longer holds its grant, and it may be told to forget everything at once.

Spec: docs/spec/providers.md, "Leaving".
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from walletcli.client.host import HostClient
from walletcli.client.host_answers import HostStatus
from walletcli.client.publish import PublishedShortError, Stored
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.errors import InputError, NetworkError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.next_record import sign_next
from walletcli.wallet.providers.book import ProviderBook, ProviderEntry, Role, change_book, read_book
from walletcli.wallet.providers.exit_kits import blobs_in_vault, listed_versions, live_versions, remembered_versions
from walletcli.wallet.providers.grants import with_grants
from walletcli.wallet.providers.links import bound_entries, is_decided
from walletcli.wallet.providers.naming import named_provider
from walletcli.wallet.providers.overview import host_json
from walletcli.wallet.providers.places import Places, access_to, bound_places, open_provider, writers_of
from walletcli.wallet.publish import plan_publish, refuse_during_migration, store_record
from walletcli.wallet.relays import chosen_relays, list_relays
from walletcli.wallet.route import dialer_for
from walletcli.wallet.state.changes import Change, SetBindings
from walletcli.wallet.state.draft import today
from walletcli.wallet.state.lookup import find
from walletcli.wallet.state.view import IdentityView


@dataclass(frozen=True, slots=True)
class Unbound:
    """An identity that has left a provider.

    Attributes:
        identity: which.
        provider: root key, 32 bytes.
        address: where it was told, or None if no address is known.
        host: what it says it still keeps, and until when; None if it does not say.
        forgotten: whether it has said that it deleted everything.
        stored: where the record is that no longer names it, or None if nothing was published.
        shortfall: what is not done though the identity has left, or None.
        error: why the provider could not be told, or None.
    """

    identity: IdentityView
    provider: bytes
    address: str | None
    host: HostStatus | None
    forgotten: bool
    stored: Stored | None
    shortfall: WalletError | None = None
    error: WalletError | None = None

    @property
    def did(self) -> str:
        """The provider, as did:key."""
        return IdentityId(self.provider).did

    def to_json(self) -> dict[str, object]:
        """Return who left whom, and what stays there for how long."""
        return {
            "did": IdentityId(self.identity.public_key).did,
            "provider": self.did,
            "address": self.address,
            "host": host_json(self.host) if self.host is not None else None,
            "forgotten": self.forgotten,
            "stored": self.stored.to_json() if self.stored is not None else None,
            "error": self.error.to_json() if self.error is not None else None,
        }


def unbind_provider(
    session: Session,
    who: str,
    provider: str,
    *,
    forget: bool = False,
    without_copy: bool = False,
    accept_link: bool = False,
    relays: Sequence[str] = (),
    wanted: Mapping[bytes, int] | None = None,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
) -> Unbound:
    """Leave a provider, publish that, and tell the provider itself; run again, it completes what is missing.

    Args:
        session: the open wallet.
        who: label or id.
        provider: an id in any form, or an address.
        forget: have it delete everything at once; otherwise it keeps what it has as long as its grant promised.
        without_copy: go ahead though some data is nowhere else.
        accept_link: go ahead where publishing ties identities together.
        relays: where the record goes; none: the wallet's list and the other providers.
        wanted: id and version of each blob that there should be; None: what the wallet remembers.
        offline: open no connection.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.

    Raises:
        InputError: ``identity.unknown``, ``provider.unknown``, ``provider.last-copy``, ``link.would-link``,
            ``migration.under-way``.
        NetworkError, VerificationError, SignerError: as `publish_identity`; what the provider itself ends in is told
            by the result.
    """
    route = dialer if dialer is not None else dialer_for(offline)
    identity = find(session.snapshot().wallet, who)
    book = read_book(session, identity.index)
    refuse_during_migration(identity, book)
    key = named_provider(identity, book, provider)
    if is_decided(identity, key):
        if not without_copy:
            progress("looking whether everything is at another place as well")
            with bound_places(session, identity, route) as places:
                remembered = wanted if wanted is not None else remembered_versions(session, identity.index)
                _check_copies(places, key, remembered, blobs_in_vault(session, identity.index))
        _decide(session, identity.index, key)
    leaving = _Leaving(session, identity.index, key, route, progress)
    leaving.publish(relays, accept_link=accept_link)
    return leaving.tell(forget=forget)


def _check_copies(
    places: Places, provider: bytes, wanted: Mapping[bytes, int] | None, in_vault: Mapping[bytes, int]
) -> None:
    """Check that nothing is lost with a provider.

    Args:
        places: open.
        provider: the one that is left.
        wanted: id and version of what there should be, or None if that is not known.
        in_vault: id and version of what the vault has anyway.

    Raises:
        InputError: ``provider.last-copy``.
    """
    there = dict(wanted or {})
    held: dict[bytes, int] = {}
    asked = False
    for item in places.providers:
        if item.place is None:
            continue
        with contextlib.suppress(WalletError):
            if item.provider == provider:
                there |= live_versions(item.place)
                asked = True
            else:
                _merge(held, listed_versions(item.place))
    if places.kit is not None:
        with contextlib.suppress(WalletError):
            _merge(held, listed_versions(places.kit))
    if not asked and wanted is None:
        raise _last_copy("the provider cannot be asked what it holds", has_kit=places.kit is not None)
    there = {blob_id: version for blob_id, version in there.items() if in_vault.get(blob_id, 0) < version}
    missing = sum(1 for blob_id, version in there.items() if held.get(blob_id, 0) < version)
    if missing:
        raise _last_copy(
            f"{missing} of {len(there)} blobs are nowhere else in their newest version", has_kit=places.kit is not None
        )


def _merge(held: dict[bytes, int], more: Mapping[bytes, int]) -> None:
    for blob_id, version in more.items():
        held[blob_id] = max(version, held.get(blob_id, 0))


def _last_copy(why: str, *, has_kit: bool) -> InputError:
    second = (
        "bring the exit kit up to date with `walletcli sync`"
        if has_kit
        else "make an exit kit: bind the same provider again with `provider bind` and --kit PLACE"
    )
    return InputError(
        "provider.last-copy",
        f"leaving would lose data: {why}",
        f"{second}, move with `provider migrate`, or go ahead with --without-copy",
    )


def _decide(session: Session, index: int, provider: bytes) -> None:
    """Remember that the identity leaves; if it was the main provider, another one takes its place."""

    def changed(book: ProviderBook) -> ProviderBook:
        entry = book.get(provider)
        if entry is None:
            return book
        book = book.with_entry(replace(entry, left_day=today(time.time())))
        left = [item for item in book.entries if item.left_day is None]
        if left and not any(item.role is Role.MAIN for item in left):
            book = book.with_entry(replace(left[0], role=Role.MAIN))
        return book

    def bindings() -> tuple[Change, ...]:
        identity = session.snapshot().wallet.by_index(index)
        return (SetBindings(index, with_grants(identity, (), [provider])),) if is_decided(identity, provider) else ()

    change_book(session, index, changed, bindings)


@dataclass(slots=True)
class _Leaving:
    """What follows once it is decided."""

    session: Session
    index: int
    provider: bytes
    dialer: Dialer
    progress: Progress
    stored: Stored | None = None
    shortfall: WalletError | None = None

    @property
    def identity(self) -> IdentityView:
        return self.session.snapshot().wallet.by_index(self.index)

    @property
    def entry(self) -> ProviderEntry | None:
        return read_book(self.session, self.index).get(self.provider)

    def publish(self, relays: Sequence[str], *, accept_link: bool) -> None:
        """Sign the document without the grant, and store it wherever the identity's records go."""
        bound = [entry.address for entry in bound_entries(self.identity, read_book(self.session, self.index))]
        texts = list(relays) or [*list_relays(self.session.home), *bound]
        targets = chosen_relays(None, texts) if texts else []
        asked = targets or ([NodeAddress.from_text(self.entry.address)] if self.entry is not None else [])
        plan_publish(self.session, self.identity.label, asked, accept_link)
        record, _ = sign_next(self.session, self.index, asked, self.dialer, progress=self.progress)
        if not targets:
            return
        try:
            self.stored = store_record(self.session, self.index, record, targets, self.dialer, progress=self.progress)
        except PublishedShortError as error:
            self.stored, self.shortfall = error.stored, error

    def tell(self, *, forget: bool) -> Unbound:
        """Give the provider the record that no longer names it, and ask what it still keeps."""
        identity = self.identity
        entry = self.entry
        access = access_to(self.session, identity, self.dialer)
        place = open_provider(
            access, self.provider, writers_of(identity), named=entry.address if entry is not None else None
        )
        address = place.address.to_text() if place.address is not None else None
        try:
            if place.client is None or place.address is None:
                self._fall_short(place.error, forget=forget)
                return Unbound(identity, self.provider, address, None, False, self.stored, self.shortfall, place.error)
            return self._told(identity, place.address, place.client, forget=forget)
        finally:
            place.close()
            access.memory.save(self.session)

    def _told(self, identity: IdentityView, address: NodeAddress, client: HostClient, *, forget: bool) -> Unbound:
        error: WalletError | None = None
        host: HostStatus | None = None
        forgotten = False
        try:
            if identity.record is not None:
                store_record(self.session, self.index, Record.from_bytes(identity.record), [address], self.dialer)
            if forget:
                self.progress(f"having {address.to_text()} delete what it keeps")
                client.forget()
            host = client.status()
            forgotten = forget and host.blobs == 0
        except WalletError as failure:
            error = failure
            self._fall_short(failure, forget=forget)
        if forget and host is not None and not forgotten:
            self.shortfall = NetworkError(
                "provider.not-forgotten",
                f"{address.to_text()} says that it still keeps {host.blobs} blobs",
                f"ask its operator; it promised to delete them after {_days(host)} days",
            )
        return Unbound(identity, self.provider, address.to_text(), host, forgotten, self.stored, self.shortfall, error)

    def _fall_short(self, error: WalletError | None, *, forget: bool) -> None:
        if forget and error is not None and self.shortfall is None:
            self.shortfall = error


def _days(host: HostStatus) -> int:
    return host.terms.retention_days if host.terms is not None else 0
