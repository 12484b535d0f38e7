"""SLIP-0013: the keys and signatures that a Trezor is published to give come out of the same words here."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.vectors import load, name
from walletcli.core import ed25519
from walletcli.core.bip39 import Mnemonic
from walletcli.core.ed25519 import SigningKey
from walletcli.core.keys import MAX_INDEX, KeyTree, Scheme, scheme_seed
from walletcli.core.secret import Secret
from walletcli.core.slip10 import MAX_STEP, derive
from walletcli.core.slip13 import MAX_URI_INDEX, UriIdentity, identity_uri
from walletcli.errors import InputError

WORDS = Mnemonic.parse(str(load("slip13.json", "mnemonic")))
CHALLENGE = bytes.fromhex(str(load("slip13.json", "challenge_hidden_hex")))
TREE = KeyTree(WORDS.seed(None), Scheme.SLIP13)


def _asked(case: dict[str, Any]) -> UriIdentity:
    return UriIdentity(case["proto"], case["user"], case["host"], case["index"])


@pytest.mark.parametrize("case", load("slip13.json"), ids=name)
def test_the_published_keys_and_signatures_come_out_of_the_words(case: dict[str, Any]) -> None:
    asked = _asked(case)
    assert list(asked.address_n) == case.get("address_n", list(asked.address_n))
    key = SigningKey(derive(WORDS.seed(None), asked.path).key)
    assert "00" + key.public_key.hex() == case["public_key_hex"]
    assert "00" + key.sign(CHALLENGE).hex() == case["signature_hex"]
    ed25519.verify(key.public_key, CHALLENGE, bytes.fromhex(case["signature_hex"])[1:])


def test_identities_of_the_scheme_are_where_a_device_is_asked_for_them() -> None:
    seed = scheme_seed(Scheme.SLIP13, WORDS, Secret(b"my own"))
    tree = KeyTree(seed, Scheme.SLIP13)
    for index in (0, 1, MAX_INDEX):
        asked = UriIdentity("ssh", "walletcli", "identity", index)
        assert identity_uri(index) == asked
        assert asked.uri == "ssh://walletcli@identity"
        assert tree.identity_path(index) == asked.path
        assert tree.root(index).public_key == SigningKey(derive(seed, asked.path).key).public_key


def test_many_are_those_one_by_one() -> None:
    assert TREE.root_public_keys(3, 4) == [TREE.root(index).public_key for index in range(3, 7)]


def test_keys_below_an_identity_are_below_its_own_path() -> None:
    path = TREE.identity_path(5)
    assert TREE.onion_key(5, 2).public_key == SigningKey(derive(WORDS.seed(None), (*path, 3, 2)).key).public_key
    assert TREE.recovery_public_key(5, 0) != TREE.recovery_public_key(6, 0)


def test_every_part_of_a_uri_decides_about_the_key() -> None:
    base = UriIdentity("ssh", "walletcli", "identity", 1)
    others = [
        UriIdentity("gpg", "walletcli", "identity", 1),
        UriIdentity("ssh", "walletclj", "identity", 1),
        UriIdentity("ssh", "walletcli", "identitz", 1),
        UriIdentity("ssh", "walletcli", "identity", 2),
    ]
    assert len({base.path, *(other.path for other in others)}) == 5
    assert all(0 <= step <= MAX_STEP for step in base.path)


def test_no_other_scheme_gives_the_same_keys() -> None:
    keys = {KeyTree(WORDS.seed(None), scheme).root(0).public_key for scheme in Scheme}
    assert len(keys) == len(Scheme) - 1, "walletcli and mercury differ by the passphrase alone"


@pytest.mark.parametrize("index", [-1, MAX_URI_INDEX + 1])
def test_an_index_that_no_device_takes_is_refused(index: int) -> None:
    with pytest.raises(InputError) as refused:
        UriIdentity("ssh", "walletcli", "identity", index)
    assert refused.value.code == "path.index"


def test_an_index_that_no_identity_has_is_refused() -> None:
    with pytest.raises(InputError) as refused:
        TREE.root(MAX_INDEX + 1)
    assert refused.value.code == "identity.index"
