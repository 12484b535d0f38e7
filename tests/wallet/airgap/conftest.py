"""Fixtures of offline signing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wallet.airgap.parts import Machines


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    """A cold machine, an online one, and a stick."""
    return Machines(tmp_path)


@pytest.fixture
def alice(machines: Machines) -> Machines:
    """The same, with an identity that the online machine looks after."""
    machines.create("alice", name="Alice")
    return machines
