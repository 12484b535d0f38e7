"""Fixtures of recovery's tests: relays that hold what an owner had published, and wallets made from the words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.wallet.providers.conftest import host, hosts
from tests.wallet.recovery.parts import Lost, Net

__all__ = ["host", "hosts"]


@pytest.fixture
def net() -> Iterator[Net]:
    """Three honest relays."""
    with Net.of(3) as found:
        yield found


@pytest.fixture
def lost(tmp_path: Path) -> Callable[..., Lost]:
    """Return a function that makes the owner whose machine is lost, and a new home for the words."""

    def make(**settings: object) -> Lost:
        return Lost(tmp_path, **settings)

    return make
