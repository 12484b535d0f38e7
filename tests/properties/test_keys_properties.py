from __future__ import annotations

import contextlib
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from walletcli.core import bip39, dice, encodings, slip10
from walletcli.core.bip39 import LANGUAGES, Mnemonic
from walletcli.core.ed25519 import SigningKey, check_public_key, verify
from walletcli.core.identity_id import IdentityId
from walletcli.core.keys import MAX_INDEX, KeyTree, Scheme
from walletcli.core.secret import Secret
from walletcli.errors import InputError, VerificationError, WalletError

ENTROPY = st.sampled_from(bip39.ENTROPY_BYTES).flatmap(lambda size: st.binary(min_size=size, max_size=size))
LANGUAGE = st.sampled_from(LANGUAGES)
SEEDS = st.binary(min_size=32, max_size=32).map(Secret)
ANY_TEXT = st.text(max_size=200)
Z32_TEXT = st.text(alphabet=encodings.Z32_ALPHABET + "lv02A=", max_size=60)
BASE58_TEXT = st.text(alphabet=encodings.BASE58_ALPHABET + "0OIl", max_size=60)
BASE64_TEXT = st.text(alphabet="ABCXYZabcxyz0189-_+/=", max_size=40)


@given(st.binary(max_size=100))
def test_bytes_come_back_from_every_encoding(data: bytes) -> None:
    assert encodings.z32_decode(encodings.z32_encode(data), len(data)) == data
    assert encodings.base58_decode(encodings.base58_encode(data)) == data
    assert encodings.b64url_decode(encodings.b64url_encode(data)) == data


@given(ANY_TEXT | Z32_TEXT, st.integers(min_value=0, max_value=40))
def test_z_base_32_has_one_text_for_a_value(text: str, length_bytes: int) -> None:
    with contextlib.suppress(WalletError):
        assert encodings.z32_encode(encodings.z32_decode(text, length_bytes)) == text


@given(ANY_TEXT | BASE58_TEXT)
def test_base58_has_one_text_for_a_value(text: str) -> None:
    with contextlib.suppress(WalletError):
        assert encodings.base58_encode(encodings.base58_decode(text)) == text


@given(ANY_TEXT | BASE64_TEXT)
def test_base64url_has_one_text_for_a_value(text: str) -> None:
    with contextlib.suppress(WalletError):
        assert encodings.b64url_encode(encodings.b64url_decode(text)) == text


@given(SEEDS, st.binary(max_size=300))
def test_what_a_key_signs_it_verifies(seed: Secret, message: bytes) -> None:
    key = SigningKey(seed)
    check_public_key(key.public_key)
    verify(key.public_key, message, key.sign(message))


@given(SEEDS, st.binary(max_size=100), st.data())
def test_any_changed_bit_is_noticed(seed: Secret, message: bytes, data: st.DataObject) -> None:
    key = SigningKey(seed)
    whole = key.public_key + key.sign(message) + message
    bit = data.draw(st.integers(min_value=0, max_value=8 * len(whole) - 1))
    changed = bytearray(whole)
    changed[bit // 8] ^= 1 << bit % 8
    try:
        verify(bytes(changed[:32]), bytes(changed[96:]), bytes(changed[32:96]))
    except VerificationError:
        return
    raise AssertionError("a changed signature verifies")


@given(st.binary(max_size=70), st.binary(max_size=70), st.binary(max_size=130))
def test_verification_ends_in_our_error(public_key: bytes, message: bytes, signature: bytes) -> None:
    with contextlib.suppress(VerificationError):
        verify(public_key, message, signature)
    with contextlib.suppress(WalletError):
        check_public_key(public_key)


@given(SEEDS)
def test_every_form_of_an_id_leads_back(seed: Secret) -> None:
    identity = IdentityId(SigningKey(seed).public_key)
    for form in (identity.did, identity.did_dht, identity.pk, identity.z32):
        assert IdentityId.from_text(form) == identity


@given(ANY_TEXT | Z32_TEXT.map("pk:".__add__) | BASE58_TEXT.map("did:key:z6Mk".__add__))
def test_an_id_has_one_spelling_per_form(text: str) -> None:
    try:
        identity = IdentityId.from_text(text)
    except InputError:
        return
    assert text.strip() in (identity.did, identity.did_dht, identity.pk, identity.z32)


@given(st.lists(st.integers(min_value=0, max_value=slip10.MAX_STEP), max_size=10).map(tuple))
def test_a_path_comes_back_from_its_text(path: tuple[int, ...]) -> None:
    assert slip10.path_from_text(slip10.path_to_text(path)) == path


@given(ANY_TEXT | st.text(alphabet="m/'0123456789hH", max_size=40).map("m/".__add__))
def test_a_path_has_one_text(text: str) -> None:
    with contextlib.suppress(InputError):
        assert slip10.path_to_text(slip10.path_from_text(text)) == text


@given(st.binary(min_size=64, max_size=64).map(Secret), st.sampled_from(Scheme), st.integers(0, MAX_INDEX - 3))
def test_keys_in_bulk_are_the_keys_one_by_one(seed: Secret, scheme: Scheme, start: int) -> None:
    tree = KeyTree(seed, scheme)
    assert tree.root_public_keys(start, 3) == [tree.root(index).public_key for index in range(start, start + 3)]


@given(ENTROPY, LANGUAGE)
def test_entropy_comes_back_from_its_words(entropy: bytes, language: str) -> None:
    made = Mnemonic.from_entropy(Secret(entropy), language)
    assert made.entropy() == Secret(entropy)
    read = Mnemonic.parse(made.text().reveal_text())
    assert language in (read.language, *read.other_languages)
    assert read.words == made.words


@given(ENTROPY, LANGUAGE, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]), st.booleans())
def test_the_unicode_form_of_words_makes_no_difference(entropy: bytes, language: str, form: str, upper: bool) -> None:
    made = Mnemonic.from_entropy(Secret(entropy), language)
    text = made.text().reveal_text()
    typed = unicodedata.normalize(form, text.upper() if upper else text)
    assert Mnemonic.parse(typed, language).words == made.words


@given(
    ANY_TEXT | st.lists(st.sampled_from(["abandon", "about", "zoo", "的", "あおぞら", "x"]), max_size=26).map(" ".join)
)
def test_words_from_outside_end_in_our_error(text: str) -> None:
    with contextlib.suppress(InputError):
        assert Mnemonic.parse(text).entropy()


@settings(max_examples=30)
@given(st.text(max_size=30), LANGUAGE)
def test_whatever_is_typed_near_and_complete_answer_with_words_of_the_list(text: str, language: str) -> None:
    words = set(bip39.complete("", language))
    assert set(bip39.nearest_words(text, language)) <= words
    assert set(bip39.complete(text, language)) <= words


@settings(max_examples=30)
@given(ENTROPY, LANGUAGE)
def test_the_true_last_word_is_always_a_candidate(entropy: bytes, language: str) -> None:
    words = Mnemonic.from_entropy(Secret(entropy), language).text().reveal_text().split()
    assert words[-1] in bip39.last_word_candidates(words[:-1], language)


@given(st.text(max_size=300), st.sampled_from(["dice", "coin"]))
def test_rolls_from_outside_are_canonical_or_refused(text: str, kind: str) -> None:
    with contextlib.suppress(InputError):
        rolls = dice.canonical_rolls(text, kind)
        assert dice.canonical_rolls(rolls, kind) == rolls
        assert set(rolls) <= set("123456" if kind == "dice" else "01")
