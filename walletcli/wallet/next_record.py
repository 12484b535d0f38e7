"""Makes an identity's next record: looks what relays have, drafts, and has it signed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from walletcli.client.resolution import Resolution
from walletcli.client.resolve import resolve
from walletcli.client.splits import SplitError
from walletcli.core.document import Document
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.errors import FormatError, NetworkError, SignerError, VaultError, VerificationError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.approvers.gathering import approvals_of, signed_of, waiting_document
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.splits.healing import raise_healing
from walletcli.wallet.splits.own import refuse_open_split
from walletcli.wallet.state.changes import Adopt
from walletcli.wallet.state.draft import needs_document, next_document, says_the_same
from walletcli.wallet.state.sections import context, shared_context
from walletcli.wallet.state.view import IdentityView
from walletcli.wallet.state.wallet_view import Snapshot

_T = TypeVar("_T")

WATCH_ONLY = "wallet.watch-only"
"""Code of the error for what a wallet without root keys cannot sign."""

_CAN_WAIT = frozenset({WATCH_ONLY, "approver.unattended", "approver.not-here"})
"""Why a record that says nothing new, but for a device that is renewed, is not signed now."""

MAX_ATTEMPTS = 20
"""How often a record is made again because another process changed the wallet meanwhile."""


def sign_and(
    then: Callable[[Record, bool], _T],
    session: Session,
    index: int,
    addresses: Sequence[NodeAddress],
    dialer: Dialer,
    *,
    on_top: bool = False,
    is_patient: bool = True,
    progress: Progress = silent,
) -> _T:
    """Sign what the wallet says now, if it is not signed already, and do something with it.

    Both are done again where relays turn out to have a newer record that another process of this wallet has made.

    Args:
        then: takes the record, and whether it had to be signed.
        session: the open wallet.
        index: of the identity.
        addresses: relays that are asked first what has been published, as before every signature.
        dialer: opens the connections.
        on_top: continue from a newer record of this identity that relays have.
        is_patient: whether keys of approvers are waited for, if somebody is there to plug them in.
        progress: takes a line per step.

    Returns:
        What `then` returns.

    Raises:
        As `publish_identity`, and what `then` raises.
    """
    for _ in range(MAX_ATTEMPTS):
        snapshot = session.snapshot()
        try:
            identity = snapshot.wallet.by_index(index)
            above_seq = _look_before_signing(session, snapshot, identity, addresses, dialer, on_top, progress)
            return then(*_signed(session, index, progress, above_seq, is_patient=is_patient))
        except VerificationError as error:
            if error.code != "publish.newer-exists" or not _has_moved_on(session, snapshot, index):
                raise
    raise _too_busy()


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

    def as_it_is(record: Record, new: bool) -> tuple[Record, bool]:
        return record, new

    return sign_and(as_it_is, session, index, addresses, dialer, on_top=on_top, progress=progress)


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


def _signed(
    session: Session, index: int, progress: Progress, above_seq: int | None, *, is_patient: bool
) -> tuple[Record, bool]:
    """Return the record to publish, and whether it had to be signed; with `above_seq` it always has to be."""
    for _ in range(MAX_ATTEMPTS):
        snapshot = session.snapshot()
        identity = snapshot.wallet.by_index(index)
        if identity.record is not None and above_seq is None and not needs_document(identity, time.time()):
            return Record.from_bytes(identity.record), False
        refuse_open_split(snapshot.wallet, index)
        progress(f"signing the record of {identity.label}")
        sections = _foreign_sections(session, identity)
        fresh = next_document(identity, sections, time.time(), os.urandom, above_seq)
        waiting = waiting_document(session, identity, above_seq)
        is_ours = waiting is not None and says_the_same(waiting, fresh) and _is_readable(session, identity, waiting)
        document = waiting if waiting is not None and is_ours else fresh
        try:
            return _approved_and_signed(session, identity, document, progress, is_patient=is_patient), True
        except VaultError as error:
            if error.code != "vault.changed":
                raise
        except SignerError as error:
            if error.code not in _CAN_WAIT or identity.record is None or identity.changed or above_seq is not None:
                raise
            return Record.from_bytes(identity.record), False  # renewing the device can wait for the next trip
    raise _too_busy()


def _approved_and_signed(
    session: Session, identity: IdentityView, document: Document, progress: Progress, *, is_patient: bool
) -> Record:
    """Have a document approved, which may take days, and signed.

    Raises:
        VaultError: ``vault.changed`` if the wallet says something else by then.
    """
    beside = None
    if not session.facts().watch:  # otherwise its root, wherever that is, says first whether it signs
        beside = approvals_of(session, identity, document, progress, is_patient=is_patient)
    snapshot = session.snapshot()
    if snapshot.wallet.by_index(identity.index) != identity:
        raise VaultError("vault.changed", "the wallet has changed since the document was made", "try again")
    record = Record.from_bytes(session.sign(identity.index, document.to_bytes(), snapshot.generation, beside))
    signed_of(session, identity.public_key, document.hash)
    return record


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


def _is_readable(session: Session, identity: IdentityView, document: Document) -> bool:
    """Tell whether the owner's section is there and opens: without it the words would bring back less."""
    return any(_opens(session, identity, section, context) for section in document.sections)


def _opens(session: Session, identity: IdentityView, section: bytes, own: Callable[[bytes], bytes]) -> bool:
    try:
        session.unseal(identity.index, section, own(identity.public_key))
    except (FormatError, VerificationError):  # nonsense is not the owner's
        return False
    return True


def _has_moved_on(session: Session, before: Snapshot, index: int) -> bool:
    """Tell whether the wallet has another record than it had: then the newer one at the relay may be its own."""
    return session.snapshot().wallet.by_index(index).record != before.wallet.by_index(index).record


def _too_busy() -> VaultError:
    return VaultError("vault.busy", "other processes keep changing the wallet", "try again")
