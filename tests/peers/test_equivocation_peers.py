"""Programs that nobody here wrote read a proof file, and verify both packets in it under its key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cbor2
import dnslib
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.client.records import identity, record
from walletcli.core.equivocation import EquivocationProof, proof_of_records

ALICE = identity("alice")
MAGIC = b"walletcli equivocation 1\n"


def proof() -> EquivocationProof:
    return proof_of_records(
        record(seq=1_700_000_000_000_000), record(seq=1_700_000_000_000_000, profile={"name": "Eve"})
    )


def packets_in(data: bytes) -> list[tuple[bytes, bytes, int, bytes]]:
    """Read a proof with a CBOR library that is not ours: key, signature, seq and value of each side."""
    assert data.startswith(MAGIC)
    key, seq, sides = cbor2.loads(data[len(MAGIC) :])
    return [(key, signature, seq, value) for signature, value, _ in sides]


def test_npm_pkarr_verifies_both_packets_of_a_proof(npm_pkarr: Callable[..., Any]) -> None:
    read = []
    for key, signature, seq, value in packets_in(proof().to_bytes()):
        assert key == ALICE.public_key
        payload = signature + seq.to_bytes(8, "big") + value
        read.append(npm_pkarr("read", ALICE.z32, payload.hex()))
    assert [item["seq"] for item in read] == [proof().seq] * 2
    named = [dict(item["texts"])[f"_w.{ALICE.z32}"] for item in read]
    assert named[0] != named[1]


def test_npm_pkarr_refuses_them_under_another_key(npm_pkarr: Callable[..., Any]) -> None:
    for _, signature, seq, value in packets_in(proof().to_bytes()):
        payload = signature + seq.to_bytes(8, "big") + value
        assert "error" in npm_pkarr("read", identity("mallory").z32, payload.hex())


def test_openssl_and_dnslib_come_to_the_same_answer() -> None:
    named = set()
    for key, signature, seq, value in packets_in(proof().to_bytes()):
        signable = b"3:seqi%de1:v%d:" % (seq, len(value)) + value
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signable)
        with pytest.raises(InvalidSignature):
            Ed25519PublicKey.from_public_bytes(key).verify(signature, signable.replace(b"3:seqi1", b"3:seqi2"))
        texts = {str(answer.rname): str(answer.rdata) for answer in dnslib.DNSRecord.parse(value).rr}
        named.add(next(text for name, text in texts.items() if name.startswith("_w.")))
    assert len(named) == 2
