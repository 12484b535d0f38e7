"""Grants of an identity: asked for, found among those it has, and put into its next document.

Spec: docs/spec/providers.md, "Binding".
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from walletcli.client.host import HostClient
from walletcli.core.bindings import Binding, binding_of
from walletcli.core.grant import VerifiedGrant
from walletcli.core.record import Record
from walletcli.core.secret import Secret
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Progress
from walletcli.wallet.next_record import sign_next
from walletcli.wallet.providers.book import ProviderEntry, Role, change_book
from walletcli.wallet.providers.links import decided_grants, read_grant
from walletcli.wallet.providers.places import Access
from walletcli.wallet.publish import store_record
from walletcli.wallet.state.draft import last_document, today
from walletcli.wallet.state.view import IdentityView


def request_grant(
    access: Access,
    client: HostClient,
    address: NodeAddress,
    relays: Sequence[NodeAddress],
    quota_bytes: int | None,
    invitation: Secret | None,
    progress: Progress,
) -> VerifiedGrant:
    """Bring an identity's record to a provider, which checks who is asking by it, and ask for a grant.

    Args:
        access: to the identity.
        client: of the provider.
        address: where it is.
        relays: that are looked at before anything is signed.
        quota_bytes: room that is wanted; None: all that is offered.
        invitation: token of a closed provider, or None.
        progress: takes a line per step.

    Raises:
        NetworkError: ``host.*``, and what storing the record ends in.
        VerificationError: ``host.*``, ``publish.newer-exists``.
    """
    session, index = access.session, access.identity.index
    carry_record(session, index, address, relays, access.dialer, progress)
    identity = session.snapshot().wallet.by_index(index)
    progress(f"asking {address.to_text()} for a grant")
    token = invitation.reveal().decode("utf-8", "replace") if invitation is not None else None
    known = [grant.nonce for data in decided_grants(identity) if (grant := read_grant(data)) is not None]
    return client.request_grant(
        access.sign, today=today(time.time()), quota_bytes=quota_bytes, invitation=token, nonces=known
    )


def carry_record(
    session: Session,
    index: int,
    address: NodeAddress,
    relays: Sequence[NodeAddress],
    dialer: Dialer,
    progress: Progress,
) -> Record:
    """Have a provider store the identity's record, with this device in it; a new one is signed only if that is missing.

    Raises:
        NetworkError, ShortPublishError, VerificationError, SignerError: as `publish_identity`.
    """
    identity = session.snapshot().wallet.by_index(index)
    if identity.record is not None and _names_device(identity):
        record = Record.from_bytes(identity.record)
    else:
        record, _ = sign_next(session, index, [*relays, address], dialer, progress=progress)
    store_record(session, index, record, [address], dialer, progress=progress)
    return record


def _names_device(identity: IdentityView) -> bool:
    document, day = last_document(identity), today(time.time())
    return document is not None and any(
        item.signing_key == identity.device_signing_key and item.holds_on(day) for item in document.delegations
    )


def held_binding(identity: IdentityView, provider: bytes) -> Binding | None:
    """Return a grant of a provider that holds and stands in the next document of the identity, or None."""
    for data in decided_grants(identity):
        grant = read_grant(data)
        if grant is not None and grant.provider == provider:
            binding = binding_of(data, identity.public_key, today(time.time()))
            if binding.is_valid:
                return binding
    return None


def with_grants(
    identity: IdentityView, grants: Sequence[tuple[bytes, Role]], without: Sequence[bytes] = ()
) -> tuple[bytes, ...]:
    """Return the grants of an identity's next document.

    Args:
        identity: as it is.
        grants: to be added; each takes the place of others of its provider. That of a main provider comes first.
        without: root keys of providers whose grants go.
    """
    gone = {*without, *(grant.provider for data, _ in grants if (grant := read_grant(data)) is not None)}
    kept = [
        data for data in decided_grants(identity) if (grant := read_grant(data)) is None or grant.provider not in gone
    ]
    first = [data for data, role in grants if role is Role.MAIN]
    return (*first, *kept, *(data for data, role in grants if role is not Role.MAIN))


def remember_provider(session: Session, index: int, entry: ProviderEntry) -> None:
    """Remember where a provider is; of one that is known only what is new is written."""
    change_book(session, index, lambda book: book if book.get(entry.provider) == entry else book.with_entry(entry))
