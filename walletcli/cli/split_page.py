"""Splits and their proofs as a person reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from walletcli.cli.output import warn

if TYPE_CHECKING:
    from walletcli.core.equivocation import EquivocationProof, Side
    from walletcli.wallet.splits.proving import ProofCheck


def proof_fields(checked: ProofCheck) -> list[tuple[str, str]]:
    """Return what a proof file says once it is verified, and what it does not."""
    return [
        ("proof", "valid"),
        ("did", checked.did),
        *split_fields(checked.proof),
        *(("verified", statement) for statement in checked.verified),
        ("it means", "whoever has this key has shown, or can show, different states to different people"),
        ("it does not say", "who signed which one, or which one the owner meant: ask over another channel"),
    ]


def warn_of_the_key() -> None:
    """Say to an owner who heals a split what that does not do."""
    from walletcli.wallet.splits.own import MEANING, WAY_OUT

    warn(f"a split says that {MEANING}; {WAY_OUT}")


def split_fields(proof: EquivocationProof) -> list[tuple[str, str]]:
    """Return what a split is, one line for each side."""
    fields = [("split", f"two states signed with seq {proof.seq}")]
    fields += [(f"side {number}", f"{side.content.hex()}: {_said(side)}") for number, side in enumerate(proof.sides, 1)]
    return fields


def _said(side: Side) -> str:
    """Say what a side's document says, as far as it can be read."""
    document = side.readable
    if side.packet.document_hash is None:
        return "a packet that names no document"
    if side.document is None:
        return "its document is not at hand"
    if document is None:
        return "its document says something else than its packet"
    public = ", ".join(f"{name} = {value}" for name, value in sorted(document.profile.items())) or "nothing"
    ended = "; retired" if document.retirement is not None else ""
    return f"public: {public}; devices: {len(document.delegations)}; bindings: {len(document.bindings)}{ended}"
