"""Where a provider can be reached: as the owner named it, and as its own record says.

Spec: docs/spec/providers.md, "Finding a provider".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from walletcli.client.freshness import Freshness
from walletcli.client.resolve import resolve
from walletcli.core.grant import Grant, evidence_record
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.errors import FormatError, InputError, VerificationError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer

MAX_ADDRESSES: Final = 8
"""How many addresses of one provider are tried, at most."""


def known_addresses(provider: bytes, named: str | None, records: Iterable[Record | None]) -> tuple[NodeAddress, ...]:
    """Return where a provider may be reached, in the order in which to try.

    Args:
        provider: its root key, 32 bytes.
        named: the address that the owner gave or that was used last; an address that names another node is left out.
        records: of the provider, as far as known; the newest one's addresses are taken.
    """
    found: dict[NodeAddress, None] = {}
    if named is not None:
        address = NodeAddress.from_text(named)
        if address.node is None or address.node.public_key == provider:
            found[address] = None
    usable = [record for record in records if record is not None and record.packet.public_key == provider]
    newest = max(usable, key=lambda record: record.packet.seq, default=None)
    document = newest.document if newest is not None else None
    for entry in document.addresses if document is not None else ():
        try:
            found[NodeAddress.from_record(entry, IdentityId(provider))] = None
        except InputError:
            continue
    return tuple(found)[:MAX_ADDRESSES]


def evidence_of(grant: Grant) -> Record | None:
    """Return the provider's record that a grant carries, or None if that does not verify."""
    try:
        record = evidence_record(grant.evidence)
    except (FormatError, VerificationError):
        return None
    return record if record.packet.public_key == grant.provider else None


def look_up_provider(
    provider: bytes, relays: Iterable[NodeAddress], dialer: Dialer, memory: Freshness, for_identity: str
) -> Record | None:
    """Ask relays for a provider's newest record, for it may have moved; None if nothing usable was found.

    Args:
        provider: its root key, 32 bytes.
        relays: whom to ask.
        dialer: opens the connections.
        memory: what is remembered; brought up to date.
        for_identity: did:key of the identity on whose behalf is asked.
    """
    asked = list(relays)
    if not asked:
        return None
    try:
        return resolve(IdentityId(provider), asked, dialer=dialer, memory=memory, for_identity=for_identity).record
    except WalletError:
        return None
