"""A Trezor: what it says about itself, the public key of an identity on it, and a signature that its owner confirms.

Checked against published vectors and framing, not against the device's own firmware.

Spec: docs/spec/trezor.md; SLIP-0013.
"""

from __future__ import annotations

import contextlib
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from walletcli.core.secret import Secret
from walletcli.core.slip13 import UriIdentity
from walletcli.errors import InputError, SignerError
from walletcli.signers.devices.channel import Connection
from walletcli.signers.devices.trezor_failures import (
    PIN_FORM_HINT,
    not_pressed,
    refusal,
    timeout,
    too_long,
    unusable,
)
from walletcli.signers.devices.trezor_fields import NUMBER, bytes_of, decode, encode, number_of, text_of
from walletcli.signers.devices.trezor_frames import ReportReassembly, TrezorMessage, bad_answer, to_reports

ANSWER_LIMIT_S: Final = 10.0
"""How long a device may take for what needs nobody."""

OWNER_LIMIT_S: Final = 120.0
"""How long it may take when its owner has to look, press or wait after a wrong PIN."""

MAX_QUESTIONS: Final = 8
"""Most questions of the device during one call."""

MAX_OLD_REPORTS: Final = 256
"""Most reports that are passed over after a call was cancelled."""

MAX_PIN_PLACES: Final = 9
"""Longest PIN of the devices that hidapi reaches, digits."""

MAX_PASSPHRASE_BYTES: Final = 50
"""Longest passphrase, bytes of UTF-8."""

MAX_VISUAL_CHARS: Final = 64
"""Longest visual challenge that is sent, so that the screen shows it whole."""

OLDEST: Final = (1, 3, 6)
"""First firmware with Ed25519."""

_VENDORS = ("bitcointrezor.com", "trezor.io")
_CURVE = "ed25519"
_SLICE_S = 0.25
_INITIALIZE, _FAILURE, _FEATURES, _CANCEL = 0, 3, 17, 20
_GET_PUBLIC_KEY, _PUBLIC_KEY, _SIGN_IDENTITY, _SIGNED_IDENTITY = 11, 12, 53, 54
_PIN_REQUEST, _PIN_ACK, _BUTTON_REQUEST, _BUTTON_ACK = 18, 19, 26, 27
_PASSPHRASE_REQUEST, _PASSPHRASE_ACK = 41, 42
_CURRENT_PIN = 1
_FEATURES_FIELDS = {
    1: 64, 2: NUMBER, 3: NUMBER, 4: NUMBER, 5: NUMBER, 6: 64, 7: NUMBER, 8: NUMBER, 10: 128, 12: NUMBER, 21: 16,
}  # fmt: skip


class TrezorPrompts(Protocol):
    """Stands between a Trezor and its owner."""

    def places(self, device: str) -> Secret:
        """Return where the digits of the PIN stand in the square that the device shows, as digits of a keypad.

        Raises:
            UsageError: ``terminal.missing``.
        """
        ...

    def passphrase(self, device: str) -> Secret:
        """Return the passphrase that the device's words are used with, as UTF-8; empty for none.

        Raises:
            UsageError: ``terminal.missing``.
        """
        ...

    def press(self, device: str) -> None:
        """Say that the device shows something, and waits for its button."""
        ...


@dataclass(frozen=True, slots=True)
class TrezorFacts:
    """What a Trezor says about itself; all of it its own word.

    Args:
        model: ``1`` for a Trezor One.
        firmware: major, minor and patch number.
        label: as its owner called it; may be empty.
        device_id: changes whenever it is wiped.
        pin_set: whether it has a PIN.
        passphrase_used: whether it asks for a passphrase.
    """

    model: str
    firmware: tuple[int, int, int]
    label: str
    device_id: str
    pin_set: bool
    passphrase_used: bool

    @property
    def max_challenge_bytes(self) -> int:
        """Most bytes that it signs, as its maker publishes it."""
        if self.firmware[0] != 1:
            return 1024
        return 512 if self.firmware >= (1, 12, 1) else 256


class Trezor:
    """An open Trezor.

    Args:
        name: what its owner calls it.
        connection: to it; reports of 64 bytes.
        prompts: asks its owner.
        clock: seconds that only go forward.

    Raises:
        SignerError: ``trezor.*``, ``key.removed``.
    """

    def __init__(
        self,
        name: str,
        connection: Connection,
        prompts: TrezorPrompts,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._connection = connection
        self._prompts = prompts
        self._clock = clock
        self._was_cancelled = False
        self.facts = _facts(self._call(_INITIALIZE, b"", _FEATURES))

    def public_key(self, asked: UriIdentity) -> bytes:
        """Return the Ed25519 public key of an identity, 32 bytes; nothing is signed.

        Raises:
            SignerError: ``trezor.*``, ``key.removed``.
            InputError: ``trezor.pin-form``, ``trezor.passphrase-length``.
        """
        fields = [(1, step) for step in asked.address_n]
        answer = decode(self._call(_GET_PUBLIC_KEY, encode(*fields, (2, _CURVE)), _PUBLIC_KEY), {1: 1024})
        return _key(bytes_of(decode(bytes_of(answer, 1), {6: 33}), 6), b"\0\1")

    def sign(self, asked: UriIdentity, hidden: bytes, visual: str) -> tuple[bytes, bytes]:
        """Have it sign bytes plainly with the key of an identity; its owner confirms at the device.

        Only a signer of typed requests calls this.

        Args:
            asked: which identity; its `proto` is one that signs the hidden challenge alone.
            hidden: what is signed.
            visual: ASCII, at most 64 letters; shown by the device and not signed.

        Returns:
            The public key that the device says it signed with, 32 bytes, and the signature, 64 bytes; not verified.

        Raises:
            SignerError: ``trezor.*``, ``key.removed``.
            InputError: ``trezor.pin-form``, ``trezor.passphrase-length``.
        """
        assert asked.proto == "ssh"
        assert len(visual) <= MAX_VISUAL_CHARS
        self.require_room(len(hidden))
        identity = encode((1, asked.proto), (2, asked.user), (3, asked.host), (6, asked.index))
        body = encode((1, identity), (2, hidden), (3, visual), (4, _CURVE))
        answer = decode(self._call(_SIGN_IDENTITY, body, _SIGNED_IDENTITY), {2: 33, 3: 65})
        signature = bytes_of(answer, 3)
        if len(signature) != 65 or signature[0] != 0:
            raise bad_answer("a signature of another kind")
        return _key(bytes_of(answer, 2), b"\0"), signature[1:]

    def require_room(self, length_bytes: int) -> None:
        """Check that its firmware takes so many bytes, before anybody is asked for anything.

        Raises:
            SignerError: ``trezor.too-long``.
        """
        if length_bytes > self.facts.max_challenge_bytes:
            raise too_long(length_bytes, self.facts.max_challenge_bytes)

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()

    # How

    def _call(self, kind: int, body: bytes, expected: int) -> bytes:
        if self._was_cancelled:
            self._pass_over_old_answers()
        try:
            answer = self._exchange(TrezorMessage(kind, body), ANSWER_LIMIT_S)
            seen: set[int] = set()
            for _ in range(MAX_QUESTIONS + 1):
                if answer.kind == expected:
                    return answer.body
                if answer.kind == _FAILURE:
                    failure = decode(answer.body, {1: NUMBER, 2: 256})
                    raise refusal(number_of(failure, 1))
                if answer.kind in seen and answer.kind != _BUTTON_REQUEST:
                    raise bad_answer("the same question again")
                seen.add(answer.kind)
                answer = self._exchange(self._reply(answer), OWNER_LIMIT_S)
            raise bad_answer("questions without end")
        except BaseException as error:  # whoever pressed Ctrl-C must not leave it waiting
            if not (isinstance(error, SignerError) and error.code == "key.removed"):
                self._cancel()
            raise

    def _reply(self, question: TrezorMessage) -> TrezorMessage:
        if question.kind == _BUTTON_REQUEST:
            self._prompts.press(self.name)
            return TrezorMessage(_BUTTON_ACK)
        if question.kind == _PIN_REQUEST:
            if number_of(decode(question.body, {1: NUMBER}), 1, _CURRENT_PIN) != _CURRENT_PIN:
                raise bad_answer("it asks for a new PIN")
            places = _checked_places(self._prompts.places(self.name))
            return TrezorMessage(_PIN_ACK, encode((1, places.reveal())))
        if question.kind == _PASSPHRASE_REQUEST:
            passphrase = _checked_passphrase(self._prompts.passphrase(self.name))
            return TrezorMessage(_PASSPHRASE_ACK, encode((1, passphrase.reveal())))
        raise bad_answer(f"a message of type {question.kind}")

    def _exchange(self, message: TrezorMessage, limit_s: float) -> TrezorMessage:
        for report in to_reports(message):
            self._connection.write(report)
        reassembly = ReportReassembly()
        end_s = self._clock() + limit_s
        while (left_s := end_s - self._clock()) > 0:
            report = self._connection.read(min(left_s, _SLICE_S))
            answer = reassembly.feed(report) if report else None
            if answer is not None:
                return answer
        raise not_pressed() if message.kind == _BUTTON_ACK else timeout()

    def _pass_over_old_answers(self) -> None:
        """Read what came since a call was cancelled: a device answers that too."""
        for _ in range(MAX_OLD_REPORTS):
            if not self._connection.read(_SLICE_S):
                self._was_cancelled = False
                return
        raise bad_answer("it does not stop talking")

    def _cancel(self) -> None:
        self._was_cancelled = True
        with contextlib.suppress(SignerError):
            for report in to_reports(TrezorMessage(_CANCEL)):
                self._connection.write(report)


def _facts(body: bytes) -> TrezorFacts:
    found = decode(body, _FEATURES_FIELDS)
    if text_of(found, 1) not in _VENDORS:
        raise unusable("trezor.not-one")
    major, minor, patch = (min(number_of(found, field), 999) for field in (2, 3, 4))
    if number_of(found, 5):
        raise unusable("trezor.bootloader")
    if (major, minor, patch) < OLDEST:
        raise unusable("trezor.old")
    if not number_of(found, 12):
        raise unusable("trezor.empty")
    return TrezorFacts(
        text_of(found, 21) or "1",
        (major, minor, patch),
        text_of(found, 10),
        text_of(found, 6),
        bool(number_of(found, 7)),
        bool(number_of(found, 8)),
    )


def _key(encoded: bytes, heads: bytes) -> bytes:
    if len(encoded) != 33 or encoded[0] not in heads:
        raise bad_answer("a public key of another kind")
    return encoded[1:]


def _checked_places(places: Secret) -> Secret:
    text = places.reveal()
    if not 1 <= len(text) <= MAX_PIN_PLACES or text.strip(b"123456789"):
        message = f"the places of a PIN are 1 to {MAX_PIN_PLACES} digits from 1 to 9"
        raise InputError("trezor.pin-form", message, PIN_FORM_HINT)
    return places


def _checked_passphrase(passphrase: Secret) -> Secret:
    try:
        made = unicodedata.normalize("NFKD", passphrase.reveal().decode("utf-8")).encode()
    except UnicodeDecodeError:  # not chained: the foreign error holds the bytes
        raise InputError("trezor.passphrase-not-text", "the passphrase is not UTF-8 text", "use UTF-8") from None
    if len(made) > MAX_PASSPHRASE_BYTES:
        message = f"the device takes a passphrase of at most {MAX_PASSPHRASE_BYTES} bytes"
        raise InputError("trezor.passphrase-length", message, "use words with a shorter one on this device")
    return Secret(made)
