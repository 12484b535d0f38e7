"""A contact as a vCard tells it: a name and attributes, and which property of vCard each one is.

Both versions share this; their writing differs (`walletcli.core.vcard4`, `walletcli.wallet.vcard3`).

Spec: docs/spec/contact.md, "vCard".
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from walletcli.core.document import MAX_VALUE_BYTES, attribute_fault, text_fault
from walletcli.core.identity_id import DID_KEY_PREFIX, IdentityId
from walletcli.errors import FormatError, InputError

MAX_NOTE_BYTES: Final = 8192
"""Longest note, bytes of UTF-8."""

MAX_ATTRIBUTES: Final = 64
"""Most attributes of a contact."""

NAME_PARTS: Final = ("family", "given", "additional", "prefix", "suffix")
"""What N holds, in this order."""

ADDRESS_PARTS: Final = ("box", "extended", "street", "locality", "region", "code", "country")
"""What ADR holds, in this order."""

KINDS: Final = ("home", "work", "cell", "fax", "pager")
"""TYPEs that are kept, in the order in which they stand in an attribute's name."""

OTHER: Final = "X-WALLETCLI-ATTRIBUTE"
"""Property for attributes that vCard has no property for; its parameter X-NAME holds the attribute's name."""

TEXTS: Final = frozenset({"NICKNAME", "TITLE", "ROLE", "EMAIL", "TEL"})
"""Properties whose value is one text."""

URIS: Final = frozenset({"URL", "IMPP"})
"""Properties whose value is a URI."""

STRUCTURED: Final = frozenset({"N", "ADR", "ORG"})
"""Properties whose value has parts."""

USED: Final = frozenset({"FN", "UID", "NOTE", "BDAY", OTHER}) | TEXTS | URIS | STRUCTURED
"""All properties that are read and written."""

URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}:[!-\[\]-~]+")
"""What is written as a URI: a scheme, then printable ASCII without spaces and backslashes."""

_DATE: Final = re.compile(r"(?:[0-9]{4}|-)-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])")
_COMPACT_DATE: Final = re.compile(r"([0-9]{4}|--)([0-9]{2})([0-9]{2})")
_NAME_ATTRIBUTES: Final = frozenset(f"name.{part}" for part in NAME_PARTS)
_KIND_ALIASES: Final = {"mobile": "cell", "iphone": "cell"}
_DIRECTIONS: Final = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class VCard:
    """A contact, as both versions of vCard can carry it.

    Attributes:
        name: what it is shown as, 1 to 1024 bytes.
        uid: identifier among the cards of a program, 1 to 1024 bytes, or None.
        identity: root key, 32 bytes, or None for somebody without an identity. A claim of whoever wrote the card.
        note: 1 to 8192 bytes, or None.
        attributes: at most 64, as in a profile; ``name`` is not among them.

    Raises:
        FormatError: ``vcard.value``.
    """

    name: str
    uid: str | None = None
    identity: bytes | None = None
    note: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = [text_fault(self.name, MAX_VALUE_BYTES)]
        if self.uid is not None:
            faults.append(text_fault(self.uid, MAX_VALUE_BYTES))
        if self.note is not None:
            faults.append(text_fault(self.note, MAX_NOTE_BYTES))
        faults += [attribute_fault(*item) for item in self.attributes.items()]
        if len(self.attributes) > MAX_ATTRIBUTES or "name" in self.attributes:
            faults.append(f"a card has at most {MAX_ATTRIBUTES} attributes, and its name is not one of them")
        if any("\n" in text or text != text.strip() for text in (self.name, self.uid or "")):
            faults.append("a name or UID is one line, without spaces at its ends")
        for fault in filter(None, faults):
            raise FormatError("vcard.value", fault)


@dataclass(frozen=True, slots=True)
class Property:
    """One property with its escapes undone.

    Attributes:
        name: upper case.
        values: one, or the parts of N, ADR or ORG.
        kinds: TYPEs as they stand in attribute names.
        label: attribute's name, of `OTHER` only.
    """

    name: str
    values: tuple[str, ...]
    kinds: tuple[str, ...] = ()
    label: str = ""


@dataclass(frozen=True, slots=True)
class ReadCard:
    """A card that was taken.

    Attributes:
        number: its place in the file, from 1.
        card: what it says.
        left_out: names of properties that it has and we have no place for, sorted.
    """

    number: int
    card: VCard
    left_out: tuple[str, ...] = ()


def kinds_of(types: Sequence[str]) -> tuple[str, ...]:
    """Return the kinds that TYPE parameters name, in their order; others are not kept."""
    lower = {text.lower() for text in types}
    lower |= {_KIND_ALIASES[text] for text in lower if text in _KIND_ALIASES}
    return tuple(kind for kind in KINDS if kind in lower)


def to_properties(card: VCard) -> list[Property]:
    """Return the properties that say what `card` says, in the order in which they are written."""
    rest = dict(card.attributes)
    out = [Property("FN", (card.name,))]
    names = tuple(rest.get(f"name.{part}", "") for part in NAME_PARTS)
    if any(names) and names != plain_name(card.name):
        out.append(Property("N", names))
        rest = {name: value for name, value in rest.items() if name not in _NAME_ATTRIBUTES}
    if "org" in rest:
        out.append(Property("ORG", (rest.pop("org"), *_numbered(rest, "org.unit"))))
    if _DATE.fullmatch(rest.get("bday", "")):
        out.append(Property("BDAY", (rest.pop("bday"),)))
    out += _addresses(rest)
    out += _simple(rest)
    out += [Property(OTHER, (value,), label=name) for name, value in sorted(rest.items())]
    if card.note is not None:
        out.append(Property("NOTE", (card.note,)))
    if card.identity is not None:
        out.append(Property("URL", (IdentityId(card.identity).did,)))
    if card.uid is not None:
        out.append(Property("UID", (card.uid,)))
    return out


def plain_name(name: str) -> tuple[str, ...]:
    """Return the parts of N that version 3.0 is given for a name whose parts are not known."""
    return "", name, "", "", ""


def _is_uri(value: str) -> bool:
    return bool(URI.fullmatch(value)) and not value.startswith(DID_KEY_PREFIX)


def _numbered(rest: dict[str, str], stem: str, fits: Callable[[str], bool] = bool) -> Iterator[str]:
    """Take ``stem``, ``stem.2``, ``stem.3``… out of `rest`, as far as the numbers go and the values fit."""
    name, number = stem, 1
    while name in rest and fits(rest[name]):
        yield rest.pop(name)
        number += 1
        name = f"{stem}.{number}"


def _stems(prefix: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield every start that attributes of a property can have, with its kinds."""
    for mask in range(1 << len(KINDS)):
        kinds = tuple(kind for at, kind in enumerate(KINDS) if mask >> at & 1)
        yield ".".join((prefix, *kinds)), kinds


def _addresses(rest: dict[str, str]) -> Iterator[Property]:
    if not any(name.startswith("adr.") for name in rest):
        return
    for stem, kinds in _stems("adr"):
        number = 1
        while True:
            start = stem if number == 1 else f"{stem}.{number}"
            parts = tuple(rest.pop(f"{start}.{part}", "") for part in ADDRESS_PARTS)
            if not any(parts):
                break
            yield Property("ADR", parts, kinds)
            number += 1


def _simple(rest: dict[str, str]) -> Iterator[Property]:
    for name in sorted(TEXTS | URIS):
        prefix = name.lower()
        if not any(key.startswith(prefix) for key in rest):
            continue
        for stem, kinds in _stems(prefix):
            for value in _numbered(rest, stem, _is_uri if name in URIS else bool):
                yield Property(name, (value,), kinds)


def from_properties(properties: Sequence[Property]) -> tuple[VCard, tuple[str, ...]]:
    """Return the card that properties make, and the names of those that it has no place for.

    Raises:
        FormatError: ``vcard.name``, ``vcard.value``.
    """
    return _Reading().card(properties)


class _Reading:
    """What has been read of a card so far."""

    def __init__(self) -> None:
        self.single: dict[str, str] = {}
        self.attributes: dict[str, str] = {}
        self.counts: defaultdict[str, int] = defaultdict(int)
        self.identity: bytes | None = None
        self.left_out: set[str] = set()
        self.names: tuple[str, ...] = ()

    def card(self, properties: Sequence[Property]) -> tuple[VCard, tuple[str, ...]]:
        for item in properties:
            self._take(item)
        name = self.single.get("FN") or self._name_of_parts()
        if not name:
            raise FormatError("vcard.name", "the card has no name")
        if self.names != plain_name(name):
            self._take_parts("N", "name", NAME_PARTS, self.names)
        card = VCard(name, self.single.get("UID"), self.identity, self.single.get("NOTE"), self.attributes)
        return card, tuple(sorted(self.left_out))

    def _take(self, item: Property) -> None:
        values = tuple(value.replace("\t", " ") for value in item.values)
        if not any(values):
            return
        if item.name in ("FN", "UID", "NOTE"):
            self._take_single(item.name, values[0])
        elif item.name == "N":
            self._take_names(values)
        elif item.name == "ADR":
            self._take_parts("ADR", self._stem(item), ADDRESS_PARTS, values)
        elif item.name == "ORG":
            self._take_org(values)
        elif item.name == "BDAY":
            self._take_birthday(values[0])
        elif item.name == OTHER:
            self._put(item.label, values[0])
        elif item.name in URIS and values[0].startswith(DID_KEY_PREFIX) and self.identity is None:
            self._take_identity(item, values[0])
        elif item.name in TEXTS | URIS:
            value = _DIRECTIONS.sub("", values[0]) if item.name == "TEL" else values[0]
            self._put(self._stem(item), value)
        else:
            self.left_out.add(item.name)

    def _stem(self, item: Property) -> str:
        stem = ".".join((item.name.lower(), *item.kinds))
        self.counts[stem] += 1
        return stem if self.counts[stem] == 1 else f"{stem}.{self.counts[stem]}"

    def _put(self, name: str, value: str) -> None:
        if name in self.attributes:
            raise FormatError("vcard.value", "the card has one attribute twice")
        self.attributes[name] = value

    def _take_single(self, name: str, value: str) -> None:
        if name in self.single:
            self.left_out.add(name)
        else:
            self.single[name] = value if name == "NOTE" else " ".join(value.split("\n")).strip()

    def _take_names(self, values: tuple[str, ...]) -> None:
        if self.names:
            self.left_out.add("N")
        else:
            self.names = values + ("",) * (len(NAME_PARTS) - len(values))

    def _take_parts(self, name: str, stem: str, parts: Sequence[str], values: Sequence[str]) -> None:
        if len(values) > len(parts):
            raise FormatError("vcard.value", f"{name} has more than {len(parts)} parts")
        for part, value in zip(parts, values, strict=False):
            if value:
                self._put(f"{stem}.{part}", value)

    def _take_org(self, values: Sequence[str]) -> None:
        if "org" in self.attributes:
            self.left_out.add("ORG")
            return
        kept = [value for value in values if value]
        for number, value in enumerate(kept):
            self._put("org" if number == 0 else "org.unit" if number == 1 else f"org.unit.{number}", value)

    def _take_birthday(self, value: str) -> None:
        if "bday" in self.attributes:
            self.left_out.add("BDAY")
            return
        compact = _COMPACT_DATE.fullmatch(value.split("T")[0])
        day = f"{compact[1] if compact[1] != '--' else '-'}-{compact[2]}-{compact[3]}" if compact else value
        self._put("bday", day.split("T")[0] if _DATE.fullmatch(day.split("T")[0]) else value)

    def _take_identity(self, item: Property, value: str) -> None:
        try:
            self.identity = IdentityId.from_text(value).public_key
        except InputError:
            raise FormatError("vcard.identity", "the card names an identity that is none") from None

    def _name_of_parts(self) -> str:
        if any(self.names):
            family, given, additional, prefix, suffix = self.names[: len(NAME_PARTS)]
            return " ".join(" ".join((prefix, given, additional, family, suffix)).split())
        return self.attributes.get("org", "").replace("\n", " ").strip()
