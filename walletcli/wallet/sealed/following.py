"""Keeps an identity's record in step: follows what another device of the owner has published, renews, stores it again.

Spec: docs/spec/sealed-data.md, "Synchronization"; docs/spec/wallet-state.md, "A newer record".
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from walletcli.client.resolution import Outcome, Resolution
from walletcli.client.resolve import resolve
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.errors import NetworkError, VerificationError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.home import Progress
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.providers.links import decided_grants, read_grant
from walletcli.wallet.providers.places import bound_places, current_bindings
from walletcli.wallet.providers.renewal import Renewal, ends_soon, renew_grants
from walletcli.wallet.publish import publish_identity, store_record
from walletcli.wallet.splits.own import refuse_open_split
from walletcli.wallet.state.changes import Adopt, MarkStored
from walletcli.wallet.state.draft import RENEW_DAYS, last_document, today

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session
    from walletcli.wallet.state.view import IdentityView


@dataclass(frozen=True, slots=True)
class Followed:
    """What relays and providers had of the identity.

    Attributes:
        seq: of a newer record that is now the wallet's, or None.
        is_confirmed: whether one of them had the record that the wallet has now.
    """

    seq: int | None
    is_confirmed: bool


def follow_newest(
    session: Session, identity: IdentityView, addresses: Sequence[NodeAddress], dialer: Dialer
) -> Followed:
    """Look up what has been published of an identity, and continue from it if another device of the owner did.

    Args:
        session: the open wallet.
        identity: one of its identities, with a record.
        addresses: whom to ask.
        dialer: opens the connections, for this identity.

    Raises:
        VerificationError: ``publish.split`` if it is split, ``device.left-out`` if the newest record does not name this
            device, ``publish.newer-exists`` if it has other bindings than the ones decided here, ``record.*``.
        NetworkError: ``resolve.unreachable``, ``network.offline``.
    """
    key = IdentityId(identity.public_key)
    memory = WalletMemory(session.snapshot().wallet)
    try:
        with memory.keeping_splits(session):
            found = resolve(key, addresses, dialer=dialer, memory=memory, for_identity=key.did)
    except NetworkError as error:
        if error.code != "resolve.not-found":
            raise
        return Followed(None, is_confirmed=False)
    except VerificationError as error:
        if error.code != "record.stale":
            raise
        return Followed(None, is_confirmed=False)  # they have less than the wallet: storing it again will help
    own = Record.from_bytes(identity.record) if identity.record is not None else None
    if found.open_splits:
        refuse_open_split(session.snapshot().wallet, identity.index)
    if own is None or found.record.packet.seq <= own.packet.seq:
        return Followed(None, is_confirmed=any(item.outcome is Outcome.CURRENT for item in found.sources))
    _check_followed(identity, own, found.record)
    session.apply(Adopt(identity.index, found.record.to_bytes()))
    holders = _holders(found)
    session.apply(MarkStored(identity.index, found.record.packet.seq, holders, today(time.time())))
    return Followed(found.record.packet.seq, is_confirmed=True)


def _holders(found: Resolution) -> tuple[str, ...]:
    return tuple(item.address for item in found.sources if item.outcome is Outcome.CURRENT)


def _check_followed(identity: IdentityView, own: Record, newer: Record) -> None:
    """Check that following a record takes nothing away that was decided here, and leaves this device its say."""
    document, before = newer.document, own.document
    if document is None or document.retirement is not None:
        return
    if identity.device_signing_key not in {item.signing_key for item in document.delegations}:
        raise VerificationError(
            "device.left-out",
            f"the newest record of {identity.label!r} leaves this device out",
            "if you have revoked it, wipe the wallet here; else see who has your words, and publish with --on-top",
        )
    last = before.bindings if before is not None else ()
    if identity.bindings is not None and document.bindings not in (last, identity.bindings):
        raise VerificationError(
            "publish.newer-exists",
            f"another device has published other bindings of {identity.label!r} than the ones decided here",
            "look at them with `provider status`, then continue from that record with `publish --on-top`",
        )


def renew_if_due(session: Session, identity: IdentityView, dialer: Dialer, progress: Progress) -> list[Renewal]:
    """Ask for new grants in place of those that end soon and are not decided to be replaced; nobody is asked otherwise.

    Returns:
        What became of each; what is new is in the next document.

    Raises:
        FormatError: ``provider-book.*``.
    """
    if not _ending(identity) - _replaced(identity):
        return []
    with bound_places(session, identity, dialer) as places:
        return renew_grants(session, identity, places, dialer, progress=progress)


def _ending(identity: IdentityView) -> set[bytes]:
    """Return the providers whose grants in the last document end soon."""
    day = today(time.time())
    return {
        item.grant.provider for item in current_bindings(identity) if item.grant is not None and ends_soon(item, day)
    }


def _replaced(identity: IdentityView) -> set[bytes]:
    """Return the providers of which another grant is decided than the last document has."""
    document = last_document(identity)
    published = document.bindings if document is not None else ()
    found = {read_grant(data) for data in decided_grants(identity) if data not in published}
    return {grant.provider for grant in found if grant is not None}


def publish_due(
    session: Session,
    identity: IdentityView,
    addresses: Sequence[NodeAddress],
    dialer: Dialer,
    progress: Progress,
) -> str | None:
    """Sign a new record if this device is to be renewed or a grant was; else store the last one again if that is due.

    What the owner has changed and not published goes along with a new record, and is no reason for one.

    Returns:
        ``signed``, ``stored`` or None if nothing was due.

    Raises:
        As `publish_identity`.
    """
    if identity.record is None or identity.unseen:
        return None
    if _ends_soon(identity) or _ending(identity) & _replaced(identity):
        names = [address.to_text() for address in addresses]
        published = publish_identity(
            session, IdentityId(identity.public_key).did, names, is_patient=False, dialer=dialer, progress=progress
        )
        return "signed" if published.new else "stored"
    stored = identity.stored
    missing = stored is None or not {address.to_text() for address in addresses} <= set(stored.relays)
    if not missing and stored is not None and stored.day >= today(time.time()):
        return None
    store_record(session, identity.index, Record.from_bytes(identity.record), addresses, dialer, progress=progress)
    return "stored"


def _ends_soon(identity: IdentityView) -> bool:
    """Tell whether this device's say ends soon, or has not begun."""
    document = last_document(identity)
    if document is None or document.retirement is not None or identity.retired is not None:
        return False
    own = next((item for item in document.delegations if item.signing_key == identity.device_signing_key), None)
    return own is None or own.not_after_day - today(time.time()) < RENEW_DAYS
