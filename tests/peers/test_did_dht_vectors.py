"""did:dht's published vectors, and its rules for what we publish ourselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dnslib
import pytest

from tests.client.records import foreign_packet, identity, key, record
from walletcli.core import dns
from walletcli.core.did_dht import did_document, to_did_document
from walletcli.core.document_parts import Delegation, Power
from walletcli.core.encodings import b64url_encode, z32_decode
from walletcli.errors import FormatError

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "vectors" / "did_dht.json").read_text())[
    "vectors"
]


def message(records: list[dict[str, Any]]) -> bytes:
    """Encode a vector's records as the method says (flags 0x8400), with a DNS library that is not ours."""
    made = dnslib.DNSRecord(dnslib.DNSHeader(id=0, bitmap=0x8400))
    for one in records:
        rdata = dnslib.TXT(one["rdata"]) if one["type"] == "TXT" else dnslib.NS(one["rdata"][0])
        made.add_answer(dnslib.RR(one["name"], getattr(dnslib.QTYPE, one["type"]), ttl=one["ttl"], rdata=rdata))
    return bytes(made.pack())


def spelled(vector: dict[str, Any], records: list[dict[str, Any]] | None = None) -> dict[str, object]:
    public_key = z32_decode(vector["didDocument"]["id"].removeprefix("did:dht:"), 32)
    return did_document(public_key, tuple(dns.decode(message(records or vector["dnsRecords"]))))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_records_of_a_vector_spell_its_document(vector: dict[str, Any]) -> None:
    assert spelled(vector) == vector["didDocument"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_order_of_the_records_means_nothing(vector: dict[str, Any]) -> None:
    assert spelled(vector, vector["dnsRecords"][::-1]) == vector["didDocument"]


def edited(vector: dict[str, Any], name: str, old: str, new: str | None) -> list[dict[str, Any]]:
    """Return a vector's records with one text changed, or left out."""
    out = []
    for one in vector["dnsRecords"]:
        if one["type"] == "TXT" and one["name"].startswith(name):
            assert any(old in part for part in one["rdata"])
            if new is None:
                continue
            one = {**one, "rdata": [part.replace(old, new) for part in one["rdata"]]}
        out.append(one)
    return out


@pytest.mark.parametrize(
    ("rule", "name", "old", "new"),
    [
        ("a root record is needed", "_did.", "v=0", None),
        ("of a known version", "_did.", "v=0", "v=1"),
        ("that says its version", "_did.", "v=0;", ""),
        ("every named key is needed", "_k1.", "t=1", None),
        ("the identity key is needed", "_k0.", "t=0", None),
        ("and it is the DID's own key", "_k0.", "YCcHYL2s", "YCcHYL2t"),
        ("a key's type is known", "_k1.", "t=1", "t=9"),
        ("a key is a point of its curve", "_k1.", "Atf6", "BNf6"),
        ("every named service is needed", "_s0.", "t=TestService", None),
        ("relationships name keys that are there", "_did.", "auth=k0", "auth=k7"),
    ],
)
def test_records_that_break_a_rule_spell_nothing(rule: str, name: str, old: str, new: str | None) -> None:
    with pytest.raises(FormatError):
        spelled(VECTORS[1], edited(VECTORS[1], name, old, new))


# --- what we publish


DEVICES = tuple(
    sorted(
        (
            Delegation(key(f"device {n}").public_key, bytes([9]) + bytes(31), frozenset({Power.HOST}), 20_000, 20_090)
            for n in range(2)
        ),
        key=lambda delegation: delegation.signing_key,
    )
)
OURS = record("alice", 1_700_000_000_000_000, delegations=DEVICES).packet


def test_our_packet_is_an_authoritative_answer_without_an_id() -> None:
    assert OURS.value[:4] == b"\x00\x00\x84\x00"


def test_our_packet_reads_as_a_did_document() -> None:
    document = to_did_document(OURS)
    methods: Any = document["verificationMethod"]
    did = identity("alice").did_dht
    assert document["id"] == did
    assert methods[0]["id"] == f"{did}#0"
    assert methods[0]["publicKeyJwk"]["x"] == b64url_encode(identity("alice").public_key)
    assert [m["publicKeyJwk"]["x"] for m in methods[1:]] == [b64url_encode(d.signing_key) for d in DEVICES]


def test_devices_authenticate_and_assert_and_the_root_key_does_neither() -> None:
    document = to_did_document(OURS)
    methods: Any = document["verificationMethod"]
    devices = [method["id"] for method in methods[1:]]
    assert document["authentication"] == devices == document["assertionMethod"]
    assert document["capabilityInvocation"] == [methods[0]["id"]] == document["capabilityDelegation"]


def test_a_dns_library_that_is_not_ours_reads_our_packet() -> None:
    z32 = identity("alice").z32
    parsed = dnslib.DNSRecord.parse(OURS.value)
    texts = {str(rr.rname): b"".join(rr.rdata.data).decode() for rr in parsed.rr}
    assert texts[f"_did.{z32}."] == "v=0;vm=k0,k1,k2;auth=k1,k2;asm=k1,k2;inv=k0;del=k0"
    assert texts["_k0._did."] == "t=0;k=" + b64url_encode(identity("alice").public_key)
    assert set(texts) == {f"_did.{z32}.", "_k0._did.", "_k1._did.", "_k2._did.", f"_w.{z32}."}
    assert {rr.ttl for rr in parsed.rr} == {7200}


def test_a_packet_that_is_no_did_dht_record_has_no_did_document() -> None:
    with pytest.raises(FormatError):
        to_did_document(foreign_packet())
