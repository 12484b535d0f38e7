"""The newest record of somebody that can be had: what tells who may sign for an identity.

What is remembered is never undercut, relays are asked on behalf of the identity whose contact it is, each contact's own
few of them, and its own provider is not among them: it would learn who the contacts are.

Spec: docs/spec/contact-book.md, "Looking a contact up".
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Final

from walletcli.client.approved import NotApprovedError, check_remembered
from walletcli.client.freshness import Seen
from walletcli.client.independence import WANTED_SOURCES
from walletcli.client.resolution import Outcome, Resolution
from walletcli.client.resolve import resolve
from walletcli.client.splits import refuse_split
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.core.short_record import from_short
from walletcli.errors import InputError, NetworkError, VerificationError
from walletcli.net.addresses import NodeAddress, Scheme
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.own_providers import OwnProviders, own_providers
from walletcli.wallet.contacts.placing import ASKED, STAND_INS, placing_key, ranked, spread_over
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.relays import chosen_relays, list_relays
from walletcli.wallet.route import dialer_for
from walletcli.wallet.state.draft import today
from walletcli.wallet.state.view import IdentityView
from walletcli.wallet.state.wallet_view import WalletView

FINAL_ERRORS: Final = frozenset({"network.offline", "record.equivocation"})
"""What a look-up may end in that no further relay changes."""


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
        found_at: a relay of those that were asked, as text, if none of those has the record that are asked for a known
            contact; or None.
    """

    record: Record | None
    source: Source
    resolution: Resolution | None = None
    failure: NetworkError | VerificationError | None = None
    was_known: bool = False
    found_at: str | None = None

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


@dataclass(frozen=True, slots=True)
class _Where:
    """Where somebody is looked for.

    Attributes:
        places: nodes that are asked together with the relays.
        hints: nodes that are asked if the others give nothing usable.
        is_wide: whether as many relays are asked as a newcomer takes.
    """

    places: Sequence[NodeAddress]
    hints: Sequence[NodeAddress]
    is_wide: bool


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
        self._key = placing_key(identity)

    def save(self) -> None:
        """Write what is new of others into the vault."""
        self.memory.save(self.session)

    @cached_property
    def _listed(self) -> list[str]:
        """The wallet's list of relays."""
        return list_relays(self.session.home)

    @cached_property
    def _usable(self) -> tuple[list[NodeAddress], list[NodeAddress]]:
        """Among which relays contacts are spread, and the DHT, where it was chosen."""
        listed = self._named or [NodeAddress.from_relay_text(text) for text in self._listed]
        usable = spread_over(listed, self._own if not self._named else OwnProviders())
        dht = [address for address in listed if address.scheme is Scheme.DHT]
        if listed and not usable and not dht:
            raise NetworkError(
                "contact.only-provider",
                "the only relay in the list is this identity's own provider, which would learn who its contacts are",
                "add another one with: walletcli relay add ADDRESS, or name one with --relay",
            )
        return usable, dht

    @property
    def relays(self) -> list[NodeAddress]:
        """Among which relays contacts are spread: those that were named, or the list without one's own providers.

        Raises:
            NetworkError: ``contact.only-provider`` if nobody but a provider of one's own is in the list.
        """
        return self._usable[0]

    def order(self, key: bytes) -> list[NodeAddress]:
        """Return the relays in the order in which they are asked for a contact; raises as `relays`.

        Args:
            key: the contact's root key, 32 bytes.
        """
        return ranked(self._key, key, self._usable[0])

    def asked(self, key: bytes, how_many: int = ASKED) -> list[NodeAddress]:
        """Return the first so many relays of a contact, and the DHT where it is in the list; raises as `relays`."""
        return [*self.order(key)[:how_many], *self._usable[1]]

    def places(self, texts: Iterable[str]) -> list[NodeAddress]:
        """Return the nodes that somebody's record is said to be at, as far as they may be asked.

        Nobody in clear that the owner has not chosen, for whoever made a card chooses them; no provider of one's own;
        none if relays were named.
        """
        if self._named:
            return []
        found = []
        for text in texts:
            try:
                address = NodeAddress.from_text(text)
            except InputError:
                continue
            if address.scheme is not Scheme.CLEAR or text in self._listed:
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
        anew: bool = False,
    ) -> Evidence:
        """Return the newest record of an identity that can be had; it is remembered.

        A known one is looked for at its first relays; a newcomer at as many as it takes for three independent sources
        to answer, and one of them to have it.

        Args:
            key: its root key, 32 bytes.
            short_record: of that identity, from a file; or None.
            places: addresses of nodes where its record is, as far as is known; asked together with the relays.
            hints: addresses that whoever made a card has written into it; asked if the others give nothing usable.
            may_fail: be content with what is remembered or in the file when nobody can be asked; otherwise that is an
                error unless one is offline on purpose.
            anew: look for it as for a newcomer, though it may be known.

        Raises:
            FormatError: ``short-record.*``, ``document.*``, ``cbor.*`` for what the file holds.
            VerificationError: ``signature.invalid``, ``record.identity-mismatch``, ``record.equivocation``.
            NetworkError: what the relays end in, unless `may_fail`.
        """
        was_known = self.memory.get(key) is not None
        asked_at = _Where(self.places(places), self.places(hints), is_wide=anew or not was_known)
        found = self._newest(key, short_record, asked_at, may_fail=may_fail)
        return replace(found, was_known=was_known, found_at=self._found_at(key, found.resolution, asked_at))

    def _newest(self, key: bytes, short_record: bytes | None, where: _Where, *, may_fail: bool) -> Evidence:
        source = self._take(key, short_record) if short_record is not None else None
        known = source if source is not None else Source.MEMORY
        failure: NetworkError | VerificationError | None = None
        if not self.is_offline:
            try:
                resolution = self._asked(key, where)
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

    def _asked(self, key: bytes, where: _Where) -> Resolution:
        """Ask the relays and the places, and what is hinted at if none of them has anything that can be used."""
        try:
            widths = self._widths(is_wide=where.is_wide)
        except NetworkError:
            if not where.places and not where.hints:
                raise
            widths = []
        reached = [self.asked(key, width) for width in widths]
        tried = {*where.places, *(reached[-1] if reached else ())}
        further = [address for address in where.hints if address not in tried]
        if not tried and further:
            return self._resolve(key, (), further)
        try:
            return self._in_steps(key, reached or [[]], where)
        except (NetworkError, VerificationError) as error:
            if not further or error.code in FINAL_ERRORS:
                raise
            return self._resolve(key, (), further)

    def _widths(self, *, is_wide: bool) -> list[int]:
        """Return how many relays are asked at first, and how many if those are not enough, ascending."""
        most = len(self.relays)
        if not is_wide:
            return sorted({min(ASKED, most), min(ASKED + STAND_INS, most)})
        steps = [WANTED_SOURCES]
        while steps[-1] < most:
            steps.append(2 * steps[-1])
        return [min(step, most) for step in steps]

    def _in_steps(self, key: bytes, reached: Sequence[Sequence[NodeAddress]], where: _Where) -> Resolution:
        """Ask more relays as long as the answer is not enough and there are more of them."""
        for number, relays in enumerate(reached, 1):
            is_last = number == len(reached)
            try:
                found = self._resolve(key, relays, where.places)
            except (NetworkError, VerificationError) as error:
                if is_last or error.code in FINAL_ERRORS:
                    raise
                continue
            if is_last or not where.is_wide or len(found.independent) >= WANTED_SOURCES:
                return found
        raise AssertionError("the last step returns or raises")

    def _found_at(self, key: bytes, found: Resolution | None, where: _Where) -> str | None:
        """Return a relay that has a newcomer's record, if nobody has it who is asked for a known contact."""
        if found is None or not where.is_wide:
            return None
        seq = found.record.packet.seq
        holders = [item.address for item in found.sources if item.seq == seq and item.outcome is Outcome.CURRENT]
        try:
            relays = self.asked(key)
        except NetworkError:
            return None  # found at a place of its own, where no relay can be asked
        always = {address.to_text() for address in (*relays, *where.places, *where.hints)}
        return holders[0] if holders and always.isdisjoint(holders) else None

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
