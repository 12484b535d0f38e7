"""What the owner may see and decide of the wallet index: what it says, where it lies, when it is written.

Spec: docs/spec/wallet-index.md, "Commands".
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from walletcli.core.identity_id import IdentityId
from walletcli.core.keys import Scheme
from walletcli.errors import InputError, NetworkError, UsageError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.index.book import IndexBook, change_book, read_book
from walletcli.wallet.index.carried import require_batch
from walletcli.wallet.index.places import told_of_identities
from walletcli.wallet.index.signing import shard_key
from walletcli.wallet.index.writing import plan_index, write_shard


@dataclass(frozen=True, slots=True)
class ShardView:
    """One shard, for its owner.

    Attributes:
        number: of the shard.
        key: its public key, 32 bytes.
        identities: how many of this wallet's scheme it listed when it was last written; None: only the words tell.
        relays: where it goes.
        stored: where it was found when it was written last.
        written_s: when that was, Unix time in seconds, or None.
        next_s: its next slot, Unix time in seconds.
        fault: code and message of the last try, if that failed.
        left: how many writes of it are left of what was signed ahead; None where it is signed here.
    """

    number: int
    key: bytes
    identities: int | None
    relays: tuple[str, ...]
    stored: tuple[str, ...]
    written_s: int | None
    next_s: int
    fault: tuple[str, ...]
    left: int | None = None

    @property
    def pk(self) -> str:
        """The key, as pk:…."""
        return IdentityId(self.key).pk

    def to_json(self) -> dict[str, object]:
        """Return all fields, the key as pk:…."""
        return {
            "shard": self.number,
            "key": self.pk,
            "identities": self.identities,
            "relays": list(self.relays),
            "stored": list(self.stored),
            "written_s": self.written_s,
            "next_s": self.next_s,
            "left": self.left,
            "fault": {"code": self.fault[0], "message": self.fault[1]} if self.fault else None,
        }


@dataclass(frozen=True, slots=True)
class IndexView:
    """The wallet index, for its owner.

    Attributes:
        is_on: whether it is written on schedule.
        shards: by number.
        waiting: labels of identities that no written shard lists yet: they come in with the next slot.
        links: what its relays can tie together, a line each.
    """

    is_on: bool
    shards: tuple[ShardView, ...]
    waiting: tuple[str, ...]
    links: tuple[str, ...]

    @property
    def next_s(self) -> int | None:
        """The next slot, Unix time in seconds; None if it is off."""
        return min(shard.next_s for shard in self.shards) if self.is_on else None

    def to_json(self) -> dict[str, object]:
        """Return policy, shards, waiting identities and links."""
        return {
            "on": self.is_on,
            "next_s": self.next_s,
            "shards": [shard.to_json() for shard in self.shards],
            "waiting": list(self.waiting),
            "links": list(self.links),
        }


def show_index(session: Session) -> IndexView:
    """Return how the index stands; a wallet that has none yet plans its first slot.

    Raises:
        SignerError: ``wallet.watch-only``.
        FormatError: ``index-book.*``.
        VaultError: ``vault.*``, ``agent.*``.
    """
    return _view(session, plan_index(session))


def set_policy(session: Session, *, is_on: bool) -> IndexView:
    """Have the index written on schedule, or not.

    Raises:
        SignerError: ``wallet.watch-only``.
        FormatError: ``index-book.*``.
        VaultError: ``vault.*``, ``agent.*``.
    """
    plan_index(session)
    change_book(session, lambda book: replace(book.planned(time.time()), is_on=is_on))
    return show_index(session)


def publish_index(
    session: Session,
    relays: Sequence[str] = (),
    *,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
) -> IndexView:
    """Write all shards now: what is done at one time is seen to belong together.

    Args:
        session: the open wallet.
        relays: where they go from now on; none: relays of the wallet's list.
        offline: open no connection.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.

    Raises:
        NetworkError: ``network.offline``, ``wallet-index.no-relay``, ``wallet-index.unreachable``.
        UsageError: ``wallet-index.off``.
        SignerError: ``wallet.watch-only``.
        FormatError, VerificationError, ShortPublishError: as `write_shard`.
    """
    if offline:
        raise NetworkError("network.offline", "the index cannot be written offline", "leave out --offline")
    book = plan_index(session)
    if not book.is_on:
        raise UsageError("wallet-index.off", "the wallet index is off", "walletcli wallet index on")
    number = 0
    while number < len(book.shards):
        progress(f"writing shard {number} of the wallet index")
        book = write_shard(session, number, relays, dialer=dialer)
        number += 1
    if len(book.shards) > 1 and not session.facts().watch:  # shard 0 tells of the others once they are there
        write_shard(session, 0, relays, dialer=dialer)
    return show_index(session)


def slot_of(session: Session, public_key: bytes) -> int | None:
    """Return when an identity comes into the index, Unix time in seconds.

    Args:
        session: the open wallet.
        public_key: of one of its identities, 32 bytes.

    Returns:
        The slot of the shard that it waits for; None if it is in, or if there is no index to come into.

    Raises:
        FormatError: ``index-book.*``.
    """
    book = read_book(session)
    wallet = session.snapshot().wallet
    index = next((view.index for view in wallet.identities if view.public_key == public_key), None)
    scheme = Scheme(wallet.scheme)
    if book is None or not book.is_on or index is None or wallet.watch:
        return None
    if any(index in shard.said.of(scheme) for shard in book.shards):
        return None
    planned = [shard.next_s for shard in book.shards if index in shard.content.of(scheme)]
    return (planned or [shard.next_s for shard in book.shards])[0]


def _scheme(session: Session) -> Scheme:
    return Scheme(session.facts().scheme)


def _view(session: Session, book: IndexBook) -> IndexView:
    scheme = _scheme(session)
    batch = require_batch(session) if session.facts().watch else None
    shards = tuple(
        ShardView(
            number,
            shard_key(session, number),
            len(shard.said.of(scheme)) if batch is None else None,
            shard.relays,
            shard.stored,
            shard.written_s,
            shard.next_s,
            shard.fault,
            batch.left_of(number, shard.seq if shard.seq is not None else -1) if batch is not None else None,
        )
        for number, shard in enumerate(book.shards)
    )
    identities = session.snapshot().wallet.identities
    said = [shard.said.of(scheme) for shard in book.shards]
    waiting = tuple(
        view.label
        for view in identities
        if batch is None and view.record is not None and not any(view.index in part for part in said)
    )
    return IndexView(book.is_on, shards, waiting, tuple(_links(session, book)))


def _links(session: Session, book: IndexBook) -> list[str]:
    """Say what the relays of the shards can tie together."""
    relays = dict.fromkeys(text for shard in book.shards for text in shard.relays)
    tcp = [text for text in relays if _is_tcp(text)]
    known = [text for text in tcp if text in told_of_identities(session)]
    lines = []
    if known:
        lines.append(f"over TCP {', '.join(known)} saw this machine's address with the index and with identities")
    elif tcp:
        lines.append(
            "over TCP its relays see this machine's address: who compares with others' logs can tie it to yours"
        )
    return lines


def _is_tcp(text: str) -> bool:
    try:
        return NodeAddress.from_relay_text(text).shows_source
    except InputError:
        return False
