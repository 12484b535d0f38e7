"""A bind in a process of its own, which is killed at one point.

Called as ``python -m tests.faults.binder HOME ADDRESS KIT POINT``; an empty POINT lets it through. Prints the answer's
JSON, or the code of the error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from tests.wallet.parts import password
from walletcli.errors import WalletError
from walletcli.wallet.access.opening import open_here
from walletcli.wallet.home import Home
from walletcli.wallet.providers import bind, grants

POINTS: dict[str, tuple[Any, str]] = {
    "links looked at": (bind, "plan_publish"),
    "signed for the first time": (grants, "sign_next"),
    "carried there": (grants, "carry_record"),
    "granted": (bind, "request_grant"),
    "decided": (bind, "_decide"),
    "published": (bind, "publish_identity"),
    "places opened": (bind, "bound_places"),
    "kit made": (bind, "refresh_kit"),
}
"""Where it is killed: right after the first call of a function has returned."""


def kill_after(point: str) -> None:
    owner, name = POINTS[point]
    original: Callable[..., Any] = getattr(owner, name)

    def call(*arguments: Any, **settings: Any) -> Any:
        original(*arguments, **settings)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, call)


def main(home: str, address: str, kit: str, point: str) -> int:
    if point:
        kill_after(point)
    try:
        with open_here(Home(home), password) as session:
            done = bind.bind_provider(session, "alice", bind.BindWish(address, kit=kit))
    except WalletError as error:
        print(json.dumps({"error": error.code}))
        return error.exit_code
    print(json.dumps(done.to_json()))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
