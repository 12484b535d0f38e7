"""Finds an identity by whatever the user calls it: a label, or an id in any of its forms."""

from __future__ import annotations

from walletcli.errors import InputError
from walletcli.wallet.state.labels import same_label
from walletcli.wallet.state.view import IdentityView, unknown_identity
from walletcli.wallet.state.wallet_view import WalletView


def find(wallet: WalletView, who: str) -> IdentityView:
    """Return the identity of this wallet that `who` names.

    Args:
        wallet: the public half of the wallet.
        who: a label (case does not matter), did:key, did:dht, pk:, or 52 letters of z-base-32.

    Raises:
        InputError: ``identity.unknown`` if this wallet does not hold it.
    """
    text = who.strip()
    for identity in wallet.identities:
        if same_label(identity.label, text):
            return identity
    key = key_of(text, wallet)
    for identity in wallet.identities:
        if identity.public_key == key:
            return identity
    raise unknown_identity(text)


def key_of(who: str, wallet: WalletView | None) -> bytes:
    """Return the root public key (32 bytes) that `who` names: an identity of this wallet, or anybody's id.

    Args:
        who: an id in any form, or a label if `wallet` is given.
        wallet: the public half of the wallet, or None if it is not open.

    Raises:
        InputError: ``identity.unknown`` for what is no id (and no label), ``identity.malformed`` for an id with a slip.
    """
    from walletcli.core.identity_id import IdentityId

    text = who.strip()
    for identity in wallet.identities if wallet is not None else ():
        if same_label(identity.label, text):
            return identity.public_key
    try:
        return IdentityId.from_text(text).public_key
    except InputError as error:
        if ":" in text or len(text) == 52:
            raise
        if wallet is None:
            raise InputError(
                "identity.unknown",
                f"{text!r} is not an identity id, and the wallet is locked",
                "unlock the wallet to use labels",
            ) from error
        raise InputError(
            "identity.unknown",
            f"{text!r} is neither a label of this wallet nor an identity id",
            "labels: walletcli identity list; the ids of others begin with did:key:, did:dht: or pk:",
        ) from error
