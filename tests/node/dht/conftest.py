"""A swarm of strangers for the nodes of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dht.swarm import Swarm, swarm_of


@pytest.fixture
def swarm() -> Iterator[Swarm]:
    """Sixteen libtorrent nodes."""
    with swarm_of(16) as found:
        yield found
