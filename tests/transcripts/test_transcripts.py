"""Plays the sessions of this directory: stdout, stderr and exit code of every command.

A transcript is a text file::

    # a remark
    $ a command line, run by bash in an empty directory
    what it prints on stdout
    2| what it prints on stderr
    [exit code, if it is not 0]

A command line that ends in ``&`` runs in the background until the end; its first line is compared. Ids, addresses of
loopback, sequence numbers and the like may differ from what is written, but the same each time; … stands for the
directory. ``python -m tests.transcripts.record`` writes the sessions anew.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cli.answers import check_answer
from tests.conftest import corpus
from tests.transcripts.conftest import Shell, unused_address
from tests.transcripts.volatile import Bindings

NODES = ("127.0.0.1:7411", "127.0.0.1:7412", "127.0.0.1:7413", "127.0.0.1:7414")
"""Addresses that are written for nodes; free ones stand in for them."""


@dataclass(slots=True)
class Step:
    """One command and what is written of it."""

    line: int
    command: str
    stdout: list[str] = field(default_factory=list)
    stderr: list[str] = field(default_factory=list)
    code: int = 0


def steps_of(text: str) -> Iterator[Step]:
    step: Step | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("$ "):
            if step is not None:
                yield step
            step = Step(number, line[2:])
        elif line.startswith("#") or (step is None and not line):
            continue
        elif step is None:
            raise ValueError(f"line {number}: output before the first command")
        elif exit_code := re.fullmatch(r"\[(\d+)\]", line):
            step.code = int(exit_code.group(1))
        elif line.startswith("2| "):
            step.stderr.append(line[3:])
        else:
            step.stdout.append(line)
    if step is not None:
        yield step


@pytest.mark.parametrize("path", corpus(Path(__file__).parent, ["*.transcript"]), ids=lambda path: path.stem)
def test_a_session_plays_as_it_is_written(path: Path, shell: Shell) -> None:
    bindings = Bindings({node: unused_address() for node in NODES})
    steps = list(steps_of(path.read_text()))
    assert steps
    for step in steps:
        command = bindings.substitute(step.command)
        where = f"{path.name}, line {step.line}: {step.command}"
        if command.endswith("&"):
            code, out, err = 0, shell.start(command.rstrip("& ")), ""
        else:
            code, out, err = shell.run(command)
        for what, written, actual in (("stdout", step.stdout, out), ("stderr", step.stderr, err)):
            text = "\n".join(written).rstrip("\n")
            problem = bindings.compare(text, actual.replace(str(shell.directory), "…"))
            assert problem is None, f"{where}\n{what}, {problem}\nstderr: {err}"
        if re.fullmatch(r"walletcli .*--json [^|>&;]*", command):
            check_answer(tuple(shlex.split(command)[1:]), out, code)
        assert code == step.code, f"{where}\nexit code {code}, written {step.code}\n{err}"
