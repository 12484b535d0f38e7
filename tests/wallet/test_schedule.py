"""What the agent does by itself: at instants of each identity's own, by a child that ends with it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.node.local import WAIT_S, eventually
from tests.wallet.parts import HonestRelay, make_home, nobody, opened, password
from walletcli.errors import InputError
from walletcli.wallet.access import schedule as schedules
from walletcli.wallet.access.agent_session import find_agent
from walletcli.wallet.access.schedule import Interval, Schedule
from walletcli.wallet.access.unlock import lock, unlock
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity
from walletcli.wallet.index.book import IndexBook, change_book, read_book
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.relays import add_relay, remove_relay
from walletcli.wallet.sealed.sync_log import read_log
from walletcli.wallet.status import wallet_status

HOME = Home("/nowhere")
NOW_S, WALL_S = 1000.0, 1_700_000_000.0
INTERVAL = Interval(7200.0, 21_600.0)


@pytest.mark.parametrize(("low", "high"), [(0, 10), (-1, 10), (10, 9), (1, 31 * 86_400), (float("nan"), 5)])
def test_times_that_make_no_sense_are_refused(low: float, high: float) -> None:
    with pytest.raises(InputError) as error:
        Interval(low, high)
    assert error.value.code == "agent.interval"


def due(last_s: dict[int, int | None], interval: Interval = INTERVAL) -> dict[int, float]:
    schedule = Schedule(interval, HOME)
    schedule.plan(last_s, NOW_S, WALL_S)
    return {index: due_s - NOW_S for index, due_s in schedule._due.items()}


@pytest.mark.parametrize(
    ("tried_ago_s", "low_s", "high_s"),
    [
        (0, 7200, 21_600),
        (3600, 3600, 18_000),
        (30_000, 120, 600),
        (None, 120, 600),
        (-50_000, 7200, 21_600),
    ],
)
def test_the_next_time_is_counted_from_the_last(tried_ago_s: int | None, low_s: float, high_s: float) -> None:
    tried = int(WALL_S) - tried_ago_s if tried_ago_s is not None else None
    for _ in range(50):
        assert low_s <= due({0: tried})[0] <= high_s


def test_each_identity_has_an_instant_of_its_own() -> None:
    instants = due(dict.fromkeys(range(20), int(WALL_S)))
    assert len(set(instants.values())) == 20


def test_what_has_an_instant_keeps_it_and_what_is_gone_loses_it() -> None:
    schedule = Schedule(INTERVAL, HOME)
    schedule.plan({0: None, 1: None}, NOW_S, WALL_S)
    before = schedule._due[1]
    schedule.plan({1: int(WALL_S), 2: None}, NOW_S + 10, WALL_S + 10)
    assert schedule._due[1] == before
    assert sorted(schedule._due) == [1, 2]


def test_without_identities_nothing_is_due() -> None:
    schedule = Schedule(INTERVAL, HOME)
    schedule.plan({}, NOW_S, WALL_S)
    assert schedule.next_s() is None
    schedule.tick(NOW_S)
    assert schedule.child_pid is None


@pytest.fixture
def sleeper(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Schedule]]:
    """Make schedules whose child waits for its input to end, and then for ever."""
    made: list[Schedule] = []
    monkeypatch.setattr(schedules, "MODULE", "tests.wallet.sleeper")
    monkeypatch.chdir(Path(__file__).parents[2])
    start = subprocess.Popen

    def plain(command: list[str], **settings: object) -> object:
        return start([item for item in command if item != "-P"], **settings)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", plain)

    def make(interval: Interval = INTERVAL) -> Schedule:
        made.append(Schedule(interval, HOME))
        return made[-1]

    yield make
    for schedule in made:
        schedule.end()


def test_one_runs_at_a_time_and_what_is_due_meanwhile_is_put_off(sleeper: Callable[..., Schedule]) -> None:
    schedule = sleeper()
    schedule.plan({0: None, 1: None}, NOW_S, WALL_S)
    later_s = NOW_S + 700
    schedule.tick(later_s)
    pid = schedule.child_pid
    assert pid is not None
    first, second = sorted(due_s - later_s for due_s in schedule._due.values())
    assert 120 <= first <= 600
    assert 7200 <= second <= 21_600
    schedule.tick(later_s + 650)
    assert schedule.child_pid == pid


def test_what_hangs_is_killed_and_its_turn_comes_again(sleeper: Callable[..., Schedule]) -> None:
    schedule = sleeper()
    schedule.plan({0: None}, NOW_S, WALL_S)
    schedule.tick(NOW_S + 700)
    pid = schedule.child_pid
    assert pid is not None
    schedule.tick(NOW_S + 700 + 21_601)
    eventually(lambda: (schedule.tick(NOW_S + 700 + 21_602), schedule.child_pid != pid)[1])
    assert schedule.child_pid is not None  # the next turn had come


def test_the_end_ends_what_is_at_work(sleeper: Callable[..., Schedule]) -> None:
    schedule = sleeper()
    schedule.plan({0: None}, NOW_S, WALL_S)
    schedule.tick(NOW_S + 700)
    pid = schedule.child_pid
    assert pid is not None
    schedule.end()
    assert schedule.child_pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


# A real agent

OFTEN = Interval(0.2, 0.4)


@pytest.fixture
def published(tmp_path: Path, relay: HonestRelay) -> Home:
    """A wallet whose identity `alice` is published."""
    home = make_home(tmp_path / "often")
    add_relay(home, relay.url)
    with opened(home) as session:
        create_identity(session, "alice")
        publish_identity(session, "alice")
    return home


@pytest.fixture
def silent_server() -> Iterator[socket.socket]:
    """A listener at which nobody ever answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        listener.settimeout(WAIT_S)
        yield listener


def children(pid: int) -> list[int]:
    """Return the children of a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def asked(relay: HonestRelay) -> int:
    return len(relay.shelf.asked)


def test_an_unlocked_wallet_brings_its_identities_in_step(published: Home, relay: HonestRelay) -> None:
    before = asked(relay)
    unlock(published, password, interval=OFTEN)
    try:
        eventually(lambda: asked(relay) > before)
        with opened(published) as session:
            entry = eventually(lambda: read_log(session).get(0))
        assert entry.faults == ()
    finally:
        lock(published)


def test_what_fails_is_remembered_and_shown(published: Home, relay: HonestRelay) -> None:
    relay.close()
    unlock(published, password, interval=OFTEN)
    try:
        state = eventually(lambda: wallet_status(published, nobody).sync)[0]
        assert state.label == "alice"
        assert state.entry.done_s is None
        assert [fault.step for fault in state.entry.faults] == ["record"]
    finally:
        lock(published)


def test_it_expires_although_it_is_at_work_by_itself(published: Home, relay: HonestRelay) -> None:
    before = asked(relay)
    pid = unlock(published, password, idle_s=3.0, interval=OFTEN).pid
    eventually(lambda: asked(relay) > before)
    eventually(lambda: is_gone(pid), "the agent's end")
    assert find_agent(published) is None


@pytest.fixture
def busy(published: Home, relay: HonestRelay, silent_server: socket.socket) -> Iterator[tuple[int, int]]:
    """An agent and its child; the child waits for an answer that does not come."""
    remove_relay(published, relay.url)
    add_relay(published, f"http://127.0.0.1:{silent_server.getsockname()[1]}")
    pid = unlock(published, password, interval=OFTEN).pid
    try:
        # Only what has something to ask connects: a turn of the wallet index has nothing to do, and soon ends.
        with silent_server.accept()[0]:
            yield pid, children(pid)[0]
    finally:
        lock(published)


def test_locking_ends_what_it_is_doing(published: Home, busy: tuple[int, int]) -> None:
    _, child = busy
    assert lock(published)
    eventually(lambda: is_gone(child))


def test_what_it_is_doing_ends_when_it_is_killed(busy: tuple[int, int]) -> None:
    pid, child = busy
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: is_gone(child))


def test_neither_arguments_nor_environment_tell_which_identity_it_is(published: Home, busy: tuple[int, int]) -> None:
    _, child = busy
    shown = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
    assert shown[-3:] == [b"walletcli.wallet.sealed.scheduled", os.fsencode(published.path), b""]
    assert b"alice" not in Path(f"/proc/{child}/environ").read_bytes()


def test_without_an_interval_it_does_nothing_by_itself(published: Home, relay: HonestRelay) -> None:
    before = asked(relay)
    pid = unlock(published, password, idle_s=2.0).pid
    eventually(lambda: is_gone(pid))
    assert asked(relay) == before


@pytest.mark.parametrize("text", ["", "0", "x 1", "0 1 2", "-1 5"])
def test_the_child_wants_exactly_what_the_agent_says(published: Home, text: str) -> None:
    from walletcli.wallet.sealed.scheduled import main

    assert main([published.path], text) == 2


def test_the_child_ends_if_its_agent_is_gone_already(published: Home) -> None:
    code = "import sys; from walletcli.wallet.sealed.scheduled import main; sys.exit(main([sys.argv[1]], '0 1\\n'))"
    done = subprocess.run([sys.executable, "-c", code, published.path], check=False, timeout=60)
    assert done.returncode == 5


def test_the_wallet_index_is_due_at_its_slot_and_moves_with_it() -> None:
    schedule = Schedule(INTERVAL, HOME)
    schedule.plan({}, NOW_S, WALL_S, int(WALL_S) + 5000)
    assert schedule.next_s() == NOW_S + 5000
    schedule.plan({}, NOW_S + 10, WALL_S + 10, int(WALL_S) + 5000)
    assert schedule.next_s() == NOW_S + 5000
    schedule.plan({}, NOW_S + 10, WALL_S + 10, int(WALL_S) + 9010)
    assert schedule.next_s() == NOW_S + 9010
    schedule.plan({}, NOW_S + 10, WALL_S + 10, None)
    assert schedule.next_s() is None


@pytest.mark.parametrize("slot_s", [0, int(WALL_S) - 1])
def test_a_slot_of_the_wallet_index_that_has_passed_is_kept_soon_and_not_at_once(slot_s: int) -> None:
    for _ in range(50):
        schedule = Schedule(INTERVAL, HOME)
        schedule.plan({}, NOW_S, WALL_S, slot_s)
        next_s = schedule.next_s()
        assert next_s is not None
        assert 120 <= next_s - NOW_S <= 600


def test_a_slot_that_a_wrong_clock_drew_is_looked_at_within_a_month() -> None:
    schedule = Schedule(INTERVAL, HOME)
    schedule.plan({}, NOW_S, WALL_S, int(WALL_S) * 3)
    assert schedule.next_s() == NOW_S + 30 * 86_400


def test_the_agent_plans_the_wallet_index_and_writes_it_when_it_is_due(
    tmp_path: Path, relays: Callable[[], HonestRelay]
) -> None:
    home = make_home(tmp_path / "home")
    relay = relays()
    add_relay(home, relay.url)
    unlock(home, password, interval=OFTEN)
    try:
        eventually(lambda: _index(home) is not None)
        assert relay.shelf.packets == {}
        with opened(home) as session:
            change_book(session, lambda book: book.put(0, replace(book.shards[0], next_s=0)))
        eventually(lambda: bool(relay.shelf.packets))
        eventually(lambda: (book := _index(home)) is not None and book.shards[0].written_s is not None)
    finally:
        lock(home)


def _index(home: Home) -> IndexBook | None:
    with opened(home) as session:
        return read_book(session)
