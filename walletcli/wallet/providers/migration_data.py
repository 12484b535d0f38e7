"""What a migration does with the data: reach both providers, bring everything over, and keep to what is known of it.

Spec: docs/spec/migration.md, "Data".
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from walletcli.client.host_answers import HostState
from walletcli.client.places import Place
from walletcli.core.record import Record
from walletcli.errors import InputError, NetworkError, WalletError
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Progress
from walletcli.wallet.providers.addresses import evidence_of
from walletcli.wallet.providers.book import ProviderBook, change_book, read_book
from walletcli.wallet.providers.journal import Journal, Stage
from walletcli.wallet.providers.links import read_grant
from walletcli.wallet.providers.move_report import MoveReport, Outcome, Unusable
from walletcli.wallet.providers.moving import Source, move_data, state_of
from walletcli.wallet.providers.places import Access, Places, ProviderPlace, access_to, bound_places, open_provider
from walletcli.wallet.providers.sources import Paced
from walletcli.wallet.sealed.locking import data_lock
from walletcli.wallet.sealed.memory import read_memory
from walletcli.wallet.sealed.owner import Owner
from walletcli.wallet.sealed.reading import read_index
from walletcli.wallet.sealed.settling import remember, settle
from walletcli.wallet.state.view import IdentityView


@dataclass(frozen=True, slots=True)
class DataMove:
    """The data of one migration under way.

    Attributes:
        session: the open wallet.
        index: of the identity.
        dialer: opens connections.
        progress: takes a line per step.
    """

    session: Session
    index: int
    dialer: Dialer
    progress: Progress

    @property
    def _identity(self) -> IdentityView:
        return self.session.snapshot().wallet.by_index(self.index)

    @property
    def _journal(self) -> Journal:
        journal = read_book(self.session, self.index).journal
        if journal is None:
            raise no_journal(self._identity)
        return journal

    def bring(self) -> MoveReport:
        """Bring everything to the new provider, once that says that it goes by the grant.

        Returns:
            What became of each item, in this run and those that were cut off.

        Raises:
            NetworkError: ``provider.not-counted``, ``provider.lost``, and what the new provider ends in.
        """
        journal, identity = self._journal, self._identity
        with bound_places(self.session, identity, self.dialer) as places:
            target = _usable(places, journal.new)
            _check_counted(target, journal)
            access = access_to(self.session, identity, self.dialer)
            self.progress("reaching the provider that is left")
            old = self._open_old(access, places, journal)
            try:
                with data_lock(self.session.home, self.index):
                    return self._moved(identity, places, target, old)
            finally:
                old.close()
                access.memory.save(self.session)

    def _open_old(self, access: Access, places: Places, journal: Journal) -> ProviderPlace:
        assert places.writers is not None
        entry = read_book(self.session, self.index).get(journal.old)
        return open_provider(
            access,
            journal.old,
            places.writers,
            named=entry.address if entry is not None else None,
            records=evidence_in(journal.before, journal.old),
        )

    def _moved(self, identity: IdentityView, places: Places, target: ProviderPlace, old: ProviderPlace) -> MoveReport:
        assert target.place is not None
        others = [item for item in places.usable if item.provider not in (target.provider, old.provider)]
        sources = [Source(item.place, Outcome.KIT) for item in others if item.place is not None]
        sources += [Source(places.kit, Outcome.KIT)] if places.kit is not None else []
        known = read_memory(self.session, self.index).seen
        first = Source(Paced(old.place), Outcome.MOVED) if old.place is not None else None
        if first is not None:
            sources.insert(0, first)
        earlier = self._journal.report
        owner = Owner.of(self.session, identity)

        def note(found: MoveReport) -> None:
            advance(self.session, self.index, self._journal.stage, found.continuing(earlier))

        moved = move_data(sources, target.place, owner, known, self.progress, note, all_asked=first is not None)
        report = moved.continuing(earlier)
        error = first.error if first is not None else old.error
        if error is None:
            return report
        return replace(report, old=state_of(error), old_error=Unusable(None, old.name, error.code, error.message))

    def bring_newer(self) -> MoveReport | None:
        """Fetch what another device stored at the old provider while the data was copied; None if there is nothing.

        The old provider is read-only once it has been told, so there is nothing to be missed after this.
        """
        journal, identity = self._journal, self._identity
        with bound_places(self.session, identity, self.dialer) as places:
            access = access_to(self.session, identity, self.dialer)
            old = self._open_old(access, places, journal)
            try:
                if old.place is None or not self._is_newer(old.place):
                    return None
                with data_lock(self.session.home, self.index):
                    return self._moved(identity, places, _usable(places, journal.new), old)
            finally:
                old.close()

    def _is_newer(self, place: Place) -> bool:
        """Tell whether a place has a newer index than the one that this wallet has seen."""
        try:
            seen = read_index(place, Owner.of(self.session, self._identity).unseal)
        except WalletError:
            return False
        known = read_memory(self.session, self.index).seen
        return seen is not None and (known is None or seen.version > known.version)

    def see_new_index(self, places: Places) -> None:
        """Take an index that no longer names what is lost for the last one seen: now there is no way back.

        If that cannot be done now, the next synchronization does it: the index is of a higher epoch.
        """
        journal, identity = self._journal, self._identity
        report = journal.report
        if report is None or not any(item.is_lost or item.outcome is Outcome.VAULT for item in report.items):
            return
        with contextlib.suppress(WalletError):
            target = _usable(places, journal.new)
            assert target.place is not None
            with data_lock(self.session.home, self.index):
                found = settle(Owner.of(self.session, identity), target.place, (), accept_loss=False)
                remember(self.session, identity, replace(found, wrote=True))


def advance(session: Session, index: int, stage: Stage, report: MoveReport | None = None) -> None:
    """Write down how far the migration of an identity has come.

    Args:
        session: the open wallet.
        index: of the identity.
        stage: what is done.
        report: what became of the data; None: as it was written down before.
    """

    def changed(book: ProviderBook) -> ProviderBook:
        if book.journal is None:
            raise no_journal(session.snapshot().wallet.by_index(index))
        return replace(book, journal=replace(book.journal, stage=stage, report=report or book.journal.report))

    change_book(session, index, changed)


def evidence_in(grants: Sequence[bytes], provider: bytes) -> list[Record | None]:
    """Return the records of a provider that grants carry."""
    found = [grant for data in grants if (grant := read_grant(data)) is not None]
    return [evidence_of(grant) for grant in found if grant.provider == provider]


def _usable(places: Places, provider: bytes) -> ProviderPlace:
    """Return the place of the new provider; raises what keeps it from being used."""
    for place in places.providers:
        if place.provider == provider:
            if place.error is not None:
                raise place.error
            return place
    raise NetworkError(
        "provider.not-counted", "the document does not bind the identity to the new provider", "run the command again"
    )


def _check_counted(place: ProviderPlace, journal: Journal) -> None:
    """Check that the new provider goes by the grant in the document that it has just stored."""
    assert place.client is not None
    status = place.client.status()
    if status.state is HostState.BOUND and status.grant_digest == hashlib.sha256(journal.grant).digest():
        return
    raise NetworkError(
        "provider.not-counted",
        f"{place.name} has the record and does not go by the grant in it",
        "run the same command again; if that stays so, use --abort and choose another provider",
    )


def no_journal(identity: IdentityView) -> InputError:
    """Return the error for a migration that another process has ended."""
    return InputError(
        "migration.none",
        f"another process has ended the migration of {identity.label!r} meanwhile",
        f"see: walletcli provider status {identity.label_word}",
    )
