"""The providers of one identity, which are never asked about its contacts: they would learn who those are.

Spec: docs/spec/contact-book.md, "Looking a contact up".
"""

from __future__ import annotations

from collections.abc import Iterable

from walletcli.net.addresses import NodeAddress
from walletcli.wallet.access.session import Session
from walletcli.wallet.providers.book import read_book as read_providers
from walletcli.wallet.providers.links import providers_of
from walletcli.wallet.state.view import IdentityView


class OwnProviders:
    """The providers of one identity, which are never asked about its contacts.

    Args:
        keys: their root keys, 32 bytes each.
        addresses: where they were reached, as text.
    """

    def __init__(self, keys: Iterable[bytes] = (), addresses: Iterable[str] = ()) -> None:
        self._keys = frozenset(keys)
        self._addresses = frozenset(addresses)
        self._locations = frozenset(NodeAddress.from_text(text).location for text in self._addresses)

    def without(self, addresses: Iterable[NodeAddress]) -> list[NodeAddress]:
        """Return the addresses that lead to none of these providers."""
        return [address for address in addresses if not self._includes(address)]

    def _includes(self, address: NodeAddress) -> bool:
        if address.node is not None:
            return address.node.public_key in self._keys
        return address.to_text() in self._addresses or address.location in self._locations


def own_providers(session: Session, identity: IdentityView) -> OwnProviders:
    """Return the providers that an identity is bound to, will be, or was."""
    book = read_providers(session, identity.index)
    return OwnProviders(providers_of(identity, book), [entry.address for entry in book.entries])
