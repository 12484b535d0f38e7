"""In the guest: security keys on the kernel's own HID stack approve what moves an identity, at a node that insists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.hid.in_process import Owner
from tests.hid.plugboard import ask
from tests.wallet.parts import make_home, opened
from tests.wallet.providers.parts import Host, bind, record_of
from walletcli.core.approvals import DocumentApprovals
from walletcli.core.secret import Secret
from walletcli.errors import SignerError
from walletcli.signers.devices import channel, security_key
from walletcli.wallet.access.session import Session
from walletcli.wallet.approvers.deciding import add_approver
from walletcli.wallet.identities import create_identity
from walletcli.wallet.publish import publish_identity

PIN = "4711"
LONG_S, SHORT_S = 120.0, 3.0
LIES = {
    "wrong-channel": "key.timeout",
    "endless-keepalive": "key.timeout",
    "wrong-command": "key.bad-answer",
    "long-length": "key.bad-answer",
    "truncated-cbor": "key.bad-answer",
    "garbage-cbor": "key.bad-answer",
    "foreign-party": "key.bad-answer",
    "not-touched": "key.bad-answer",
}
"""What a key says instead of an approval, and what that ends in."""


class Knows(Owner):
    """Types the right PIN whenever it is asked for."""

    def pin(self, key: str, tries_left: int | None, *, again: bool) -> Secret:
        return Secret.from_text(PIN)


def plug(way: str, name: str = "a", **options: Any) -> None:
    ask("plug", name=name, way=way, pin=PIN, **options)


def wait_at_most(limit_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (channel, security_key):
        monkeypatch.setattr(module, "ANSWER_LIMIT_S", limit_s)
        monkeypatch.setattr(module, "TOUCH_LIMIT_S", limit_s)
    monkeypatch.setattr(channel, "BUSY_LIMIT_S", limit_s / 3)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A provider in this process."""
    made = Host.start(tmp_path / "provider", 'policy = "open"')
    yield made
    made.stop()


@pytest.fixture(params=["uhid", "gadget"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How keys are plugged in; none is at first."""
    ask("forget")
    wait_at_most(LONG_S, monkeypatch)
    return str(request.param)


@pytest.fixture
def alice(tmp_path: Path, host: Host, way: str) -> Iterator[Session]:
    """A wallet whose identity is published with one approver, which is plugged in."""
    plug(way)
    with opened(replace(make_home(tmp_path / "home"), keys=Knows())) as session:
        create_identity(session, "alice")
        publish_identity(session, "alice", [host.url])
        add_approver(session, "alice", name="blue")
        publish_identity(session, "alice", [host.url])
        yield session


def refused(session: Session, host: Host) -> str:
    """Try to bind; return the code of the refusal, and be sure that nothing was signed."""
    before = record_of(session)
    with pytest.raises(SignerError) as told:
        bind(session, host.address)
    assert record_of(session) == before
    return told.value.code


def test_a_binding_needs_the_touch_of_the_key_and_a_friend_s_key_will_not_do(
    way: str, host: Host, alice: Session
) -> None:
    ask("unplug", name="a")
    assert refused(alice, host) == "approver.not-here"
    plug("uhid", "friend")
    assert refused(alice, host) == "approver.not-here"
    ask("unplug", name="friend")
    plug(way)
    bind(alice, host.address)
    record = record_of(alice)
    assert record.document is not None
    assert len(record.document.bindings) == 1
    assert record.beside is not None
    assert len(DocumentApprovals.from_bytes(record.beside.to_bytes()).approvals) == 1


def test_a_key_that_is_pulled_out_or_begins_to_lie_binds_nothing(
    way: str, host: Host, alice: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask("pull_when_touched", name="a")
    assert refused(alice, host) == "key.removed"
    plug(way)
    codes = {}
    for lie in LIES:
        ask("tell", name="a", lie=lie)
        wait_at_most(SHORT_S if lie in ("wrong-channel", "endless-keepalive") else LONG_S, monkeypatch)
        codes[lie] = refused(alice, host)
    assert codes == LIES
    ask("tell", name="a", lie=None)
    wait_at_most(LONG_S, monkeypatch)
    bind(alice, host.address)


def test_wrong_pins_lock_the_key_and_bind_nothing(way: str, host: Host, alice: Session) -> None:
    wrong = replace(alice.home, keys=Owner(*["0000"] * 9))
    codes = []
    for _ in range(3):
        alice.home = wrong
        codes.append(refused(alice, host))
        ask("unplug", name="a")
        plug(way)
    assert codes == ["key.pin-paused", "key.pin-paused", "key.locked-out"]


class Swaps(Knows):
    """Takes one key out and plugs the other in, when another one is asked for."""

    def another(self, given: int, needed: int, names: Sequence[str], why: str) -> bool:
        super().another(given, needed, names, why)
        ask("unplug", name="a")
        plug("uhid", "b")
        return True


def test_two_keys_approve_in_turn_and_what_the_first_gave_is_kept(way: str, host: Host, alice: Session) -> None:
    plug("uhid", "b")
    add_approver(alice, "alice", which="serial-b", name="red", threshold=2)
    publish_identity(alice, "alice", [host.url])
    ask("unplug", name="b")
    assert refused(alice, host) == "approver.not-here"  # a script: a has approved by now
    alice.home = replace(alice.home, keys=Swaps())
    bind(alice, host.address)
    record = record_of(alice)
    assert record.beside is not None
    assert len(DocumentApprovals.from_bytes(record.beside.to_bytes()).approvals) == 2
    assert alice.home.keys.asked_for == [(1, 2, ("red",), "")]  # type: ignore[union-attr]  # of this test
