"""Providers that lie in each step: as the old one of a migration, as the new one, and at a bind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.client.servers import Asked
from tests.wallet.providers.liar import Answer, Drip, Hang, Liar, at
from tests.wallet.providers.parts import Host, bind, fails, get_data, put_data, record_of, view_of
from tests.wallet.providers.test_migrate import move, outcomes, providers_in
from walletcli.core import cbor
from walletcli.core.blob import join_blob, split_blob
from walletcli.wallet.access.session import Session
from walletcli.wallet.providers import places
from walletcli.wallet.providers.book import read_book
from walletcli.wallet.providers.move_report import Outcome
from walletcli.wallet.state.view import IdentityView

Hosts = Callable[..., Host]


@pytest.fixture
def liars(hosts: Hosts) -> Iterator[Callable[[str], Liar]]:
    """Start liars, each in front of a node of its own."""
    started: list[Liar] = []

    def start(name: str) -> Liar:
        started.append(Liar(hosts(name, 'policy = "open"', addresses=["127.0.0.1:9"])))
        return started[-1]

    yield start
    for liar in started:
        liar.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a second for an answer, and not fifteen."""
    for function in (places.access_to, places.bound_places):
        monkeypatch.setitem(function.__kwdefaults__, "timeout_s", 1.0)
    monkeypatch.setattr("walletcli.client.host_session.MIN_BYTES_PER_S", 1 << 30)


def settle(session: Session, liar: Liar, tmp_path: Path) -> None:
    """Bind alice to a liar that is honest so far, with an exit kit, a letter and a film."""
    bind(session, liar.url, kit=str(tmp_path / "kit"))
    put_data(session, tmp_path, "letter", b"dear")
    put_data(session, tmp_path, "film", b"frame" * 500_000)


def status(code: int, body: bytes = b"") -> Callable[[Answer], Answer]:
    return lambda _: (code, body)


def turned(answer: Answer) -> Answer:
    """Turn a bit of the sealed bytes of a blob."""
    if answer[0] != 200:
        return answer
    manifest, content = split_blob(answer[1])
    return 200, join_blob(manifest, content[:-1] + bytes([content[-1] ^ 1]))


def raises(error: type[Exception]) -> Callable[[Answer], Answer]:
    def lie(_: Answer) -> Answer:
        raise error

    return lie


def without_half(answer: Answer) -> Answer:
    """Leave out every second manifest of a page."""
    items = cbor.decode(answer[1], 1 << 20)
    assert type(items) is list
    return answer[0], cbor.encode(items[::2])


OLD_LIES = {
    "lets nobody in": (at("/host/login", status(401, b"host.device: no\n"), "POST"), "refused"),
    "is always busy": (at("/host/login", status(403, b"host.blocked: no\n"), "POST"), "refused"),
    "fails": (at("/host/", status(500, b"oops\n")), "dead"),
    "lists nothing": (at("/blobs", status(200, cbor.encode([]))), "unreliable"),
    "lists a half": (at("/blobs", without_half), "unreliable"),
    "lists nonsense": (at("/blobs", status(200, b"\xff\xff")), "unreliable"),
    "lists for ever": (at("/blobs", lambda answer: answer), "agreed"),
    "has no blobs": (at("/blob/", status(404)), "unreliable"),
    "gives other bytes": (at("/blob/", turned), "unreliable"),
    "gives too much": (at("/blob/", status(200, bytes(3 << 20))), "unreliable"),
    "gives nonsense": (at("/blob/", status(200, b"nonsense")), "refused"),
    "forbids blobs": (at("/blob/", status(403, b"host.not-bound: no\n")), "refused"),
}


@pytest.mark.parametrize("lie", [name for name in OLD_LIES if name != "lists for ever"])
def test_whatever_the_old_provider_does_the_kit_has_everything(
    session: Session, alice: IdentityView, liars: Callable[[str], Liar], hosts: Hosts, tmp_path: Path, lie: str
) -> None:
    old, new = liars("old"), hosts("new")
    settle(session, old, tmp_path)
    old.alters, state = OLD_LIES[lie]
    moved = move(session, new.address)
    assert moved.report.old == state, moved.report.old_error
    assert moved.report.old_error is not None
    assert outcomes(moved) == {"letter": Outcome.KIT, "film": Outcome.KIT} or lie == "lists a half"
    assert moved.report.is_complete
    assert moved.report.lost == ()
    assert providers_in(record_of(session)) == [new.key]
    assert get_data(session, "letter") == b"dear"
    assert get_data(session, "film") == b"frame" * 500_000


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("lie", [at("/blob/", raises(Hang)), at("/blob/", raises(Drip)), at("/blobs", raises(Drip))])
def test_an_old_provider_that_never_ends_is_given_up(
    session: Session, alice: IdentityView, liars: Callable[[str], Liar], hosts: Hosts, tmp_path: Path, lie: object
) -> None:
    old, new = liars("old"), hosts("new")
    settle(session, old, tmp_path)
    old.alters = lie  # type: ignore[assignment]
    moved = move(session, new.address)
    assert moved.report.old == "dead"
    assert moved.report.is_complete
    assert sum(1 for asked in old.asked if "/blob/" in asked.path and asked.method == "GET") < 12


def test_an_old_provider_that_gives_old_versions_does_not_bring_them_back(
    session: Session, alice: IdentityView, liars: Callable[[str], Liar], hosts: Hosts, tmp_path: Path
) -> None:
    old, new = liars("old"), hosts("new")
    settle(session, old, tmp_path)
    kept: dict[str, Answer] = {}

    def remember(asked: Asked, answer: Answer) -> Answer:
        if asked.method == "GET" and "/host/" in asked.path and ("/blob" in asked.path):
            kept.setdefault(asked.path, answer)
        return answer

    old.alters = remember
    assert get_data(session, "letter") == b"dear"
    list_all(session)
    put_data(session, tmp_path, "letter", b"dear, later", replace=True)

    def replay(asked: Asked, answer: Answer) -> Answer:
        return kept.get(asked.path, answer) if asked.method == "GET" else answer

    old.alters = replay
    moved = move(session, new.address)
    assert moved.report.old == "unreliable"
    assert moved.report.is_complete
    assert get_data(session, "letter") == b"dear, later"


def list_all(session: Session) -> None:
    from walletcli.net.tcp import TcpDialer

    with places.bound_places(session, view_of(session), TcpDialer()) as found:
        for item in found.usable:
            assert item.place is not None
            list(item.place.manifests())


def test_an_old_provider_that_does_not_take_the_new_record_serves_a_stale_one(
    session: Session, alice: IdentityView, liars: Callable[[str], Liar], hosts: Hosts, tmp_path: Path
) -> None:
    old, new = liars("old"), hosts("new")
    settle(session, old, tmp_path)
    old.alters = at("/document/", status(503, b"no\n"), "PUT")
    moved = move(session, new.address)
    assert moved.told_error is not None
    assert moved.report.is_complete
    assert moved.shortfall is None


NEW_LIES = {
    "offers nothing": (at("/host", status(404)), "host.not-offered"),
    "offers nonsense": (at("/host", status(200, b"\x80")), "host.bad-answer"),
    "grants nothing": (at("/host/grant", status(403, b"host.refused: no\n"), "POST"), "host.refused"),
    "grants nonsense": (at("/host/grant", status(200, b"grant"), "POST"), "host.bad-answer"),
}


@pytest.mark.parametrize("lie", NEW_LIES)
def test_a_new_provider_that_does_not_grant_changes_nothing(
    session: Session, alice: IdentityView, liars: Callable[[str], Liar], hosts: Hosts, tmp_path: Path, lie: str
) -> None:
    old, new = hosts("old"), liars("new")
    bind(session, old.address)
    put_data(session, tmp_path, "letter", b"dear")
    new.alters, code = NEW_LIES[lie]
    fails(code, lambda: move(session, new.url))
    assert read_book(session, alice.index).journal is None
    assert view_of(session).bindings is None
    assert providers_in(record_of(session)) == [old.key]


LATE_LIES = {
    "takes nothing": (at("/blob/", status(507, b"storage.full: no\n"), "PUT"), "host.full"),
    "gives other bytes back": (at("/blob/", turned), "blob.mismatch"),
    "has nothing to give back": (at("/blob/", status(404)), "provider.lost"),
    "lists nothing back": (at("/blobs", status(200, cbor.encode([]))), "provider.lost"),
}


@pytest.mark.parametrize("lie", [*LATE_LIES, "says that it took what it has not"])
def test_a_new_provider_that_does_not_hold_the_data_is_found_out_before_anybody_is_told(
    session: Session, alice: IdentityView, liars: Callable[[str], Liar], hosts: Hosts, tmp_path: Path, lie: str
) -> None:
    old, new = hosts("old"), liars("new")
    bind(session, old.address)
    put_data(session, tmp_path, "letter", b"dear")
    if lie in LATE_LIES:
        new.alters, code = LATE_LIES[lie]
    else:
        new.swallows, code = "/blob/", "provider.lost"
    fails(code, lambda: move(session, new.url))
    there = old.node.ask("GET", f"/{view_of(session).summary().z32}")
    assert there.headers["etag"] != f'"{record_of(session).packet.seq}"', "the old provider knows nothing of it"
    new.swallows, new.alters = "", lambda asked, answer: answer
    moved = move(session, None)
    assert moved.report.is_complete
    assert get_data(session, "letter") == b"dear"


def test_a_new_provider_that_does_not_go_by_its_grant_is_found_out(
    session: Session, alice: IdentityView, liars: Callable[[str], Liar], hosts: Hosts, tmp_path: Path
) -> None:
    old, new = hosts("old"), liars("new")
    bind(session, old.address)
    put_data(session, tmp_path, "letter", b"dear")
    z32 = view_of(session).summary().z32

    def denies(asked: Asked, answer: Answer) -> Answer:
        return (200, cbor.encode({1: 3, 3: 0, 4: 0})) if asked.path == f"/host/{z32}" else answer

    new.alters = denies
    fails("provider.not-counted", lambda: move(session, new.url))
    new.alters = lambda asked, answer: answer
    move(session, None)
    assert providers_in(record_of(session)) == [new.host.key]


def test_a_bind_to_a_provider_that_does_not_go_by_its_grant_is_an_error(
    session: Session, alice: IdentityView, liars: Callable[[str], Liar]
) -> None:
    liar = liars("provider")
    z32 = view_of(session).summary().z32

    def denies(asked: Asked, answer: Answer) -> Answer:
        return (200, cbor.encode({1: 3, 3: 0, 4: 0})) if asked.path == f"/host/{z32}" else answer

    liar.alters = denies
    fails("provider.not-counted", lambda: bind(session, liar.url))
