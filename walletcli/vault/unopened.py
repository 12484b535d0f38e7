"""What can be done with a vault that is locked: describe it, copy it out and in, wipe it.

Spec: docs/spec/vault.md.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from walletcli.errors import FormatError, VaultError
from walletcli.vault.factors import Factor
from walletcli.vault.file import exists_error, forget_factors
from walletcli.vault.header import MAX_HEADER_BYTES, PREFIX_BYTES, Header
from walletcli.vault.locking import exclusive
from walletcli.vault.sealing import MAX_FILE_BYTES, parse
from walletcli.vault.slots import SlotInfo
from walletcli.vault.storage import FileNames, Notice, read_file, refuse_symlink, replace_file, storage_error
from walletcli.vault.unlock import by_kind


@dataclass(frozen=True, slots=True)
class Description:
    """What a locked vault says about itself; not authenticated before it is opened.

    Args:
        vault_id: 16 bytes.
        generation: 1 and up.
        slots: ascending by id.
        notices: what the user should hear about.
    """

    vault_id: bytes
    generation: int
    slots: tuple[SlotInfo, ...]
    notices: tuple[Notice, ...]


def describe(path: Path) -> Description:
    """Read the header of a vault.

    Raises:
        VaultError: ``vault.missing``, ``vault.symlink``, ``vault.not-a-file``.
        FormatError: as `walletcli.vault.sealing.parse`.
        StorageError: the system refused.
    """
    data, notices = read_file(path, MAX_FILE_BYTES)
    header, _ = parse(data)
    return Description(header.vault_id, header.generation, tuple(SlotInfo.of(slot) for slot in header.slots), notices)


def export_sealed(path: Path) -> bytes:
    """Return the vault's bytes, sealed as they are, after checking that they are a whole vault.

    Raises:
        VaultError: ``vault.missing``, ``vault.symlink``, ``vault.not-a-file``.
        FormatError: as `walletcli.vault.sealing.parse`.
        StorageError: the system refused.
    """
    data, _ = read_file(path, MAX_FILE_BYTES)
    parse(data)
    return data


def import_sealed(path: Path, data: bytes) -> Description:
    """Put a vault that `export_sealed` gave at `path`, where none is yet.

    Raises:
        VaultError: ``vault.exists``, ``vault.symlink``, ``vault.busy``.
        FormatError: as `walletcli.vault.sealing.parse`.
        StorageError: the system refused; nothing is there then.
    """
    parse(data)
    names = FileNames(path)
    with exclusive(names.lock):
        refuse_symlink(path)
        if path.exists():
            raise exists_error(path)
        replace_file(names, data, old=None)
    return describe(path)


def wipe(path: Path, forget: Sequence[Factor] = ()) -> tuple[Notice, ...]:
    """Delete a vault, the state before it, and what its slots left outside.

    The headers are overwritten first, so that what the disk keeps of the rest cannot be opened. Flash, journals and
    snapshots may keep even those.

    Args:
        path: of the vault; a damaged one is deleted as well.
        forget: factors that may have left something outside of the vault (the keyring).

    Raises:
        VaultError: ``vault.missing``, ``vault.symlink``, ``vault.busy``.
        StorageError: the system refused.
    """
    names = FileNames(path)
    refuse_symlink(path)
    if not path.exists() and not names.previous.exists():
        raise VaultError("vault.missing", f"there is no vault at {path}", "check --home")
    notices: list[Notice] = []
    at_hand = by_kind(forget)
    with exclusive(names.lock):
        for file in (names.path, names.previous):
            for header in _header(file):
                for slot in header.slots:
                    notices += forget_factors(slot, at_hand, header.vault_id)
        for file in (names.new, names.previous_new, names.previous, names.path):
            _destroy(file)
        with contextlib.suppress(OSError):
            names.lock.unlink()
    return tuple(dict.fromkeys(notices))


def _header(path: Path) -> tuple[Header, ...]:
    try:
        return (parse(read_file(path, MAX_FILE_BYTES)[0])[0],)
    except (FormatError, VaultError):
        return ()


def _destroy(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
        return
    try:
        with path.open("r+b") as file:
            file.write(bytes(min(path.stat().st_size, PREFIX_BYTES + MAX_HEADER_BYTES)))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise storage_error(error, path) from error
