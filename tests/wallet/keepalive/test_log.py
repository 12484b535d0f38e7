"""The log of what is kept alive."""

from __future__ import annotations

from typing import Any

import pytest

from walletcli.core import cbor
from walletcli.errors import WalletError
from walletcli.wallet.keepalive.log import MOVE_AFTER, Entry, KeepLog

LOG = KeepLog({b"\2" * 32: Entry(7, 1, 2), b"\1" * 32: Entry(0)})


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
