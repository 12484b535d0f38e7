"""QR codes that walletcli draws are read by ZXing: from PNG files and from terminals, and lead to the contact."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.core.samples import ALICE, DAY
from tests.peers.qr_reader import as_photographed, read_image, read_png, terminal_image
from walletcli.cli import qr
from walletcli.core.card import MAX_LINK_CARD_BYTES, Card, from_link, to_link
from walletcli.core.cose import Sign1
from walletcli.core.identity_id import IdentityId
from walletcli.core.relation import from_link as relation_of
from walletcli.core.relation import to_link as relation_link

DID = IdentityId(ALICE.public_key).did
CARD = Sign1.sign(
    ALICE,
    Card.TYP,
    Card(ALICE.public_key, {"name": "Alice ☿"}, DAY, DAY + 365, ("https://relay.example",)).to_payload(),
).to_bytes()
LINK = to_link(CARD).upper()


@pytest.mark.parametrize("text", [DID, LINK, "A", "née ☿"])
def test_an_image_is_read_by_zxing(text: str) -> None:
    assert read_png(qr.png(text)) == text


@pytest.mark.parametrize("text", [DID, LINK])
@pytest.mark.parametrize("dark", [True, False])
def test_a_terminal_is_read_by_zxing(text: str, dark: bool) -> None:
    assert read_image(terminal_image(qr.lines(text), dark=dark)) == text


@pytest.mark.parametrize("text", [DID, LINK])
def test_a_code_that_is_seen_askew_and_blurred_is_read(text: str) -> None:
    assert read_image(as_photographed(terminal_image(qr.lines(text)))) == text
    assert read_image(as_photographed(Image.open(io.BytesIO(qr.png(text))))) == text


def test_the_longest_card_that_has_a_link_has_a_code() -> None:
    link = to_link(bytes(range(256)) * 10 + bytes(MAX_LINK_CARD_BYTES - 2560)).upper()
    assert read_png(qr.png(link)) == link


def test_what_is_read_is_the_card() -> None:
    assert from_link(read_png(qr.png(LINK))) == CARD


def test_a_relation_fits_a_code_too() -> None:
    signed = (bytes(range(256)) + bytes(50), None)
    assert relation_of(read_png(qr.png(relation_link(signed).upper()))).signed == signed


def test_a_link_is_coded_in_the_mode_for_letters_and_digits() -> None:
    assert len(qr.matrix(LINK)) < len(qr.matrix(LINK.lower()))


def test_an_image_has_one_bit_for_a_pixel_and_a_quiet_zone() -> None:
    image = Image.open(io.BytesIO(qr.png(DID)))
    modules = len(qr.matrix(DID))
    assert (image.mode, image.size) == ("1", (8 * modules, 8 * modules))
    assert all(image.getpixel((at, 31)) == 255 for at in range(image.width))
