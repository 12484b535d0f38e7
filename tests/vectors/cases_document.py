"""Cases for document.json: what docs/spec/record.md, "Document", accepts and refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from tests.core.samples import (
    ALICE,
    DAY,
    P256_P,
    documents,
    everything,
    fields_of,
    padded,
    sealing_key,
    written,
)
from walletcli.core import cbor

Fields: TypeAlias = dict[Any, Any]
"""A document's map, right or wrong."""

X25519_SMALL_ORDER = bytes(32)
ED25519_SMALL_ORDER = b"\1" + bytes(31)
NOT_CANONICAL = b"\xee" + b"\xff" * 30 + b"\x7f"  # 2^255 - 18
FORBIDDEN_EDGES = (
    *(0x0, 0x9, 0xB, 0xD, 0x1B, 0x1F, 0x7F, 0x85, 0x9F, 0xAD, 0x61C, 0x180E, 0x200B, 0x200E, 0x200F, 0x2028, 0x202E),
    *(0x2060, 0x2066, 0x206F, 0xE000, 0xF8FF, 0xFDD0, 0xFDEF, 0xFEFF, 0xFFF9, 0xFFFB, 0xFFFE, 0xFFFF, 0xE0000, 0xE0041),
    *(0xE00FF, 0xF0000, 0x10FFFF),
)
WRONG_TYPES: tuple[Any, ...] = (0, -1, b"bytes", "text", [], {}, True, None, cbor.Tagged(18, []))


def zeros_cut(data: bytes) -> dict[str, object]:
    """Return bytes in hex without the zeros at their end, and their length: padding is the end of every document."""
    return {"hex": data.rstrip(b"\0").hex(), "length": len(data)}


def _least() -> Fields:
    return fields_of(documents()["no optional field"])


def _changed(number: int, value: Any) -> Fields:
    return {**_least(), number: value}


def _part(number: int, change: Fields | None = None, drop: int | None = None) -> Fields:
    """Return a document with a change inside the map that field `number` is, or is a list of."""
    fields: Any = fields_of(everything())
    is_list = isinstance(fields[number], list)
    part = {**(fields[number][0] if is_list else fields[number]), **(change or {})}
    part.pop(drop, None)
    rest = fields[number][1:] if is_list else None
    return _changed(number, part if rest is None else [part, *rest])


def _scalars() -> Iterator[tuple[str, Fields, str]]:
    """Yield wrong values of fields that are one value."""
    for value in (2**63, 2**64 - 1, -1, True, "1", None, b"\1"):
        yield f"seq {value!r}", _changed(3, value), "document.seq"
    for name, number in (("identity", 2), ("previous", 4)):
        for length in (0, 31, 33, 64):
            yield f"{name} of {length} bytes", _changed(number, bytes(length)), f"document.{name}"
        for wrong in (0, "x" * 32, [bytes(32)], None, True):
            yield f"{name} of another type: {type(wrong).__name__}", _changed(number, wrong), f"document.{name}"
    yield "identity of small order", _changed(2, ED25519_SMALL_ORDER), "key.malformed"
    yield (
        "identity of order 8",
        _changed(2, bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")),
        "key.malformed",
    )
    yield "identity that is not canonical", _changed(2, NOT_CANONICAL), "key.malformed"
    for days in ([], [DAY], [DAY, 0, 0], [DAY, 4], [DAY, -1], [47_483, 0], [-1, 0], [True, 0], [DAY, False]):
        yield f"retirement {days!r}", _changed(12, days), "document.retirement"
    for other in (DAY, {1: DAY, 2: 0}, b"", None):
        yield f"retirement of another type: {type(other).__name__}", _changed(12, other), "document.retirement"


def _delegations() -> Iterator[tuple[str, Fields, str]]:
    fields: Any = fields_of(everything())
    first, second, third = fields[6]
    yield "no delegation in the list", _changed(6, []), "document.delegations"
    yield "delegations that are a map", _changed(6, {0: first}), "document.delegations"
    yield "a delegation twice", _changed(6, [first, first]), "document.delegations"
    yield "delegations out of order", _changed(6, [second, first, third]), "document.delegations"
    yield "two delegations of one signing key", _changed(6, [first, {**first, 3: 1}]), "document.delegations"
    many: Any = fields_of(documents()["thirty-two devices, eight shown by the packet"])[6]
    last = {**many[-1], 1: b"\xff" * 31 + b"\x00"}
    yield "33 delegations", _changed(6, [*many, last]), "document.delegations"
    yield "65 delegations", _changed(6, [first] * 65), "document.delegations"
    yield "the root key as a device", _changed(6, [{**first, 1: ALICE.public_key}]), "document.delegations"
    yield "a delegation that is a list", _changed(6, [list(first.values())]), "document.delegation"
    yield "an empty delegation", _changed(6, [{}]), "document.delegation"
    yield "an unknown field of a delegation", _part(6, {6: 0}), "document.delegation"
    yield "an unknown field of a delegation, text", _changed(6, [{**first, "x": 0}]), "document.delegation"
    for number in range(1, 6):
        yield f"a delegation without field {number}", _part(6, drop=number), "document.delegation"
        for wrong in WRONG_TYPES:
            if type(wrong) is not type(first[number]):
                title = f"a delegation whose field {number} is {wrong!r}"
                yield title, _part(6, {number: wrong}), "document.delegation"
    for length in (0, 31, 33):
        yield f"a signing key of {length} bytes", _part(6, {1: bytes(length)}), "key.malformed"
        yield f"a sealing key of {length} bytes", _part(6, {2: bytes(length)}), "key.malformed"
    yield "a signing key of small order", _part(6, {1: ED25519_SMALL_ORDER}), "key.malformed"
    yield "a signing key that is not canonical", _part(6, {1: NOT_CANONICAL}), "key.malformed"
    yield "a sealing key of small order", _part(6, {2: X25519_SMALL_ORDER}), "key.malformed"
    yield "a sealing key that is not canonical", _part(6, {2: NOT_CANONICAL}), "key.malformed"
    high_bit = sealing_key("x")[:31] + bytes([sealing_key("x")[31] | 0x80])
    yield "a sealing key with its highest bit set", _part(6, {2: high_bit}), "key.malformed"
    for mask in (0, 16, 31, -1, 2**32):
        yield f"powers {mask}", _part(6, {3: mask}), "document.delegation"
    for days in ((DAY, DAY), (DAY, DAY - 1), (DAY, DAY + 91), (-1, 5), (47_400, 47_483), (47_483, 47_484)):
        yield f"days {days}", _part(6, {4: days[0], 5: days[1]}), "document.delegation"


def _approvers() -> Iterator[tuple[str, Fields, str]]:
    error = "document.approvers"
    fields: Any = fields_of(everything())
    one, two, three = fields[7][2]
    p256 = next(item for item in (one, two, three) if item[1] == -7)
    eddsa = next(item for item in (one, two, three) if item[1] == -8)
    for number in (1, 2, 3):
        yield f"approvers without field {number}", _part(7, drop=number), error
    yield "an unknown field of approvers", _part(7, {4: 0}), error
    yield "approvers that are a list", _changed(7, [one]), error
    for threshold in (0, 4, 9, -1, True, "2"):
        yield f"threshold {threshold!r} of three", _part(7, {1: threshold}), error
    for delay in (0, 366, -1, True, None):
        yield f"approvers' delay {delay!r}", _part(7, {3: delay}), error
    yield "no approver", _part(7, {1: 1, 2: []}), error
    yield "nine approvers", _part(7, {2: [one] * 9}), error
    yield "approvers out of order", _part(7, {2: [two, one, three]}), error
    yield "an approver twice", _part(7, {2: [one, one]}), error
    yield "approvers that are bytes", _part(7, {2: b""}), error
    yield "the root key as an approver", _part(7, {1: 1, 2: [{**eddsa, 2: ALICE.public_key}]}), error
    for title, item, code in (
        ("without an algorithm", {2: one[2], 3: True}, error),
        ("with an unknown field", {**one, 4: 0}, error),
        ("of algorithm -6", {**one, 1: -6}, error),
        ("of algorithm -9", {**one, 1: -9}, error),
        ("with a number for user verification", {**one, 3: 1}, error),
        ("with a key of 31 bytes", {**eddsa, 2: bytes(31)}, error),
        ("with a key of 34 bytes", {**p256, 2: bytes(34)}, error),
        ("with an Ed25519 key of 33 bytes", {**eddsa, 2: p256[2]}, "key.malformed"),
        ("with an Ed25519 key of small order", {**eddsa, 2: ED25519_SMALL_ORDER}, "key.malformed"),
        ("with a P-256 key of 32 bytes", {**p256, 2: eddsa[2]}, error),
        ("with a P-256 key of prefix 4", {**p256, 2: b"\4" + p256[2][1:]}, error),
        ("with a P-256 key beyond the prime", {**p256, 2: b"\2" + P256_P.to_bytes(32, "big")}, error),
        ("that is a list", [-8, one[2], True], error),
    ):
        yield f"an approver {title}", _part(7, {1: 1, 2: [item]}), code


def _succession() -> Iterator[tuple[str, Fields, str]]:
    error = "document.succession"
    for number in (1, 2):
        yield f"a succession without field {number}", _part(8, drop=number), error
    yield "an unknown field of a succession", _part(8, {4: 0}), error
    yield "a succession that is a list", _changed(8, [bytes(32), 30]), error
    for length in (31, 33):
        yield f"a commitment of {length} bytes", _part(8, {1: bytes(length)}), error
        yield f"a veto key of {length} bytes", _part(8, {3: bytes(length)}), error
    for delay in (6, 366, 0, -1, True, "7"):
        yield f"a succession's delay {delay!r}", _part(8, {2: delay}), error
    yield "a veto key that is null", _part(8, {3: None}), error
    yield "a veto key of small order", _part(8, {3: ED25519_SMALL_ORDER}), "key.malformed"
    yield "the root key as veto key", _part(8, {3: ALICE.public_key}), error


def _profile() -> Iterator[tuple[str, Fields, str]]:
    error = "document.profile"
    yield "an empty profile", _changed(9, {}), error
    yield "a profile that is a list", _changed(9, ["name"]), error
    yield "65 attributes", _changed(9, {f"a{n}": "x" for n in range(65)}), error
    for name in ("", "Name", "_x", ".x", "-x", "a b", "é", "a" * 33, "name\n", "a:b"):
        yield f"an attribute named {name!r}", _changed(9, {name: "x"}), error
    yield "an attribute with a number for a name", _changed(9, {1: "x"}), error
    for value in ("", "x" * 1025, "é" * 513):
        yield f"a value of {len(value.encode())} bytes", _changed(9, {"name": value}), error
    for wrong in (1, b"x", None, ["x"], True):
        yield f"a value of another type: {type(wrong).__name__}", _changed(9, {"name": wrong}), error
    for code in FORBIDDEN_EDGES:
        yield f"a value with U+{code:04X}", _changed(9, {"name": f"a{chr(code)}b"}), error


def _lists() -> Iterator[tuple[str, Fields, str]]:
    for number, name, most in ((5, "bindings", 16), (10, "sections", 64), (13, "healed", 8)):
        error = f"document.{name}"
        yield f"no {name} in the list", _changed(number, []), error
        yield f"{name} that are null", _changed(number, None), error
        yield f"{name} that are a map", _changed(number, {1: b"x"}), error
        good: list[Any] = [bytes([n + 1]) for n in range(most + 1)]
        if name == "healed":
            good = [[bytes([n]) * 32, b"\xff" * 32] for n in range(most + 1)]
        yield f"{most + 1} {name}", _changed(number, good), error
        yield f"{name} with one twice", _changed(number, [good[0], good[0]]), error
        yield f"{name} with a text", _changed(number, ["x"]), error
        if name != "bindings":
            yield f"{name} out of order", _changed(number, [good[1], good[0]]), error
    yield "an empty binding", _changed(5, [b""]), "document.bindings"
    yield "a binding of 4097 bytes", _changed(5, [bytes(4097)]), "document.bindings"
    yield "an empty section", _changed(10, [b""]), "document.sections"
    yield "a section of 16385 bytes", _changed(10, [bytes(16_385)]), "document.sections"
    low, high = bytes(32), b"\1" * 32
    for title, pair in (
        ("out of order", [high, low]),
        ("of one hash twice", [low, low]),
        ("of one hash", [low]),
        ("of three hashes", [low, high, b"\2" * 32]),
        ("of a short hash", [low[:31], high]),
        ("of a long hash", [low, high + b"\1"]),
        ("of texts", ["a" * 32, "b" * 32]),
    ):
        yield f"a split {title}", _changed(13, [pair]), "document.healed"
    yield "a split that is bytes", _changed(13, [low + high]), "document.healed"


def _addresses() -> Iterator[tuple[str, Fields, str]]:
    yield "no address in the list", _changed(11, []), "document.addresses"
    yield "17 addresses", _changed(11, [["tcp", f"h:{n}"] for n in range(17)]), "document.addresses"
    yield "an address twice", _changed(11, [["tcp", "h:1"], ["tcp", "h:1"]]), "document.addresses"
    bad: tuple[tuple[str, Any], ...] = (
        ("that is a text", "tcp"),
        ("that is a map", {1: "tcp"}),
        ("of one part", ["tcp"]),
        ("of four parts", ["tcp", "h:1", bytes(32), 0]),
        ("of an unknown transport", ["udp", "h:1"]),
        ("of a transport in capitals", ["TCP", "h:1"]),
        ("of a transport in bytes", [b"tcp", "h:1"]),
        ("of a transport that is a list", [["tcp"], "h:1"]),
        ("of a location in bytes", ["tcp", b"h:1"]),
        ("of an empty location", ["tcp", ""]),
        ("of a location of 256 characters", ["tcp", "h" * 256]),
        ("of a location with a space", ["tcp", "h :1"]),
        ("of a location with a line feed", ["tcp", "h:1\n"]),
        ("of a location beyond ASCII", ["tcp", "hé:1"]),
        ("of a location with a DEL", ["tcp", "h\x7f:1"]),
        ("of a pin of 31 bytes", ["tcp", "h:1", bytes(31)]),
        ("of a pin of 33 bytes", ["tcp", "h:1", bytes(33)]),
        ("of a pin that is null", ["tcp", "h:1", None]),
    )
    for title, value in bad:
        yield f"an address {title}", _changed(11, [value]), "document.address"


def _whole() -> Iterator[tuple[str, bytes, str]]:
    """Yield what is wrong with the map as a whole, or with its bytes."""
    fields = _least()
    good = documents()["no optional field"].to_bytes()
    for number in (2, 3):
        yield f"no field {number}", written({k: v for k, v in fields.items() if k != number}), "document.form"
    for key_ in (0, 14, 17, 18, 255, -1, "seq", ""):
        extra = {**fields, key_: 0}
        data = written(extra) if type(key_) is int and 0 <= key_ < 16 else cbor.encode({**extra, 16: b""})
        yield f"an unknown field {key_!r}", data, "document.form"
    yield "no padding", cbor.encode(fields), "document.form"
    yield "no version", written({k: v for k, v in fields.items() if k != 1}), "document.unknown-version"
    versions: tuple[Any, ...] = (0, 2, 2**64 - 1, -1, True, "1", b"\1", None, [1])
    for version in versions:
        yield f"version {version!r}", written({**fields, 1: version}), "document.unknown-version"
    not_maps: tuple[tuple[str, Any], ...] = (
        ("a list", [1]),
        ("a number", 1),
        ("null", None),
        ("bytes", b"x"),
        ("a text", "x"),
    )
    for title, value in not_maps:
        yield title, cbor.encode(value), "document.form"
    yield "a tagged map", cbor.encode(cbor.Tagged(18, {1: 1})), "document.form"
    yield "an empty map", b"\xa0", "document.unknown-version"
    yield "nothing", b"", "cbor.truncated"
    yield "65537 bytes", good + bytes(65_537 - len(good)), "document.too-long"
    yield "a byte less", good[:-1], "cbor.truncated"
    yield "a byte more", good + b"\0", "cbor.trailing"
    yield "padded with another byte", good[:-1] + b"\1", "document.padding"
    yield "padding of another type", cbor.encode({**fields, 16: "\0" * 100}), "document.padding"
    yield "padded to no step", cbor.encode({**fields, 16: b""}), "document.padding"
    yield "padded to the next but one step", _next_step(good), "document.padding"
    short = cbor.encode(fields)
    yield "a key with a long head", padded(short[:1] + b"\x18\x01" + short[2:]), "cbor.not-canonical"
    yield "a number with a long head", padded(short[:2] + b"\x18\x01" + short[3:]), "cbor.not-canonical"
    yield "a field twice", padded(bytes([short[0] + 1]) + short[1:3] + short[1:]), "cbor.not-canonical"
    swapped = short[:1] + short[3:38] + short[1:3] + short[38:]
    yield "fields out of order", padded(swapped), "cbor.not-canonical"
    yield "an indefinite map", b"\xbf" + good[1:] + b"\xff", "cbor.not-canonical"
    yield "a floating point seq", padded(short[:39] + b"\xf9\x3c\x00"), "cbor.unsupported"
    long_padding = padded(short).rstrip(b"\0")[:-3] + b"\x5a" + (1024 - len(short) - 6).to_bytes(4, "big")
    yield "padding with a long head", long_padding.ljust(1024, b"\0"), "cbor.not-canonical"


def _next_step(good: bytes) -> bytes:
    fields: Any = cbor.decode(good, 1 << 16)
    return cbor.encode({**fields, 16: bytes(len(fields[16]) + len(good))})


def _extensions() -> Iterator[tuple[str, Fields, str]]:
    error = "document.extensions"
    yield "no extension in the map", _changed(15, {}), error
    yield "extensions that are a list", _changed(15, [1]), error
    yield "33 extensions", _changed(15, dict.fromkeys(range(33), 0)), error
    yield "8193 bytes of extensions", _changed(15, {0: bytes(8192 - 4)}), error
    deep: Any = []
    for _ in range(14):
        deep = [deep]
    yield "extensions that are too deep", _changed(15, {0: deep}), "cbor.too-deep"


def _invalid() -> Iterator[dict[str, object]]:
    for group in (_scalars, _delegations, _approvers, _succession, _profile, _lists, _addresses):
        for title, fields, error in group():
            yield {"name": title, **zeros_cut(written(fields)), "error": error}
    for title, fields, error in _extensions():
        data = written(fields) if error != "cbor.too-deep" else _too_deep(fields)
        yield {"name": title, **zeros_cut(data), "error": error}
    for title, data, error in _whole():
        yield {"name": title, **zeros_cut(data), "error": error}


def _too_deep(fields: Fields) -> bytes:
    """Encode what our encoder refuses: one level is put in afterwards."""
    mark = "the place of the last list"
    at_mark = cbor.encode({**fields, 15: {0: mark}})
    return padded(at_mark.replace(cbor.encode(mark), b"\x81" * 14 + b"\x80"))


def make() -> dict[str, object]:
    """Return the content of document.json."""
    valid = [
        {"name": name, **zeros_cut(document.to_bytes()), "sha256": document.hash.hex(), "json": document.to_json()}
        for name, document in documents().items()
    ]
    return {
        "spec": "docs/spec/record.md, Document",
        "source": "ours, made by tests/vectors/make_vectors.py",
        "note": "hex leaves out the zero bytes at the end; length counts them",
        "valid": valid,
        "invalid": list(_invalid()),
    }
