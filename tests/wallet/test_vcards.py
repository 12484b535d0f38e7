"""vCards as other programs write them come in, or are refused with a reason; ours can be read by anybody."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from walletcli.core import vcard_lines
from walletcli.core.identity_id import IdentityId
from walletcli.core.vcard import VCard
from walletcli.core.vcard_lines import MAX_CARD_LINES, MAX_CARDS, MAX_FILE_BYTES, MAX_LINE_BYTES
from walletcli.errors import FormatError
from walletcli.wallet.vcards import Version, read_vcards, write_vcards

PHOTO = "\r\n ".join(base64.b64encode(bytes(range(256)) * 9).decode()[at : at + 74] for at in range(0, 3072, 74))

APPLE = f"""BEGIN:VCARD
VERSION:3.0
PRODID:-//Apple Inc.//iOS 17.4//EN
N:Lovelace;Ada;King;Countess;
FN:Countess Ada King Lovelace
NICKNAME:Ada
ORG:Analytical Engines\\, Ltd.;Programs;
TITLE:First programmer
EMAIL;type=INTERNET;type=HOME;type=pref:ada@example.org
item1.EMAIL;type=INTERNET:ada@engines.example
item1.X-ABLabel:_$!<Other>!$_
TEL;type=CELL;type=VOICE;type=pref:\u202a+44 20 7946 0000\u202c
TEL;type=IPHONE;type=CELL;type=VOICE:+44 20 7946 0001
item2.ADR;type=HOME;type=pref:;;12 St James's Sq;London;;SW1Y 4JH;United Kingdom
item2.X-ABADR:gb
item3.URL;type=pref:http\\://example.org/notes\\,g
BDAY:1815-12-10
NOTE:Note G\\nwith a table\\; and more
PHOTO;ENCODING=b;TYPE=JPEG:{PHOTO}
END:VCARD
"""

GOOGLE = """BEGIN:VCARD
VERSION:3.0
FN:Grace Hopper
N:Hopper;Grace;Brewster;;
EMAIL;TYPE=INTERNET;TYPE=WORK:grace@example.org
TEL;TYPE=WORK:+1 202-555-0100
TEL;TYPE=WORK;TYPE=FAX:+1 202-555-0101
ADR;TYPE=WORK:;;1 Navy Yard;Washington;DC;20374;USA
ORG:US Navy, Reserve
URL;TYPE=PROFILE:http\\://www.google.com/profiles/1
BDAY;VALUE=text:--12-09
NOTE:Bug, found; taped into the book
CATEGORIES:myContacts,starred
END:VCARD
BEGIN:VCARD
VERSION:3.0
FN:
N:;;;;
EMAIL;TYPE=INTERNET:nobody@example.org
END:VCARD
"""

ANDROID_21 = """BEGIN:VCARD
VERSION:2.1
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=C3=89;Jos=C3=A9;;;
FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=4A=6F=73=C3=A9=20=
=C3=89
TEL;CELL:+33 1 99 00 00 00
END:VCARD
"""

OUTLOOK = """BEGIN:VCARD
VERSION:3.0
PRODID:-//Microsoft Corporation//Outlook 16.0 MIMEDIR//EN
N;LANGUAGE=de;CHARSET=Windows-1252:Müller;Jürgen
FN;CHARSET=Windows-1252:Jürgen Müller
ORG;CHARSET=Windows-1252:Bäckerei „Süß“
TEL;WORK;VOICE:+49 30 5550100
ADR;WORK;PREF;CHARSET=Windows-1252:;;Straße 1;Köln;;50667;Deutschland
EMAIL;PREF;INTERNET:jm@example.de
X-MS-OL-DESIGN;CHARSET=utf-8:<card xmlns="http://schemas.microsoft.com/office/outlook/12/electronicbusinesscards"/>
REV:20240101T120000Z
END:VCARD
"""

NEXTCLOUD = """BEGIN:VCARD
VERSION:4.0
PRODID:-//Nextcloud Contacts v5.5.3
UID:7e1a2f2c-32e5-4ee9-9e9f-1c1f0f4b1c1d
FN:Zoë Ω Quartier
N:Quartier;Zoë,Ω;;;
EMAIL;TYPE=HOME:zoe@example.net
TEL;TYPE="WORK,VOICE";VALUE=uri:tel:+43-1-5550100
ADR;TYPE=HOME;LABEL="1 Street\\, Wien":;;1 Street;Wien;;1010;Österreich
BDAY:19850412
NOTE:a long note that is folded, in the middle of a word: Donau
 dampfschiff\\, and escaped
ORG:Wien;Unit A;Unit B
IMPP:xmpp:zoe@example.net
REV;VALUE=DATE-AND-OR-TIME:20240101T120000Z
END:VCARD
"""


def crlf(text: str, charset: str = "utf-8") -> bytes:
    return text.replace("\r\n", "\n").replace("\n", "\r\n").encode(charset)


def only(data: bytes) -> VCard:
    found = read_vcards(data)
    assert not found.refused, found.refused[0].error.message
    (item,) = found.cards
    return item.card


def refused(data: bytes) -> str:
    found = read_vcards(data)
    assert not found.cards
    (item,) = found.refused
    assert item.error.message and item.error.hint
    return item.error.code


def card4(*lines: str) -> bytes:
    return crlf("\n".join(["BEGIN:VCARD", "VERSION:4.0", *lines, "END:VCARD", ""]))


def card3(*lines: str) -> bytes:
    return crlf("\n".join(["BEGIN:VCARD", "VERSION:3.0", *lines, "END:VCARD", ""]))


def test_a_card_from_apple() -> None:
    found = read_vcards(crlf(APPLE))
    assert not found.refused
    assert found.cards[0].left_out == ("PHOTO", "PRODID", "X-ABADR", "X-ABLABEL")
    card = found.cards[0].card
    assert card.name == "Countess Ada King Lovelace"
    assert card.note == "Note G\nwith a table; and more"
    assert card.attributes == {
        "name.family": "Lovelace",
        "name.given": "Ada",
        "name.additional": "King",
        "name.prefix": "Countess",
        "nickname": "Ada",
        "org": "Analytical Engines, Ltd.",
        "org.unit": "Programs",
        "title": "First programmer",
        "email.home": "ada@example.org",
        "email": "ada@engines.example",
        "tel.cell": "+44 20 7946 0000",
        "tel.cell.2": "+44 20 7946 0001",
        "adr.home.street": "12 St James's Sq",
        "adr.home.locality": "London",
        "adr.home.code": "SW1Y 4JH",
        "adr.home.country": "United Kingdom",
        "url": "http://example.org/notes,g",
        "bday": "1815-12-10",
    }


def test_cards_from_google_with_a_bad_one_among_them() -> None:
    found = read_vcards(crlf(GOOGLE))
    assert [(item.number, item.error.code) for item in found.refused] == [(2, "vcard.name")]
    (item,) = found.cards
    assert item.left_out == ("CATEGORIES",)
    assert item.card.note == "Bug, found; taped into the book"
    assert item.card.attributes == {
        "name.family": "Hopper",
        "name.given": "Grace",
        "name.additional": "Brewster",
        "email.work": "grace@example.org",
        "tel.work": "+1 202-555-0100",
        "tel.work.fax": "+1 202-555-0101",
        "adr.work.street": "1 Navy Yard",
        "adr.work.locality": "Washington",
        "adr.work.region": "DC",
        "adr.work.code": "20374",
        "adr.work.country": "USA",
        "org": "US Navy, Reserve",
        "url": "http://www.google.com/profiles/1",
        "bday": "--12-09",
    }


def test_progress_is_told_of_every_card_good_or_bad() -> None:
    seen: list[int] = []
    read_vcards(crlf(GOOGLE) + crlf(ANDROID_21) + crlf(NEXTCLOUD), seen.append)
    assert seen == [1, 2, 3, 4]


def test_a_card_of_version_2_1_is_refused_with_its_version() -> None:
    assert refused(crlf(ANDROID_21)) == "vcard.version"


def test_a_card_from_outlook_in_another_character_set() -> None:
    found = read_vcards(crlf(OUTLOOK, "cp1252"))
    card = found.cards[0].card
    assert card.name == "Jürgen Müller"
    assert card.attributes == {
        "name.family": "Müller",
        "name.given": "Jürgen",
        "org": "Bäckerei „Süß“",
        "tel.work": "+49 30 5550100",
        "adr.work.street": "Straße 1",
        "adr.work.locality": "Köln",
        "adr.work.code": "50667",
        "adr.work.country": "Deutschland",
        "email": "jm@example.de",
    }


def test_a_card_of_version_4_from_nextcloud() -> None:
    found = read_vcards(crlf(NEXTCLOUD))
    card = found.cards[0].card
    assert found.cards[0].left_out == ("PRODID", "REV")
    assert (card.name, card.uid) == ("Zoë Ω Quartier", "7e1a2f2c-32e5-4ee9-9e9f-1c1f0f4b1c1d")
    assert card.note == "a long note that is folded, in the middle of a word: Donaudampfschiff, and escaped"
    assert card.attributes == {
        "name.family": "Quartier",
        "name.given": "Zoë Ω",
        "email.home": "zoe@example.net",
        "tel.work": "+43-1-5550100",
        "adr.home.street": "1 Street",
        "adr.home.locality": "Wien",
        "adr.home.code": "1010",
        "adr.home.country": "Österreich",
        "bday": "1985-04-12",
        "org": "Wien",
        "org.unit": "Unit A",
        "org.unit.2": "Unit B",
        "impp": "xmpp:zoe@example.net",
    }


@pytest.mark.parametrize("charset", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_files_in_other_encodings_come_in(charset: str) -> None:
    assert only(crlf(NEXTCLOUD, charset)) == only(crlf(NEXTCLOUD))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_all_line_ends_are_understood(end: str) -> None:
    assert only(NEXTCLOUD.replace("\n", end).encode()) == only(crlf(NEXTCLOUD))


def test_a_letter_may_be_folded_in_its_middle() -> None:
    data = card3("FN:Zoë").replace("ë".encode(), b"\xc3\r\n \xab")
    assert only(data).name == "Zoë"


@pytest.mark.parametrize("charset", ["latin-1", "cp1251", "shift_jis"])
def test_a_file_in_a_character_set_that_it_does_not_name_is_refused(charset: str) -> None:
    text = {"latin-1": "Jürgen", "cp1251": "Борис", "shift_jis": "水銀"}[charset]
    data = crlf(f"BEGIN:VCARD\nVERSION:3.0\nFN:{text}\nEND:VCARD\n", charset)
    assert refused(data) == "vcard.charset"
    named = data.replace(b"FN:", b"FN;CHARSET=" + {"cp1251": "windows-1251"}.get(charset, charset).encode() + b":")
    assert only(named).name == text


DID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"

BAD_CARDS = {
    "an unknown character set": (card3("FN;CHARSET=rot13:Nyvpr"), "vcard.charset"),
    "a codec that is no character set": (card3("FN;CHARSET=zlib:x"), "vcard.charset"),
    "no version": (crlf("BEGIN:VCARD\nFN:x\nEND:VCARD\n"), "vcard.version"),
    "two versions": (card3("VERSION:4.0", "FN:x"), "vcard.version"),
    "version 5": (crlf("BEGIN:VCARD\nVERSION:5.0\nFN:x\nEND:VCARD\n"), "vcard.version"),
    "a version in words": (crlf("BEGIN:VCARD\nVERSION:new\nFN:x\nEND:VCARD\n"), "vcard.version"),
    "4.0 whose version comes late": (crlf("BEGIN:VCARD\nFN:x\nVERSION:4.0\nEND:VCARD\n"), "vcard.version"),
    "quoted-printable in 3.0": (card3("FN;ENCODING=QUOTED-PRINTABLE:=41"), "vcard.version"),
    "quoted-printable alone": (card3("FN;QUOTED-PRINTABLE:=41"), "vcard.version"),
    "base64 in a text": (card3("FN;ENCODING=b:QWRh"), "vcard.encoding"),
    "no name": (card4("EMAIL:a@example.org"), "vcard.name"),
    "no name, 3.0": (card3("EMAIL:a@example.org"), "vcard.name"),
    "4.0 with parts of a name only": (card4("N:Lovelace;Ada;;;"), "vcard.name"),
    "an escape code": (card4("FN:Al\x1b[31mice"), "vcard.control"),
    "a zero byte": (card3("FN:Al\0ice"), "vcard.control"),
    "a bell in a note, 3.0": (card3("FN:x", "NOTE:\a"), "vcard.control"),
    "a C1 control": (card3("FN:x\u0085y"), "vcard.value"),
    "a name that turns around": (card4("FN:Al\u202eice"), "vcard.value"),
    "a name with an invisible character": (card3("FN:Al\u200bice"), "vcard.value"),
    "a line separator": (card4("FN:x", "NOTE:a\u2028b"), "vcard.value"),
    "a huge name": (card3("FN:" + "x" * 1025), "vcard.value"),
    "a huge note": (card4("FN:x", "NOTE:" + "x" * 8193), "vcard.value"),
    "a huge attribute": (card4("FN:x", "TITLE:" + "x" * 1_000_000), "vcard.value"),
    "65 attributes": (card4("FN:x", *[f"EMAIL:{n}@example.org" for n in range(65)]), "vcard.value"),
    "nine parts of an address": (card4("FN:x", "ADR:a;b;c;d;e;f;g;h;i"), "vcard.value"),
    "one attribute twice": (
        card4("FN:x", "X-WALLETCLI-ATTRIBUTE;X-NAME=a:x", "X-WALLETCLI-ATTRIBUTE;X-NAME=a:y"),
        "vcard.value",
    ),
    "an attribute without a name": (card4("FN:x", "X-WALLETCLI-ATTRIBUTE:y"), "vcard.value"),
    "an attribute named name": (card3("FN:x", "X-WALLETCLI-ATTRIBUTE;X-NAME=name:y"), "vcard.value"),
    "an attribute with a bad name": (card3("FN:x", "X-WALLETCLI-ATTRIBUTE;X-NAME=A B:y"), "vcard.value"),
    "an identity that is none": (card4("FN:x", "URL:did:key:z6Mkxxxx"), "vcard.identity"),
    "a line without a colon": (card4("FN:x", "hello"), "vcard.line"),
    "a line without a name": (card3("FN:x", ":hello"), "vcard.line"),
    "a name with a space": (card3("FN:x", "E MAIL:a"), "vcard.line"),
    "a parameter without its end": (card4("FN:x", 'TEL;TYPE="home:1'), "vcard.line"),
    "a quote in a parameter": (card4("FN:x", 'TEL;TYPE=ho"me:1'), "vcard.line"),
    "a parameter alone, 4.0": (card4("FN:x", "TEL;HOME:1"), "vcard.line"),
    "too many parameters": (card3("FN:x", "TEL;TYPE=" + "a," * 100 + "a:1"), "vcard.line"),
    "an escape that there is not": (card4("FN:x\\y"), "vcard.escape"),
    "a backslash at the end": (card4("FN:x\\"), "vcard.escape"),
    "too many lines": (card4("FN:x", *["X-A:b"] * MAX_CARD_LINES), "vcard.too-long"),
    "no end": (crlf("BEGIN:VCARD\nVERSION:3.0\nFN:x\n"), "vcard.truncated"),
}


@pytest.mark.parametrize("name", BAD_CARDS)
def test_a_bad_card_is_refused_and_spoils_no_other(name: str) -> None:
    data, code = BAD_CARDS[name]
    assert refused(data) == code
    both = read_vcards(card3("FN:before") + data + card4("FN:after"))
    assert [item.card.name for item in both.cards] == ["before", "after"]
    assert [(item.number, item.error.code) for item in both.refused] == [(2, code)]


BAD_FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "vcard.none"),
    "white lines": (lambda: b"\r\n\r\n", "vcard.none"),
    "a web page": (lambda: b"<!doctype html>", "vcard.none"),
    "a calendar": (lambda: b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", "vcard.none"),
    "a zip archive": (lambda: b"PK\3\4" + bytes(500), "vcard.none"),
    "text behind a card": (lambda: card3("FN:x") + b"hello\r\n", "vcard.none"),
    "zero bytes": (lambda: bytes(100), "vcard.charset"),
    "UTF-32": (lambda: crlf(NEXTCLOUD, "utf-32"), "vcard.charset"),
    "half of a UTF-16 letter": (lambda: crlf(NEXTCLOUD, "utf-16") + b"x", "vcard.charset"),
    "too long": (lambda: bytes(MAX_FILE_BYTES + 1), "vcard.too-long"),
    "one endless line": (lambda: card3("FN:" + "x" * MAX_LINE_BYTES), "vcard.too-long"),
    "one endless folded line": (lambda: card3("FN:x", "NOTE:" + "\n x" * MAX_LINE_BYTES), "vcard.too-long"),
    "too many cards": (lambda: b"BEGIN:VCARD\nEND:VCARD\n" * (MAX_CARDS + 1), "vcard.too-many"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused(name: str) -> None:
    make, code = BAD_FILES[name]
    with pytest.raises(FormatError) as raised:
        read_vcards(make())
    assert raised.value.code == code and raised.value.hint


@pytest.mark.parametrize(
    "line",
    [
        "TEL;" + "A=," * 60 + "!",
        "TEL" + ";A" * 60 + "!",
        "TEL;" + "a=b;" * 60,
        "TEL;A=" + '"b",' * 60 + '"',
        "A" * 100_000 + ":",
        "TEL;A=" + "b" * 1_000_000,
        "NOTE:" + "\\" * 1_000_000,
        "N:" + ";" * 1_000_000,
        "ADR:" + "," * 1_000_000,
    ],
    ids=lambda line: line[:12] + line[-3:],
)
@pytest.mark.parametrize("version", ["3.0", "4.0"])
def test_reading_any_line_comes_to_an_end(line: str, version: str) -> None:
    data = crlf(f"BEGIN:VCARD\nVERSION:{version}\nFN:x\n{line}\nEND:VCARD\n")
    found = read_vcards(data)  # exponential time would meet the suite's limit
    assert len(found.cards) + len(found.refused) == 1


def injected(version: Version) -> list[str]:
    evil = "x\nEND:VCARD\nBEGIN:VCARD\nVERSION:3.0\nFN:Mallory"
    card = VCard(
        "Ada", note=evil, attributes={"title": evil, "adr.street": evil, "org": evil, "x-y": evil, "bday": evil}
    )
    return write_vcards([card], version).decode().split("\r\n")


@pytest.mark.parametrize("version", Version)
def test_no_value_makes_a_line_of_its_own(version: Version) -> None:
    lines = injected(version)
    assert lines.count("END:VCARD") == lines.count("BEGIN:VCARD") == 1
    assert not any("\n" in line or "\r" in line for line in lines)
    assert not any(line.startswith("FN:Mallory") for line in lines)


@pytest.mark.parametrize("text", ["a\rb", "a\r\nb", "\x1b", "a\u2028b", "a\x85b", ""])
def test_a_card_cannot_be_made_of_what_does_not_show(text: str) -> None:
    for make in (
        lambda: VCard(text),
        lambda: VCard("x", uid=text),
        lambda: VCard("x", note=text),
        lambda: VCard("x", attributes={"title": text}),
    ):
        with pytest.raises(FormatError) as raised:
            make()
        assert raised.value.code == "vcard.value"


@pytest.mark.parametrize("version", Version)
def test_the_identity_goes_out_and_comes_in(version: Version) -> None:
    key = IdentityId.from_text(DID).public_key
    card = VCard("Ada", identity=key, attributes={"url": "https://example.org/a,b;c"})
    data = write_vcards([card], version)
    assert f"URL:{DID}".encode() in data.replace(b"\r\n ", b"")
    assert only(data) == card


@pytest.mark.parametrize("version", Version)
def test_lines_are_folded_and_no_letter_is_cut(version: Version) -> None:
    card = VCard("é" * 400, note="水" * 900)
    lines = write_vcards([card], version).split(b"\r\n")
    assert all(len(line) <= 75 for line in lines)
    assert all(line.decode() for line in lines[:-1])
    assert only(b"\r\n".join(lines)) == card


def test_version_3_has_the_name_parts_that_it_must_have() -> None:
    assert b"\r\nN:;Ada;;;\r\n" in write_vcards([VCard("Ada")], Version.V3)
    assert b"\r\nN:" not in write_vcards([VCard("Ada")], Version.V4)


def test_lines_that_are_given_to_vobject_are_of_properties_that_we_use(monkeypatch: pytest.MonkeyPatch) -> None:
    import vobject

    seen: list[str] = []
    read_one = vobject.readOne
    monkeypatch.setattr(vobject, "readOne", lambda text: seen.append(text) or read_one(text))
    read_vcards(crlf(APPLE))
    (text,) = seen
    assert "PHOTO" not in text and "X-AB" not in text and "item" not in text
    assert max(map(len, text.split("\r\n"))) < 200


def test_the_list_of_character_sets_is_known_to_the_platform() -> None:
    for codec in vcard_lines._CHARSETS.values():
        assert "A".encode(codec)
