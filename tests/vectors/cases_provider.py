"""Cases for provider.json: grants, requests for them, logins and manifests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.core.samples import ALICE, BOB, DAY, key, sealing_key
from tests.vectors.cases_contact import changed, signed
from walletcli.core import cbor
from walletcli.core.cose import Sign1
from walletcli.core.document import Document
from walletcli.core.document_parts import Address, Delegation, Power, Transport
from walletcli.core.ed25519 import SigningKey
from walletcli.core.grant import Grant
from walletcli.core.grant_request import GrantRequest
from walletcli.core.login import Login
from walletcli.core.manifest import Manifest
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.core.short_record import to_short

NONCE = bytes(range(16))
CHALLENGE = bytes(range(40))
HASH = bytes(range(32))
DAILY = key("provider's daily key")
PROVIDER = key("provider")
PHONE = key("phone")
TERMS = {1: 1 << 30, 2: 30, 3: 1 << 21}
Fields = dict[int, Any]


def provider_record(
    daily: SigningKey = DAILY, seq: int = 7, powers: Power = Power.GRANT, last: int = DAY + 70
) -> Record:
    """Return the provider's record, which delegates to its daily key until the day `last`."""
    delegation = Delegation(daily.public_key, sealing_key("provider"), frozenset({powers}), DAY - 10, last)
    address = Address(Transport.TCP, "198.51.100.7:7411", HASH)
    document = Document(PROVIDER.public_key, seq, delegations=(delegation,), addresses=(address,))
    return Record.verified(SignedPacket.sign(PROVIDER, seq, packet_value(document)), document.to_bytes())


def grant_fields(**changes: Any) -> Fields:
    """Return the fields of a grant of the provider's for Alice, changed by number."""
    fields: Fields = {
        1: 1,
        2: PROVIDER.public_key,
        3: ALICE.public_key,
        4: TERMS,
        5: NONCE,
        6: DAY - 3,
        7: DAY + 360,
        8: to_short(provider_record()),
    }
    return changed(fields, changes)


def request_fields(**changes: Any) -> Fields:
    """Return the fields of a request of Alice's, changed by number."""
    fields: Fields = {1: 1, 2: ALICE.public_key, 3: PROVIDER.public_key, 4: CHALLENGE, 5: 1 << 30}
    return changed(fields, changes)


def login_fields(**changes: Any) -> Fields:
    """Return the fields of a login of Alice's, changed by number."""
    fields: Fields = {1: 1, 2: ALICE.public_key, 3: PROVIDER.public_key, 4: CHALLENGE, 5: 15, 6: 1}
    return changed(fields, changes)


def manifest_fields(**changes: Any) -> Fields:
    """Return the fields of a manifest of Alice's, changed by number."""
    fields: Fields = {1: 1, 2: ALICE.public_key, 3: NONCE, 4: 1, 5: HASH, 6: 1000}
    return changed(fields, changes)


KINDS: dict[str, tuple[type[Grant | GrantRequest | Login | Manifest], Any, SigningKey]] = {
    "grant": (Grant, grant_fields, DAILY),
    "grant-request": (GrantRequest, request_fields, PHONE),
    "login": (Login, login_fields, PHONE),
    "manifest": (Manifest, manifest_fields, PHONE),
}


def statement(kind: str, signer: SigningKey | None = None, **changes: Any) -> bytes:
    """Sign a statement of a kind, its fields changed by number."""
    cls, fields, usual = KINDS[kind]
    return signed(signer or usual, cls.TYP, cbor.encode(fields(**changes)))


def _case(name: str, kind: str, data: bytes, **more: object) -> dict[str, object]:
    return {"name": f"{kind}: {name}", "kind": kind, "hex": data.hex(), **more}


def _valid() -> Iterator[dict[str, object]]:
    yield _case("usual terms", "grant", statement("grant"))
    for name, changes in (
        ("for one day", {"_6": DAY, "_7": DAY + 1}),
        ("for 400 days", {"_6": DAY, "_7": DAY + 400}),
        ("of nothing", {"_4": {1: 0, 2: 0, 3: 1}}),
        ("of the most", {"_4": {1: 1 << 50, 2: 3650, 3: 1 << 26}}),
    ):
        yield _case(name, "grant", statement("grant", **changes))
    newer = provider_record(key("next daily key"), 8)
    yield _case(
        "by a key that a newer record names",
        "grant",
        statement("grant", key("next daily key")),
        newest=newer.to_bytes().hex(),
    )
    yield _case("of a device", "grant-request", statement("grant-request"))
    yield _case("of the root", "grant-request", statement("grant-request", ALICE))
    yield _case("with an invitation", "grant-request", statement("grant-request", _6="☿ invitation"))
    yield _case("of the longest", "grant-request", statement("grant-request", _4=bytes(64), _5=1 << 50, _6="x" * 128))
    yield _case("of a device", "login", statement("login"))
    yield _case("of the root", "login", statement("login", ALICE, _6=2))
    yield _case("for a minute, shortest challenge", "login", statement("login", _4=bytes(16), _5=1))
    yield _case("first version", "manifest", statement("manifest"))
    yield _case("last version", "manifest", statement("manifest", _4=1 << 53, _6=1 << 26, _7=HASH))
    yield _case("a deletion", "manifest", statement("manifest", _4=2, _5=None, _6=0, _7=HASH))
    yield _case("the index", "manifest", statement("manifest", _3=bytes(16)))
    yield _case("of the root", "manifest", statement("manifest", ALICE))


_BAD: dict[str, tuple[tuple[str, dict[str, Any], str], ...]] = {
    "grant": (
        ("provider and identity are one", {"_3": PROVIDER.public_key}, "malformed"),
        ("no terms", {"_4": ...}, "malformed"),
        ("terms with a field more", {"_4": {**TERMS, 4: 0}}, "malformed"),
        ("terms without retention", {"_4": {1: 1, 3: 1}}, "malformed"),
        ("terms in a list", {"_4": [1, 2, 3]}, "malformed"),
        ("a quota over 2^50", {"_4": {**TERMS, 1: (1 << 50) + 1}}, "malformed"),
        ("a quota below zero", {"_4": {**TERMS, 1: -1}}, "malformed"),
        ("a quota that is true", {"_4": {**TERMS, 1: True}}, "malformed"),
        ("retention over ten years", {"_4": {**TERMS, 2: 3651}}, "malformed"),
        ("a largest blob of nothing", {"_4": {**TERMS, 3: 0}}, "malformed"),
        ("a largest blob over 2^26", {"_4": {**TERMS, 3: (1 << 26) + 1}}, "malformed"),
        ("a nonce of 15 bytes", {"_5": bytes(15)}, "malformed"),
        ("401 days", {"_6": DAY, "_7": DAY + 401}, "malformed"),
        ("no day", {"_7": DAY - 3}, "malformed"),
        ("an end after 2100", {"_6": 47_400, "_7": 47_483}, "malformed"),
        ("no evidence", {"_8": b""}, "malformed"),
        ("a key of small order", {"_2": bytes(32)}, "key.malformed"),
        ("for somebody else", {"_3": BOB.public_key}, "grant.identity"),
        ("from tomorrow on", {"_6": DAY + 1}, "grant.not-yet"),
        ("until today", {"_7": DAY}, "grant.expired"),
        ("evidence that is no record", {"_8": b"record"}, "grant.provider-record"),
        ("evidence of somebody else", {"_2": BOB.public_key}, "grant.provider-record"),
        (
            "by a key whose delegation is over",
            {"_8": to_short(provider_record(last=DAY))},
            "grant.key-rotated",
        ),
        ("by a key without the power", {"_8": to_short(provider_record(powers=Power.HOST))}, "grant.key-rotated"),
    ),
    "grant-request": (
        ("a challenge of 15 bytes", {"_4": bytes(15)}, "malformed"),
        ("a challenge of 65 bytes", {"_4": bytes(65)}, "malformed"),
        ("a quota over 2^50", {"_5": (1 << 50) + 1}, "malformed"),
        ("an empty invitation", {"_6": ""}, "malformed"),
        ("an invitation of 129 bytes", {"_6": "x" * 129}, "malformed"),
        ("an invitation in bytes", {"_6": b"x"}, "malformed"),
        ("no challenge", {"_4": ...}, "malformed"),
        ("a provider that is no key", {"_3": bytes(32)}, "key.malformed"),
    ),
    "login": (
        ("a challenge of 15 bytes", {"_4": bytes(15)}, "malformed"),
        ("no minute", {"_5": 0}, "malformed"),
        ("16 minutes", {"_5": 16}, "malformed"),
        ("purpose 0", {"_6": 0}, "malformed"),
        ("purpose 3", {"_6": 3}, "malformed"),
        ("no purpose", {"_6": ...}, "malformed"),
        ("an audience that is no key", {"_3": bytes(32)}, "key.malformed"),
    ),
    "manifest": (
        ("an id of 15 bytes", {"_3": bytes(15)}, "malformed"),
        ("version 0", {"_4": 0}, "malformed"),
        ("a version over 2^53", {"_4": (1 << 53) + 1}, "malformed"),
        ("a hash of 31 bytes", {"_5": bytes(31)}, "malformed"),
        ("a hash in text", {"_5": "x" * 32}, "malformed"),
        ("a deletion with a length", {"_5": None}, "malformed"),
        ("content without a length", {"_6": 0}, "malformed"),
        ("a length over 2^26", {"_6": (1 << 26) + 1}, "malformed"),
        ("what it replaces in 31 bytes", {"_7": bytes(31)}, "malformed"),
        ("what it replaces is null", {"_7": None}, "malformed"),
    ),
}


def _invalid() -> Iterator[dict[str, object]]:
    for kind, bad in _BAD.items():
        always: tuple[tuple[str, dict[str, Any], str], ...] = (
            ("version 2", {"_1": 2}, "unknown-version"),
            ("version true", {"_1": True}, "unknown-version"),
            ("no version", {"_1": ...}, "unknown-version"),
            ("an unknown field", {"_9": 0}, "malformed"),
            ("an identity of 31 bytes", {"_2": bytes(31)}, "malformed"),
        )
        for name, changes, error in always + bad:
            yield _case(name, kind, statement(kind, **changes), error=error if "." in error else f"{kind}.{error}")
        good, (cls, fields, signer) = statement(kind), KINDS[kind]
        payload = cbor.encode(fields())
        yield _case("an altered signature", kind, good[:-1] + bytes([good[-1] ^ 1]), error="signature.invalid")
        yield _case("another type", kind, signed(signer, "application/x+cose", payload), error="cose.type")
        yield _case("a byte more", kind, good + b"\0", error="cbor.trailing")
        yield _case("a payload with a byte more", kind, signed(signer, cls.TYP, payload + b"\0"), error="cbor.trailing")
        yield _case("a payload that is text", kind, signed(signer, cls.TYP, b"\x61x"), error=f"{kind}.malformed")
        too_long = Sign1.sign(signer, cls.TYP, bytes(5000)).to_bytes()
        yield _case("too long", kind, too_long, error="cose.too-long")
    yield _case("by the provider's root", "grant", statement("grant", PROVIDER), error="grant.key-rotated")
    yield _case(
        "by a key that a newer record no longer names",
        "grant",
        statement("grant"),
        newest=provider_record(key("next daily key"), 8).to_bytes().hex(),
        error="grant.key-rotated",
    )


def make() -> dict[str, object]:
    """Return the content of provider.json."""
    return {
        "spec": "docs/spec/grant.md",
        "source": "ours, made by tests/vectors/make_vectors.py; grants are checked for this identity on this day",
        "day": DAY,
        "identity": ALICE.public_key.hex(),
        "valid": list(_valid()),
        "invalid": list(_invalid()),
    }
