"""Framing and fields of a Trezor: as the maker's own library writes and reads them, and nothing else is taken."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.vectors import load, name
from walletcli.core.slip13 import identity_uri
from walletcli.errors import SignerError
from walletcli.signers.devices.trezor_fields import MAX_FIELDS, NUMBER, decode, encode
from walletcli.signers.devices.trezor_frames import MAX_MESSAGE_BYTES, ReportReassembly, TrezorMessage, to_reports

FIELDS = {1: NUMBER, 2: 8}


def written(case: dict[str, Any]) -> bytes:
    """Return what we write for a message of the vectors."""
    match case["name"]:
        case "GetPublicKey":
            return encode(*((1, step) for step in case["address_n"]), (2, "ed25519"))
        case "SignIdentity":
            asked = identity_uri(case["index"])
            identity = encode((1, asked.proto), (2, asked.user), (3, asked.host), (6, asked.index))
            return encode((1, identity), (2, bytes.fromhex(case["hidden_hex"])), (3, case["visual"]), (4, "ed25519"))
        case "PinMatrixAck" | "PassphraseAck":
            return encode((1, case["text"]))
    return b""


@pytest.mark.parametrize("case", load("trezor.json", "to_device"), ids=name)
def test_we_write_what_the_maker_s_library_writes(case: dict[str, Any]) -> None:
    body = written(case)
    assert body.hex() == case["body_hex"]
    assert [report.hex() for report in to_reports(TrezorMessage(case["type"], body))] == case["reports_hex"]


@pytest.mark.parametrize("case", load("trezor.json", "from_device"), ids=name)
def test_we_read_what_the_maker_s_library_writes(case: dict[str, Any]) -> None:
    reassembly = ReportReassembly()
    *unfinished, whole = [reassembly.feed(bytes.fromhex(report)) for report in case["reports_hex"]]
    assert unfinished == [None] * len(unfinished)
    assert whole == TrezorMessage(case["type"], bytes.fromhex(case["body_hex"]))
    match case["name"]:
        case "Features":
            found = decode(whole.body, {1: 64, 2: NUMBER, 3: NUMBER, 4: NUMBER, 10: 128, 12: NUMBER, 21: 16})
            assert found == {1: b"trezor.io", 2: 1, 3: 6, 4: 3, 10: "mine é".encode(), 12: 1, 21: b"1"}
        case "PublicKey":
            node = decode(whole.body, {1: 1024})[1]
            assert isinstance(node, bytes)
            assert decode(node, {6: 33}) == {6: b"\0" + bytes.fromhex(case["key_hex"])}
        case "SignedIdentity":
            key, signature = (b"\0" + bytes.fromhex(case[part]) for part in ("key_hex", "signature_hex"))
            assert decode(whole.body, {2: 33, 3: 65}) == {2: key, 3: signature}
        case "Failure":
            assert decode(whole.body, {1: NUMBER}) == {1: case["code"]}


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("a tag that ends early", "88"),
        ("a number that ends early", "0880"),
        ("a number without an end", "08" + "ff" * 11),
        ("a number over 64 bits", "08" + "ff" * 9 + "02"),
        ("a number not in its shortest form", "088100"),
        ("field zero", "0001"),
        ("a field number over 2^29", "f8ffffff1f01"),
        ("a group", "0b0c"),
        ("a type that is none", "0e"),
        ("bytes where a number is known", "0a0101"),
        ("a number where bytes are known", "1001"),
        ("a fixed number where a number is known", "0d01020304"),
        ("bytes that are longer than the message", "120501"),
        ("a length beyond all", "12ffffffffffffffff7f"),
        ("bytes that are longer than is possible", "1209" + "00" * 9),
        ("a field twice", "08010801"),
        ("a fixed number that ends early", "19010203"),
        ("too many fields", "1801" * (MAX_FIELDS + 1)),
    ],
)
def test_what_is_no_message_is_refused(what: str, body: str) -> None:
    with pytest.raises(SignerError) as refused:
        decode(bytes.fromhex(body), FIELDS)
    assert refused.value.code == "trezor.bad-answer", what


@pytest.mark.parametrize(
    "body", ["", "1a0101", "1801", "2500000000", "190000000000000000", "0800", "1801" * MAX_FIELDS]
)
def test_what_is_not_known_is_passed_over(body: str) -> None:
    assert decode(bytes.fromhex(body), FIELDS).keys() <= {1}


@pytest.mark.parametrize("length", [0, 1, 54, 55, 56, 117, 118, 119, MAX_MESSAGE_BYTES])
def test_messages_of_every_length_come_back(length: int) -> None:
    message = TrezorMessage(0xABCD, bytes(number & 0xFF for number in range(length)))
    reassembly = ReportReassembly()
    for _ in range(2):
        *unfinished, whole = [reassembly.feed(report) for report in to_reports(message)]
        assert whole == message
        assert unfinished == [None] * len(unfinished)


@pytest.mark.parametrize(
    "sent",
    [
        [b"?##\0\x11\0\0\0\0".ljust(63, b"\0")],
        [b"?##\0\x11\0\0\0\0".ljust(65, b"\0")],
        [b""],
        [b"?#\0".ljust(64, b"\0")],
        [b"!##\0\x11\0\0\0\0".ljust(64, b"\0")],
        [b"?##\0\x11\0\0\x10\x01".ljust(64, b"\0")],
        [b"?##\0\x11\xff\xff\xff\xff".ljust(64, b"\0")],
        [b"?##\0\x11\0\0\0\x40".ljust(64, b"\0"), b"#".ljust(64, b"\0")],
    ],
)
def test_what_is_no_report_is_refused(sent: list[bytes]) -> None:
    reassembly = ReportReassembly()
    with pytest.raises(SignerError) as refused:
        for report in sent:
            reassembly.feed(report)
    assert refused.value.code == "trezor.bad-answer"
