"""A migration in a process of its own, in which at one point something happens.

Called as ``python -m tests.faults.migrator HOME ADDRESS POINT ACT``. ACT is ``kill`` (this process, by signal 9),
``pid:N`` (that process), or ``full`` (this disk, from then on). Prints the answer's JSON, or the code of the error.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from tests.wallet.parts import password
from walletcli.client import places
from walletcli.errors import WalletError
from walletcli.vault import storage
from walletcli.wallet.access.opening import open_here
from walletcli.wallet.home import Home
from walletcli.wallet.providers import migration_data as data
from walletcli.wallet.providers import migration_steps as steps
from walletcli.wallet.providers import moving
from walletcli.wallet.providers.migrate import MigrateWish, migrate

POINTS: dict[str, tuple[Any, str, int]] = {
    "granted": (steps, "request_grant", 1),
    "decided": (steps, "change_book", 1),
    "signed": (steps, "sign_next", 1),
    "stored at the new one": (steps, "store_record", 1),
    "first blob copied": (places.HostPlace, "put", 1),
    "second blob copied": (places.HostPlace, "put", 2),
    "judged": (moving, "settle", 1),
    "losses written down": (data, "advance", 1),
    "index written without what is lost": (moving, "settle", 2),
    "all copied": (data, "move_data", 1),
    "copying written down": (steps.MigrationRun, "copy", 1),
    "published": (steps.MigrationRun, "_publish", 1),
    "old one told": (steps.MigrationRun, "_tell_old", 1),
    "telling written down": (steps.MigrationRun, "tell", 1),
    "kit refreshed": (steps, "refresh_kit", 1),
    "closed": (steps.MigrationRun, "finish", 1),
}
"""Where something happens: right after the n-th call of a function has returned."""

ONLY_WITH_LOSSES = "index written without what is lost"
"""A point that there is only if something is lost."""


def after(point: str, act: Callable[[], None]) -> None:
    """Have `act` called at a point."""
    owner, name, nth = POINTS[point]
    original = getattr(owner, name)
    calls = 0

    def call(*arguments: Any, **settings: Any) -> Any:
        nonlocal calls
        result = original(*arguments, **settings)
        calls += 1
        if calls == nth:
            act()
        return result

    setattr(owner, name, call)


def fill_disk() -> None:
    """Have every later write of the vault end in ENOSPC."""

    def full(*_: object) -> None:
        raise storage.storage_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), storage.Path("wallet.vault"))

    storage._write_synced = full


def act_of(text: str) -> Callable[[], None]:
    if text == "kill":
        return lambda: os.kill(os.getpid(), signal.SIGKILL)
    if text == "full":
        return fill_disk
    pid = int(text.removeprefix("pid:"))
    return lambda: os.kill(pid, signal.SIGKILL)


def main(home: str, address: str, point: str, act: str) -> int:
    if point:
        after(point, act_of(act))
    try:
        with open_here(Home(home), password) as session:
            done = migrate(session, "alice", MigrateWish(address))
    except WalletError as error:
        print(json.dumps({"error": error.code}))
        return error.exit_code
    print(json.dumps(done.to_json()))
    return done.shortfall.exit_code if done.shortfall is not None else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
