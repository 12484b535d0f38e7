"""Drawers: named parts of the vault, replaced only by who has read what they replace."""

from __future__ import annotations

import hashlib

import pytest

from tests.wallet.parts import opened
from walletcli.errors import FormatError, InputError, VaultError
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity
from walletcli.wallet.state.changes import PutDrawer, Rename, Several
from walletcli.wallet.state.view import MAX_DRAWER_BYTES


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def test_a_drawer_is_empty_at_first_and_then_holds_what_was_put(either_session: Session) -> None:
    index = create_identity(either_session, "alice").index
    assert either_session.drawer(index, "contacts") is None
    either_session.put_drawers(PutDrawer(index, "contacts", b"book", None), PutDrawer(None, "drill", b"day", None))
    assert either_session.drawer(index, "contacts") == b"book"
    assert either_session.drawer(None, "drill") == b"day"
    assert either_session.drawer(None, "contacts") is None


def test_a_drawer_outlives_the_session(wallet_home: Home) -> None:
    with opened(wallet_home) as first:
        first.put_drawers(PutDrawer(None, "drill", b"day", None))
    with opened(wallet_home) as second:
        assert second.drawer(None, "drill") == b"day"


def test_a_drawer_takes_megabytes_through_the_agent(either_session: Session) -> None:
    large = bytes(3 << 20)
    either_session.put_drawers(PutDrawer(None, "drill", large, None))
    assert either_session.drawer(None, "drill") == large


@pytest.mark.parametrize("before", [None, digest(b"another")])
def test_only_who_read_the_content_replaces_it(session: Session, before: bytes | None) -> None:
    session.put_drawers(PutDrawer(None, "drill", b"first", None))
    with pytest.raises(VaultError, match="another process") as error:
        session.put_drawers(PutDrawer(None, "drill", b"second", before))
    assert error.value.code == "drawer.changed"
    session.put_drawers(PutDrawer(None, "drill", b"second", digest(b"first")))
    assert session.drawer(None, "drill") == b"second"


def test_an_emptied_drawer_is_not_there(session: Session) -> None:
    session.put_drawers(PutDrawer(None, "drill", b"first", None))
    session.put_drawers(PutDrawer(None, "drill", None, digest(b"first")))
    assert session.drawer(None, "drill") is None
    session.put_drawers(PutDrawer(None, "drill", b"again", None))


def test_several_changes_happen_together_or_not_at_all(session: Session) -> None:
    index = create_identity(session, "alice").index
    with pytest.raises(VaultError):
        session.apply(Several((Rename(index, "bob"), PutDrawer(index, "contacts", b"x", digest(b"never there")))))
    assert [summary.label for summary in session.summaries()] == ["alice"]
    session.apply(Several((Rename(index, "bob"), PutDrawer(index, "contacts", b"x", None))))
    assert [summary.label for summary in session.summaries()] == ["bob"]
    assert session.drawer(index, "contacts") == b"x"


def test_several_inside_several_is_refused(session: Session) -> None:
    with pytest.raises(FormatError) as error:
        session.apply(Several((Several(()),)))
    assert error.value.code == "agent-request.malformed"


@pytest.mark.parametrize("name", ["Contacts", "", "a" * 33, "../x"])
def test_a_drawer_has_a_plain_name(session: Session, name: str) -> None:
    with pytest.raises((InputError, FormatError)):
        session.put_drawers(PutDrawer(None, name, b"x", None))


def test_a_drawer_has_a_limit(session: Session) -> None:
    with pytest.raises((InputError, FormatError)):
        session.put_drawers(PutDrawer(None, "big", bytes(MAX_DRAWER_BYTES + 1), None))
    session.put_drawers(PutDrawer(None, "small", b"x", None))
    assert session.drawer(None, "big") is None


def test_an_identity_that_is_not_held_has_no_drawer(session: Session) -> None:
    with pytest.raises(InputError) as error:
        session.put_drawers(PutDrawer(7, "contacts", b"x", None))
    assert error.value.code == "identity.unknown"
