"""Packets from a security key, a Trezor or a Ledger, and the answers that they make up."""

from __future__ import annotations

import json
from typing import Any

from tests.core.vectors import VECTORS
from tests.fuzz.target import Target
from tests.hid.in_process import InProcessLedger, Owner, TrezorOwner
from walletcli.core.approval import Subject
from walletcli.core.document_parts import Approver, Form
from walletcli.core.slip13 import identity_uri
from walletcli.errors import WalletError
from walletcli.signers.devices.channel import HidChannel
from walletcli.signers.devices.ctaphid import (
    BROADCAST,
    MAX_MESSAGE_BYTES,
    PACKET_BYTES,
    Message,
    Reassembly,
    to_packets,
)
from walletcli.signers.devices.failures import told_as_ours
from walletcli.signers.devices.ledger import Ledger, approver_path
from walletcli.signers.devices.ledger_frames import MAX_MESSAGE_BYTES as MAX_LEDGER_BYTES
from walletcli.signers.devices.ledger_frames import PacketReassembly
from walletcli.signers.devices.ledger_frames import to_packets as to_ledger_packets
from walletcli.signers.devices.trezor import Trezor
from walletcli.signers.devices.trezor_fields import MAX_NUMBER, NUMBER, decode, encode

CHANNEL = 0x01020304
CBOR = 0x10


def _packets(data: bytes) -> list[bytes]:
    return [data[at : at + PACKET_BYTES] for at in range(0, len(data), PACKET_BYTES)]


def check_reassembly(data: bytes) -> bool:
    """Packets give messages within the limits, each with one form, or one of our errors."""
    reassembly = Reassembly(CHANNEL)
    messages = []
    try:
        for packet in _packets(data):
            message = reassembly.feed(packet)
            if message is not None:
                messages.append(message)
    except WalletError:
        return False
    for message in messages:
        assert len(message.data) <= MAX_MESSAGE_BYTES
        again = Reassembly(CHANNEL)
        *unfinished, whole = [again.feed(packet) for packet in to_packets(CHANNEL, message)]
        assert whole == message
        assert unfinished == [None] * len(unfinished)
    return bool(messages)


class _Recorded:
    """A device that says what was recorded, then nothing, while the clock runs on."""

    def __init__(self, packets: list[bytes]) -> None:
        self.packets = packets
        self.now_s = 0.0
        self.sent: list[bytes] = []

    def clock(self) -> float:
        self.now_s += 0.001
        return self.now_s

    def pause(self, seconds: float) -> None:
        self.now_s += seconds

    def read(self, timeout_s: float) -> bytes:
        if self.packets:
            return self.packets.pop(0)
        self.now_s += timeout_s
        return b""

    def write(self, packet: bytes) -> None:
        assert len(packet) == PACKET_BYTES
        if len(self.sent) < 2:
            self.sent.append(packet)
        if packet[:5] == BROADCAST.to_bytes(4, "big") + b"\x86":
            # only the device knows the nonce: it answers rightly, and lies afterwards
            answer = packet[7:15] + CHANNEL.to_bytes(4, "big") + b"\x02\x01\x00\x00\x0c"
            self.packets[:0] = to_packets(BROADCAST, Message(0x06, answer))

    def close(self) -> None: ...


def check_conversation(data: bytes) -> bool:
    """Whatever a device says after it opened a channel, a call to it ends: in an answer, or in one of our errors."""
    from fido2.ctap2.base import Ctap2

    device = _Recorded(_packets(data))
    channel: Any = HidChannel(device, device.clock, device.pause)  # it has what a CtapDevice has, and is none
    try:
        with told_as_ours():
            Ctap2(channel)
    except WalletError:
        return False
    return True


def _messages() -> list[bytes]:
    lengths = (0, 1, 57, 58, 116, 117, 500)
    return [b"".join(to_packets(CHANNEL, Message(CBOR, bytes(length)))) for length in lengths]


def _conversations() -> list[bytes]:
    info = bytes.fromhex("00a30181684649444f5f325f30028 16b686d61632d736563726574".replace(" ", ""))
    info += b"\x03\x50" + bytes(16)
    said = to_packets(CHANNEL, Message(CBOR, info))
    alive = to_packets(CHANNEL, Message(0x3B, b"\x02"))
    busy = to_packets(CHANNEL, Message(0x3F, b"\x06"))
    other = to_packets(CHANNEL ^ 1, Message(CBOR, b"\x00"))
    return [b"".join(said), b"".join([*alive, *alive, *said]), b"".join([*busy, *said]), b"".join([*other, *said])]


_TREZOR_TABLES = (
    {1: 64, 2: NUMBER, 3: NUMBER, 4: NUMBER, 10: 128, 12: NUMBER, 21: 16},
    {2: 33, 3: 65, 6: 64},
    {1: NUMBER, 2: 256},
    {2: 256},
)
"""What may be known of a message: of Features, of an answer, of a failure, and of others."""


def check_trezor_fields(data: bytes) -> bool:
    """A message gives fields within their limits, or one of our errors."""
    has_form = False
    for known in _TREZOR_TABLES:
        try:
            found = decode(data, known)
        except WalletError:
            continue
        for number, value in found.items():
            assert value <= MAX_NUMBER if isinstance(value, int) else len(value) <= known[number]
        assert decode(encode(*sorted(found.items())), known) == found
        has_form = True
    return has_form


def check_trezor_conversation(data: bytes) -> bool:
    """Whatever a device says, opening it and asking for a key ends: in an answer, or in one of our errors."""
    device = _Recorded(_packets(data))
    try:
        found = Trezor("Trezor", device, TrezorOwner("1"), device.clock).public_key(identity_uri(0))
    except WalletError:
        return False
    assert len(found) == 32
    return True


def _trezor_bodies() -> list[bytes]:
    cases = json.loads((VECTORS / "trezor.json").read_text())["from_device"]
    return [bytes.fromhex(case["body_hex"]) for case in cases if case["name"] != "ButtonRequest"]


def _trezor_conversations() -> list[bytes]:
    cases = json.loads((VECTORS / "trezor.json").read_text())["from_device"]
    said = {case["name"]: bytes.fromhex("".join(case["reports_hex"])) for case in cases}
    features, key = said["Features"], said["PublicKey"]
    pin, passphrase, button = said["PinMatrixRequest"], said["PassphraseRequest"], said["ButtonRequest"]
    return [features + key, features + pin + passphrase + key, features + button + button + pin + key]


LEDGER_PATH = approver_path(1_234_567)
LEDGER_SUBJECT = Subject.rehearsal(bytes([1]) + bytes(31), bytes(32))


def check_ledger_packets(data: bytes) -> bool:
    """Packets give messages within the limits, each with one form, or one of our errors."""
    reassembly = PacketReassembly()
    messages = []
    try:
        for packet in _packets(data):
            message = reassembly.feed(packet)
            if message is not None:
                messages.append(message)
    except WalletError:
        return False
    for message in messages:
        assert 1 <= len(message) <= MAX_LEDGER_BYTES
        again = PacketReassembly()
        *unfinished, whole = [again.feed(packet) for packet in to_ledger_packets(message)]
        assert whole == message
        assert unfinished == [None] * len(unfinished)
    return bool(messages)


class _RecordedLedger(_Recorded):
    """One that has said nothing before it is asked."""

    def read(self, timeout_s: float) -> bytes:
        return super().read(timeout_s) if timeout_s else b""


def check_ledger_conversation(data: bytes) -> bool:
    """Whatever a device says, asking it for a key and an approval ends: in one that holds, or in one of our errors."""
    device = _RecordedLedger(_packets(data))
    try:
        _approve(Ledger("Ledger", device, device.clock))
    except WalletError:
        return False
    return True


def _approve(ledger: Ledger) -> None:
    approver = Approver(-8, ledger.public_key(LEDGER_PATH), False, Form.SIGNED_TEXT)
    ledger.approve(LEDGER_PATH, approver, LEDGER_SUBJECT, Owner()).check(LEDGER_SUBJECT, approver)


def _ledger_messages() -> list[bytes]:
    lengths = (1, 2, 57, 58, 116, 117, MAX_LEDGER_BYTES)
    return [b"".join(to_ledger_packets(bytes(length))) for length in lengths]


def _ledger_conversations() -> list[bytes]:
    wire = InProcessLedger()
    heard: list[bytes] = []
    take = wire.arrived.put

    def put(packet: bytes) -> None:
        heard.append(packet)
        take(packet)

    wire.device.send = put
    _approve(Ledger("Ledger", wire))
    return [b"".join(heard)]


TARGETS = [
    Target("ctaphid", check_reassembly, _messages, 4096),
    Target("key-conversation", check_conversation, _conversations, 4096),
    Target("trezor-fields", check_trezor_fields, _trezor_bodies, 4096),
    Target("trezor-conversation", check_trezor_conversation, _trezor_conversations, 4096),
    Target("ledger-packets", check_ledger_packets, _ledger_messages, 4096),
    Target("ledger-conversation", check_ledger_conversation, _ledger_conversations, 4096),
]
