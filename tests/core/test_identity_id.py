from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import pytest

from tests.core.vectors import load, name
from walletcli.core.ed25519 import SigningKey
from walletcli.core.identity_id import IdentityId
from walletcli.core.secret import Secret
from walletcli.errors import FormatError, InputError

RFC_8032_KEY = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")


@pytest.mark.parametrize("case", load("identity_id.json", "did_key"))
def test_did_key_vectors(case: dict[str, str]) -> None:
    key = SigningKey(Secret(bytes.fromhex(case["seed_hex"]))).public_key
    assert IdentityId(key).did == case["did"]
    assert IdentityId.from_text(case["did"]).public_key == key


@pytest.mark.parametrize("case", load("identity_id.json", "did_dht"))
def test_did_dht_vectors(case: dict[str, str]) -> None:
    identity = IdentityId(bytes.fromhex(case["public_key_hex"]))
    assert identity.did_dht == case["did_dht"]
    assert IdentityId.from_text(case["did_dht"]) == identity


@pytest.mark.parametrize("case", load("original_network.json"), ids=name)
def test_the_original_network_s_key_ids_are_aliases(case: dict[str, Any]) -> None:
    from walletcli.core.bip39 import Mnemonic
    from walletcli.core.keys import KeyTree, Scheme, scheme_seed

    scheme = Scheme(case["scheme"])
    seed = scheme_seed(scheme, Mnemonic.parse(_demo_phrase()), None)
    identity = IdentityId(KeyTree(seed, scheme).root(case["index"]).public_key)
    assert identity.aliases == (case["key_id"], case["older_key_id"])


def _demo_phrase() -> str:
    phrase = load("original_network.json", "mnemonic")
    return str(phrase)


@pytest.mark.parametrize("form", ["did", "did_dht", "pk", "z32"])
@pytest.mark.parametrize("around", ["{}", "  {}", "{}\n", "\t{} \r\n"])
def test_every_form_names_the_same_identity(form: str, around: str) -> None:
    identity = IdentityId(RFC_8032_KEY)
    assert IdentityId.from_text(around.format(getattr(identity, form))) == identity


@pytest.mark.parametrize("case", load("identity_id.json", "invalid"), ids=name)
def test_anything_else_is_not_an_id(case: dict[str, str]) -> None:
    with pytest.raises(InputError) as raised:
        IdentityId.from_text(case["text"])
    assert raised.value.code == "identity.malformed"
    assert raised.value.hint


@pytest.mark.parametrize("length_bytes", [0, 31, 33])
def test_an_identity_has_a_key_of_32_bytes(length_bytes: int) -> None:
    with pytest.raises(FormatError):
        IdentityId(bytes(length_bytes))


def test_ids_are_values() -> None:
    identity = IdentityId(RFC_8032_KEY)
    assert identity == IdentityId(bytes(RFC_8032_KEY))
    assert len({identity, IdentityId(RFC_8032_KEY)}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        identity.public_key = bytes(32)  # type: ignore[misc]  # the point of the test


def test_an_id_that_is_only_shown_loads_no_cryptography() -> None:
    """Completion and `identity list` show ids, and have tens of milliseconds."""
    code = f"""
import sys
from walletcli.core.identity_id import IdentityId
assert IdentityId(bytes.fromhex({RFC_8032_KEY.hex()!r})).did
print(sorted(set(sys.modules) & {{"nacl", "mnemonic", "cryptography"}}))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "[]"


def test_an_alias_does_not_lead_to_a_key() -> None:
    with pytest.raises(InputError, match="digest"):
        IdentityId.from_text(IdentityId(RFC_8032_KEY).aliases[0])


def test_a_bare_name_that_starts_like_a_key_id_of_the_original_network_is_still_a_name() -> None:
    z32 = "iezjoycnsrfmxikm95jh13y88e8hnqzu5kungjpxyepgt7a8krpy"

    identity = IdentityId.from_text(z32)

    assert identity.z32 == z32
    assert identity == IdentityId.from_text(f"pk:{z32}")
