"""What is remembered of sealed data: it comes back, never goes back, and what is no memory is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.wallet.parts import Session
from walletcli.core import cbor
from walletcli.errors import FormatError, VaultError
from walletcli.wallet.sealed.index import SealedIndex
from walletcli.wallet.sealed.memory import (
    MAX_PLANS,
    DataMemory,
    Nameless,
    Plan,
    PlannedPiece,
    change_memory,
    read_memory,
)
from walletcli.wallet.sealed.reading import SeenIndex
from walletcli.wallet.state.changes import PutDrawer
from walletcli.wallet.state.view import IdentityView

IDENTITY = bytes(range(32))
KEYS = (bytes([1]) * 32, bytes([2]) * 32)
SEEN = SeenIndex(SealedIndex(IDENTITY), 3, bytes(32))


def plan(name: str = "file", made_s: int = 5) -> Plan:
    return Plan(name, 10, bytes(32), made_s, KEYS, (PlannedPiece(bytes(15) + b"\1", 1, bytes(32)),))


MEMORY = DataMemory(SEEN, (plan("a"), plan("b")), (Nameless(bytes(15) + b"\2", 4, 1_700_000_000),))


@pytest.mark.parametrize("memory", [DataMemory(), MEMORY])
def test_a_memory_comes_back_as_it_was(memory: DataMemory) -> None:
    assert DataMemory.from_bytes(memory.to_bytes()) == memory


def test_an_older_index_is_not_remembered_over_a_newer_one() -> None:
    older = replace(SEEN, version=2, content_hash=bytes([9]) * 32)
    assert MEMORY.with_seen(older) == MEMORY
    assert MEMORY.with_seen(replace(SEEN, version=4)).seen == replace(SEEN, version=4)
    assert DataMemory().with_seen(SeenIndex.empty(IDENTITY)).seen is None


def test_of_too_many_plans_the_oldest_goes() -> None:
    memory = DataMemory()
    for number in range(MAX_PLANS + 1):
        memory = memory.with_plan(plan(f"file {number:03}", made_s=1000 - number))
    assert len(memory.plans) == MAX_PLANS
    assert memory.plan("file 000") is not None
    assert memory.plan(f"file {MAX_PLANS - 1:03}") is None


def test_a_plan_takes_the_place_of_the_one_of_its_name() -> None:
    memory = MEMORY.with_plan(plan("a", made_s=9))
    assert [found.made_s for found in memory.plans] == [9, 5]
    assert memory.without_plan("a").plans == (plan("b"),)
    assert MEMORY.taken == {bytes(15) + b"\1"}


def changed(**fields: object) -> bytes:
    decoded = cbor.decode(MEMORY.to_bytes(), 10_000)
    assert isinstance(decoded, dict)
    return cbor.encode({**decoded, **{int(key[1:]): value for key, value in fields.items()}})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xa0",
        changed(f2=[3, bytes(32)]),
        changed(f2=[0, bytes(32), SEEN.index.to_cbor()]),
        changed(f2=[3, bytes(31), SEEN.index.to_cbor()]),
        changed(f2=[3, bytes(32), b"no index"]),
        changed(f3=[plan("b").to_row(), plan("a").to_row()]),
        changed(f3=[plan("a").to_row(), plan("a").to_row()]),
        changed(f3=[[".x", *plan().to_row()[1:]]]),
        changed(f3=[[*plan().to_row()[:4], [], plan().to_row()[5]]]),
        changed(f3=[[*plan().to_row()[:5], []]]),
        changed(f3=[[*plan().to_row(), 1]]),
        changed(f4=[[bytes(16), 1, 1], [bytes(16), 2, 1]]),
        changed(f4=[[bytes(15), 1, 1]]),
        changed(f4=[[bytes(16), 0, 1]]),
        changed(f5=1),
    ],
)
def test_what_is_no_memory_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        DataMemory.from_bytes(data)


def test_a_memory_of_a_newer_version_says_so() -> None:
    with pytest.raises(FormatError) as error:
        DataMemory.from_bytes(changed(f1=2))
    assert error.value.code == "data-memory.unknown-version"


def test_a_change_is_made_on_top_of_what_another_process_wrote(session: Session, alice: IdentityView) -> None:
    index = alice.index

    def change(memory: DataMemory) -> DataMemory:
        if not memory.plans:
            change_memory(session, index, lambda other: other.with_plan(plan("theirs")))
        return memory.with_plan(plan("mine"))

    change_memory(session, index, change)
    assert [found.name for found in read_memory(session, index).plans] == ["mine", "theirs"]


def test_what_is_changed_alongside_is_changed_or_neither(session: Session, alice: IdentityView) -> None:
    index = alice.index
    change_memory(session, index, lambda memory: memory.with_seen(SEEN), PutDrawer(index, "data-contacts", b"x", None))
    with pytest.raises(VaultError) as error:
        change_memory(
            session,
            index,
            lambda memory: memory.with_plan(plan()),
            PutDrawer(index, "data-contacts", b"y", None),
        )
    assert error.value.code == "drawer.changed"
    assert read_memory(session, index) == DataMemory(SEEN)
    assert session.drawer(index, "data-contacts") == b"x"
