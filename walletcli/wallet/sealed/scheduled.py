"""The process that an agent starts to bring one identity in step, or the wallet index; it prints nothing.

Which identity it is comes on standard input, with the agent's process id.

Spec: docs/spec/agent.md, "By itself".
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Final

from walletcli.core.identity_id import IdentityId
from walletcli.errors import WalletError
from walletcli.wallet.access.agent_session import live_agent
from walletcli.wallet.access.schedule import WALLET_INDEX
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Home
from walletcli.wallet.keepalive.run import keep_due_contacts
from walletcli.wallet.sealed.sync import sync_identity
from walletcli.wallet.sealed.sync_wallet import log_failure, log_report

KEEP_SPREAD_S: Final = 900.0
"""Within how many seconds the records of an identity's contacts are looked after in one run."""

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str], text: str) -> int:
    """Bring one identity in step, or write what is due of the wallet index.

    Args:
        arguments: the home.
        text: the identity's index (`WALLET_INDEX`: none, but the wallet index) and the agent's process id.

    Returns:
        The exit code: 0 if everything went well; otherwise what failed is in the wallet's log, if it could be written.
    """
    words = text.split()
    if len(arguments) != 1 or len(words) != 2 or not all(word.isdigit() for word in words):
        return 2
    index, parent = map(int, words)
    if not end_with(parent):
        return 5
    agent = live_agent(Home(arguments[0]))
    if agent is None:
        return 5
    with agent:
        if index == WALLET_INDEX:
            return _keep_index(agent)
        try:
            return _sync(agent, index)
        except WalletError as error:
            log_failure(agent, index, error)
            return error.exit_code


def _sync(session: Session, index: int) -> int:
    identity = session.snapshot().wallet.by_index(index)
    report = sync_identity(session, IdentityId(identity.public_key).did)
    log_report(session, report)
    keep_due_contacts(session, index, KEEP_SPREAD_S)
    return 11 if report.errors else 0


def _keep_index(session: Session) -> int:
    from walletcli.wallet.index.writing import keep_index

    error = keep_index(session).error
    return error.exit_code if error is not None else 0


def end_with(parent: int) -> bool:
    """Have this process end when the one that started it does; tell whether that one is still there."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return os.getppid() == parent


if __name__ == "__main__":
    os.umask(0o077)
    try:
        sys.exit(main(sys.argv[1:], sys.stdin.readline()))
    except WalletError as error:
        sys.exit(error.exit_code)
