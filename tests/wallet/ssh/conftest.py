"""Fixtures of the tests of SSH: a runtime directory whose path is short, for sockets have short names."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's runtime directory, where sockets of agents are."""
    with tempfile.TemporaryDirectory(prefix="run-") as path:
        monkeypatch.setenv("XDG_RUNTIME_DIR", path)
        yield Path(path)
