"""RFC 7748 and docs/spec/sealed.md: key agreement, and the keys that agree on nothing."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from tests.core.samples import sealing_key
from tests.vectors.cases_sealed import NOT_CANONICAL, SMALL_ORDER
from walletcli.core import x25519
from walletcli.core.secret import Secret
from walletcli.errors import FormatError, VerificationError

# RFC 7748 section 6.1.
ALICE = Secret(bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"))
ALICE_PUBLIC = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
BOB = Secret(bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"))
BOB_PUBLIC = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
SHARED = Secret(bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"))

P = 2**255 - 19
BYTES_32 = st.binary(min_size=32, max_size=32)


def refused(public_key: bytes) -> str:
    with pytest.raises(FormatError) as raised:
        x25519.check_public_key(public_key)
    return raised.value.code


def test_the_agreement_of_rfc_7748_section_6_1() -> None:
    assert x25519.public_key(ALICE) == ALICE_PUBLIC
    assert x25519.public_key(BOB) == BOB_PUBLIC
    assert x25519.shared_secret(ALICE, BOB_PUBLIC) == x25519.shared_secret(BOB, ALICE_PUBLIC) == SHARED


@given(BYTES_32, BYTES_32)
def test_a_library_that_is_not_ours_agrees_on_the_same(one: bytes, other: bytes) -> None:
    theirs = X25519PrivateKey.from_private_bytes(one)
    public = x25519.public_key(Secret(other))
    assert theirs.public_key().public_bytes_raw() == x25519.public_key(Secret(one))
    shared = theirs.exchange(X25519PublicKey.from_public_bytes(public))
    assert x25519.shared_secret(Secret(one), public).reveal() == shared


@given(BYTES_32)
def test_the_public_key_of_any_scalar_is_one_that_is_taken(scalar_bytes: bytes) -> None:
    x25519.check_public_key(x25519.public_key(Secret(scalar_bytes)))


@pytest.mark.parametrize("text", [*SMALL_ORDER, *NOT_CANONICAL])
def test_keys_of_small_order_and_second_encodings_are_refused(text: str) -> None:
    assert refused(bytes.fromhex(text)) == "key.malformed"


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    assert refused(b"\x09" * length) == "key.malformed"


@given(BYTES_32)
def test_a_key_is_taken_exactly_if_it_is_below_the_prime_and_not_of_small_order(public_key: bytes) -> None:
    number = int.from_bytes(public_key, "little")
    if number < P and public_key.hex() not in SMALL_ORDER:
        x25519.check_public_key(public_key)
    else:
        assert refused(public_key) == "key.malformed"


@given(st.integers(0, 40), st.booleans())
def test_the_edge_of_the_field(above: int, high_bit: bool) -> None:
    number = P - 20 + above
    public_key = (number | high_bit << 255).to_bytes(32, "little")
    if number < P - 1 and not high_bit:
        x25519.check_public_key(public_key)
    else:
        assert refused(public_key) == "key.malformed"


@pytest.mark.parametrize("number", [int.from_bytes(bytes.fromhex(text), "little") for text in SMALL_ORDER])
def test_no_secret_is_agreed_on_with_a_key_of_small_order_however_it_is_written(number: int) -> None:
    for written in (number, number + P, number | 1 << 255):
        if written < 2**256 and (written & (1 << 255) - 1) % P == number:
            with pytest.raises(VerificationError) as raised:
                x25519.shared_secret(ALICE, written.to_bytes(32, "little"))
            assert raised.value.code == "sealed.weak-key"


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_scalar_of_another_length_is_refused(length: int) -> None:
    for use in (x25519.public_key, lambda scalar: x25519.shared_secret(scalar, sealing_key("x"))):
        with pytest.raises(FormatError) as raised:
            use(Secret(bytes(length)))
        assert raised.value.code == "key.malformed"


@pytest.mark.parametrize("length", [0, 31, 33])
def test_there_is_no_agreement_with_a_key_of_another_length(length: int) -> None:
    with pytest.raises(FormatError) as raised:
        x25519.shared_secret(ALICE, bytes(length))
    assert raised.value.code == "key.malformed"
