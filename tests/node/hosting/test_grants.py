"""Grants: who gets one, of what, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.client.records import foreign_packet, identity, key
from tests.conftest import Run
from tests.node.hosting.people import Person, device, sign_as, today
from tests.node.local import LocalNode, running
from walletcli.client.host_answers import HostState, Offer
from walletcli.core.cose import Sign1
from walletcli.core.document_parts import Power, Transport
from walletcli.core.grant import Grant, check_grant
from walletcli.core.login import Login
from walletcli.core.short_record import from_short
from walletcli.errors import NetworkError, WalletError
from walletcli.node.hosting import challenges
from walletcli.node.hosting.access import allow, block, invite

Local = Callable[..., LocalNode]


def fails(code: str, call: Callable[[], object]) -> WalletError:
    with pytest.raises(WalletError) as caught:
        call()
    assert caught.value.code == code, caught.value.message
    return caught.value


def request_grant(person: Person, node: LocalNode, **more: object) -> object:
    with person.client(node.address) as client:
        return client.request_grant(sign_as(person.phone), today=today(), **more)  # type: ignore[arg-type]


def test_offer_says_who_and_what(host: LocalNode) -> None:
    offer = Offer.from_bytes(host.ask("GET", "/host").body)
    assert offer.provider == host.key
    assert offer.is_open
    assert offer.terms.to_json() == {"quota_bytes": 4 << 20, "retention_days": 30, "max_blob_bytes": 2 << 20}


def test_grant_alone_is_enough_to_find_and_pin_the_provider(host: LocalNode, alice: Person) -> None:
    grant = alice.bind(host.address, quota_bytes=1000)
    evidence = from_short(Grant.from_payload(Sign1.from_bytes(grant.data, 4096).payload).evidence)
    assert evidence.packet.public_key == host.key
    assert evidence.document is not None
    (address,) = evidence.document.addresses
    assert (address.transport, address.location) == (Transport.TCP, f"127.0.0.1:{host.tls_port}")
    assert address.pin is not None
    (delegation,) = evidence.document.delegations
    assert delegation.powers == {Power.GRANT}
    assert check_grant(grant.data, alice.key, today()).signer == delegation.signing_key


def test_grant_has_the_terms_that_were_asked_for_and_holds_about_a_year(host: LocalNode, alice: Person) -> None:
    alice.publish(host.address)
    found = set()
    for _ in range(30):
        answer = host.ask("POST", "/host/grant", alice.grant_request(host, quota_bytes=12_345))
        grant = Grant.from_payload(Sign1.from_bytes(answer.body, 4096).payload)
        assert grant.terms.to_json() == {"quota_bytes": 12_345, "retention_days": 30, "max_blob_bytes": 2 << 20}
        assert grant.not_before_day < today()
        assert 300 <= grant.not_after_day - today() <= 365
        found.add((grant.not_before_day, grant.not_after_day))
    assert len(found) > 5  # days are drawn, so that they do not tell who came together


def test_root_asks_without_a_record_here(host: LocalNode, alice: Person) -> None:
    answer = host.ask("POST", "/host/grant", alice.grant_request(host, signer=alice.name))
    assert answer.status == 200
    check_grant(answer.body, alice.key, today())


def test_device_of_an_identity_that_is_not_known_here_is_told_to_publish_first(host: LocalNode, alice: Person) -> None:
    error = fails("host.unknown-identity", lambda: request_grant(alice, host))
    assert "publish" in error.hint


def test_record_without_a_document_names_no_device(host: LocalNode, alice: Person) -> None:
    payload = foreign_packet(alice.name).to_relay_payload()
    assert host.ask("PUT", f"/{identity(alice.name).z32}", payload).status == 204
    answer = host.ask("POST", "/host/grant", alice.grant_request(host))
    assert (answer.status, answer.code) == (403, "host.unknown-identity")


@pytest.mark.parametrize(
    ("delegation", "signer"),
    [
        (lambda name: device(name), "somebody else"),
        (lambda name: device(name, frozenset({Power.MESSAGE, Power.SHARE})), None),
        (lambda name: device(name, start=-60, end=0), None),
        (lambda name: device(name, start=1), None),
    ],
    ids=["foreign key", "no power", "expired", "not yet"],
)
def test_key_that_may_not_host_today_gets_no_grant(
    host: LocalNode, alice: Person, delegation: Callable[[str], object], signer: str | None
) -> None:
    alice.devices = [delegation(alice.phone)]  # type: ignore[list-item]
    alice.publish(host.address)
    answer = host.ask("POST", "/host/grant", alice.grant_request(host, signer=signer or alice.phone))
    assert (answer.status, answer.code) == (403, "host.device")


def test_revoked_device_gets_no_grant(host: LocalNode, alice: Person) -> None:
    alice.publish(host.address)
    alice.devices = [device("another phone")]
    alice.publish(host.address)
    assert host.ask("POST", "/host/grant", alice.grant_request(host)).code == "host.device"


def test_challenge_can_be_used_once(host: LocalNode, alice: Person) -> None:
    alice.publish(host.address)
    request = alice.grant_request(host)
    assert host.ask("POST", "/host/grant", request).status == 200
    answer = host.ask("POST", "/host/grant", request)
    assert (answer.status, answer.code) == (403, "host.challenge")


def test_challenge_of_a_grant_does_not_open_a_login_afterwards(host: LocalNode, alice: Person) -> None:
    alice.publish(host.address)
    challenge = host.ask("GET", "/host/challenge").body
    assert host.ask("POST", "/host/grant", alice.grant_request(host, nonce=challenge)).status == 200
    assert host.ask("POST", "/host/login", alice.login(host, nonce=challenge)).code == "host.challenge"


@pytest.mark.parametrize("turned", range(0, 40, 3))
def test_challenge_that_the_node_did_not_make_is_refused(host: LocalNode, alice: Person, turned: int) -> None:
    alice.publish(host.address)
    challenge = bytearray(host.ask("GET", "/host/challenge").body)
    challenge[turned] ^= 1
    assert host.ask("POST", "/host/grant", alice.grant_request(host, nonce=bytes(challenge))).code == "host.challenge"


def test_old_challenge_is_refused(host: LocalNode, alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    alice.publish(host.address)
    request = alice.grant_request(host)
    monkeypatch.setattr(challenges, "LIFE_S", 0)
    assert host.ask("POST", "/host/grant", request).code == "host.challenge"


def test_challenge_of_another_process_is_refused(local: Local, alice: Person) -> None:
    node = local("node", '[hosting]\npolicy = "open"')
    alice.publish(node.address)
    request = alice.grant_request(node)
    node.stop()
    node.start()
    assert node.ask("POST", "/host/grant", request).code == "host.challenge"


def test_refused_request_leaves_its_challenge_open(host: LocalNode, alice: Person) -> None:
    alice.publish(host.address)
    challenge = host.ask("GET", "/host/challenge").body
    assert host.ask("POST", "/host/grant", alice.grant_request(host, nonce=challenge, signer="x")).status == 403
    assert host.ask("POST", "/host/grant", alice.grant_request(host, nonce=challenge)).status == 200


def test_request_to_another_provider_is_refused(host: LocalNode, alice: Person) -> None:
    alice.publish(host.address)
    answer = host.ask("POST", "/host/grant", alice.grant_request(host, provider=key("other").public_key))
    assert (answer.status, answer.code) == (403, "host.audience")


def test_more_room_than_offered_is_refused(host: LocalNode, alice: Person) -> None:
    alice.publish(host.address)
    answer = host.ask("POST", "/host/grant", alice.grant_request(host, quota_bytes=(4 << 20) + 1))
    assert (answer.status, answer.code) == (403, "host.quota")


def test_what_is_no_request_is_refused(host: LocalNode, alice: Person) -> None:
    good = alice.grant_request(host)
    broken = good[:-1] + bytes((good[-1] ^ 1,))
    of_another_type = sign_as(alice.phone)(Login.TYP, Login(alice.key, host.key, bytes(40), 5).to_payload())
    for body, code in (
        (b"", "cbor.truncated"),
        (b"\xa0", "cose.malformed"),
        (good + b"\0", "cbor.trailing"),
        (good[:-1], "cbor.truncated"),
        (broken, "signature.invalid"),
        (of_another_type, "cose.type"),
    ):
        answer = host.ask("POST", "/host/grant", body)
        assert (answer.status, answer.code) == (400, code)
    assert host.ask("POST", "/host/grant", bytes(1025)).status == 413


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "PATCH"])
def test_other_methods_are_refused(host: LocalNode, method: str) -> None:
    answer = host.ask(method, "/host/grant", b"" if method == "PUT" else None)
    assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")


def test_node_that_hosts_nobody_has_no_such_paths(local: Local, alice: Person) -> None:
    node = local("node", '[hosting]\npolicy = "off"')
    for method, path in (("GET", "/host"), ("GET", "/host/challenge"), ("POST", "/host/grant"), ("GET", alice.path)):
        assert node.ask(method, path, b"" if method == "POST" else None).status == 404
    alice.publish(node.address)
    fails("host.not-offered", lambda: request_grant(alice, node))


# closed


@pytest.fixture
def closed(local: Local) -> LocalNode:
    return local("closed")


def test_node_is_closed_unless_told_otherwise(closed: LocalNode, alice: Person) -> None:
    assert not Offer.from_bytes(closed.ask("GET", "/host").body).is_open
    alice.publish(closed.address)
    fails("host.invitation", lambda: request_grant(alice, closed))


def test_invitation_opens_a_closed_node_as_often_as_it_says(closed: LocalNode, person: Callable[[], Person]) -> None:
    token, _ = invite(closed.directory, 2, 1)
    for allowed in (True, True, False):
        one = person()
        one.publish(closed.address)
        if allowed:
            request_grant(one, closed, invitation=token)
        else:
            fails("host.invitation", lambda one=one: request_grant(one, closed, invitation=token))


def test_same_identity_uses_an_invitation_once_however_often_it_asks(
    closed: LocalNode, person: Callable[[], Person]
) -> None:
    token, _ = invite(closed.directory, 1, 1)
    alice, bob = person(), person()
    for one in (alice, bob):
        one.publish(closed.address)
    request_grant(alice, closed, invitation=token)
    request_grant(alice, closed, invitation=token)
    fails("host.invitation", lambda: request_grant(bob, closed, invitation=token))


def test_invitation_that_is_wrong_or_over_is_refused(
    closed: LocalNode, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.publish(closed.address)
    with monkeypatch.context() as patch:
        patch.setattr("walletcli.node.hosting.access._DAY_S", 0)
        over, _ = invite(closed.directory, 1, 1)
    for token in ("wrong", "", over, over[:-1]):
        if token:
            fails("host.invitation", lambda token=token: request_grant(alice, closed, invitation=token))


def test_refused_request_uses_no_invitation(closed: LocalNode, alice: Person) -> None:
    token, _ = invite(closed.directory, 1, 1)
    alice.publish(closed.address)
    for changed in ({"signer": "x"}, {"quota_bytes": 1 << 40}, {"nonce": bytes(40)}):
        request = alice.grant_request(closed, invitation=token, **changed)
        assert closed.ask("POST", "/host/grant", request).status == 403
    request_grant(alice, closed, invitation=token)


def test_allowed_identity_needs_no_invitation(closed: LocalNode, alice: Person) -> None:
    alice.publish(closed.address)
    allow(closed.directory, [identity(alice.name).did])
    request_grant(alice, closed)


def test_bound_identity_renews_without_an_invitation(closed: LocalNode, alice: Person) -> None:
    token, _ = invite(closed.directory, 1, 1)
    alice.bind(closed.address, invitation=token)
    request_grant(alice, closed)


def test_identity_that_has_left_needs_a_new_invitation(closed: LocalNode, alice: Person) -> None:
    token, _ = invite(closed.directory, 1, 1)
    alice.bind(closed.address, invitation=token)
    alice.bindings = ()
    alice.publish(closed.address)
    fails("host.invitation", lambda: request_grant(alice, closed))


def test_blocked_identity_gets_no_grant_of_an_open_node_either(host: LocalNode, alice: Person) -> None:
    alice.publish(host.address)
    block(host.directory, [identity(alice.name).did])
    answer = host.ask("POST", "/host/grant", alice.grant_request(host))
    assert (answer.status, answer.code) == (403, "host.blocked")


def test_blocked_identity_is_leaving_at_once_and_its_record_changes_nothing(host: LocalNode, bound: Person) -> None:
    block(host.directory, [identity(bound.name).did])
    with bound.client(host.address) as client:
        client.login(sign_as(bound.phone))
        assert client.status().state is HostState.LEAVING
        bound.publish(host.address)
        assert client.status().state is HostState.LEAVING
        allow(host.directory, [identity(bound.name).did])
        bound.publish(host.address)
        assert client.status().state is HostState.BOUND


# the provider's own key


def test_node_whose_delegation_is_over_says_so_and_grants_nothing(
    local: Local, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = local("node", '[hosting]\npolicy = "open"')
    alice.publish(node.address)
    monkeypatch.setattr("walletcli.node.hosting.provider.today", lambda: today() + 100)
    answer = node.ask("POST", "/host/grant", alice.grant_request(node, signer=alice.name))
    assert (answer.status, answer.code) == (503, "host.no-delegation")


def test_commands_change_a_running_node(tmp_path: object, local: Local, alice: Person, cli: Callable[..., Run]) -> None:
    node = local("node")
    alice.publish(node.address)
    directory = str(node.directory)
    made = cli("--json", "node", "invite", directory, "--uses", "3").json
    request_grant(alice, node, invitation=made["token"])
    listed = cli("--json", "node", "list", directory).json
    assert [(item["name"], item["used"], item["uses"]) for item in listed["invitations"]] == [(made["name"], 1, 3)]
    assert cli("node", "remove", directory, made["name"]).code == 0
    fails("host.invitation", lambda: request_grant(alice, node, invitation=made["token"]))
    did = identity(alice.name).did
    assert cli("--json", "node", "allow", directory, alice_text(alice)).json == {"allowed": [did]}
    request_grant(alice, node)
    assert cli("--json", "node", "block", directory, did).json == {"blocked": [did]}
    assert isinstance(fails("host.refused", lambda: request_grant(alice, node)), NetworkError)
    assert cli("--json", "node", "list", directory).json["blocked"] == [did]


def alice_text(person: Person) -> str:
    return f"pk:{identity(person.name).z32}"


def test_restart_keeps_who_is_invited_allowed_and_blocked(tmp_path: object, local: Local, alice: Person) -> None:
    node = local("node")
    token, _ = invite(node.directory, 1, 1)
    allow(node.directory, [identity(alice.name).did])
    node.stop()
    with running(node.directory) as again:
        alice.publish(again.address)
        request_grant(alice, again)
        bob = Person("restarted bob")
        bob.publish(again.address)
        request_grant(bob, again, invitation=token)
