"""Writes shards: reads what is there, joins it with what the wallet knows, has it signed, stores it.

Spec: docs/spec/wallet-index.md, "Writing".
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from walletcli.client import publish as client
from walletcli.client.link import TIMEOUT_S
from walletcli.client.resolve import ask_relays
from walletcli.core.identity_id import IdentityId
from walletcli.core.index_batch import IndexBatch
from walletcli.core.keys import Scheme
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record
from walletcli.core.wallet_index import NOTHING, Ranges, ShardContent
from walletcli.errors import FormatError, InputError, NetworkError, VerificationError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.index import carried
from walletcli.wallet.index.book import EVERY, NO_CONTENT, IndexBook, change_book
from walletcli.wallet.index.places import allowed_relays, choose, told_of_identities
from walletcli.wallet.index.signing import open_with, shard_key, sign_with
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.route import dialer_for

MAX_ATTEMPTS: Final = 3
"""How often a shard is written again because another wallet of these words wrote it meanwhile."""

_OVERTAKEN: Final = frozenset({"publish.newer-exists", "record.equivocation"})
_NOT_OURS: Final = frozenset({"wallet-index.malformed", "wallet-index.damaged"})


@dataclass(frozen=True, slots=True)
class IndexVisit:
    """What was done for the index.

    Attributes:
        book: what is known of it now.
        written: number of the shard that was written, or None.
        error: why the shard that was due could not be, or None.
    """

    book: IndexBook
    written: int | None = None
    error: WalletError | None = None

    def to_json(self) -> dict[str, object]:
        """Return the shard that was written, when the next slot is, and what failed."""
        error = self.error
        return {
            "written": self.written,
            "next_s": self.book.next_s,
            "error": error.to_json() if error is not None else None,
        }


def has_index(session: Session) -> bool:
    """Tell whether the open wallet writes an index: it signs it, or carries one that was signed ahead."""
    return not session.facts().watch or session.drawer(None, carried.DRAWER) is not None


def plan_index(session: Session) -> IndexBook:
    """Give each shard a slot, and each identity that has a record a shard.

    A wallet without words gives slots to the shards that it carries, whatever those list.

    Raises:
        VaultError: ``vault.*``, ``agent.*``.
        FormatError: ``index-book.*``.
        InputError: ``wallet-index.full``.
        SignerError: ``wallet.watch-only`` where nothing is carried.
    """
    if session.facts().watch:
        count = len(carried.require_batch(session).keys)
        return change_book(session, lambda before: before.with_shards(count, time.time()).planned(time.time()))
    return change_book(session, lambda before: with_identities(session, before.planned(time.time())))


def keep_index(
    session: Session,
    *,
    dialer: Dialer | None = None,
    progress: Progress = silent,
    timeout_s: float = TIMEOUT_S,
) -> IndexVisit:
    """Plan the slots of the index, and write the shard that is due; one at a time, for two at once are one owner's.

    Args:
        session: the open wallet.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.
        timeout_s: how long a call to a relay may take, in seconds.

    Raises:
        VaultError: ``vault.*``, ``agent.*``.
        FormatError: ``index-book.*``.
    """
    book = plan_index(session)
    number = book.due(time.time())
    if number is None:
        return IndexVisit(book)
    progress(f"writing shard {number} of the wallet index")
    try:
        return IndexVisit(write_shard(session, number, dialer=dialer, timeout_s=timeout_s), number)
    except (FormatError, InputError, NetworkError, VerificationError) as failure:
        error: WalletError = failure
        book = change_book(session, lambda before: before.put(number, before.shards[number].failed(error)))
        return IndexVisit(book, None, error)


def with_identities(session: Session, book: IndexBook) -> IndexBook:
    """Return the book with all identities of the wallet that have a record listed.

    Raises:
        InputError: ``wallet-index.full``.
    """
    wallet = session.snapshot().wallet
    indices = [identity.index for identity in wallet.identities if identity.record is not None]
    return book.with_listed(Scheme(wallet.scheme), indices, time.time())


def write_shard(
    session: Session,
    number: int,
    relays: Sequence[str] = (),
    *,
    dialer: Dialer | None = None,
    timeout_s: float = TIMEOUT_S,
) -> IndexBook:
    """Write a shard now, and draw its next slot.

    Args:
        session: the open wallet; it holds the seed, or carries the shard.
        number: of the shard.
        relays: where it goes from now on; none: as `choose` says.
        dialer: opens connections; None: plain TCP.
        timeout_s: how long a call to a relay may take, in seconds.

    Returns:
        What is known of the index now.

    Raises:
        NetworkError: ``wallet-index.no-relay``, ``wallet-index.unreachable``, ``network.offline``;
            ``wallet-index.used-up`` where nothing is carried any more.
        ShortPublishError: ``publish.short``.
        FormatError: ``wallet-index.unknown-version``: a newer program has written it.
        VerificationError: ``publish.newer-exists`` if somebody keeps writing it; ``wallet-index.elsewhere`` if somebody
            else has written what is only carried here.
        VaultError: ``vault.*``, ``agent.*``.
    """
    route = dialer if dialer is not None else dialer_for(offline=False)
    key = shard_key(session, number)
    chosen = _targets(session, number, relays)
    memory = WalletMemory(session.snapshot().wallet)
    batch = carried.require_batch(session) if session.facts().watch else None
    for attempt in range(MAX_ATTEMPTS):
        packets = _shown(key, chosen, route, memory, timeout_s)
        if batch is not None:
            packet, content = _next_carried(session, batch, number, packets), NO_CONTENT
        else:
            content = _joined(session, number, _opened(session, number, packets))
            packet = sign_with(session, number, content, max(packets, default=-1))
        try:
            stored = client.publish(
                Record(packet, None),
                chosen,
                dialer=route,
                copies=1,
                for_identity=IdentityId(key).did,
                timeout_s=timeout_s,
                memory=memory,
            )
            break
        except VerificationError as error:
            if error.code not in _OVERTAKEN or attempt == MAX_ATTEMPTS - 1:
                raise
    memory.save(session)
    names = tuple(address.to_text() for address in chosen)
    said = replace(content, shards=None)

    def written(book: IndexBook) -> IndexBook:
        now_s = time.time()
        next_s, shard = int(now_s + EVERY.draw()), book.shards[number]
        seq = max(packet.seq, shard.seq if shard.seq is not None else -1)
        shard = replace(shard, said=said, seq=seq, next_s=next_s, written_s=int(now_s))
        shard = replace(shard, relays=names, stored=stored.relays)
        return book.put(number, replace(shard, fault=()))

    return change_book(session, written)


def _targets(session: Session, number: int, relays: Sequence[str]) -> list[NodeAddress]:
    if relays:
        names: Sequence[str] = relays
    else:
        book = change_book(session, lambda before: before.planned(time.time()))
        known = told_of_identities(session)
        shard = book.shards[number]
        names = choose(allowed_relays(session), shard.stored or shard.relays, known, os.urandom)
    return list(dict.fromkeys(NodeAddress.from_relay_text(text) for text in names))


def _next_carried(session: Session, batch: IndexBatch, number: int, seen: Mapping[int, SignedPacket]) -> SignedPacket:
    """Return what is written next of what was signed ahead; where there is nothing, the slot is over all the same."""
    book = change_book(session, lambda before: before.planned(time.time()))
    last = book.shards[number].seq
    try:
        return carried.next_carried(batch, number, last if last is not None else -1, seen)
    except (NetworkError, VerificationError):
        next_s = int(time.time() + EVERY.draw())
        change_book(session, lambda now: now.put(number, replace(now.shards[number], next_s=next_s)))
        raise


def _shown(
    key: bytes, relays: Sequence[NodeAddress], dialer: Dialer, memory: WalletMemory, timeout_s: float
) -> dict[int, SignedPacket]:
    """Return what relays have of a shard, by `seq`."""
    who = IdentityId(key)
    answers, _ = ask_relays(who, relays, dialer=dialer, memory=memory, for_identity=who.did, timeout_s=timeout_s)
    if all(answer.error is not None and answer.packet is None for answer in answers):
        first = answers[0].error
        if first is not None and first.code == "network.offline":
            raise first
        why = first.message if first is not None else ""
        raise NetworkError(
            "wallet-index.unreachable", f"no relay of the wallet index answers: {why}", "try again later"
        )
    return {answer.packet.seq: answer.packet for answer in answers if answer.packet is not None}


def _opened(session: Session, number: int, packets: Mapping[int, SignedPacket]) -> list[ShardContent]:
    """Return what packets of a shard say, newest first; what is no shard, though its key signed it, is written over."""
    found = []
    for seq in sorted(packets, reverse=True):
        try:
            found.append(open_with(session, number, packets[seq]))
        except (FormatError, VerificationError) as error:
            if error.code not in _NOT_OURS and not error.code.startswith("cbor."):
                raise
    return found


def _joined(session: Session, number: int, seen: Sequence[ShardContent]) -> ShardContent:
    """Join what relays have of a shard with what the wallet knows, and keep that; return what the shard will say.

    Nothing that was ever listed is left out: another wallet of these words may have listed it. What has no room in this
    shard goes to another one.
    """

    def change(before: IndexBook) -> IndexBook:
        now_s = time.time()
        book = before.with_shards(number + 1, now_s)
        content = seen[0] if seen else ShardContent()
        left: dict[Scheme, Ranges] = {}
        for more in (*seen[1:], book.shards[number].content):
            content = _filled(content, more, left)
        if number == 0:
            for one in seen:
                book = book.told(one, now_s)
        shards = list(book.shards)
        shards[number] = replace(shards[number], content=replace(content, shards=None))
        book = replace(book, shards=tuple(shards))
        for scheme, ranges in left.items():
            book = book.with_listed(scheme, ranges, now_s)
        return with_identities(session, book)

    book = change_book(session, change)
    content = book.shards[number].content
    return replace(content, shards=book.count) if number == 0 else content


def _filled(content: ShardContent, more: ShardContent, left: dict[Scheme, Ranges]) -> ShardContent:
    """Return `content` with as much of `more` as there is room for; the rest is put into `left`."""
    if (content | more).fits:
        return content | more
    for scheme in more.listed:
        for index in more.of(scheme):
            grown = content.with_index(scheme, index)
            if grown.fits:
                content = grown
            else:
                left[scheme] = left.get(scheme, NOTHING) | Ranges.of([index])
    return content
