"""Shards signed ahead: on the machine with the words for months, so that one without them keeps the index alive.

Whoever carries them can read nothing in them: they are sealed to the words.

Spec: docs/spec/wallet-index.md, "Signed ahead".
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from walletcli.core.identity_id import IdentityId
from walletcli.core.index_batch import MAX_FILE_BYTES, MAX_WRITES, IndexBatch
from walletcli.core.keys import Scheme
from walletcli.errors import InputError, SignerError, UsageError
from walletcli.wallet.files import read_file, write_file
from walletcli.wallet.index.book import IndexBook, change_book
from walletcli.wallet.index.carried import DRAWER, read_batch
from walletcli.wallet.index.overview import IndexView, show_index
from walletcli.wallet.index.signing import sign_with
from walletcli.wallet.index.writing import plan_index
from walletcli.wallet.state.changes import PutDrawer

if TYPE_CHECKING:
    from walletcli.core.packet import SignedPacket
    from walletcli.wallet.access.session import Session

WRITES: Final = 30
"""How often each shard is signed, if nothing else is asked for: some four months of slots."""


@dataclass(frozen=True, slots=True)
class SignedAhead:
    """What was signed.

    Attributes:
        path: of the file.
        keys: public keys of the shards, 32 bytes each.
        writes: how often each shard was signed.
        identities: how many they list.
    """

    path: str
    keys: tuple[bytes, ...]
    writes: int
    identities: int

    @property
    def pks(self) -> list[str]:
        """The keys, as pk:…."""
        return [IdentityId(key).pk for key in self.keys]

    def to_json(self) -> dict[str, object]:
        """Return all fields, keys as pk:…."""
        return {"file": self.path, "keys": self.pks, "writes": self.writes, "identities": self.identities}


def sign_ahead(session: Session, path: str, writes: int = WRITES) -> SignedAhead:
    """Sign each shard several times with rising `seq`, and write the packets to a new file.

    Args:
        session: the open wallet; it holds the seed.
        path: of the file.
        writes: how often, 1 to `MAX_WRITES`.

    Raises:
        InputError: ``index-batch.writes``, ``file.exists``, ``wallet-index.full``, ``seq.exhausted``.
        SignerError: ``wallet.watch-only``.
        StorageError: ``storage.*``.
        FormatError: ``index-book.*``.
        VaultError: ``vault.*``, ``agent.*``.
    """
    if not 1 <= writes <= MAX_WRITES:
        raise InputError(
            "index-batch.writes", f"a shard is signed 1 to {MAX_WRITES} times ahead, not {writes}", "leave out --writes"
        )
    if session.facts().watch:
        raise SignerError(
            "wallet.watch-only",
            "shards are signed where the words are, and this wallet was made without them",
            "on that machine: walletcli wallet index sign --out FILE; then here: walletcli wallet index apply FILE",
        )
    if os.path.lexists(path):
        raise InputError("file.exists", f"{path} is there already", "choose another name")
    book = plan_index(session)
    count, scheme = len(book.shards), Scheme(session.facts().scheme)
    shards: list[tuple[SignedPacket, ...]] = []
    for number in range(count):
        content = book.shards[number].content
        said = replace(content, shards=count) if number == 0 else content
        shards.append(tuple(sign_with(session, number, said, -1) for _ in range(writes)))
    batch = IndexBatch(tuple(shards))
    write_file(path, batch.to_bytes(), replace=False)
    change_book(session, lambda now: _told(now, book))
    return SignedAhead(os.path.abspath(path), batch.keys, writes, len(book.of(scheme)))


def _told(now: IndexBook, signed: IndexBook) -> IndexBook:
    """Return the book where each shard says what was signed of it."""
    for number, shard in enumerate(signed.shards):
        now = now.put(number, replace(now.shards[number], said=shard.content))
    return now


def apply_batch(session: Session, path: str) -> IndexView:
    """Take over a file of shards that were signed ahead: they are written on schedule from now on.

    Args:
        session: the open wallet, one without words.
        path: of the file.

    Raises:
        UsageError: ``index-batch.has-seed`` for a wallet that signs for itself.
        InputError: ``file.*``, ``index-batch.older``, ``index-batch.foreign``.
        FormatError, VerificationError: as `IndexBatch.from_bytes`.
        VaultError: ``vault.*``, ``agent.*``; ``drawer.changed`` if another process did the same meanwhile.
    """
    if not session.facts().watch:
        raise UsageError(
            "index-batch.has-seed",
            "this wallet holds the words, and signs its index itself",
            "walletcli sync",
        )
    batch = IndexBatch.from_bytes(read_file(path, MAX_FILE_BYTES))
    before = read_batch(session)
    if before is not None and before != batch and not batch.follows(before):
        _refuse(before, batch)
    held = session.drawer(None, DRAWER)
    digest = hashlib.sha256(held).digest() if held is not None else None
    session.put_drawers(PutDrawer(None, DRAWER, batch.to_bytes(), digest))
    now_s = time.time()
    change_book(session, lambda book: book.with_shards(len(batch.keys), now_s))
    return show_index(session)


def _refuse(before: IndexBatch, batch: IndexBatch) -> None:
    if set(before.keys).isdisjoint(batch.keys):
        raise InputError(
            "index-batch.foreign",
            "these shards are of other words than those that this wallet carries already",
            f"the keys begin with {IdentityId(batch.keys[0]).pk} here, and {IdentityId(before.keys[0]).pk} there",
        )
    raise InputError(
        "index-batch.older",
        "these shards were signed before those that this wallet carries already, or lack some of them",
        "use the file that was signed last, or sign another one: walletcli wallet index sign --out FILE",
    )
