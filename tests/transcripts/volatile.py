"""Compares what was printed with what is written down, where ids, addresses and numbers differ from run to run."""

from __future__ import annotations

import re
from collections.abc import Iterable

_KINDS = {
    "link": r"walletcli:(?:card|relation):[A-Z2-7]+",
    "date": r"\b20[0-9]{2}-[01][0-9]-[0-3][0-9](?: [0-2][0-9]:[0-5][0-9])?\b",
    "word": r"(?<![0-9]) *\b1?[0-9]\. [a-z]{3,8}\b",
    "words": r"(?<=words: ) *(?:[a-z]{3,8} ){7}[a-z]{3,8}$",
    "device": r"(?<=\bdevice )[0-9a-f]{16}\b",
    "did": r"did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}",
    "z32": r"(?<![a-z0-9])[ybndrfg8ejkmcpqxot1uwisza345h769]{52}(?![a-z0-9])",
    "sshkey": r"AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43}",
    "fingerprint": r"SHA256:[A-Za-z0-9+/]{43}",
    "alias": r"[iI]ez[1-9A-HJ-NP-Za-km-z]{20,24}(?![A-Za-z0-9])",
    "hex": r"(?<![0-9a-f])[0-9a-f]{32,128}(?![0-9a-f])",
    "key": r"(?<![0-9a-f])[0-9a-f]{16}(?=…)",
    "seq": r"(?<![0-9])[0-9]{15,19}(?![0-9])",
    "address": r"127\.0\.0\.1:[0-9]+",
    "picture": r"(?<=\|)[ .o+=*BOX@%&#/^SE]{17}(?=\|)",
    "minutes": r"\b(?:[0-9]+) (?:seconds?|minutes?)\b",
}
_VOLATILE = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _KINDS.items()))
_UNBOUND = {"picture", "minutes", "date", "word"}
"""Kinds that need not be the same again."""


class Bindings:
    """What stands for what: a written id for the id of this run.

    Args:
        known: pairs that are known beforehand, such as addresses.
    """

    def __init__(self, known: dict[str, str] | None = None) -> None:
        self._actual = dict(known or {})

    def substitute(self, command: str) -> str:
        """Return a written command with the ids of this run."""
        return _VOLATILE.sub(lambda match: self._actual.get(match.group(), match.group()), command)

    def addresses(self, written: Iterable[str]) -> list[tuple[str, str]]:
        """Return pairs of a written address and the one of this run."""
        return [(address, self._actual[address]) for address in written]

    def compare(self, written: str, actual: str) -> str | None:
        """Compare two texts; what differs must be of one kind, and the same thing each time.

        Returns:
            what is wrong, or None.
        """
        want, got = written.rstrip("\n").split("\n"), actual.rstrip("\n").split("\n")
        for number, (one, other) in enumerate(zip(want, got, strict=False), start=1):
            problem = self._compare_line(one.rstrip(), other.rstrip())
            if problem is not None:
                return f"line {number}: {problem}\n  written: {one}\n  actual:  {other}"
        return None if len(want) == len(got) else f"{len(want)} lines written, {len(got)} lines actual:\n{actual}"

    def _compare_line(self, written: str, actual: str) -> str | None:
        want, got = list(_VOLATILE.finditer(written)), list(_VOLATILE.finditer(actual))
        if _VOLATILE.sub("\0", written) != _VOLATILE.sub("\0", actual):
            return "the text differs"
        for one, other in zip(want, got, strict=True):
            if one.lastgroup != other.lastgroup:
                return f"{one.group()} and {other.group()} are not of one kind"
            if one.lastgroup == "address" and one.group() == other.group():
                continue  # part of a message, not an address of this run
            if one.lastgroup not in _UNBOUND and self._actual.setdefault(one.group(), other.group()) != other.group():
                return f"{one.group()} stood for {self._actual[one.group()]} before, now for {other.group()}"
        return None
