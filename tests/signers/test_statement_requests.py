"""Statements for a root that is elsewhere: parsed by their type, of that identity, and told before they are signed."""

from __future__ import annotations

import pytest

from tests.core.samples import ALICE, BOB, DAY, key
from walletcli.core.card import Card
from walletcli.core.contact_export import ContactExport, Entry
from walletcli.core.grant_request import GrantRequest
from walletcli.core.identity_id import IdentityId
from walletcli.core.login import Login, Purpose
from walletcli.core.manifest import Manifest
from walletcli.core.relation import Relation
from walletcli.core.response import Response
from walletcli.errors import WalletError
from walletcli.signers.requests import MAX_LINE_CHARS
from walletcli.signers.statement_requests import MAX_NAMED, Statement, StatementRequest

ME, BOBS = ALICE.public_key, BOB.public_key
CARD = Card(ME, {"name": "Zoë ☿"}, DAY, DAY + 30, ("https://relay.example",))


def told(statement: Statement) -> list[str]:
    request = StatementRequest.of(ME, statement.TYP, statement.to_payload())
    assert request.statement == statement
    lines = request.describe()
    assert all(line.isascii() and line.isprintable() and len(line) <= MAX_LINE_CHARS for line in lines)
    return lines


def test_a_card_is_told() -> None:
    assert told(CARD) == [
        f"sign a contact card of {IdentityId(ME).did}",
        "says name = Zo\\xeb \\u263f",
        "points to https://relay.example",
        "made 2024-10-04, holds until 2024-11-03",
    ]


def test_a_relation_is_told() -> None:
    relation = Relation.between(ME, BOBS, bytes(16), DAY, DAY + 30)
    assert told(relation)[0] == f"say as {IdentityId(ME).did} that it knows {IdentityId(BOBS).did}"


def test_a_contact_list_is_told_by_its_first_names() -> None:
    keys = sorted(key(f"contact {n}").public_key for n in range(MAX_NAMED + 3))
    entries = tuple(Entry(one, f"Contact {n}\u00a0{'x' * 200}") for n, one in enumerate(keys))
    lines = told(ContactExport(ME, DAY, bytes(16), entries))
    assert lines[0].startswith(f"sign a list of {MAX_NAMED + 3} contact(s) of did:key:")
    assert len([line for line in lines if line.startswith("contact Contact")]) == MAX_NAMED
    assert lines[-1] == "and 3 more"


@pytest.mark.parametrize(
    ("typ", "payload", "code"),
    [
        (Card.TYP, Card(BOBS, {}, DAY, DAY + 1).to_payload(), "statement.identity"),
        (ContactExport.TYP, ContactExport(BOBS, DAY, bytes(16), ()).to_payload(), "statement.identity"),
        (
            Relation.TYP,
            Relation.between(BOBS, key("carol").public_key, bytes(16), DAY, DAY + 1).to_payload(),
            "statement.identity",
        ),
        (Relation.TYP, CARD.to_payload(), "relation.malformed"),
        (Card.TYP, b"", "cbor.truncated"),
        (Login.TYP, Login(ME, BOBS, bytes(16), 5, Purpose.ROOT).to_payload(), "statement.unknown"),
        (GrantRequest.TYP, GrantRequest(ME, BOBS, bytes(16), 0).to_payload(), "statement.unknown"),
        (Manifest.TYP, Manifest(ME, bytes(16), 1, bytes(32), 70_000).to_payload(), "statement.unknown"),
        (Response.TYP, b"\xa0", "statement.unknown"),
        ("", b"", "statement.unknown"),
    ],
)
def test_what_a_root_does_not_sign_in_this_way_makes_no_request(typ: str, payload: bytes, code: str) -> None:
    with pytest.raises(WalletError) as refused:
        StatementRequest.of(ME, typ, payload)
    assert refused.value.code == code
