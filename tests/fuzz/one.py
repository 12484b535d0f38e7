"""Fuzz one target: ``python -m tests.fuzz.one NAME [libFuzzer options] [corpus directories]``.

libFuzzer starts its program again to merge a corpus; FUZZ_PROGRAM names a program that it can start.
"""

from __future__ import annotations

import os
import sys

import atheris

with atheris.instrument_imports(include=["walletcli"], exclude=["walletcli.core.edit_distance"]):
    from tests.fuzz import registry

    TARGETS = registry.load()


def main() -> None:
    """Hand the process to libFuzzer; it ends with an exit code other than 0 on a finding."""
    target = TARGETS[sys.argv[1]]

    def check(data: bytes) -> None:
        target.check(data)

    atheris.Setup([os.environ.get("FUZZ_PROGRAM", sys.argv[0]), f"-max_len={target.max_bytes}", *sys.argv[2:]], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
