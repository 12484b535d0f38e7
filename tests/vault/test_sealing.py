"""What is inside the seal is checked as strictly as what is outside: who could seal it could have sealed nonsense."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.vault.parts import KeysInMemory, keyring
from walletcli.errors import VaultError
from walletcli.vault.file import Vault
from walletcli.vault.header import Header
from walletcli.vault.keys import TAG_BYTES, open_payload, seal_payload

STEP = 65_536


def resealed(vault: Vault, change: Callable[[bytearray], bytes | bytearray]) -> None:
    """Change the body of a vault of one slot and seal it again with its own data key."""
    data = vault.path.read_bytes()
    header, end = Header.from_bytes(data)
    body = open_payload(vault.data_key, header.vault_id, header.nonce, data[end:], data[:end])
    new = bytes(change(bytearray(body)))
    start = Header(
        header.vault_id, header.generation, header.key_id, os.urandom(24), len(new) + TAG_BYTES, header.slots
    )
    sealed = seal_payload(vault.data_key, header.vault_id, start.nonce, new, start.to_bytes())
    vault.path.write_bytes(start.to_bytes() + sealed)


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(VaultError) as caught:
        action()
    return caught.value.code


def at(place: int, value: bytes) -> Callable[[bytearray], bytearray]:
    def change(body: bytearray) -> bytearray:
        body[place : place + len(value)] = value
        return body

    return change


def test_a_body_that_is_sealed_again_unchanged_opens(vault: Vault) -> None:
    resealed(vault, lambda body: body)
    assert vault.read() == b"first"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(at(STEP - 1, b"\1"), id="padding that is not zero"),
        pytest.param(at(32 + 4 + 5, b"\1"), id="padding that is not zero right after the payload"),
        pytest.param(at(32, (4).to_bytes(4, "big")), id="a length that is too short"),
        pytest.param(at(32, STEP.to_bytes(4, "big")), id="a length over the end"),
        pytest.param(at(32, b"\xff" * 4), id="the longest length"),
        pytest.param(lambda body: body + bytes(STEP), id="a larger step than needed"),
    ],
)
def test_a_body_that_does_not_fit_its_frame_is_refused(vault: Vault, change: Callable[[bytearray], bytearray]) -> None:
    resealed(vault, change)
    assert code_of(vault.read) == "vault.damaged"


def test_a_slot_whose_public_half_is_another_is_refused(vault: Vault, path: Path, keys: KeysInMemory) -> None:
    resealed(vault, at(0, os.urandom(32)))
    assert code_of(lambda: Vault.unlock(path, [keyring(keys)])) == "vault.damaged"
