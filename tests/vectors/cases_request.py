"""Cases for request.json: request files and response files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.core.samples import ALICE, BOB, DAY, SEQ, device, devices, digest, key, sealing_key
from walletcli.core import cbor
from walletcli.core.card import Card
from walletcli.core.cose import Sign1
from walletcli.core.document import Document
from walletcli.core.document_parts import Delegation, Power
from walletcli.core.ed25519 import SigningKey
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.core.request_file import digest_words
from walletcli.core.response import Response
from walletcli.core.short_record import to_short

REQUEST_MAGIC = b"walletcli request 1\n"
RESPONSE_MAGIC = b"walletcli response 1\n"
ID = bytes(range(16))
LAST_SEQ = 4_102_444_799_999_999


def record(signer: SigningKey = ALICE, **fields: Any) -> Record:
    """Sign a document."""
    document = Document(signer.public_key, SEQ, **fields)
    packet = SignedPacket.sign(signer, SEQ, packet_value(document))
    return Record.verified(packet, document.to_bytes())


BEFORE = record(profile={"name": "Alice"}, delegations=devices(1))
SHORT = to_short(BEFORE)


def after(**fields: Any) -> bytes:
    """Return a document that follows `BEFORE`, bare."""
    assert BEFORE.document is not None
    merged = {"delegations": devices(1), "previous": BEFORE.document.hash, **fields}
    return Document(ALICE.public_key, SEQ + 1, **merged).to_bare_bytes()


def asking(name: str = "second device") -> Delegation:
    """Return the device that asks."""
    return device(name, Power.HOST, Power.MESSAGE, Power.SHARE)


def publish(**changes: Any) -> list[Any]:
    """Return an item of kind 1, changed by position: ``publish(_2=…)``."""
    return changed([1, ALICE.public_key, 0, SHORT, after(profile={"name": "Alice A."})], changes)


def create(**changes: Any) -> list[Any]:
    """Return an item of kind 2, changed by position."""
    return changed([2, "work", asking().to_cbor(), {"name": "Alice"}, {"phone": "+1 555 0100"}, SEQ, 1], changes)


def enrol(**changes: Any) -> list[Any]:
    """Return an item of kind 3, changed by position."""
    return changed([3, ALICE.public_key, None, SHORT, asking().to_cbor(), SEQ + 2], changes)


def sign(**changes: Any) -> list[Any]:
    """Return an item of kind 4, changed by position."""
    card = Card(ALICE.public_key, {"name": "Alice"}, DAY, DAY + 365)
    return changed([4, ALICE.public_key, 0, Card.TYP, card.to_payload()], changes)


def changed(row: list[Any], changes: dict[str, Any]) -> list[Any]:
    """Replace parts, or leave out those that are `...`."""
    by_position = {int(name[1:]): value for name, value in changes.items()}
    return [by_position.get(n, part) for n, part in enumerate(row) if by_position.get(n, part) is not ...]


def request(*items: Any, **changes: Any) -> bytes:
    """Write a request of whatever it is, its fields changed by number."""
    fields: dict[int, Any] = {1: ID, 2: DAY, 3: DAY + 14, 4: list(items)}
    fields |= {int(name[1:]): value for name, value in changes.items()}
    return REQUEST_MAGIC + cbor.encode({number: value for number, value in fields.items() if value is not ...})


def response_fields(**changes: Any) -> dict[int, Any]:
    """Return the fields of a response with a signature, changed by number."""
    fields: dict[int, Any] = {1: 1, 2: ALICE.public_key, 3: ID, 4: digest("request"), 5: 1, 6: bytes(range(64))}
    fields |= {int(name[1:]): value for name, value in changes.items()}
    return {number: value for number, value in fields.items() if value is not ...}


def origin(**changes: Any) -> dict[int, Any]:
    """Return an origin, changed by number."""
    fields: dict[int, Any] = {1: 7, 2: "walletcli", 3: sealing_key("recovery"), 4: 0, 5: digest("check")[:16]}
    fields |= {int(name[1:]): value for name, value in changes.items()}
    return {number: value for number, value in fields.items() if value is not ...}


def made(**changes: Any) -> dict[int, Any]:
    """Return the fields of a response with a record."""
    return response_fields(**{"_6": ..., "_7": SHORT, "_8": origin(), **changes})


def signed(fields: Any, signer: SigningKey = ALICE, typ: str = Response.TYP) -> bytes:
    """Sign the fields of a response."""
    return Sign1.sign(signer, typ, cbor.encode(fields)).to_bytes()


def response(*responses: Any) -> bytes:
    """Write a response file of whatever it is."""
    return RESPONSE_MAGIC + cbor.encode(list(responses))


def _case(name: str, kind: str, data: bytes, **more: object) -> dict[str, object]:
    return {"name": name, "kind": kind, "hex": data.hex(), **more}


def _valid_requests() -> Iterator[tuple[str, bytes]]:
    yield "a new record", request(publish())
    yield "a new identity", request(create())
    yield "a new identity with nothing to it", request(create(_3={}, _4={}, _5=0, _6=0))
    yield "a device, its index not known", request(enrol())
    yield "a device, its index known", request(enrol(_2=2_147_483_646, _5=LAST_SEQ))
    yield "a card", request(sign())
    yield "a statement that is not looked at yet", request(sign(_3="x", _4=b""))
    bobs = [1, BOB.public_key, 1, to_short(record(BOB)), Document(BOB.public_key, 5, bytes(32)).to_bare_bytes()]
    yield "one of each", request(publish(), create(), [*enrol()[:1], *bobs[1:4], *enrol()[4:]], sign())
    yield "two of one kind", request(create(), create(_1="play"), sign(), sign())
    yield "of one day", request(sign(), _3=DAY + 1)
    yield "of ninety days", request(sign(), _3=DAY + 90)
    yield "32 items", request(*[create(_1=f"{n}") for n in range(32)])
    yield "a label of many alphabets", request(create(_1="работа 仕事 ☿"))


def _valid() -> Iterator[dict[str, object]]:
    for name, data in _valid_requests():
        file_digest = _sha256(data)
        yield _case(
            f"request: {name}", "request", data, digest=file_digest.hex(), words=" ".join(digest_words(file_digest))
        )
    for name, responses in (
        ("a signature", [signed(response_fields())]),
        ("a record", [signed(made())]),
        ("the second item", [signed(response_fields(_5=2))]),
        ("two items", [signed(response_fields()), signed(made(_5=32))]),
        ("two identities", [signed(response_fields()), signed(response_fields(_2=BOB.public_key, _5=2), BOB)]),
        ("another scheme", [signed(made(_8=origin(_1=0, _2="morpheus", _4=2**31 - 1)))]),
    ):
        yield _case(f"response: {name}", "response", response(*responses))


def _sha256(data: bytes) -> bytes:
    import hashlib

    return hashlib.sha256(data).digest()


def _bad_requests() -> Iterator[tuple[str, bytes, str]]:
    good = request(publish())
    yield "empty", b"", "request.file"
    yield "the magic alone", REQUEST_MAGIC, "cbor.truncated"
    yield "another version", good.replace(b"request 1", b"request 2", 1), "request.file"
    yield "a byte more", good + b"\0", "cbor.trailing"
    yield "a list", REQUEST_MAGIC + cbor.encode([ID, DAY, DAY + 1, [publish()]]), "request.file"
    yield "a fifth field", request(publish(), _5=0), "request.file"
    for name, changes, error in (
        ("no id", {"_1": ...}, "request.file"),
        ("an id of 15 bytes", {"_1": bytes(15)}, "request.malformed"),
        ("an id in text", {"_1": "0123456789abcdef"}, "request.malformed"),
        ("a day in text", {"_2": "today"}, "request.malformed"),
        ("no life", {"_3": DAY}, "request.malformed"),
        ("91 days", {"_3": DAY + 91}, "request.malformed"),
        ("a day of 2101", {"_2": 47_848, "_3": 47_849}, "request.malformed"),
        ("a negative day", {"_2": -1, "_3": 1}, "request.malformed"),
        ("no items", {"_4": []}, "request.malformed"),
        ("items in a map", {"_4": {}}, "request.malformed"),
        ("33 items", {"_4": [create(_1=f"{n}") for n in range(33)]}, "request.malformed"),
        ("an item in a map", {"_4": [{}]}, "request.malformed"),
        ("an item of nothing", {"_4": [[]]}, "request.malformed"),
        ("an item of kind 0", {"_4": [[0, ALICE.public_key]]}, "request.malformed"),
        ("an item of kind 5", {"_4": [[5, ALICE.public_key]]}, "request.malformed"),
        ("an item of kind true", {"_4": [[True, *publish()[1:]]]}, "request.malformed"),
    ):
        yield name, request(publish(), **changes), error  # type: ignore[arg-type]  # test data
    yield "one identity twice", request(publish(), enrol()), "request.repeated"
    yield "one label twice", request(create(), create(_1="Work")), "request.repeated"
    yield from _bad_items()


def _bad_items() -> Iterator[tuple[str, bytes, str]]:
    altered = SHORT[:10] + bytes([SHORT[10] ^ 1]) + SHORT[11:]
    bobs = to_short(record(BOB))
    long_device = {**asking().to_cbor(), 5: DAY + 91}
    for name, item, error in (
        ("publish, a part short", publish(_4=...), "request.malformed"),
        ("publish, a part more", [*publish(), 0], "request.malformed"),
        ("publish, a key of 31 bytes", publish(_1=bytes(31)), "request.malformed"),
        ("publish, a key of small order", publish(_1=bytes(32)), "key.malformed"),
        ("publish, an index too high", publish(_2=2_147_483_647), "request.malformed"),
        ("publish, an index below zero", publish(_2=-1), "request.malformed"),
        ("publish, no index", publish(_2=None), "request.malformed"),
        ("publish, no record", publish(_3=None), "request.malformed"),
        ("publish, an altered record", publish(_3=altered), "signature.invalid"),
        ("publish, a record that is none", publish(_3=b"\x80"), "short-record.malformed"),
        ("publish, somebody else's record", publish(_3=bobs), "request.record"),
        ("publish, no document", publish(_4=b""), "cbor.truncated"),
        ("publish, a document with padding", publish(_4=cbor.encode({1: 1, 16: b""})), "document.form"),
        ("publish, a document of version 2", publish(_4=cbor.encode({1: 2})), "document.unknown-version"),
        ("publish, a document in text", publish(_4="x"), "request.malformed"),
        ("create, no label", create(_1=""), "request.malformed"),
        ("create, a label in bytes", create(_1=b"work"), "request.malformed"),
        ("create, a label of two lines", create(_1="a\nb"), "request.malformed"),
        ("create, a label that turns text around", create(_1="a\u202eb"), "request.malformed"),
        ("create, a label of 257 bytes", create(_1="x" * 257), "request.malformed"),
        ("create, a device in a list", create(_2=[]), "document.delegation"),
        ("create, a device of 91 days", create(_2=long_device), "document.delegation"),
        ("create, a device without powers", create(_2={**asking().to_cbor(), 3: 0}), "document.delegation"),
        ("create, attributes in a list", create(_3=[]), "request.malformed"),
        ("create, an attribute by number", create(_3={1: "x"}), "request.malformed"),
        ("create, an attribute in bytes", create(_4={"a": b"x"}), "request.malformed"),
        ("create, a name in capitals", create(_4={"A": "x"}), "document.profile"),
        ("create, 65 attributes", create(_3={f"a{n}": "x" for n in range(65)}), "request.malformed"),
        ("create, public and sealed", create(_4={"name": "x"}), "request.malformed"),
        ("create, a seq of 2100", create(_5=LAST_SEQ + 1), "request.malformed"),
        ("create, a seq below zero", create(_5=-1), "request.malformed"),
        ("create, a seq that is true", create(_5=True), "request.malformed"),
        ("enrol, an index in text", enrol(_2="0"), "request.malformed"),
        ("enrol, somebody else's record", enrol(_3=bobs), "request.record"),
        ("enrol, a device in bytes", enrol(_4=b"x"), "document.delegation"),
        ("enrol, no seq", enrol(_5=...), "request.malformed"),
        ("sign, no type", sign(_3=""), "request.malformed"),
        ("sign, a type of 129 bytes", sign(_3="x" * 129), "request.malformed"),
        ("sign, a type that is not ASCII", sign(_3="ä"), "request.malformed"),
        ("sign, a type with an escape code", sign(_3="\x1b"), "request.malformed"),
        ("sign, a type in bytes", sign(_3=b"x"), "request.malformed"),
        ("sign, a payload in text", sign(_4="x"), "request.malformed"),
    ):
        yield name, request(item), error


def _bad_responses() -> Iterator[tuple[str, bytes, str]]:
    good = signed(response_fields())
    yield "empty", b"", "response.file"
    yield "the magic alone", RESPONSE_MAGIC, "cbor.truncated"
    yield "another version", RESPONSE_MAGIC.replace(b"1", b"2") + cbor.encode([good]), "response.file"
    yield "a request", request(publish()), "response.file"
    yield "a byte more", response(good) + b"\0", "cbor.trailing"
    yield "a map", RESPONSE_MAGIC + cbor.encode({1: good}), "response.file"
    yield "no responses", response(), "response.file"
    yield "a response in text", response("x"), "response.file"
    yield "a response that is none", response(b"x"), "cbor.truncated"
    yield "33 responses", response(*[good] * 33), "response.file"
    yield "one response twice", response(good, good), "response.file"
    yield "items out of order", response(signed(response_fields(_5=2)), good), "response.file"
    yield "two requests", response(good, signed(response_fields(_3=bytes(16), _5=2))), "response.file"
    yield "two digests", response(good, signed(response_fields(_4=bytes(32), _5=2))), "response.file"
    yield "an altered signature", response(good[:-1] + bytes([good[-1] ^ 1])), "signature.invalid"
    yield "an altered digest", response(good.replace(digest("request"), bytes(32))), "signature.invalid"
    yield "signed by somebody else", response(signed(response_fields(), BOB)), "response.signer"
    yield "signed by a device", response(signed(response_fields(), key("device 0"))), "response.signer"
    yield "another type", response(signed(response_fields(), typ=Card.TYP)), "cose.type"
    for name, fields, error in (
        ("version 2", response_fields(_1=2), "response.unknown-version"),
        ("no version", response_fields(_1=...), "response.unknown-version"),
        ("no id", response_fields(_3=...), "response.malformed"),
        ("an id of 17 bytes", response_fields(_3=bytes(17)), "response.malformed"),
        ("a digest of 31 bytes", response_fields(_4=bytes(31)), "response.malformed"),
        ("item 0", response_fields(_5=0), "response.malformed"),
        ("item 33", response_fields(_5=33), "response.malformed"),
        ("nothing in it", response_fields(_6=...), "response.malformed"),
        ("a signature of 63 bytes", response_fields(_6=bytes(63)), "response.malformed"),
        ("an unknown field", response_fields(_9=0), "response.malformed"),
        ("a signature and a record", made(_6=bytes(64)), "response.malformed"),
        ("a record without its origin", made(_8=...), "response.malformed"),
        ("an origin without its record", made(_7=...), "response.malformed"),
        ("an empty record", made(_7=b""), "response.malformed"),
        ("an origin in a list", made(_8=[]), "response.malformed"),
        ("an origin with a part missing", made(_8=origin(_4=...)), "response.malformed"),
        ("an index too high", made(_8=origin(_1=2_147_483_647)), "response.malformed"),
        ("an unknown scheme", made(_8=origin(_2="other")), "response.malformed"),
        ("a scheme by number", made(_8=origin(_2=0)), "response.malformed"),
        ("a recovery recipient of 31 bytes", made(_8=origin(_3=bytes(31))), "response.malformed"),
        ("a generation too high", made(_8=origin(_4=2**31)), "response.malformed"),
        ("a check of 15 bytes", made(_8=origin(_5=bytes(15))), "response.malformed"),
    ):
        yield name, response(signed(fields)), error


def _invalid() -> Iterator[dict[str, object]]:
    for name, data, error in _bad_requests():
        yield _case(f"request: {name}", "request", data, error=error)
    for name, data, error in _bad_responses():
        yield _case(f"response: {name}", "response", data, error=error)


def make() -> dict[str, object]:
    """Return what request.json holds."""
    return {
        "spec": "docs/spec/request.md",
        "source": "made by tests/vectors/make_vectors.py; keys are those of tests/core/samples.py",
        "valid": list(_valid()),
        "invalid": list(_invalid()),
    }
