"""Reading through libtorrent, which tells of a key what it finds, and not for whom it looked."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.dht.strangers import Stranger, stranger
from tests.dht.swarm import joined, new_key, signed, until
from walletcli.dht import session
from walletcli.dht.mainline import Mainline
from walletcli.dht.messages import Item
from walletcli.node.run import new_loop


class Slow:
    """A node that has one item, and lets libtorrent wait for it.

    Args:
        has: the item.
        waits_s: how long each question of libtorrent's waits for its answer, in seconds; the last for all further ones.
            It is answered with what was there when it came.
    """

    def __init__(self, has: Item | None, *waits_s: float) -> None:
        self.has = has
        self.libtorrent: tuple[str, int] | None = None
        self.looked_for: list[bytes] = []
        self._waits_s = list(waits_s)
        self._late: list[threading.Timer] = []
        self._is_over = False

    def reply(self, node: Stranger, query: dict[bytes, Any], address: Any) -> None:
        if query[b"q"] != b"get":
            node.answer(query, address)
            return
        more: dict[str, Any] = {}
        if self.has is not None:
            more = {"k": self.has.key, "seq": self.has.seq, "sig": self.has.signature, "v": self.has.value}
        if address != self.libtorrent:
            node.answer(query, address, **more)
            return
        self.looked_for.append(query[b"a"][b"target"])
        wait_s = self._waits_s.pop(0) if len(self._waits_s) > 1 else self._waits_s[0]
        late = threading.Timer(wait_s, node.answer, (query, address), more)
        self._late.append(late)
        if not self._is_over:
            late.start()

    def close(self) -> None:
        """Answer nothing more; its socket is closed next."""
        self._is_over = True
        for late in self._late:
            late.cancel()
            if late.is_alive():
                late.join()


def play(slow: Slow, story: Callable[[Mainline], Coroutine[Any, Any, None]]) -> None:
    """Run a story of a member that knows the slow node alone."""

    async def whole() -> None:
        async with joined([node.address]) as ours:
            slow.libtorrent = ours.session.addresses[0]
            await story(ours)

    with stranger(slow.reply) as node, contextlib.closing(slow), asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(whole())


async def gone_after(read: Coroutine[Any, Any, Item | None], wait_s: float) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(read, wait_s)


def test_a_read_does_not_end_with_what_an_earlier_one_would_have_found() -> None:
    key = new_key()
    first, second = signed(key, b"first", 1), signed(key, b"second", 2)
    slow = Slow(first, 0.6, 4.0)

    async def story(ours: Mainline) -> None:
        await gone_after(ours.get(first.key), 0.1)
        slow.has = second
        assert await ours.get(first.key) == second

    play(slow, story)
    assert len(slow.looked_for) == 1  # and libtorrent does not look twice at once


def test_reads_at_the_same_time_share_a_look_up() -> None:
    item = signed(new_key())
    slow = Slow(item, 0.2)

    async def story(ours: Mainline) -> None:
        assert await asyncio.gather(*(ours.get(item.key) for _ in range(5))) == [item] * 5

    play(slow, story)
    assert len(slow.looked_for) == 1


def test_an_old_look_up_is_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "SHARED_S", 0.0)
    key = new_key()
    first, second = signed(key, b"first", 1), signed(key, b"second", 2)
    slow = Slow(first, 0.8)

    async def story(ours: Mainline) -> None:
        long = asyncio.create_task(ours.get(first.key))
        await until(lambda: slow.looked_for)
        slow.has = second
        assert await ours.get(first.key) == second
        assert await long in (first, second)

    play(slow, story)


def test_libtorrent_is_asked_for_so_many_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "MAX_LOOK_UPS", 3)
    slow = Slow(None, 60.0)

    async def story(ours: Mainline) -> None:
        for _ in range(3):
            await gone_after(ours.get(signed(new_key()).key), 0.1)
        slow.has = signed(new_key())
        assert await ours.get(slow.has.key) == slow.has  # the writer finds it

    play(slow, story)
    assert len(slow.looked_for) == 3


def test_a_look_up_whose_end_libtorrent_never_tells_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "LOST_S", 0.1)
    slow = Slow(signed(new_key()), 60.0)

    async def story(ours: Mainline) -> None:
        assert slow.has is not None
        await gone_after(ours.get(slow.has.key), 0.2)
        assert await ours.get(slow.has.key) == slow.has

    play(slow, story)
    assert len(slow.looked_for) >= 2
