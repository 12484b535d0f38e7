from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.core.vectors import load, name
from walletcli.core import encodings
from walletcli.errors import FormatError


@pytest.mark.parametrize("case", load("encodings.json", "z32"), ids=name)
def test_z_base_32_reads_and_writes_the_published_examples(case: dict[str, str]) -> None:
    data = bytes.fromhex(case["hex"])
    assert encodings.z32_encode(data) == case["text"]
    assert encodings.z32_decode(case["text"], len(data)) == data


@pytest.mark.parametrize("case", load("encodings.json", "base58"), ids=name)
def test_base58_reads_and_writes_the_published_examples(case: dict[str, str]) -> None:
    data = bytes.fromhex(case["hex"])
    assert encodings.base58_encode(data) == case["text"]
    assert encodings.base58_decode(case["text"]) == data


@pytest.mark.parametrize("case", load("encodings.json", "base64url"), ids=name)
def test_base64url_reads_and_writes_the_published_examples(case: dict[str, str]) -> None:
    data = bytes.fromhex(case["hex"])
    assert encodings.b64url_encode(data) == case["text"]
    assert encodings.b64url_decode(case["text"]) == data


@pytest.mark.parametrize("case", load("encodings.json", "z32_invalid"), ids=name)
def test_z_base_32_has_one_text_for_a_value(case: dict[str, Any]) -> None:
    with pytest.raises(FormatError) as raised:
        encodings.z32_decode(case["text"], case["length_bytes"])
    assert raised.value.code == "encoding.z32"


@pytest.mark.parametrize("case", load("encodings.json", "base58_invalid"), ids=name)
def test_base58_refuses_what_its_encoder_would_not_write(case: dict[str, str]) -> None:
    with pytest.raises(FormatError) as raised:
        encodings.base58_decode(case["text"])
    assert raised.value.code == "encoding.base58"


@pytest.mark.parametrize("case", load("encodings.json", "base64url_invalid"), ids=name)
def test_base64url_has_one_text_for_a_value(case: dict[str, str]) -> None:
    with pytest.raises(FormatError) as raised:
        encodings.b64url_decode(case["text"])
    assert raised.value.code == "encoding.base64url"


@pytest.mark.parametrize("length_bytes", range(70))
@pytest.mark.parametrize("fill", [b"\x00", b"\x01", b"\x7f", b"\x80", b"\xff"])
def test_every_length_comes_back(length_bytes: int, fill: bytes) -> None:
    data = fill * length_bytes
    assert encodings.z32_decode(encodings.z32_encode(data), length_bytes) == data
    assert encodings.base58_decode(encodings.base58_encode(data)) == data
    assert encodings.b64url_decode(encodings.b64url_encode(data)) == data


@pytest.mark.parametrize("length_bytes", [0, 31, 33, 64])
def test_z_base_32_of_32_bytes_is_no_other_length(length_bytes: int) -> None:
    with pytest.raises(FormatError):
        encodings.z32_decode(encodings.z32_encode(bytes(32)), length_bytes)


def test_base58_is_limited_before_it_is_parsed() -> None:
    with pytest.raises(FormatError, match="too many"):
        encodings.base58_decode("z" * 10_000_000)
    with pytest.raises(FormatError):
        encodings.base58_decode("1" * 35, max_bytes=34)
    with pytest.raises(FormatError, match="at most 34"):
        encodings.base58_decode("z" * 47, max_bytes=34)
    assert encodings.base58_decode("1" * 34, max_bytes=34) == bytes(34)


@pytest.mark.parametrize(
    "decode",
    [lambda text: encodings.z32_decode(text, 1), encodings.base58_decode, encodings.b64url_decode],
    ids=["z32", "base58", "base64url"],
)
@pytest.mark.parametrize("text", ["\ud800\ud800", "\x00\x00", "é", "٣٣", "\u200by", "_1", "+1", "-", " y", "y\n"])
def test_text_from_outside_ends_in_our_error(decode: Callable[[str], bytes], text: str) -> None:
    with pytest.raises(FormatError):
        decode(text)


BASE32 = {b"": "", b"f": "MY", b"fo": "MZXQ", b"foo": "MZXW6", b"foob": "MZXW6YQ", b"fooba": "MZXW6YTB"}
"""RFC 4648 section 10, without its padding."""


@pytest.mark.parametrize("data", BASE32)
def test_base32_reads_and_writes_the_published_examples_in_either_case(data: bytes) -> None:
    text = BASE32[data]
    assert encodings.b32_encode(data) == text
    assert encodings.b32_decode(text, 5) == encodings.b32_decode(text.lower(), 5) == data


@pytest.mark.parametrize(
    "text", ["M", "MZX", "MZXW6Y", "MY======", "MZ", "M1", "M Y", "MY\n", "МY", "ſY", "MZXW6YTBM", "A" * 1_000_000]
)
def test_base32_refuses_what_its_encoder_would_not_write(text: str) -> None:
    with pytest.raises(FormatError) as raised:
        encodings.b32_decode(text, 5)
    assert raised.value.code == "encoding.base32"


def test_key_is_read_from_bytes_as_from_text() -> None:
    text = encodings.z32_encode(bytes(range(200, 232)))
    assert encodings.z32_key(text.encode()) == encodings.z32_decode(text, 32)


@pytest.mark.parametrize("change", ["", "y", "l", "\xff", "_", " ", "+", "Y", "v"])
@pytest.mark.parametrize("at", [0, 1, 25, 51])
def test_key_in_bytes_is_refused_as_in_text(change: str, at: int) -> None:
    text = encodings.z32_encode(bytes(range(200, 232)))
    changed = text[:at] + change + text[at + 1 :]
    try:
        expected: bytes | str = encodings.z32_decode(changed, 32)
    except FormatError as error:
        expected = error.code
    try:
        found: bytes | str = encodings.z32_key(changed.encode("latin-1"))
    except FormatError as error:
        found = error.code
    assert found == expected
