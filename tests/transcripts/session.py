"""Sessions at a terminal, as a page of the documentation writes them, played by somebody who types what is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pexpect

from tests.transcripts.conftest import Shell

PASSWORD = "correct horse battery"

BLOCK = re.compile(r"^```console(?P<where>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
"""A block of a page that is played; one with more words after ``console`` runs in a second terminal until the end."""

_SCREEN = re.compile(r"\x1b\[\?1049h.*?\x1b\[\?1049l", re.DOTALL)
_ERASED = re.compile(r"[^\n]*\r\x1b\[K")
_WORD = re.compile(r" ?(\d+)\. ([a-z]+)")


@dataclass(slots=True)
class Typed:
    """One command of a block, and what is written below it."""

    command: str
    lines: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Block:
    """One block of a page."""

    start: int
    end: int
    second_terminal: bool
    typed: list[Typed]


def blocks_of(page: str) -> Iterator[Block]:
    for match in BLOCK.finditer(page):
        typed: list[Typed] = []
        for line in match["text"].splitlines():
            if line.startswith("$ "):
                typed.append(Typed(line[2:]))
            else:
                typed[-1].lines.append(line)
        yield Block(match.start("text"), match.end("text"), bool(match["where"].strip()), typed)


class Person:
    """Types command lines, and answers what they ask: remembers passwords, and the words that a wallet has shown.

    Args:
        shell: whose directory and environment are used.
    """

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._papers: dict[str, dict[int, str]] = {}
        self._words: dict[int, str] = {}

    def type(self, command: str) -> str:
        """Run a command line on a terminal; return what stays on the screen."""
        home = re.search(r"--home (\S+)", command)
        self._words = self._papers.setdefault(home.group(1) if home else "", {})
        child = pexpect.spawn(
            "bash", ["-c", command],
            cwd=str(self._shell.directory), env=self._shell.environment, encoding="utf-8", timeout=60,
            dimensions=(40, 200),
        )  # fmt: skip
        child.delaybeforesend = 0.05
        seen = ""
        answers = self._answers()
        patterns = [*answers, pexpect.EOF]
        while (index := child.expect(patterns)) < len(answers):
            seen += child.before + child.after
            child.send(answers[patterns[index]](child))
        seen += child.before
        child.close()
        return _ERASED.sub("", _SCREEN.sub("", seen).replace("\r\n", "\n"))

    def _answers(self) -> dict[str, Callable[[pexpect.spawn], str]]:
        return {
            r"Press Enter when they are on paper\. ": self._keep,
            r"Word \d+: ": lambda child: self._words[int(re.findall(r"\d+", child.after)[0])] + "\n",
            r"[Pp]assword(?: again)?: ": lambda _child: PASSWORD + "\n",
            r"\[y/N\] ": lambda _child: "y\n",
            r"word 1:": lambda _child: " ".join(self._words[number] for number in sorted(self._words)) + "\r",
        }

    def _keep(self, child: pexpect.spawn) -> str:
        self._words.update({int(number): word for number, word in _WORD.findall(child.before)})
        return "\n"
