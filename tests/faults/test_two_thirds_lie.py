"""Two thirds of the relays lie: three real nodes hold the truth, six others whatever suits them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.client.records import identity, record
from tests.client.servers import Asked, Conversation, Server, Shelf
from tests.node.local import LocalNode, running
from tests.wallet.parts import WORDS
from tests.wallet.recovery.parts import Lost, go, published
from walletcli.client.freshness import FreshnessMap, Seen
from walletcli.client.publish import publish
from walletcli.client.resolution import Outcome, Resolution
from walletcli.client.resolve import resolve
from walletcli.core.record import Record
from walletcli.errors import VerificationError
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer

Script = Callable[[Conversation], None]
OLD, TRUE = record("alice", 100, profile={"name": "Old"}), record("alice", 200, profile={"name": "Alice"})
NEXT, OTHER = record("alice", 300, profile={"name": "One"}), record("alice", 300, profile={"name": "Two"})


@pytest.fixture
def honest(tmp_path: Path) -> Iterator[list[LocalNode]]:
    """Three nodes of this project, in this process."""
    with ExitStack() as stack:
        yield [stack.enter_context(running(tmp_path / f"node{number}", limits=False)) for number in range(3)]


@pytest.fixture
def liars() -> Iterator[Callable[..., list[NodeAddress]]]:
    """Return a function that starts a liar for each script."""
    servers: list[Server] = []

    def start(*scripts: Script) -> list[NodeAddress]:
        servers.extend(map(Server, scripts))
        return [server.address for server in servers[-len(scripts) :]]

    yield start
    for server in servers:
        server.close()


def shelf(*records: Record, lie: Callable[[Asked, tuple[int, bytes]], tuple[int, bytes]] | None = None) -> Script:
    """A relay that holds `records`, the last of each identity, and whose answers `lie` may change."""
    held = Shelf()
    for one in records:
        held.put(one)
    honest = held.decide
    if lie is not None:
        held.decide = lambda asked: lie(asked, honest(asked))  # type: ignore[method-assign] # a liar
    return held.converse


def forged(asked: Asked, answer: tuple[int, bytes]) -> tuple[int, bytes]:
    """Turn a bit of every packet's signature."""
    if asked.path.startswith("/document/") or answer[0] != 200:
        return answer
    return 200, bytes([answer[1][0] ^ 1]) + answer[1][1:]


def without_documents(asked: Asked, answer: tuple[int, bytes]) -> tuple[int, bytes]:
    """Know of no document."""
    return (404, b"") if asked.path.startswith("/document/") else answer


def silent(conversation: Conversation) -> None:
    """Hang up."""


def nothing(conversation: Conversation) -> None:
    while conversation.read():
        conversation.answer(404)


def garbage(conversation: Conversation) -> None:
    while conversation.read():
        conversation.answer(200, b"<html>It works!</html>")


def urls(nodes: list[LocalNode]) -> list[NodeAddress]:
    return [NodeAddress.from_text(node.url) for node in nodes]


def ask(*addresses: NodeAddress, memory: FreshnessMap | None = None) -> Resolution:
    return resolve(identity("alice"), addresses, dialer=TcpDialer(), memory=memory)


def told(found: Resolution) -> dict[str, tuple[Outcome, str | None]]:
    return {source.address: (source.outcome, source.error_code) for source in found.sources}


def test_the_right_state_wins_and_each_liar_is_named(
    honest: list[LocalNode], liars: Callable[..., list[NodeAddress]]
) -> None:
    good = urls(honest)
    publish(TRUE, good, dialer=TcpDialer())
    bad = liars(shelf(OLD), shelf(TRUE, lie=forged), nothing, garbage, silent, shelf(TRUE, lie=without_documents))
    memory = FreshnessMap()
    found = ask(*bad[:3], *good, *bad[3:], memory=memory)
    assert found.record == TRUE
    assert memory.get(identity("alice").public_key) == Seen.of(TRUE)
    assert told(found) == {
        **{address.to_text(): (Outcome.CURRENT, None) for address in good},
        bad[0].to_text(): (Outcome.OLDER, None),
        bad[1].to_text(): (Outcome.FAILED, "signature.invalid"),
        bad[2].to_text(): (Outcome.NOT_FOUND, None),
        bad[3].to_text(): (Outcome.FAILED, "relay.bad-answer"),
        bad[4].to_text(): (Outcome.FAILED, "relay.unreachable"),
        bad[5].to_text(): (Outcome.CURRENT, None),
    }
    counted = {address.to_text() for address in (*good, bad[0], bad[2], bad[5])}
    assert set(found.independent) == counted, "who gives what nobody signed is no source"


def test_one_honest_node_of_nine_is_enough_for_the_newest_state(
    honest: list[LocalNode], liars: Callable[..., list[NodeAddress]]
) -> None:
    publish(OLD, urls(honest), dialer=TcpDialer())
    publish(TRUE, urls(honest)[:1], dialer=TcpDialer())
    bad = liars(*[shelf(OLD)] * 4, *[nothing] * 2)
    found = ask(*bad, *urls(honest))
    assert found.record == TRUE
    assert [outcome for outcome, _ in told(found).values()].count(Outcome.OLDER) == 6


def test_who_knows_the_state_refuses_a_majority_that_serves_an_older_one(
    honest: list[LocalNode], liars: Callable[..., list[NodeAddress]]
) -> None:
    memory = FreshnessMap()
    memory.put(identity("alice").public_key, Seen.of(TRUE))
    bad = liars(*[shelf(OLD)] * 6)
    with pytest.raises(VerificationError) as refused:
        ask(*bad, memory=memory)
    assert refused.value.code == "record.stale"
    assert all(address.to_text() in refused.value.message for address in bad)
    publish(TRUE, urls(honest), dialer=TcpDialer())
    found = ask(*bad, *urls(honest), memory=memory)
    assert found.record == TRUE
    assert [told(found)[address.to_text()][0] for address in bad] == [Outcome.STALE] * 6


def test_a_split_that_a_majority_shows_keeps_who_knows_at_the_state_before_and_names_everybody(
    honest: list[LocalNode], liars: Callable[..., list[NodeAddress]]
) -> None:
    publish(TRUE, urls(honest), dialer=TcpDialer())
    bad = liars(*[shelf(NEXT)] * 3, *[shelf(OTHER)] * 3)
    with pytest.raises(VerificationError) as refused:
        ask(*bad, *urls(honest))
    assert refused.value.code == "record.equivocation"
    assert all(address.to_text() in refused.value.message for address in bad)
    memory = FreshnessMap()
    memory.put(identity("alice").public_key, Seen.of(TRUE))
    found = ask(*bad, *urls(honest), memory=memory)
    assert found.record == TRUE
    assert [told(found)[address.to_text()][0] for address in bad] == [Outcome.SPLIT] * 6
    assert set(found.splits[0].addresses) == {address.to_text() for address in bad}


def test_a_restore_comes_back_to_the_right_state_and_reports_who_did_not_answer(
    honest: list[LocalNode], liars: Callable[..., list[NodeAddress]], tmp_path: Path
) -> None:
    lost = Lost(tmp_path, WORDS)
    before = [published(lost.tree, index, f"former {index}") for index in range(3)]
    newest = [
        published(lost.tree, index, f"label {index}", seq=before[index].packet.seq + 1_000_000) for index in range(3)
    ]
    for one in newest:
        publish(one, urls(honest), dialer=TcpDialer())
    bad = liars(shelf(*before), shelf(*before), shelf(*newest, lie=forged), nothing, garbage, silent)
    asked = [address.to_text() for address in (*bad, *urls(honest))]
    with lost.begin(*asked, gap=3) as session:
        report = go(session)
        assert sorted(found.view.label for found in report.restored) == ["label 0", "label 1", "label 2"]
        for found in report.restored:
            signed = found.view.record
            assert signed is not None
            assert Record.from_bytes(signed).packet.seq > newest[found.view.index].packet.seq
            assert set(found.entry.answered) == {*asked[:2], asked[3], *asked[6:]}
        silenced = {item.missing.place for item in report.not_found if item.missing.kind == "relay"}
        assert silenced == {asked[2], asked[4], asked[5]}, "who lied about signatures, or said nothing of use"
