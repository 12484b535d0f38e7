"""Requests say what signing would do, and cannot be put together wrongly."""

from __future__ import annotations

import pytest

from walletcli.core.document import Document
from walletcli.core.document_parts import (
    Address,
    Approver,
    Approvers,
    Delegation,
    Power,
    Retirement,
    Succession,
    Transport,
)
from walletcli.core.ed25519 import SigningKey
from walletcli.core.secret import Secret
from walletcli.errors import SignerError
from walletcli.signers.requests import MAX_LINE_CHARS, MAX_REQUEST_SEQ, PacketRequest

KEYS = [SigningKey(Secret(bytes([n]) * 32)).public_key for n in range(1, 6)]
ME, OTHER = KEYS[0], KEYS[1]
SEALING = bytes([9]) + bytes(31)


def device(key: bytes = KEYS[2]) -> Delegation:
    return Delegation(key, SEALING, frozenset({Power.HOST, Power.SHARE}), 20_000, 20_090)


@pytest.mark.parametrize(
    ("identity", "document", "previous", "code"),
    [
        (OTHER, Document(ME, 5), None, "request.identity"),
        (ME, Document(ME, 5, Document(OTHER, 1).hash), Document(OTHER, 1), "request.identity"),
        (ME, Document(ME, 5), Document(ME, 1), "request.previous"),
        (ME, Document(ME, 5, bytes(32)), None, "request.previous"),
        (ME, Document(ME, 5, Document(ME, 2).hash), Document(ME, 1), "request.previous"),
        (ME, Document(ME, 5, Document(ME, 5).hash), Document(ME, 5), "request.seq"),
        (ME, Document(ME, 4, Document(ME, 5).hash), Document(ME, 5), "request.seq"),
        (ME, Document(ME, MAX_REQUEST_SEQ), None, "request.seq"),
    ],
)
def test_parts_that_do_not_belong_together_make_no_request(
    identity: bytes, document: Document, previous: Document | None, code: str
) -> None:
    with pytest.raises(SignerError) as refused:
        PacketRequest(identity, document, previous)
    assert refused.value.code == code


def test_nothing_follows_a_retirement() -> None:
    ended = Document(ME, 5, retirement=Retirement(20_000))
    with pytest.raises(SignerError) as refused:
        PacketRequest(ME, Document(ME, 6, ended.hash), ended)
    assert refused.value.code == "request.retired"


def test_a_first_record_says_so() -> None:
    lines = PacketRequest(ME, Document(ME, 5, profile={"name": "Alice"}, delegations=(device(),))).describe()
    assert "this is the first record of the identity" in lines
    assert "public name = Alice" in lines
    assert f"device {KEYS[2].hex()[:16]} may host, share, 2024-10-04 to 2025-01-02" in lines


def test_what_would_be_lost_is_said_loudly() -> None:
    approvers = Approvers(1, (Approver(-8, KEYS[3], user_verification=True),), 30)
    before = Document(
        ME,
        5,
        delegations=(device(),),
        approvers=approvers,
        succession=Succession(bytes(32), 30),
        profile={"name": "Alice"},
        sections=(b"sealed",),
        addresses=(Address(Transport.TCP, "198.51.100.7:7411"),),
        bindings=(b"grant",),
    )
    lines = PacketRequest(ME, Document(ME, 6, before.hash, retirement=Retirement(20_000, 2)), before).describe()
    assert f"REMOVES the device {KEYS[2].hex()[:16]}" in lines
    assert "REMOVES all approvers" in lines
    assert "REMOVES the successor" in lines
    assert "removes public name" in lines
    assert "removes all sealed sections" in lines
    assert "bindings: 0 (before: 1)" in lines
    assert "REMOVES the address tcp 198.51.100.7:7411" in lines
    assert "RETIRES the identity for good (key compromised), dated 2024-10-04" in lines


def test_a_change_of_devices_keys_or_powers_is_said() -> None:
    before = Document(ME, 5, delegations=(device(),))
    other = Delegation(KEYS[2], SEALING, frozenset({Power.GRANT}), 20_000, 20_090)
    lines = PacketRequest(ME, Document(ME, 6, before.hash, delegations=(other,)), before).describe()
    assert any("may grant" in line and line.endswith("(changed)") for line in lines)


def test_a_changed_approver_list_or_successor_is_said() -> None:
    one = Approvers(1, (Approver(-8, KEYS[3], user_verification=True),), 30)
    other = Approvers(1, (Approver(-8, KEYS[4], user_verification=True),), 30)
    before = Document(ME, 5, approvers=one, succession=Succession(bytes(32), 30))
    after = Document(ME, 6, before.hash, approvers=other, succession=Succession(b"\1" * 32, 30))
    lines = PacketRequest(ME, after, before).describe()
    assert "CHANGES the approvers: 1 of 1" in lines
    assert "CHANGES the successor, who may take over after 30 days" in lines


def test_text_from_a_document_cannot_draw_on_the_screen() -> None:
    request = PacketRequest(ME, Document(ME, 5, profile={"name": "A\nRETIRES the identity", "bidi": "х" * 300}))
    for line in request.describe():
        assert line.isascii()
        assert line.isprintable()
        assert len(line) <= MAX_LINE_CHARS
    assert "public name = A\\nRETIRES the identity" in request.describe()
