"""Cases for cbor.json: what docs/spec/record.md, "Encoding", accepts and refuses."""

from __future__ import annotations

from typing import Any

from walletcli.core import cbor

SOURCE = (
    "RFC 8949, appendix A (examples) and appendix F (not well-formed), as far as they concern the subset; "
    "the rest is ours, made by tests/vectors/make_vectors.py"
)
MAX_BYTES = 1024
"""What the vectors are decoded with."""

_VALID_NUMBERS = {
    "00": 0,
    "01": 1,
    "0a": 10,
    "17": 23,
    "1818": 24,
    "1819": 25,
    "1864": 100,
    "18ff": 255,
    "190100": 256,
    "1903e8": 1000,
    "19ffff": 65_535,
    "1a00010000": 65_536,
    "1a000f4240": 1_000_000,
    "1affffffff": 2**32 - 1,
    "1b0000000100000000": 2**32,
    "1b000000e8d4a51000": 1_000_000_000_000,
    "1bffffffffffffffff": 2**64 - 1,
    "20": -1,
    "29": -10,
    "37": -24,
    "3818": -25,
    "3863": -100,
    "38ff": -256,
    "390100": -257,
    "3903e7": -1000,
    "3a00010000": -65_537,
    "3b0000000100000000": -(2**32) - 1,
    "3bffffffffffffffff": -(2**64),
}

_VALID_OTHERS: dict[str, object] = {
    "f4": False,
    "f5": True,
    "f6": None,
    "40": b"",
    "4401020304": b"\1\2\3\4",
    "57" + "ab" * 23: b"\xab" * 23,
    "5818" + "ab" * 24: b"\xab" * 24,
    "590100" + "00" * 256: bytes(256),
    "60": "",
    "6161": "a",
    "6449455446": "IETF",
    "62225c": '"\\',
    "62c3bc": "ü",
    "63e6b0b4": "水",
    "64f0908591": "𐅑",
    "80": [],
    "83010203": [1, 2, 3],
    "8301820203820405": [1, [2, 3], [4, 5]],
    "98190102030405060708090a0b0c0d0e0f101112131415161718181819": list(range(1, 26)),
    "a0": {},
    "a201020304": {1: 2, 3: 4},
    "a26161016162820203": {"a": 1, "b": [2, 3]},
    "826161a161626163": ["a", {"b": "c"}],
    "a56161614161626142616361436164614461656145": {"a": "A", "b": "B", "c": "C", "d": "D", "e": "E"},
    "a50001181802200361610462616205": {0: 1, 24: 2, -1: 3, "a": 4, "ab": 5},
    "a41700181801190100022003": {23: 0, 24: 1, 256: 2, -1: 3},
    "d280": cbor.Tagged(18, []),
    "d28443a10127a04161420102": cbor.Tagged(18, [b"\xa1\x01\x27", {}, b"a", b"\1\2"]),
}

_TRUNCATED = """
18 19 1a 1b 1901 1a0102 1b01020304050607 38 58 78 98 9a01ff00 b8 d8
41 61 5affffffff00 5bffffffffffffffff010203 7affffffff00 7b7fffffffffffffff010203
81 818181818181818181 8200 a1 a20102 a100 a2000000 d2 9bffffffffffffffff bbffffffffffffffff 581800 4300 6361 a1190100
"""

_NOT_CANONICAL = {
    "indefinite": """
        5f4100 7f6100 9f 9f0102 bf bf01020102 819f 9f8000 9f9f9f9f9fffffffff 9f819f819f9fffffff 5f00ff 5f21ff 5f6100ff
        5f80ff 5fa0ff 5fc000ff 5fe0ff 7f4100ff 5f5f4100ffff 7f7f6100ffff bf00ff bf000000ff 9fff bfff 5fff 7fff
        5f42010243030405ff 7f657374726561646d696e67ff 9f018202039f0405ffff bf61610161629f0203ffff 1f 3f df""",
    "reserved head": "1c 1d 1e 3c 3d 3e 5c 5d 5e 7c 7d 7e 9c 9d 9e bc bd be dc dd de",
    "long head": """
        1800 1817 190000 190017 1900ff 1a00000000 1a0000ffff 1b0000000000000000 1b00000000ffffffff 3800 3817 390000
        3900ff 3a00000000 3a0000ffff 3b0000000000000000 3b00000000ffffffff 5800 580101 590000 5900010a 5a0000000101
        5b000000000000000101 7800 780161 790000 790001610a 7a0000000161 7b000000000000000161 9800 980100 99000100
        9a0000000100 9b000000000000000100 b800 b8010000 b900010000 ba000000010000 bb00000000000000010000 d81280 d9001280
        da0000001280 db000000000000001280 a1180100 a119000100 a178016100 a101180100""",
}


def _deep(depth: int) -> object:
    value: object = []
    for _ in range(depth - 1):
        value = [value]
    return value


def plain(value: object) -> Any:
    """Return a value in JSON: bytes, maps and tags as objects that say what they are."""
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, dict):
        return {"map": [[plain(key), plain(item)] for key, item in value.items()]}
    if isinstance(value, cbor.Tagged):
        return {"tag": value.tag, "value": plain(value.value)}
    return [plain(item) for item in value] if isinstance(value, list) else value


def _invalid() -> list[tuple[str, str, str]]:
    cases = [("nothing", "", "cbor.truncated")]
    cases += [(f"truncated: {text}", text, "cbor.truncated") for text in _TRUNCATED.split()]
    for kind, texts in _NOT_CANONICAL.items():
        cases += [(f"{kind}: {text}", text, "cbor.not-canonical") for text in texts.split()]
    cases += [
        ("keys out of order: 1, 0", "a201000000", "cbor.not-canonical"),
        ("a key twice: 0", "a200000000", "cbor.not-canonical"),
        ("a key twice: 24", "a2181800181800", "cbor.not-canonical"),
        ("a key twice: -1", "a220002000", "cbor.not-canonical"),
        ('a key twice: "a"', "a2616100616100", "cbor.not-canonical"),
        ("keys out of order: 24, 0", "a21818000000", "cbor.not-canonical"),
        ("keys out of order: -1, 0", "a220000000", "cbor.not-canonical"),
        ("keys out of order: -1, 24", "a22000181800", "cbor.not-canonical"),
        ("keys out of order: 256, 24", "a219010000181800", "cbor.not-canonical"),
        ('keys out of order: "b", "a"', "a2616200616100", "cbor.not-canonical"),
        ('keys out of order: "aa", "b"', "a262616100616200", "cbor.not-canonical"),
        ('keys out of order: "a", -1', "a26161002000", "cbor.not-canonical"),
        ("keys out of order further in", "82a0a201000000", "cbor.not-canonical"),
        ("a half float", "f90000", "cbor.unsupported"),
        ("a float", "fa47c35000", "cbor.unsupported"),
        ("a double", "fb3ff199999999999a", "cbor.unsupported"),
        ("half a float", "f900", "cbor.unsupported"),
        ("infinity", "f97c00", "cbor.unsupported"),
        ("not a number", "f97e00", "cbor.unsupported"),
        ("undefined", "f7", "cbor.unsupported"),
        ("simple value 16", "f0", "cbor.unsupported"),
        ("simple value 255", "f8ff", "cbor.unsupported"),
        ("simple value 24, reserved", "f818", "cbor.unsupported"),
        ("false in two bytes", "f814", "cbor.unsupported"),
        ("a break alone", "ff", "cbor.unsupported"),
        ("a break in a list", "8200ff", "cbor.unsupported"),
        ("a break for a value", "a100ff", "cbor.unsupported"),
        ("a reserved simple head", "fc", "cbor.unsupported"),
        ("tag 0", "c074323031332d30332d32315432303a30343a30305a", "cbor.unsupported"),
        ("tag 1", "c11a514b67b0", "cbor.unsupported"),
        ("tag 2, a big number", "c249010000000000000000", "cbor.unsupported"),
        ("tag 17", "d180", "cbor.unsupported"),
        ("tag 24", "d818456449455446", "cbor.unsupported"),
        ("tag 55799", "d9d9f700", "cbor.unsupported"),
        ("tag 0 of nothing", "c0", "cbor.unsupported"),
        ("a key of bytes", "a1410000", "cbor.unsupported"),
        ("a key that is a list", "a18000", "cbor.unsupported"),
        ("a key that is a map", "a1a000", "cbor.unsupported"),
        ("a key that is a tag", "a1d28000", "cbor.unsupported"),
        ("a key that is true", "a1f500", "cbor.unsupported"),
        ("a key that is null", "a1f600", "cbor.unsupported"),
        ("text with a lone continuation byte", "6180", "cbor.text"),
        ("text with a long form of /", "62c0af", "cbor.text"),
        ("text with a surrogate", "63eda080", "cbor.text"),
        ("text beyond U+10FFFF", "64f4908080", "cbor.text"),
        ("text that ends inside a character", "61c3", "cbor.text"),
        ("a key that is not UTF-8", "a161ff00", "cbor.text"),
        ("a byte after a number", "0000", "cbor.trailing"),
        ("a byte after a list", "8000", "cbor.trailing"),
        ("a byte after a map", "a0f6", "cbor.trailing"),
        ("lists 17 deep", "81" * 16 + "80", "cbor.too-deep"),
        ("lists 17 deep, unfinished", "81" * 17, "cbor.too-deep"),
        ("maps 17 deep", "a100" * 16 + "a0", "cbor.too-deep"),
        ("tags 17 deep", "d2" * 17 + "00", "cbor.too-deep"),
        ("lists without end", "81" * 1000, "cbor.too-deep"),
        ("1025 bytes", "590400" + "00" * 1022, "cbor.too-long"),
    ]
    return cases


def make() -> dict[str, object]:
    """Return the content of cbor.json."""
    values = {**_VALID_NUMBERS, **_VALID_OTHERS, "81" * 15 + "80": _deep(16)}
    return {
        "spec": "docs/spec/record.md, Encoding",
        "source": SOURCE,
        "max_bytes": MAX_BYTES,
        "valid": [{"name": text[:40], "hex": text, "value": plain(value)} for text, value in values.items()],
        "invalid": [{"name": name, "hex": text, "error": error} for name, text, error in _invalid()],
    }
