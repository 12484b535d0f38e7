"""All fuzz targets by name."""

from __future__ import annotations

import importlib
from pathlib import Path

from tests.fuzz.target import Target

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
"""Kept inputs, one directory per target, one file per input."""


def load() -> dict[str, Target]:
    """Import every module of `targets` and return their targets by name."""
    modules = sorted(path.stem for path in (HERE / "targets").glob("*.py"))
    found = [t for module in modules for t in importlib.import_module(f"tests.fuzz.targets.{module}").TARGETS]
    by_name = {target.name: target for target in found}
    assert len(by_name) == len(found), "two targets have one name"
    return by_name
