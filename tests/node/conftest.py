"""Fixtures for the node's tests."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.node.local import LocalNode, running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNode]:
    """A node without limits that the tests of a module share."""
    with running(tmp_path_factory.mktemp("shared") / "node", limits=False) as node:
        yield node


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Callable[..., LocalNode]]:
    """Start nodes by name: ``local("a", 'sinks = ["..."]')``."""
    with contextlib.ExitStack() as stack:

        def start(name: str = "node", settings: str = "", *, limits: bool = True) -> LocalNode:
            return stack.enter_context(running(tmp_path / name, settings, limits=limits))

        yield start
