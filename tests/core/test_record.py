"""docs/spec/record.md, "Record file" and "Verification": packet and document against each other."""

from __future__ import annotations

import hashlib
from typing import Any

import dnslib
import pytest

from tests.core.dns_wire import message
from tests.core.samples import ALICE, BOB, SEQ, devices, documents, fields_of, payload, payload_of, record_file, written
from tests.core.vectors import load, name
from tests.vectors.cases_packet import HELLO, unknown_values
from tests.vectors.cases_record import derived_otherwise
from walletcli.core.bep44 import MAX_VALUE_BYTES
from walletcli.core.did_dht import to_did_document
from walletcli.core.document import Document
from walletcli.core.encodings import b64url_encode, z32_encode
from walletcli.core.packet import SignedPacket
from walletcli.core.record import PACKET_DEVICE_KEYS, Record, packet_value
from walletcli.errors import FormatError, VerificationError, WalletError

DOCUMENT = documents()["two devices and a profile"]
BYTES = DOCUMENT.to_bytes()
PAYLOAD = payload_of(DOCUMENT)
PACKET = SignedPacket.from_relay_payload(ALICE.public_key, PAYLOAD)


def data_of(case: dict[str, Any]) -> bytes:
    return bytes.fromhex(case["hex"]).ljust(case["length"], b"\0")


def refused(data: bytes) -> str:
    with pytest.raises((FormatError, VerificationError)) as raised:
        Record.from_bytes(data)
    return raised.value.code


def both_ways(public_key: bytes, relay_payload: bytes, document: bytes | None) -> Record | str:
    """Verify together and one after the other; both must say the same."""
    outcomes: list[Record | str] = []
    for way in (
        lambda: Record.from_payload(public_key, relay_payload, document),
        lambda: Record.verified(SignedPacket.from_relay_payload(public_key, relay_payload), document),
    ):
        try:
            outcomes.append(way())
        except WalletError as error:
            outcomes.append(f"{type(error).__name__} {error.code} {error.message}")
    assert outcomes[0] == outcomes[1]
    return outcomes[0]


@pytest.mark.parametrize("case", load("record.json"), ids=name)
def test_a_record_file_reads_as_its_vector_says(case: dict[str, Any]) -> None:
    record = Record.from_bytes(data_of(case))
    assert record.packet.seq == case["seq"]
    assert record.to_bytes() == data_of(case)
    if case["document_sha256"] is None:
        assert record.document is None
        assert record.is_pending is (case["name"] == "pending")
    else:
        assert record.document == documents()[case["name"]]
        assert record.packet.document_hash is not None
        assert record.packet.document_hash.hex() == case["document_sha256"]
        assert not record.is_pending
        assert to_did_document(record.packet) == case["did_document"]


@pytest.mark.parametrize("case", load("record.json", "invalid"), ids=name)
def test_what_must_be_refused_is_refused(case: dict[str, Any]) -> None:
    assert refused(data_of(case)) == case["error"]


def test_every_bit_of_a_record_file_counts() -> None:
    data = record_file(ALICE.public_key, PAYLOAD, BYTES)
    for at in range(0, len(data), 3):
        changed = data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]
        refused(changed)


def test_a_record_file_cut_short_anywhere_is_refused() -> None:
    data = record_file(ALICE.public_key, PAYLOAD, BYTES)
    for length in range(len(data)):
        assert refused(data[:length]) == ("record.file" if length < 19 else "cbor.truncated")


def test_verifying_together_says_the_same_as_one_after_the_other() -> None:
    record = both_ways(ALICE.public_key, PAYLOAD, BYTES)
    assert isinstance(record, Record) and record.document == DOCUMENT
    for relay_payload in (
        b"",
        PAYLOAD[:71],
        PAYLOAD[:72],
        PAYLOAD[:-1],
        PAYLOAD + b"\0",
        bytes(2000),
        bytes(64) + PAYLOAD[64:],
        PAYLOAD[:64] + (2**63).to_bytes(8, "big") + PAYLOAD[72:],
        payload(BOB, SEQ, packet_value(DOCUMENT)),
        payload(ALICE, SEQ + 1, packet_value(DOCUMENT)),
        payload(ALICE, SEQ, packet_value(DOCUMENT), b"salt"),
        payload(ALICE, SEQ, message(HELLO)),
        *(payload(ALICE, SEQ, value) for value in derived_otherwise().values()),
        *(payload(ALICE, SEQ, value) for value in unknown_values().values()),
    ):
        for document in (None, b"", BYTES, BYTES[:-1], BYTES + b"\0", bytes(1024), bytes(70_000)):
            for public_key in (ALICE.public_key, BOB.public_key, bytes(32), b""):
                outcome = both_ways(public_key, relay_payload, document)
                assert isinstance(outcome, str) or document is None


def test_every_flipped_bit_ends_alike_both_ways() -> None:
    for at in range(0, len(PAYLOAD) * 8, 7):
        changed = bytearray(PAYLOAD)
        changed[at // 8] ^= 1 << at % 8
        assert isinstance(both_ways(ALICE.public_key, bytes(changed), BYTES), str)
    for at in range(0, 400 * 8, 7):
        changed = bytearray(BYTES)
        changed[at // 8] ^= 1 << at % 8
        assert isinstance(both_ways(ALICE.public_key, PAYLOAD, bytes(changed)), str)


def test_a_packet_without_its_document_is_pending() -> None:
    record = Record.verified(PACKET, None)
    assert record.is_pending and record.document is None


def test_a_packet_that_names_no_document_is_complete() -> None:
    packet = SignedPacket.sign(ALICE, SEQ, message(HELLO))
    assert not Record.verified(packet, None).is_pending


@pytest.mark.parametrize("title", unknown_values())
def test_a_packet_of_an_unknown_version_is_not_taken_for_somebody_elses(title: str) -> None:
    packet = SignedPacket.sign(ALICE, SEQ, unknown_values()[title])
    for document in (None, BYTES):
        with pytest.raises(FormatError) as raised:
            Record.verified(packet, document)
        assert raised.value.code == "record.unknown-version"
        assert raised.value.hint == "update walletcli"


def test_a_document_of_another_version_is_named_as_such() -> None:
    data = written({**fields_of(DOCUMENT), 1: 2})
    value = packet_value(DOCUMENT).replace(
        b64url_encode(DOCUMENT.hash).encode(), b64url_encode(hashlib.sha256(data).digest()).encode()
    )
    with pytest.raises(FormatError) as raised:
        Record.from_payload(ALICE.public_key, payload(ALICE, SEQ, value), data)
    assert raised.value.code == "document.unknown-version"
    assert raised.value.hint == "update walletcli"


# --- the packet that a document gives


@pytest.mark.parametrize("count", range(10))
def test_a_packet_says_what_the_table_of_the_specification_says(count: int) -> None:
    document = Document(ALICE.public_key, SEQ, delegations=devices(count))
    z = z32_encode(ALICE.public_key)
    shown = min(count, 8)
    keys = [f"k{n}" for n in range(shown + 1)]
    listed = ",".join(keys[1:])
    purposes = f"auth={listed};asm={listed};" if shown else ""
    expected = [(f"_did.{z}.", f"v=0;vm={','.join(keys)};{purposes}inv=k0;del=k0")]
    public_keys = [ALICE.public_key, *(item.signing_key for item in document.delegations[:shown])]
    expected += [
        (f"_{k}._did.", f"t=0;k={b64url_encode(public_key)}") for k, public_key in zip(keys, public_keys, strict=True)
    ]
    expected.append((f"_w.{z}.", f"v=1;h={b64url_encode(document.hash)}"))
    value = packet_value(document)
    parsed = dnslib.DNSRecord.parse(value)
    assert [(str(rr.rname), b"".join(rr.rdata.data).decode()) for rr in parsed.rr] == expected
    assert {(rr.rtype, rr.rclass, rr.ttl) for rr in parsed.rr} == {(dnslib.QTYPE.TXT, dnslib.CLASS.IN, 7200)}
    assert value[:12].hex() == f"00008400{0:04x}{shown + 3:04x}00000000"


def test_the_longest_packet_fits() -> None:
    lengths = [len(packet_value(Document(ALICE.public_key, SEQ, delegations=devices(n)))) for n in range(12)]
    assert lengths[PACKET_DEVICE_KEYS:] == [lengths[PACKET_DEVICE_KEYS]] * 4
    assert max(lengths) <= MAX_VALUE_BYTES


def test_compression_is_exactly_the_one_of_the_specification() -> None:
    value = packet_value(DOCUMENT)
    z = z32_encode(ALICE.public_key).encode()
    assert value.count(b"\4_did") == 2 and value.count(z) == 1
    assert b"\4_did\x34" + z + b"\0" in value and b"\3_k0\4_did\0" in value
    in_k0 = value.index(b"\3_k0\4_did\0") + 4
    for n in (1, 2):
        assert b"\3_k%d" % n + (0xC000 | in_k0).to_bytes(2, "big") in value
    assert b"\2_w" + (0xC000 | 17).to_bytes(2, "big") in value and value[17:70] == b"\x34" + z


@pytest.mark.parametrize("title", derived_otherwise())
def test_a_packet_that_says_something_else_than_its_document_is_refused(title: str) -> None:
    packet = SignedPacket.sign(ALICE, SEQ, derived_otherwise()[title])
    assert packet.document_hash == DOCUMENT.hash
    with pytest.raises(VerificationError) as raised:
        Record.verified(packet, BYTES)
    assert raised.value.code == "record.not-derived"


def test_the_longest_record_file_can_be_read() -> None:
    sections = (*(bytes([n]) * 16_384 for n in range(3)), b"\xff" * 16_000)
    document = Document(ALICE.public_key, SEQ, sections=sections, delegations=devices(2))
    record = Record.from_payload(ALICE.public_key, payload_of(document), document.to_bytes())
    assert len(record.to_bytes()) > 65_536
    assert Record.from_bytes(record.to_bytes()) == record
