"""Writes transcripts anew: remarks and commands stay, what they print is from a run. Read it before you keep it."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

from tests.transcripts.conftest import Shell, unused_address
from tests.transcripts.session import Person, blocks_of
from tests.transcripts.test_pages import DOCS, PAGES, as_written
from tests.transcripts.test_transcripts import NODES
from tests.transcripts.volatile import Bindings

DIRECTORY = Path(__file__).parent


def main() -> None:
    names = sys.argv[1:]
    for page in PAGES:
        if not names or page in names:
            (DOCS / page).write_text(recorded_page((DOCS / page).read_text()))
            print(DOCS / page)
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


def recorded_page(page: str) -> str:
    """Play a page's sessions and return the page with what they print."""
    bindings = Bindings({node: unused_address() for node in NODES})
    made, position = "", 0
    with tempfile.TemporaryDirectory() as directory, contextlib.closing(Shell(Path(directory))) as shell:
        person = Person(shell)
        for block in blocks_of(page):
            made += page[position : block.start]
            position = block.end
            for typed in block.typed:
                command = bindings.substitute(typed.command)
                out = shell.start(command) if block.second_terminal else person.type(command)
                for one, other in zip(typed.lines, as_written(out, shell).splitlines(), strict=False):
                    bindings.compare(one, other)
                lines = [line.rstrip() for line in as_written(out, shell).rstrip("\n").splitlines()]
                made += "\n".join([f"$ {command}", *lines]) + "\n"
    made += page[position:]
    for written_node, actual in bindings.addresses(NODES):
        made = made.replace(actual, written_node)
    return made


if __name__ == "__main__":
    main()
