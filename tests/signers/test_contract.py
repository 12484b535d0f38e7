"""What every signer of packets must do; each new signer joins the list of fixtures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.hid.in_process import InProcessTrezor, TrezorOwner
from tests.hid.trezor_device import WORDS
from walletcli.core.bep44 import signable
from walletcli.core.bip39 import Mnemonic
from walletcli.core.document import Document
from walletcli.core.ed25519 import SigningKey, verify
from walletcli.core.keys import KeyTree, Scheme
from walletcli.core.record import Record, packet_value
from walletcli.core.secret import Secret
from walletcli.core.slip13 import identity_uri
from walletcli.errors import SignerError
from walletcli.signers.devices.trezor import Trezor
from walletcli.signers.devices.trezor_signer import TrezorSigner
from walletcli.signers.requests import PacketRequest
from walletcli.signers.signer import Signer
from walletcli.signers.software import SoftwareSigner

SEED = Secret(bytes(range(32)))
KEY = SigningKey(SEED)
OTHER = SigningKey(Secret(bytes(32))).public_key


def software(expected_public_key: bytes) -> Signer:
    return SoftwareSigner(SigningKey(SEED), expected_public_key)


def on_a_trezor(expected_public_key: bytes) -> Signer:
    owner = TrezorOwner()
    device = Trezor("Trezor", InProcessTrezor(firmware=(2, 8, 1), max_challenge=1024), owner)
    return TrezorSigner(device, identity_uri(0), expected_public_key, owner)


TREZOR_KEY = KeyTree(Mnemonic.parse(WORDS).seed(None), Scheme.SLIP13).root(0).public_key

Make = Callable[[bytes], Signer]
SIGNERS = pytest.mark.parametrize(
    ("make", "key"), [(software, KEY.public_key), (on_a_trezor, TREZOR_KEY)], ids=["software", "trezor"]
)
"""How each is made for an expected key, and the key that it has."""


def first(key: bytes, **fields: object) -> Document:
    return replace(Document(key, 1000), **fields)  # type: ignore[arg-type]  # test data


@SIGNERS
def test_it_derives_its_own_public_key(make: Make, key: bytes) -> None:
    assert make(key).public_key == key


@SIGNERS
def test_it_refuses_to_be_for_another_identity(make: Make, key: bytes) -> None:
    with pytest.raises(SignerError) as refused:
        make(OTHER)
    assert refused.value.code == "signer.wrong-key"


@SIGNERS
def test_it_signs_exactly_the_packet_of_the_document(make: Make, key: bytes) -> None:
    document = first(key, profile={"name": "Alice"})
    packet = make(key).sign(PacketRequest(key, document))
    assert packet.value == packet_value(document)
    verify(key, signable(1000, packet.value), packet.signature)
    assert Record.verified(packet, document.to_bytes()).document == document


@SIGNERS
def test_it_refuses_a_request_for_another_identity(make: Make, key: bytes) -> None:
    with pytest.raises(SignerError) as refused:
        make(key).sign(PacketRequest(OTHER, Document(OTHER, 1)))
    assert refused.value.code == "signer.other-identity"


@SIGNERS
def test_it_offers_no_way_to_sign_bytes(make: Make, key: bytes) -> None:
    signer = make(key)
    assert {name for name in dir(signer) if not name.startswith("_")} == {"public_key", "sign"}
    with pytest.raises((AttributeError, TypeError)):
        signer.sign(b"3:seqi1e1:v0:")  # type: ignore[arg-type]  # what an attacker would try


def test_a_signature_that_does_not_verify_is_never_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SigningKey, "sign", lambda _key, _message: bytes(64))
    with pytest.raises(SignerError) as failed:
        software(KEY.public_key).sign(PacketRequest(KEY.public_key, first(KEY.public_key)))
    assert failed.value.code == "signer.failed"
