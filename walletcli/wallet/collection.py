"""Garbage collection during work that makes a great many small objects and keeps them."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import Final

THRESHOLDS: Final = (50_000, 20, 50)
"""As a node has them: passes for cycles of garbage come rarely, but come."""


@contextlib.contextmanager
def rare_collection() -> Iterator[None]:
    """Make few passes for cycles of garbage: what is kept has none, and is walked in vain each time."""
    before = gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
