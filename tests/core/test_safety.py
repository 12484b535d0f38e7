"""Safety words: what they are made of, and what is refused."""

from __future__ import annotations

import hashlib

import pytest
from mnemonic import Mnemonic

from tests.core.samples import ALICE, BOB
from walletcli.core import safety
from walletcli.core.fingerprint import fingerprint
from walletcli.core.safety import safety_picture, safety_words
from walletcli.errors import FormatError, InputError


def test_the_words_are_the_first_132_bits_of_the_digest_in_the_english_list() -> None:
    keys = sorted((ALICE.public_key, BOB.public_key))
    digest = hashlib.pbkdf2_hmac("sha512", b"".join(keys), b"walletcli safety words 1", 65_536)
    bits = bin(int.from_bytes(b"\1" + digest, "big"))[3:]
    words = Mnemonic("english").wordlist
    assert safety_words(*keys) == tuple(words[int(bits[at : at + 11], 2)] for at in range(0, 132, 11))
    assert safety_picture(*keys) == fingerprint(digest)


def test_another_key_on_either_side_changes_most_words() -> None:
    ours = safety_words(ALICE.public_key, BOB.public_key)
    theirs = safety_words(ALICE.public_key, bytes([BOB.public_key[0] ^ 1]) + BOB.public_key[1:])
    assert sum(a == b for a, b in zip(ours, theirs, strict=True)) < 3


def test_one_identity_has_no_safety_words_with_itself() -> None:
    with pytest.raises(InputError) as raised:
        safety_words(ALICE.public_key, ALICE.public_key)
    assert raised.value.code == "safety.same-key"


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(32), b"\xff" * 32])
def test_what_is_no_key_is_refused(key: bytes) -> None:
    for pair in ((key, ALICE.public_key), (ALICE.public_key, key)):
        with pytest.raises(FormatError) as raised:
            safety_picture(*pair)
        assert raised.value.code == "key.malformed"


def test_a_second_look_costs_nothing() -> None:
    safety._digest.cache_clear()
    safety_words(ALICE.public_key, BOB.public_key)
    safety_picture(BOB.public_key, ALICE.public_key)
    assert safety._digest.cache_info().misses == 1
