"""The door through which whoever holds the open vault looks at requests and answers them.

Spec: docs/spec/request.md, "On the cold side".
"""

from __future__ import annotations

from walletcli.core.keys import KeyTree
from walletcli.core.request_file import RequestFile
from walletcli.errors import SignerError
from walletcli.wallet.access.messages import ApproveRequest
from walletcli.wallet.airgap import cold
from walletcli.wallet.airgap.preparing import Entropy, Preparer
from walletcli.wallet.airgap.review import Review
from walletcli.wallet.airgap.telling import read_only_review
from walletcli.wallet.state.draft import today
from walletcli.wallet.state.wallet_state import WalletState


def review(data: bytes, state: WalletState, tree: KeyTree | None, now_s: float, entropy: Entropy) -> list[object]:
    """Say what a request would do.

    Args:
        data: the request file.
        state: what the wallet holds.
        tree: the root keys, or None on a machine without: then the request is only read.
        now_s: this machine's clock, Unix time in seconds.
        entropy: randomness.

    Returns:
        The row of a `Review`.

    Raises:
        FormatError: what the file ends in.
        VerificationError: ``signature.invalid``, ``request.record``.
    """
    request = RequestFile.from_bytes(data)
    if tree is not None:
        return cold.review(Preparer(state, tree, request, now_s, entropy)).to_row()
    labels = {identity.public_key: identity.label for identity in state.public.identities}
    items = tuple(
        read_only_review(number, item, labels.get(getattr(item, "identity", b"")))
        for number, item in enumerate(request.items, 1)
    )
    return Review(request, items, request.has_expired(today(now_s)), by_root=False).to_row()


def approve(
    asked: ApproveRequest,
    state: WalletState,
    tree: KeyTree,
    now_s: float,
    entropy: Entropy,
    hold: cold.Hold,
    ask: cold.Ask,
) -> tuple[WalletState, bytes]:
    """Sign what the owner approved.

    Returns:
        The state, which has to be written first, and the response file.

    Raises:
        SignerError: ``request.digest``; as `cold.approve`.
        WalletError: as `cold.approve`.
    """
    request = RequestFile.from_bytes(asked.data)
    if request.digest != asked.digest:
        raise SignerError(
            "request.digest",
            "the request is not the one whose digest was given",
            "look at it with `walletcli request show FILE`, and compare both machines",
        )
    preparer = Preparer(state, tree, request, now_s, entropy)
    state, file = cold.approve(preparer, asked.items, asked.accepted, hold, ask)
    return state, file.to_bytes()
