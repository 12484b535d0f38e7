"""The log of what is kept alive, and where a contact is placed."""

from __future__ import annotations

from typing import Any

import pytest

from walletcli.core import cbor
from walletcli.errors import WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.wallet.keepalive.log import MOVE_AFTER, Entry, KeepLog
from walletcli.wallet.keepalive.placing import relay_for

RELAYS = [NodeAddress.from_text(f"https://relay{n}.example") for n in range(5)]
CONTACTS = [bytes([n & 255, n >> 8]) + bytes(30) for n in range(500)]
KEY = b"\7" * 32
LOG = KeepLog({b"\2" * 32: Entry(7, 1, 2), b"\1" * 32: Entry(0)})


def places(relays: list[NodeAddress], key: bytes = KEY, moved: int = 0) -> list[NodeAddress]:
    return [relay_for(key, contact, relays, moved) for contact in CONTACTS]


def test_a_log_comes_back_in_one_encoding() -> None:
    assert KeepLog.from_bytes(LOG.to_bytes()) == LOG
    assert KeepLog.from_bytes(KeepLog().to_bytes()) == KeepLog()


@pytest.mark.parametrize(
    "value",
    [
        {1: 2, 2: []},
        {1: 1},
        {1: 1, 2: [], 3: 0},
        {1: 1, 2: [[b"\2" * 32, 0, 0, 0], [b"\1" * 32, 0, 0, 0]]},
        {1: 1, 2: [[b"\1" * 32, 0, 0, 0], [b"\1" * 32, 0, 0, 0]]},
        {1: 1, 2: [[b"\1" * 31, 0, 0, 0]]},
        {1: 1, 2: [[b"\1" * 32, -1, 0, 0]]},
        {1: 1, 2: [[b"\1" * 32, 0, 256, 0]]},
        {1: 1, 2: [[b"\1" * 32, 0, 0, MOVE_AFTER]]},
        {1: 1, 2: [[b"\1" * 32, 0, 0]]},
        [],
    ],
)
def test_another_form_is_refused(value: Any) -> None:
    with pytest.raises(WalletError) as raised:
        KeepLog.from_bytes(cbor.encode(value))
    assert raised.value.code.startswith("keepalive-log.")


def test_a_contact_has_one_place_whatever_the_order_of_the_relays() -> None:
    assert places(RELAYS) == places(RELAYS[::-1]) == places(RELAYS)


def test_contacts_are_spread_evenly_and_differently_for_each_key() -> None:
    for key in (KEY, b"\x08" * 32):
        counts = [places(RELAYS, key).count(relay) for relay in RELAYS]
        assert all(60 <= count <= 140 for count in counts)
    assert places(RELAYS) != places(RELAYS, b"\x08" * 32)


def test_a_relay_that_goes_moves_its_own_contacts_only_and_comes_back_to_them() -> None:
    before, after = places(RELAYS), places(RELAYS[1:])
    assert [old == new for old, new in zip(before, after, strict=True)] == [old != RELAYS[0] for old in before]


def test_passing_relays_over_goes_through_all_of_them() -> None:
    for contact in CONTACTS[:20]:
        assert {relay_for(KEY, contact, RELAYS, moved) for moved in range(5)} == set(RELAYS)
        assert relay_for(KEY, contact, RELAYS, 5) == relay_for(KEY, contact, RELAYS)


def test_only_failures_in_a_row_while_others_answer_pass_a_relay_over() -> None:
    entry = Entry(0)
    for _ in range(10):
        entry = entry.failed(1, alone=False)
    assert entry == Entry(1)
    for number in range(1, MOVE_AFTER):
        entry = entry.failed(1, alone=True)
        assert (entry.moved, entry.failures) == (0, number)
    assert entry.kept(9) == Entry(9)
    assert entry.failed(5, alone=True) == Entry(5, 1)
