"""Gives a migration up, as long as nobody but the new provider has heard of it.

Spec: docs/spec/migration.md, "Giving up".
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from walletcli.client.publish import PublishedShortError, Stored
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.errors import InputError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.next_record import sign_next
from walletcli.wallet.providers.book import ProviderBook, Role, change_book, read_book
from walletcli.wallet.providers.journal import Journal, Stage
from walletcli.wallet.providers.links import bound_entries, decided_grants
from walletcli.wallet.providers.places import access_to
from walletcli.wallet.publish import store_record
from walletcli.wallet.relays import chosen_relays, list_relays
from walletcli.wallet.route import dialer_for
from walletcli.wallet.state.changes import Change, SetBindings
from walletcli.wallet.state.draft import last_document, today
from walletcli.wallet.state.lookup import find
from walletcli.wallet.state.view import IdentityView


@dataclass(frozen=True, slots=True)
class Aborted:
    """A migration that was given up.

    Attributes:
        identity: whose.
        new: root key of the provider that it did not move to, 32 bytes.
        address: of that provider.
        signed: whether a document had to be signed to take the first one back.
        stored: where that document is, or None.
        forgotten: whether the new provider has said that it deleted everything.
        error: why it has not, or None.
        shortfall: what is not done though the migration is given up, or None.
    """

    identity: IdentityView
    new: bytes
    address: str
    signed: bool
    stored: Stored | None = None
    forgotten: bool = False
    error: WalletError | None = None
    shortfall: WalletError | None = None

    def to_json(self) -> dict[str, object]:
        """Return who stays where, and what the new provider still has."""
        return {
            "did": IdentityId(self.identity.public_key).did,
            "to": {"provider": IdentityId(self.new).did, "address": self.address},
            "stage": "aborted",
            "signed": self.signed,
            "stored": self.stored.to_json() if self.stored is not None else None,
            "forgotten": self.forgotten,
            "error": self.error.to_json() if self.error is not None else None,
        }


def abort_migration(
    session: Session,
    who: str,
    *,
    relays: tuple[str, ...] = (),
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
) -> Aborted:
    """Go back to the bindings from before a migration; run again it completes what is missing.

    Args:
        session: the open wallet.
        who: label or id.
        relays: where the record goes beside the providers; none: the wallet's list.
        offline: open no connection.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.

    Raises:
        InputError: ``migration.none``, ``migration.too-late`` once others have been told.
        NetworkError, VerificationError, SignerError: as `publish_identity`.
    """
    route = dialer if dialer is not None else dialer_for(offline)
    index = find(session.snapshot().wallet, who).index
    return _Abort(session, index, relays, route, progress).run()


@dataclass(slots=True)
class _Abort:
    session: Session
    index: int
    relay_texts: tuple[str, ...]
    dialer: Dialer
    progress: Progress
    stored: Stored | None = None
    shortfall: WalletError | None = None

    @property
    def identity(self) -> IdentityView:
        return self.session.snapshot().wallet.by_index(self.index)

    def run(self) -> Aborted:
        journal = self._journal()
        signed = journal.stage is Stage.ABORTING or self._is_signed(journal)
        forgotten, error = False, None
        if signed:
            self._take_back(journal)
            self._publish(journal)
            forgotten, error = self._leave_new(journal)
        self._close(journal, signed=signed)
        return Aborted(
            self.identity, journal.new, journal.address, signed, self.stored, forgotten, error, self.shortfall
        )

    def _journal(self) -> Journal:
        identity = self.identity
        journal = read_book(self.session, self.index).journal
        if journal is None:
            raise InputError(
                "migration.none",
                f"no migration of {identity.label!r} is under way",
                f"see: walletcli provider status {identity.label_word}",
            )
        if journal.stage is Stage.TOLD:
            raise InputError(
                "migration.too-late",
                f"others have been told that {identity.label!r} has moved",
                f"complete it with: walletcli provider migrate {identity.label_word}; then move back",
            )
        return journal

    def _is_signed(self, journal: Journal) -> bool:
        """Tell whether the document that the migration decided has been signed: nothing else changes bindings now."""
        document = last_document(self.identity)
        return document is not None and document.bindings != journal.before

    def _take_back(self, journal: Journal) -> None:
        """Decide the grants from before again; from here on only giving up goes on."""

        def changed(book: ProviderBook) -> ProviderBook:
            return replace(book, journal=replace(journal, stage=Stage.ABORTING))

        def bindings() -> tuple[Change, ...]:
            if decided_grants(self.identity) == journal.before:
                return ()
            return (SetBindings(self.index, journal.before),)

        change_book(self.session, self.index, changed, bindings)

    def _publish(self, journal: Journal) -> None:
        texts = [*self.relay_texts] or list_relays(self.session.home)
        relays = chosen_relays(None, texts) if texts else []
        new = NodeAddress.from_text(journal.address)
        entries = bound_entries(self.identity, read_book(self.session, self.index))
        bound = [NodeAddress.from_text(entry.address) for entry in entries if entry.provider != journal.new]
        targets = list(dict.fromkeys([*relays, *bound]))
        record, _ = sign_next(self.session, self.index, [*relays, new], self.dialer, progress=self.progress)
        if not targets:
            return
        try:
            self.stored = store_record(self.session, self.index, record, targets, self.dialer, progress=self.progress)
        except PublishedShortError as error:
            self.stored, self.shortfall = error.stored, error

    def _leave_new(self, journal: Journal) -> tuple[bool, WalletError | None]:
        """Tell the new provider, and have it delete what it got, unless it was bound before."""
        identity, address = self.identity, NodeAddress.from_text(journal.address)
        assert identity.record is not None
        try:
            store_record(self.session, self.index, Record.from_bytes(identity.record), [address], self.dialer)
            if journal.was_bound:
                return False, None
            access = access_to(self.session, identity, self.dialer)
            with access.client(address, journal.new) as client:
                client.login(access.sign)
                client.forget()
                return client.status().blobs == 0, None
        except WalletError as error:
            return False, error

    def _close(self, journal: Journal, *, signed: bool) -> None:
        def changed(book: ProviderBook) -> ProviderBook:
            entry = book.get(journal.new)
            if entry is not None and journal.was_bound:
                book = book.with_entry(replace(entry, role=Role.KIT))
            elif entry is not None:
                left = replace(entry, left_day=today(time.time()))
                book = book.with_entry(left) if signed else book.without(journal.new)
            return replace(book, journal=None)

        def bindings() -> tuple[Change, ...]:
            if decided_grants(self.identity) == journal.before:
                return ()
            return (SetBindings(self.index, journal.before),)

        change_book(self.session, self.index, changed, bindings)
