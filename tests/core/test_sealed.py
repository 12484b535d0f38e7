"""docs/spec/sealed.md: who can open a blob, and what the others learn from it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core import sealing
from tests.core.samples import entropy, scalar, sealing_key
from tests.core.vectors import load, name
from tests.vectors.cases_sealed import CONTEXT, ENTROPY_LABEL, PLAINTEXT, recipients, written
from walletcli.core import sealed
from walletcli.core.secret import Secret
from walletcli.errors import FormatError, VerificationError, WalletError

BLOB = sealed.seal(PLAINTEXT, recipients(2), entropy("a blob"), CONTEXT)
MINE = scalar("recipient 0")


def refused(blob: bytes, secret: Secret = MINE, context: bytes = CONTEXT) -> str:
    with pytest.raises((FormatError, VerificationError)) as raised:
        sealed.unseal(blob, secret, context)
    return raised.value.code


def not_sealed(to: list[bytes], plaintext: bytes = b"") -> str:
    with pytest.raises(FormatError) as raised:
        sealed.seal(plaintext, to, entropy("x"), CONTEXT)
    return raised.value.code


def size_for(plaintext_bytes: int, count: int = 1) -> int:
    return len(sealed.seal(bytes(plaintext_bytes), recipients(count), entropy("x"), CONTEXT))


@pytest.mark.parametrize("case", load("sealed.json"), ids=name)
def test_a_blob_opens_as_its_vector_says(case: dict[str, Any]) -> None:
    blob, context = bytes.fromhex(case["blob"]), bytes.fromhex(case["context"])
    secrets = [Secret(bytes.fromhex(text)) for text in case["secrets"]]
    for secret in secrets:
        assert sealed.unseal(blob, secret, context).hex() == case["plaintext"]
        padded = sealing.unseal(blob, secret.reveal(), context)
        assert padded.rstrip(b"\0")[:-1].hex() == case["plaintext"]
    to = [sealing_key(f"recipient {n}") for n in range(len(secrets))]
    assert sealed.seal(bytes.fromhex(case["plaintext"]), to, entropy(ENTROPY_LABEL), context) == blob


@pytest.mark.parametrize("case", load("sealed.json", "invalid"), ids=name)
def test_what_must_be_refused_is_refused(case: dict[str, Any]) -> None:
    secret = Secret(bytes.fromhex(case["secret"]))
    assert refused(bytes.fromhex(case["blob"]), secret, bytes.fromhex(case["context"])) == case["error"]


@pytest.mark.parametrize("text", load("sealed.json", "bad_recipients"))
def test_nothing_is_sealed_to_a_key_that_protects_nothing(text: str) -> None:
    assert not_sealed([bytes.fromhex(text)]) == "key.malformed"
    assert not_sealed([*recipients(3), bytes.fromhex(text)]) == "key.malformed"


@pytest.mark.parametrize("count", range(1, 17))
def test_each_recipient_opens_and_nobody_else(count: int) -> None:
    blob = sealed.seal(PLAINTEXT, recipients(count), entropy("x"), CONTEXT)
    for n in range(count):
        assert sealed.unseal(blob, scalar(f"recipient {n}"), CONTEXT) == PLAINTEXT
    for n in range(count, count + 3):
        assert refused(blob, scalar(f"recipient {n}")) == "sealed.not-for-you"


@pytest.mark.parametrize("count", [0, 17, 100])
def test_there_are_one_to_sixteen_recipients(count: int) -> None:
    assert not_sealed(recipients(count)) == "sealed.recipients"


def test_every_byte_counts() -> None:
    for at in range(len(BLOB)):
        changed = BLOB[:at] + bytes([BLOB[at] ^ 1]) + BLOB[at + 1 :]
        code = refused(changed)
        if at == 0 or at == 1:
            assert code == "sealed.malformed"
        elif at < 34:
            assert code in ("sealed.not-for-you", "key.malformed")
        elif at < 66:
            assert code == "sealed.damaged"
        else:
            assert code in ("sealed.damaged", "sealed.not-for-you")


def test_every_length_but_the_right_one_is_refused() -> None:
    for length in range(len(BLOB)):
        refused(BLOB[:length])
    for more in range(1, 80):
        refused(BLOB + bytes(more))


def test_a_blob_cannot_be_moved_to_another_place() -> None:
    for context in (b"", CONTEXT[:-1], CONTEXT + b"x", CONTEXT + BLOB[:1]):
        assert refused(BLOB, context=context) == "sealed.not-for-you"


def test_a_sender_cannot_show_two_recipients_two_contents() -> None:
    # Even with a wrap of another content key for the second one, the commitment is one for all.
    one, other = scalar("recipient 0"), scalar("recipient 1")
    for_other = written(recipients=recipients(2)[1:], content_key=b"\2" * 32)
    mixed = written()
    mixed = mixed[:114] + for_other[66:114] + mixed[162:]
    assert refused(mixed, other) == "sealed.damaged"
    assert refused(mixed, one) == "sealed.damaged"  # the wraps are part of what the content authenticates


def test_no_two_blobs_share_a_key_or_a_wrap() -> None:
    blobs = [sealed.seal(PLAINTEXT, recipients(1), entropy(f"blob {n}"), CONTEXT) for n in range(20)]
    for start, end in ((2, 34), (34, 66), (66, 114), (258, 338)):
        assert len({blob[start:end] for blob in blobs}) == 20


def test_wraps_are_in_an_order_that_tells_nothing() -> None:
    places = set()
    for n in range(60):
        blob = sealed.seal(PLAINTEXT, recipients(1), entropy(f"order {n}"), CONTEXT)
        for place in range(4):
            at = 66 + 48 * place
            broken = blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]
            if refused(broken) == "sealed.not-for-you":
                places.add(place)
    assert places == {0, 1, 2, 3}


@pytest.mark.parametrize(("count", "wraps"), [(1, 4), (2, 4), (4, 4), (5, 8), (8, 8), (9, 16), (16, 16)])
def test_the_number_of_recipients_is_rounded_up(count: int, wraps: int) -> None:
    blob = sealed.seal(PLAINTEXT, recipients(count), entropy("x"), CONTEXT)
    assert blob[1] == wraps
    assert len(blob) == size_for(len(PLAINTEXT)) + 48 * (wraps - 4)
    all_wraps = [blob[at : at + 48] for at in range(66, 66 + 48 * wraps, 48)]
    assert len(set(all_wraps)) == wraps and bytes(48) not in all_wraps


def test_lengths_are_those_of_padme() -> None:
    # The published definition: with E = floor(log2 L) and S = floor(log2 E) + 1, the last E - S bits are zero.
    for length in (*range(2, 3000), 65_535, 65_536, 65_537, 1_000_000, 2**25 + 1):
        exponent = length.bit_length() - 1
        zeros = exponent - exponent.bit_length()
        padded = sealed.padme(length)
        assert padded % (1 << zeros) == 0
        assert length <= padded < length + (1 << zeros)
        assert padded <= length * 1.12
        assert sealed.padme(padded) == padded


def test_a_blob_shows_no_more_than_a_step_of_padme() -> None:
    steps = {sealed.padme(length) for length in range(64, 5000)}
    sizes = {size_for(length) - 66 - 4 * 48 - 16 for length in range(3000)}
    assert sizes <= steps and min(sizes) == 64
    assert len(sizes) < 80


@settings(max_examples=50)
@given(st.binary(max_size=3000), st.integers(1, 16), st.binary(max_size=40), st.binary(max_size=20))
def test_what_is_sealed_comes_back(plaintext: bytes, count: int, context: bytes, seed: bytes) -> None:
    blob = sealed.seal(plaintext, recipients(count), entropy(seed.hex()), context)
    assert sealed.unseal(blob, scalar(f"recipient {count - 1}"), context) == plaintext


@pytest.mark.parametrize("plaintext", [b"", b"\x80", b"\0" * 63, b"\x80\0\0", b"\0", b"\x80" * 64, b"x" * 63 + b"\x80"])
def test_content_that_looks_like_padding_comes_back(plaintext: bytes) -> None:
    assert sealed.unseal(sealed.seal(plaintext, recipients(1), entropy("x"), CONTEXT), MINE, CONTEXT) == plaintext


def test_a_blob_has_a_longest_content() -> None:
    most = 66_060_287  # padded to 63 * 2^20, the last step of Padmé that leaves room for the rest
    blob = sealed.seal(bytes(most), recipients(16), entropy("x"), CONTEXT)
    assert len(blob) <= sealed.MAX_BYTES
    assert len(sealed.unseal(blob, MINE, CONTEXT)) == most
    assert not_sealed(recipients(1), bytes(most + 1)) == "sealed.too-long"


def test_what_is_too_long_is_not_looked_at() -> None:
    assert refused(BLOB[:66] + bytes(sealed.MAX_BYTES)) == "sealed.malformed"


@given(st.binary(max_size=600))
def test_no_error_is_of_somebody_elses_kind(junk: bytes) -> None:
    for blob in (junk, BLOB[:34] + junk, b"\1\4" + junk):
        try:
            sealed.unseal(blob, MINE, CONTEXT)
        except WalletError:
            continue
        raise AssertionError("junk was opened")


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_secret_of_another_length_opens_nothing(length: int) -> None:
    assert refused(BLOB, Secret(bytes(length))) == "key.malformed"
