"""The index of a wallet whose words are on another machine: signed there for months, written here on its schedule."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wallet.airgap.parts import OTHER_WORDS, Machines, here
from tests.wallet.index.conftest import Clock
from tests.wallet.index.test_writing import TREE, held, hold, told
from tests.wallet.recovery.parts import Net
from walletcli.core.index_batch import MAX_WRITES, IndexBatch
from walletcli.core.keys import Scheme
from walletcli.core.wallet_index import Ranges, ShardContent, open_shard
from walletcli.errors import InputError, NetworkError, SignerError, UsageError, WalletError
from walletcli.wallet.access.session import Session
from walletcli.wallet.index import ahead
from walletcli.wallet.index.ahead import apply_batch, sign_ahead
from walletcli.wallet.index.book import read_book
from walletcli.wallet.index.carried import DRAWER
from walletcli.wallet.index.overview import publish_index, set_policy, show_index, slot_of
from walletcli.wallet.index.signing import open_with, sign_with
from walletcli.wallet.index.writing import keep_index, write_shard
from walletcli.wallet.relays import add_relay
from walletcli.wallet.sealed.sync_wallet import sync_wallet

OURS = Scheme.WALLETCLI


@pytest.fixture
def machines(tmp_path: Path, net: Net) -> Machines:
    """Two machines: the online one knows four relays, and has an identity of the cold one's words."""
    found = Machines(tmp_path / "stick")
    for url in net.urls:
        add_relay(found.online, url)
    found.create("alice")
    return found


@pytest.fixture
def online(machines: Machines) -> Iterator[Session]:
    """The online wallet, with an index that was signed ahead three times."""
    with here(machines.online) as session:
        apply_batch(session, signed(machines, 3))
        yield session


def signed(machines: Machines, writes: int = 3) -> str:
    """Have the cold machine sign; return the file."""
    path = machines.path()
    with here(machines.cold) as cold:
        sign_ahead(cold, path, writes)
    return path


def refusal(session: Session, path: str) -> str:
    with pytest.raises(WalletError) as raised:
        apply_batch(session, path)
    return raised.value.code


def left(session: Session) -> int | None:
    return show_index(session).shards[0].left


def test_what_was_signed_ahead_is_written_slot_by_slot_and_names_the_identities(
    online: Session, net: Net, clock: Clock
) -> None:
    assert keep_index(online).written is None
    assert told(net) == []
    seqs = []
    for remaining in (2, 1, 0):
        clock.forward(days=5.1)
        assert keep_index(online).written == 0
        assert left(online) == remaining
        assert [list(content.of(OURS)) for content in told(net)] == [[0]] * 3
        seqs.append(max(packet.seq for relay in net.relays if (packet := held(relay)) is not None))
    assert seqs == sorted(set(seqs))


def test_when_it_is_used_up_that_is_told_and_the_next_slot_is_drawn(online: Session, net: Net, clock: Clock) -> None:
    for _ in range(3):
        write_shard(online, 0)
    clock.forward(days=5.1)
    visit = keep_index(online)
    assert visit.error is not None
    assert visit.error.code == "wallet-index.used-up"
    assert keep_index(online).error is None, "it is not tried again before the next slot"
    assert show_index(online).shards[0].fault[0] == "wallet-index.used-up"
    assert [list(content.of(OURS)) for content in told(net)] == [[0]] * 3


def test_a_new_file_takes_the_place_of_the_old_one_and_names_who_was_made_since(
    machines: Machines, net: Net, clock: Clock
) -> None:
    old = signed(machines)
    with here(machines.online) as session:
        apply_batch(session, old)
        write_shard(session, 0)
    machines.create("bob")
    new = signed(machines)
    with here(machines.online) as session:
        apply_batch(session, new)
        assert left(session) == 3
        write_shard(session, 0)
        assert [list(content.of(OURS)) for content in told(net)] == [[0, 1]] * 3
        assert refusal(session, old) == "index-batch.older"
        apply_batch(session, new)
        assert left(session) == 2, "the same file again changes nothing"


def test_a_file_of_other_words_does_not_take_its_place(machines: Machines, online: Session) -> None:
    path = machines.path()
    with here(machines.restored_cold(OTHER_WORDS)) as other:
        sign_ahead(other, path, 2)
    assert refusal(online, path) == "index-batch.foreign"
    assert left(online) == 3


def test_what_another_wallet_of_the_words_wrote_since_is_not_written_over(
    online: Session, net: Net, clock: Clock
) -> None:
    write_shard(online, 0)
    more = ShardContent({OURS: Ranges.of([0, 5])}, 1)
    newest = max(packet.seq for relay in net.relays if (packet := held(relay)) is not None)
    hold(net, more, seq=newest + 10_000_000_000)
    clock.forward(days=5.1)
    visit = keep_index(online)
    assert visit.error is not None
    assert visit.error.code == "wallet-index.elsewhere"
    assert [list(content.of(OURS)) for content in told(net)] == [[0, 5]] * 4
    assert keep_index(online).error is None


def test_what_lies_there_from_before_it_was_signed_gives_way(online: Session, net: Net) -> None:
    hold(net, ShardContent({OURS: Ranges.of([0])}, 1), seq=5)
    write_shard(online, 0)
    assert len([packet for relay in net.relays if (packet := held(relay)) is not None and packet.seq > 5]) == 3


def test_who_publishes_the_stolen_file_early_ends_nothing_but_the_writes_before(online: Session, net: Net) -> None:
    batch = IndexBatch.from_bytes(online.drawer(None, DRAWER) or b"")
    second = batch.shards[0][1]
    for relay in net.relays:
        relay.shelf.packets[second.public_key] = second
    write_shard(online, 0)
    assert {packet.seq for relay in net.relays if (packet := held(relay)) is not None} >= {batch.shards[0][2].seq}


def test_the_machine_that_carries_it_can_neither_read_nor_sign_it(online: Session) -> None:
    batch = IndexBatch.from_bytes(online.drawer(None, DRAWER) or b"")
    with pytest.raises(SignerError) as refused:
        open_with(online, 0, batch.shards[0][0])
    assert refused.value.code == "wallet.watch-only"
    with pytest.raises(SignerError):
        sign_with(online, 0, ShardContent({}, 1), -1)
    shard = show_index(online).shards[0]
    assert (shard.identities, shard.key) == (None, TREE.index_key(0).public_key)
    assert show_index(online).waiting == ()
    book = read_book(online)
    assert book is not None
    assert all(not item.content.listed and not item.said.listed for item in book.shards)


def test_no_packet_of_a_batch_says_more_than_the_words_can_read(machines: Machines) -> None:
    batch = IndexBatch.from_bytes(Path(signed(machines)).read_bytes())
    found = [open_shard(TREE.index_key(0), 0, packet) for packet in batch.shards[0]]
    assert found == [ShardContent({OURS: Ranges.of([0])}, 1)] * 3
    assert len({packet.value for packet in batch.shards[0]}) == 3, "no two of them look alike"


def test_a_seq_that_was_signed_ahead_is_never_used_again(machines: Machines) -> None:
    first, second = (IndexBatch.from_bytes(Path(signed(machines)).read_bytes()) for _ in range(2))
    assert second.follows(first)


def test_synchronizing_writes_what_is_due(online: Session, net: Net, clock: Clock) -> None:
    clock.forward(days=3.1)
    visit = sync_wallet(online, spread_s=0).index
    assert visit is not None
    assert visit.written == 0
    assert len(told(net)) == 3


def test_a_wallet_that_carries_nothing_has_no_index(machines: Machines) -> None:
    with here(machines.online) as session:
        assert sync_wallet(session, spread_s=0).index is None
        for attempt in (
            lambda: show_index(session),
            lambda: publish_index(session),
            lambda: set_policy(session, is_on=False),
            lambda: keep_index(session),
        ):
            with pytest.raises(SignerError) as refused:
                attempt()
            assert refused.value.code == "wallet.watch-only"


def test_it_is_published_at_once_and_turned_off_like_any_other(online: Session, net: Net, clock: Clock) -> None:
    publish_index(online)
    assert len(told(net)) == 3
    assert slot_of(online, online.snapshot().wallet.identities[0].public_key) is None
    set_policy(online, is_on=False)
    clock.forward(days=10)
    assert keep_index(online).written is None
    with pytest.raises(UsageError):
        publish_index(online)


def test_relays_that_do_not_answer_leave_the_slot_where_it_was(online: Session, net: Net, clock: Clock) -> None:
    for relay in net.relays:
        relay.close()
    clock.forward(days=5.1)
    visit = keep_index(online)
    assert isinstance(visit.error, NetworkError)
    assert visit.error.code == "wallet-index.unreachable"
    assert left(online) == 3
    assert visit.book.due(clock()) == 0


@pytest.mark.parametrize("writes", [0, -1, MAX_WRITES + 1])
def test_it_is_signed_a_number_of_times_that_a_file_has_room_for(machines: Machines, writes: int) -> None:
    with here(machines.cold) as cold, pytest.raises(InputError) as refused:
        sign_ahead(cold, machines.path(), writes)
    assert refused.value.code == "index-batch.writes"


def test_a_file_that_is_there_is_left_alone_and_nothing_is_signed(machines: Machines) -> None:
    path = signed(machines)
    data = Path(path).read_bytes()
    with here(machines.cold) as cold:
        before = read_book(cold)
        with pytest.raises(InputError) as refused:
            sign_ahead(cold, path)
        assert refused.value.code == "file.exists"
        assert read_book(cold) == before
    assert Path(path).read_bytes() == data
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_each_side_does_its_own_half(machines: Machines, online: Session) -> None:
    with pytest.raises(SignerError) as refused:
        sign_ahead(online, machines.path())
    assert refused.value.code == "wallet.watch-only"
    path = signed(machines)
    with here(machines.cold) as cold:
        assert refusal(cold, path) == "index-batch.has-seed"


def test_a_file_that_is_none_changes_nothing(machines: Machines, online: Session) -> None:
    path = machines.path()
    for data in (b"", b"garbage", Path(signed(machines)).read_bytes()[:-1]):
        Path(path).write_bytes(data)
        with pytest.raises(WalletError):
            apply_batch(online, path)
    assert left(online) == 3


def test_the_cold_machine_knows_what_it_has_signed(machines: Machines) -> None:
    with here(machines.cold) as cold:
        assert show_index(cold).waiting == ("alice",)
        found = ahead.sign_ahead(cold, machines.path())
        assert (found.writes, found.identities) == (ahead.WRITES, 1)
        assert show_index(cold).waiting == ()
