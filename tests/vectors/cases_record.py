"""Cases for record.json: a packet and a document against each other, the record file, and the choice of a `seq`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.core.dns_wire import document_pointer, message, name, rr, text
from tests.core.samples import (
    ALICE,
    BOB,
    SEQ,
    documents,
    entropy,
    everything,
    fields_of,
    payload,
    payload_of,
    record_file,
    written,
)
from tests.vectors.cases_document import zeros_cut
from tests.vectors.cases_packet import HELLO, unknown_values
from walletcli.core import cbor
from walletcli.core.did_dht import to_did_document
from walletcli.core.encodings import b64url_encode, z32_encode
from walletcli.core.packet import SignedPacket
from walletcli.core.record import SEQ_LIMIT, next_seq, packet_value

DOCUMENT = documents()["two devices and a profile"]
BYTES = DOCUMENT.to_bytes()
ENTROPY_LABEL = "walletcli seq vector"


def _own_packet(**changes: Any) -> bytes:
    """Write the packet of `DOCUMENT` as the specification says it, with something else than it says."""
    keys = changes.get("keys", [item.signing_key for item in DOCUMENT.delegations])
    z32 = z32_encode(changes.get("z", ALICE.public_key))
    names = [f"k{n + 1}" for n in range(len(keys))]
    listed = ",".join(names)
    purposes = changes.get("purposes", f";auth={listed};asm={listed};inv=k0;del=k0")
    ttl_s = changes.get("ttl_s", 7200)
    out = [(name("_did", z32), f"v=0;vm={','.join(['k0', *names])}{purposes}")]
    root = changes.get("root", ALICE.public_key)
    out.append((name("_k0", "_did"), "t=0;k=" + b64url_encode(root)))
    split = changes.get("split", lambda value: [value])
    did_at = 12 + len(rr(out[0][0], text(*split(out[0][1])))) + 4
    tail = (0xC000 | did_at).to_bytes(2, "big") if changes.get("compressed", True) else b"\4_did\0"
    out += [
        (bytes([len(n) + 1]) + b"_" + n.encode() + tail, "t=0;k=" + b64url_encode(k))
        for n, k in zip(names, keys, strict=True)
    ]
    pointer = changes.get("pointer", "v=1;h=" + b64url_encode(DOCUMENT.hash))
    out.append((b"\2_w\xc0\x11", pointer))
    records = [rr(owner, text(*split(value)), ttl_s=ttl_s) for owner, value in out]
    ordered = changes.get("order", lambda records: records)(records)
    return message(*ordered, ident=changes.get("ident", 0), flags=changes.get("flags", 0x8400))


def derived_otherwise() -> dict[str, bytes]:
    """Return packets that name `DOCUMENT` and say something else than it."""
    first, second = (item.signing_key for item in DOCUMENT.delegations)
    other = documents()["one device"].delegations[0].signing_key
    return {
        "another device": _own_packet(keys=[first, BOB.public_key]),
        "a device less": _own_packet(keys=[first]),
        "a device more": _own_packet(keys=[first, second, other]),
        "devices in another order": _own_packet(keys=[second, first]),
        "the root key as a device": _own_packet(keys=[first, ALICE.public_key]),
        "another root key in k0": _own_packet(root=BOB.public_key),
        "k0 authenticates": _own_packet(purposes=";auth=k0,k1,k2;asm=k1,k2;inv=k0;del=k0"),
        "purposes in another order": _own_packet(purposes=";asm=k1,k2;auth=k1,k2;inv=k0;del=k0"),
        "no purposes": _own_packet(purposes=""),
        "another time to live": _own_packet(ttl_s=7201),
        "another id": _own_packet(ident=1),
        "other flags": _own_packet(flags=0x8000),
        "no compression": _own_packet(compressed=False),
        "answers in another order": _own_packet(order=lambda r: [r[0], r[1], r[3], r[2], r[4]]),
        "an answer more": _own_packet(order=lambda r: [*r, HELLO]),
        "an answer twice": _own_packet(order=lambda r: [*r[:2], r[1], *r[2:]]),
        "an answer less": _own_packet(order=lambda r: [*r[:3], r[4]]),
        "strings cut in two": _own_packet(split=lambda t: [t[:5], t[5:]]),
        "no did:dht": message(document_pointer(ALICE.public_key, DOCUMENT.hash)),
    }


def _mismatched() -> Iterator[tuple[str, bytes, bytes, bytes | None, str]]:
    """Yield title, key, payload, document and error."""
    alice, good = ALICE.public_key, payload_of(DOCUMENT)
    other = replace(DOCUMENT, profile={"name": "Eve"})
    yield "another document", alice, good, other.to_bytes(), "record.hash-mismatch"
    yield "a changed document", alice, good, BYTES.replace(b"Ada", b"Eve"), "record.hash-mismatch"
    yield "a document of no bytes", alice, good, b"", "record.hash-mismatch"
    yield "a document with a byte more", alice, good, BYTES + b"\0", "record.hash-mismatch"
    yield "a document cut short", alice, good, BYTES[:-1], "record.hash-mismatch"
    yield "a document that is too long", alice, good, bytes(65_537), "document.too-long"
    bobs = replace(DOCUMENT, identity=BOB.public_key)
    his_packet = payload(ALICE, SEQ, packet_value(bobs))
    yield "another identity's document", alice, his_packet, bobs.to_bytes(), "record.no-document"
    named = payload(ALICE, SEQ, _own_packet(pointer="v=1;h=" + b64url_encode(bobs.hash)))
    error = "record.identity-mismatch"
    yield "another identity's document, named as one's own", alice, named, bobs.to_bytes(), error
    for seq in (SEQ + 1, SEQ - 1, 0):
        moved = payload(ALICE, seq, packet_value(DOCUMENT))
        yield f"seq {seq} for a document of {SEQ}", alice, moved, BYTES, "record.seq-mismatch"
    for title, value in derived_otherwise().items():
        yield f"not derived: {title}", alice, payload(ALICE, SEQ, value), BYTES, "record.not-derived"
    yield (
        "a document for a packet that names none",
        alice,
        payload(ALICE, SEQ, message(HELLO)),
        BYTES,
        "record.no-document",
    )
    for title, value in unknown_values().items():
        yield f"unknown version: {title}", alice, payload(ALICE, SEQ, value), None, "record.unknown-version"
    version_2 = unknown_values()["version 2"]
    yield "unknown version, with a document", alice, payload(ALICE, SEQ, version_2), BYTES, "record.unknown-version"
    yield "another identity's packet", BOB.public_key, good, BYTES, "signature.invalid"
    yield "a packet with a salt", alice, payload(ALICE, SEQ, packet_value(DOCUMENT), b"s"), BYTES, "signature.invalid"
    for title, data, error in (
        ("of another version", written({**fields_of(DOCUMENT), 1: 2}), "document.unknown-version"),
        ("with an unknown field", written({**fields_of(DOCUMENT), 14: 0}), "document.form"),
        ("that is no CBOR", b"\xff" * 1024, "cbor.unsupported"),
        ("without its padding", cbor.encode(fields_of(DOCUMENT)), "document.form"),
    ):
        pointer = "v=1;h=" + b64url_encode(hashlib.sha256(data).digest())
        yield f"a document {title}", alice, payload(ALICE, SEQ, _own_packet(pointer=pointer)), data, error


def _bad_files() -> Iterator[tuple[str, bytes, str]]:
    good = record_file(ALICE.public_key, payload_of(DOCUMENT), BYTES)
    magic, body = good[:19], good[19:]
    parts: Any = cbor.decode(body, len(body))
    yield "an empty file", b"", "record.file"
    yield "the magic alone", magic, "cbor.truncated"
    yield "half the magic", magic[:9], "record.file"
    yield "another version", good.replace(b"record 1", b"record 2", 1), "record.file"
    yield "another line end", good.replace(b"1\n", b"1\r\n", 1), "record.file"
    yield "a byte before the magic", b"\n" + good, "record.file"
    yield "no magic", body, "record.file"
    yield "a byte at the end", good + b"\n", "cbor.trailing"
    yield "a byte less", good[:-1], "cbor.truncated"
    yield "86385 bytes", good + bytes(86_385 - len(good)), "record.file"
    yield "a map", magic + cbor.encode(dict(enumerate(parts))), "record.file"
    yield "an empty list", magic + b"\x80", "record.file"
    yield "four parts", magic + cbor.encode(parts[:4]), "record.file"
    yield "approvals that are null", magic + cbor.encode([*parts, None]), "record.file"
    yield "approvals without a document", magic + cbor.encode([*parts[:4], None, b"\x83\x01\x80\x80"]), "record.file"
    yield "approvals of no bytes", magic + cbor.encode([*parts, b""]), "cbor.truncated"
    later = cbor.encode([2, [], []])
    yield "approvals of another version", magic + cbor.encode([*parts, later]), "approval.unknown-version"
    yield "approvals that are a list", magic + cbor.encode([*parts, [1, [], []]]), "record.file"
    yield "seven parts", magic + cbor.encode([*parts, b"\x83\x01\x80\x80", None]), "record.file"
    changes: tuple[tuple[str, int, Any, str], ...] = (
        ("a key of 31 bytes", 0, parts[0][:31], "record.file"),
        ("a key of 33 bytes", 0, parts[0] + b"\0", "record.file"),
        ("a key that is text", 0, "k" * 32, "record.file"),
        ("a signature of 63 bytes", 1, parts[1][:63], "record.file"),
        ("a signature of 65 bytes", 1, parts[1] + b"\0", "record.file"),
        ("a signature that is null", 1, None, "record.file"),
        ("seq -1", 2, -1, "record.file"),
        ("seq 2^63", 2, 2**63, "record.file"),
        ("a seq that is true", 2, True, "record.file"),
        ("a seq in bytes", 2, bytes(8), "record.file"),
        ("another seq", 2, SEQ + 1, "signature.invalid"),
        ("a packet that is text", 3, "x", "record.file"),
        ("a packet of no bytes", 3, b"", "dns.truncated"),
        ("a packet of 997 bytes", 3, bytes(997), "packet.too-long"),
        ("a document that is text", 4, "x", "record.file"),
        ("a document that is false", 4, False, "record.file"),
        ("a document that is a map", 4, fields_of(DOCUMENT), "record.file"),
        ("a document of no bytes", 4, b"", "record.hash-mismatch"),
    )
    for title, at, value, error in changes:
        yield title, magic + cbor.encode([*parts[:at], value, *parts[at + 1 :]]), error
    long_head = magic + b"\x98\x05" + body[1:]
    yield "a list with a long head", long_head, "cbor.not-canonical"
    yield "a list without a length", magic + b"\x9f" + body[1:] + b"\xff", "cbor.not-canonical"


def _valid() -> Iterator[dict[str, object]]:
    for title, document in documents().items():
        data = record_file(ALICE.public_key, payload_of(document), document.to_bytes())
        packet = SignedPacket.from_relay_payload(ALICE.public_key, payload_of(document))
        yield {
            "name": title,
            **zeros_cut(data),
            "seq": document.seq,
            "document_sha256": document.hash.hex(),
            "did_document": to_did_document(packet),
        }
    for title, value in (
        ("pending", packet_value(everything())),
        ("of a packet that names no document", message(HELLO)),
    ):
        data = record_file(ALICE.public_key, payload(ALICE, SEQ, value), None)
        yield {"name": title, **zeros_cut(data), "seq": SEQ, "document_sha256": None, "did_document": None}


def _invalid() -> Iterator[dict[str, object]]:
    for title, public_key, relay_payload, document, error in _mismatched():
        yield {"name": title, **zeros_cut(record_file(public_key, relay_payload, document)), "error": error}
    for title, data, error in _bad_files():
        yield {"name": f"file: {title}", **zeros_cut(data), "error": error}


NOW_S = 1_800_000_000


def _seq() -> Iterator[dict[str, object]]:
    for title, last, now_s in (
        ("a first one", None, NOW_S),
        ("after an old one", 1_600_000_000_000_000, NOW_S),
        ("after one in seconds", 1_800_000_000, NOW_S),
        ("after one of today", NOW_S * 1_000_000, NOW_S),
        ("after one of next year", (NOW_S + 31_536_000) * 1_000_000, NOW_S),
        ("the clock is before its first day", None, 5),
        ("the last before the limit", SEQ_LIMIT - (1 << 20) - 1, NOW_S),
        ("after seq 0, with the clock at 0", 0, 0),
    ):
        seq = next_seq(last, now_s, entropy(ENTROPY_LABEL))
        yield {"name": title, "last": last, "now_s": now_s, "seq": seq}


def make() -> dict[str, object]:
    """Return the content of record.json."""
    refused = {"last": SEQ_LIMIT - 1, "now_s": NOW_S}
    return {
        "spec": "docs/spec/record.md, Record file, Verification, seq",
        "source": "ours, made by tests/vectors/make_vectors.py",
        "note": "hex leaves out the zero bytes at the end; length counts them",
        "valid": list(_valid()),
        "invalid": list(_invalid()),
        "seq_entropy": f"call i, from 0, gives the start of SHA-512('{ENTROPY_LABEL} ' + i in decimal)",
        "seq_valid": list(_seq()),
        "seq_invalid": [
            {"name": "the last one is the last", **refused, "error": "seq.exhausted"},
            {"name": "the last one is beyond", "last": 2**63 - 1, "now_s": NOW_S, "error": "seq.exhausted"},
            {
                "name": "the clock is beyond",
                "last": None,
                "now_s": 4_102_444_800 + 2 * 86_400,
                "error": "seq.exhausted",
            },
        ],
    }
