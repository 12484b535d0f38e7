"""npm key-did-resolver reads our did:key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.client.records import identity
from walletcli.core.encodings import base58_decode


@pytest.mark.parametrize("name", ["alice", "bob", "carol"])
def test_key_did_resolver_finds_our_key_in_our_did(key_did_resolver: Callable[[str], Any], name: str) -> None:
    who = identity(name)
    document = key_did_resolver(who.did)["didDocument"]
    (method,) = document["verificationMethod"]
    assert document["id"] == who.did == method["controller"]
    assert method["type"].startswith("Ed25519")
    assert base58_decode(method["publicKeyBase58"]) == who.public_key
