"""docs/spec/record.md, "Packet": what is signed, and what a signature is not good for."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.core.dns_wire import message
from tests.core.samples import ALICE, BOB, SEQ, payload, payload_of
from tests.core.samples import documents as sample_documents
from tests.core.vectors import load, name
from tests.vectors.cases_packet import HELLO, filled, invalid_values
from walletcli.core import bep44
from walletcli.core.packet import MAX_RELAY_PAYLOAD_BYTES, SignedPacket
from walletcli.errors import FormatError, VerificationError, WalletError

PAYLOAD = payload_of(sample_documents()["two devices and a profile"])


def refused(public_key: bytes, relay_payload: bytes) -> str:
    with pytest.raises((FormatError, VerificationError)) as raised:
        SignedPacket.from_relay_payload(public_key, relay_payload)
    return raised.value.code


@pytest.mark.parametrize("case", load("packet.json"), ids=name)
def test_a_packet_reads_as_its_vector_says(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["payload"])
    packet = SignedPacket.from_relay_payload(bytes.fromhex(case["public_key"]), data)
    shown = packet.to_json()
    assert (packet.seq, shown["document_hash"], shown["records"]) == (
        case["seq"],
        case["document_hash"],
        case["records"],
    )
    assert packet.is_of_unknown_version is case["unknown_version"]
    assert packet.to_relay_payload() == data
    assert SignedPacket.sign(ALICE, packet.seq, packet.value) == packet


@pytest.mark.parametrize("case", load("packet.json", "invalid"), ids=name)
def test_what_must_be_refused_is_refused(case: dict[str, Any]) -> None:
    assert refused(bytes.fromhex(case["public_key"]), bytes.fromhex(case["payload"])) == case["error"]


def test_every_bit_counts() -> None:
    for at in range(len(PAYLOAD)):
        for bit in range(8):
            changed = PAYLOAD[:at] + bytes([PAYLOAD[at] ^ 1 << bit]) + PAYLOAD[at + 1 :]
            refused(ALICE.public_key, changed)


def test_every_length_but_the_right_one_is_refused() -> None:
    for length in range(len(PAYLOAD)):
        assert refused(ALICE.public_key, PAYLOAD[:length]) == ("packet.too-short" if length < 72 else "dns.truncated")
    assert refused(ALICE.public_key, PAYLOAD + b"\0") == "dns.trailing"


def test_every_bit_of_the_key_counts() -> None:
    for at in range(256):
        changed = bytearray(ALICE.public_key)
        changed[at // 8] ^= 1 << at % 8
        assert refused(bytes(changed), PAYLOAD) == "signature.invalid"


def test_996_bytes_are_the_most() -> None:
    assert len(payload(ALICE, SEQ, filled(996))) == MAX_RELAY_PAYLOAD_BYTES == 1068
    assert SignedPacket.sign(ALICE, SEQ, filled(996)).value == filled(996)
    assert refused(ALICE.public_key, payload(ALICE, SEQ, filled(997))) == "packet.too-long"
    with pytest.raises(FormatError) as raised:
        SignedPacket.sign(ALICE, SEQ, filled(997))
    assert raised.value.code == "packet.too-long"


def test_the_size_is_judged_before_anything_is_read() -> None:
    assert refused(ALICE.public_key, bytes(10_000_000)) == "packet.too-long"


@pytest.mark.parametrize("seq", [-1, 2**63, 2**64, -(2**70)])
def test_a_seq_out_of_range_is_not_signed(seq: int) -> None:
    with pytest.raises(FormatError) as raised:
        SignedPacket.sign(ALICE, seq, message(HELLO))
    assert raised.value.code == "packet.seq"


@pytest.mark.parametrize("case", list(invalid_values()), ids=lambda case: case[0])
def test_what_nobody_may_read_is_not_signed(case: tuple[str, bytes, str]) -> None:
    with pytest.raises(FormatError) as raised:
        SignedPacket.sign(ALICE, SEQ, case[1])
    assert raised.value.code == case[2]


def test_a_signature_is_good_for_one_key_seq_and_value() -> None:
    one, other = message(HELLO), message(HELLO, HELLO)
    signatures = {
        SignedPacket.sign(key, seq, value).signature for key in (ALICE, BOB) for seq in (1, 2) for value in (one, other)
    }
    assert len(signatures) == 8
    for signature in signatures:
        takers = 0
        for key in (ALICE, BOB):
            for seq in (1, 2):
                for value in (one, other):
                    try:
                        SignedPacket.from_relay_payload(key.public_key, signature + seq.to_bytes(8, "big") + value)
                        takers += 1
                    except VerificationError:
                        pass
        assert takers == 1


def test_a_salt_changes_what_is_signed() -> None:
    value = message(HELLO)
    assert bep44.signable(1, value, b"s") == b"4:salt1:s" + bep44.signable(1, value)
    assert refused(ALICE.public_key, payload(ALICE, 1, value, b"s")) == "signature.invalid"


def test_what_is_signed_cannot_be_read_in_two_ways() -> None:
    # A value that looks like the rest of a signable is still one string with its length before it.
    assert bep44.signable(1, b"2e1:v1:x") != bep44.signable(12, b"x")
    assert bep44.signable(3, b"abc") == b"3:seqi3e1:v3:abc"


def test_the_target_is_the_hash_of_key_and_salt() -> None:
    assert bep44.target(ALICE.public_key) == hashlib.sha1(ALICE.public_key).digest()
    assert bep44.target(ALICE.public_key, b"x") == hashlib.sha1(ALICE.public_key + b"x").digest()


def test_no_error_is_of_somebody_elses_kind() -> None:
    for junk in (b"", b"\xff" * 1068, bytes(1068), b"\xc0" * 900):
        for public_key in (b"", bytes(32), b"\xff" * 32, bytes(64), ALICE.public_key):
            with pytest.raises(WalletError):
                SignedPacket.from_relay_payload(public_key, junk)


def test_many_are_read_as_each_of_them_is() -> None:
    good = payload(ALICE, SEQ, message(HELLO))
    alice = ALICE.public_key
    items = [
        (alice, good),
        (BOB.public_key, good),
        (alice, good[:80]),
        (alice, good[:71]),
        (alice, good[:5] + bytes([good[5] ^ 1]) + good[6:]),
        (alice, good),
    ]
    results = SignedPacket.from_relay_payloads(iter(items))
    assert results[0] == results[5] == SignedPacket.from_relay_payload(*items[0])
    for item, result in zip(items[1:5], results[1:5], strict=True):
        with pytest.raises(WalletError) as raised:
            SignedPacket.from_relay_payload(*item)
        assert isinstance(result, WalletError)
        assert (type(result), result.code, result.message) == (raised.type, raised.value.code, raised.value.message)
    assert SignedPacket.from_relay_payloads([]) == []
