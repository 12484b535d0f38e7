"""An open vault: read its payload, write it, manage its slots.

Spec: docs/spec/vault.md, "Reading", "Writing", "Slots and the data key".
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from walletcli.core.secret import Secret
from walletcli.errors import UsageError, VaultError
from walletcli.vault.factors import Enrolment, Factor, PasswordFactor
from walletcli.vault.header import Header, header_end
from walletcli.vault.keys import Entropy, damaged
from walletcli.vault.kinds import PASSWORD
from walletcli.vault.locking import exclusive
from walletcli.vault.sealing import MAX_FILE_BYTES, VaultState, parse
from walletcli.vault.slots import Slot, SlotInfo
from walletcli.vault.storage import FileNames, Notice, read_file, read_start, refuse_symlink, replace_file
from walletcli.vault.unlock import by_kind, enrol, unlock, withdraw

_DAY_S: Final = 86_400
_START_BYTES: Final = 4096


class Vault:
    """A vault whose data key is known. Made by `create`, `unlock` and `open_with_key`, not directly.

    It keeps the data key and no payload: each `read` takes that from the disk. Two of them, in one process or in
    several, may stand for one file; who is late gets ``vault.changed``.
    """

    __slots__ = ("_clock", "_entropy", "_names", "_notices", "_state")

    def __init__(
        self, path: Path, state: VaultState, notices: Sequence[Notice], entropy: Entropy, clock: Callable[[], float]
    ) -> None:
        self._names = FileNames(path)
        self._state = replace(state, payload=b"")
        self._notices = list(notices)
        self._entropy = entropy
        self._clock = clock

    def __repr__(self) -> str:
        return f"Vault({str(self.path)!r}, generation={self.generation})"

    # Opening

    @classmethod
    def create(
        cls, path: Path, payload: bytes, factors: Sequence[Factor],
        entropy: Entropy = os.urandom, clock: Callable[[], float] = time.time,
    ) -> Vault:  # fmt: skip
        """Make a vault with one slot.

        Args:
            path: where it shall be; the directory is there already.
            payload: at most 64 MiB less 4 KiB.
            factors: all of them are needed to open the slot.
            entropy: source of keys, salts and nonces.
            clock: seconds since 1970, for the day of the slot.

        Raises:
            VaultError: ``vault.exists``, ``vault.busy``, ``vault.symlink``, or the error of a factor.
            StorageError: as `write`.
        """
        names = FileNames(path)
        _refuse_existing(names)
        state = VaultState.new(payload, entropy)
        enrolments = enrol(factors, state.vault_id, entropy)
        try:
            state = state.with_slot(enrolments, int(clock() // _DAY_S), entropy)
            data = state.to_bytes(entropy)
            with exclusive(names.lock):
                _refuse_existing(names)
                replace_file(names, data, old=None)
        except BaseException:
            withdraw(factors, enrolments, state.vault_id)
            raise
        return cls(path, state, (), entropy, clock)

    @classmethod
    def unlock(
        cls, path: Path, factors: Sequence[Factor],
        entropy: Entropy = os.urandom, clock: Callable[[], float] = time.time, *, only: int | None = None,
    ) -> Vault:  # fmt: skip
        """Open a vault by the first slot whose factors are all at hand, or by one slot alone.

        Args:
            path: of the vault.
            factors: what is at hand.
            entropy: source of keys, salts and nonces.
            clock: seconds since 1970, for the day of new slots.
            only: the one slot to try, or None for all.

        Raises:
            VaultError: ``vault.missing``, ``vault.symlink``, ``vault.not-a-file``, ``slot.no-match``,
                ``vault.wrong-password``, ``vault.damaged``, or the error of a factor.
            SignerError: the error of a factor.
            FormatError: as `walletcli.vault.sealing.parse`.
            StorageError: the system refused.
        """
        data, notices = read_file(path, MAX_FILE_BYTES)
        unlocked = unlock(parse(data)[0], factors, only)
        state = VaultState.from_bytes(data, unlocked.data_key)
        if state.publics[state.slots.index(unlocked.slot)] != unlocked.public_key:
            raise damaged("a slot has another key than it should")
        return cls(path, state, notices, entropy, clock)

    @classmethod
    def open_with_key(
        cls, path: Path, data_key: Secret, entropy: Entropy = os.urandom, clock: Callable[[], float] = time.time
    ) -> Vault:
        """Open a vault with a data key that was had before; costs milliseconds.

        Raises:
            VaultError: ``vault.missing``, ``vault.symlink``, ``vault.not-a-file``, ``vault.damaged``;
                ``vault.changed`` if the vault has another data key.
            FormatError: as `walletcli.vault.sealing.parse`.
            StorageError: the system refused.
        """
        data, notices = read_file(path, MAX_FILE_BYTES)
        return cls(path, VaultState.from_bytes(data, data_key), notices, entropy, clock)

    # What it is

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._names.path

    @property
    def previous_path(self) -> Path:
        """Where the state before the last change is: a vault like this one, with the same slots."""
        return self._names.previous

    @property
    def vault_id(self) -> bytes:
        """16 bytes that name it, the same for its life."""
        return self._state.vault_id

    @property
    def data_key(self) -> Secret:
        """32 bytes that open it until a slot is removed or replaced."""
        return self._state.data_key

    @property
    def generation(self) -> int:
        """The number of the state that was read or written last."""
        return self._state.generation

    @property
    def slots(self) -> tuple[SlotInfo, ...]:
        """Its slots, ascending by id, as of the last read or write."""
        return tuple(SlotInfo.of(slot) for slot in self._state.slots)

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What the user should hear about; more may come with each call."""
        return tuple(self._notices)

    # Payload

    def read(self) -> bytes:
        """Return the payload that is on disk now, and take note of its generation.

        Raises:
            VaultError: ``vault.changed`` if the vault was replaced, went back, or has another data key;
                ``vault.damaged``; ``vault.missing``.
            FormatError: as `walletcli.vault.sealing.parse`.
            StorageError: the system refused.
        """
        state = self._load()[0]
        self._keep(state)
        return state.payload

    def write(self, payload: bytes, expected_generation: int | None = None) -> None:
        """Put another payload in the place of the one that is there. When this returns, it is on disk.

        Args:
            payload: at most 64 MiB less 4 KiB.
            expected_generation: of the payload that this one was made from; None for the last read or written.

        Raises:
            VaultError: ``vault.changed`` if another process has written since; ``vault.busy``; else as `read`.
            StorageError: ``storage.full``, ``storage.read-only``, ``storage.permission``, ``storage.failed`` (the
                old state stays), ``storage.not-durable``, ``vault.payload-too-long``.
        """
        expected = self.generation if expected_generation is None else expected_generation
        with exclusive(self._names.lock):
            state, old = self._load()
            if state.generation != expected:
                raise VaultError("vault.changed", "the vault was changed by another process", "run the command again")
            state = state.with_payload(payload)
            replace_file(self._names, state.to_bytes(self._entropy), old=old)
        self._keep(state)

    def is_changed(self) -> bool:
        """Tell whether the vault on disk is another than was last read or written; reads its header only.

        The header is not authenticated by this: a `read` tells for certain.

        Raises:
            VaultError: ``vault.missing``, ``vault.symlink``, ``vault.not-a-file``.
            FormatError: as `walletcli.vault.header.Header.from_bytes`.
            StorageError: the system refused.
        """
        start = read_start(self.path, _START_BYTES)
        if header_end(start) > len(start):
            start = read_start(self.path, header_end(start))
        header, _ = Header.from_bytes(start)
        return (header.vault_id, header.generation) != (self.vault_id, self.generation)

    def _load(self) -> tuple[VaultState, bytes]:
        data, _ = read_file(self.path, MAX_FILE_BYTES)
        header, _ = parse(data)
        if header.vault_id != self.vault_id:
            raise VaultError(
                "vault.changed", "another vault stands in the place of the unlocked one", "unlock it again"
            )
        state = VaultState.from_bytes(data, self.data_key)
        if state.generation < self.generation:
            hint = "if you put a copy back yourself, unlock it again; else somebody else did"
            raise VaultError("vault.changed", "the vault on disk is older than the one that was unlocked", hint)
        return state, data

    def _keep(self, state: VaultState) -> None:
        self._state = replace(state, payload=b"")

    # Slots

    def add_slot(self, factors: Sequence[Factor]) -> SlotInfo:
        """Add a slot that opens with all of `factors` together.

        Raises:
            VaultError: ``slot.too-many``, ``vault.changed``, ``vault.busy``, or the error of a factor.
            StorageError: as `write`.
        """
        enrolments = enrol(factors, self.vault_id, self._entropy)
        before = {slot.slot_id for slot in self._state.slots}
        try:
            with exclusive(self._names.lock):
                state, old = self._load()
                before = {slot.slot_id for slot in state.slots}
                self._replace_slots(state, old, self._with_slot(state, enrolments))
        except BaseException:
            withdraw(factors, enrolments, self.vault_id)
            raise
        return next(slot for slot in self.slots if slot.slot_id not in before)

    def remove_slot(self, slot_id: int, forget: Sequence[Factor] = ()) -> None:
        """Remove a slot and replace the data key, so that what opened it opens nothing that is written later.

        Args:
            slot_id: of the slot.
            forget: factors that may have left something outside of the vault (the keyring), to delete it there.

        Raises:
            VaultError: ``slot.last``, ``vault.changed``, ``vault.busy``.
            UsageError: ``slot.unknown``.
            StorageError: as `write`.
        """
        with exclusive(self._names.lock):
            state, old = self._load()
            gone = state.slot(slot_id)
            if len(state.slots) == 1:
                message = "the last slot cannot be removed: nothing would open the vault"
                raise VaultError("slot.last", message, "add another one first")
            self._replace_slots(state, old, state.without_slot(slot_id).with_new_data_key(self._entropy))
        self._forget(gone, forget)

    def replace_slot(self, slot_id: int, factors: Sequence[Factor]) -> SlotInfo:
        """Let a slot open with other factors, and replace the data key.

        Args:
            slot_id: of the slot; it keeps it.
            factors: what it opens with from now on, all needed.

        Raises:
            VaultError: ``vault.changed``, ``vault.busy``, or the error of a factor.
            UsageError: ``slot.unknown``.
            StorageError: as `write`.
        """
        self._state.slot(slot_id)
        enrolments = enrol(factors, self.vault_id, self._entropy)
        try:
            with exclusive(self._names.lock):
                state, old = self._load()
                gone = state.slot(slot_id)
                new = self._with_slot(state.without_slot(slot_id), enrolments, slot_id)
                self._replace_slots(state, old, new.with_new_data_key(self._entropy))
        except BaseException:
            withdraw(factors, enrolments, self.vault_id)
            raise
        self._forget(gone, factors)
        return SlotInfo.of(self._state.slot(slot_id))

    def change_password(
        self, password: PasswordFactor, slot_id: int | None = None, others: Sequence[Factor] = ()
    ) -> SlotInfo:
        """Replace the password of a slot, and the data key.

        Args:
            password: the new one.
            slot_id: None if one slot only has a password.
            others: the other factors that the slot asks for (made anew, too).

        Raises:
            UsageError: ``slot.no-password``, ``slot.ambiguous``, ``slot.factor-needed``, ``slot.unknown``.
            VaultError: as `replace_slot`.
            StorageError: as `write`.
        """
        slot = self._password_slot(slot_id)
        at_hand = by_kind([password, *others])
        missing = [kind for kind in slot.kinds if kind not in at_hand]
        if missing:
            message = f"slot {slot.slot_id} also asks for {', '.join(missing)}"
            raise UsageError("slot.factor-needed", message, "have it at hand")
        return self.replace_slot(slot.slot_id, [at_hand[kind] for kind in slot.kinds])

    def _password_slot(self, slot_id: int | None) -> Slot:
        slots = self._state.slots if slot_id is None else (self._state.slot(slot_id),)
        having = [slot for slot in slots if PASSWORD in slot.kinds]
        if not having:
            raise UsageError("slot.no-password", "no such slot has a password", "add a password slot")
        if len(having) > 1:
            ids = ", ".join(str(slot.slot_id) for slot in having)
            raise UsageError("slot.ambiguous", f"several slots have a password: {ids}", "name the slot")
        return having[0]

    def _with_slot(self, state: VaultState, enrolments: Sequence[Enrolment], slot_id: int | None = None) -> VaultState:
        return state.with_slot(enrolments, int(self._clock() // _DAY_S), self._entropy, slot_id)

    def _replace_slots(self, state: VaultState, old: bytes, new: VaultState) -> None:
        # The file before is sealed anew, too: it must not go on opening with what was just removed.
        previous = new.to_bytes(self._entropy)
        following = new.with_payload(state.payload)
        replace_file(self._names, following.to_bytes(self._entropy), old=old, previous=previous)
        self._keep(following)

    def _forget(self, slot: Slot, factors: Sequence[Factor]) -> None:
        at_hand = by_kind(factors)
        self._notices.extend(forget_factors(slot, at_hand, self.vault_id))


def forget_factors(slot: Slot, at_hand: dict[str, Factor], vault_id: bytes) -> list[Notice]:
    """Delete what a slot that is gone left outside of the vault; return what could not be deleted."""
    notices = []
    for record in slot.factors:
        factor = at_hand.get(record.kind)
        if factor is None:
            continue
        try:
            factor.forget(vault_id, record.parameters)
        except VaultError as error:
            notices.append(Notice(error.code, f"an entry was left behind: {error.message}", error.hint))
    return notices


def _refuse_existing(names: FileNames) -> None:
    refuse_symlink(names.path)
    if names.path.exists():
        raise exists_error(names.path)


def exists_error(path: Path) -> VaultError:
    """Return the error for a vault where none should be."""
    return VaultError("vault.exists", f"there is a vault at {path} already", "choose another --home, or wipe that one")
