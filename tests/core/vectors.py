"""Reads the vector files in tests/vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).resolve().parents[1] / "vectors"


def load(name: str, key: str = "valid") -> list[Any]:
    """Return the cases under `key` of a vectors file; an empty list is an error."""
    cases: list[Any] = json.loads((VECTORS / name).read_text(encoding="utf-8"))[key]
    assert cases, f"{name} has no cases under {key}"
    return cases


def name(case: dict[str, Any]) -> str:
    """Return what pytest shows for a case."""
    return str(case.get("name", case.get("text", "")))
