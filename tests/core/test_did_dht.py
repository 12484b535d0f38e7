"""docs/spec/record.md, "Packet": our own packets as did:dht documents, and what is no such document.

The method's published vectors are in tests/peers/test_did_dht_vectors.py.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tests.core.dns_wire import message, name, rr, text
from tests.core.samples import ALICE, BOB, P256_P, SEQ, devices, documents
from walletcli.core.did_dht import is_deactivated, to_did_document
from walletcli.core.document import Document
from walletcli.core.encodings import b64url_encode, z32_encode
from walletcli.core.packet import SignedPacket
from walletcli.core.record import packet_value
from walletcli.errors import FormatError

Z = z32_encode(ALICE.public_key)
K0 = ("_k0._did", "t=0;k=" + b64url_encode(ALICE.public_key))
K1 = ("_k1._did", "t=0;k=" + b64url_encode(BOB.public_key))


def packet(*texts: tuple[str, str]) -> SignedPacket:
    return SignedPacket.sign(
        ALICE, SEQ, message(*[rr(name(*owner.split(".")), text(*_strings(value))) for owner, value in texts])
    )


def _strings(value: str) -> list[str]:
    return [value[at : at + 255] for at in range(0, len(value), 255)] or [""]


def root(value: str) -> tuple[str, str]:
    return f"_did.{Z}", value


def refused(*texts: tuple[str, str]) -> None:
    with pytest.raises(FormatError) as raised:
        to_did_document(packet(*texts))
    assert raised.value.code == "did-dht.malformed"


def thumbprint(public_key: bytes) -> str:
    """RFC 7638 with RFC 8037."""
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": b64url_encode(public_key)}
    return b64url_encode(hashlib.sha256(json.dumps(jwk, separators=(",", ":")).encode()).digest())


@pytest.mark.parametrize("count", [0, 1, 2, 8, 12])
def test_our_packet_spells_root_and_device_keys(count: int) -> None:
    document = Document(ALICE.public_key, SEQ, delegations=devices(count))
    did = f"did:dht:{Z}"
    spelled: Any = to_did_document(SignedPacket.sign(ALICE, SEQ, packet_value(document)))
    shown = document.delegations[:8]
    ids = [f"{did}#{thumbprint(item.signing_key)}" for item in shown]
    assert spelled["id"] == did
    assert [method["id"] for method in spelled["verificationMethod"]] == [f"{did}#0", *ids]
    assert [method["publicKeyJwk"]["x"] for method in spelled["verificationMethod"]] == [
        b64url_encode(public_key) for public_key in (ALICE.public_key, *(item.signing_key for item in shown))
    ]
    assert {method["controller"] for method in spelled["verificationMethod"]} == {did}
    assert spelled.get("authentication", []) == ids == spelled.get("assertionMethod", [])
    assert spelled["capabilityInvocation"] == spelled["capabilityDelegation"] == [f"{did}#0"]
    assert "service" not in spelled and "keyAgreement" not in spelled


@pytest.mark.parametrize("title", documents())
def test_the_root_key_never_answers_a_challenge(title: str) -> None:
    spelled: Any = to_did_document(SignedPacket.sign(ALICE, SEQ, packet_value(documents()[title])))
    for purpose in ("authentication", "assertionMethod", "keyAgreement"):
        assert f"did:dht:{Z}#0" not in spelled.get(purpose, [])


def test_a_document_says_the_least_that_the_method_asks_for() -> None:
    assert to_did_document(packet(root("v=0;vm=k0"), K0))["id"] == f"did:dht:{Z}"


@pytest.mark.parametrize(
    "texts",
    [
        (),
        (K0,),
        (root("v=0;vm=k0"),),
        (root(""), K0),
        (root("vm=k0"), K0),
        (root("v=1;vm=k0"), K0),
        (root("v=0"), K0),
        (root("v=0;vm="), K0),
        (root("v=0;vm=k1"), K0, K1),
        (root("v=0;vm=k0,k0"), K0),
        (root("v=0;vm=k0,"), K0),
        (root("v=0;vm=k0,k1"), K0),
        (root("v=0;vm=k0;vm=k0"), K0),
        (root("v=0;vm=k0;auth=k1"), K0, K1),
        (root("v=0;vm=k0;auth=k0,k0"), K0),
        (root("v=0;vm=k0;svc=s0"), K0),
        (root("v=0;vm=k0;svc=s0"), K0, ("_s0._did", "id=x;t=y")),
        (root("v=0;vm=" + ",".join(f"k{n}" for n in range(65))), K0),
        (root("v=0;vm=k0"), root("v=0;vm=k0"), K0),
        (root("v=0;vm=k0"), K0, K0),
        (root("v=0;vm=k0"), K0, ("_k0._did", K1[1])),
        (root("v=0;vm=k0"), ("_k0._did", K1[1])),
        (root("v=0;vm=k0"), ("_k0._did", "t=0")),
        (root("v=0;vm=k0"), ("_k0._did", "k=" + b64url_encode(ALICE.public_key))),
        (root("v=0;vm=k0"), ("_k0._did", K0[1] + ";t=0")),
        (root("v=0;vm=k0"), ("_k0._did", K0[1] + "=")),
        (root("v=0;vm=k0"), ("_k0._did", K0[1][:-1])),
        (root("v=0;vm=k0"), ("_k0._did", "t=3;k=" + b64url_encode(ALICE.public_key))),
        (root("v=0;vm=k0"), ("_k0._did", K0[1] + ";a=ES256")),
        ((f"_did.{z32_encode(BOB.public_key)}", "v=0;vm=k0"), K0),
        (root("v=0;vm=k0,k1"), K0, ("_k1._did", "t=0;k=!!")),
        (root("v=0;vm=k0,k1"), K0, ("_k1._did", "t=0;k=")),
        (root("v=0;vm=k0,k1"), K0, ("_k1._did", "t=4;k=" + b64url_encode(bytes(32)))),
        (root("v=0;vm=k0,k1"), K0, ("_k1._did", "t=;k=" + b64url_encode(bytes(32)))),
        (root("v=0;vm=k0,k1"), K0, ("_k1._did", "t=2;k=" + b64url_encode(b"\4" + bytes(32)))),
        (root("v=0;vm=k0,k1"), K0, ("_k1._did", "t=2;k=" + b64url_encode(b"\2" + P256_P.to_bytes(32, "big")))),
        (root("v=0;vm=k0,k1"), K0, ("_k1._did", "t=2;k=" + b64url_encode(b"\2" + b"\0" * 31 + b"\1"))),
        (root("v=0;vm=k0,k1"), K0, ("_k1._did", "t=1;k=" + b64url_encode(b"\2" + b"\xff" * 32))),
    ],
)
def test_what_is_no_did_dht_record_spells_nothing(texts: tuple[tuple[str, str], ...]) -> None:
    refused(*texts)


def test_texts_of_other_uses_are_left_alone() -> None:
    others = (("other", "a"), ("other", "b"), ("_k0", "c"), ("_k0", "d"))
    assert to_did_document(packet(root("v=0;vm=k0"), K0, *others)) == to_did_document(packet(root("v=0;vm=k0"), K0))


def test_a_name_with_a_dot_inside_a_label_is_another_name() -> None:
    value = message(rr(name(f"_did.{Z}"), text("v=0;vm=k0")), rr(name("_k0", "_did"), text(K0[1])))
    with pytest.raises(FormatError):
        to_did_document(SignedPacket.sign(ALICE, SEQ, value))


def test_texts_that_are_not_utf_8_are_left_out() -> None:
    value = message(
        rr(name("_did", Z), text("v=0;vm=k0")), rr(name("_k0", "_did"), text(K0[1])), rr(name("x"), text(b"\xff"))
    )
    assert to_did_document(SignedPacket.sign(ALICE, SEQ, value))["id"] == f"did:dht:{Z}"


# --- ended by the method's own means


def test_a_record_that_says_deactivated_is_its_id_alone() -> None:
    ended = packet(root("deactivated"))
    assert to_did_document(ended) == {"id": f"did:dht:{Z}"}
    assert is_deactivated(ended)
    assert is_deactivated(packet(root("deactivated"), K0))


@pytest.mark.parametrize(
    "texts",
    [
        (),
        (root("v=0;vm=k0"), K0),
        (root("deactivated."), K0),
        (root("Deactivated"), K0),
        (root("v=0;deactivated"), K0),
        (root(""), K0),
        ((f"_did.{z32_encode(BOB.public_key)}", "deactivated"),),
        (("_did", "deactivated"),),
        (root("deactivated"), root("v=0;vm=k0"), K0),
        (root("deactivated"), root("deactivated")),
    ],
)
def test_nothing_else_ends_an_identity(texts: tuple[tuple[str, str], ...]) -> None:
    assert not is_deactivated(packet(*texts))
