"""Makes the next state of a wallet out of a change: those that need keys or randomness here, the others as they are.

Spec: docs/spec/agent.md, "Changes".
"""

from __future__ import annotations

from itertools import groupby

from walletcli.wallet.access import holding, ssh_keys
from walletcli.wallet.access.holding import Entropy
from walletcli.wallet.access.policy import watch_only
from walletcli.wallet.access.root import Root
from walletcli.wallet.access.watching import keep_devices, take_identity
from walletcli.wallet.state import naming, transitions
from walletcli.wallet.state.changes import (
    AddIdentity,
    Adopt,
    Change,
    KeepDevices,
    KeepSshKey,
    PutDrawer,
    Several,
    TakeFound,
    TakeIdentity,
)
from walletcli.wallet.state.wallet_state import WalletState


def changed(
    state: WalletState, change: Change, root: Root | None, entropy: Entropy, *, has_seed: bool
) -> tuple[WalletState, int | None]:
    """Return the state after a change, and the index of the identity that it touched, if it touched one.

    Args:
        state: before.
        change: one, or several that are made together or not at all.
        root: the root keys, or None where there are none.
        entropy: randomness.
        has_seed: whether the root keys are this wallet's own, so that identities can be added.

    Raises:
        WalletError: what the change ends in; ``wallet.watch-only``.
    """
    if not isinstance(change, Several):
        return _changed_once(state, change, root, entropy, has_seed=has_seed)
    index = None
    for kind, group in groupby(change.changes, key=type):
        alike = list(group)
        if kind is TakeFound:
            found = [one for one in alike if isinstance(one, TakeFound)]
            state = holding.taken_all(state, _needed(root), found, entropy)
            index = getattr(alike[-1], "index", None)
        elif kind is PutDrawer:
            state = transitions.put_drawers(state, [one for one in alike if isinstance(one, PutDrawer)])
            index = getattr(alike[-1], "index", None)
        else:
            for one in alike:
                state, index = _changed_once(state, one, root, entropy, has_seed=has_seed)
    return state, index


def _changed_once(
    state: WalletState, change: Change, root: Root | None, entropy: Entropy, *, has_seed: bool
) -> tuple[WalletState, int | None]:
    if isinstance(change, AddIdentity):
        if not has_seed:
            raise watch_only(new=change.label)
        index = naming.free_index(state.public, change.index)
        return holding.added(state, _needed(root), index, change, entropy), index
    if isinstance(change, TakeIdentity):
        return take_identity(state, change), change.index
    if isinstance(change, KeepDevices):
        return keep_devices(state, change), None
    if isinstance(change, TakeFound):
        return holding.taken_all(state, _needed(root), [change], entropy), change.index
    if isinstance(change, KeepSshKey):
        return ssh_keys.keep(state, change, entropy), change.index
    found = holding.found_by(state, root, change) if isinstance(change, Adopt) else None
    return transitions.apply(state, change, found), getattr(change, "index", None)


def _needed(root: Root | None) -> Root:
    if root is None:
        raise watch_only()
    return root
