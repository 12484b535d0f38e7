"""In the guest: a Trezor on the kernel's own HID stack, with Trezor's ids, as a user who owns nothing.

What stands behind it follows what the maker publishes; it is not the maker's firmware.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.hid.in_process import TrezorOwner
from tests.hid.plugboard import ask
from tests.hid.trezor_device import LIES, WORDS
from walletcli.core.bip39 import Mnemonic
from walletcli.core.document import Document
from walletcli.core.keys import KeyTree, Scheme, scheme_seed
from walletcli.core.secret import Secret
from walletcli.core.slip13 import identity_uri
from walletcli.errors import SignerError
from walletcli.signers.devices import trezor
from walletcli.signers.devices.hidapi import HidConnection, plugged_keys
from walletcli.signers.devices.trezor import Trezor
from walletcli.signers.devices.trezor_signer import TrezorSigner
from walletcli.signers.requests import PacketRequest
from walletcli.wallet.trezors import list_trezors, trezor_info

LONG_S, SHORT_S = 120.0, 3.0
PIN, PASSPHRASE = "4711", "hush"
ROOMY = {"firmware": [2, 8, 1], "max_challenge": 1024}
"""A firmware with room for a record, which none that is a HID device has."""


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is plugged in, and an honest device has long to answer: this machine is imagined."""
    ask("forget")
    wait_at_most(LONG_S, monkeypatch)
    yield
    ask("forget")


def wait_at_most(limit_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trezor, "ANSWER_LIMIT_S", limit_s)
    monkeypatch.setattr(trezor, "OWNER_LIMIT_S", limit_s)


def tree(passphrase: str = "") -> KeyTree:
    seed = scheme_seed(Scheme.SLIP13, Mnemonic.parse(WORDS), Secret.from_text(passphrase))
    return KeyTree(seed, Scheme.SLIP13)


ROOT = tree().root(0)
REQUEST = PacketRequest(ROOT.public_key, Document(ROOT.public_key, 1_700_000_000_000_000))


def signed(owner: TrezorOwner | None = None) -> Any:
    """Have the one that is plugged in sign a record."""
    owner = owner or TrezorOwner()
    (view,) = list_trezors()
    connection = HidConnection(view.device)
    try:
        device = Trezor(view.device.name, connection, owner)
        return TrezorSigner(device, identity_uri(0), ROOT.public_key, owner).sign(REQUEST)
    finally:
        connection.close()


def test_it_is_found_by_its_ids_and_holds_the_key_that_the_words_give() -> None:
    assert list_trezors() == ()
    node = str(ask("plug_trezor", name="t", pin=PIN, passphrase_used=True))
    (view,) = list_trezors()
    assert (view.device.path, view.device.vendor_id, view.device.product_id) == (node, 0x534C, 0x0001)
    assert plugged_keys() == (), "it is no security key"
    found = trezor_info(None, TrezorOwner(PIN, PASSPHRASE), 5)
    assert found.identity is not None
    assert found.identity.identity.public_key == tree(PASSPHRASE).root(5).public_key
    assert not found.signs_records


def test_it_signs_what_the_words_would_sign() -> None:
    ask("plug_trezor", name="t", pin=PIN, **ROOMY)
    packet = signed(TrezorOwner(PIN))
    assert packet == type(packet).sign(ROOT, packet.seq, packet.value)


def test_a_lying_one_gives_no_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = {}
    for lie in LIES:
        ask("plug_trezor", name="t", pin=PIN, lie=lie, **ROOMY)
        wait_at_most(SHORT_S if lie == "silent" else LONG_S, monkeypatch)
        with pytest.raises(SignerError) as refused:
            signed(TrezorOwner(PIN))
        codes[lie] = refused.value.code
        ask("unplug", name="t")
    special = {"silent": "trezor.not-pressed", "flipped-signature": "signer.failed", "other-bytes": "signer.failed"}
    assert codes == {lie: special.get(lie, "trezor.bad-answer") for lie in LIES}


def test_one_that_is_pulled_out_while_it_waits_for_its_button_is_gone() -> None:
    ask("plug_trezor", name="t", never_pressed=True, **ROOMY)
    ask("pull_when_touched", name="t")
    with pytest.raises(SignerError) as refused:
        signed()
    assert refused.value.code == "key.removed"
    ask("settle")
    assert list_trezors() == ()


def test_a_wrong_pin_and_a_missing_permission_are_told() -> None:
    ask("plug_trezor", name="t", pin=PIN)
    with pytest.raises(SignerError) as refused:
        trezor_info(None, TrezorOwner("1234"), 0)
    assert refused.value.code == "trezor.pin-wrong"
    ask("unplug", name="t")
    ask("plug_trezor", name="t", mode=0o600)
    with pytest.raises(SignerError) as refused:
        trezor_info(None, TrezorOwner(), 0)
    assert refused.value.code == "key.no-permission"
