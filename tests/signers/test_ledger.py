"""docs/spec/ledger.md: an approver on a Ledger, over a device in software that can lie."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.core.samples import ALICE, BOB, SEQ, devices, key
from tests.core.test_approval_text import grant
from tests.hid.in_process import InProcessLedger, Owner
from tests.hid.ledger_device import LIES, packets, public
from walletcli.core.approval import Subject
from walletcli.core.document import Document
from walletcli.core.document_parts import Approver, Form
from walletcli.errors import WalletError
from walletcli.signers.devices import ledger
from walletcli.signers.devices.ledger import FIRST_ACCOUNT, Ledger, approver_path, is_approver_path
from walletcli.signers.devices.ledger_frames import MAX_MESSAGE_BYTES, PacketReassembly, to_packets

PATH = approver_path(1_234_567)
SUBJECT = Subject.of_document(Document(ALICE.public_key, SEQ, profile={"name": "Alice"}))
LONG = Subject.of_document(
    Document(
        ALICE.public_key,
        SEQ,
        bindings=tuple(grant(key(f"provider {number}").public_key) for number in range(16)),
        delegations=devices(32),
    )
)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "ANSWER_LIMIT_S", 0.3)
    monkeypatch.setattr(ledger, "OWNER_LIMIT_S", 0.3)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(WalletError) as raised:
        call()
    return raised.value.code


def approve(wire: InProcessLedger, subject: Subject = SUBJECT, owner: Owner | None = None) -> None:
    device = Ledger("Nano", wire)
    approver = Approver(-8, device.public_key(PATH), False, Form.SIGNED_TEXT)
    device.approve(PATH, approver, subject, owner or Owner()).check(subject, approver)


@pytest.mark.parametrize("subject", [SUBJECT, LONG, Subject.of_export(BOB.public_key, b"x", 2)])
def test_it_shows_the_text_that_its_owner_is_told_and_signs_it(subject: Subject) -> None:
    wire, owner = InProcessLedger(), Owner()
    approve(wire, subject, owner)
    assert wire.device.shown == owner.texts == [subject.text]


def test_the_key_is_the_one_that_slip_0010_gives_from_its_words() -> None:
    wire = InProcessLedger()
    steps = [0x8000002C, 0x800001F5, 0x80000000 | 1_234_567]
    assert Ledger("Nano", wire).public_key(PATH) == public(wire.device._derived(steps))


def test_a_path_is_three_hardened_steps_above_the_accounts_that_people_use() -> None:
    assert approver_path(FIRST_ACCOUNT).hex() == "8000002c800001f580010000"
    assert is_approver_path(PATH)
    assert not is_approver_path(PATH + b"\0") and not is_approver_path(b"\0" * 12)
    for number in (0, FIRST_ACCOUNT - 1, 1 << 31):
        with pytest.raises(AssertionError):
            approver_path(number)


@pytest.mark.parametrize("lie", LIES)
def test_a_device_that_lies_gives_no_approval_and_ends(lie: str) -> None:
    codes = {"silent": "ledger.not-pressed", "no-header": "ledger.old"}
    subject = LONG if lie == "early-answer" else SUBJECT
    assert refusal(lambda: approve(InProcessLedger(lie=lie), subject)) == codes.get(lie, "ledger.bad-answer")


@pytest.mark.parametrize("lie", ["no-key", "short-key"])
def test_a_key_that_is_none_is_not_taken(lie: str) -> None:
    assert refusal(lambda: approve(InProcessLedger(lie=lie))) == "ledger.bad-answer"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"locked": True}, "ledger.locked"),
        ({"app": "BOLOS"}, "ledger.wrong-app"),
        ({"app": "Bitcoin", "version": "2.1.0"}, "ledger.wrong-app"),
        ({"version": "1.2.9"}, "ledger.old"),
        ({"version": "new"}, "ledger.old"),
        ({"refuses": True}, "ledger.denied"),
        ({"never_pressed": True}, "ledger.not-pressed"),
        ({"max_message": 200}, "ledger.failed"),
        ({"app": ""}, "ledger.bad-answer"),
        ({"app": "Sol\nana"}, "ledger.bad-answer"),
        ({"app": "S" * 33}, "ledger.bad-answer"),
    ],
)
def test_what_keeps_it_from_approving_is_named(options: dict[str, object], code: str) -> None:
    assert refusal(lambda: approve(InProcessLedger(**options))) == code


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (0x5515, "ledger.locked"),
        (0x6B0C, "ledger.locked"),
        (0x6982, "ledger.locked"),
        (0x6E00, "ledger.wrong-app"),
        (0x6E01, "ledger.wrong-app"),
        (0x6511, "ledger.wrong-app"),
        (0x6D00, "ledger.old"),
        (0x6A81, "ledger.old"),
        (0x6985, "ledger.denied"),
        (0x6808, "ledger.setting"),
        (0x6A80, "ledger.failed"),
        (0x0000, "ledger.failed"),
        (0x9001, "ledger.failed"),
    ],
)
def test_each_status_ends_in_its_error(status: int, code: str) -> None:
    assert refusal(lambda: Ledger("Nano", InProcessLedger(status=status))) == code


def test_other_words_are_another_device() -> None:
    first = Ledger("Nano", InProcessLedger())
    approver = Approver(-8, first.public_key(PATH), False, Form.SIGNED_TEXT)
    other = InProcessLedger(words="legal winner thank year wave sausage worth useful legal winner thank yellow")
    owner = Owner()
    assert not Ledger("Nano", other).holds(PATH, approver.public_key)
    assert refusal(lambda: Ledger("Nano", other).approve(PATH, approver, SUBJECT, owner)) == "ledger.other-device"
    assert other.device.shown == owner.texts == []


def test_a_device_that_never_stops_talking_is_left_alone() -> None:
    wire = InProcessLedger()
    wire.read = lambda timeout_s: packets(b"\x90\x00")[0]  # type: ignore[method-assign]
    assert refusal(lambda: Ledger("Nano", wire)) == "ledger.bad-answer"


def test_what_it_said_before_anything_was_asked_is_thrown_away() -> None:
    wire = InProcessLedger()
    for packet in packets(b"an old signature" * 4 + b"\x90\x00"):
        wire.arrived.put(packet)
    assert Ledger("Nano", wire).app.name == "Solana"


def test_a_silent_device_ends_in_a_timeout() -> None:
    wire = InProcessLedger()
    wire.device.receive = lambda packet: None
    assert refusal(lambda: Ledger("Nano", wire)) == "ledger.timeout"


def test_one_that_is_pulled_out_while_it_shows_the_text_is_gone() -> None:
    wire = InProcessLedger(never_pressed=True)
    wire.device.on_button = lambda: setattr(wire, "is_removed", True)
    assert refusal(lambda: approve(wire)) == "key.removed"


def test_every_flipped_bit_of_an_answer_that_is_a_signature_is_refused() -> None:
    good = InProcessLedger()
    device = Ledger("Nano", good)
    approver = Approver(-8, device.public_key(PATH), False, Form.SIGNED_TEXT)
    approval = device.approve(PATH, approver, SUBJECT, Owner())
    for place in range(0, 8 * 64, 7):
        changed = bytearray(approval.signature)
        changed[place // 8] ^= 1 << place % 8
        good.device._signature = lambda path, message, changed=changed: bytes(changed)
        assert refusal(lambda: device.approve(PATH, approver, SUBJECT, Owner())) == "ledger.bad-answer"


# Framing


@pytest.mark.parametrize("length", [1, 2, 57, 58, 116, 117, 259, MAX_MESSAGE_BYTES])
def test_what_is_cut_into_packets_is_put_together_again(length: int) -> None:
    message = bytes(number % 251 for number in range(length))
    cut = to_packets(message)
    assert cut == packets(message)
    reassembly = PacketReassembly()
    for _ in range(2):
        answers = [reassembly.feed(packet) for packet in cut]
        assert answers[-1] == message and set(answers[:-1]) <= {None}


@pytest.mark.parametrize(
    "sent",
    [
        [b""],
        [bytes(63)],
        [bytes(65)],
        [bytes(64)],
        [packets(b"x")[0][:5] + b"\0\0" + bytes(57)],
        [packets(b"x")[0][:5] + b"\x01\x05" + bytes(57)],
        [packets(bytes(100))[1]],
        [packets(bytes(100))[0], packets(bytes(100))[0]],
        [packets(bytes(200))[0], packets(bytes(200))[2]],
    ],
)
def test_packets_that_no_device_sends_are_refused(sent: list[bytes]) -> None:
    reassembly = PacketReassembly()

    def feed() -> None:
        for packet in sent:
            reassembly.feed(packet)

    assert refusal(feed) == "ledger.bad-answer"


def test_requests_have_the_form_of_the_page() -> None:
    wire = InProcessLedger()
    approve(wire, LONG)
    app, *rest = wire.device.requests
    signing = [request for request in rest if request[1] == 7]
    assert app == bytes.fromhex("b001000000")
    assert {request for request in rest if request[1] != 7} == {bytes.fromhex("e00500000d03") + PATH}
    assert [request[2:5].hex() for request in signing[:-1]] == ["0102ff", *["0103ff"] * (len(signing) - 2)]
    assert signing[-1][2:4].hex() == "0101"
    sent = b"".join(request[5:] for request in signing)
    assert sent[:14] == b"\x01\x03" + PATH
    assert sent[14 + 85 :].decode() == LONG.text
