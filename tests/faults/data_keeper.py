"""A put, a removal or a synchronization in a process of its own that is killed, or whose disk is full from then on.

Called as ``python -m tests.faults.data_keeper HOME NTH ACT ACTION [ARGUMENT…]``. What becomes durable is counted:
writes of the vault, blobs at the provider, files of the exit kit. Right after the NTH of them ACT takes place: ``kill``
(this process, by signal 9) or ``full`` (every later write of the vault ends in ENOSPC). Prints how many there were, or
the code of an error.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from tests.wallet.parts import password
from walletcli.client.kit import DirectoryPlace
from walletcli.client.places import HostPlace
from walletcli.errors import WalletError
from walletcli.vault import storage
from walletcli.vault.file import Vault
from walletcli.wallet.access.opening import open_here
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Home
from walletcli.wallet.sealed.data import put_file, remove_file
from walletcli.wallet.sealed.sync import SyncWish, sync_identity

DURABLE: tuple[tuple[Any, str], ...] = (
    (Vault, "write"),
    (HostPlace, "put"),
    (DirectoryPlace, "put"),
    (DirectoryPlace, "write_head"),
)
"""What makes something durable."""


class Counter:
    """Counts what becomes durable, and lets something happen after one of them."""

    def __init__(self, nth: int, act: Callable[[], None]) -> None:
        self.count = 0
        self._nth = nth
        self._act = act
        for owner, name in DURABLE:
            self._watch(owner, name)

    def _watch(self, owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def call(*arguments: Any, **settings: Any) -> Any:
            result = original(*arguments, **settings)
            self.count += 1
            if self.count == self._nth:
                self._act()
            return result

        setattr(owner, name, call)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill_disk() -> None:
    def full(*_: object) -> None:
        raise storage.storage_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), storage.Path("wallet.vault"))

    storage._write_synced = full


def put(session: Session, path: str) -> None:
    put_file(session, "alice", path, replace=True)


def remove(session: Session, name: str) -> None:
    remove_file(session, "alice", name)


def sync(session: Session, reseal: str = "") -> None:
    report = sync_identity(session, "alice", wish=SyncWish(reseal=bool(reseal)))
    for _, error in report.errors:
        raise error


ACTIONS: dict[str, Callable[..., None]] = {"put": put, "remove": remove, "sync": sync}


def main(home: str, nth: str, act: str, action: str, *arguments: str) -> None:
    with open_here(Home(home), password) as session:
        counter = Counter(int(nth), kill if act == "kill" else fill_disk)
        ACTIONS[action](session, *arguments)
    print(counter.count)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except WalletError as error:
        print(error.code)
        sys.exit(error.exit_code)
