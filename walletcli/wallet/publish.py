"""Publishes an identity: signs its next record if there is something new, and stores it on relays."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from walletcli.client import publish as client
from walletcli.client.resolution import Resolution
from walletcli.client.resolve import resolve
from walletcli.client.splits import SplitError
from walletcli.core.document import Document
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.errors import FormatError, InputError, NetworkError, SignerError, VaultError, VerificationError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.approvers.asking import approvals_of
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.linkability import Link, accepted_keys, find_links
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.providers.book import ProviderBook, read_book
from walletcli.wallet.providers.links import bound_entries
from walletcli.wallet.relays import chosen_relays, list_relays
from walletcli.wallet.route import dialer_for
from walletcli.wallet.splits.healing import decide_to_heal, go_on_from, raise_healing
from walletcli.wallet.splits.own import refuse_open_split
from walletcli.wallet.state.changes import Adopt, MarkStored, PlanPublish
from walletcli.wallet.state.draft import needs_document, next_document, today
from walletcli.wallet.state.lookup import find
from walletcli.wallet.state.sections import context, shared_context
from walletcli.wallet.state.view import IdentityView
from walletcli.wallet.state.wallet_view import Snapshot

WATCH_ONLY = "wallet.watch-only"
"""Code of the error for what a wallet without root keys cannot sign."""

_CAN_WAIT = frozenset({WATCH_ONLY, "approver.unattended", "approver.not-here"})
"""Why a record that says nothing new, but for a device that is renewed, is not signed now."""

MAX_ATTEMPTS = 20
"""How often a record is made again because another process changed the wallet meanwhile."""


@dataclass(frozen=True, slots=True)
class Published:
    """A record that relays hold.

    Attributes:
        record: what is published.
        stored: where it is, and where not.
        new: whether something was signed for it; otherwise the same packet was stored again.
    """

    record: Record
    stored: client.Stored
    new: bool

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
        """Return did, seq, hash, whether it is new, and where it is stored."""
        document_hash = self.record.packet.document_hash
        return {
            "did": self.did,
            "seq": self.seq,
            "document_hash": document_hash.hex() if document_hash is not None else None,
            "new": self.new,
            "stored": self.stored.to_json(),
        }


def publish_identity(
    session: Session,
    who: str,
    relays: Sequence[str] = (),
    accept_link: bool = False,
    copies: int | None = None,
    *,
    on_top: bool = False,
    heal: Sequence[str] = (),
    side: str | None = None,
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
        heal: paths of proof files of splits that the record is to heal.
        side: in a restored wallet, the side of them from which to go on: the first digits of its content hash.
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
    for _ in range(MAX_ATTEMPTS):
        snapshot = session.snapshot()
        try:
            identity = snapshot.wallet.by_index(index)
            above_seq = _look_before_signing(session, snapshot, identity, addresses, route, on_top, progress)
            return _publish_once(session, index, addresses, route, copies, progress, above_seq)
        except VerificationError as error:
            if error.code != "publish.newer-exists" or not _has_moved_on(session, snapshot, index):
                raise
    raise _too_busy()


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


def sign_next(
    session: Session,
    index: int,
    addresses: Sequence[NodeAddress],
    dialer: Dialer,
    *,
    on_top: bool = False,
    progress: Progress = silent,
) -> tuple[Record, bool]:
    """Sign what the wallet says now, if it is not signed already, and store it nowhere but in the vault.

    Args:
        session: the open wallet.
        index: of the identity.
        addresses: relays that are asked first what has been published, as before every signature.
        dialer: opens the connections.
        on_top: continue from a newer record of this identity that relays have.
        progress: takes a line per step.

    Returns:
        The record, and whether it had to be signed.

    Raises:
        As `publish_identity`.
    """
    for _ in range(MAX_ATTEMPTS):
        snapshot = session.snapshot()
        try:
            identity = snapshot.wallet.by_index(index)
            above_seq = _look_before_signing(session, snapshot, identity, addresses, dialer, on_top, progress)
            return _signed(session, index, progress, above_seq)
        except VerificationError as error:
            if error.code != "publish.newer-exists" or not _has_moved_on(session, snapshot, index):
                raise
    raise _too_busy()


def draft_next(
    session: Session,
    index: int,
    addresses: Sequence[NodeAddress],
    dialer: Dialer,
    *,
    on_top: bool = False,
    progress: Progress = silent,
) -> tuple[IdentityView, Document]:
    """Draft what a publish would sign, for a root that is elsewhere.

    Args:
        session: the open wallet.
        index: of the identity.
        addresses: relays that are asked first what has been published; none: nobody is.
        dialer: opens the connections.
        on_top: continue from a newer record of this identity that relays have.
        progress: takes a line per step.

    Returns:
        The identity as it was when the document was made, and the document.

    Raises:
        As `publish_identity`.
    """
    above_seq = None
    if addresses:
        snapshot = session.snapshot()
        identity = snapshot.wallet.by_index(index)
        above_seq = _look_before_signing(session, snapshot, identity, addresses, dialer, on_top, progress)
    wallet = session.snapshot().wallet
    refuse_open_split(wallet, index)
    identity = wallet.by_index(index)
    sections = _foreign_sections(session, identity)
    return identity, next_document(identity, sections, time.time(), os.urandom, above_seq)


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


def _publish_once(
    session: Session,
    index: int,
    addresses: Sequence[NodeAddress],
    dialer: Dialer,
    copies: int | None,
    progress: Progress,
    above_seq: int | None,
) -> Published:
    record, new = _signed(session, index, progress, above_seq)
    stored = store_record(session, index, record, addresses, dialer, copies=copies, progress=progress)
    return Published(record, stored, new)


def _has_moved_on(session: Session, before: Snapshot, index: int) -> bool:
    """Tell whether the wallet has another record than it had: then the newer one at the relay may be its own."""
    return session.snapshot().wallet.by_index(index).record != before.wallet.by_index(index).record


def _too_busy() -> VaultError:
    return VaultError("vault.busy", "other processes keep changing the wallet", "try again")


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


def _look_before_signing(
    session: Session,
    snapshot: Snapshot,
    identity: IdentityView,
    addresses: Sequence[NodeAddress],
    dialer: Dialer,
    on_top: bool,
    progress: Progress,
) -> int | None:
    """See whether another device of the owner has published something newer, which a new record would silently undo.

    `seq` alone does not tell: a record made from an older state may well get a higher one. What is only stored again is
    not looked up first.

    Returns:
        The `seq` that the next record has to be above, to win over one that the approvers have not approved; or None.
    """
    if not (identity.unseen or on_top or needs_document(identity, time.time())):
        return None
    progress(f"looking up what has been published of {identity.label}")
    found = _newest_found(session, snapshot, identity, addresses, dialer)
    known = Record.from_bytes(identity.record).packet.seq if identity.record is not None else -1
    if found is not None and found.pending is not None and found.pending.seq > known:
        if found.refused is not None and on_top:
            return found.pending.seq
        if found.refused is not None:
            raise VerificationError(
                "publish.not-approved",
                f"relays have a record of this identity that its approvers have not approved (seq {found.pending.seq})",
                "if you did not make it, somebody has the root key: publish over it with --on-top, which takes a touch",
            )
        raise VerificationError(
            "record.pending",
            "there is a newer packet of this identity, whose document cannot be had",
            "try again later, or with other relays",
        )
    if found is not None:
        raise_healing(session, identity.index, found)
    if found is None or found.record.packet.seq <= known:
        if identity.unseen and found is None:
            session.apply(Adopt(identity.index, None))
        return None
    if not (identity.unseen or on_top):
        raise VerificationError(
            "publish.newer-exists",
            f"relays have a record of this identity that this wallet did not make (seq {found.record.packet.seq})",
            "if another device of yours made it, continue from it with --on-top; else somebody has its root key",
        )
    session.apply(Adopt(identity.index, found.record.to_bytes()))
    return None


def _newest_found(
    session: Session, snapshot: Snapshot, identity: IdentityView, addresses: Sequence[NodeAddress], dialer: Dialer
) -> Resolution | None:
    """Return what relays have of an identity; None if it is nothing, or nothing as new as what the wallet has.

    A relay that cannot be reached is no obstacle (publishing will report it), but after a restore silence does not
    count as having nothing.
    """
    try:
        who = IdentityId(identity.public_key)
        memory = WalletMemory(snapshot.wallet)
        with memory.keeping_splits(session):
            return resolve(who, addresses, dialer=dialer, memory=memory, for_identity=who.did)
    except NetworkError as error:
        if identity.unseen and error.code != "resolve.not-found":
            raise
    except SplitError as error:
        raise VerificationError(
            "publish.split",
            f"{identity.label!r} is split, and this wallet has no state of it from before: {error.message}",
            f"choose from which one to go on: walletcli record prove {identity.label_word} --out FILE; then "
            f"walletcli publish {identity.label_word} --heal FILE --side HASH",
        ) from error
    except VerificationError as error:
        if error.code != "record.stale":
            raise
    return None


def _signed(session: Session, index: int, progress: Progress, above_seq: int | None) -> tuple[Record, bool]:
    """Return the record to publish, and whether it had to be signed; with `above_seq` it always has to be."""
    for _ in range(MAX_ATTEMPTS):
        snapshot = session.snapshot()
        identity = snapshot.wallet.by_index(index)
        if identity.record is not None and above_seq is None and not needs_document(identity, time.time()):
            return Record.from_bytes(identity.record), False
        refuse_open_split(snapshot.wallet, index)
        progress(f"signing the record of {identity.label}")
        sections = _foreign_sections(session, identity)
        document = next_document(identity, sections, time.time(), os.urandom, above_seq)
        try:
            beside = approvals_of(session.home, identity, document, progress)
            return Record.from_bytes(session.sign(index, document.to_bytes(), snapshot.generation, beside)), True
        except VaultError as error:
            if error.code != "vault.changed":
                raise
        except SignerError as error:
            if error.code not in _CAN_WAIT or identity.record is None or identity.changed or above_seq is not None:
                raise
            return Record.from_bytes(identity.record), False  # renewing the device can wait for the next trip
    raise _too_busy()


def _foreign_sections(session: Session, identity: IdentityView) -> tuple[bytes, ...]:
    """Return the sealed sections of the last document that are neither the owner's nor shared by the owner."""
    if identity.record is None:
        return ()
    document = Record.from_bytes(identity.record).document
    foreign = []
    for section in document.sections if document is not None else ():
        if not any(_opens(session, identity, section, own) for own in (context, shared_context)):
            foreign.append(section)
    return tuple(foreign)


def _opens(session: Session, identity: IdentityView, section: bytes, own: Callable[[bytes], bytes]) -> bool:
    try:
        session.unseal(identity.index, section, own(identity.public_key))
    except (FormatError, VerificationError):  # nonsense is not the owner's
        return False
    return True


def _mark(session: Session, index: int, record: Record, stored: client.Stored) -> None:
    relays = (*stored.relays, *stored.packet_only)
    if relays:
        session.apply(MarkStored(index, record.packet.seq, relays, today(time.time())))
