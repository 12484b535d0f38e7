"""A wallet whose relays are played by the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.wallet.keepalive.friends import Friends
from tests.wallet.parts import HonestRelay, make_home, opened


@pytest.fixture
def friends_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Friends]]:
    """Make an open wallet with so many relays in its list."""
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(run))
    started: list[HonestRelay] = []

    def start() -> HonestRelay:
        started.append(HonestRelay())
        return started[-1]

    with opened(make_home(tmp_path / "home")) as session:
        yield lambda relays: Friends.make(session, start, relays)
    for relay in started:
        relay.close()
