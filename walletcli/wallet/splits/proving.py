"""Proves that somebody has signed two states with one `seq`: from sources, from memory, from two record files.

Spec: docs/spec/equivocation.md.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from walletcli.client.answers import states
from walletcli.client.link import TIMEOUT_S
from walletcli.client.resolve import ask_relays
from walletcli.client.splits import proofs_of_states
from walletcli.core.equivocation import EquivocationProof, no_split, proof_of_records
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import MAX_FILE_BYTES, Record
from walletcli.errors import NetworkError, WalletError
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.files import read_file, write_file
from walletcli.wallet.home import Home, Progress, silent
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.relays import chosen_relays
from walletcli.wallet.route import dialer_for
from walletcli.wallet.splits.healing import read_proof
from walletcli.wallet.state.lookup import key_of


@dataclass(frozen=True, slots=True)
class Proven:
    """Splits of one identity, and the files that prove them.

    Attributes:
        proofs: the highest `seq` first.
        files: paths of the files that were written, one for each proof; empty if none was asked for.
        unreachable: what went wrong with sources that could not be asked, a line each.
    """

    proofs: tuple[EquivocationProof, ...]
    files: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()

    @property
    def did(self) -> str:
        """The identity, as did:key."""
        return IdentityId(self.proofs[0].public_key).did

    def to_json(self) -> dict[str, object]:
        """Return whose they are, each with its file."""
        files = [*self.files, *[None] * (len(self.proofs) - len(self.files))]
        splits = [{**proof.to_json(), "file": file} for proof, file in zip(self.proofs, files, strict=True)]
        return {"did": self.did, "splits": splits, "unreachable": list(self.unreachable)}


@dataclass(frozen=True, slots=True)
class ProofCheck:
    """A proof file that was verified."""

    proof: EquivocationProof

    @property
    def did(self) -> str:
        """The identity whose key has signed both states, as did:key."""
        return IdentityId(self.proof.public_key).did

    @property
    def verified(self) -> tuple[str, ...]:
        """What was established, a plain statement each."""
        documents = sum(side.document is not None for side in self.proof.sides)
        return (
            f"signatures: the key of {self.did} has signed both packets",
            f"seq: both say {self.proof.seq}, so neither replaces the other",
            "states: the packets name different documents, or say different things",
            f"documents: {documents} of 2 at hand, each the one that its packet names",
        )

    def to_json(self) -> dict[str, object]:
        """Return whose split it is, both sides, and the statements."""
        return {"valid": True, "did": self.did, **self.proof.to_json(), "verified": list(self.verified)}


def prove_split(
    who: str,
    session: Session | None,
    relays: Sequence[str] = (),
    *,
    home: Home | None = None,
    out: str | None = None,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
) -> Proven:
    """Look for states that an identity has signed twice: at sources, and in what the wallet remembers.

    Nothing that was seen is too old for that: also a split that has been healed is found.

    Args:
        who: an id in any form; a label as well if the wallet is open.
        session: the open wallet; what is found is remembered there. None: only the sources are looked at.
        relays: whom to ask; none: the list of `home`, or of the session's home.
        home: whose list of relays, without a session.
        out: path of the new proof file; further splits go to files beside it, numbered from 2.
        offline: ask nobody.
        dialer: opens the connections; None: plain TCP.
        progress: takes a line per step.

    Raises:
        InputError: ``equivocation.none`` if no split was found; ``identity.*``, ``file.exists``.
        NetworkError: ``relay.none`` if there is nobody to ask, and nothing is remembered.
        StorageError: ``storage.*``.
    """
    wallet = session.snapshot().wallet if session is not None else None
    key = key_of(who, wallet)
    memory = WalletMemory(wallet) if wallet is not None else None
    remembered = list(memory.splits(key)) if memory is not None else []
    shown: Sequence[EquivocationProof] = ()
    unreachable: list[str] = []
    if not offline:
        try:
            addresses = chosen_relays(session.home if session is not None else home, relays)
        except NetworkError:
            if not remembered:
                raise
            addresses = []
        progress(f"asking {len(addresses)} relay(s)")
        route = dialer if dialer is not None else dialer_for(offline)
        answers, _ = ask_relays(
            IdentityId(key), addresses, dialer=route, memory=memory, for_identity=None, timeout_s=TIMEOUT_S
        )  # fmt: skip
        unreachable = [f"{answer.address}: {answer.error.message}" for answer in answers if answer.error is not None]
        seen = memory.get(key) if memory is not None else None
        shown = proofs_of_states(states(answers), seen.record if seen is not None else None)
    found = _joined([*remembered, *shown])
    if not found:
        raise no_split(f"nothing shows that {IdentityId(key).did} has signed two states with one seq")
    if session is not None and memory is not None:
        for proof in shown:
            memory.keep_split(proof)
        memory.save_splits(session)
    return Proven(found, _written(found, out), tuple(unreachable))


def prove_from_files(paths: Sequence[str], out: str | None = None) -> Proven:
    """Prove a split from two record files.

    Args:
        paths: of two files.
        out: path of the new proof file, or None.

    Raises:
        InputError: ``equivocation.none``, ``file.*``.
        FormatError, VerificationError: as `Record.from_bytes`; ``equivocation.identity``.
        StorageError: ``storage.*``.
    """
    one, other = (Record.from_bytes(read_file(path, MAX_FILE_BYTES)) for path in paths)
    found = (proof_of_records(one, other),)
    return Proven(found, _written(found, out))


def verify_split_proof(path: str) -> ProofCheck:
    """Read a proof file and verify all of it; nobody is asked, and no wallet is needed.

    Raises:
        WalletError: as `read_proof`.
    """
    return ProofCheck(read_proof(path))


def _joined(proofs: Sequence[EquivocationProof]) -> tuple[EquivocationProof, ...]:
    """Return each split once, with the documents of all its proofs; the highest `seq` first."""
    found: dict[tuple[int, tuple[bytes, bytes]], EquivocationProof] = {}
    for proof in proofs:
        known = found.setdefault((proof.seq, proof.pair), proof)
        found[proof.seq, proof.pair] = known.joined(proof)
    return tuple(found[name] for name in sorted(found, reverse=True))


def _written(proofs: Sequence[EquivocationProof], out: str | None) -> tuple[str, ...]:
    if out is None:
        return ()
    stem, extension = os.path.splitext(out)
    paths = [out, *(f"{stem}-{number}{extension}" for number in range(2, len(proofs) + 1))]
    done: list[str] = []
    try:
        for path, proof in zip(paths, proofs, strict=True):
            write_file(path, proof.to_bytes(), replace=False)
            done.append(path)
    except WalletError:
        for path in done:
            os.remove(path)
        raise
    return tuple(done)
