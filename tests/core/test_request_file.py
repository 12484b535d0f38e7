"""tests/vectors/request.json: request files and response files; their sizes, days and digests."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.core.samples import ALICE, DAY
from tests.core.vectors import load, name
from tests.vectors.cases_request import ID, create, made, request, response, sign, signed
from walletcli.core.card import Card
from walletcli.core.request_file import MAGIC, MAX_FILE_BYTES, RequestFile, digest_words
from walletcli.core.request_items import SignItem
from walletcli.core.response import MAX_FILE_BYTES as MAX_RESPONSE_FILE_BYTES
from walletcli.core.response import ResponseFile
from walletcli.errors import FormatError, InputError, WalletError


def read(case: dict[str, Any]) -> RequestFile | ResponseFile:
    data = bytes.fromhex(case["hex"])
    found = RequestFile.from_bytes(data) if case["kind"] == "request" else ResponseFile.from_bytes(data)
    assert found.to_bytes() == data
    return found


@pytest.mark.parametrize("case", load("request.json"), ids=name)
def test_valid_ones_are_read_and_written_the_same(case: dict[str, Any]) -> None:
    found = read(case)
    if isinstance(found, RequestFile):
        assert found.digest.hex() == case["digest"] == hashlib.sha256(bytes.fromhex(case["hex"])).hexdigest()
        assert " ".join(digest_words(found.digest)) == case["words"]


@pytest.mark.parametrize("case", load("request.json", "invalid"), ids=name)
def test_invalid_ones_end_in_their_error(case: dict[str, Any]) -> None:
    with pytest.raises(WalletError) as raised:
        read(case)
    assert raised.value.code == case["error"]
    assert raised.value.hint


@pytest.mark.parametrize("case", load("request.json"), ids=name)
def test_no_valid_one_is_valid_cut_short_or_altered(case: dict[str, Any]) -> None:
    data = bytearray.fromhex(case["hex"])
    with pytest.raises(WalletError):
        read({**case, "hex": data[:-1].hex()})
    if case["kind"] == "response":
        for position in range(len(data) - 64, len(data), 7):
            altered = bytearray(data)
            altered[position] ^= 1
            with pytest.raises(WalletError):
                read({**case, "hex": altered.hex()})


def test_a_file_that_is_too_long_is_not_parsed() -> None:
    with pytest.raises(FormatError) as refused:
        RequestFile.from_bytes(MAGIC + bytes(MAX_FILE_BYTES))
    assert refused.value.code == "request.file"
    with pytest.raises(FormatError) as refused:
        ResponseFile.from_bytes(b"walletcli response 1\n" + bytes(MAX_RESPONSE_FILE_BYTES))
    assert refused.value.code == "response.file"


def test_a_response_that_is_too_long_is_not_parsed() -> None:
    with pytest.raises(FormatError) as refused:
        ResponseFile.from_bytes(response(signed(made(_7=bytes(82_800)))))
    assert refused.value.code == "cose.too-long"


def test_a_request_that_would_be_too_long_is_not_made() -> None:
    item = SignItem(ALICE.public_key, 0, Card.TYP, bytes(MAX_FILE_BYTES))
    with pytest.raises(FormatError) as refused:
        RequestFile(ID, DAY, DAY + 1, (item,))
    assert refused.value.code == "request.malformed"


@pytest.mark.parametrize(("today", "holds"), [(DAY - 9, True), (DAY, True), (DAY + 13, True), (DAY + 14, False)])
def test_a_request_holds_until_the_day_before_its_end(today: int, holds: bool) -> None:
    found = RequestFile.from_bytes(request(create()))
    assert found.has_expired(today) is not holds


def test_items_are_counted_from_one() -> None:
    found = RequestFile.from_bytes(request(create(), sign()))
    assert found.item(2) is found.items[1]
    for number in (0, 3, -1):
        with pytest.raises(InputError) as refused:
            found.item(number)
        assert refused.value.code == "request.item"


def test_another_day_is_another_digest() -> None:
    files = [RequestFile.from_bytes(request(create(), _3=DAY + days)) for days in (1, 2)]
    assert files[0].digest != files[1].digest
    assert digest_words(files[0].digest) != digest_words(files[1].digest)
