"""Fixtures for hosting: an open node, and identities whose names no other test uses."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.node.hosting.people import Person
from tests.node.local import LocalNode, running

OPEN = '[hosting]\npolicy = "open"\nquota_mib = 4\n'

_numbers = itertools.count()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNode]:
    """An open provider without limits that the tests of a module share."""
    with running(tmp_path_factory.mktemp("host") / "node", OPEN, limits=False) as node:
        yield node


@pytest.fixture
def person() -> Callable[[], Person]:
    """Return a function that makes somebody new."""
    return lambda: Person(f"person {next(_numbers)}")


@pytest.fixture
def alice(person: Callable[[], Person]) -> Person:
    """Somebody whom no other test knows."""
    return person()


@pytest.fixture
def bound(host: LocalNode, alice: Person) -> Person:
    """Somebody new who is bound to `host`, with room for 1 MiB."""
    alice.bind(host.address, quota_bytes=1 << 20)
    return alice
