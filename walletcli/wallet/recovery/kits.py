"""Finds the exit kits that the owner names: a directory that is one, or one that holds several.

Spec: docs/spec/recovery.md, "Exit kits".
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from walletcli.client.kit import read_head
from walletcli.core.keys import MAX_INDEX
from walletcli.errors import StorageError, VerificationError, WalletError
from walletcli.wallet.recovery.asking import Keys
from walletcli.wallet.recovery.found import KitRecord
from walletcli.wallet.recovery.journal import Missing

MAX_KITS: Final = 10_000
"""Most kits in all."""

SEARCHED: Final = 10_000
"""How many identities of the seed are compared with those that kits name."""

MAX_KITS_OF_ONE: Final = 16
"""Most kits of one identity that are looked into."""


@dataclass(slots=True)
class FoundKits:
    """The exit kits of a seed's identities.

    Attributes:
        by_index: kits of each identity, the newest record first.
        missing: directories that are none, cannot be read, or belong to somebody else.
    """

    by_index: dict[int, list[KitRecord]] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)

    def newest(self, index: int) -> KitRecord | None:
        """Return the kit of an identity that has the newest record, or None if it has none."""
        return next(iter(self.by_index.get(index, ())), None)


def find_kits(paths: Iterable[str], keys: Keys) -> FoundKits:
    """Read the heads of exit kits, and find whose they are.

    Args:
        paths: directories, each an exit kit or full of exit kits.
        keys: gives the seed's root keys.
    """
    found = FoundKits()
    heads: dict[bytes, list[KitRecord]] = {}
    for path in paths:
        for kit in _kits_in(path, found.missing):
            heads.setdefault(kit.head.identity, []).append(kit)
    if not heads:
        return found
    known = keys(0, min(SEARCHED, MAX_INDEX + 1))
    indices = {key: index for index, key in enumerate(known) if key in heads}
    for key, kits in heads.items():
        if key in indices:
            ordered = sorted(kits, key=lambda kit: kit.head.record.packet.seq, reverse=True)
            found.by_index[indices[key]] = ordered[:MAX_KITS_OF_ONE]
            continue
        error = VerificationError(
            "recovery.kit-foreign",
            "these words do not give the identity whose exit kit it is",
            "name the exit kits of identities of this wallet",
        )
        found.missing += [Missing.of("kit", error, place=kit.path) for kit in kits]
    return found


def _kits_in(path: str, missing: list[Missing]) -> Iterator[KitRecord]:
    """Give the kit that a directory is, or those in it."""
    try:
        head = read_head(path)
        if head is not None:
            yield KitRecord(path, head)
            return
        names = sorted(os.listdir(path))[:MAX_KITS]
    except WalletError as error:
        missing.append(Missing.of("kit", error, place=path))
        return
    except OSError as error:
        missing.append(Missing.of("kit", _none(f"cannot be read: {error.strerror}", path), place=path))
        return
    seen = False
    for name in names:
        inner = os.path.join(path, name)
        try:
            head = read_head(inner) if os.path.isdir(inner) else None
        except WalletError as error:
            missing.append(Missing.of("kit", error, place=inner))
            continue
        if head is not None:
            seen = True
            yield KitRecord(inner, head)
    if not seen:
        missing.append(Missing.of("kit", _none("is no exit kit and holds none", path), place=path))


def _none(why: str, path: str) -> StorageError:
    return StorageError(
        "exit-kit.missing",
        f"{path} {why}",
        "check the path, and that the disk is there; if the kit is gone for good: walletcli wallet recover --gone PATH",
    )
