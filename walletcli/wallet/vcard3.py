"""vCard 3.0, through vobject; it is imported from here only.

vobject sees lines that `walletcli.core.vcard_lines` has taken apart and that are written anew, of the properties that
we use: its expressions take exponential time over some lines that are none, it cuts texts at commas that were not
escaped, and it decodes whatever a line names.

Spec: RFC 2426; docs/spec/contact.md, "vCard".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from walletcli.core import vcard
from walletcli.core.vcard import ADDRESS_PARTS, NAME_PARTS, OTHER, Property, ReadCard, VCard
from walletcli.core.vcard_lines import CardLines, ContentLine
from walletcli.errors import FormatError

_ESCAPES: Final = re.compile(r"\\(.?)|([,;])", re.DOTALL)
_THEIR_ADDRESS_PARTS: Final = {"locality": "city"}


def write(cards: Sequence[VCard]) -> bytes:
    """Return a file of cards: UTF-8, CR LF, folded."""
    return b"".join(_written(card) for card in cards)


def _written(card: VCard) -> bytes:
    import vobject  # late: dates and time zones come with it

    out = vobject.vCard()
    properties = vcard.to_properties(card)
    if not any(item.name == "N" for item in properties):
        properties.insert(1, Property("N", vcard.plain_name(card.name)))
    for item in properties:
        line = out.add(item.name)
        line.value = _their_value(item)
        line.encoded = item.name in vcard.URIS  # it would escape the commas of a URI
        if item.kinds:
            line.params["TYPE"] = [kind.upper() for kind in item.kinds]
        if item.label:
            line.params.update({"X-NAME": [item.label], "VALUE": ["text"]})
    text: str = out.serialize()
    return text.encode()


def _their_value(item: Property) -> Any:
    from vobject.vcard import Address, Name

    if item.name == "N":
        return Name(**dict(zip(NAME_PARTS, item.values, strict=True)))
    if item.name == "ADR":
        names = (_THEIR_ADDRESS_PARTS.get(part, part) for part in ADDRESS_PARTS)
        return Address(**dict(zip(names, item.values, strict=True)))
    return list(item.values) if item.name == "ORG" else item.values[0]


def read(card: CardLines) -> ReadCard:
    """Read one card of version 3.0.

    Raises:
        FormatError: ``vcard.version`` (quoted-printable, which only 2.1 has), ``vcard.encoding`` (base64 where a text
            is wanted), ``vcard.name``, ``vcard.value``, ``vcard.identity``.
    """
    import vobject

    used = [line for line in card.lines if line.name in vcard.USED]
    text = "\r\n".join(["BEGIN:VCARD", "VERSION:3.0", *map(_rewritten, used), "END:VCARD", ""])
    try:
        component = vobject.readOne(text)
        properties = [_property(child) for line in used for child in _next(component, line)]
    except (vobject.base.VObjectError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise FormatError("vcard.line", "a line is not as version 3.0 has it") from error
    found, more = vcard.from_properties(properties)
    left_out = {line.name for line in card.lines if line.name not in vcard.USED} | set(more)
    return ReadCard(card.number, found, tuple(sorted(left_out)))


def _next(component: Any, line: ContentLine) -> list[Any]:
    """Take the next of vobject's lines with that name, so that they come in the order of the card."""
    return [component.contents[line.name.lower()].pop(0)]


def _rewritten(line: ContentLine) -> str:
    """Return a line that vobject reads one way only: known parameters, and the escapes of the standard."""
    encoding = (line.parameter("ENCODING") or "").upper()
    bare = {value.upper() for name, value in line.parameters if not name}
    if "QUOTED-PRINTABLE" in bare | {encoding}:
        raise FormatError(
            "vcard.version", "a line is in quoted-printable, which is of version 2.1", "export it as vCard 3.0"
        )
    if encoding not in ("", "8BIT", "7BIT") or "BASE64" in bare:
        raise FormatError(
            "vcard.encoding", "a text is in base64, or in something that is not known", "export it as plain text"
        )
    types = [text for name, value in line.parameters if name in ("TYPE", "") for text in value.split(",")]
    kinds = vcard.kinds_of(types)
    parameters = "".join(f";TYPE={kind}" for kind in kinds)
    label = line.parameter("X-NAME") or ""
    if line.name == OTHER and re.fullmatch(r"[a-z0-9._-]{1,32}", label):
        parameters += f";X-NAME={label}"
    return f"{line.name}{parameters}:{_escaped_anew(line)}"


def _escaped_anew(line: ContentLine) -> str:
    keeps = {"N": ",;", "ADR": ",;", "ORG": ";"}.get(line.name, "")

    def replace(found: re.Match[str]) -> str:
        letter, separator = found[1], found[2]
        if separator:
            return separator if separator in keeps else "\\" + separator
        if letter in ("n", "N"):
            return "\\n"
        if letter in (",", ";", "\\"):
            return "\\" + letter
        return letter if letter == ":" else "\\\\" + letter  # "\:" is Apple's; others mean the backslash itself

    return _ESCAPES.sub(replace, line.value)


def _property(child: Any) -> Property:
    kinds = vcard.kinds_of(child.params.get("TYPE", ()))
    value = child.value
    if child.name == "N":
        return Property("N", tuple(_joined(getattr(value, part), " ") for part in NAME_PARTS), kinds)
    if child.name == "ADR":
        names = (_THEIR_ADDRESS_PARTS.get(part, part) for part in ADDRESS_PARTS)
        return Property("ADR", tuple(_joined(getattr(value, name), ", ") for name in names), kinds)
    if child.name == "ORG":
        return Property("ORG", tuple(_joined(part, ", ") for part in value), kinds)
    if child.name == "TEL":
        value = value.removeprefix("tel:")
    return Property(child.name, (str(value),), kinds, next(iter(child.params.get("X-NAME", ())), ""))


def _joined(part: str | list[str], joint: str) -> str:
    return part if isinstance(part, str) else joint.join(text.strip() for text in part)
