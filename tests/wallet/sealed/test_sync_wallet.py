"""Several identities: random order, instants of their own, and a log of how it went."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.wallet.parts import HonestRelay
from walletcli.core import cbor
from walletcli.errors import FormatError, NetworkError
from walletcli.net.addresses import NodeAddress
from walletcli.net.stream import Stream
from walletcli.net.tcp import TcpDialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.identities import create_identity
from walletcli.wallet.pacing import random_waits
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.sealed import sync_log
from walletcli.wallet.sealed.sync_log import SyncEntry, SyncFault, change_log, from_bytes, read_log, to_bytes
from walletcli.wallet.sealed.sync_wallet import log_failure, sync_wallet

ENTRIES = [
    SyncEntry(0, 1_700_000_000, 1_700_000_000),
    SyncEntry(7, 1_700_000_000, None, 1_600_000_000, (SyncFault("data", "host.timeout", "no answer"),)),
]


def test_a_log_comes_back_as_it_was() -> None:
    assert from_bytes(to_bytes(ENTRIES)) == {entry.index: entry for entry in ENTRIES}
    assert from_bytes(to_bytes([])) == {}


ROW: list[object] = [7, 1, None, None, [["data", "host.timeout", "no answer"]]]


@pytest.mark.parametrize(
    "rows",
    [
        [ROW, ROW],
        [[8, *ROW[1:]], ROW],
        [[-1, *ROW[1:]]],
        [[*ROW, 1]],
        [[*ROW[:4], [["data", "x"]]]],
        [[*ROW[:4], [["data", "x", "y" * 3000]]]],
        [[7, None, None, None, []]],
        1,
    ],
)
def test_what_is_no_log_is_refused(rows: object) -> None:
    with pytest.raises(FormatError):
        from_bytes(cbor.encode({1: 1, 2: rows}))


def test_a_log_of_a_newer_version_says_so() -> None:
    with pytest.raises(FormatError) as error:
        from_bytes(cbor.encode({1: 2, 2: []}))
    assert error.value.code == "sync-log.unknown-version"


def test_a_long_message_is_cut_and_stays_text() -> None:
    fault = SyncFault.of("data", NetworkError("host.timeout", "ä" * 3000))
    assert from_bytes(to_bytes([SyncEntry(0, 1, faults=(fault,))]))[0].faults == (fault,)
    assert len(fault.message.encode()) <= sync_log.MAX_MESSAGE_BYTES


def test_an_entry_is_written_on_top_of_what_another_process_wrote(session: Session) -> None:
    def change(before: SyncEntry | None) -> SyncEntry:
        if not read_log(session):
            change_log(session, 3, lambda _: SyncEntry(3, 5))
        return SyncEntry(4, 6)

    change_log(session, 4, change)
    assert sorted(read_log(session)) == [3, 4]


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_waits_lie_within_the_spread_and_the_first_is_none(count: int) -> None:
    waits = random_waits(count, 300.0)
    assert len(waits) == count
    assert waits[:1] == [0.0][:count]
    assert all(wait >= 0 for wait in waits)
    assert sum(waits) <= 300.0


def test_waits_differ_from_run_to_run() -> None:
    assert len({tuple(random_waits(3, 300.0)) for _ in range(20)}) == 20


@pytest.fixture
def three(session: Session, relay: HonestRelay) -> Session:
    """A wallet with three published identities, and one that is not."""
    for label in ("one", "two", "three", "draft"):
        create_identity(session, label)
    for label in ("one", "two", "three"):
        publish_identity(session, label, [relay.url], accept_link=True)
    return session


def test_all_that_are_published_are_visited_in_an_order_of_its_own(three: Session) -> None:
    orders: Counter[tuple[str, ...]] = Counter()
    for _ in range(12):
        pauses: list[float] = []
        done = sync_wallet(three, spread_s=60.0, pause=pauses.append)
        assert len(pauses) == 2
        orders[tuple(report.identity.label for report in done.reports)] += 1
    assert all(sorted(order) == ["one", "three", "two"] for order in orders)
    assert len(orders) > 1


def test_who_is_named_twice_is_visited_once(three: Session) -> None:
    done = sync_wallet(three, ["one", "ONE"], spread_s=0)
    assert [report.identity.label for report in done.reports] == ["one"]


def test_how_it_went_is_remembered(three: Session, relay: HonestRelay) -> None:
    from walletcli.wallet.relays import add_relay

    add_relay(three.home, relay.url)
    assert sync_wallet(three, ["one"], spread_s=0).shortfall is None
    (entry,) = read_log(three).values()
    assert (entry.index, entry.faults) == (0, ())
    assert entry.done_s == entry.tried_s
    relay.close()
    done = sync_wallet(three, ["one"], spread_s=0)
    assert done.shortfall is not None
    assert done.shortfall.exit_code == 11
    (after,) = read_log(three).values()
    assert after.done_s == entry.done_s
    assert [fault.step for fault in after.faults] == ["record"]
    log_failure(three, 0, NetworkError("network.offline", "nothing"))
    assert read_log(three)[0].done_s == entry.done_s


class Recording:
    """Opens connections over TCP, and remembers on whose behalf."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self._dialer = TcpDialer()

    def dial(self, address: NodeAddress, for_identity: str | None, deadline_s: float) -> Stream:
        self.asked.append(for_identity)
        return self._dialer.dial(address, for_identity, deadline_s)


def test_each_connection_is_of_one_identity_and_none_is_opened_for_nobody(three: Session, relay: HonestRelay) -> None:
    from walletcli.wallet.relays import add_relay

    add_relay(three.home, relay.url)
    dialer = Recording()
    done = sync_wallet(three, spread_s=0, dialer=dialer)
    assert None not in dialer.asked
    order = [report.did for report in done.reports]
    assert list(dict.fromkeys(dialer.asked)) == order, "one identity after the other, never interleaved"
    assert dialer.asked == sorted(dialer.asked, key=lambda did: order.index(str(did)))
