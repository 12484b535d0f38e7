"""A Trezor gives the key that the words give and signs what its owner agreed to; whatever else it does is an error."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hid.in_process import InProcessTrezor, TrezorOwner
from tests.hid.trezor_device import LIES, WORDS
from walletcli.core import ed25519
from walletcli.core.bip39 import Mnemonic
from walletcli.core.document import Document
from walletcli.core.keys import KeyTree, Scheme, scheme_seed
from walletcli.core.secret import Secret
from walletcli.core.slip13 import identity_uri
from walletcli.errors import SignerError, WalletError
from walletcli.signers.devices import trezor
from walletcli.signers.devices.trezor import Trezor
from walletcli.signers.devices.trezor_signer import TrezorSigner
from walletcli.signers.requests import PacketRequest

ASKED = identity_uri(3)
ROOMY = 2000
SILENT = {"silent": "trezor.timeout"}


@pytest.fixture(autouse=True)
def _short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of tests end sooner; that they end is what is tested."""
    monkeypatch.setattr(trezor, "ANSWER_LIMIT_S", 0.5)
    monkeypatch.setattr(trezor, "OWNER_LIMIT_S", 0.5)


def tree(passphrase: str = "") -> KeyTree:
    seed = scheme_seed(Scheme.SLIP13, Mnemonic.parse(WORDS), Secret.from_text(passphrase))
    return KeyTree(seed, Scheme.SLIP13)


ROOT = tree().root(3).public_key


def opened(owner: TrezorOwner | None = None, **options: Any) -> tuple[Trezor, InProcessTrezor, TrezorOwner]:
    wire, owner = InProcessTrezor(**options), owner or TrezorOwner()
    return Trezor("Trezor", wire, owner), wire, owner


def signing(owner: TrezorOwner | None = None, **options: Any) -> tuple[TrezorSigner, InProcessTrezor, TrezorOwner]:
    """Open a device whose firmware has room for a record: none that hidapi reaches today has."""
    device, wire, owner = opened(owner, **{"firmware": (2, 8, 1), "max_challenge": ROOMY, **options})
    return TrezorSigner(device, ASKED, ROOT, owner), wire, owner


def request(**fields: Any) -> PacketRequest:
    return PacketRequest(ROOT, Document(ROOT, 1_700_000_000_000_000, **fields))


def code_of(action: Any) -> str:
    with pytest.raises(WalletError) as refused:
        action()
    assert refused.value.hint
    return refused.value.code


def test_it_says_what_it_is() -> None:
    facts = opened(pin="12", passphrase_used=True)[0].facts
    assert (facts.model, facts.firmware, facts.label) == ("1", (1, 6, 3), "mine")
    assert (facts.pin_set, facts.passphrase_used) == (True, True)
    assert facts.max_challenge_bytes == 256
    assert not opened()[0].facts.pin_set


@pytest.mark.parametrize(
    ("firmware", "room"), [((1, 6, 3), 256), ((1, 12, 0), 256), ((1, 12, 1), 512), ((2, 0, 5), 1024)]
)
def test_how_much_it_signs_is_as_its_maker_publishes_it(firmware: tuple[int, int, int], room: int) -> None:
    assert opened(firmware=firmware)[0].facts.max_challenge_bytes == room


@pytest.mark.parametrize("passphrase", ["", "my own", "ÅÄÖ ﬁ"])
def test_the_same_words_give_the_same_key_on_it_and_in_software(passphrase: str) -> None:
    device, wire, owner = opened(TrezorOwner("4711", passphrase), pin="4711", passphrase_used=bool(passphrase))
    for index in (0, 3):
        assert device.public_key(identity_uri(index)) == tree(passphrase).root(index).public_key
    assert 53 not in wire.device.requests, "nothing was signed for it"
    assert owner.presses == 0


def test_it_signs_the_packet_of_a_document_and_its_owner_is_asked_each_time() -> None:
    signer, wire, owner = signing(TrezorOwner("4711"), pin="4711")
    for profile in ({"name": "Alice"}, {"name": "Bob"}):
        asked = request(profile=profile)
        packet = signer.sign(asked)
        assert packet == type(packet).sign(tree().root(3), asked.document.seq, packet.value), "as the words would"
        assert owner.told[-1] == asked.describe()
    assert len(owner.told) == owner.presses == 2
    assert [line.split(" ")[:3] for line in wire.device.shown] == [["ssh", "walletcli@identity", "walletcli"]] * 2


def test_what_its_firmware_has_no_room_for_is_told_before_anybody_is_asked() -> None:
    device, wire, owner = opened()
    signer = TrezorSigner(device, ASKED, ROOT, owner)
    assert code_of(lambda: signer.sign(request())) == "trezor.too-long"
    assert (owner.told, owner.presses, 53 in wire.device.requests) == ([], 0, False)


def test_a_firmware_with_less_room_than_published_refuses_and_nothing_is_signed() -> None:
    signer, _, _ = signing(max_challenge=256)
    assert code_of(lambda: signer.sign(request())) == "trezor.failed"


def test_who_does_not_consent_to_a_blind_signature_gets_none() -> None:
    signer, wire, _ = signing(TrezorOwner(consents=False))
    with pytest.raises(SignerError) as refused:
        signer.sign(request())
    assert refused.value.code == "signer.refused"
    assert 53 not in wire.device.requests


def test_a_device_with_other_words_is_not_the_identity_s() -> None:
    device, _, owner = opened(words="all all all all all all all all all all all all")
    assert code_of(lambda: TrezorSigner(device, ASKED, ROOT, owner)) == "signer.wrong-key"


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_device_gives_no_signature(lie: str) -> None:
    signer, wire, _ = signing(TrezorOwner("4711"), pin="4711")
    wire.device._unlocked = False
    wire.device.lie = lie
    code = code_of(lambda: signer.sign(request()))
    signatures = ("flipped-signature", "other-bytes")
    assert code == ("signer.failed" if lie in signatures else SILENT.get(lie, "trezor.bad-answer"))
    wire.device.lie = None
    assert signer.sign(request()), "what it says late is not taken for an answer to something else"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"vendor": "example.com"}, "trezor.not-one"),
        ({"in_bootloader": True}, "trezor.bootloader"),
        ({"words": ""}, "trezor.empty"),
        ({"firmware": (1, 3, 5)}, "trezor.old"),
        ({"vendor": "\x1b[2J" * 5}, "trezor.not-one"),
        ({"vendor": "x" * 65}, "trezor.bad-answer"),
    ],
)
def test_a_device_that_cannot_be_used_says_why(options: dict[str, Any], code: str) -> None:
    assert code_of(lambda: opened(**options)) == code


def test_a_wrong_pin_is_tried_once() -> None:
    device, wire, _ = opened(TrezorOwner("1234"), pin="4711")
    assert code_of(lambda: device.public_key(ASKED)) == "trezor.pin-wrong"
    assert wire.device.wrong_pins == 1


@pytest.mark.parametrize("typed", ["", "0", "12a", "1234567891", "4 7", "４７"])
def test_places_that_no_square_has_cost_no_try(typed: str) -> None:
    device, wire, owner = opened(pin="4711")
    owner.typed = typed
    assert code_of(lambda: device.public_key(ASKED)) == "trezor.pin-form"
    assert wire.device.wrong_pins == 0
    assert wire.device.requests[-1] == 20, "it does not go on waiting"


def test_a_passphrase_that_does_not_fit_is_not_sent() -> None:
    device, wire, _ = opened(TrezorOwner(passphrase="x" * 51), passphrase_used=True)
    assert code_of(lambda: device.public_key(ASKED)) == "trezor.passphrase-length"
    assert 42 not in wire.device.requests


@pytest.mark.parametrize(
    ("options", "code"), [({"refuses": True}, "trezor.denied"), ({"never_pressed": True}, "trezor.not-pressed")]
)
def test_its_button_decides(options: dict[str, Any], code: str) -> None:
    signer, wire, _ = signing(**options)
    assert code_of(lambda: signer.sign(request())) == code
    assert wire.device.requests[-1] == 20


def test_a_device_that_is_pulled_out_while_it_waits_is_gone() -> None:
    signer, wire, _ = signing()
    wire.device.on_button = lambda: setattr(wire, "is_removed", True)
    assert code_of(lambda: signer.sign(request())) == "key.removed"


def test_whoever_interrupts_leaves_it_waiting_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    signer, wire, owner = signing()

    def interrupted(device: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, "press", interrupted)
    with pytest.raises(KeyboardInterrupt):
        signer.sign(request())
    assert wire.device.requests[-1] == 20


def test_a_device_that_does_not_stop_talking_is_left() -> None:
    device, wire, owner = opened(pin="4711")
    owner.typed = "0"
    assert code_of(lambda: device.public_key(ASKED)) == "trezor.pin-form"
    for _ in range(300):
        wire.arrived.put(bytes(64))
    assert code_of(lambda: device.public_key(ASKED)) == "trezor.bad-answer"


def test_its_own_words_reach_nobody() -> None:
    signer, _, _ = signing(max_challenge=1)
    with pytest.raises(SignerError) as refused:
        signer.sign(request())
    assert "own words" not in str(refused.value)


def test_the_signature_verifies_with_the_key_that_the_words_give() -> None:
    packet = signing()[0].sign(request())
    from walletcli.core.bep44 import signable

    ed25519.verify(tree().root(3).public_key, signable(packet.seq, packet.value), packet.signature)
