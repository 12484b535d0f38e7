"""Logins and tokens: who gets in, for how long, and how a new record puts a device out at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.client.records import identity, key
from tests.node.hosting.people import Person, bearer, blob_id, device, sealed, sign_as
from tests.node.local import LocalNode
from walletcli.client.host_answers import HostState, HostStatus, Token
from walletcli.core.document_parts import Power
from walletcli.core.grant_request import GrantRequest
from walletcli.core.login import Purpose
from walletcli.errors import NetworkError
from walletcli.node.hosting import challenges as challenges_module
from walletcli.node.hosting.challenges import Challenges
from walletcli.node.hosting.tokens import Session, Tokens, signer_tag


def refused(answer: object, status: int, code: str) -> None:
    assert (answer.status, answer.code) == (status, code)  # type: ignore[attr-defined]


def test_login_is_good_for_the_minutes_that_were_asked_for(host: LocalNode, bound: Person) -> None:
    for minutes in (1, 15):
        answer = host.ask("POST", "/host/login", bound.login(host, minutes=minutes))
        token = Token.from_bytes(answer.body)
        assert abs(token.expires_s - int(answer_time(answer)) - 60 * minutes) <= 1


def answer_time(answer: object) -> float:
    from email.utils import parsedate_to_datetime

    return parsedate_to_datetime(answer.headers["date"]).timestamp()  # type: ignore[attr-defined]


def test_login_cannot_be_replayed(host: LocalNode, bound: Person) -> None:
    login = bound.login(host)
    assert host.ask("POST", "/host/login", login).status == 200
    answer = host.ask("POST", "/host/login", login)
    refused(answer, 401, "host.challenge")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_login_for_another_provider_is_refused(host: LocalNode, bound: Person) -> None:
    refused(host.ask("POST", "/host/login", bound.login(host, audience=key("x").public_key)), 401, "host.audience")


def test_login_of_somebody_unknown_is_told_to_publish_first(host: LocalNode, alice: Person) -> None:
    refused(host.ask("POST", "/host/login", alice.login(host)), 403, "host.unknown-identity")


@pytest.mark.parametrize(
    ("delegation", "signer", "purpose"),
    [
        (device, "somebody else", Purpose.DEVICE),
        (lambda name: device(name, frozenset({Power.MESSAGE})), None, Purpose.DEVICE),
        (lambda name: device(name, start=-60, end=0), None, Purpose.DEVICE),
        (lambda name: device(name, start=1), None, Purpose.DEVICE),
        (device, "root", Purpose.DEVICE),
        (device, None, Purpose.ROOT),
        (device, "somebody else", Purpose.ROOT),
    ],
    ids=["foreign", "no power", "expired", "not yet", "root as device", "device as root", "foreign as root"],
)
def test_key_that_may_not_log_in_does_not(
    host: LocalNode, alice: Person, delegation: Callable[[str], object], signer: str | None, purpose: Purpose
) -> None:
    alice.devices = [delegation(alice.phone)]  # type: ignore[list-item]
    alice.publish(host.address)
    name = alice.name if signer == "root" else signer or alice.phone
    refused(host.ask("POST", "/host/login", alice.login(host, signer=name, purpose=purpose)), 401, "host.device")


def test_what_is_no_login_is_refused(host: LocalNode, bound: Person) -> None:
    good = bound.login(host)
    of_another_type = sign_as(bound.phone)(
        GrantRequest.TYP, GrantRequest(bound.key, host.key, bytes(40), 5).to_payload()
    )
    for body, code in (
        (b"", "cbor.truncated"),
        (b"\x80", "cose.malformed"),
        (good + b"\0", "cbor.trailing"),
        (good[:-1] + bytes((good[-1] ^ 1,)), "signature.invalid"),
        (of_another_type, "cose.type"),
        (bytes(600), "cose.too-long"),
    ):
        refused(host.ask("POST", "/host/login", body), 400, code)


def test_everything_about_an_identity_needs_a_token(host: LocalNode, bound: Person) -> None:
    blob = f"{bound.path}/blob/{blob_id(1).hex()}"
    for method, path in (
        ("GET", bound.path),
        ("DELETE", bound.path),
        ("GET", f"{bound.path}/blobs"),
        ("GET", blob),
        ("PUT", blob),
    ):
        answer = host.ask(method, path, b"x" if method == "PUT" else None)
        refused(answer, 401, "host.token")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_token_that_the_node_did_not_make_is_refused(host: LocalNode, bound: Person) -> None:
    good = bound.token(host)["authorization"]
    for value in (
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer !!",
        good + "A",
        good[:-4],
        good.replace("Bearer", "Basic"),
        f"{good}, {good}",
        bearer(bytes(32))["authorization"],
    ):
        refused(host.ask("GET", bound.path, authorization=value), 401, "host.token")
    assert host.ask("GET", bound.path, authorization=good.replace("Bearer", "bearer")).status == 200


@pytest.mark.parametrize("turned", range(32))
def test_token_with_one_bit_turned_is_refused(turned: int) -> None:
    tokens = Tokens()
    token = bytearray(tokens.make(Session(bytes(32), Purpose.ROOT, bytes(11)), 2000))
    assert tokens.read(bytes(token), bytes(32), 1999) is not None
    token[turned] ^= 1
    assert tokens.read(bytes(token), bytes(32), 1999) is None


def test_token_is_of_one_identity_one_process_and_its_minutes() -> None:
    tokens = Tokens()
    session = Session(b"a" * 32, Purpose.DEVICE, signer_tag(b"d" * 32))
    token = tokens.make(session, 2000)
    assert tokens.read(token, b"a" * 32, 1999.9) == session
    assert tokens.read(token, b"b" * 32, 1999) is None
    assert tokens.read(token, b"a" * 32, 2000) is None
    assert Tokens().read(token, b"a" * 32, 1999) is None


def test_token_of_another_identity_is_refused(host: LocalNode, bound: Person, alice: Person) -> None:
    other = Person(f"{alice.name} other")
    other.publish(host.address)
    refused(bound.ask(host, "GET", "", **other.token(host)), 401, "host.token")


def test_new_record_without_the_device_ends_its_tokens_at_once(host: LocalNode, bound: Person) -> None:
    token = bound.token(host)
    assert bound.ask(host, "GET", **token).status == 200
    bound.devices = [device(f"{bound.name} tablet")]
    bound.publish(host.address)
    refused(bound.ask(host, "GET", **token), 401, "host.token")
    content = sealed()
    refused(bound.put(host, 1, content, **token), 401, "host.token")
    refused(host.ask("POST", "/host/login", bound.login(host)), 401, "host.device")


def test_new_record_that_takes_the_power_away_ends_the_tokens(host: LocalNode, bound: Person) -> None:
    token = bound.token(host)
    bound.devices = [device(bound.phone, frozenset({Power.MESSAGE}))]
    bound.publish(host.address)
    refused(bound.ask(host, "GET", **token), 401, "host.token")


def test_client_logs_in_again_by_itself_when_the_node_has_restarted(
    local: Callable[..., LocalNode], alice: Person
) -> None:
    node = local("node", '[hosting]\npolicy = "open"')
    alice.bind(node.url)
    with alice.client(node.url) as client:
        client.login(sign_as(alice.phone))
        node.stop()
        node.start()
        assert client.status().state is HostState.BOUND


def test_root_reads_everything_and_changes_nothing(host: LocalNode, bound: Person) -> None:
    content = sealed(70_000)
    assert bound.put(host, 1, content).status == 204
    with bound.client(host.address) as client:
        client.login(sign_as(bound.name), by_root=True)
        assert client.status().blobs == 1
        assert [item.blob_id for item in client.blobs(bound.writers)] == [blob_id(1)]
        found = client.get_blob(blob_id(1), bound.writers)
        assert found is not None
        assert found.content == content
        with pytest.raises(NetworkError) as caught:
            client.forget()
        assert caught.value.code == "host.refused"
    token = bound.token(host, signer=bound.name, purpose=Purpose.ROOT)
    for size in (1000, 100_000):
        content = sealed(size)
        frame_of_root = bound.put(host, 2, content, signer=bound.name, **token)
        refused(frame_of_root, 403, "host.read-only")
    assert bound.ask(host, "GET", "/blobs").body.count(b"manifest") == 1


def test_root_of_somebody_unknown_is_told_that_there_is_nothing(host: LocalNode, alice: Person) -> None:
    token = alice.token(host, signer=alice.name, purpose=Purpose.ROOT)
    status = HostStatus.from_bytes(alice.ask(host, "GET", **token).body)
    assert (status.state, status.used_bytes, status.blobs, status.terms) == (HostState.UNKNOWN, 0, 0, None)
    assert alice.ask(host, "GET", "/blobs", **token).body == b"\x80"
    assert alice.ask(host, "GET", f"/blob/{blob_id(1).hex()}", **token).status == 404


def test_used_challenges_are_remembered_as_long_as_they_could_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(challenges_module, "MAX_USED", 3)
    challenges = Challenges()
    first = [challenges.make(100.0) for _ in range(4)]
    for challenge in first[:3]:
        assert challenges.is_open(challenge, 110.0)
        assert challenges.use(challenge, 110.0)
        assert not challenges.is_open(challenge, 110.0)
    assert challenges.is_open(first[3], 110.0)
    assert not challenges.use(first[3], 110.0)  # nothing may be forgotten that could still be used
    late = challenges.make(231.0)
    assert challenges.use(late, 231.0)
    assert not challenges.is_open(first[0], 231.0)


def test_path_with_a_key_that_is_none_is_refused(host: LocalNode, bound: Person) -> None:
    token = bound.token(host)
    for text, status in ((identity(bound.name).z32.upper(), 400), ("y" * 51, 400), ("l" * 52, 400), ("", 400)):
        assert host.ask("GET", f"/host/{text}", **token).status == status
    for path in ("/blobs/", "/blob", "/x", "//", "/blob/", "/blob/zz", "/blob/" + "A" * 32):
        assert bound.ask(host, "GET", path, **token).status in (400, 404)
    assert host.ask("GET", "/hostile").status == 404
