"""What two identities of one wallet publish has no more in common than what two strangers publish.

Everything that a relay is told and given is compared byte by byte with what it would be told by unrelated wallets. The
relays here are reached over TCP, which by itself shows one address: that is the route's matter (`--accept-link`), not
the records'.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.client.servers import Asked
from tests.wallet.parts import WORDS, HonestRelay, make_home, opened
from walletcli.core import cbor
from walletcli.core.document import Document
from walletcli.core.record import Record
from walletcli.wallet.access.session import Session
from walletcli.wallet.identities import create_identity, set_attribute
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.ssh.key import ssh_key

ROUNDS = 6
"""How many identities of one wallet are compared with each other, and how many strangers."""


@dataclass(frozen=True)
class Emitted:
    """Everything that left the machine for one identity."""

    record: Record
    asked: tuple[Asked, ...]

    @property
    def document(self) -> Document:
        assert self.record.document is not None
        return self.record.document

    @property
    def bodies(self) -> list[bytes]:
        """Packet, signature and document; of the document without its dates, which coincide by chance (below)."""
        document = self.document.to_bytes()
        for delegation in self.document.delegations:
            for day in (delegation.not_before_day, delegation.not_after_day):
                document = document.replace(cbor.encode(day), b"")
        return [self.record.packet.value, self.record.packet.signature, document]


@pytest.fixture(autouse=True)
def _runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.fixture
def relay_each() -> Iterator[Callable[[], HonestRelay]]:
    started: list[HonestRelay] = []

    def start() -> HonestRelay:
        started.append(HonestRelay())
        return started[-1]

    yield start
    for relay in started:
        relay.close()


Start = Callable[[], HonestRelay]


def emit(session: Session, label: str, number: int, relay: HonestRelay) -> Emitted:
    """Create an identity, give it a profile of its own, have its SSH key named, publish it twice."""
    create_identity(session, label)
    set_attribute(session, label, "name", f"Somebody {number:03}")
    set_attribute(session, label, "note", f"private {number}", sealed=True)
    publish_identity(session, label, [relay.url], accept_link=True)
    ssh_key(session, label, named=True)
    set_attribute(session, label, "city", f"Town {number:03}")
    published = publish_identity(session, label, [relay.url], accept_link=True)
    return Emitted(published.record, tuple(relay.shelf.asked))


@pytest.fixture
def siblings(tmp_path: Path, relay_each: Start) -> list[Emitted]:
    """Identities of one wallet, each at a relay of its own."""
    with opened(make_home(tmp_path / "one", WORDS)) as session:
        return [emit(session, f"label number {n}", n, relay_each()) for n in range(ROUNDS)]


@pytest.fixture
def strangers(tmp_path: Path, relay_each: Start) -> list[Emitted]:
    """As many identities, each of a wallet of its own."""
    found = []
    for n in range(ROUNDS):
        with opened(make_home(tmp_path / f"stranger {n}")) as session:
            found.append(emit(session, "label number 0", n, relay_each()))
    return found


def pairs(emitted: list[Emitted]) -> Iterator[tuple[Emitted, Emitted]]:
    for at, one in enumerate(emitted):
        for other in emitted[at + 1 :]:
            yield one, other


def runs(data: bytes, length: int) -> set[bytes]:
    return {data[at : at + length] for at in range(len(data) - length + 1)}


def own_bytes(data: bytes, everybodys: set[bytes]) -> list[bytes]:
    """Return the stretches of `data` that are left without the runs that everybody's data has."""
    length = len(next(iter(everybodys)))
    hidden = bytearray(len(data))
    for at in range(len(data) - length + 1):
        if data[at : at + length] in everybodys:
            hidden[at : at + length] = b"\1" * length
    shown = bytes(0 if hide else 1 for hide in hidden)
    return [data[found.start() : found.end()] for found in re.finditer(b"\1+", shown)]


def test_siblings_share_no_bytes_that_strangers_do_not(siblings: list[Emitted], strangers: list[Emitted]) -> None:
    for part in range(3):
        bodies = [emitted.bodies[part] for emitted in strangers]
        everybodys = set.intersection(*(runs(body, 4) for body in bodies)) or {b"none"}
        own = [own_bytes(emitted.bodies[part], everybodys) for emitted in siblings]
        assert all(own)
        for at, stretches in enumerate(own):
            mine = set().union(*(runs(stretch, 6) for stretch in stretches))
            assert mine
            for others in own[at + 1 :]:
                shared = {run for stretch in others for run in runs(stretch, 6)} & mine
                assert shared == set(), part


def test_keys_sections_and_seq_are_all_different(siblings: list[Emitted]) -> None:
    seen: list[object] = []
    for emitted in siblings:
        document = emitted.document
        (delegation,) = document.delegations
        seen += [document.identity, document.previous, delegation.signing_key, delegation.sealing_key, document.seq]
        seen += list(document.sections)
    assert len(seen) == len(set(seen))


def test_sizes_and_shapes_are_those_of_strangers(siblings: list[Emitted], strangers: list[Emitted]) -> None:
    def shape(emitted: Emitted) -> tuple[object, ...]:
        document = emitted.document
        return (
            len(emitted.record.packet.value),
            len(document.to_bytes()),
            [len(section) for section in document.sections],
            sorted(document.profile),
            [(item.powers, item.not_after_day - item.not_before_day) for item in document.delegations],
        )

    assert all(shape(one) == shape(strangers[0]) for one in [*siblings, *strangers])


def test_dates_are_spread_for_each_identity_alone(tmp_path: Path) -> None:
    from walletcli.wallet.state.draft import SPREAD_DAYS, next_document

    with opened(make_home(tmp_path / "many")) as session:
        for n in range(40):
            create_identity(session, f"identity {n}")
        wallet = session.snapshot().wallet
    import os

    starts = [next_document(i, (), time.time(), os.urandom).delegations[0].not_before_day for i in wallet.identities]
    today = int(time.time()) // 86_400
    assert all(today - SPREAD_DAYS < start <= today for start in starts)
    assert len(set(starts)) > 10


def test_seq_tells_neither_the_time_nor_the_order(tmp_path: Path) -> None:
    import os

    from walletcli.wallet.state.draft import next_document

    with opened(make_home(tmp_path / "many")) as session:
        for n in range(40):
            create_identity(session, f"identity {n}")
        wallet = session.snapshot().wallet
    seqs = [next_document(identity, (), time.time(), os.urandom).seq for identity in wallet.identities]
    spread_us = max(seqs) - min(seqs)
    assert spread_us > 3600 * 1_000_000
    rising = sum(one < other for one, other in itertools.pairwise(seqs))
    assert 8 < rising < 32


def test_requests_differ_in_nothing_but_the_identity(siblings: list[Emitted], strangers: list[Emitted]) -> None:
    def told(emitted: Emitted) -> list[tuple[object, ...]]:
        return [(a.method, len(a.path), sorted(set(a.headers) - {"host"}), len(a.body)) for a in emitted.asked]

    def headers(emitted: Emitted) -> set[tuple[str, str]]:
        return {
            (name, value)
            for a in emitted.asked
            for name, value in a.headers.items()
            if name not in ("host", "content-length")
        }

    for emitted in siblings:
        assert told(emitted) == told(strangers[0])
        assert headers(emitted) == headers(strangers[0])


def test_no_request_names_another_identity(siblings: list[Emitted]) -> None:
    from walletcli.core.identity_id import IdentityId

    for emitted in siblings:
        said = b"".join(asked.head + asked.body for asked in emitted.asked)
        for other in siblings:
            if other is not emitted:
                key_id = IdentityId(other.document.identity)
                for text in (key_id.did, key_id.z32, key_id.aliases[0]):
                    assert text.encode() not in said
                assert other.document.identity not in said
