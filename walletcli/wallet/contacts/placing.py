"""Which relays learn of which contact: each contact has its own few, always the same, in an order that nobody can tell.

Looking contacts up and keeping their records alive go by this one order.

Spec: docs/spec/keepalive.md, "Which relay"; docs/spec/contact-book.md, "Looking a contact up".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Final

from walletcli.client.independence import independent
from walletcli.net.addresses import NodeAddress, Scheme
from walletcli.wallet.contacts.own_providers import OwnProviders
from walletcli.wallet.state.view import IdentityView

MIN_RELAYS: Final = 3
"""Fewest relays among which contacts are spread: with fewer, one of them learns of half of the contacts or of all."""

ASKED: Final = 2
"""How many relays are asked for a contact that is known: one alone could hold back what is newer, for ever."""

STAND_INS: Final = 2
"""How many more are asked at most where those fail, or have nothing that can be used."""

_LABEL: Final = b"walletcli keepalive 1"


def placing_key(identity: IdentityView) -> bytes:
    """Return the key (32 bytes) of an identity's placing.

    It follows from the public half of the recovery recipient, which the owner's devices know and nobody else: they
    place alike, before and after a restore, and no relay can tell what is placed elsewhere.
    """
    return hashlib.sha256(_LABEL + identity.recovery_key).digest()


def ranked(key: bytes, contact: bytes, relays: Iterable[NodeAddress]) -> list[NodeAddress]:
    """Return relays in the order in which they are used for a contact.

    The relays are ranked for each contact anew, by a keyed hash. One that goes leaves only its own contacts to others,
    and one that comes takes its share from all of them.

    Args:
        key: of the placing, 32 bytes.
        contact: root key, 32 bytes.
        relays: no two alike.
    """
    return sorted(
        relays, key=lambda relay: hmac.digest(key, contact + relay.to_text().encode("utf-8"), "sha256"), reverse=True
    )


def spread_over(relays: Sequence[NodeAddress], own: OwnProviders) -> list[NodeAddress]:
    """Return among which of these relays contacts are spread: independent ones, and no providers of the identity's own.

    The DHT is none: it keeps no documents, and no two keys are looked for at the same of its nodes.

    Args:
        relays: as they were chosen.
        own: the identity's providers.
    """
    listed = [item for item in relays if item.scheme is not Scheme.DHT]
    usable = own.without(listed)
    theirs = [item.to_text() for item in listed if item not in usable]
    one_each = set(
        independent([*theirs, *(item.to_text() for item in usable)])
    )  # own ones first: they stand for theirs
    return [item for item in usable if item.to_text() in one_each]
