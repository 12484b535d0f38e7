"""The owner's section: what it holds, and what its length says."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from walletcli.errors import FormatError
from walletcli.wallet.state.sections import STEP_BYTES, OwnerSection, seal_section

KEY = bytes([9]) + bytes(31)


def test_what_is_written_is_read() -> None:
    section = OwnerSection("Zoë", {"phone": "1", "note": "x" * 900})
    assert OwnerSection.from_bytes(section.to_bytes()) == section


def test_its_length_says_little() -> None:
    lengths = {
        len(seal_section(OwnerSection("x" * n, {"a": "y" * n}), bytes(32), [KEY, KEY], os.urandom))
        for n in range(0, 200, 7)
    }
    assert len(lengths) == 1


@pytest.mark.parametrize("size", [100, 5000])
def test_it_is_padded_to_steps(size: int) -> None:
    attributes = {f"a{n}": "x" * 1000 for n in range(size // 1000)}
    assert len(OwnerSection("x", attributes).to_bytes()) % STEP_BYTES == 0


def test_more_than_fits_is_refused() -> None:
    with pytest.raises(FormatError) as refused:
        OwnerSection("x", {f"a{n}": "x" * 1024 for n in range(13)}).to_bytes()
    assert refused.value.code == "owner-section.too-long"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data + bytes(STEP_BYTES),
        lambda data: data[:-1] + b"\1",
        lambda data: b"\xff\xff" + data[2:],
        lambda data: b"\0\0" + data[2:],
        lambda data: data[:2] + b"\xff" + data[3:],
    ],
)
def test_a_section_that_is_not_exactly_right_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(FormatError):
        OwnerSection.from_bytes(spoil(OwnerSection("x", {"a": "b"}).to_bytes()))
