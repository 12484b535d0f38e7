"""What a fuzz target is: a decoder with its rule, and the valid inputs that fuzzing starts from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """One decoder under fuzzing.

    Args:
        name: its name on the command line and of its corpus directory.
        check: takes any bytes; returns True for inputs that the decoder takes and whose rule holds, False for inputs
            that it refuses with one of our errors. Anything that it raises is a finding.
        seeds: makes the valid inputs that the corpus starts from; at least one, and all are taken.
        max_bytes: longest input to try.
    """

    name: str
    check: Callable[[bytes], bool]
    seeds: Callable[[], list[bytes]]
    max_bytes: int = 4096


def fixed_entropy(label: str) -> Callable[[int], bytes]:
    """Return an entropy argument that gives the same bytes on every machine, so that seeds do not change."""
    state = [hashlib.sha256(label.encode()).digest()]

    def entropy(length_bytes: int) -> bytes:
        out = b""
        while len(out) < length_bytes:
            state[0] = hashlib.sha256(state[0]).digest()
            out += state[0]
        return out[:length_bytes]

    return entropy
