"""One swarm for the tests of a module that kill nobody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dht.swarm import Swarm, swarm_of


@pytest.fixture(scope="module")
def swarm() -> Iterator[Swarm]:
    """Twenty libtorrent nodes."""
    with swarm_of(20) as found:
        yield found
