"""The owner's decision to heal a split of their own identity, proof in hand.

Spec: docs/spec/equivocation.md, "Healing".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from walletcli.client.resolution import Resolution
from walletcli.core.equivocation import MAX_PROOF_BYTES, EquivocationProof, content_hash
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.errors import InputError, VerificationError
from walletcli.wallet.access.session import Session
from walletcli.wallet.files import read_file
from walletcli.wallet.state.changes import Adopt, HealSplits, KeepSplits, Several
from walletcli.wallet.state.draft import last_record
from walletcli.wallet.state.kept_splits import KeptSplit
from walletcli.wallet.state.lookup import find
from walletcli.wallet.state.view import IdentityView

MIN_SIDE: Final = 8
"""Fewest digits that name a side."""


def read_proof(path: str) -> EquivocationProof:
    """Read a proof file and verify it.

    Raises:
        InputError: ``file.*``.
        FormatError: ``equivocation.file``, ``equivocation.order`` and what packets end in.
        VerificationError: ``signature.invalid``, ``equivocation.*``.
    """
    return EquivocationProof.from_bytes(read_file(path, MAX_PROOF_BYTES))


def decide_to_heal(session: Session, paths: Sequence[str], who: str | None = None) -> tuple[IdentityView, ...]:
    """Decide that the next records of identities heal what proof files show.

    Args:
        session: the open wallet.
        paths: of the proof files.
        who: label or id of the identity that all of them have to be of; None: any that the wallet holds.

    Returns:
        The identities, each once.

    Raises:
        InputError: ``file.*``, ``identity.unknown``, ``identity.retired``, ``heal.too-many``.
        FormatError, VerificationError: as `read_proof`; ``heal.identity`` for a proof of somebody else.
    """
    wallet = session.snapshot().wallet
    wanted = find(wallet, who).public_key if who is not None else None
    held = {identity.public_key: identity for identity in wallet.identities}
    proofs: dict[bytes, list[bytes]] = {}
    for path in paths:
        proof = read_proof(path)
        if proof.public_key not in held or wanted not in (None, proof.public_key):
            raise VerificationError(
                "heal.identity",
                f"the proof is of {IdentityId(proof.public_key).did}, which is another identity",
                "only the owner of a split identity heals it",
            )
        proofs.setdefault(proof.public_key, []).append(KeptSplit.of(proof).proof)
    changes = [HealSplits(held[key].index, tuple(found)) for key, found in proofs.items()]
    if changes:
        kept = KeepSplits(tuple(data for found in proofs.values() for data in found))
        session.apply(Several((kept, *changes)))
    return tuple(held[key] for key in proofs)


def go_on_from(session: Session, who: str, paths: Sequence[str], side: str) -> None:
    """Continue from one side of a split, in a wallet that has neither: one that was restored from its words.

    Args:
        session: the open wallet.
        who: label or id.
        paths: of proof files.
        side: content hash of the side in hexadecimal, or its first 8 digits or more.

    Raises:
        InputError: ``identity.unknown``, ``file.*``; ``heal.side`` if no side, or more than one, begins like this, if
            its document is not in the proof, or if the wallet has a state of its own already.
        FormatError, VerificationError: as `read_proof` and `Record.verified`.
    """
    identity = find(session.snapshot().wallet, who)
    sides = [item for path in paths for item in read_proof(path).sides]
    wanted = side.strip().lower()
    found = {item.content: item for item in sides if len(wanted) >= MIN_SIDE and item.content.hex().startswith(wanted)}
    if len(found) != 1:
        raise _no_side(f"{len(found)} sides of the split begin with {side!r}", "give 8 digits or more of one of them")
    (chosen,) = found.values()
    if chosen.document is None:
        raise _no_side(
            "the document of that side is not in the proof", "get it with: walletcli record prove ID --relay"
        )
    record = Record.verified(chosen.packet, chosen.document)
    known = last_record(identity)
    if known is not None and content_hash(known.packet) == chosen.content:
        if identity.unseen:
            session.apply(Adopt(identity.index, None))
        return
    if known is not None and known.packet.seq >= record.packet.seq:
        raise _no_side(
            f"this wallet has a state of {identity.label!r} of its own, and goes on from that", "leave out --side"
        )
    session.apply(Adopt(identity.index, record.to_bytes()))


def _no_side(message: str, hint: str) -> InputError:
    return InputError("heal.side", message, hint)


def raise_healing(session: Session, index: int, found: Resolution) -> None:
    """Have a record that is to heal come after all that has been seen signed, whoever has signed on after a split.

    Args:
        session: the open wallet.
        index: of the identity.
        found: what relays have of it.
    """
    identity = session.snapshot().wallet.by_index(index)
    highest = max((source.seq for source in found.sources if source.seq is not None), default=0)
    if any(item.seq < highest for item in identity.healing):
        session.apply(HealSplits(index, (), highest))
