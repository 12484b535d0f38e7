"""Publishes an identity: signs its next record if there is something new, and stores it on relays."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from walletcli.client import publish as client
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.errors import InputError, ShortPublishError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.linkability import Link, accepted_keys, find_links
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.next_record import sign_and
from walletcli.wallet.providers.book import ProviderBook, read_book
from walletcli.wallet.providers.links import bound_entries
from walletcli.wallet.relays import chosen_relays, list_relays
from walletcli.wallet.route import dialer_for
from walletcli.wallet.splits.healing import decide_to_heal, go_on_from
from walletcli.wallet.state.changes import MarkStored, PlanPublish
from walletcli.wallet.state.draft import today
from walletcli.wallet.state.lookup import find
from walletcli.wallet.state.view import IdentityView


@dataclass(frozen=True, slots=True)
class Published:
    """A record that relays hold.

    Attributes:
        record: what is published.
        stored: where it is, and where not.
        new: whether something was signed for it; otherwise the same packet was stored again.
        shortfall: what is missing where fewer relays hold it than asked, or None.
        not_told: addresses of providers of the identity that were not among the relays asked for: they go by the
            record before until they get this one.
    """

    record: Record
    stored: client.Stored
    new: bool
    shortfall: ShortPublishError | None = None
    not_told: tuple[str, ...] = ()

    @property
    def did(self) -> str:
        """The identity, as did:key."""
        return IdentityId(self.record.packet.public_key).did

    @property
    def seq(self) -> int:
        """`seq` of the record."""
        return self.record.packet.seq

    @property
    def relays(self) -> tuple[str, ...]:
        """Relays that hold it, as they said when asked again."""
        return self.stored.relays

    @property
    def failed(self) -> tuple[client.Failure, ...]:
        """Relays that do not, and why."""
        return self.stored.failed

    def to_json(self) -> dict[str, object]:
        """Return did, seq, hash, whether it is new, where it is stored, and which providers were left out."""
        document_hash = self.record.packet.document_hash
        return {
            "did": self.did,
            "seq": self.seq,
            "document_hash": document_hash.hex() if document_hash is not None else None,
            "new": self.new,
            "stored": self.stored.to_json(),
            "not_told": list(self.not_told),
        }


def publish_identity(
    session: Session,
    who: str,
    relays: Sequence[str] = (),
    accept_link: bool = False,
    copies: int | None = None,
    *,
    on_top: bool = False,
    is_patient: bool = True,
    heal: Sequence[str] = (),
    side: str | None = None,
    partly: bool = False,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
) -> Published:
    """Bring an identity's record to relays.

    Something is signed only if the wallet says something new or this device's delegation ends soon; otherwise the same
    packet is stored again. The new record is in the vault before any relay sees it.

    Args:
        session: the open wallet.
        who: label or id.
        relays: where to; none: the wallet's list, and the providers that the identity is bound to.
        accept_link: go ahead where this ties identities together; remembered for this identity.
        copies: how many relays must hold it; None: all.
        on_top: if relays have a newer record of this identity than the wallet, continue from that one. (After a restore
            that is always done.)
        is_patient: whether keys of approvers are waited for, if somebody is there to plug them in.
        heal: paths of proof files of splits that the record is to heal.
        side: in a restored wallet, the side of them from which to go on: the first digits of its content hash.
        partly: return what some relays hold, with its `shortfall`, where others do not, instead of raising that.
        offline: open no connection.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.

    Raises:
        InputError: ``identity.unknown``, ``link.would-link``, ``publish.copies``, ``seq.exhausted``,
            ``migration.under-way``.
        NetworkError: ``relay.none``, ``network.offline``, and what relays end in.
        ShortPublishError: ``publish.short``; what was stored is remembered all the same.
        VerificationError: ``publish.newer-exists``, ``publish.not-approved`` for a record that its approvers
            have not approved, ``record.equivocation``, ``publish.split`` for an identity that is
            split and would stay so; ``heal.identity`` and what a proof file ends in.
        SignerError: ``request.*``; ``wallet.watch-only`` if the wallet says something new and its root is elsewhere.
        VaultError: ``vault.*``, ``agent.*``.
    """
    addresses = publish_addresses(session, who, relays)
    if side is not None:
        go_on_from(session, who, heal, side)
    decide_to_heal(session, heal, who)
    route = dialer if dialer is not None else dialer_for(offline)
    index = plan_publish(session, who, addresses, accept_link)
    refuse_during_migration(session.snapshot().wallet.by_index(index), read_book(session, index))

    def stored(record: Record, new: bool) -> Published:
        not_told = _left_out(session, index, addresses) if new else ()
        try:
            where = store_record(session, index, record, addresses, route, copies=copies, progress=progress)
        except client.PublishedShortError as error:
            if not partly or not error.stored.copies:
                raise
            return Published(record, error.stored, new, error, not_told)
        return Published(record, where, new, not_told=not_told)

    return sign_and(stored, session, index, addresses, route, on_top=on_top, is_patient=is_patient, progress=progress)


def publish_addresses(session: Session, who: str, relays: Sequence[str] = ()) -> list[NodeAddress]:
    """Return where a record goes: to the relays that are named, or to the wallet's list and the identity's providers.

    A provider goes by the record that is stored there, so it gets each new one.

    Raises:
        InputError: ``identity.unknown``, ``address.malformed``.
        NetworkError: ``relay.none`` if there is neither a relay nor a provider.
    """
    if relays:
        return chosen_relays(session.home, relays)
    identity = find(session.snapshot().wallet, who)
    providers = [entry.address for entry in bound_entries(identity, read_book(session, identity.index))]
    return chosen_relays(None, [*list_relays(session.home), *providers])


def _left_out(session: Session, index: int, addresses: Sequence[NodeAddress]) -> tuple[str, ...]:
    """Return the addresses of providers that are not among those that a record goes to."""
    identity = session.snapshot().wallet.by_index(index)
    named = {address.to_text() for address in addresses}
    entries = bound_entries(identity, read_book(session, index))
    return tuple(entry.address for entry in entries if entry.address not in named)


def refuse_during_migration(identity: IdentityView, book: ProviderBook) -> None:
    """Keep a document from relays whose provider does not have the data yet.

    Raises:
        InputError: ``migration.under-way``.
    """
    if book.journal is not None:
        raise InputError(
            "migration.under-way",
            f"a migration of {identity.label!r} to another provider is under way",
            f"go on with: walletcli provider migrate {identity.label_word}; or give it up with --abort",
        )


def command_after(session: Session, label: str) -> str:
    """Return the command that takes a record on which somebody else has signed, such as the root on another machine."""
    identity = find(session.snapshot().wallet, label)
    verb = "publish" if read_book(session, identity.index).journal is None else "provider migrate"
    return f"walletcli {verb} {identity.label_word}"


def store_record(
    session: Session,
    index: int,
    record: Record,
    addresses: Sequence[NodeAddress],
    dialer: Dialer,
    *,
    copies: int | None = None,
    progress: Progress = silent,
) -> client.Stored:
    """Store a signed record of this wallet's, and remember where it is.

    Raises:
        ShortPublishError: ``publish.short``; what was stored is remembered all the same.
        NetworkError, VerificationError: as `publish_identity`.
    """
    progress(f"storing the record on {len(addresses)} relay(s)")
    memory = WalletMemory(session.snapshot().wallet)
    try:
        with memory.keeping_splits(session):
            stored = client.publish(record, addresses, dialer=dialer, copies=copies, memory=memory)
    except client.PublishedShortError as error:
        _mark(session, index, record, error.stored)
        raise
    _mark(session, index, record, stored)
    memory.save(session)
    return stored


def plan_publish(
    session: Session, who: str, addresses: Sequence[NodeAddress], accept_link: bool, more: Sequence[Link] = ()
) -> int:
    """Check what would link, and remember who will learn of the identity before anybody does; return its index.

    Args:
        session: the open wallet.
        who: label or id.
        addresses: relays and providers that are about to hear of the identity.
        accept_link: go ahead where that ties identities together.
        more: what else would, in the eyes of the caller.

    Raises:
        InputError: ``identity.unknown``, ``link.would-link``.
    """
    wallet = session.snapshot().wallet
    identity = find(wallet, who)
    links = [*find_links(wallet, identity, addresses), *more]
    accepted = accepted_keys([link for link in links if link.key not in identity.accepted_links], accept=accept_link)
    names = tuple(address.to_text() for address in addresses)
    if accepted or not set(names) <= set(identity.contacted):
        session.apply(PlanPublish(identity.index, names, accepted))
    return identity.index


def _mark(session: Session, index: int, record: Record, stored: client.Stored) -> None:
    relays = (*stored.relays, *stored.packet_only)
    if relays:
        session.apply(MarkStored(index, record.packet.seq, relays, today(time.time())))
