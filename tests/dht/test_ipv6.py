"""A DHT over IPv6: libtorrent has no member on ::1, so it is played in a namespace, on an address that looks public."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import clean_environment
from walletcli.core import bencode
from walletcli.dht.session import _addresses

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120


@pytest.fixture(scope="module")
def seen() -> Any:
    """What a member over IPv6, and one over both versions, have seen."""
    command = ["unshare", "--map-root-user", "--net", sys.executable, "-m", "tests.dht.six"]
    done = subprocess.run(
        command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_item_is_put_counted_and_read_over_ipv6(seen: Any) -> None:
    assert (seen["stored"], seen["read"]) == (8, True)
    assert seen["counted"] >= 6  # its own member, or the other one's, may be one of the eight


def test_a_member_of_both_versions_puts_on_both(seen: Any) -> None:
    assert seen["stored on both"] == 8
    assert [":" in host for host in seen["writers"]] == [False, True]
    assert seen["read on six and on four"] == [True, True]


def test_the_two_versions_are_two_networks(seen: Any) -> None:
    assert seen["an item of six alone is not on four"]


def test_saved_state_brings_members_of_ipv6_back(seen: Any) -> None:
    assert seen["comes back with saved state"]


SIX, FOUR = bytes.fromhex("20014860486000000000000000000001") + b"\x1a\xe1", b"\x7f\0\0\1\x1a\xe1"


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({b"nodes": [FOUR, SIX]}, [("127.0.0.1", 6881), ("2001:4860:4860::1", 6881)]),
        ({b"nodes": [FOUR], b"nodes6": [SIX]}, [("127.0.0.1", 6881), ("2001:4860:4860::1", 6881)]),
        ({b"nodes": [FOUR[:5], SIX + b"x", b"", FOUR[:4] + b"\0\0"]}, []),
        ({b"nodes": FOUR}, []),
        ({}, []),
    ],
)
def test_members_of_both_versions_are_read_from_saved_state_wherever_they_stand(state: Any, expected: Any) -> None:
    assert _addresses(bencode.encode({b"dht state": state})) == expected
