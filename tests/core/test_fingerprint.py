from __future__ import annotations

import pytest

from walletcli.core.fingerprint import HEIGHT, WIDTH, fingerprint

KEY = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")


def test_the_picture_of_a_key_never_changes() -> None:
    assert fingerprint(KEY) == PICTURE


@pytest.mark.parametrize("key", [bytes(32), bytes(range(32)), b"\xff" * 32, KEY])
def test_a_picture_is_a_framed_board_of_printable_ascii(key: bytes) -> None:
    lines = fingerprint(key)
    assert len(lines) == HEIGHT + 2
    assert {len(line) for line in lines} == {WIDTH + 2}
    text = "".join(lines)
    assert text.isascii()
    assert text.isprintable()
    assert text.count("E") == 1


def test_one_bit_makes_another_picture() -> None:
    pictures = {fingerprint((int.from_bytes(KEY, "big") ^ (1 << bit)).to_bytes(32, "big")) for bit in range(256)}
    assert len(pictures) == 256


PICTURE = (
    "+-----------------+",
    "|o. oo=+. .o      |",
    "|.o  o .o o       |",
    "|  o.  . +        |",
    "| ..o. oo .       |",
    "|. .o.*. S        |",
    "|..o =o + .       |",
    "|*o +oo+ .        |",
    "|B * .o.=         |",
    "| *++..E +.       |",
    "+-----------------+",
)
