from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.client.records import identity, record, unsigned
from tests.client.servers import Conversation, Server, Shelf
from walletcli.client.freshness import FreshnessMap, Seen
from walletcli.client.independence import WANTED_SOURCES, independent
from walletcli.client.resolution import Resolution
from walletcli.client.resolve import resolve
from walletcli.core.document_parts import Delegation, Power
from walletcli.errors import InputError
from walletcli.net.tcp import TcpDialer

Serve = Callable[[Callable[[Conversation], None]], Server]
Relay = Callable[..., tuple[Shelf, Server]]
ALICE = identity("alice")
ONE, TWO = identity("node one").did, identity("node two").did
TODAY = 20_000


def pinned(host: str, node: str) -> str:
    return f"walletcli://{host}/{node}"


def ask(*servers: Server, also: tuple[Server, ...] = (), memory: FreshnessMap | None = None) -> Resolution:
    return resolve(
        ALICE,
        [server.address for server in servers],
        also=[server.address for server in also],
        dialer=TcpDialer(),
        memory=memory if memory is not None else FreshnessMap(),
        timeout_s=2.0,
        now_s=TODAY * 86_400,
    )


def holding(relay: Relay, seq: int | None = 100) -> Server:
    shelf, server = relay()
    if seq is not None:
        shelf.put(record("alice", seq))
    return server


def lying(conversation: Conversation) -> None:
    while conversation.read() is not None:
        conversation.answer(200, unsigned(record("alice", 900).packet))


# --- what is one source


def test_different_hosts_and_keys_are_different_sources() -> None:
    addresses = ["https://a.example", "https://b.example", pinned("c.example:1", ONE)]
    assert independent(addresses) == tuple(addresses)


@pytest.mark.parametrize(
    "second",
    ["https://a.example:8443", "http://a.example", pinned("a.example:7", ONE)],
    ids=["another port", "in clear", "pinned"],
)
def test_two_addresses_of_one_host_are_one_source(second: str) -> None:
    assert independent(["https://a.example", second]) == ("https://a.example",)


def test_a_machine_that_has_many_ipv6_addresses_is_one_source() -> None:
    many = [f"https://[2001:db8::{number}]" for number in range(1, 5)]
    assert independent(many) == (many[0],)
    assert len(independent([*many, "https://[2001:db8:0:1::1]"])) == 2


def test_an_ipv4_address_written_as_ipv6_is_the_same_source() -> None:
    assert len(independent(["https://203.0.113.7", "https://[::ffff:203.0.113.7]:8443"])) == 1
    assert len(independent(["https://[::ffff:203.0.113.7]", "https://[::ffff:203.0.113.8]"])) == 2


def test_the_dht_is_one_source_whoever_it_is_entered_by() -> None:
    assert len(independent(["dht", "dht://a.example:6881", "dht://b.example:6881", "https://a.example"])) == 2


def test_two_hosts_of_one_node_are_one_source() -> None:
    assert len(independent([pinned("a.example:1", ONE), pinned("b.example:1", ONE)])) == 1
    assert len(independent([pinned("a.example:1", ONE), pinned("b.example:1", TWO)])) == 2


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 1, 0), (2, 0, 1), (1, 2, 0)])
def test_what_ties_two_addresses_together_does_so_whatever_the_order(order: tuple[int, int, int]) -> None:
    chain = [pinned("a.example:1", ONE), pinned("b.example:1", ONE), "https://b.example"]
    shuffled = [chain[number] for number in order]
    assert independent(shuffled) == (shuffled[0],)


def test_on_this_machine_the_port_tells_sources_apart() -> None:
    assert len(independent(["http://127.0.0.1:7000", "http://127.0.0.1:7001"])) == 2
    assert len(independent(["http://127.0.0.1:7000", "http://localhost:7000", "http://[::1]:7000"])) == 1


def test_the_same_address_twice_is_one_source_and_none_is_none() -> None:
    assert independent(["https://a.example", "https://A.example/"]) == ("https://a.example",)
    assert independent([]) == ()


def test_what_is_no_address_is_an_error() -> None:
    with pytest.raises(InputError, match="scheme"):
        independent(["ftp://a.example"])


# --- which answers count


def test_each_relay_that_says_what_it_has_counts(relay: Relay) -> None:
    found = ask(holding(relay), holding(relay, 50), holding(relay, None))
    assert len(found.independent) == 3
    assert found.may_start_trust
    assert [source["counts"] for source in found.to_json()["sources"]] == [True, True, True]  # type: ignore[index, union-attr]


def test_a_relay_that_gives_what_nobody_signed_does_not_count(relay: Relay, serve: Serve) -> None:
    found = ask(holding(relay), serve(lying))
    assert len(found.independent) == 1
    assert [source["counts"] for source in found.to_json()["sources"]] == [True, False]  # type: ignore[index, union-attr]


def test_a_relay_that_does_not_answer_does_not_count(relay: Relay) -> None:
    gone = holding(relay)
    gone.close()
    assert len(ask(holding(relay), gone).independent) == 1


def test_nodes_that_others_have_named_are_believed_and_do_not_count(relay: Relay) -> None:
    found = ask(holding(relay, 100), also=(holding(relay, 300), holding(relay, 200)))
    assert found.record.packet.seq == 300
    assert len(found.independent) == 1
    assert not found.may_start_trust


def test_nodes_that_others_have_named_may_be_all_that_is_asked(relay: Relay) -> None:
    found = ask(also=(holding(relay),))
    assert found.independent == ()
    assert not found.may_start_trust


def test_two_sources_are_too_few_for_a_newcomer_and_plenty_for_who_knows_the_identity(relay: Relay) -> None:
    servers = (holding(relay), holding(relay))
    assert not ask(*servers).may_start_trust
    memory = FreshnessMap()
    memory.put(ALICE.public_key, Seen.of(record("alice", 90)))
    assert ask(servers[0], memory=memory).may_start_trust
    assert WANTED_SOURCES == 3


# --- age


@pytest.mark.parametrize(
    ("starts", "latest"),
    [((TODAY - 9,), TODAY - 9), ((TODAY - 9, TODAY - 4), TODAY - 4), ((TODAY - 9, TODAY + 1), TODAY - 9), ((), None)],
    ids=["one", "the later of two", "not a future one", "none"],
)
def test_the_age_is_the_latest_date_that_has_come_and_never_the_seq(
    relay: Relay, starts: tuple[int, ...], latest: int | None
) -> None:
    shelf, server = relay()
    devices = [
        Delegation(identity(f"device {n}").public_key, bytes([9]) + bytes(31), frozenset({Power.HOST}), day, day + 30)
        for n, day in enumerate(starts)
    ]
    devices.sort(key=lambda device: device.signing_key)
    shelf.put(record("alice", (TODAY - 1) * 86_400_000_000, delegations=tuple(devices)))
    assert ask(server).latest_day == latest
