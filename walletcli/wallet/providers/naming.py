"""Finds one of an identity's providers by what its owner calls it: an id in any form, or an address.

Spec: docs/spec/providers.md, "Naming a provider".
"""

from __future__ import annotations

from walletcli.core.identity_id import IdentityId
from walletcli.errors import InputError
from walletcli.net.addresses import NodeAddress
from walletcli.wallet.providers.book import ProviderBook, Role
from walletcli.wallet.providers.links import providers_of
from walletcli.wallet.providers.places import current_bindings, in_order
from walletcli.wallet.state.view import IdentityView


def named_provider(identity: IdentityView, book: ProviderBook, text: str | None) -> bytes:
    """Return the root key (32 bytes) of the provider that is meant.

    Args:
        identity: whose providers.
        book: of the identity.
        text: an id in any form, or an address; None: the main provider.

    Raises:
        InputError: ``provider.unknown``, ``provider.none``, ``address.malformed``, ``identity.malformed``.
    """
    if text is None:
        return main_provider(identity, book)
    known = providers_of(identity, book)
    if "://" in text:
        address = NodeAddress.from_text(text)
        if address.node is not None:
            found = [address.node.public_key]
        else:
            found = [entry.provider for entry in book.entries if entry.address == address.to_text()]
    else:
        found = [IdentityId.from_text(text).public_key]
    if not found or found[0] not in known:
        raise InputError(
            "provider.unknown",
            f"{identity.label!r} has no provider {text}",
            f"see: walletcli provider list {identity.label_word}",
        )
    return found[0]


def main_provider(identity: IdentityView, book: ProviderBook) -> bytes:
    """Return the root key of the main provider.

    Raises:
        InputError: ``provider.none``.
    """
    for binding, role in in_order(current_bindings(identity), book):
        if binding.grant is not None and role is Role.MAIN:
            return binding.grant.provider
    raise InputError(
        "provider.none",
        f"{identity.label!r} is bound to no provider",
        f"bind it with: walletcli provider bind {identity.label_word} ADDRESS --kit PLACE",
    )
