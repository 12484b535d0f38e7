"""Chooses where a shard lies: at a few unrelated nodes, none of which hosts an identity of this wallet.

Spec: docs/spec/wallet-index.md, "Where".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from walletcli.client.independence import independent
from walletcli.errors import NetworkError
from walletcli.net.addresses import NodeAddress
from walletcli.wallet.access.session import Session
from walletcli.wallet.providers.book import read_book
from walletcli.wallet.providers.links import providers_of
from walletcli.wallet.relays import list_relays

COPIES: Final = 3
"""At how many nodes a shard lies, where there are so many."""


def allowed_relays(session: Session) -> tuple[str, ...]:
    """Return the relays of the wallet's list that do not depend on each other, nor on a provider of an identity."""
    keys: set[bytes] = set()
    addresses: list[str] = []
    for identity in session.snapshot().wallet.identities:
        book = read_book(session, identity.index)
        keys |= providers_of(identity, book)
        addresses += [entry.address for entry in book.entries]
    relays = [text for text in list_relays(session.home) if _node_key(text) not in keys]
    hosts = set(independent(addresses))
    return tuple(text for text in independent([*addresses, *relays]) if text not in hosts)


def _node_key(text: str) -> bytes | None:
    node = NodeAddress.from_relay_text(text).node
    return node.public_key if node is not None else None


def choose(
    allowed: Sequence[str], before: Sequence[str], known: Collection[str], entropy: Callable[[int], bytes]
) -> tuple[str, ...]:
    """Choose where a shard goes: where it lay before, then at random, first to whom no identity is known.

    Args:
        allowed: whom it may go to.
        before: where it lay when it was written last; one that did not take it gives way to another one.
        known: relays that have been told of an identity of this wallet.
        entropy: gives as many random bytes as asked.

    Raises:
        NetworkError: ``wallet-index.no-relay``.
    """
    if not allowed:
        raise NetworkError(
            "wallet-index.no-relay",
            "no relay is known that may hold the wallet index: providers of your identities do not",
            "add some with: walletcli relay add ADDRESS",
        )
    kept = [text for text in before if text in allowed][:COPIES]
    others = sorted((text for text in allowed if text not in kept), key=lambda text: (text in known, entropy(16)))
    return (*kept, *others[: COPIES - len(kept)])


def told_of_identities(session: Session) -> set[str]:
    """Return the relays that have been told of any identity of this wallet."""
    return {text for identity in session.snapshot().wallet.identities for text in identity.contacted}
