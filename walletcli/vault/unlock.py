"""From the factors at hand to the data key.

Spec: docs/spec/vault.md, "Reading", steps 5 and 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from walletcli.core.secret import Secret
from walletcli.errors import SignerError, UsageError, VaultError
from walletcli.vault.factors import Enrolment, Factor
from walletcli.vault.header import Header
from walletcli.vault.keys import KEY_BYTES, Entropy, SlotKey, damaged, key_id, open_data_key, unwrap_slot_key
from walletcli.vault.kinds import PASSWORD
from walletcli.vault.slots import Slot


@dataclass(frozen=True, slots=True)
class Unlocked:
    """What a slot gave.

    Args:
        data_key: 32 bytes.
        slot: the slot that opened.
        public_key: the public half of its slot key, to be found in the sealed part.
    """

    data_key: Secret
    slot: Slot
    public_key: bytes


def unlock(header: Header, factors: Sequence[Factor], only: int | None = None) -> Unlocked:
    """Open the first slot whose factors are all at hand; those without a password first, for they cost nothing.

    Args:
        header: of the vault.
        factors: what is at hand.
        only: the one slot to try, or None for all.

    Raises:
        VaultError: ``slot.no-match``, ``vault.wrong-password``, ``slot.wrong-key``, ``vault.damaged``, or the
            error of a factor.
        SignerError: the error of a factor.
        UsageError: ``slot.factor-twice`` if two of the factors are of one kind.
    """
    at_hand = by_kind(factors)
    wanted = [slot for slot in header.slots if only in (None, slot.slot_id)]
    candidates = [slot for slot in wanted if set(slot.kinds) <= set(at_hand)]
    if not candidates:
        raise _no_match(header, at_hand)
    failures: list[VaultError | SignerError] = []
    wrong: list[Slot] = []
    for slot in sorted(candidates, key=lambda slot: (PASSWORD in slot.kinds, len(slot.kinds))):
        try:
            outputs = [at_hand[factor.kind].output(header.vault_id, factor.parameters) for factor in slot.factors]
        except (VaultError, SignerError) as error:
            failures.append(error)
            continue
        slot_key = unwrap_slot_key(slot.wrapped_key, outputs, header.vault_id, slot.parameters)
        if slot_key is not None:
            return _opened(header, slot, slot_key)
        wrong.append(slot)
    raise _failure(wrong, failures)


def by_kind(factors: Sequence[Factor]) -> dict[str, Factor]:
    """Return the factors by kind.

    Raises:
        UsageError: ``slot.factor-twice`` if two are of one kind.
    """
    kinds = {factor.kind: factor for factor in factors}
    if len(kinds) != len(factors):
        raise UsageError("slot.factor-twice", "two factors of one kind were given", "give each kind once")
    return kinds


def enrol(factors: Sequence[Factor], vault_id: bytes, entropy: Entropy) -> tuple[Enrolment, ...]:
    """Make factors ready for a new slot: all of them, or none.

    Raises:
        WalletError: the error of the factor that refused; what the others had left is deleted.
        UsageError: ``slot.factor-twice``, ``slot.no-factor``.
    """
    if not by_kind(factors):
        raise UsageError("slot.no-factor", "a slot needs at least one factor", "give a password or choose the keyring")
    done: list[Enrolment] = []
    try:
        for factor in factors:
            done.append(factor.enrol(vault_id, entropy))  # what was done so far is undone on failure
    except BaseException:
        withdraw(factors, done, vault_id)
        raise
    return tuple(done)


def withdraw(factors: Sequence[Factor], enrolments: Sequence[Enrolment], vault_id: bytes) -> None:
    """Delete what enrolments left outside of the vault; for a slot that came to nothing, so failure is not told."""
    for factor, enrolment in zip(factors, enrolments, strict=False):
        try:
            factor.forget(vault_id, enrolment.record.parameters)
        except VaultError:
            continue


def _opened(header: Header, slot: Slot, slot_key: SlotKey) -> Unlocked:
    data_key = open_data_key(slot.sealed_data_key, slot_key, header.vault_id)
    if len(data_key) != KEY_BYTES or key_id(data_key, header.vault_id) != header.key_id:
        raise damaged("a slot carries another data key")
    return Unlocked(data_key, slot, slot_key.public_key)


def _failure(wrong: Sequence[Slot], failures: Sequence[VaultError | SignerError]) -> VaultError | SignerError:
    if any(PASSWORD in slot.kinds for slot in wrong):
        return VaultError(
            "vault.wrong-password",
            "the password does not open this vault",
            "type it again; if it is surely right, the file may be damaged: "
            "the state before is in wallet.vault.previous",
        )
    if failures:
        return failures[0]
    kinds = ", ".join(sorted({kind for slot in wrong for kind in slot.kinds}))
    message = f"what was shown ({kinds}) does not open this vault"
    return VaultError("slot.wrong-key", message, "open it with another slot")


def _no_match(header: Header, at_hand: dict[str, Factor]) -> VaultError:
    given = ", ".join(sorted(at_hand)) or "nothing"
    ways = "; ".join(sorted({" and ".join(slot.kinds) for slot in header.slots}))
    return VaultError("slot.no-match", f"no slot of this vault opens with {given} alone", f"it opens with: {ways}")
