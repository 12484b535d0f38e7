"""npm ical.js reads our vCards: the values that were written come out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from walletcli.core.identity_id import IdentityId
from walletcli.core.vcard import VCard, to_properties
from walletcli.wallet.vcards import Version, write_vcards

KEY = IdentityId.from_text("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK").public_key

CARDS = {
    "a name": VCard("Ada"),
    "everything": VCard(
        "Countess Ada King Lovelace",
        "4fbe8971-0bc3-424c-9c26-36c3e1eff6b1",
        KEY,
        "first line\nsecond line, with a comma",
        {
            "name.family": "Lovelace",
            "name.given": "Ada",
            "name.prefix": "Countess",
            "org": "Engines, Ltd.",
            "org.unit": "Programs; tables",
            "bday": "1815-12-10",
            "email": "ada@example.org",
            "email.work": "ada@engines.example",
            "email.work.2": "king@engines.example",
            "tel.cell": "+44 20 7946 0000",
            "tel.work.fax": "+44 20 7946 0001,,2",
            "adr.home.street": "12 St James's Sq; rear\nsecond floor",
            "adr.home.locality": "London",
            "adr.work.2.street": "not in order",
            "nickname": "the enchantress, of number",
            "title": "programmer",
            "role": "author",
            "url": "https://example.org/a,b;c?d=e:f",
            "impp": "xmpp:ada@example.org",
            "mastodon": "@ada@example.org, \\o/",
        },
    ),
    "letters of many bytes, folded": VCard("é" * 100, note="水銀 ☿ 👩‍🚀 " * 60),
    "quotes and colons": VCard('"Ada": \\n^', note=' "x:y" = \\\\ '),
    "what looks like lines": VCard("Ada", note="END:VCARD\nBEGIN:VCARD\nFN:Mallory"),
}


def values_of(card: VCard) -> list[tuple[str, Any]]:
    """Return what must come out, sorted: property and value."""
    found: list[tuple[str, Any]] = []
    for item in to_properties(card):
        parts = list(item.values) if item.name in ("N", "ADR") or len(item.values) > 1 else item.values[0]
        found.append((item.name.lower(), parts))
    return sorted(found, key=repr)


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize("name", CARDS)
def test_ical_js_reads_the_values_that_were_written(ical: Callable[[bytes], Any], name: str, version: Version) -> None:
    (properties,) = ical(write_vcards([CARDS[name]], version))
    found = [(prop, value) for prop, _, _, value in properties if prop != "version"]
    if version is Version.V3 and "name.given" not in CARDS[name].attributes:
        found = [item for item in found if item[0] != "n"]  # version 3.0 always has one
    assert sorted(found, key=repr) == values_of(CARDS[name])
    assert ["version", {}, "text", str(version)] in properties


@pytest.mark.parametrize("version", Version)
def test_ical_js_sees_as_many_cards_as_there_are(ical: Callable[[bytes], Any], version: Version) -> None:
    assert len(ical(write_vcards(list(CARDS.values()), version))) == len(CARDS)


@pytest.mark.parametrize("version", Version)
def test_ical_js_sees_the_kinds(ical: Callable[[bytes], Any], version: Version) -> None:
    (properties,) = ical(write_vcards([CARDS["everything"]], version))
    kinds = {value: parameters.get("type") for prop, parameters, _, value in properties if prop in ("email", "tel")}
    lowered = {key: [text.lower() for text in kind] if isinstance(kind, list) else kind for key, kind in kinds.items()}
    assert lowered["+44 20 7946 0001,,2"] == ["work", "fax"]
    assert str(lowered["king@engines.example"]).lower() == "work"
    assert lowered["ada@example.org"] is None
