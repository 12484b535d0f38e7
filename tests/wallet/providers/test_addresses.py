"""Where a provider is looked for: what the owner named, then what its newest record says, and nowhere else."""

from __future__ import annotations

import dataclasses

from tests.client.provider import PROVIDER, TERMS, TODAY
from tests.client.records import identity, key, record
from walletcli.core.document_parts import Address, Transport
from walletcli.core.grant import Grant
from walletcli.core.short_record import to_short
from walletcli.wallet.providers.addresses import MAX_ADDRESSES, evidence_of, known_addresses

KEY = key("provider").public_key
DID = identity("provider").did


def at(*locations: str, seq: int = 100) -> object:
    addresses = tuple(Address(Transport.TCP, location, b"\1" * 32) for location in locations)
    return record("provider", seq, addresses=addresses)


def texts(named: str | None, *records: object) -> list[str]:
    return [address.to_text() for address in known_addresses(KEY, named, records)]  # type: ignore[arg-type]


def test_the_named_address_comes_before_those_of_the_newest_record() -> None:
    found = texts("http://127.0.0.1:1", at("a.example:1", seq=1), at("b.example:2", "c.example:3", seq=2), None)
    assert found == ["http://127.0.0.1:1", f"walletcli://b.example:2/{DID}", f"walletcli://c.example:3/{DID}"]


def test_an_address_is_tried_once() -> None:
    assert texts(f"walletcli://a.example:1/{DID}", at("a.example:1")) == [f"walletcli://a.example:1/{DID}"]


def test_an_address_that_names_another_node_is_not_tried() -> None:
    assert texts(f"walletcli://a.example:1/{identity('mallory').did}", at("b.example:2")) == [
        f"walletcli://b.example:2/{DID}"
    ]


def test_another_identitys_record_names_no_address() -> None:
    addresses = (Address(Transport.TCP, "evil.example:1", b"\1" * 32),)
    assert texts(None, record("mallory", 9, addresses=addresses)) == []


def test_locations_that_are_no_address_are_left_out() -> None:
    assert texts(None, at("nowhere", "a.example:1", "b.example:99999")) == [f"walletcli://a.example:1/{DID}"]


def test_no_more_than_a_few_are_tried() -> None:
    assert len(texts("http://127.0.0.1:1", at(*(f"n{n}.example:1" for n in range(16))))) == MAX_ADDRESSES


def test_evidence_is_the_providers_verified_record_or_nothing() -> None:
    short = to_short(PROVIDER)
    grant = Grant(KEY, key("alice").public_key, TERMS, b"n" * 16, TODAY, TODAY + 9, short)
    assert evidence_of(grant) == PROVIDER
    assert evidence_of(dataclasses.replace(grant, evidence=short[:-1])) is None
    assert evidence_of(dataclasses.replace(grant, evidence=to_short(record("mallory", 3)))) is None
    assert evidence_of(dataclasses.replace(grant, evidence=short[:3] + b"\0" + short[4:])) is None
