"""Asks the owner's devices to approve what is about to be signed: those that are plugged in, then others in turn.

Spec: docs/spec/approval.md, "Making".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from walletcli.core.approval import Approval, Subject
from walletcli.core.document_parts import Approver, Approvers
from walletcli.errors import SignerError, VerificationError
from walletcli.wallet.home import Home, Progress, silent
from walletcli.wallet.state.approvers import Credential

if TYPE_CHECKING:
    from walletcli.signers.devices.hidapi import PluggedKey
    from walletcli.signers.devices.prompts import KeyPrompts

ANOTHER_KEY_LIMIT_S = 600.0
"""How long another key is waited for, seconds: the wallet is open meanwhile."""

LOOK_EVERY_S = 0.3
"""How often it is looked what is plugged in, seconds; nobody changes keys faster."""

ASKED_ELSEWHERE = frozenset({"approver.not-here", "approver.no-credential", "approver.unattended", "key.no-hidapi"})
"""Why nobody approves at this machine of what can be approved at another one."""

_OF_ONE_DEVICE = frozenset({
    "key.not-enrolled", "ledger.locked", "ledger.wrong-app", "ledger.old", "ledger.timeout",
})  # fmt: skip
"""Why one device among several is passed over, besides being unusable; told if too few others approve."""

Keep = Callable[[Approval], None]
"""Keeps an approval before the next key is asked."""


@dataclass(frozen=True, slots=True)
class Question:
    """What approvers are asked, and how.

    Attributes:
        credentials: how the approvers are asked.
        approvers: of the document that is in force.
        subject: what is approved.
        given: what was approved before.
        keep: keeps each approval before the next key is asked; None: nothing is kept.
        is_patient: whether another key is waited for, if somebody is there to plug it in.
        enough: how many approvals will do; None: the threshold.
        about: what is approved, in plain language, a line each; shown first, if there is any.
    """

    credentials: Sequence[Credential]
    approvers: Approvers
    subject: Subject
    given: tuple[Approval, ...] = ()
    keep: Keep | None = None
    is_patient: bool = True
    enough: int | None = None
    about: tuple[str, ...] = ()

    @property
    def threshold(self) -> int:
        """How many approvals it takes."""
        return self.enough if self.enough is not None else self.approvers.threshold

    @property
    def wanted(self) -> list[tuple[Approver, Credential]]:
        """The approvers that can be asked."""
        known = {item.public_key: item for item in self.credentials}
        return [(item, known[item.public_key]) for item in self.approvers.approvers if item.public_key in known]


def ask(home: Home | None, question: Question, progress: Progress = silent) -> tuple[Approval, ...]:
    """Have as many approvers approve as it takes, each with a touch; one key after the other will do.

    Args:
        home: whose prompts ask; None: nobody is asked.
        question: what, and whom.
        progress: takes a line per step.

    Returns:
        What was given before, and what was given now.

    Raises:
        SignerError: ``approver.unattended`` if there is nobody to ask, ``approver.no-credential``,
            ``approver.not-here``, ``key.*``.
        MissingExtraError: ``key.no-hidapi``.
    """
    if len(question.given) >= question.threshold:
        return question.given
    if home is None or home.keys is None:
        raise SignerError(
            "approver.unattended",
            "this needs a security key or another device that approves, and nobody is here to confirm it",
            "do it by hand: walletcli publish WHO",
        )
    done = {approval.public_key for approval in question.given}
    able = len(done | {approver.public_key for approver, _ in question.wanted})
    if able < question.threshold:
        raise SignerError(
            "approver.no-credential",
            f"this wallet knows how to ask {able} of its approvers, {question.threshold} must approve",
            "use the wallet that enrolled them; if they are lost: walletcli identity approver remove WHO KEY --lost",
        )
    progress(f"asking for {question.threshold - len(question.given)} approval(s)")
    if question.about:
        home.keys.approves(question.about)
    return _Round(home.keys, question, list(question.given)).gather()


def valid_approvals(approvals: Sequence[Approval], approvers: Approvers, subject: Subject) -> tuple[Approval, ...]:
    """Return those of several approvals that one of the approvers gave, for exactly this."""
    known = {item.public_key: item for item in approvers.approvers}
    found = []
    for approval in approvals:
        try:
            if approval.public_key in known:
                approval.check(subject, known[approval.public_key])
                found.append(approval)
        except VerificationError:  # a program of the user may have written it into the drawer
            continue
    return tuple(found)


@dataclass(slots=True)
class _Round:
    """Asks keys until enough have approved."""

    prompts: KeyPrompts
    question: Question
    given: list[Approval]
    refused: SignerError | None = None
    _tried: set[PluggedKey] = field(default_factory=set)

    def gather(self) -> tuple[Approval, ...]:
        plugged = self._plugged()
        while True:
            for key in [key for key in plugged if key not in self._tried]:
                self._tried.add(key)
                self._ask(key)
                if len(self.given) >= self.question.threshold:
                    return tuple(self.given)
            plugged = self._another()

    def _ask(self, key: PluggedKey) -> None:
        try:
            for approval in self._approvals(key):
                self.given.append(approval)
                if self.question.keep is not None:
                    self.question.keep(approval)
        except SignerError as error:
            from walletcli.signers.devices.opening import UNUSABLE

            if error.code not in UNUSABLE | _OF_ONE_DEVICE:
                raise
            self.refused = error

    def _approvals(self, key: PluggedKey) -> Iterator[Approval]:
        from walletcli.signers.devices.approver_device import opened_approver

        most = self.question.threshold - len(self.given)
        with opened_approver(key, self.prompts) as device:
            fitting = [pair for pair in self._left() if device.fits(pair[0], pair[1].credential_id)]
            for approver, credential in fitting[:most]:
                yield device.approve(approver, credential.credential_id, self.question.subject)

    def _left(self) -> list[tuple[Approver, Credential]]:
        done = {approval.public_key for approval in self.given}
        return [pair for pair in self.question.wanted if pair[0].public_key not in done]

    def _plugged(self) -> tuple[PluggedKey, ...]:
        from walletcli.signers.devices.approver_device import plugged_approvers

        return plugged_approvers([approver for approver, _ in self.question.wanted])

    def _another(self) -> tuple[PluggedKey, ...]:
        """Wait until a key is plugged in that was not asked; one that was taken out meanwhile may come back.

        Raises:
            SignerError: ``approver.not-here``, or why a key that is there gave nothing.
        """
        names = sorted(credential.name for _, credential in self._left())
        why = self.refused.message if self.refused is not None else ""
        if not self.question.is_patient or not self.prompts.another(
            len(self.given), self.question.threshold, names, why
        ):
            raise self._not_here(names)
        self.refused = None
        until_s = time.monotonic() + ANOTHER_KEY_LIMIT_S
        while time.monotonic() < until_s:
            plugged = self._plugged()
            self._tried &= set(plugged)
            if set(plugged) - self._tried:
                return plugged
            time.sleep(LOOK_EVERY_S)
        raise self._not_here(names)

    def _not_here(self, names: Sequence[str]) -> SignerError:
        if self.refused is not None:
            return self.refused
        listed = ", ".join(repr(name) for name in names)
        missing = self.question.threshold - len(self.given)
        kept = f"{len(self.given)} of {self.question.threshold} are kept: " if self._keeps else ""
        return SignerError(
            "approver.not-here",
            f"{missing} more of the identity's approvers must approve, and no key that is plugged in is one ({listed})",
            f"{kept}plug in the next one and run the same command again; "
            "or ask who has it: walletcli identity approver ask WHO --out FILE",
        )

    @property
    def _keeps(self) -> bool:
        return bool(self.given) and self.question.keep is not None
