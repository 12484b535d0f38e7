"""What holds for every CBOR value, DNS message, packet, document and record of docs/spec/record.md."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import Any

import cbor2
import dnslib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.dns_wire import message, name, rr, text
from tests.core.samples import (
    ALICE,
    BOB,
    P256_G,
    SEQ,
    documents,
    fields_of,
    key,
    payload,
    payload_of,
    record_file,
    sealing_key,
    written,
)
from tests.vectors.cases_record import derived_otherwise
from walletcli.core import cbor, dns
from walletcli.core.did_dht import to_did_document
from walletcli.core.document import STEPS, Document
from walletcli.core.document_parts import (
    Address,
    Approver,
    Approvers,
    Delegation,
    Power,
    Retirement,
    Succession,
    Transport,
)
from walletcli.core.encodings import b64url_encode
from walletcli.core.equivocation import EquivocationProof, Side, proofs_among
from walletcli.core.packet import SignedPacket
from walletcli.core.record import MAGIC, Record, packet_value
from walletcli.errors import FormatError, WalletError

KEYS = [key(f"property {n}").public_key for n in range(40)]
SEALING_KEYS = [sealing_key(f"property {n}") for n in range(8)]
SAMPLES = list(documents().values())

# --- values

SCALARS = st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=300) | st.text(max_size=40) | st.booleans() | st.none()
MAP_KEYS = st.integers(-(2**64), 2**64 - 1) | st.integers(0, 30) | st.text(max_size=30)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=30)
        | st.dictionaries(MAP_KEYS, inner, max_size=30)
        | inner.map(lambda value: cbor.Tagged(18, value))
    ),
    max_leaves=30,
)

# --- documents

HASHES = st.binary(min_size=32, max_size=32)
DAYS = st.integers(0, 47_482)
PLAIN_CHARACTERS = st.characters(
    codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"), include_characters="\n\u200c\u200d"
)
ATTRIBUTES = st.dictionaries(
    st.from_regex(r"[a-z0-9][a-z0-9._-]{0,31}", fullmatch=True),
    st.text(PLAIN_CHARACTERS, min_size=1, max_size=200),
    max_size=6,
)


def ascending(items: st.SearchStrategy[Any], most: int) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, max_size=most, unique=True).map(lambda found: tuple(sorted(found)))


@st.composite
def delegations(draw: st.DrawFn) -> tuple[Delegation, ...]:
    made = []
    for signing_key in draw(ascending(st.sampled_from(KEYS), 32)):
        first = draw(st.integers(0, 47_481))
        last = draw(st.integers(first + 1, min(first + 90, 47_482)))
        powers = draw(st.sets(st.sampled_from(Power), min_size=1))
        made.append(Delegation(signing_key, draw(st.sampled_from(SEALING_KEYS)), frozenset(powers), first, last))
    return tuple(made)


@st.composite
def approvers(draw: st.DrawFn) -> Approvers:
    found = [Approver(-8, k, draw(st.booleans())) for k in draw(ascending(st.sampled_from(KEYS), 7))]
    if draw(st.booleans()) or not found:
        found = sorted([*found, Approver(-7, P256_G, draw(st.booleans()))], key=lambda item: item.public_key)
    return Approvers(draw(st.integers(1, len(found))), tuple(found), draw(st.integers(1, 365)))


ADDRESSES = st.builds(
    Address,
    st.sampled_from(Transport),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=255),
    st.none() | HASHES,
)


@st.composite
def any_document(draw: st.DrawFn) -> Document:
    """Return a document in which each optional part is there or not."""
    return Document(
        ALICE.public_key,
        draw(st.integers(0, 2**63 - 1)),
        previous=draw(st.none() | HASHES),
        bindings=tuple(draw(st.lists(st.binary(min_size=1, max_size=300), max_size=16, unique=True))),
        delegations=draw(st.just(()) | delegations()),
        approvers=draw(st.none() | approvers()),
        succession=draw(
            st.none() | st.builds(Succession, HASHES, st.integers(7, 365), st.none() | st.sampled_from(KEYS))
        ),
        profile=draw(ATTRIBUTES),
        sections=draw(ascending(st.binary(min_size=1, max_size=400), 64)),
        addresses=tuple(draw(st.lists(ADDRESSES, max_size=16, unique=True))),
        retirement=draw(st.none() | st.builds(Retirement, DAYS, st.integers(0, 3))),
        healed=draw(ascending(st.sets(HASHES, min_size=2, max_size=2).map(lambda pair: tuple(sorted(pair))), 8)),
        extensions=draw(
            st.dictionaries(MAP_KEYS, VALUES, max_size=8).filter(lambda found: len(cbor.encode([found])) <= 8193)
        ),
    )


# --- changes


@st.composite
def edited(draw: st.DrawFn, data: bytes) -> bytes:
    """Return `data` with up to three bytes changed, put in or taken out."""
    out = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(out) - 1, 0)))
        match draw(st.sampled_from(("change", "insert", "delete", "repeat"))):
            case "change":
                out[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "insert":
                out[at:at] = draw(st.binary(min_size=1, max_size=4))
            case "delete":
                del out[at : at + draw(st.integers(1, 8))]
            case _:
                out[at:at] = out[at : at + draw(st.integers(1, 40))]
    return bytes(out)


def cbor_or_none(data: bytes) -> Any:
    try:
        return (cbor.decode(data, 1 << 17),)
    except FormatError:
        return None


def in_order(value: Any) -> Any:
    """Put maps into the order of RFC 8949 section 4.2.1; cbor2's canonical form is that of 4.2.3."""
    if isinstance(value, dict):
        return {key_: in_order(value[key_]) for key_ in sorted(value, key=cbor2.dumps)}
    if isinstance(value, cbor2.CBORTag):
        return cbor2.CBORTag(value.tag, in_order(value.value))
    return [in_order(item) for item in value] if isinstance(value, list) else value


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, cbor.Tagged):
        return isinstance(theirs, cbor2.CBORTag) and theirs.tag == ours.tag and same(ours.value, theirs.value)
    if isinstance(ours, dict):
        return (
            isinstance(theirs, dict)
            and ours.keys() == theirs.keys()
            and all(same(v, theirs[k]) for k, v in ours.items())
        )
    if isinstance(ours, list):
        return isinstance(theirs, list) and len(ours) == len(theirs) and all(map(same, ours, theirs))
    return type(ours) is type(theirs) and bool(ours == theirs)


# --- CBOR


@given(VALUES)
def test_a_value_comes_back(value: Any) -> None:
    data = cbor.encode(value)
    assert cbor.decode(data, len(data)) == value


@given(st.binary(max_size=200))
def test_random_bytes_are_one_value_in_its_encoding_or_refused(data: bytes) -> None:
    found = cbor_or_none(data)
    assert found is None or cbor.encode(found[0]) == data


@given(st.data(), VALUES)
def test_a_changed_encoding_is_another_value_or_refused(data: st.DataObject, value: Any) -> None:
    encoded = cbor.encode(value)
    changed = data.draw(edited(encoded))
    found = cbor_or_none(changed)
    if found is not None:
        assert cbor.encode(found[0]) == changed
        assert same(found[0], cbor2.loads(changed))


# --- documents


@settings(max_examples=150)
@given(any_document())
def test_a_document_comes_back(document: Document) -> None:
    data = document.to_bytes()
    again = Document.from_bytes(data)
    assert len(data) in STEPS
    assert again == document and again.to_bytes() == data
    assert document.hash == hashlib.sha256(data).digest()
    json.dumps(document.to_json())


@settings(max_examples=150)
@given(any_document())
def test_a_codec_that_is_not_ours_writes_a_document_alike(document: Document) -> None:
    data = document.to_bytes()
    assert cbor2.dumps(in_order(cbor2.loads(data))) == data


@settings(max_examples=100)
@given(any_document())
def test_a_document_gives_a_packet_and_both_verify(document: Document) -> None:
    packet = SignedPacket.sign(ALICE, document.seq, packet_value(document))
    assert packet.document_hash == document.hash
    data = document.to_bytes()
    together = Record.from_payload(ALICE.public_key, packet.to_relay_payload(), data)
    assert together == Record.verified(packet, data) == Record(packet, document)
    file = together.to_bytes()
    assert Record.from_bytes(file) == together
    assert MAGIC + cbor2.dumps(in_order(cbor2.loads(file[len(MAGIC) :]))) == file
    assert json.loads(json.dumps(to_did_document(packet)))["id"].startswith("did:dht:")


@given(st.data(), st.sampled_from(SAMPLES))
def test_a_changed_document_is_another_one_or_refused(data: st.DataObject, document: Document) -> None:
    changed = data.draw(edited(document.to_bytes().rstrip(b"\0")))
    for candidate in (changed, changed.ljust(1024, b"\0"), changed.ljust(2048, b"\0")):
        try:
            found = Document.from_bytes(candidate)
        except FormatError:
            continue
        assert found.to_bytes() == candidate


@given(st.sampled_from(SAMPLES), st.integers(0, 17) | MAP_KEYS, VALUES)
def test_a_field_of_any_value_is_right_or_refused(document: Document, number: Any, value: Any) -> None:
    fields = {**fields_of(document), number: value}
    data = written(fields) if type(number) is int and 0 <= number < 16 else cbor.encode({**fields, 16: b""})
    try:
        found = Document.from_bytes(data)
    except FormatError:
        return
    assert found.to_bytes() == data


# --- DNS and packets

HOST_LABEL = st.from_regex(rb"[a-z0-9_-]{1,20}", fullmatch=True)
LABELS = st.lists(HOST_LABEL, max_size=5) | st.lists(st.binary(min_size=1, max_size=20), max_size=5)
RECORDS = st.lists(
    st.tuples(LABELS, st.lists(st.binary(max_size=60), min_size=1, max_size=3), st.integers(0, 2**32 - 1)), max_size=6
)


@given(RECORDS)
def test_texts_come_back_and_a_library_that_is_not_ours_reads_the_same(
    records: list[tuple[list[bytes], list[bytes], int]],
) -> None:
    value = message(*[rr(name(*labels), text(*strings), ttl_s=ttl_s) for labels, strings, ttl_s in records])
    if len(value) > 996:
        return
    packet = SignedPacket.from_relay_payload(ALICE.public_key, payload(ALICE, SEQ, value))
    for (labels, strings, ttl_s), our in zip(records, packet.records, strict=True):
        escaped = b".".join(label.replace(b"\\", b"\\092").replace(b".", b"\\046") for label in labels)
        assert (our.name, our.type, our.ttl_s, our.data) == (escaped, 16, ttl_s, b"".join(strings))
    json.dumps(packet.to_json())
    if all(re.fullmatch(rb"[a-z0-9_-]+", label) for labels, _, _ in records for label in labels):  # all it can read
        theirs = [(rr_.rname.label, rr_.ttl, b"".join(rr_.rdata.data)) for rr_ in dnslib.DNSRecord.parse(value).rr]
        assert theirs == [(tuple(labels), ttl_s, b"".join(strings)) for labels, strings, ttl_s in records]


@given(st.binary(max_size=1000))
def test_random_bytes_are_a_message_or_refused(data: bytes) -> None:
    for candidate in (data, b"\0\0\x84\0\0\0\0\2\0\0\0\0" + data):
        try:
            records = dns.decode(candidate)
        except FormatError:
            continue
        json.dumps([record.to_json() for record in records])


@given(st.data(), st.sampled_from(SAMPLES))
def test_a_changed_packet_is_refused_or_shown(data: st.DataObject, document: Document) -> None:
    """Whatever the root key signs can be decoded or ends in our error, in the DID view too."""
    value = data.draw(edited(packet_value(document)))
    try:
        packet = SignedPacket.from_relay_payload(ALICE.public_key, payload(ALICE, SEQ, value))
        json.dumps(packet.to_json())
        assert packet.to_relay_payload()[72:] == value
        to_did_document(packet)
    except WalletError:
        pass


@given(st.data(), st.sampled_from(SAMPLES))
def test_a_signature_is_good_for_nothing_else(data: st.DataObject, document: Document) -> None:
    good = payload_of(document)
    changed = data.draw(edited(good))
    if changed != good:
        try:
            SignedPacket.from_relay_payload(ALICE.public_key, changed)
        except WalletError:
            return
        raise AssertionError("a changed payload was taken")


# --- records

OTHER_VALUES = list(derived_otherwise().values())


@st.composite
def record_input(draw: st.DrawFn) -> tuple[bytes, bytes, bytes | None]:
    """Return key, payload and document, of which some may be wrong, each alone or together, signed or not."""
    document = draw(st.sampled_from(SAMPLES))
    data = document.to_bytes()
    if draw(st.booleans()):
        data = draw(edited(data.rstrip(b"\0"))).ljust(len(data), b"\0")
    elif draw(st.booleans()):
        data = replace(document, identity=BOB.public_key).to_bytes()
    value = packet_value(document)
    if draw(st.booleans()):  # name whatever document it is
        own, other = b64url_encode(document.hash), b64url_encode(hashlib.sha256(data).digest())
        value = value.replace(own.encode(), other.encode())
    if draw(st.integers(0, 3)) == 0:
        value = draw(st.sampled_from(OTHER_VALUES) | edited(value))
    seq = draw(st.sampled_from((document.seq, document.seq, document.seq, 0, 2**63, SEQ + 1)))
    relay_payload = payload(draw(st.sampled_from((ALICE, ALICE, ALICE, BOB))), seq, value)
    if draw(st.integers(0, 3)) == 0:
        relay_payload = draw(edited(relay_payload))
    public_key = draw(st.sampled_from((ALICE.public_key, ALICE.public_key, BOB.public_key, bytes(32), b"")))
    return public_key, relay_payload, draw(st.sampled_from((data, data, data, None)))


@settings(max_examples=400)
@given(record_input())
def test_verifying_together_says_the_same_as_one_after_the_other(given_: tuple[bytes, bytes, bytes | None]) -> None:
    public_key, relay_payload, document = given_
    outcomes: list[Any] = []
    for way in (
        lambda: Record.from_payload(public_key, relay_payload, document),
        lambda: Record.verified(SignedPacket.from_relay_payload(public_key, relay_payload), document),
    ):
        try:
            outcomes.append(way())
        except WalletError as error:
            outcomes.append((type(error), error.code, error.message, error.hint))
    assert outcomes[0] == outcomes[1]


@given(st.data(), st.sampled_from(SAMPLES))
def test_a_changed_record_file_is_refused(data: st.DataObject, document: Document) -> None:
    good = record_file(ALICE.public_key, payload_of(document), document.to_bytes())
    changed = data.draw(edited(good.rstrip(b"\0"))).ljust(len(good), b"\0")
    try:
        record = Record.from_bytes(changed)
    except WalletError:
        return
    assert record.to_bytes() == changed == good


@settings(max_examples=30)
@given(any_document(), any_document(), st.booleans(), st.booleans())
def test_two_documents_of_one_seq_give_one_proof_whichever_comes_first(
    one: Document, other: Document, whole: bool, other_whole: bool
) -> None:
    one, other = (replace(item, identity=ALICE.public_key, seq=SEQ, approvers=None) for item in (one, other))
    sides = [
        Side(SignedPacket.from_relay_payload(ALICE.public_key, payload_of(item)), item.to_bytes() if kept else None)
        for item, kept in ((one, whole), (other, other_whole))
    ]
    found = proofs_among(sides)
    assert found == proofs_among(reversed(sides))
    assert len(found) == (one.hash != other.hash)
    for proof in found:
        assert EquivocationProof.from_bytes(proof.to_bytes()) == proof
        assert proof.bare().joined(proof) == proof


@given(st.data(), st.booleans())
def test_a_changed_proof_file_is_refused(data: st.DataObject, whole: bool) -> None:
    one, other = SAMPLES[3], replace(SAMPLES[3], profile={"name": "Eve"})
    proof = EquivocationProof.of(
        *(
            Side(
                SignedPacket.from_relay_payload(ALICE.public_key, payload_of(item)), item.to_bytes() if whole else None
            )
            for item in (one, other)
        )
    )
    encoded = bytearray(proof.to_bytes())
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(WalletError):
        EquivocationProof.from_bytes(bytes(encoded))
