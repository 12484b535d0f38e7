"""vCard 4.0: a thin, strict reader and writer.

Spec: RFC 6350; docs/spec/contact.md, "vCard", says which of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from walletcli.core import vcard
from walletcli.core.vcard import OTHER, Property, ReadCard, VCard
from walletcli.core.vcard_lines import CardLines, ContentLine, folded
from walletcli.errors import FormatError

_SAID_TO_BE_TEXT: Final = frozenset({"UID", "TEL", OTHER})
"""Properties that some readers take for URIs, or for nothing that they know, unless told otherwise."""

_ESCAPE: Final = re.compile(r"\\(.?)", re.DOTALL)
_ESCAPED: Final = {"\\": "\\", ",": ",", ";": ";", "n": "\n", "N": "\n"}


def write(cards: Sequence[VCard]) -> bytes:
    """Return a file of cards: UTF-8, CR LF, folded at 75 bytes.

    Raises:
        FormatError: ``vcard.value``: a URL or IMPP attribute that is no URI.
    """
    return b"".join(map(_written, cards))


def _written(card: VCard) -> bytes:
    lines = ["BEGIN:VCARD", "VERSION:4.0", *map(_line, vcard.to_properties(card)), "END:VCARD"]
    return b"".join(map(folded, lines))


def _line(item: Property) -> str:
    parameters = f";X-NAME={item.label}" if item.label else ""
    if item.kinds:
        parameters += f";TYPE={','.join(item.kinds)}" if len(item.kinds) == 1 else f';TYPE="{",".join(item.kinds)}"'
    if item.name in vcard.URIS:
        return f"{item.name}{parameters}:{item.values[0]}"
    if item.name == "BDAY":
        year, rest = item.values[0][:-6], item.values[0][-5:]
        return f"BDAY:{'--' if year == '-' else year}{rest.replace('-', '')}"
    if item.name in _SAID_TO_BE_TEXT:
        parameters += ";VALUE=text"
    values = [_escape(value) for value in item.values]
    if item.name in vcard.STRUCTURED:
        values = [value.replace(";", "\\;") for value in values]
    return f"{item.name}{parameters}:{';'.join(values)}"


def _escape(text: str) -> str:
    """Escape what must be; a semicolon need not, outside of properties with parts (RFC 6350 section 3.4)."""
    return text.replace("\\", "\\\\").replace(",", "\\,").replace("\n", "\\n")


def read(card: CardLines) -> ReadCard:
    """Read one card of version 4.0.

    Raises:
        FormatError: ``vcard.version`` (VERSION is not the second line), ``vcard.line`` (a parameter without a name),
            ``vcard.escape``, ``vcard.name``, ``vcard.value``, ``vcard.identity``.
    """
    if not card.version_first:
        raise FormatError("vcard.version", "a card of version 4.0 has its version right at its start")
    left_out = {line.name for line in card.lines if line.name not in vcard.USED}
    found, more = vcard.from_properties([_property(line) for line in card.lines if line.name in vcard.USED])
    if not any(line.name == "FN" for line in card.lines):
        raise FormatError("vcard.name", "a card of version 4.0 has an FN")
    return ReadCard(card.number, found, tuple(sorted(left_out | set(more))))


def _property(line: ContentLine) -> Property:
    if any(not name for name, _ in line.parameters):
        raise FormatError("vcard.line", "a line has a parameter without a name")
    types = [text for name, value in line.parameters if name == "TYPE" for text in value.split(",")]
    kinds = vcard.kinds_of(types)
    label = line.parameter("X-NAME") or "" if line.name == OTHER else ""
    if line.name in vcard.URIS or (line.parameter("VALUE") or "").lower() == "uri":
        value = line.value.removeprefix("tel:") if line.name == "TEL" else line.value
        return Property(line.name, (value,), kinds)
    if line.name in vcard.STRUCTURED:
        joint = " " if line.name == "N" else ", "
        parts = [joint.join(map(_unescape, _split(part, ","))) for part in _split(line.value, ";")]
        return Property(line.name, tuple(parts), kinds)
    return Property(line.name, (_unescape(line.value),), kinds, label)


def _split(value: str, separator: str) -> list[str]:
    """Cut at separators that are not escaped; the escapes stay."""
    parts, start, at = [], 0, 0
    while at < len(value):
        if value[at] == "\\":
            at += 2
            continue
        if value[at] == separator:
            parts.append(value[start:at])
            start = at + 1
        at += 1
    return [*parts, value[start:]]


def _unescape(text: str) -> str:
    return _ESCAPE.sub(_letter, text)


def _letter(found: re.Match[str]) -> str:
    letter = _ESCAPED.get(found[1])
    if letter is None:
        raise FormatError("vcard.escape", "a line holds an escape that vCard does not have")
    return letter
