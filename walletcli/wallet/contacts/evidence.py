"""The newest record of somebody that can be had: what tells who may sign for an identity.

What is remembered is never undercut, relays are asked on behalf of the identity whose contact it is, and its own
provider is not among them: it would learn who the contacts are.

Spec: docs/spec/contact-book.md, "Looking a contact up".
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from walletcli.client.approved import NotApprovedError, check_remembered
from walletcli.client.freshness import Seen
from walletcli.client.independence import WANTED_SOURCES
from walletcli.client.resolution import Resolution
from walletcli.client.resolve import resolve
from walletcli.client.splits import refuse_split
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.core.short_record import from_short
from walletcli.errors import InputError, NetworkError, VerificationError
from walletcli.net.addresses import NodeAddress, Scheme
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.providers.book import read_book as read_providers
from walletcli.wallet.providers.links import providers_of
from walletcli.wallet.relays import chosen_relays, list_relays
from walletcli.wallet.route import dialer_for
from walletcli.wallet.state.draft import today
from walletcli.wallet.state.view import IdentityView
from walletcli.wallet.state.wallet_view import WalletView


class Source(StrEnum):
    """Where a record came from."""

    RELAYS = "relays"
    FILE = "file"
    MEMORY = "memory"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The newest record of an identity that could be had.

    Attributes:
        record: with its document, or None.
        source: where it came from.
        resolution: what relays said, or None if none was asked or nothing usable came.
        failure: why no relay gave anything, or None.
        was_known: whether a record of the identity was remembered before anybody was asked.
    """

    record: Record | None
    source: Source
    resolution: Resolution | None = None
    failure: NetworkError | VerificationError | None = None
    was_known: bool = False

    @property
    def independent(self) -> int:
        """How many independent sources have answered; those that a card or a record has named are none."""
        return len(self.resolution.independent) if self.resolution is not None else 0

    @property
    def may_start_trust(self) -> bool:
        """Whether the identity was known, or enough independent sources have answered."""
        return self.was_known or self.independent >= WANTED_SOURCES

    @property
    def is_split(self) -> bool:
        """Whether relays showed that the identity has signed two states with one `seq`."""
        return self.resolution is not None and bool(self.resolution.open_splits)


class Inquiry:
    """Looks records up on behalf of one identity.

    Args:
        session: the open wallet.
        identity: on whose behalf.
        relays: whom to ask; none: the wallet's list, and where somebody's record is said to be.
        offline: open no connection.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.

    Attributes:
        session: the open wallet.
        identity: on whose behalf.
        memory: what is remembered of others; `save` writes what is new.
        is_offline: whether nobody is asked.
    """

    def __init__(
        self,
        session: Session,
        identity: IdentityView,
        relays: Sequence[str] = (),
        *,
        offline: bool = False,
        dialer: Dialer | None = None,
        progress: Progress = silent,
        wallet: WalletView | None = None,
    ) -> None:
        self.identity = identity
        self.is_offline = offline
        self.memory = WalletMemory(wallet if wallet is not None else session.snapshot().wallet)
        self.dialer = dialer if dialer is not None else dialer_for(offline)
        self.did = IdentityId(identity.public_key).did
        self.session = session
        self._progress = progress
        self._named = chosen_relays(None, relays) if relays else []
        self._own = own_providers(session, identity)

    def save(self) -> None:
        """Write what is new of others into the vault."""
        self.memory.save(self.session)

    def relays(self) -> list[NodeAddress]:
        """Return whom to ask: the relays that were named, or else the wallet's list without one's own providers.

        Raises:
            NetworkError: ``contact.only-provider`` if nobody but a provider of one's own is in the list.
        """
        if self._named:
            return self._named
        listed = [NodeAddress.from_relay_text(text) for text in list_relays(self.session.home)]
        usable = self._own.without(listed)
        if listed and not usable:
            raise NetworkError(
                "contact.only-provider",
                "the only relay in the list is this identity's own provider, which would learn who its contacts are",
                "add another one with: walletcli relay add ADDRESS, or name one with --relay",
            )
        return usable

    def places(self, texts: Iterable[str]) -> list[NodeAddress]:
        """Return the nodes that somebody's record is said to be at, as far as they may be asked.

        Nobody in clear, for whoever made a card chooses them; no provider of one's own; none if relays were named.
        """
        if self._named:
            return []
        found = []
        for text in texts:
            try:
                address = NodeAddress.from_text(text)
            except InputError:
                continue
            if address.scheme is not Scheme.CLEAR:
                found.append(address)
        return self._own.without(dict.fromkeys(found))

    def newest(
        self,
        key: bytes,
        short_record: bytes | None = None,
        places: Iterable[str] = (),
        hints: Iterable[str] = (),
        *,
        may_fail: bool = True,
    ) -> Evidence:
        """Return the newest record of an identity that can be had; it is remembered.

        Args:
            key: its root key, 32 bytes.
            short_record: of that identity, from a file; or None.
            places: addresses of nodes where its record is, as far as is known; asked together with the relays.
            hints: addresses that whoever made a card has written into it; asked if the others give nothing usable.
            may_fail: be content with what is remembered or in the file when nobody can be asked; otherwise that is an
                error unless one is offline on purpose.

        Raises:
            FormatError: ``short-record.*``, ``document.*``, ``cbor.*`` for what the file holds.
            VerificationError: ``signature.invalid``, ``record.identity-mismatch``, ``record.equivocation``.
            NetworkError: what the relays end in, unless `may_fail`.
        """
        was_known = self.memory.get(key) is not None
        found = self._newest(key, short_record, places, hints, may_fail=may_fail)
        return replace(found, was_known=was_known)

    def _newest(
        self, key: bytes, short_record: bytes | None, places: Iterable[str], hints: Iterable[str], *, may_fail: bool
    ) -> Evidence:
        source = self._take(key, short_record) if short_record is not None else None
        known = source if source is not None else Source.MEMORY
        failure: NetworkError | VerificationError | None = None
        if not self.is_offline:
            try:
                resolution = self._asked(key, places, hints)
            except VerificationError as error:
                if error.code == "record.equivocation":
                    raise
                failure = error
            except NetworkError as error:
                failure = error
            else:
                found = resolution.record
                if found.document is not None:
                    return Evidence(found, Source.RELAYS, resolution)
                return self._remembered(key, known, resolution, None)
        if failure is not None and not may_fail and isinstance(failure, NetworkError):
            raise NetworkError(
                failure.code, failure.message, f"{failure.hint}; or take what is at hand with --offline"
            ) from failure
        return self._remembered(key, known, None, failure)

    def _remembered(
        self,
        key: bytes,
        source: Source,
        resolution: Resolution | None,
        failure: NetworkError | VerificationError | None,
    ) -> Evidence:
        seen = self.memory.get(key)
        record = seen.record if seen is not None else None
        if record is None or record.document is None:
            return Evidence(None, Source.NONE, resolution, failure)
        return Evidence(record, source, resolution, failure)

    def _asked(self, key: bytes, places: Iterable[str], hints: Iterable[str]) -> Resolution:
        """Ask the relays and the places, and what is hinted at if none of them has anything that can be used."""
        known, hinted = self.places(places), self.places(hints)
        relays: list[NodeAddress] = []
        try:
            relays = self.relays()
        except NetworkError:
            if not known and not hinted:
                raise
        further = [address for address in hinted if address not in relays and address not in known]
        if not relays and not known and further:
            return self._resolve(key, (), further)
        try:
            return self._resolve(key, relays, known)
        except (NetworkError, VerificationError) as error:
            if not further or error.code in ("network.offline", "record.equivocation"):
                raise
            return self._resolve(key, (), further)

    def _resolve(self, key: bytes, relays: Sequence[NodeAddress], places: Sequence[NodeAddress]) -> Resolution:
        self._progress(f"asking {len({*relays, *places})} node(s) for the record of {IdentityId(key).did}")
        with self.memory.keeping_splits(self.session):
            return resolve(
                IdentityId(key), relays, also=places, dialer=self.dialer, memory=self.memory, for_identity=self.did
            )

    def _take(self, key: bytes, short_record: bytes) -> Source | None:
        """Remember a record from a file if it is the newest that is known; say whether it is."""
        record = from_short(short_record)
        if record.packet.public_key != key:
            raise VerificationError("record.identity-mismatch", "the record in the file is another identity's")
        seen, found = self.memory.get(key), Seen.of(record)
        if seen is not None and seen.seq > found.seq:
            return None
        with self.memory.keeping_splits(self.session):
            refuse_split(record, self.memory, IdentityId(key).did)
        try:
            check_remembered(self.memory, record, today(time.time()))
        except NotApprovedError:
            return None  # what relays have comes with the approvals, if there are any
        self.memory.put(key, found)
        return Source.FILE


class OwnProviders:
    """The providers of one identity, which are never asked about its contacts.

    Args:
        keys: their root keys, 32 bytes each.
        addresses: where they were reached, as text.
    """

    def __init__(self, keys: Iterable[bytes] = (), addresses: Iterable[str] = ()) -> None:
        self._keys = frozenset(keys)
        self._addresses = frozenset(addresses)
        self._locations = frozenset(NodeAddress.from_text(text).location for text in self._addresses)

    def without(self, addresses: Iterable[NodeAddress]) -> list[NodeAddress]:
        """Return the addresses that lead to none of these providers."""
        return [address for address in addresses if not self._includes(address)]

    def _includes(self, address: NodeAddress) -> bool:
        if address.node is not None:
            return address.node.public_key in self._keys
        return address.to_text() in self._addresses or address.location in self._locations


def own_providers(session: Session, identity: IdentityView) -> OwnProviders:
    """Return the providers that an identity is bound to, will be, or was."""
    book = read_providers(session, identity.index)
    return OwnProviders(providers_of(identity, book), [entry.address for entry in book.entries])
