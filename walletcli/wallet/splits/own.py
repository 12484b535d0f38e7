"""Splits of the wallet's own identities: which are open, and that nothing is signed that leaves one open.

Spec: docs/spec/equivocation.md, "Healing".
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from walletcli.core.equivocation import EquivocationProof, named_in, open_proofs
from walletcli.core.identity_id import IdentityId
from walletcli.errors import VerificationError
from walletcli.wallet.state.draft import highest_to_follow, last_document
from walletcli.wallet.state.kept_splits import MAX_HEALED
from walletcli.wallet.state.view import IdentityView
from walletcli.wallet.state.wallet_view import WalletView

MEANING = (
    "either another copy of your wallet has signed as well (another device, a restored backup), "
    "or the root key is in other hands"
)
"""What a split of one's own identity means."""

WAY_OUT = (
    "healing takes no key away: unless you know which copy of yours signed the other state, make a new identity, "
    "tell your contacts over another channel, and retire this one"
)
"""What to do where the split was not one's own doing."""


@dataclass(frozen=True, slots=True)
class OwnSplit:
    """A split of one of the wallet's identities that its last record does not heal.

    Attributes:
        identity: whose.
        proof: both packets.
        is_decided: whether the next record heals it.
    """

    identity: IdentityView
    proof: EquivocationProof
    is_decided: bool

    def to_json(self) -> dict[str, object]:
        """Return whose it is, its `seq`, the content hashes of both sides, and whether healing is decided."""
        return {
            "did": IdentityId(self.identity.public_key).did,
            "label": self.identity.label,
            "seq": self.proof.seq,
            "sides": [half.hex() for half in self.proof.pair],
            "healing": self.is_decided,
        }


def own_splits(wallet: WalletView) -> tuple[OwnSplit, ...]:
    """Return the open splits of all identities that the wallet holds."""
    if not wallet.splits:
        return ()
    return tuple(split for identity in wallet.identities for split in splits_of(wallet, identity))


def splits_of(wallet: WalletView, identity: IdentityView) -> tuple[OwnSplit, ...]:
    """Return the open splits of one identity that the wallet holds."""
    proofs = [item.opened for item in wallet.splits if item.identity == identity.public_key]
    if not proofs:
        return ()
    decided = {(item.first, item.second) for item in identity.healing}
    still_open = open_proofs(proofs, named_in(last_document(identity)))
    return tuple(OwnSplit(identity, proof, proof.pair in decided) for proof in still_open)


def refuse_open_split(wallet: WalletView, index: int) -> None:
    """Refuse to go on with an identity that is split, unless its next record heals that.

    An identity whose owner gives it up because it is split again and again ends all the same: for those who did not see
    the last splits. A split so far ahead of the clock that none can come after it holds up nobody who knows approvers,
    and so not the owner who has some.

    Raises:
        VerificationError: ``publish.split``.
    """
    identity = wallet.by_index(index)
    last = last_document(identity)
    found = [split for split in splits_of(wallet, identity) if not split.is_decided]
    if last is not None and last.approvers is not None:
        found = [split for split in found if split.proof.seq <= highest_to_follow(time.time())]
    healed = {*(last.healed if last is not None else ()), *((item.first, item.second) for item in identity.healing)}
    ends_anyway = identity.retired is not None and len(healed) >= MAX_HEALED
    if found and not ends_anyway:
        raise VerificationError(
            "publish.split",
            f"{identity.label!r} is split: two different states are signed with seq {found[0].proof.seq}; {MEANING}. "
            "Whoever has seen both follows no record that does not heal that",
            f"look at both: walletcli record prove {identity.label_word} --out FILE; "
            f"then heal it: walletcli publish {identity.label_word} --heal FILE; {WAY_OUT}",
        )
