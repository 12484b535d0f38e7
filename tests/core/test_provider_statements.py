"""Grants, requests, logins, manifests, short records and bindings: form, signature, authority, time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from walletcli.core import cbor
from walletcli.core.bindings import bindings_of
from walletcli.core.cose import Sign1
from walletcli.core.document import Document
from walletcli.core.document_parts import Address, Delegation, Power, Transport
from walletcli.core.ed25519 import SigningKey
from walletcli.core.grant import Grant, Terms, check_grant
from walletcli.core.grant_request import GrantRequest
from walletcli.core.login import Login, Purpose
from walletcli.core.manifest import Manifest
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.core.secret import Secret
from walletcli.core.short_record import from_short, to_short
from walletcli.errors import FormatError, VerificationError, WalletError

TODAY = 20_780
ROOT = SigningKey(Secret(b"\x01" * 32))
DEVICE = SigningKey(Secret(b"\x02" * 32))
NEXT_DEVICE = SigningKey(Secret(b"\x03" * 32))
USER = SigningKey(Secret(b"\x04" * 32))
SEALING = b"\x09" + bytes(31)
TERMS = Terms(1 << 30, 30, 1 << 20)


def record(key: SigningKey = DEVICE, seq: int = 5, first: int = TODAY - 10, **parts: Any) -> Record:
    powers = parts.pop("powers", frozenset({Power.GRANT}))
    delegation = Delegation(key.public_key, SEALING, powers, first, first + 89)
    address = Address(Transport.TCP, "198.51.100.7:7411", bytes(32))
    document = Document(ROOT.public_key, seq, delegations=(delegation,), addresses=(address,), **parts)
    return Record.verified(SignedPacket.sign(ROOT, seq, packet_value(document)), document.to_bytes())


def grant(**parts: Any) -> Grant:
    given = Grant(ROOT.public_key, USER.public_key, TERMS, b"n" * 16, TODAY - 3, TODAY + 300, to_short(record()))
    return replace(given, **parts)


def signed(statement: Any, key: SigningKey = DEVICE) -> bytes:
    return Sign1.sign(key, statement.TYP, statement.to_payload()).to_bytes()


STATEMENTS = [
    grant(),
    GrantRequest(USER.public_key, ROOT.public_key, b"c" * 40, 1 << 20),
    GrantRequest(USER.public_key, ROOT.public_key, b"c" * 40, 0, "an invitation"),
    Login(USER.public_key, ROOT.public_key, b"c" * 40, 10),
    Login(USER.public_key, ROOT.public_key, b"c" * 16, 1, Purpose.ROOT),
    Manifest(USER.public_key, bytes(16), 1, b"h" * 32, 70_000),
    Manifest(USER.public_key, b"i" * 16, 9, None, 0, b"p" * 32),
]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: type(s).__name__)
def test_what_is_written_is_read(statement: Any) -> None:
    assert type(statement).from_payload(statement.to_payload()) == statement


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: type(s).__name__)
def test_another_version_a_missing_and_an_unknown_field_are_refused(statement: Any) -> None:
    fields = cbor.decode(statement.to_payload(), 1 << 16)
    assert isinstance(fields, dict)
    for changed, code in (
        ({**fields, 1: 2}, "unknown-version"),
        ({**fields, 1: True}, "unknown-version"),
        ({**fields, 99: 0}, "malformed"),
        ({key: value for key, value in fields.items() if key != 3}, "malformed"),
        ([], "malformed"),
    ):
        with pytest.raises(FormatError) as error:
            type(statement).from_payload(cbor.encode(changed))
        assert error.value.code.endswith(code)


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: type(s).__name__)
def test_no_field_takes_a_value_of_another_type(statement: Any) -> None:
    fields = cbor.decode(statement.to_payload(), 1 << 16)
    assert isinstance(fields, dict)
    for key in fields:
        for value in (-1, True, "", b"", [], {}, 1 << 60):
            if type(value) is type(fields[key]) and value not in (-1, b"", "", {}):
                continue
            with pytest.raises(FormatError):
                type(statement).from_payload(cbor.encode({**fields, key: value}))


def test_a_short_record_gives_the_record_back() -> None:
    assert from_short(to_short(record())) == record()


@pytest.mark.parametrize("at", [3, 40, 80, 120, -1])
def test_a_changed_short_record_is_refused(at: int) -> None:
    data = bytearray(to_short(record()))
    data[at] ^= 1
    with pytest.raises((FormatError, VerificationError)):
        from_short(bytes(data))


def test_a_short_record_with_padding_is_refused() -> None:
    with pytest.raises(FormatError) as error:
        from_short(cbor.encode([bytes(64), record().document.to_bytes()]))  # type: ignore[union-attr]  # it has one
    assert error.value.code == "document.form"


def test_a_short_record_is_measured_first() -> None:
    with pytest.raises(FormatError) as error:
        from_short(to_short(record()), 100)
    assert error.value.code == "short-record.too-long"


def test_a_grant_verifies() -> None:
    verified = check_grant(signed(grant()), USER.public_key, TODAY)
    assert verified.grant == grant()
    assert verified.signer == DEVICE.public_key
    assert verified.provider_record == record()


REFUSED: list[tuple[Callable[[], tuple[bytes, Record | None]], str]] = [
    (lambda: (signed(grant(identity=DEVICE.public_key)), None), "grant.identity"),
    (lambda: (signed(grant(not_before_day=TODAY + 1)), None), "grant.not-yet"),
    (lambda: (signed(grant(not_after_day=TODAY)), None), "grant.expired"),
    (lambda: (signed(grant(), NEXT_DEVICE), None), "grant.key-rotated"),
    (lambda: (signed(grant(), ROOT), None), "grant.key-rotated"),
    (lambda: (signed(grant()), record(NEXT_DEVICE, seq=6)), "grant.key-rotated"),
    (lambda: (signed(grant(evidence=to_short(record(powers=frozenset({Power.HOST}))))), None), "grant.key-rotated"),
    (lambda: (signed(grant(evidence=to_short(record(first=TODAY - 89)))), None), "grant.key-rotated"),
    (lambda: (signed(grant(evidence=b"x")), None), "grant.provider-record"),
    (lambda: (signed(grant(provider=NEXT_DEVICE.public_key)), None), "grant.provider-record"),
    (lambda: (signed(STATEMENTS[3]), None), "cose.type"),
]


@pytest.mark.parametrize(("make", "code"), REFUSED)
def test_a_grant_that_does_not_hold_is_refused(make: Callable[[], tuple[bytes, Record | None]], code: str) -> None:
    data, newest = make()
    with pytest.raises(WalletError) as error:
        check_grant(data, USER.public_key, TODAY, newest)
    assert error.value.code == code


def test_a_newer_record_of_the_provider_renews_the_grant() -> None:
    old = grant(evidence=to_short(record(first=TODAY - 89)))
    assert check_grant(signed(old), USER.public_key, TODAY, record(seq=6)).provider_record.packet.seq == 6


def test_an_older_record_does_not_bring_a_dropped_key_back() -> None:
    fresh = grant(evidence=to_short(record(seq=7)))
    assert check_grant(signed(fresh), USER.public_key, TODAY, record(NEXT_DEVICE, seq=6)).signer == DEVICE.public_key


def test_each_flipped_bit_of_a_grant_is_refused() -> None:
    data = signed(grant())
    for at in range(0, len(data), 7):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        with pytest.raises((FormatError, VerificationError)):
            check_grant(bytes(changed), USER.public_key, TODAY)


def test_a_binding_that_does_not_verify_disables_itself_alone() -> None:
    grants = (signed(grant()), signed(grant(nonce=b"m" * 16), NEXT_DEVICE), b"garbage")
    document = Document(USER.public_key, 1, bindings=grants)
    found = bindings_of(document, TODAY)
    assert [binding.state for binding in found] == ["valid", "grant.key-rotated", "cbor.truncated"]
    assert found[0].to_json()["provider"] == found[1].to_json()["provider"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: grant(not_after_day=TODAY + 400),
        lambda: grant(not_before_day=TODAY + 300),
        lambda: grant(provider=USER.public_key),
        lambda: grant(nonce=b""),
        lambda: Terms(-1, 0, 1),
        lambda: Terms(0, 0, 0),
        lambda: Login(USER.public_key, ROOT.public_key, b"c" * 15, 1),
        lambda: Login(USER.public_key, ROOT.public_key, b"c" * 16, 16),
        lambda: Manifest(USER.public_key, bytes(16), 0, b"h" * 32, 1),
        lambda: Manifest(USER.public_key, bytes(16), 1, None, 1),
        lambda: Manifest(USER.public_key, bytes(16), 1, b"h" * 32, 0),
        lambda: GrantRequest(USER.public_key, ROOT.public_key, b"c" * 16, 0, ""),
    ],
)
def test_what_is_out_of_range_cannot_be_made(make: Callable[[], object]) -> None:
    with pytest.raises(FormatError):
        make()
