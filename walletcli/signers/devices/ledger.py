"""A Ledger: which application is open on it, the key of an approver, and its signature of a text that it has shown.

Checked against the published protocol, the maker's own client and framing, not against the device's own firmware.

Spec: docs/spec/ledger.md.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from walletcli.core.approval import EDDSA, Approval, Subject
from walletcli.core.document_parts import Approver, Form
from walletcli.errors import FormatError, SignerError, VerificationError
from walletcli.signers.devices.channel import Connection
from walletcli.signers.devices.ledger_failures import (
    SUCCESS,
    not_pressed,
    old,
    other_device,
    refusal,
    timeout,
    wrong_app,
)
from walletcli.signers.devices.ledger_frames import PacketReassembly, bad_answer, to_packets
from walletcli.signers.devices.prompts import KeyPrompts

ANSWER_LIMIT_S: Final = 10.0
"""How long a device may take for what needs nobody."""

OWNER_LIMIT_S: Final = 120.0
"""How long it may take when its owner has to read a text and confirm it."""

MAX_OLD_PACKETS: Final = 256
"""Most packets that are thrown away because they were there before anything was asked."""

APP: Final = "Solana"
"""The application that shows and signs texts."""

OLDEST: Final = (1, 3, 0)
"""First version of it that does."""

FIRST_ACCOUNT: Final = 1 << 16
"""Lowest number of a key; people's own accounts count from 0."""

_HARDENED = 1 << 31
_PATH_HEAD = bytes.fromhex("8000002c800001f5")  # 44', 501'
_STEPS = 3
_SLICE_S = 0.25
_MAX_DATA_BYTES = 255
_EXTENDS, _MORE = 0x01, 0x02
_NAME = re.compile(rb"[!-~][ -~]{0,31}")
_VERSION = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})")


@dataclass(frozen=True, slots=True)
class LedgerApp:
    """The application that is open on a device; all of it the device's word.

    Args:
        name: 1 to 32 printable letters.
        version: 1 to 32 printable letters.
    """

    name: str
    version: str

    @property
    def fault(self) -> SignerError | None:
        """Why it cannot approve, or None."""
        if self.name != APP:
            return wrong_app(self.name)
        numbers = _VERSION.match(self.version)
        if numbers is None or tuple(map(int, numbers.groups())) < OLDEST:
            return old(self.version)
        return None


def approver_path(number: int) -> bytes:
    """Return the path of an approver's key as it is kept and sent, 12 bytes.

    Args:
        number: 65,536 to 2^31 - 1, drawn for each identity anew.
    """
    assert FIRST_ACCOUNT <= number < _HARDENED
    return _PATH_HEAD + (_HARDENED | number).to_bytes(4, "big")


def is_approver_path(credential_id: bytes) -> bool:
    """Tell whether what is kept in place of a credential id is a path of this kind."""
    return len(credential_id) == len(_PATH_HEAD) + 4 and credential_id.startswith(_PATH_HEAD)


class Ledger:
    """An open Ledger.

    Args:
        name: what its owner calls it.
        connection: to it; packets of 64 bytes.
        clock: seconds that only go forward.

    Raises:
        SignerError: ``ledger.*``, ``key.removed``.
    """

    def __init__(self, name: str, connection: Connection, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._connection = connection
        self._clock = clock
        self._pass_over_old_packets()
        self.app = _app(self._call(b"\xb0\x01\x00\x00\x00"))

    def public_key(self, path: bytes) -> bytes:
        """Return the Ed25519 public key at a path, 32 bytes; nothing is shown and nothing is signed.

        Args:
            path: as `approver_path` makes it.

        Raises:
            SignerError: ``ledger.*``, ``key.removed``.
        """
        if self.app.fault is not None:
            raise self.app.fault
        answer = self._call(_request(0x05, 0, 0, bytes([_STEPS]) + path))
        try:
            return Approver(EDDSA, answer, user_verification=False, form=Form.SIGNED_TEXT).public_key
        except FormatError as error:
            raise bad_answer("a public key that is none") from error

    def holds(self, path: bytes, public_key: bytes) -> bool:
        """Tell whether a key at a path is the one that it should be; raises as `public_key`."""
        return self.public_key(path) == public_key

    def approve(self, path: bytes, approver: Approver, subject: Subject, prompts: KeyPrompts) -> Approval:
        """Have its owner read and confirm the text of what is approved.

        Args:
            path: of the approver's key.
            approver: as the document names it.
            subject: what is approved.
            prompts: told what the device must show.

        Raises:
            SignerError: ``ledger.*``, ``key.removed``.
        """
        if not self.holds(path, approver.public_key):
            raise other_device()
        sent = bytes([1, _STEPS]) + path + subject.message_for(approver.public_key)
        parts = [sent[start : start + _MAX_DATA_BYTES] for start in range(0, len(sent), _MAX_DATA_BYTES)]
        for number, part in enumerate(parts[:-1]):
            if self._call(_request(0x07, 1, _MORE | (_EXTENDS if number else 0), part)):
                raise bad_answer("an answer before it had everything")
        prompts.compare(self.name, subject.text)
        signature = self._call(_request(0x07, 1, _EXTENDS if len(parts) > 1 else 0, parts[-1]), OWNER_LIMIT_S)
        try:
            approval = Approval(EDDSA, approver.public_key, None, signature)
            approval.check(subject, approver)
        except (FormatError, VerificationError) as error:
            raise bad_answer("it signed something else, or nothing") from error
        return approval

    # How

    def _call(self, request: bytes, limit_s: float | None = None) -> bytes:
        for packet in to_packets(request):
            self._connection.write(packet)
        reassembly = PacketReassembly()
        end_s = self._clock() + (ANSWER_LIMIT_S if limit_s is None else limit_s)
        while (left_s := end_s - self._clock()) > 0:
            packet = self._connection.read(min(left_s, _SLICE_S))
            answer = reassembly.feed(packet) if packet else None
            if answer is not None:
                return _successful(answer)
        raise timeout() if limit_s is None else not_pressed()

    def _pass_over_old_packets(self) -> None:
        for _ in range(MAX_OLD_PACKETS):
            if not self._connection.read(0):
                return
        raise bad_answer("it does not stop talking")


def _request(instruction: int, p1: int, p2: int, data: bytes) -> bytes:
    return bytes([0xE0, instruction, p1, p2, len(data)]) + data


def _successful(answer: bytes) -> bytes:
    if len(answer) < 2:
        raise bad_answer("an answer without a status")
    status = int.from_bytes(answer[-2:], "big")
    if status != SUCCESS:
        raise refusal(status)
    return answer[:-2]


def _app(answer: bytes) -> LedgerApp:
    """Read which application is open: a 1, then name, version and flags, each behind its length."""
    fields: list[bytes] = []
    rest = answer[1:]
    while rest and len(fields) < _STEPS:
        fields.append(rest[1 : 1 + rest[0]])
        if len(fields[-1]) != rest[0]:
            raise bad_answer("a name that ends early")
        rest = rest[1 + rest[0] :]
    if answer[:1] != b"\1" or rest or len(fields) < 2:
        raise bad_answer("no name of an application")
    name, version = (field.rstrip(b"\0") for field in fields[:2])
    if not _NAME.fullmatch(name) or not _NAME.fullmatch(version):
        raise bad_answer("a name that is none")
    return LedgerApp(name.decode("ascii"), version.decode("ascii"))
