"""The fuzz targets are not hollow: each takes its valid inputs, and holds on every input that was kept."""

from __future__ import annotations

import pytest

from tests.conftest import corpus
from tests.fuzz import registry
from tests.fuzz.target import Target

TARGETS = [pytest.param(target, id=name) for name, target in registry.load().items()]


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_takes_its_valid_inputs(target: Target) -> None:
    seeds = target.seeds()
    assert seeds
    assert [target.check(seed) for seed in seeds] == [True] * len(seeds)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_holds_on_its_kept_corpus(target: Target) -> None:
    for path in corpus(registry.CORPUS / target.name):
        target.check(path.read_bytes())


def test_every_corpus_directory_belongs_to_a_target() -> None:
    assert {path.name for path in registry.CORPUS.iterdir()} == set(registry.load())
