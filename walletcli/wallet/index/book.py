"""What a wallet knows of its own index: what each shard lists, where it lies, when it was written and will be again.

It is a drawer of the vault, so the schedule is sealed like everything else.

Spec: docs/spec/wallet-index.md, "Drawer" and "Schedule".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from walletcli.core import bep44, cbor
from walletcli.core.keys import Scheme
from walletcli.core.wallet_index import NOTHING, SCHEMES, STEPS, Ranges, ShardContent, step_for
from walletcli.errors import FormatError, VaultError, WalletError
from walletcli.net.addresses import MAX_ADDRESS_CHARS
from walletcli.wallet.access.schedule import Interval
from walletcli.wallet.state.fields import Fields
from walletcli.wallet.state.view import MAX_DRAWER_BYTES

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session

DRAWER: Final = "wallet-index"
"""Name of the wallet's own drawer."""

VERSION: Final = 1
"""Version of the format."""

_DAY_S: Final = 86_400.0

EVERY: Final = Interval(3 * _DAY_S, 5 * _DAY_S)
"""Between two writes of a shard, whether or not anything changed."""

FIRST: Final = Interval(3600.0, 3 * _DAY_S)
"""From the instant at which a wallet hears of a shard to that shard's first write."""

MAX_MESSAGE_BYTES: Final = 1024
"""Longest message of a fault that is kept, bytes of UTF-8."""

MAX_ATTEMPTS: Final = 20
"""How often a change is made again because another process was quicker."""

NO_CONTENT: Final = ShardContent()
"""Lists nothing."""

_WHAT: Final = "index-book"


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard.

    Attributes:
        content: what it is to list; the number of shards is not in it.
        said: what it listed when this wallet last wrote it.
        next_s: its next slot, Unix time in seconds.
        seq: highest that was signed or seen; None: nobody is known to have written it.
        written_s: when this wallet last wrote it, Unix time in seconds, or None.
        relays: where it goes, as text.
        stored: those that held it when they were asked again.
        fault: code and message of why the last try failed, or nothing.
    """

    content: ShardContent
    next_s: int
    said: ShardContent = NO_CONTENT
    seq: int | None = None
    written_s: int | None = None
    relays: tuple[str, ...] = ()
    stored: tuple[str, ...] = ()
    fault: tuple[str, ...] = ()

    def to_row(self) -> list[object]:
        """Return the CBOR list that stands for the shard."""
        relays, stored, fault = list(self.relays), list(self.stored), list(self.fault)
        lists = [_to_map(self.content), _to_map(self.said)]
        return [*lists, self.next_s, self.seq, self.written_s, relays, stored, fault]

    @classmethod
    def from_row(cls, value: object) -> Shard:
        """Read the list that `to_row` wrote; raises FormatError ``index-book.malformed``."""
        row = Fields.of_row(value, _WHAT)
        shard = cls(
            _from_map(row.fields(0)),
            row.integer(2),
            _from_map(row.fields(1)),
            row.optional_integer(3, bep44.MAX_SEQ),
            row.optional_integer(4),
            row.texts(5),
            row.texts(6),
            row.texts(7),
        )
        row.end()
        if len(shard.fault) not in (0, 2):
            raise _malformed("half a fault")
        if any(len(text) > MAX_ADDRESS_CHARS for text in (*shard.relays, *shard.stored)):
            raise _malformed("an address is too long")
        return shard

    @property
    def waiting(self) -> int:
        """How many identities it will list with its next slot that it did not list when it was written last."""
        return sum(len(self.content.of(scheme)) - len(self.said.of(scheme)) for scheme in SCHEMES)

    def failed(self, error: WalletError) -> Shard:
        """Return the shard after a try that ended in `error`."""
        message = error.message.encode()[:MAX_MESSAGE_BYTES].decode("utf-8", "ignore")
        return replace(self, fault=(error.code, message))


def _to_map(content: ShardContent) -> dict[int, list[int]]:
    return {number: content.of(scheme).to_row() for number, scheme in enumerate(SCHEMES) if content.of(scheme)}


def _from_map(lists: Fields) -> ShardContent:
    listed = {scheme: Ranges.from_row(lists.items(n)) for n, scheme in enumerate(SCHEMES) if lists.has(n)}
    lists.end()
    if not all(listed.values()):
        raise _malformed("an empty list")
    return ShardContent(listed)


@dataclass(frozen=True, slots=True)
class IndexBook:
    """All that is known.

    Attributes:
        is_on: whether shards are written on schedule.
        count: how many shards shard 0 tells of: all of them have been written.
        shards: by number; as many as `count`, or more.
    """

    is_on: bool = True
    count: int = 1
    shards: tuple[Shard, ...] = field(default=())

    def to_bytes(self) -> bytes:
        """Encode the book."""
        return cbor.encode({1: VERSION, 2: self.is_on, 3: self.count, 4: [shard.to_row() for shard in self.shards]})

    @classmethod
    def from_bytes(cls, data: bytes) -> IndexBook:
        """Decode a book.

        Raises:
            FormatError: ``index-book.malformed``, ``index-book.unknown-version``, ``wallet-index.malformed``,
                ``cbor.*``.
        """
        fields = Fields(cbor.decode(data, MAX_DRAWER_BYTES), _WHAT)
        if fields.integer(1) != VERSION:
            raise FormatError(
                "index-book.unknown-version",
                "what is remembered of the wallet index was written by a newer version of walletcli",
                "update walletcli",
            )
        book = cls(fields.flag(2), fields.integer(3), tuple(Shard.from_row(item) for item in fields.items(4)))
        fields.end()
        if book.count not in STEPS or not book.shards or len(book.shards) not in STEPS:
            raise _malformed("the number of shards is not one of the steps")
        if book.count > len(book.shards):
            raise _malformed("it tells of more shards than it has")
        return book

    def of(self, scheme: Scheme) -> Ranges:
        """Return the identities of a scheme that its shards list."""
        listed = NOTHING
        for shard in self.shards:
            listed |= shard.content.of(scheme)
        return listed

    def put(self, number: int, shard: Shard) -> IndexBook:
        """Return the book with a shard in place of the one with its number."""
        shards = (*self.shards[:number], shard, *self.shards[number + 1 :])
        count = max(step for step in STEPS if step <= max(1, _written(shards)))
        return replace(self, shards=shards, count=max(self.count, count))

    def with_shards(self, count: int, now_s: float) -> IndexBook:
        """Return the book with at least `count` shards, new ones with a first slot of their own."""
        missing = max(step_for(count) - len(self.shards), 0)
        new = tuple(Shard(NO_CONTENT, int(now_s + FIRST.draw())) for _ in range(missing))
        return replace(self, shards=self.shards + new)

    def told(self, content: ShardContent, now_s: float) -> IndexBook:
        """Return the book after shard 0 was read: it may tell of more shards."""
        count = max(self.count, content.shards or 1)
        return replace(self.with_shards(count, now_s), count=count)

    def with_listed(self, scheme: Scheme, indices: Iterable[int], now_s: float) -> IndexBook:
        """Return the book with these identities listed, each in the first shard that has room.

        What is listed stays where it is: a shard that is written later than another one must not lack what moved.

        Raises:
            InputError: ``wallet-index.full``.
        """
        book = self.with_shards(1, now_s)
        known = book.of(scheme)
        for start, stop in Ranges.of(index for index in indices if index not in known).spans:
            for index in range(start, stop):
                book = book._with_one(scheme, index, now_s)
        return book

    def _with_one(self, scheme: Scheme, index: int, now_s: float) -> IndexBook:
        for number, shard in enumerate(self.shards):
            content = shard.content.with_index(scheme, index)
            if content.fits:
                return replace(
                    self,
                    shards=(*self.shards[:number], replace(shard, content=content), *self.shards[number + 1 :]),
                )
        return self.with_shards(len(self.shards) + 1, now_s)._with_one(scheme, index, now_s)

    def planned(self, now_s: float) -> IndexBook:
        """Return the book with a slot for each shard that can be true: a clock that was wrong may have drawn it."""
        latest_s = now_s + EVERY.max_s
        shards = tuple(
            replace(shard, next_s=int(now_s + EVERY.draw())) if shard.next_s > latest_s else shard
            for shard in self.with_shards(1, now_s).shards
        )
        return replace(self, shards=shards)

    def due(self, now_s: float) -> int | None:
        """Return the number of the shard whose slot has passed longest, or None."""
        passed = [(shard.next_s, number) for number, shard in enumerate(self.shards) if shard.next_s <= now_s]
        return min(passed)[1] if passed and self.is_on else None

    def summary(self) -> dict[str, object]:
        """Return whether it is on, when it was written last in full, its next slot, who waits for it, what failed."""
        written = [shard.written_s for shard in self.shards if shard.written_s is not None]
        fault = next((shard.fault for shard in self.shards if shard.fault), ())
        return {
            "on": self.is_on,
            "written_s": min(written) if len(written) == len(self.shards) else None,
            "next_s": self.next_s,
            "waiting": sum(shard.waiting for shard in self.shards),
            "fault": {"code": fault[0], "message": fault[1]} if fault else None,
        }

    @property
    def next_s(self) -> int | None:
        """The next slot of any shard, Unix time in seconds; None if it is off."""
        return min((shard.next_s for shard in self.shards), default=0) if self.is_on else None


def _written(shards: tuple[Shard, ...]) -> int:
    """Return how many shards, from the first one on, have been written by somebody."""
    return next((number for number, shard in enumerate(shards) if shard.seq is None), len(shards))


def read_book(session: Session) -> IndexBook | None:
    """Return what the open wallet knows of its index, or None if it has not begun one.

    Raises:
        FormatError: ``index-book.*``, ``wallet-index.malformed``, ``cbor.*``.
    """
    data = session.drawer(None, DRAWER)
    return IndexBook.from_bytes(data) if data is not None else None


def change_book(session: Session, change: Callable[[IndexBook], IndexBook]) -> IndexBook:
    """Write what `change` makes of the book; made again on top of what another process wrote meanwhile.

    Raises:
        VaultError: ``vault.busy``, ``vault.*``.
        FormatError, InputError: what `change` ends in.
    """
    from walletcli.wallet.state.changes import PutDrawer

    for _ in range(MAX_ATTEMPTS):
        before = session.drawer(None, DRAWER)
        book = change(IndexBook.from_bytes(before) if before is not None else IndexBook())
        data = book.to_bytes()
        if data == before:
            return book
        digest = hashlib.sha256(before).digest() if before is not None else None
        try:
            session.put_drawers(PutDrawer(None, DRAWER, data, digest))
        except VaultError as error:
            if error.code != "drawer.changed":
                raise
        else:
            return book
    raise VaultError("vault.busy", "other processes keep changing the wallet", "try again")


def _malformed(why: str) -> FormatError:
    return FormatError("index-book.malformed", f"malformed index-book: {why}")
