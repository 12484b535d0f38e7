"""Remakes tests/vectors/keys.json, our own regression vectors of words, seeds, paths and ids.

The published vectors beside it (BIP39, SLIP-0010, RFC 8032, the original network's) are never remade.
"""

from __future__ import annotations

import json
from pathlib import Path

from walletcli.core.bip39 import Mnemonic
from walletcli.core.identity_id import IdentityId
from walletcli.core.keys import MAX_INDEX, KeyTree, Scheme, scheme_seed
from walletcli.core.secret import Secret
from walletcli.core.slip10 import path_to_text

TARGET = Path(__file__).resolve().parents[1] / "tests" / "vectors" / "keys.json"

WALLETS: list[tuple[str, Scheme, str, bytes, str | None]] = [
    ("english, 12 words, no passphrase", Scheme.WALLETCLI, "english", bytes(16), None),
    ("english, 24 words, passphrase", Scheme.WALLETCLI, "english", bytes(range(32)), "correct horse"),
    ("japanese, 15 words, passphrase outside ASCII", Scheme.WALLETCLI, "japanese", bytes(range(20)), "pässwörd ㍍"),
    ("korean, 18 words", Scheme.WALLETCLI, "korean", b"\x5a" * 24, None),
    ("mercury", Scheme.MERCURY, "english", b"\x7f" * 16, None),
    ("morpheus, no passphrase", Scheme.MORPHEUS, "english", b"\x7f" * 16, None),
    ("morpheus, passphrase", Scheme.MORPHEUS, "english", b"\x80" * 28, "mine"),
]


def identity(tree: KeyTree, index: int) -> dict[str, object]:
    """Return what is public about one identity of a tree."""
    ids = IdentityId(tree.root(index).public_key)
    return {
        "index": index,
        "path": path_to_text(tree.identity_path(index)),
        "did": ids.did,
        "did_dht": ids.did_dht,
        "aliases": list(ids.aliases),
        "recovery_public_key_hex": tree.recovery_public_key(index, 0).hex(),
        "i2p_public_key_hex": tree.i2p_key(index, 0).public_key.hex(),
        "onion_public_key_hex": tree.onion_key(index, 0).public_key.hex(),
    }


def wallet(name: str, scheme: Scheme, language: str, entropy: bytes, passphrase: str | None) -> dict[str, object]:
    """Return one case."""
    words = Mnemonic.from_entropy(Secret(entropy), language)
    seed = scheme_seed(scheme, words, None if passphrase is None else Secret.from_text(passphrase))
    tree = KeyTree(seed, scheme)
    return {
        "name": name,
        "scheme": scheme.value,
        "words": words.text().reveal_text(),
        "passphrase": passphrase,
        "seed_hex": seed.reveal().hex(),
        "wallet_check_hex": tree.wallet_check().hex(),
        "wallet_index_did": IdentityId(tree.index_key(0).public_key).did,
        "identities": [identity(tree, index) for index in (0, 1, MAX_INDEX)],
    }


def main() -> None:
    """Write the file."""
    content = {
        "spec": "docs/spec/keys.md",
        "source": "ours, made by scripts/make_key_vectors.py",
        "valid": [wallet(*case) for case in WALLETS],
    }
    TARGET.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
