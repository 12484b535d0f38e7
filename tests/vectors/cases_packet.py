"""Cases for packet.json: what docs/spec/record.md, "Packet", accepts from anybody, and what it refuses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from tests.core.dns_wire import document_pointer, message, name, pointer, rr, text
from tests.core.samples import ALICE, BOB, SEQ, digest, documents, payload, payload_of
from walletcli.core import bep44
from walletcli.core.encodings import b64url_encode, z32_encode
from walletcli.core.packet import SignedPacket

Z = z32_encode(ALICE.public_key)
FOO = name("_foo", Z)
HELLO = rr(FOO, text("hello"))
HASH = digest("a document")
NAMED = document_pointer(ALICE.public_key, HASH)
W = name("_w", Z)
LONGEST_NAME = name(*[b"a" * 63] * 3, b"b" * 61)
SMALL_ORDER = (1).to_bytes(32, "little")
ED25519_L = 2**252 + 27742317777372353535851937790883648493


def filled(value_bytes: int) -> bytes:
    """Return a message of that many bytes."""
    head = message(HELLO)
    rest = value_bytes - len(head) - len(FOO) - 10
    strings = [b"x" * min(255, rest - at - 1) for at in range(0, rest, 256)]
    value = message(HELLO, rr(FOO, text(*strings)))
    assert len(value) == value_bytes
    return value


def valid_values() -> dict[str, bytes]:
    """Return messages that anybody may sign, by what they show."""
    back = pointer(12)
    return {
        "no answer": message(),
        "a TXT": message(HELLO),
        "id 4660": message(HELLO, ident=0x1234),
        "not authoritative": message(HELLO, flags=0x8000),
        "recursion desired and available": message(HELLO, flags=0x8580),
        "996 bytes": filled(996),
        "995 bytes": filled(995),
        "a TXT of several strings": message(rr(FOO, text("one", "", "two"))),
        "a TXT of one empty string": message(rr(FOO, text(""))),
        "a TXT that is no text": message(rr(FOO, text(bytes(range(256))[1:]))),
        "an address": message(rr(name(Z), bytes([192, 0, 2, 1]), kind=1)),
        "an address of version 6": message(rr(name(Z), bytes(15) + b"\1", kind=28)),
        "a name server": message(rr(name(Z), name("ns", "example"), kind=2)),
        "an alias, compressed": message(HELLO, rr(name("www", Z), pointer(12 + 5), kind=5)),
        "HTTPS": message(rr(name(Z), b"\0\1\0", kind=65)),
        "a type that nobody knows": message(rr(name(Z), b"\1\2\3", kind=65_280)),
        "the longest time to live": message(rr(FOO, text("x"), ttl_s=2**32 - 1)),
        "the longest name": message(rr(LONGEST_NAME, text("x"))),
        "the root name": message(rr(name(), text("x"))),
        "a dot and a backslash inside labels": message(rr(name("a.b", "c\\d", Z), text("x"))),
        "a label that is no text": message(rr(name(b"\0\xff", Z), text("x"))),
        "compression": message(HELLO, rr(back, text("again")), rr(name("_bar")[:-1] + pointer(12 + 5), text("bar"))),
        "a pointer to a pointer": message(HELLO, rr(back, text("a")), rr(pointer(12 + len(HELLO)), text("b"))),
        "1024 labels and pointers": message(
            rr(name(*["a"] * 60), text("x")), *[rr(back, b"", kind=65_280)] * 15, rr(name(*["b"] * 49), text(""))
        ),
        "a document": message(NAMED),
        "a document among other answers": message(HELLO, NAMED, rr(W, text("something else"))),
        "a document named in two strings": message(rr(W, text("v=1;h", "=" + b64url_encode(HASH)))),
        "_w of another key": message(document_pointer(BOB.public_key, HASH)),
        "_w further down": message(rr(name("_w", "x", Z), text("v=1;h=" + b64url_encode(HASH)))),
        "_w and the key in one label": message(rr(name("_w." + Z), text("v=1;h=" + b64url_encode(HASH)))),
        "_w in capitals": message(rr(name("_W", Z), text("v=1;h=" + b64url_encode(HASH)))),
        "_w of another type": message(rr(W, text("v=1;h=" + b64url_encode(HASH)), kind=65_280)),
        "_w of another use": message(rr(W, text("hello"))),
    }


def unknown_values() -> dict[str, bytes]:
    """Return messages that name a document in a way that version 1 does not know."""
    b64 = b64url_encode(HASH)
    return {
        "version 2": message(rr(W, text("v=2;h=" + b64))),
        "version 10": message(rr(W, text("v=10;h=" + b64))),
        "version 01": message(rr(W, text("v=01;h=" + b64))),
        "two documents": message(NAMED, document_pointer(ALICE.public_key, digest("another"))),
        "one document twice": message(NAMED, NAMED),
        "two versions": message(NAMED, rr(W, text("v=2;h=" + b64))),
        "a short hash": message(rr(W, text("v=1;h=" + b64[:-2]))),
        "a long hash": message(rr(W, text("v=1;h=" + b64 + "AA"))),
        "no hash": message(rr(W, text("v=1;h="))),
        "no field h": message(rr(W, text("v=1"))),
        "a padded hash": message(rr(W, text("v=1;h=" + b64 + "="))),
        "a hash in base64, not base64url": message(rr(W, text("v=1;h=" + b64[:-2] + "+" + b64[-1]))),
        "a hash whose unused bits are set": message(rr(W, text("v=1;h=" + b64url_encode(bytes(32))[:-1] + "B"))),
        "a hash that is no text": message(rr(W, text(b"v=1;h=" + b"\xff" * 43))),
        "a field more": message(rr(W, text("v=1;h=" + b64 + ";x=1"))),
        "a space": message(rr(W, text("v=1; h=" + b64))),
    }


def invalid_values() -> Iterator[tuple[str, bytes, str]]:
    """Yield messages that nobody can publish, and why."""
    yield "nothing", b"", "dns.truncated"
    yield "eleven bytes", message()[:11], "dns.truncated"
    for flags, what in (
        (0x0400, "a question"),
        (0x8410, "checking disabled"),
        (0x8420, "authentic data"),
        (0x8440, "the reserved bit"),
        (0x8600, "cut short"),
        (0x8403, "a response code"),
        (0x8C00, "an opcode"),
    ):
        yield f"flags: {what}", message(HELLO, flags=flags), "dns.header"
    question = name(Z) + b"\0\20\0\1"
    yield "a question section", message(question, questions=1, answers=0), "dns.header"
    yield "an authority section", message(HELLO, answers=0, authorities=1), "dns.header"
    yield "an additional section", message(HELLO, answers=0, additionals=1), "dns.header"
    yield "fewer answers than counted", message(HELLO, answers=2), "dns.truncated"
    yield "many fewer answers than counted", message(HELLO, answers=65_535), "dns.truncated"
    yield "more answers than counted", message(HELLO, HELLO, answers=1), "dns.trailing"
    yield "none counted", message(HELLO, answers=0), "dns.trailing"
    yield "a byte after the answers", message(HELLO) + b"\0", "dns.trailing"
    yield "data longer than its record", message(rr(FOO, text("hello"), length=7)), "dns.truncated"
    yield "data shorter than its record", message(rr(FOO, text("hello"), length=5)), "dns.rdata"
    yield "the longest data", message(rr(FOO, text("hello"), length=65_535)), "dns.truncated"
    for rr_class in (0, 2, 3, 254, 255, 0x8001):
        yield f"class {rr_class}", message(rr(FOO, text("x"), rr_class=rr_class)), "dns.class"
    yield "a TXT without a string", message(rr(FOO, b"")), "dns.rdata"
    yield "a string longer than its TXT", message(rr(FOO, b"\6hello")), "dns.rdata"
    yield "a second string longer than its TXT", message(rr(FOO, b"\1a\2b")), "dns.rdata"
    for kind, right in ((1, 4), (28, 16)):
        for length in (0, right - 1, right + 1):
            value = message(rr(FOO, bytes(length), kind=kind))
            yield f"an address of type {kind} with {length} bytes", value, "dns.rdata"
    yield "a name server's name, then a byte", message(rr(FOO, name("ns") + b"\0", kind=2)), "dns.rdata"
    too_long = message(rr(FOO, name("ns"), kind=2, length=3), HELLO)
    yield "a name server's name, longer than its data", too_long, "dns.rdata"
    yield "a name server without a name", message(rr(FOO, b"", kind=2), HELLO), "dns.rdata"
    yield "a label of 64 bytes", message(rr(bytes([64]) + b"a" * 64 + b"\0", text("x"))), "dns.name"
    yield "a label of type 10", message(rr(bytes([0x81]) + b"a\0", text("x"))), "dns.name"
    yield "a name of 256 bytes", message(rr(name(*[b"a" * 63] * 3, b"b" * 62), text("x"))), "dns.name"
    long_by_pointer = name(*[b"a" * 63] * 4)[:-1]
    yield (
        "a name of 256 bytes by a pointer",
        message(rr(LONGEST_NAME, text("x")), rr(b"\1b" + pointer(12), text("x"))),
        "dns.name",
    )
    yield "a name without end", message()[:6] + b"\0\1\0\0\0\0" + long_by_pointer, "dns.truncated"
    yield "a pointer to itself", message(rr(pointer(12), text("x"))), "dns.name"
    yield "a pointer forward", message(rr(pointer(30), text("x")), HELLO), "dns.name"
    yield "a pointer into the header", message(HELLO, rr(pointer(4), text("x"))), "dns.name"
    yield "a pointer beyond the end", message(HELLO, rr(pointer(0x3FFF), text("x"))), "dns.name"
    yield "a pointer into its own name", message(rr(b"\1a" + pointer(12), text("x"))), "dns.name"
    loop = rr(name(), pointer(12 + 1 + 10 + 2) + pointer(12 + 1 + 10), kind=65_280)
    yield "pointers in a circle", message(loop, rr(pointer(12 + 1 + 10), text("x"))), "dns.name"
    yield "half a pointer", message(answers=1) + b"\xc0", "dns.truncated"
    yield "a record that ends in its type", message(answers=1) + FOO + b"\0", "dns.truncated"
    yield (
        "1025 labels and pointers",
        message(
            rr(name(*["a"] * 60), text("x")), *[rr(pointer(12), b"", kind=65_280)] * 15, rr(name(*["b"] * 50), text(""))
        ),
        "dns.name",
    )


def _signatures() -> Iterator[tuple[str, bytes, bytes, str]]:
    """Yield keys and payloads whose signature must not be taken."""
    alice, value = ALICE.public_key, message(HELLO)
    good = payload(ALICE, SEQ, value)
    invalid = "signature.invalid"
    yield "another identity's key", BOB.public_key, good, invalid
    yield "another identity's signature", alice, payload(BOB, SEQ, value), invalid
    yield "another seq", alice, good[:64] + (SEQ + 1).to_bytes(8, "big") + value, invalid
    yield "another value", alice, good[:72] + message(rr(FOO, text("hallo"))), invalid
    yield "a signature with a salt", alice, payload(ALICE, SEQ, value, b"salt"), invalid
    yield "a signature over the bare value", alice, ALICE.sign(value) + good[64:], invalid
    yield "a signature over the payload", alice, ALICE.sign(good[64:]) + good[64:], invalid
    prehashed = hashlib.sha512(bep44.signable(SEQ, value)).digest()
    yield "a signature over a hash", alice, ALICE.sign(prehashed) + good[64:], invalid
    yield "a signature of zeros", alice, bytes(64) + good[64:], invalid
    scalar = int.from_bytes(good[32:64], "little") + ED25519_L
    yield "S beyond the group's order", alice, good[:32] + scalar.to_bytes(32, "little") + good[64:], invalid
    yield "R with its sign turned", alice, good[:31] + bytes([good[31] ^ 0x80]) + good[32:], invalid
    yield "a key of small order", SMALL_ORDER, SMALL_ORDER + bytes(32) + good[64:], invalid
    yield "a key that is not canonical", b"\xee" + b"\xff" * 30 + b"\x7f", good, invalid
    yield "a key of 31 bytes", alice[:31], good, invalid
    yield "a key of 33 bytes", alice + b"\0", good, invalid
    yield "no key", b"", good, invalid


def _case(title: str, public_key: bytes, relay_payload: bytes) -> dict[str, object]:
    return {"name": title, "public_key": public_key.hex(), "payload": relay_payload.hex()}


def _valid() -> Iterator[dict[str, object]]:
    made = {title: payload(ALICE, SEQ, value) for title, value in {**valid_values(), **unknown_values()}.items()}
    made |= {f"seq {seq}": payload(ALICE, seq, message(HELLO)) for seq in (0, 1, 2**63 - 1)}
    made |= {f"ours: {title}": payload_of(document) for title, document in documents().items()}
    for title, relay_payload in made.items():
        packet = SignedPacket.from_relay_payload(ALICE.public_key, relay_payload)
        shown = packet.to_json()
        yield {
            **_case(title, ALICE.public_key, relay_payload),
            "seq": packet.seq,
            "document_hash": shown["document_hash"],
            "unknown_version": title in unknown_values(),
            "records": shown["records"],
        }


def _invalid() -> Iterator[dict[str, object]]:
    alice = ALICE.public_key
    good = payload(ALICE, SEQ, message(HELLO))
    for length in (0, 1, 64, 71):
        yield {**_case(f"{length} bytes", alice, good[:length]), "error": "packet.too-short"}
    yield {**_case("997 bytes of value", alice, payload(ALICE, SEQ, filled(997))), "error": "packet.too-long"}
    for seq in (2**63, 2**64 - 1):
        yield {**_case(f"seq {seq}", alice, payload(ALICE, seq, message(HELLO))), "error": "packet.seq"}
    for title, value, error in invalid_values():
        yield {**_case(title, alice, payload(ALICE, SEQ, value)), "error": error}
    for title, public_key, relay_payload, error in _signatures():
        yield {**_case(title, public_key, relay_payload), "error": error}


def make() -> dict[str, object]:
    """Return the content of packet.json."""
    return {
        "spec": "docs/spec/record.md, Packet",
        "source": "ours, made by tests/vectors/make_vectors.py",
        "valid": list(_valid()),
        "invalid": list(_invalid()),
    }
