"""Cards: their days, links and sizes; and files that are far too long."""

from __future__ import annotations

import pytest
import qrcode

from tests.core.samples import ALICE, BOB, DAY, devices, key, payload_of
from walletcli.core.authority import check_authority
from walletcli.core.card import (
    LINK_PREFIX,
    MAX_CARD_BYTES,
    MAX_FILE_BYTES,
    MAX_LINK_CARD_BYTES,
    Card,
    CardFile,
    from_link,
    to_link,
    verify_card,
)
from walletcli.core.cose import Sign1
from walletcli.core.document import Document
from walletcli.core.document_parts import Power
from walletcli.core.record import Record
from walletcli.core.short_record import MAX_SHORT_BYTES, from_short, to_short
from walletcli.errors import FormatError, InputError, VerificationError

CARD = Card(ALICE.public_key, {"name": "Alice"}, DAY, DAY + 30)


def signed(card: Card = CARD) -> bytes:
    return Sign1.sign(ALICE, Card.TYP, card.to_payload()).to_bytes()


@pytest.mark.parametrize(
    ("today", "code"),
    [
        (DAY - 2, "card.not-yet"),
        (DAY - 1, None),
        (DAY, None),
        (DAY + 29, None),
        (DAY + 30, "card.expired"),
        (DAY + 9999, "card.expired"),
    ],
)
def test_a_card_holds_from_the_day_before_it_was_made_to_the_day_before_its_end(today: int, code: str | None) -> None:
    if code is None:
        CARD.check_day(today)
        return
    with pytest.raises(VerificationError) as raised:
        CARD.check_day(today)
    assert raised.value.code == code


def test_the_longest_link_fills_the_largest_qr_code_and_no_more() -> None:
    text = to_link(bytes(MAX_LINK_CARD_BYTES)).upper()
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_L)
    code.add_data(text, optimize=0)
    assert code.best_fit() == 40
    assert code.data_list[0].mode == qrcode.util.MODE_ALPHA_NUM
    assert len(to_link(bytes(MAX_LINK_CARD_BYTES))) + 1 == 4296
    with pytest.raises(InputError) as raised:
        to_link(bytes(MAX_LINK_CARD_BYTES + 1))
    assert raised.value.code == "card.too-long-for-link"


def test_a_card_with_a_name_makes_a_link_as_long_as_the_specification_says() -> None:
    assert 200 < len(signed()) < 230
    assert len(to_link(signed())) < 380


@pytest.mark.parametrize("space", ["", " ", "\n", "\t\r\n"])
def test_white_space_around_a_link_is_dropped(space: str) -> None:
    assert from_link(space + to_link(signed()) + space) == signed()


def test_an_endless_link_is_refused_before_it_is_read() -> None:
    with pytest.raises(FormatError) as raised:
        from_link(LINK_PREFIX + "A" * 10_000_000)
    assert raised.value.code == "card.link"


def test_the_longest_file_can_be_read_and_a_longer_one_is_refused() -> None:
    file = CardFile(bytes(MAX_CARD_BYTES), bytes(MAX_SHORT_BYTES))
    assert CardFile.from_bytes(file.to_bytes()) == file
    with pytest.raises(FormatError) as raised:
        CardFile.from_bytes(file.to_bytes().ljust(MAX_FILE_BYTES + 1, b"\0"))
    assert raised.value.code == "card.file"


def test_a_devices_signature_counts_with_the_record_in_the_file() -> None:
    document = Document(ALICE.public_key, 1, delegations=devices(2))
    record = Record.from_payload(ALICE.public_key, payload_of(document), document.to_bytes())
    card = Sign1.sign(key("device 0"), Card.TYP, CARD.to_payload()).to_bytes()
    file = CardFile.from_bytes(CardFile(card, to_short(record)).to_bytes())
    found, sign1 = verify_card(file.card)
    assert file.short_record is not None
    check_authority(sign1, found.identity, from_short(file.short_record), Power.SHARE, DAY, root_allowed=True)


def test_another_identitys_card_keeps_its_own_name_only() -> None:
    forged = Sign1.sign(BOB, Card.TYP, CARD.to_payload()).to_bytes()
    found, sign1 = verify_card(forged)
    document = Document(ALICE.public_key, 1, delegations=devices(2))
    with pytest.raises(VerificationError) as raised:
        check_authority(sign1, found.identity, document, Power.SHARE, DAY, root_allowed=True)
    assert raised.value.code == "authority.not-delegated"
