"""npm pkarr reads what we sign, and we read what it signs, without a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.client.records import foreign_packet, identity, key, record, unsigned
from walletcli.core.document_parts import Delegation, Power
from walletcli.core.encodings import z32_decode
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record

ALICE = identity("alice")


def with_devices(count: int) -> Record:
    delegations = [
        Delegation(key(f"device {n}").public_key, bytes([9]) + bytes(31), frozenset({Power.HOST}), 20_000, 20_090)
        for n in range(count)
    ]
    return record("alice", 1_700_000_000_000_000, delegations=tuple(sorted(delegations, key=lambda d: d.signing_key)))


@pytest.mark.parametrize("devices", [0, 1, 2, 8, 32])
def test_npm_pkarr_verifies_and_reads_our_packets(npm_pkarr: Callable[..., Any], devices: int) -> None:
    packet = with_devices(devices).packet
    seen = npm_pkarr("read", ALICE.z32, packet.to_relay_payload().hex())
    assert seen["z32"] == ALICE.z32
    assert seen["seq"] == packet.seq
    assert seen["payload"] == packet.to_relay_payload().hex()
    texts = dict(seen["texts"])
    assert texts[f"_w.{ALICE.z32}"].startswith("v=1;h=")
    assert texts[f"_did.{ALICE.z32}"].startswith("v=0;vm=k0")
    assert "_k0._did" in texts


def test_npm_pkarr_refuses_our_packet_with_a_broken_signature(npm_pkarr: Callable[..., Any]) -> None:
    assert "error" in npm_pkarr("read", ALICE.z32, unsigned(record().packet).hex())


def test_npm_pkarr_refuses_our_packet_under_another_key(npm_pkarr: Callable[..., Any]) -> None:
    assert "error" in npm_pkarr("read", identity("mallory").z32, record().packet.to_relay_payload().hex())


def test_our_own_foreign_looking_packets_are_what_npm_pkarr_makes(npm_pkarr: Callable[..., Any]) -> None:
    packet = foreign_packet("alice", 5)
    seen = npm_pkarr("read", ALICE.z32, packet.to_relay_payload().hex())
    assert seen["texts"] == [[f"_foo.{ALICE.z32}", "hello"]]


@pytest.mark.parametrize("text", ["hello", "a" * 255, "grüße ☿"])
def test_we_verify_and_read_npm_pkarrs_packets(npm_pkarr: Callable[..., Any], npm_relay: str, text: str) -> None:
    made = npm_pkarr("put", npm_relay, text, "1700000000000000")
    packet = SignedPacket.from_relay_payload(z32_decode(made["z32"], 32), bytes.fromhex(made["payload"]))
    assert packet.seq == 1_700_000_000_000_000
    assert packet.document_hash is None
    assert [(r.name.decode(), r.data.decode()) for r in packet.records] == [(f"_text.{made['z32']}", text)]
