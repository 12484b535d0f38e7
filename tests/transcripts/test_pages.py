"""Plays the pages of the documentation that show a session: word for word what is typed, and what comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.transcripts.conftest import Shell, unused_address
from tests.transcripts.session import Person, blocks_of
from tests.transcripts.test_transcripts import NODES
from tests.transcripts.volatile import Bindings

DOCS = Path(__file__).resolve().parents[2] / "docs"

PAGES = (
    "tutorial.md",
    "howto/contacts.md",
    "howto/change-provider.md",
    "howto/sign-offline.md",
    "howto/keep-data.md",
    "howto/recover.md",
    "howto/ssh-and-git.md",
)
"""Pages whose blocks are played."""


def as_written(text: str, shell: Shell) -> str:
    """Return output with the directories that the pages name."""
    return text.replace(str(shell.directory / ".user"), "/home/you").replace(str(shell.directory), "/home/you/tutorial")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_plays_as_it_is_written(name: str, shell: Shell) -> None:
    bindings = Bindings({node: unused_address() for node in NODES})
    person = Person(shell)
    blocks = list(blocks_of((DOCS / name).read_text()))
    assert len(blocks) > 5
    for block in blocks:
        for typed in block.typed:
            command = bindings.substitute(typed.command)
            actual = shell.start(command) if block.second_terminal else person.type(command)
            problem = bindings.compare("\n".join(typed.lines), as_written(actual, shell))
            assert problem is None, f"{name}: {typed.command}\n{problem}"
