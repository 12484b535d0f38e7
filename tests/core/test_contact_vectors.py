"""tests/vectors/contact.json: cards, relations, exports, their files and links, safety words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.vectors import load, name
from walletcli.core.card import MAX_CARD_BYTES, Card, CardFile, from_link, to_link, verify_card
from walletcli.core.contact_export import verify_entries, verify_export
from walletcli.core.cose import Sign1
from walletcli.core.export_file import OpenExport, SealedExport, read_export_file
from walletcli.core.relation import RelationFile, verify_relation
from walletcli.core.safety import safety_picture, safety_words
from walletcli.core.secret import Secret
from walletcli.errors import WalletError


def _read(case: dict[str, Any]) -> Any:
    """Read a case as the specification says, all the way; what is read is written the same."""
    data = bytes.fromhex(case.get("hex", ""))
    match case["kind"]:
        case "card":
            card, sign1 = verify_card(data)
            assert Sign1(Card.TYP, sign1.signer, card.to_payload(), sign1.signature).to_bytes() == data
            return card, sign1
        case "card-file":
            file = CardFile.from_bytes(data)
            assert file.to_bytes() == data
            return verify_card(file.card)
        case "card-link":
            return from_link(case["text"])
        case "relation":
            relation_file = RelationFile.from_bytes(data)
            assert relation_file.to_bytes() == data
            return verify_relation(*relation_file.signed)
        case "export":
            export, _ = verify_export(data)
            assert not any(item.errors for item in verify_entries(export))
            return export
        case kind:
            assert kind == "export-file"
            return _export_file(case, data)


def _export_file(case: dict[str, Any], data: bytes) -> OpenExport:
    found = read_export_file(data)
    assert found.to_bytes() == data
    opened = found.open(Secret(bytes.fromhex(case["scalar"]))) if isinstance(found, SealedExport) else found
    verify_export(opened.export)
    return opened


@pytest.mark.parametrize("case", load("contact.json"), ids=name)
def test_valid_ones_are_read_and_written_the_same(case: dict[str, Any]) -> None:
    found = _read(case)
    if case["kind"] == "card":
        assert found[0].attributes == case["attributes"] and found[1].signer.hex() == case["signer"]
    if case["kind"] == "card-link":
        assert found.hex() == case["card"] and to_link(found).lower() == case["text"].lower()
    if case["kind"] == "export-file":
        assert found.export.hex() == case["export"]


@pytest.mark.parametrize("case", load("contact.json", "invalid"), ids=name)
def test_invalid_ones_end_in_their_error(case: dict[str, Any]) -> None:
    with pytest.raises(WalletError) as raised:
        _read(case)
    assert raised.value.code == case["error"]
    assert raised.value.hint


@pytest.mark.parametrize("case", load("contact.json"), ids=name)
def test_no_valid_one_is_valid_cut_short_or_with_a_byte_more(case: dict[str, Any]) -> None:
    for change in ((lambda data: data[:-2]), (lambda data: data + "00")):
        for field in {"hex", "text"} & case.keys():
            with pytest.raises(WalletError):
                _read_all({**case, field: change(case[field])})


def _read_all(case: dict[str, Any]) -> None:
    found = _read(case)
    if case["kind"] == "card-link":
        verify_card(found)


@pytest.mark.parametrize("case", load("contact.json", "safety"), ids=name)
def test_both_sides_see_the_same_words_and_picture(case: dict[str, Any]) -> None:
    one, other = map(bytes.fromhex, case["keys"])
    for pair in ((one, other), (other, one)):
        assert " ".join(safety_words(*pair)) == case["words"]
        assert list(safety_picture(*pair)) == case["picture"]


def test_a_card_of_the_longest_size_is_read() -> None:
    longest = max((bytes.fromhex(case["hex"]) for case in load("contact.json") if case["kind"] == "card"), key=len)
    assert 1024 < len(longest) < MAX_CARD_BYTES
