"""Which statements an open wallet signs for a program of its user: its own, each with the key that it is for."""

from __future__ import annotations

import pytest

from tests.core.samples import BOB, DAY, key
from walletcli.core.card import Card
from walletcli.core.contact_export import ContactExport
from walletcli.core.grant_request import GrantRequest
from walletcli.core.login import Login, Purpose
from walletcli.core.manifest import Manifest
from walletcli.core.relation import Relation
from walletcli.core.response import Response
from walletcli.errors import WalletError
from walletcli.wallet.access.session import Session
from walletcli.wallet.identities import create_identity

BOBS = BOB.public_key


@pytest.fixture
def alice(session: Session) -> bytes:
    return create_identity(session, "alice").public_key


def statements(me: bytes, other: bytes = BOBS) -> dict[str, tuple[str, bytes]]:
    """Return a statement of each type, of `me`."""
    made = {
        "card": Card(me, {}, DAY, DAY + 1),
        "export": ContactExport(me, DAY, bytes(16), ()),
        "grant request": GrantRequest(me, other, bytes(16), 0),
        "login": Login(me, other, bytes(16), 5, Purpose.DEVICE),
        "root's login": Login(me, other, bytes(16), 5, Purpose.ROOT),
        "manifest": Manifest(me, bytes(16), 1, bytes(32), 70_000),
        "relation": Relation.between(me, other, bytes(16), DAY, DAY + 1),
    }
    return {name: (statement.TYP, statement.to_payload()) for name, statement in made.items()}


NAMES = tuple(statements(key("anybody").public_key))
BY_DEVICE_ALONE = {"grant request", "login", "manifest"}
BY_ROOT_ALONE = {"root's login"}


def refusal(session: Session, typ: str, payload: bytes, *, by_root: bool) -> str | None:
    try:
        session.sign_statement(0, typ, payload, by_root=by_root)
    except WalletError as error:
        return error.code
    return None


@pytest.mark.parametrize("name", NAMES)
def test_each_is_signed_with_the_key_that_it_is_for_and_with_no_other(
    session: Session, alice: bytes, name: str
) -> None:
    typ, payload = statements(alice)[name]
    by_device = "statement.by-device" if name in BY_ROOT_ALONE else None
    by_root = "statement.by-root" if name in BY_DEVICE_ALONE else None
    assert refusal(session, typ, payload, by_root=False) == by_device
    assert refusal(session, typ, payload, by_root=True) == by_root


@pytest.mark.parametrize("by_root", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_signed_for_another_identity(session: Session, alice: bytes, name: str, by_root: bool) -> None:
    create_identity(session, "second")
    for whose in (BOBS, session.snapshot().wallet.by_index(1).public_key):
        typ, payload = statements(whose, key("carol").public_key)[name]
        assert refusal(session, typ, payload, by_root=by_root) == "statement.identity"


@pytest.mark.parametrize("typ", [Response.TYP, "", "application/walletcli-approval"])
def test_what_is_no_statement_of_a_wallet_is_not_signed(session: Session, alice: bytes, typ: str) -> None:
    assert refusal(session, typ, b"\xa0", by_root=True) == "statement.unknown"
