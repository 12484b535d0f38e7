"""Writes transcripts anew: remarks and commands stay, what they print is from a run. Read it before you keep it."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

from tests.transcripts.conftest import Shell, unused_address
from tests.transcripts.test_transcripts import NODES
from tests.transcripts.volatile import Bindings

DIRECTORY = Path(__file__).parent


def main() -> None:
    names = sys.argv[1:]
    for path in sorted(DIRECTORY.glob("*.transcript")):
        if not names or path.stem in names:
            path.write_text("\n".join(recorded(path)) + "\n")
            print(path)


def recorded(path: Path) -> list[str]:
    """Run a transcript and return its lines; ids in commands follow those that stood there before."""
    written = path.read_text().splitlines()
    lines: list[str] = []
    bindings = Bindings({node: unused_address() for node in NODES})
    with tempfile.TemporaryDirectory() as directory, contextlib.closing(Shell(Path(directory))) as shell:
        for number, line in enumerate(written):
            if line.startswith("#"):
                lines.append(line)
            if not line.startswith("$ "):
                continue
            command = bindings.substitute(line[2:])
            if command.endswith("&"):
                code, out, err = 0, shell.start(command.rstrip("& ")), ""
            else:
                code, out, err = shell.run(command)
            before = []
            for old in written[number + 1 :]:
                if old.startswith(("$ ", "#")):
                    break
                before.append(old)
            new = [*out.splitlines(), *(f"2| {text}" for text in err.splitlines()), *([f"[{code}]"] if code else [])]
            for one, other in zip(before, new, strict=False):
                bindings.compare(one, other)
            lines += [f"$ {command}", *new]
        text = "\n".join(lines).replace(directory, "…")
    for written_node, actual in bindings.addresses(NODES):
        text = text.replace(actual, written_node)
    return text.split("\n")


if __name__ == "__main__":
    main()
