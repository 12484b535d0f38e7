"""A Trezor One in software, its wire side: a peer to test against, not part of the program.

It follows what its maker publishes: codec v1, the messages' field numbers, the order of questions of the HID firmware
(button, PIN, passphrase), and SLIP-0013 over SLIP-0010. Its protocol buffers and its derivation are written out here
once more: nothing of the code under test is used. It can be told to lie.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from mnemonic import Mnemonic

WORDS = "alcohol woman abuse must during monitor noble actual mixed trade anger aisle"
SQUARE = "592681734"
"""The digits as the device shows them: the one at place 1 (bottom left) first."""

LIES = (
    "silent",
    "short-report",
    "long-length",
    "no-magic",
    "no-continuation",
    "truncated",
    "wrong-type",
    "other-message",
    "endless-buttons",
    "endless-pin",
    "new-pin",
    "huge-field",
    "field-twice",
    "group",
    "endless-number",
    "other-key",
    "short-key",
    "short-signature",
    "flipped-signature",
    "other-bytes",
)
"""What it can be told to do wrong when it signs."""

Fields = dict[int, list[bytes | int]]


@dataclass
class TrezorDevice:
    """One device.

    Args:
        send: called with each report that goes to the host.
        words: its mnemonic, or empty for one that was never set up.
        pin: digits, or empty.
        passphrase_used: whether it asks for a passphrase.
        firmware: its version.
        max_challenge: most bytes of a hidden challenge that its firmware has room for.
    """

    send: Callable[[bytes], None]
    words: str = WORDS
    pin: str = ""
    passphrase_used: bool = False
    firmware: tuple[int, int, int] = (1, 6, 3)
    max_challenge: int = 256
    vendor: str = "bitcointrezor.com"
    in_bootloader: bool = False
    refuses: bool = False
    never_pressed: bool = False
    lie: str | None = None
    requests: list[int] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    wrong_pins: int = 0

    def __post_init__(self) -> None:
        self._partial: tuple[int, int, bytes] | None = None
        self._then: Callable[[Fields], None] | None = None
        self._awaited = -1
        self._unlocked = False
        self._passphrase: str | None = None
        self.on_button: Callable[[], None] | None = None

    def leave(self) -> None:
        """Do nothing: it waits for nobody by itself."""

    def receive(self, report: bytes) -> None:
        """Take a report from the host."""
        if self._partial is None:
            if report[:3] != b"?##":
                return
            kind, length = struct.unpack(">HI", report[3:9])
            self._partial = (kind, length, report[9:])
        else:
            kind, length, data = self._partial
            self._partial = (kind, length, data + report[1:])
        kind, length, data = self._partial
        if len(data) >= length:
            self._partial = None
            self._take(kind, parsed(data[:length]))

    def _take(self, kind: int, fields: Fields) -> None:
        self.requests.append(kind)
        then, self._then = self._then, None
        if kind == 20:
            self._fail(4)
        elif kind == 0:
            self._unlocked, self._passphrase = False, None
            self._features()
        elif kind == 55:
            self._features()
        elif kind == 11:
            self._ask_pin(lambda: self._ask_passphrase(lambda: self._give_key(fields)))
        elif kind == 53:
            self._sign(fields)
        elif then is not None and kind == self._awaited:
            then(fields)
        else:
            self._fail(1)

    def _features(self) -> None:
        named = {1: self.vendor, 2: self.firmware[0], 3: self.firmware[1], 4: self.firmware[2]}
        body = {**named, 6: "A" * 24, 7: int(bool(self.pin)), 8: int(self.passphrase_used), 10: "mine"}
        body |= {12: int(bool(self.words)), 13: b"\x01" * 20, 16: 0, 99: "from a later firmware"}
        if self.in_bootloader:
            body = {**named, 5: 1}
        self._say(17, body)

    def _ask(self, kind: int, body: dict[int, int | bytes | str], awaited: int, then: Callable[[Fields], None]) -> None:
        self._awaited, self._then = awaited, then
        self._say(kind, body)

    def _ask_pin(self, then: Callable[[], None]) -> None:
        if not self.pin or self._unlocked:
            then()
            return

        def given(fields: Fields) -> None:
            places = str(bytes(fields[1][0]), "ascii")  # type: ignore[arg-type]
            if "".join(SQUARE[int(place) - 1] for place in places) != self.pin:
                self.wrong_pins += 1
                self._fail(7)
                return
            self._unlocked = True
            then()

        self._ask(18, {1: 2 if self.lie == "new-pin" else 1}, 19, given)

    def _ask_passphrase(self, then: Callable[[], None]) -> None:
        if not self.passphrase_used or self._passphrase is not None:
            then()
            return

        def given(fields: Fields) -> None:
            self._passphrase = bytes(fields[1][0]).decode() if 1 in fields else ""  # type: ignore[arg-type]
            then()

        self._ask(41, {}, 42, given)

    def _give_key(self, fields: Fields) -> None:
        path = [int(step) for step in fields[1]]  # type: ignore[arg-type]
        key = self._derived(path)
        node = made({1: len(path), 2: 7, 3: path[-1], 4: b"\x02" * 32, 6: b"\x01" + public(key)})
        self._say(12, {1: node, 2: "xpub"})

    def _sign(self, fields: Fields) -> None:
        hidden = bytes(fields[2][0])  # type: ignore[arg-type]
        visual = bytes(fields[3][0]).decode()  # type: ignore[arg-type]
        if len(hidden) > self.max_challenge:
            self._fail(3)
            return
        identity = parsed(bytes(fields[1][0]))  # type: ignore[arg-type]
        proto, user, host = (bytes(identity[number][0]).decode() for number in (1, 2, 3))  # type: ignore[arg-type]
        index = int(identity.get(6, [0])[0])
        self.shown.append(f"{proto} {user}@{host} {visual}")
        start = struct.pack("<I", index) + f"{proto}://{user}@{host}".encode()
        path = [0x80000000 | 13, *(0x80000000 | n for n in struct.unpack("<4I", hashlib.sha256(start).digest()[:16]))]

        def confirmed(_fields: Fields) -> None:
            if self.refuses:
                self._fail(4)
                return
            self._ask_pin(lambda: self._ask_passphrase(lambda: self._signed(path, hidden)))

        if self.on_button is not None:
            self.on_button()
        if self.lie == "endless-buttons":
            self._endless(26, 27)
        elif self.lie == "endless-pin":
            self._endless(18, 19)
        elif self.never_pressed:
            self._ask(26, {1: 7}, 27, lambda _fields: None)
        else:
            self._ask(26, {1: 7}, 27, confirmed)

    def _endless(self, kind: int, awaited: int) -> None:
        self._ask(kind, {}, awaited, lambda _fields: self._endless(kind, awaited))

    def _signed(self, path: list[int], hidden: bytes) -> None:
        key = self._derived(path)
        if self.lie in ("other-key", "other-bytes"):
            key = self._derived([*path[:4], path[4] ^ 1]) if self.lie == "other-key" else key
            hidden = hidden if self.lie == "other-key" else hidden + b"\0"
        signature = b"\0" + Ed25519PrivateKey.from_private_bytes(key).sign(hidden)
        shown = b"\0" + public(key)
        if self.lie == "flipped-signature":
            signature = signature[:9] + bytes([signature[9] ^ 4]) + signature[10:]
        if self.lie == "short-signature":
            signature = signature[:-1]
        if self.lie == "short-key":
            shown = shown[:-1]
        if self.lie in ("silent",):
            return
        body = made({2: shown, 3: signature})
        body = {
            "truncated": body[:-5],
            "wrong-type": b"\x10\x01" + body[35:],
            "huge-field": b"\x12\xff\xff\xff\xff\x0f" + body[2:],
            "field-twice": body + body,
            "group": b"\x0b\x0c" + body,
            "endless-number": b"\x10" + b"\xff" * 20 + body,
        }.get(self.lie or "", body)
        kind = 30 if self.lie == "other-message" else 54
        sent = reports(kind, body)
        if self.lie == "short-report":
            sent[0] = sent[0][:40]
        if self.lie == "long-length":
            sent[0] = sent[0][:5] + b"\x7f\xff\xff\xff" + sent[0][9:]
        if self.lie == "no-magic":
            sent[0] = b"!" + sent[0][1:]
        if self.lie == "no-continuation":
            sent[1] = b"#" + sent[1][1:]
        for report in sent:
            self.send(report)

    def _derived(self, path: list[int]) -> bytes:
        seed = Mnemonic.to_seed(self.words, self._passphrase or "")
        digest = hmac.new(b"ed25519 seed", seed, hashlib.sha512).digest()
        for step in path:
            data = b"\0" + digest[:32] + struct.pack(">I", step)
            digest = hmac.new(digest[32:], data, hashlib.sha512).digest()
        return digest[:32]

    def _say(self, kind: int, body: dict[int, int | bytes | str]) -> None:
        for report in reports(kind, made(body)):
            self.send(report)

    def _fail(self, code: int) -> None:
        self._say(3, {1: code, 2: "the device's own words"})


def places_of(pin: str) -> str:
    """Return what one types for a PIN while the device shows `SQUARE`."""
    return "".join(str(SQUARE.index(digit) + 1) for digit in pin)


def public(key: bytes) -> bytes:
    """Return the public key of 32 bytes of an Ed25519 seed."""
    return Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def reports(kind: int, body: bytes) -> list[bytes]:
    """Cut a message into reports."""
    stream = b"##" + struct.pack(">HI", kind, len(body)) + body
    return [(b"?" + stream[at : at + 63]).ljust(64, b"\0") for at in range(0, len(stream), 63)]


def made(fields: dict[int, int | bytes | str]) -> bytes:
    """Write a protocol buffer."""
    out = bytearray()
    for number, value in fields.items():
        if isinstance(value, int):
            out += _number(number << 3) + _number(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += _number(number << 3 | 2) + _number(len(data)) + data
    return bytes(out)


def parsed(data: bytes) -> Fields:
    """Read a protocol buffer of numbers and bytes."""
    fields: Fields = {}
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            part = data[at]
            at += 1
            value |= (part & 127) << shift
            shift += 7
            if part < 128:
                return value

    while at < len(data):
        tag = number()
        if tag & 7 == 0:
            fields.setdefault(tag >> 3, []).append(number())
        else:
            assert tag & 7 == 2
            length = number()
            fields.setdefault(tag >> 3, []).append(data[at : at + length])
            at += length
    return fields


def _number(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
