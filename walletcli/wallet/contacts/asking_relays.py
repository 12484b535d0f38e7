"""Looks many contacts up, each at its own few relays, and at further ones where those are not enough.

Spec: docs/spec/contact-book.md, "Looking a contact up".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from walletcli.client.resolution import Outcome
from walletcli.client.scan import Scanned
from walletcli.client.spread import look_up_each
from walletcli.core.identity_id import IdentityId
from walletcli.errors import NetworkError
from walletcli.net.addresses import NodeAddress
from walletcli.wallet.contacts.contact import Contact
from walletcli.wallet.contacts.evidence import FINAL_ERRORS, Inquiry
from walletcli.wallet.contacts.lookup import identified
from walletcli.wallet.contacts.placing import ASKED, STAND_INS
from walletcli.wallet.contacts.sightings import known_places
from walletcli.wallet.home import Progress


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What came of it.

    Attributes:
        found: one result for each contact, in their order.
        relays: among how many relays they are spread.
        stood_in: for how many of them further relays were asked.
    """

    found: Sequence[Scanned]
    relays: int
    stood_in: int


def look_contacts_up(inquiry: Inquiry, contacts: Sequence[Contact], progress: Progress) -> LookedUp:
    """Ask for each contact at its relays, its places and the DHT where it is in the list, and verify what comes.

    Args:
        inquiry: on behalf of the identity whose contacts they are.
        contacts: with an identity each, no two alike.
        progress: takes a line per step.

    Raises:
        NetworkError: ``contact.only-provider``, ``relay.none`` if there is nobody to ask for any of them.
    """
    refused: NetworkError | None = None
    orders: dict[IdentityId, list[NodeAddress]] = {}
    try:
        relays = len(inquiry.relays)
    except NetworkError as error:
        refused, relays = error, 0
    wanted: dict[IdentityId, list[NodeAddress]] = {}
    for contact in contacts:
        key = identified(contact)
        orders[IdentityId(key)] = inquiry.order(key) if refused is None else []
        asked = inquiry.asked(key) if refused is None else []
        wanted[IdentityId(key)] = [*asked, *inquiry.places(known_places(contact))]
    if not any(wanted.values()):
        raise refused or NetworkError(
            "relay.none", "no relay is known", "add one with: walletcli relay add ADDRESS, or name it with --relay"
        )
    found = {item.identity: item for item in _asked(inquiry, wanted, progress)}
    further = {identity: _stand_ins(found[identity], order) for identity, order in orders.items()}
    lacking = {identity: more for identity, more in further.items() if more}
    if lacking:
        progress(f"asking further relays for {len(lacking)} contact(s), whose own ones were not enough")
        for item in _asked(inquiry, lacking, progress):
            found[item.identity] = _joined(found[item.identity], item)
    return LookedUp(list(found.values()), relays, len(lacking))


def _asked(inquiry: Inquiry, wanted: dict[IdentityId, list[NodeAddress]], progress: Progress) -> list[Scanned]:
    return look_up_each(
        wanted,
        dialer=inquiry.dialer,
        memory=inquiry.memory,
        for_identity=inquiry.did,
        progress=lambda done, total: progress(f"looking contacts up, {done} of {total} answers"),
    )


def _stand_ins(found: Scanned, order: Sequence[NodeAddress]) -> list[NodeAddress]:
    """Return which further relays are asked: one for each that failed, and all if nothing usable was found.

    They are the next in the contact's order, so that no more than these ever learn of it, however often others fail.
    """
    further = list(order[ASKED : ASKED + STAND_INS])
    if found.error is not None:
        return [] if found.error.code in FINAL_ERRORS else further
    first = {address.to_text() for address in order[:ASKED]}
    failed = sum(item.outcome is Outcome.FAILED for item in found.sources if item.address in first)
    return further[:failed]


def _joined(first: Scanned, second: Scanned) -> Scanned:
    """Return what two rounds found: the second one knew what the first had remembered."""
    best = second if second.resolution is not None or first.resolution is None else first
    sources = (*first.sources, *second.sources)
    resolution = replace(best.resolution, sources=sources) if best.resolution is not None else None
    return replace(best, resolution=resolution, sources=sources)
