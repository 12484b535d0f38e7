"""The steps of a migration: each looks at the journal and does what is missing.

One new document, one root signature: the new grant in, the old one out. The data is at the new provider, and was read
back from there, before anybody else hears of it. The journal in the vault says how far it has come.

Spec: docs/spec/migration.md, "Steps".
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from walletcli.client.copying import CopyReport
from walletcli.client.publish import PublishedShortError, Stored
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.core.secret import Secret
from walletcli.errors import InputError, NetworkError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Progress
from walletcli.wallet.next_record import sign_next
from walletcli.wallet.providers.addresses import known_addresses
from walletcli.wallet.providers.book import ProviderBook, ProviderEntry, Role, change_book, read_book
from walletcli.wallet.providers.exit_kits import refresh_kit, remembered_versions
from walletcli.wallet.providers.grants import held_binding, request_grant, with_grants
from walletcli.wallet.providers.introducing import introduce, is_known
from walletcli.wallet.providers.journal import Journal, Stage
from walletcli.wallet.providers.links import bound_entries, decided_grants, is_decided, provider_link, read_grant
from walletcli.wallet.providers.migration_data import DataMove, advance, evidence_in, no_journal
from walletcli.wallet.providers.move_report import MoveReport
from walletcli.wallet.providers.naming import named_provider
from walletcli.wallet.providers.places import access_to, bound_places
from walletcli.wallet.publish import plan_publish, refuse_during_migration, store_record
from walletcli.wallet.relays import chosen_relays, list_relays
from walletcli.wallet.state.changes import SetBindings
from walletcli.wallet.state.draft import last_document, today
from walletcli.wallet.state.view import IdentityView


@dataclass(frozen=True, slots=True)
class MigrateWish:
    """What the owner wants.

    Attributes:
        address: of the new provider, as text; None: go on with the migration under way.
        old: which provider is left, by id or address; None: the main one.
        quota_bytes: room that is wanted; None: all that is offered.
        invitation: token of a closed provider, or None.
        accept_link: go ahead where this ties identities together; remembered for this identity.
        relays: where the record goes beside the providers; none: the wallet's list.
    """

    address: str | None = None
    old: str | None = None
    quota_bytes: int | None = None
    invitation: Secret | None = None
    accept_link: bool = False
    relays: tuple[str, ...] = ()


@dataclass(slots=True)
class MigrationRun:
    """One run of a migration.

    Attributes:
        session: the open wallet.
        index: of the identity.
        wish: what the owner wants.
        dialer: opens connections.
        progress: takes a line per step.
        stored: where the record is that says so; None until this run has published it.
        told_error: why the old provider could not be told, or None.
        shortfall: what is not as it should be though the step is done, or None.
        kit_reports: what became of each exit kit.
    """

    session: Session
    index: int
    wish: MigrateWish
    dialer: Dialer
    progress: Progress
    stored: Stored | None = None
    told_error: WalletError | None = None
    shortfall: WalletError | None = None
    kit_reports: list[CopyReport] = field(default_factory=list)

    @property
    def identity(self) -> IdentityView:
        """The identity as the wallet has it now."""
        return self.session.snapshot().wallet.by_index(self.index)

    @property
    def book(self) -> ProviderBook:
        """What is remembered of its providers now."""
        return read_book(self.session, self.index)

    @property
    def journal(self) -> Journal:
        """How far the migration has come.

        Raises:
            InputError: ``migration.none`` if another process has ended it.
        """
        journal = self.book.journal
        if journal is None:
            raise no_journal(self.identity)
        return journal

    @property
    def relays(self) -> list[NodeAddress]:
        """Where the record goes beside the providers."""
        texts = [*self.wish.relays] or list_relays(self.session.home)
        return chosen_relays(None, texts) if texts else []

    # beginning

    def is_there_already(self) -> bool:
        """Tell whether the identity is where it is to go, by a migration that is done.

        Raises:
            InputError: ``migration.none`` if nothing says where to go, ``migration.same`` if it never came from
                anywhere else.
        """
        identity, book = self.identity, self.book
        if self.wish.address is None:
            raise InputError(
                "migration.none",
                f"no migration of {identity.label!r} is under way",
                f"begin one with: walletcli provider migrate {identity.label_word} ADDRESS",
            )
        address = NodeAddress.from_text(self.wish.address)
        there = main_entry(identity, book)
        if there is None or not _is_at(there, address):
            return False
        if book.last is None or held_binding(identity, there.provider) is None:
            raise _same(identity, address)
        return True

    def begin(self) -> None:
        """Get the new provider's grant, and decide with it what the next document says."""
        identity = self.identity
        if identity.retired is not None:
            raise InputError("identity.retired", "a retired identity has no provider", "create a new one")
        assert self.wish.address is not None
        address = NodeAddress.from_text(self.wish.address)
        old = named_provider(identity, self.book, self.wish.old)
        if address.node is not None and address.node.public_key == old:
            raise _same(identity, address)
        if not is_decided(identity, old):
            raise InputError(
                "provider.left",
                f"{identity.label!r} has left {IdentityId(old).did} already",
                f"see: walletcli provider status {identity.label_word}",
            )
        links = provider_link(self.session, identity, address.node.public_key) if address.node is not None else ()
        plan_publish(self.session, identity.label, [*self.relays, address], self.wish.accept_link, list(links))
        role = self._role_of(identity, old)
        grant, new, was_bound = self._grant(identity, address, old)
        if was_bound and self._role_of(identity, new) is Role.MAIN:
            raise _same(identity, address)
        journal = Journal(
            Stage.GRANTED, old, new, address.to_text(), grant, decided_grants(identity), today(time.time()), was_bound
        )
        self._decide(journal, role)

    def _role_of(self, identity: IdentityView, provider: bytes) -> Role:
        """Return what a bound provider is for; the new one takes the place of the old one."""
        entries = bound_entries(identity, self.book)
        return next((entry.role for entry in entries if entry.provider == provider), Role.MAIN)

    def _grant(self, identity: IdentityView, address: NodeAddress, old: bytes) -> tuple[bytes, bytes, bool]:
        access = access_to(self.session, identity, self.dialer)
        with access.client(address) as client:
            self.progress(f"asking {address.to_text()} what it offers")
            offer = client.offer()
            new = offer.provider
            if new == old:
                raise _same(identity, address)
            if new == identity.public_key:
                raise InputError("provider.self", "nobody is one's own provider", "name another node")
            if address.node is None:  # only now it is known who is there
                links = list(provider_link(self.session, identity, new))
                plan_publish(self.session, identity.label, [address], self.wish.accept_link, links)
            held = held_binding(identity, new)
            if held is not None:
                return held.data, new, True
            if not is_known(access, new):
                introduce(access, offer.record, self.relays, self.progress)
            quota, invitation = self.wish.quota_bytes, self.wish.invitation
            grant = request_grant(access, client, address, self.relays, quota, invitation, self.progress)
        access.memory.save(self.session)
        return grant.data, new, False

    def _decide(self, journal: Journal, role: Role) -> None:
        def changed(book: ProviderBook) -> ProviderBook:
            refuse_during_migration(self.identity, book)
            return replace(book.with_entry(ProviderEntry(journal.new, journal.address, role)), journal=journal)

        change_book(self.session, self.index, changed, lambda: (self._bindings(journal, role),))

    def _bindings(self, journal: Journal, role: Role) -> SetBindings:
        grants = with_grants(self.identity, [(journal.grant, role)], [journal.old])
        return SetBindings(self.index, grants)

    def check_goes_on(self) -> None:
        """Check that the migration under way is the one that is meant."""
        journal, identity = self.journal, self.identity
        if journal.stage is Stage.ABORTING:
            raise InputError(
                "migration.aborting",
                f"the migration of {identity.label!r} is being aborted",
                f"complete that with: walletcli provider migrate {identity.label_word} --abort",
            )
        if self.wish.address is None:
            return
        if NodeAddress.from_text(self.wish.address).to_text() != journal.address:
            refuse_during_migration(identity, self.book)

    # the document

    def sign(self) -> None:
        """Sign the one new document, and have the new provider store it before anybody else."""
        journal = self.journal
        if journal.stage is not Stage.GRANTED:
            return
        address = NodeAddress.from_text(journal.address)
        if not _is_signed(self.identity, journal):
            if journal.grant not in decided_grants(self.identity):
                entry = self.book.get(journal.new)
                role = entry.role if entry is not None else Role.MAIN
                change_book(self.session, self.index, lambda book: book, lambda: (self._bindings(journal, role),))
            sign_next(self.session, self.index, [*self.relays, address], self.dialer, progress=self.progress)
        store_record(self.session, self.index, self._record(), [address], self.dialer, progress=self.progress)

    def _record(self) -> Record:
        record = self.identity.record
        assert record is not None
        return Record.from_bytes(record)

    # the data

    def copy(self) -> None:
        """Bring the data to the new provider, from wherever it is."""
        if self.journal.stage is Stage.GRANTED:
            advance(self.session, self.index, Stage.COPIED, self._data.bring())

    @property
    def _data(self) -> DataMove:
        return DataMove(self.session, self.index, self.dialer, self.progress)

    # the world

    def tell(self) -> None:
        """Publish, tell the old provider, and fetch what was written there meanwhile."""
        journal = self.journal
        if journal.stage is not Stage.COPIED:
            return
        record = self._record()
        self._publish(record)
        self._tell_old(record, journal)
        advance(self.session, self.index, Stage.TOLD, self._fetched_again())

    def _publish(self, record: Record) -> None:
        """Store the record on the relays, and at all providers that it names."""
        bound = [NodeAddress.from_text(entry.address) for entry in bound_entries(self.identity, self.book)]
        targets = list(dict.fromkeys([*self.relays, *bound]))
        try:
            self.stored = store_record(self.session, self.index, record, targets, self.dialer, progress=self.progress)
        except PublishedShortError as error:
            self.stored, self.shortfall = error.stored, error

    def _tell_old(self, record: Record, journal: Journal) -> None:
        """Give the old provider the record that no longer names it: it serves that on to whoever asks."""
        entry = self.book.get(journal.old)
        records = evidence_in(journal.before, journal.old)
        addresses = known_addresses(journal.old, entry.address if entry is not None else None, records)
        self.told_error = NetworkError(
            "provider.no-address", "no address of the provider that is left is known", "nothing needs to be done"
        )
        for address in addresses:
            self.progress(f"telling {address.to_text()}")
            try:
                store_record(self.session, self.index, record, [address], self.dialer)
            except PublishedShortError as error:
                self.told_error = NetworkError(
                    "provider.not-told",
                    "; ".join(failure.message for failure in error.stored.failed),
                    "nothing needs to be done: contacts find the new provider on your relays",
                )
            except WalletError as error:
                self.told_error = error
            else:
                self.told_error = None
                return

    def _fetched_again(self) -> MoveReport | None:
        """Fetch what another device stored at the old provider while the data was copied; None if there is nothing."""
        if self.told_error is not None:
            return None
        try:
            return self._data.bring_newer()
        except WalletError as error:
            self.shortfall = error
            return None

    def finish(self) -> MoveReport:
        """Bring the exit kits up to date, and close the journal.

        Returns:
            What became of the data.
        """
        journal, identity = self.journal, self.identity
        assert journal.report is not None
        last = today(time.time()), journal.report
        with bound_places(self.session, identity, self.dialer) as places:
            self._data.see_new_index(places)
            self.progress("bringing the exit kit up to date")
            wanted = remembered_versions(self.session, self.index) if journal.report.is_complete else None
            self.kit_reports = refresh_kit(self.session, identity, places, wanted=wanted)

        def changed(book: ProviderBook) -> ProviderBook:
            if book.journal is None:
                raise no_journal(identity)
            entry = book.get(journal.old)
            if entry is not None:
                book = book.with_entry(replace(entry, left_day=last[0]))
            return replace(book, journal=None, last=last)

        change_book(self.session, self.index, changed)
        if self.shortfall is None:
            stopped = (report.stopped for report in self.kit_reports)
            self.shortfall = next((error for error in stopped if error is not None), None)
        return journal.report


def main_entry(identity: IdentityView, book: ProviderBook) -> ProviderEntry | None:
    """Return the main provider of an identity, as far as an address is known."""
    return next((entry for entry in bound_entries(identity, book) if entry.role is Role.MAIN), None)


def _is_at(entry: ProviderEntry, address: NodeAddress) -> bool:
    named = address.node.public_key if address.node is not None else None
    return entry.provider == named or entry.address == address.to_text()


def _is_signed(identity: IdentityView, journal: Journal) -> bool:
    """Tell whether the identity's document is the one that the migration is about: new grant in, old ones out."""
    document = last_document(identity)
    if document is None or journal.grant not in document.bindings:
        return False
    grants = [read_grant(data) for data in document.bindings]
    return not any(grant is not None and grant.provider == journal.old for grant in grants)


def _same(identity: IdentityView, address: NodeAddress) -> InputError:
    return InputError(
        "migration.same",
        f"{identity.label!r} is bound to {address.to_text()} already",
        f"name another provider, or see: walletcli provider status {identity.label_word}",
    )
