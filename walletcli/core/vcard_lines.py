"""Files of vCards as lines: character sets, folding, content lines; before anybody looks at what they mean.

Everything is limited before it is parsed, and a bad card spoils no other one in its file. What comes out is what the
readers of version 4.0 (here) and 3.0 (`walletcli.wallet.vcard3`) are given.

Spec: docs/spec/contact.md, "vCard"; RFC 6350 section 3 and RFC 2425 section 5.8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from walletcli.errors import FormatError

MAX_FILE_BYTES: Final = 1 << 25
"""Longest file of vCards, bytes."""

MAX_CARDS: Final = 50_000
"""Most cards in a file."""

MAX_CARD_LINES: Final = 2000
"""Most lines of a card, unfolded."""

MAX_LINE_BYTES: Final = 1 << 21
"""Longest line, unfolded, in bytes: photographs come in lines."""

MAX_PARAMETERS: Final = 64
"""Most parameter values of a line."""

FOLD_BYTES: Final = 75
"""Longest physical line that is written, bytes without its end (RFC 6350 section 3.2)."""

_LINE_ENDS: Final = re.compile(rb"\r\n|\n|\r")
_NAME: Final = re.compile(r"(?:[A-Za-z0-9-]{1,64}\.)?([A-Za-z0-9-]{1,64})(?=[;:])")
_PARAMETER: Final = re.compile(r";([A-Za-z0-9-]{1,64})(?:(=)|(?=[;:]))")
_PARAMETER_VALUE: Final = re.compile(r'(?:"([^"\x00-\x08\x0a-\x1f\x7f]*+)"|([^";:,\x00-\x08\x0a-\x1f\x7f]*+))([,;:])')
_VERSION: Final = re.compile(rb"VERSION(?:;[^:]{0,64})?:[ \t]{0,8}([0-9.]{1,8})[ \t]{0,8}", re.IGNORECASE)

_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_CHARSETS: Final = {
    "utf8": "utf-8", "usascii": "ascii", "ascii": "ascii", "latin1": "iso-8859-1",
    **{f"iso8859{n}": f"iso-8859-{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)},
    **{f"windows{n}": f"cp{n}" for n in range(1250, 1259)},
    "koi8r": "koi8-r", "koi8u": "koi8-u", "shiftjis": "shift_jis", "eucjp": "euc_jp", "euckr": "euc_kr",
    "gb2312": "gb2312", "gbk": "gbk", "gb18030": "gb18030", "big5": "big5",
}  # fmt: skip
"""Names of character sets without case, "-" and "_" -> the decoder. Nothing else that the platform knows."""

_WIDE: Final = (
    (b"\xff\xfe\0\0", "utf-32"), (b"\0\0", "utf-32"), (b"B\0\0\0", "utf-32"),
    (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"B\0", "utf-16-le"), (b"\0B", "utf-16-be"),
)  # fmt: skip
"""How files in wide characters start, with a mark or with a B."""


@dataclass(frozen=True, slots=True)
class ContentLine:
    """A property of a card, as it is written.

    Attributes:
        name: upper case, without its group.
        parameters: name in upper case and value, in order, one pair for each value; the name is empty for a value that
            stands alone, as older programs write it.
        value: what stands behind the colon, escapes and all.
    """

    name: str
    parameters: tuple[tuple[str, str], ...]
    value: str

    def parameter(self, name: str) -> str | None:
        """Return the first value of a parameter, or None."""
        return next((value for key, value in self.parameters if key == name), None)


@dataclass(frozen=True, slots=True)
class CardLines:
    """One card of a file.

    Attributes:
        number: its place in the file, from 1.
        version: what it says of itself, ``3.0`` or ``4.0``.
        lines: its properties but BEGIN, VERSION and END.
        version_first: whether VERSION follows BEGIN immediately, as 4.0 wants it.
    """

    number: int
    version: str
    lines: tuple[ContentLine, ...]
    version_first: bool


@dataclass(frozen=True, slots=True)
class BadCard:
    """A card that is not taken, and why.

    Attributes:
        number: its place in the file, from 1.
        error: what is wrong with it.
    """

    number: int
    error: FormatError


def split_cards(data: bytes) -> Iterator[CardLines | BadCard]:
    """Yield the cards of a file, in order.

    Raises:
        FormatError: for the whole file: ``vcard.too-long``, ``vcard.charset`` (UTF-16 that is none, or UTF-32),
            ``vcard.none`` (something else than vCards, or none at all), ``vcard.too-many``.
    """
    if len(data) > MAX_FILE_BYTES:
        raise FormatError(
            "vcard.too-long", f"{len(data)} bytes, at most {MAX_FILE_BYTES} are read", "export fewer contacts at once"
        )
    number = 0
    card: list[bytes] | None = None
    for line in _unfolded(_as_utf8(data)):
        mark = line[:16].upper().rstrip()
        if card is None:
            if mark != b"BEGIN:VCARD":
                raise FormatError(
                    "vcard.none", "something stands in the file that is no vCard", "export the contacts as .vcf"
                )
            number += 1
            if number > MAX_CARDS:
                raise FormatError(
                    "vcard.too-many", f"at most {MAX_CARDS} cards in a file", "export fewer contacts at once"
                )
            card = []
        elif mark == b"END:VCARD":
            yield _card(number, card)
            card = None
        elif mark == b"BEGIN:VCARD":
            yield BadCard(number, FormatError("vcard.truncated", "the card does not end before the next one begins"))
            number, card = number + 1, []
        else:
            card.append(line)
    if card is not None:
        yield BadCard(number, FormatError("vcard.truncated", "the file ends in the middle of the card"))
    elif number == 0:
        raise FormatError("vcard.none", "there is no vCard in the file", "export the contacts as .vcf")


def _as_utf8(data: bytes) -> bytes:
    """Return a file that says to be UTF-16, by its mark or its first letter, in UTF-8; others as they are."""
    if data.startswith(b"\xef\xbb\xbf"):
        return data[3:]
    charset = next((name for start, name in _WIDE if data.startswith(start)), None)
    if charset is None:
        return data
    if charset == "utf-32":
        raise _charset_error("the file is in UTF-32")
    try:
        return data.decode(charset).encode()
    except UnicodeError:
        raise _charset_error("the file starts as UTF-16 and is none") from None


def _charset_error(message: str) -> FormatError:
    return FormatError("vcard.charset", message, "save it as UTF-8")


def _unfolded(data: bytes) -> Iterator[bytes]:
    """Yield the logical lines that are not empty."""
    parts: list[bytes] = []
    size = at = 0
    while at <= len(data):
        found = _LINE_ENDS.search(data, at)
        end, following = found.span() if found else (len(data), len(data) + 1)
        if parts and data[at : at + 1] in (b" ", b"\t"):
            parts.append(data[at + 1 : end])
            size += end - at
        else:
            if parts and any(parts):
                yield b"".join(parts)
            parts, size = [data[at:end]], end - at
        if size > MAX_LINE_BYTES:
            raise FormatError(
                "vcard.too-long", f"a line has over {MAX_LINE_BYTES} bytes", "leave photographs out of the export"
            )
        at = following
    if any(parts):
        yield b"".join(parts)


def _card(number: int, lines: list[bytes]) -> CardLines | BadCard:
    try:
        if len(lines) > MAX_CARD_LINES:
            raise FormatError("vcard.too-long", f"the card has {len(lines)} lines, at most {MAX_CARD_LINES} are read")
        places = [at for at, line in enumerate(lines) if line[:7].upper() == b"VERSION"]
        found = _VERSION.fullmatch(lines[places[0]]) if len(places) == 1 else None
        if found is None:
            raise FormatError(
                "vcard.version", "the card does not say its version once", "export it as vCard 3.0 or 4.0"
            )
        version = found[1].decode("ascii")
        if version not in ("3.0", "4.0"):
            raise FormatError(
                "vcard.version", f"the card is of version {version}; 3.0 and 4.0 are read", "export it as vCard 3.0"
            )
        del lines[places[0]]
        return CardLines(number, version, tuple(_content_line(line) for line in lines), places == [0])
    except FormatError as error:
        return BadCard(number, error)


def _content_line(data: bytes) -> ContentLine:
    line = data.decode("latin-1")  # a letter for each byte: what is ASCII must be, the value follows below
    found = _NAME.match(line)
    if not found:
        raise FormatError("vcard.line", "a line does not start with the name of a property")
    name, at = found[1].upper(), found.end()
    parameters: list[tuple[str, str]] = []
    while line[at] == ";":
        at = _parameter(line, at, parameters)
        if len(parameters) > MAX_PARAMETERS:
            raise FormatError("vcard.line", f"a line has more than {MAX_PARAMETERS} parameters")
    charset = next((value for key, value in parameters if key == "CHARSET"), "utf-8")
    known = _CHARSETS.get(charset.lower().replace("-", "").replace("_", ""))
    if known is None:
        raise _charset_error("a line is in a character set that is not known here")
    try:
        value = data[at + 1 :].decode(known)
        pairs = tuple((key, text.encode("latin-1").decode("utf-8")) for key, text in parameters if key != "CHARSET")
    except UnicodeError:
        raise _charset_error(f"a line is not {known.upper()}, which it should be") from None
    if _CONTROL.search(value):
        raise FormatError("vcard.control", "a line holds control characters")
    return ContentLine(name, pairs, value)


def _parameter(line: str, at: int, parameters: list[tuple[str, str]]) -> int:
    """Read the parameter that starts with the semicolon at `at`; return where the next one, or the colon, stands."""
    found = _PARAMETER.match(line, at)
    if not found:
        raise FormatError("vcard.line", "a line has a parameter that is none")
    if not found[2]:
        parameters.append(("", found[1]))
        return found.end()
    at, stop = found.end(), ","
    while stop == ",":
        value = _PARAMETER_VALUE.match(line, at)
        if not value or len(parameters) > MAX_PARAMETERS:
            raise FormatError("vcard.line", "a line has a parameter without an end, or too many")
        parameters.append((found[1].upper(), value[2] if value[1] is None else value[1]))
        at, stop = value.end(), value[3]
    return at - 1


def folded(line: str) -> bytes:
    """Return a logical line in UTF-8, folded, with CR LF; no character is cut.

    Args:
        line: without control characters.
    """
    out = bytearray()
    room = FOLD_BYTES
    for letter in line:
        encoded = letter.encode()
        if len(encoded) > room:
            out += b"\r\n "
            room = FOLD_BYTES - 1
        out += encoded
        room -= len(encoded)
    return bytes(out) + b"\r\n"
