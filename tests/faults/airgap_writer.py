"""One step of offline signing in a process of its own, to be killed or refused in the middle of it.

Called as ``python -m tests.faults.airgap_writer ACTION HOME FILE [FILE]``; prints ``done`` when the step says so.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from tests.wallet.parts import password
from walletcli.errors import WalletError
from walletcli.wallet.access.opening import open_here
from walletcli.wallet.airgap.alarms import NAMES
from walletcli.wallet.airgap.applying import apply_response
from walletcli.wallet.airgap.making import NewIdentity, Wish, make_request
from walletcli.wallet.airgap.showing import approve_request, review_file
from walletcli.wallet.home import Home


def make(home: Home, path: str) -> None:
    with open_here(home, password) as session:
        make_request(session, Wish(("alice",), (NewIdentity("bob"),)), path, offline=True)


def approve(home: Home, path: str, out: str) -> None:
    with open_here(home, password) as session:
        review = review_file(session, path)
        approve_request(session, review, [item.number for item in review.items], NAMES, out)


def apply(home: Home, path: str) -> None:
    with open_here(home, password) as session:
        apply_response(session, path)


ACTIONS: dict[str, Callable[..., None]] = {"make": make, "approve": approve, "apply": apply}

if __name__ == "__main__":
    try:
        ACTIONS[sys.argv[1]](Home(sys.argv[2]), *sys.argv[3:])
    except WalletError as error:
        print(error.code)
        sys.exit(error.exit_code)
    print("done")
