"""What the wallet remembers of identities, as the client asks for it; what is new goes back in one write."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress

from walletcli.client import freshness
from walletcli.client.approved import known_document
from walletcli.core.equivocation import EquivocationProof
from walletcli.core.record import Record
from walletcli.errors import StorageError
from walletcli.wallet.access.session import Session
from walletcli.wallet.state.changes import KeepSplits, Remember
from walletcli.wallet.state.kept_splits import KeptSplit
from walletcli.wallet.state.wallet_view import MAX_SEEN_RECORD_BYTES, Seen, WalletView


class WalletMemory:
    """A `Freshness` over the public half of the wallet; for several threads at once.

    Args:
        wallet: what is remembered so far. The wallet's own records count as seen.
    """

    def __init__(self, wallet: WalletView) -> None:
        self._wallet = wallet
        self._own = {
            identity.public_key: identity.record for identity in wallet.identities if identity.record is not None
        }
        self._new: dict[bytes, freshness.Seen] = {}
        self._read: dict[bytes, freshness.Seen] = {}  # what was decoded and verified already
        self._splits: list[EquivocationProof] = []
        self._lock = threading.Lock()

    def splits(self, public_key: bytes) -> Sequence[EquivocationProof]:
        """Return the splits that were met of the identity with this root key (32 bytes), healed or not."""
        kept = [item.opened for item in self._wallet.splits if item.identity == public_key]
        with self._lock:
            return [*kept, *(proof for proof in self._splits if proof.public_key == public_key)]

    def keep_split(self, proof: EquivocationProof) -> None:
        """Remember a split, unless as much of it is remembered already."""
        known = next((item for item in self.splits(proof.public_key) if item.pair == proof.pair), None)
        if known is None or KeptSplit.of(known.joined(proof)) != KeptSplit.of(known):
            with self._lock:
                self._splits.append(proof)

    def get(self, public_key: bytes) -> freshness.Seen | None:
        """Return the newest that was seen of the identity with this root key (32 bytes), or None."""
        with self._lock:
            new, stored = self._new.get(public_key), self._read.get(public_key) or self._stored(public_key)
            if stored is not None:
                self._read[public_key] = stored
        known = [seen for seen in (new, stored) if seen is not None]
        return max(known, key=lambda seen: seen.seq, default=None)

    def _stored(self, public_key: bytes) -> freshness.Seen | None:
        """Return the newer of what was remembered of somebody and one's own record."""
        known = []
        seen, own = self._wallet.seen.get(public_key), self._own.get(public_key)
        if seen is not None:
            record = Record.from_bytes(seen.record) if seen.record is not None else None
            waiting = freshness.Waiting(*seen.waiting) if seen.waiting is not None else None
            known.append(freshness.Seen(seen.seq, seen.document_hash, record, waiting))
        if own is not None:
            known.append(freshness.Seen.of(Record.from_bytes(own)))
        return max(known, key=lambda item: item.seq, default=None)

    def put(self, public_key: bytes, seen: freshness.Seen) -> None:
        """Remember `seen`, unless something newer is remembered already."""
        known = self.get(public_key)
        if seen.may_follow(known):
            with self._lock:
                self._new[public_key] = seen.after(known)

    def save(self, session: Session, but: Collection[bytes] = ()) -> None:
        """Write what is new into the vault, if anything is.

        Args:
            session: the open wallet.
            but: root keys (32 bytes) of identities whose state is kept elsewhere.
        """
        self.save_splits(session)
        change = self.change(but)
        if change is not None:
            session.apply(change)

    def change(self, but: Collection[bytes] = ()) -> Remember | None:
        """Return the change that remembers what is new, or None if nothing is; `but` as in `save`."""
        changes = []
        for public_key, seen in self._new.items():
            if public_key in but:
                continue
            kept = _kept(seen)
            if self._wallet.seen.get(public_key) != kept:
                changes.append((public_key, kept))
        return Remember(tuple(changes)) if changes else None

    def save_splits(self, session: Session) -> None:
        """Write splits that were met into the vault, if any were."""
        with self._lock:
            found, self._splits = self._splits, []
        if found:
            session.apply(KeepSplits(tuple(KeptSplit.of(proof).proof for proof in found)))

    @contextmanager
    def keeping_splits(self, session: Session) -> Iterator[None]:
        """Write splits that are met in a block into the vault, however it ends.

        Raises:
            StorageError: they cannot be written; not where the block itself ended in an error, which matters more.
        """
        try:
            yield
        except BaseException:
            with suppress(StorageError):
                self.save_splits(session)
            raise
        self.save_splits(session)


def _kept(seen: freshness.Seen) -> Seen:
    record = seen.record.to_bytes() if seen.record is not None else None
    if record is not None and len(record) > MAX_SEEN_RECORD_BYTES and known_document(seen) is None:
        record = None
    waiting = (seen.waiting.change, seen.waiting.since_day) if seen.waiting is not None else None
    return Seen(seen.seq, seen.document_hash, record, waiting)
