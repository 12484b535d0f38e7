from __future__ import annotations

import threading
import time

import pytest

from walletcli.client.fanout import MAX_THREADS, for_each


@pytest.mark.parametrize("count", [0, 1, 2, MAX_THREADS, 3 * MAX_THREADS + 1])
def test_results_come_in_the_order_of_the_items(count: int) -> None:
    def work(number: int) -> int:
        time.sleep(0.001 * (number % 5))
        return -number

    assert for_each(range(count), work) == [-number for number in range(count)]


def test_work_goes_on_at_once_but_not_without_bound() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def work(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1

    for_each(range(3 * MAX_THREADS), work)
    assert 2 <= most <= MAX_THREADS


def test_what_goes_wrong_is_raised_to_the_caller() -> None:
    def work(number: int) -> int:
        if number == 2:
            raise LookupError("two")
        return number

    with pytest.raises(LookupError):
        for_each([1, 2, 3], work)


def test_an_interrupted_command_does_not_wait_for_its_threads() -> None:
    """They are daemons: the process ends although one of them is stuck."""
    daemons: list[bool] = []
    for_each([1, 2], lambda _: daemons.append(threading.current_thread().daemon))
    assert daemons == [True, True]
