"""What every signer of packets must do; each new signer joins the list of fixtures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from walletcli.core.bep44 import signable
from walletcli.core.document import Document
from walletcli.core.ed25519 import SigningKey, verify
from walletcli.core.record import Record, packet_value
from walletcli.core.secret import Secret
from walletcli.errors import SignerError
from walletcli.signers.requests import PacketRequest
from walletcli.signers.signer import Signer
from walletcli.signers.software import SoftwareSigner

SEED = Secret(bytes(range(32)))
KEY = SigningKey(SEED)
OTHER = SigningKey(Secret(bytes(32))).public_key


def software(expected_public_key: bytes) -> Signer:
    return SoftwareSigner(SigningKey(SEED), expected_public_key)


SIGNERS = pytest.mark.parametrize("make", [software])
Make = Callable[[bytes], Signer]


def first(**fields: object) -> Document:
    return replace(Document(KEY.public_key, 1000), **fields)  # type: ignore[arg-type]  # test data


@SIGNERS
def test_it_derives_its_own_public_key(make: Make) -> None:
    assert make(KEY.public_key).public_key == KEY.public_key


@SIGNERS
def test_it_refuses_to_be_for_another_identity(make: Make) -> None:
    with pytest.raises(SignerError) as refused:
        make(OTHER)
    assert refused.value.code == "signer.wrong-key"


@SIGNERS
def test_it_signs_exactly_the_packet_of_the_document(make: Make) -> None:
    document = first(profile={"name": "Alice"})
    packet = make(KEY.public_key).sign(PacketRequest(KEY.public_key, document))
    assert packet.value == packet_value(document)
    verify(KEY.public_key, signable(1000, packet.value), packet.signature)
    assert Record.verified(packet, document.to_bytes()).document == document


@SIGNERS
def test_it_refuses_a_request_for_another_identity(make: Make) -> None:
    with pytest.raises(SignerError) as refused:
        make(KEY.public_key).sign(PacketRequest(OTHER, Document(OTHER, 1)))
    assert refused.value.code == "signer.other-identity"


@SIGNERS
def test_it_offers_no_way_to_sign_bytes(make: Make) -> None:
    signer = make(KEY.public_key)
    assert {name for name in dir(signer) if not name.startswith("_")} == {"public_key", "sign"}
    with pytest.raises((AttributeError, TypeError)):
        signer.sign(b"3:seqi1e1:v0:")  # type: ignore[arg-type]  # what an attacker would try


def test_a_signature_that_does_not_verify_is_never_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SigningKey, "sign", lambda _key, _message: bytes(64))
    with pytest.raises(SignerError) as failed:
        software(KEY.public_key).sign(PacketRequest(KEY.public_key, first()))
    assert failed.value.code == "signer.failed"
