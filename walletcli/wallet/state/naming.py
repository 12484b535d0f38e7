"""Which index and which label an identity gets that a wallet comes to hold.

Spec: docs/spec/wallet-state.md, "Public half".
"""

from __future__ import annotations

from collections.abc import Collection

from walletcli.errors import InputError
from walletcli.wallet.state.labels import check_label, same_label
from walletcli.wallet.state.sections import OwnerSection
from walletcli.wallet.state.view import MAX_INDEX
from walletcli.wallet.state.wallet_view import WalletView


def free_index(wallet: WalletView, wanted: int | None) -> int:
    """Return `wanted`, or else the first index above all that are in use.

    Raises:
        InputError: ``identity.exists`` or ``identity.index``.
    """
    used = {identity.index for identity in wallet.identities}
    index = max(used, default=-1) + 1 if wanted is None else wanted
    if index in used:
        raise InputError(
            "identity.exists", f"this wallet already holds identity {index}", "see: walletcli identity list"
        )
    if not 0 <= index <= MAX_INDEX:
        raise InputError("identity.index", f"the index of an identity is 0 to {MAX_INDEX}, found {index}")
    return index


def free_label(wallet: WalletView, text: str, index: int | None) -> str:
    """Return `text` as a label that no identity but `index` has.

    Raises:
        InputError: ``label.malformed`` or ``label.exists``.
    """
    label = check_label(text)
    if any(same_label(label, other.label) and other.index != index for other in wallet.identities):
        raise InputError("label.exists", "another identity of this wallet has this label", "choose another label")
    return label


def label_for(wallet: WalletView, section: OwnerSection | None, index: int) -> str:
    """Return a label for an identity that was found: the one that its owner gave it, unless that cannot be had."""
    return free_label_for(labels_of(wallet), section, index)


def labels_of(wallet: WalletView) -> set[str]:
    """Return the labels that are in use, case folded."""
    return {identity.label.casefold() for identity in wallet.identities}


def free_label_for(used: Collection[str], section: OwnerSection | None, index: int) -> str:
    """Return a label for an identity that was found.

    Args:
        used: labels of other identities, case folded.
        section: the owner's section of its record, or None.
        index: of the identity.
    """
    wanted = [section.label, f"{section.label} ({index})"] if section is not None and section.label else []
    for text in wanted:
        try:
            label = check_label(text)
        except InputError:
            continue
        if label.casefold() not in used:
            return label
    label = f"identity {index}"
    while label in used:
        label = f"another {label}"
    return label
