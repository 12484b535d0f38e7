"""Cases for equivocation.json: proof files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.core.dns_wire import message
from tests.core.samples import ALICE, BOB, SEQ, documents, payload, payload_of
from tests.vectors.cases_document import zeros_cut
from tests.vectors.cases_packet import HELLO, unknown_values
from tests.vectors.cases_record import derived_otherwise
from walletcli.core import cbor
from walletcli.core.document import Document
from walletcli.core.record import packet_value

MAGIC = b"walletcli equivocation 1\n"
LEFT = documents()["two devices and a profile"]
RIGHT = replace(LEFT, profile={"name": "Eve"})

Part = list[Any]


def side_of(document: Document, *, whole: bool = True, signer: Any = ALICE) -> Part:
    """Write one side of a document, with or without it."""
    signed = payload_of(document, signer)
    return [signed[:64], signed[72:], document.to_bytes() if whole else None]


def bare_side(value: bytes, seq: int = SEQ, signer: Any = ALICE, document: bytes | None = None) -> Part:
    """Write one side of whatever a packet holds."""
    return [payload(signer, seq, value)[:64], value, document]


def proof_file(*sides: Part, key: bytes = ALICE.public_key, seq: Any = SEQ) -> bytes:
    """Write a proof of whatever it is, in the order given."""
    return MAGIC + cbor.encode([key, seq, list(sides)])


def in_order(one: Document, other: Document) -> tuple[Document, Document]:
    return (one, other) if one.hash < other.hash else (other, one)


def _valid_files() -> Iterator[tuple[str, bytes]]:
    first, second = in_order(LEFT, RIGHT)
    yield "both documents", proof_file(side_of(first), side_of(second))
    yield "the first document only", proof_file(side_of(first), side_of(second, whole=False))
    yield "the second document only", proof_file(side_of(first, whole=False), side_of(second))
    yield "no document", proof_file(side_of(first, whole=False), side_of(second, whole=False))
    for title, document in list(documents().items())[:12]:
        other = replace(document, extensions={"other": 1})
        one, two = in_order(document, other)
        yield f"a split of: {title}", proof_file(side_of(one), side_of(two), seq=document.seq)
    none = message(HELLO)
    two_sides = sorted([(LEFT.hash, side_of(LEFT)), (_sha256(none), bare_side(none))])
    yield "a side that names no document", proof_file(*(side for _, side in two_sides))
    other_value = derived_otherwise()["another time to live"]
    odd = sorted([(LEFT.hash, bare_side(other_value)), (RIGHT.hash, side_of(RIGHT))])
    yield "a side that is not derived from its document", proof_file(*(side for _, side in odd))


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _changed(side: Part, at: int, value: Any) -> Part:
    return [*side[:at], value, *side[at + 1 :]]


def _bad_files() -> Iterator[tuple[str, bytes, str]]:
    first, second = in_order(LEFT, RIGHT)
    one, two = side_of(first), side_of(second)
    good = proof_file(one, two)
    body = good[len(MAGIC) :]
    yield "an empty file", b"", "equivocation.file"
    yield "the first line alone", MAGIC, "cbor.truncated"
    yield "half the first line", MAGIC[:9], "equivocation.file"
    yield "no first line", body, "equivocation.file"
    yield "another version", good.replace(b"equivocation 1", b"equivocation 2", 1), "equivocation.file"
    yield "a record file", good.replace(b"equivocation 1", b"record 1", 1), "equivocation.file"
    yield "a byte at the end", good + b"\0", "cbor.trailing"
    yield "a byte less", good[:-1], "cbor.truncated"
    yield "140001 bytes", good + bytes(140_001 - len(good)), "equivocation.file"
    yield "a list with a long head", MAGIC + b"\x98\x03" + body[1:], "cbor.not-canonical"
    yield "a map", MAGIC + cbor.encode({0: 1}), "equivocation.file"
    yield "two parts", MAGIC + cbor.encode([ALICE.public_key, SEQ]), "equivocation.file"
    yield "four parts", MAGIC + cbor.encode([ALICE.public_key, SEQ, [one, two], None]), "equivocation.file"
    yield "one side", proof_file(one), "equivocation.file"
    yield "three sides", proof_file(one, two, two), "equivocation.file"
    yield "sides in a map", MAGIC + cbor.encode([ALICE.public_key, SEQ, {0: one, 1: two}]), "equivocation.file"
    yield "a key of 31 bytes", proof_file(one, two, key=ALICE.public_key[:31]), "equivocation.file"
    yield "a key of small order", proof_file(one, two, key=bytes(32)), "key.malformed"
    yield "a key that is not canonical", proof_file(one, two, key=b"\xff" * 32), "key.malformed"
    yield "another key", proof_file(one, two, key=BOB.public_key), "signature.invalid"
    yield "another seq", proof_file(one, two, seq=SEQ + 1), "signature.invalid"
    yield "seq -1", proof_file(one, two, seq=-1), "equivocation.file"
    yield "seq 2^63", proof_file(one, two, seq=2**63), "equivocation.file"
    yield "a seq that is true", proof_file(one, two, seq=True), "equivocation.file"
    yield "sides out of order", proof_file(two, one), "equivocation.order"
    yield "one side twice", proof_file(one, one), "equivocation.same"
    odd = bare_side(derived_otherwise()["another time to live"])
    yield "two packets that name one document", proof_file(side_of(LEFT), odd), "equivocation.same"
    later = replace(second, seq=SEQ + 1)
    yield "a side with another seq", proof_file(one, side_of(later, whole=False)), "signature.invalid"
    bobs = bare_side(packet_value(second), signer=BOB)
    yield "a side that another key has signed", proof_file(one, bobs), "signature.invalid"
    salted = [payload(ALICE, SEQ, packet_value(second), b"salt")[:64], packet_value(second), None]
    yield "a side with a salt", proof_file(one, salted), "signature.invalid"
    yield "a document under the other packet", proof_file(_changed(one, 2, two[2]), two), "equivocation.document"
    yield (
        "documents changed round",
        proof_file(_changed(one, 2, two[2]), _changed(two, 2, one[2])),
        "equivocation.document",
    )
    yield "a document cut short", proof_file(_changed(one, 2, one[2][:-1]), two), "equivocation.document"
    yield "a document of no bytes", proof_file(_changed(one, 2, b""), two), "equivocation.document"
    yield "a document that is too long", proof_file(_changed(one, 2, bytes(65_537)), two), "document.too-long"
    none = message(HELLO)
    named = sorted([(LEFT.hash, side_of(LEFT)), (_sha256(none), bare_side(none, document=LEFT.to_bytes()))])
    yield "a document for a packet that names none", proof_file(*(side for _, side in named)), "equivocation.document"
    for title, value in unknown_values().items():
        yield f"unknown version: {title}", proof_file(one, bare_side(value)), "record.unknown-version"
    for title, at, value, error in (
        ("a signature of 63 bytes", 0, one[0][:63], "equivocation.file"),
        ("a signature that is null", 0, None, "equivocation.file"),
        ("a packet that is text", 1, "x", "equivocation.file"),
        ("a packet of no bytes", 1, b"", "dns.truncated"),
        ("a packet of 997 bytes", 1, bytes(997), "packet.too-long"),
        ("a document that is text", 2, "x", "equivocation.file"),
        ("a document that is false", 2, False, "equivocation.file"),
    ):
        yield f"a side with {title}", proof_file(_changed(one, at, value), two), error
    yield "a side of two parts", proof_file(one[:2], two), "equivocation.file"
    yield "a side that is a map", MAGIC + cbor.encode([ALICE.public_key, SEQ, [{0: 1}, two]]), "equivocation.file"


def make() -> dict[str, object]:
    """Return the content of equivocation.json."""
    valid = []
    for title, data in _valid_files():
        fields: Any = cbor.decode(data[len(MAGIC) :], len(data))
        valid.append({"name": title, **zeros_cut(data), "seq": fields[1], "key": fields[0].hex()})
    return {
        "spec": "docs/spec/equivocation.md, Proof file, Verification",
        "source": "ours, made by tests/vectors/make_vectors.py",
        "note": "hex leaves out the zero bytes at the end; length counts them",
        "valid": valid,
        "invalid": [{"name": title, **zeros_cut(data), "error": error} for title, data, error in _bad_files()],
    }
