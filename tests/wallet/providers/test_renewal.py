"""Grants are renewed before they end: the same terms, in the next document, and not while the identity moves."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.wallet.providers.parts import Host, bind, record_of, view_of
from walletcli.net.tcp import TcpDialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.providers.links import read_grant
from walletcli.wallet.providers.places import bound_places
from walletcli.wallet.providers.renewal import Renewal, ends_soon, renew_grants
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.state.view import IdentityView

DIALER = TcpDialer()


def renew(session: Session) -> list[Renewal]:
    with bound_places(session, view_of(session), DIALER) as places:
        return renew_grants(session, view_of(session), places, DIALER)


def in_days(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    monkeypatch.setattr("walletcli.wallet.providers.renewal.today", lambda now_s: int(now_s) // 86_400 + days)


def test_a_grant_with_months_left_stays(session: Session, alice: IdentityView, host: Host) -> None:
    bind(session, host.address)
    assert renew(session) == []
    assert view_of(session).bindings is None


def test_a_grant_that_ends_soon_is_asked_for_again_under_the_same_terms(
    session: Session, alice: IdentityView, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind(session, host.address, quota_bytes=1 << 20)
    document = record_of(session).document
    assert document is not None
    (before,) = document.bindings
    in_days(monkeypatch, 340)
    (renewal,) = renew(session)
    assert renewal.error is None
    decided = view_of(session).bindings
    assert decided is not None
    (after,) = decided
    assert after != before
    grant = read_grant(after)
    assert grant is not None
    assert grant.terms.quota_bytes == 1 << 20
    publish_identity(session, "alice")
    with bound_places(session, view_of(session), DIALER) as places:
        (place,) = places.usable
        assert place.client is not None
        assert place.binding is not None
        assert place.client.status().grant_digest == place.binding.digest


def test_a_grant_that_lasts_a_week_is_renewed_in_its_last_days(
    session: Session, alice: IdentityView, hosts: Callable[..., Host]
) -> None:
    host = hosts("short", 'policy = "open"\ngrant_days = 9')
    bind(session, host.address)
    with bound_places(session, view_of(session), DIALER) as places:
        (place,) = places.providers
        assert place.binding is not None
        assert place.binding.grant is not None
        last = place.binding.grant.not_after_day
        assert not ends_soon(place.binding, last - 7)
        assert ends_soon(place.binding, last - 1)


def test_a_provider_that_refuses_leaves_the_binding_as_it_is(
    session: Session, alice: IdentityView, hosts: Callable[..., Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = hosts()
    bind(session, host.address, quota_bytes=100 << 20)
    host.stop()
    (host.node.directory / "node.toml").write_text('[hosting]\npolicy = "open"\nquota_mib = 10\n')
    host.restart()
    in_days(monkeypatch, 340)
    (renewal,) = renew(session)
    assert renewal.error is not None
    assert renewal.error.code == "host.quota"
    assert renewal.not_after_day > int(time.time()) // 86_400
    assert view_of(session).bindings is None


def test_nothing_is_renewed_while_the_identity_moves(
    session: Session, alice: IdentityView, host: Host, hosts: Callable[..., Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.wallet.providers.test_abort import Cut, cut_before
    from tests.wallet.providers.test_migrate import move

    bind(session, host.address)
    new = hosts("new").address
    cut_before(monkeypatch, "copy")
    with pytest.raises(Cut):
        move(session, new)
    in_days(monkeypatch, 340)
    assert renew(session) == []
