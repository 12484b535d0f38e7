"""docs/spec/approval.md, "Signed text": what a device with a screen shows, and what its signature of it is worth."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import cbor2
import pytest

from tests.core.approving import ONE, SCREEN, ScreenKey, SoftKey, approvers
from tests.core.samples import ALICE, BOB, DAY, SEQ, device, devices, digest, everything, key
from walletcli.core import cbor
from walletcli.core.approval import Approval, Kind, Subject, check_threshold
from walletcli.core.approval_text import MAX_TEXT_BYTES
from walletcli.core.approvals import DocumentApprovals
from walletcli.core.cose import Sign1
from walletcli.core.document import Document
from walletcli.core.document_parts import Address, Approver, Approvers, Form, Power, Retirement, Succession, Transport
from walletcli.errors import FormatError, VerificationError, WalletError

ALICE_DID = "did:key:z6MkfGg59BWGV3kFe7v3XS7U9PoBuJPf7kdzHAU6hVzfefqY"
BOB_NAME = "z6Mkg9Rjv9H7aX559ubM42v6UiWjYsim82X7STtbaUcriJ6d"
DOCUMENT = Document(ALICE.public_key, SEQ, profile={"name": "Alice"})
SUBJECT = Subject.of_document(DOCUMENT)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(WalletError) as raised:
        call()
    return raised.value.code


def grant(provider: bytes, nonce: int = 0) -> bytes:
    payload = cbor2.dumps({1: 1, 2: provider, 5: nonce}, canonical=True)
    return Sign1("application/walletcli-grant+cose", BOB.public_key, payload, bytes(64)).to_bytes()


def code(value: object) -> str:
    return hashlib.sha256(cbor2.dumps(value, canonical=True)).hexdigest()[:16]


def test_the_text_of_a_document_says_what_the_page_says() -> None:
    members = approvers(ONE, SCREEN, threshold=2)
    laptop = device("laptop", Power.HOST, Power.SHARE)
    full = Document(
        ALICE.public_key,
        SEQ,
        bindings=(grant(BOB.public_key), b"\xd2"),
        delegations=(laptop,),
        approvers=members,
        succession=Succession(digest("commitment"), 40),
        profile={"name": "Alice"},
        addresses=(Address(Transport.HTTPS, "relay.example"),),
        retirement=Retirement(DAY, 2),
        healed=((bytes(32), b"\1" * 32),),
    )
    listed = [
        {1: -8, 2: item.public_key, 3: item.user_verification, **({4: 1} if item.form else {})}
        for item in members.approvers
    ]
    assert Subject.of_document(full).text == ". ".join(
        [
            f"walletcli approval. Record number {SEQ}",
            f"Identity {ALICE_DID}",
            f"Providers: {BOB_NAME}, unreadable",
            f"Devices: 1 ({code([[laptop.signing_key, laptop.sealing_key, 5]])})",
            f"Approvers: 2 of 2 ({code(listed)}), 30 days",
            f"Successor: after 40 days ({code({1: digest('commitment'), 2: 40})})",
            f"Profile: 1 ({code({'name': 'Alice'})})",
            f"Addresses: 1 ({code([['https', 'relay.example']])})",
            "Healed splits: 1",
            "THE IDENTITY ENDS: key compromised",
            f"SHA-256 {full.hash.hex()}",
        ]
    )


def test_what_a_document_does_not_say_is_none_or_left_out() -> None:
    bare = Document(ALICE.public_key, 5)
    assert Subject.of_document(bare).text == (
        f"walletcli approval. Record number 5. Identity {ALICE_DID}. Providers: none. Devices: 0. Approvers: none. "
        f"Successor: none. SHA-256 {bare.hash.hex()}"
    )


def test_the_text_of_an_export_says_how_many_contacts() -> None:
    subject = Subject.of_export(ALICE.public_key, b"an export", 3)
    digest_hex = hashlib.sha256(b"an export").hexdigest()
    start = "walletcli approval. Export of 3 contacts. Identity"
    assert subject.text == f"{start} {ALICE_DID}. SHA-256 {digest_hex}"
    assert "Export of 1 contact. " in Subject.of_export(ALICE.public_key, b"", 1).text


def test_renewed_days_of_a_device_leave_its_code_and_another_key_changes_it() -> None:
    (one,) = devices(1)
    code_of = [
        Subject.of_document(Document(ALICE.public_key, SEQ, delegations=(item,))).text.split("Devices: ")[1][:20]
        for item in (one, replace(one, not_after_day=one.not_after_day - 1), replace(one, powers=frozenset(Power)))
    ]
    assert code_of[0] == code_of[1] != code_of[2]


def test_providers_beyond_the_eighth_are_counted_and_stand_in_the_code() -> None:
    grants = [grant(key(f"provider {number}").public_key) for number in range(16)]
    texts = {
        count: Subject.of_document(Document(ALICE.public_key, SEQ, bindings=tuple(grants[:count]))).text
        for count in (8, 9, 16)
    }
    assert " more" not in texts[8] and texts[8].count("z6Mk") == 9
    assert ", 1 more (" in texts[9] and ", 8 more (" in texts[16]
    swapped = Document(ALICE.public_key, SEQ, bindings=(*grants[:8], grants[15]))
    assert Subject.of_document(swapped).text.split("Devices")[0] != texts[9].split("Devices")[0]


@pytest.mark.parametrize("binding", [b"\xd2", grant(b"\1" * 31), grant(b""), grant(BOB.public_key) + b"\0"])
def test_a_grant_that_names_nobody_is_unreadable(binding: bytes) -> None:
    text = Subject.of_document(Document(ALICE.public_key, SEQ, bindings=(binding,))).text
    assert "Providers: unreadable. " in text


def test_the_longest_text_is_printable_ascii_and_fits() -> None:
    most = replace(
        everything(),
        seq=2**63 - 1,
        bindings=tuple(grant(key(f"provider {number}").public_key) for number in range(16)),
        delegations=devices(32),
        approvers=Approvers(8, replace(approvers(*(SoftKey(str(n)) for n in range(8))), threshold=8).approvers, 365),
        succession=Succession(digest("commitment"), 365, key("veto").public_key),
        profile={f"a{number}": "née ☿" for number in range(64)},
        retirement=Retirement(DAY, 1),
        healed=tuple((bytes([n]) * 32, bytes([n + 1]) * 32) for n in range(8)),
        sections=(),
    )
    text = Subject.of_document(most).text
    assert text.isascii() and text.isprintable()
    assert 800 < len(text) <= MAX_TEXT_BYTES


CHANGES: dict[str, Document] = {
    "number": replace(DOCUMENT, seq=SEQ + 1),
    "identity": replace(DOCUMENT, identity=BOB.public_key),
    "provider": replace(DOCUMENT, bindings=(grant(BOB.public_key),)),
    "devices": replace(DOCUMENT, delegations=devices(1)),
    "approvers": replace(DOCUMENT, approvers=approvers(ONE)),
    "successor": replace(DOCUMENT, succession=Succession(bytes(32), 30)),
    "profile": replace(DOCUMENT, profile={"name": "Eve"}),
    "sealed sections, which it does not show": replace(DOCUMENT, sections=(b"x",)),
    "extensions, which it does not show": replace(DOCUMENT, extensions={1: 1}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_signed_text_is_worth_nothing_for_a_document_that_differs(name: str) -> None:
    approval = SCREEN.approve(DOCUMENT)
    approval.check(SUBJECT, SCREEN.approver)
    other = Subject.of_document(CHANGES[name])
    assert refusal(lambda: approval.check(other, SCREEN.approver)) == "approval.signature"


def test_an_approval_that_is_a_signed_text_has_one_encoding_and_counts() -> None:
    approval = SCREEN.approve(DOCUMENT)
    assert cbor2.loads(approval.to_bytes()) == [
        "application/walletcli-approval", 2, SCREEN.public_key, approval.signature,
    ]  # fmt: skip
    assert Approval.from_bytes(approval.to_bytes()) == approval
    check_threshold(approvers(SCREEN), SUBJECT, [approval])
    check_threshold(approvers(ONE, SCREEN, threshold=2), SUBJECT, [ONE.approve(DOCUMENT), approval])
    beside = DocumentApprovals((approval,))
    assert DocumentApprovals.from_bytes(beside.to_bytes()) == beside


def test_each_flipped_bit_of_a_signed_text_is_refused() -> None:
    data = SCREEN.approve(DOCUMENT).to_bytes()
    for place in range(8 * len(data)):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        try:
            approval = Approval.from_bytes(bytes(changed))
        except FormatError:
            continue
        with pytest.raises(VerificationError):
            approval.check(SUBJECT, SCREEN.approver)


def test_each_flipped_bit_of_what_was_signed_is_refused() -> None:
    message = SCREEN.message(SUBJECT.text)
    for place in range(8 * len(message)):
        changed = bytearray(message)
        changed[place // 8] ^= 1 << place % 8
        made = Approval(-8, SCREEN.public_key, None, SCREEN.private.sign(bytes(changed)))
        with pytest.raises(VerificationError):
            made.check(SUBJECT, SCREEN.approver)


def test_neither_form_passes_for_the_other() -> None:
    asserting = SoftKey("screen", verify=False, seed="screen screen")
    assert asserting.public_key == SCREEN.public_key
    assertion, text = asserting.approve(DOCUMENT), SCREEN.approve(DOCUMENT)
    assert refusal(lambda: assertion.check(SUBJECT, SCREEN.approver)) == "approval.form"
    assert refusal(lambda: text.check(SUBJECT, asserting.approver)) == "approval.form"
    for member, made in ((SCREEN, assertion), (asserting, text)):
        group = approvers(member)
        with pytest.raises(VerificationError):
            check_threshold(group, SUBJECT, [made])


@pytest.mark.parametrize(
    "text",
    [
        Subject.rehearsal(ALICE.public_key, DOCUMENT.hash).text,
        Subject.of_export(ALICE.public_key, DOCUMENT.to_bytes(), 0).text,
        SUBJECT.text.replace("Devices: 0", "Devices: 1"),
        SUBJECT.text + " ",
        SUBJECT.text.lower(),
        DOCUMENT.hash.hex(),
    ],
)
def test_no_other_text_with_the_same_hash_in_it_counts(text: str) -> None:
    assert refusal(lambda: SCREEN.sign_text(text).check(SUBJECT, SCREEN.approver)) == "approval.signature"


def test_a_text_signed_for_another_application_does_not_count() -> None:
    message = SCREEN.message(SUBJECT.text, domain=bytes(32))
    made = Approval(-8, SCREEN.public_key, None, SCREEN.private.sign(message))
    assert refusal(lambda: made.check(SUBJECT, SCREEN.approver)) == "approval.signature"


def test_what_is_signed_is_no_transaction_and_names_its_signer() -> None:
    message = SUBJECT.message_for(SCREEN.public_key)
    assert message == SCREEN.message(SUBJECT.text)
    assert message[0] == 0xFF and message[51:83] == SCREEN.public_key


@pytest.mark.parametrize(
    "fields",
    [
        {1: -7, 2: SoftKey("x", -7).public_key, 3: False, 4: 1},
        {1: -8, 2: SCREEN.public_key, 3: True, 4: 1},
        {1: -8, 2: SCREEN.public_key, 3: False, 4: 0},
        {1: -8, 2: SCREEN.public_key, 3: False, 4: 2},
        {1: -8, 2: SCREEN.public_key, 3: False, 4: True},
        {1: -8, 2: SCREEN.public_key, 3: False, 5: 1},
    ],
)
def test_an_approver_of_another_form_is_refused(fields: dict[int, object]) -> None:
    decoded = cbor.decode(cbor2.dumps(fields, canonical=True), 256)
    assert refusal(lambda: Approver.from_cbor(decoded)) == "document.approvers"


def test_approvers_that_stood_in_documents_before_are_encoded_as_they_were() -> None:
    assert ONE.approver.to_cbor() == {1: -8, 2: ONE.public_key, 3: True}
    assert SCREEN.approver.to_cbor() == {1: -8, 2: SCREEN.public_key, 3: False, 4: 1}
    assert Approver.from_cbor(SCREEN.approver.to_cbor()).form is Form.SIGNED_TEXT


def test_a_kind_of_its_own_keeps_an_assertion_for_an_export_from_a_document() -> None:
    assert replace(SUBJECT, kind=Kind.CONTACT_EXPORT).client_data_hash != SUBJECT.client_data_hash


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (["application/walletcli-approval", 2, SCREEN.public_key], "approval.malformed"),
        (["application/walletcli-approval", 2, SCREEN.public_key, bytes(64), 0], "approval.malformed"),
        (["application/walletcli-approval", 2, SCREEN.public_key, bytes(63)], "approval.malformed"),
        (["application/walletcli-approval", 2, bytes(32), bytes(64)], "approval.malformed"),
        (["application/walletcli-approval", 2, "key", bytes(64)], "approval.malformed"),
        (["application/walletcli-approval", 2, SCREEN.public_key, None], "approval.malformed"),
    ],
)
def test_what_is_no_signed_text_is_refused(value: object, wanted: str) -> None:
    assert refusal(lambda: Approval.from_bytes(cbor2.dumps(value, canonical=True))) == wanted


def test_two_devices_do_not_stand_in_for_each_other() -> None:
    thief = ScreenKey("thief")
    made = replace(thief.approve(DOCUMENT), public_key=SCREEN.public_key)
    assert refusal(lambda: made.check(SUBJECT, SCREEN.approver)) == "approval.signature"
