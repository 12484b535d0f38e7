"""A session after a wait: the agent lets go of who is silent for long, so that another one is opened."""

from __future__ import annotations

from walletcli.errors import VaultError
from walletcli.wallet.access.agent_session import AgentSession, live_agent
from walletcli.wallet.access.session import Session


class Borrowed:
    """A session that stays open when a block ends.

    Args:
        session: open.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def __enter__(self) -> Session:
        return self._session

    def __exit__(self, *_: object) -> None:
        return


def session_after(session: Session, waited_s: float) -> Session | Borrowed:
    """Return the session for a block, or after a wait a new one.

    Args:
        session: open before the wait.
        waited_s: how long it was, in seconds.

    Raises:
        VaultError: ``agent.gone`` if the wallet has been locked meanwhile.
    """
    if waited_s == 0 or not isinstance(session, AgentSession):
        return Borrowed(session)
    agent = live_agent(session.home)
    if agent is None:
        raise VaultError("agent.gone", "the wallet was locked before everything was done", "walletcli wallet unlock")
    return agent
