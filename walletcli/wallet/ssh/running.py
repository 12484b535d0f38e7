"""Runs an identity's SSH agent: until told to stop, or as long as a command runs.

Spec: docs/spec/ssh.md, "The agent".
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence

from walletcli.errors import InputError, WalletError
from walletcli.wallet.access.session import Session
from walletcli.wallet.ssh.conversation import Policy
from walletcli.wallet.ssh.holder import holder_of
from walletcli.wallet.ssh.key import SshKeyPage
from walletcli.wallet.ssh.place import AgentSocket
from walletcli.wallet.ssh.serving import SshAgent

ENVIRONMENT = "SSH_AUTH_SOCK"
"""Where programs look for the path of an agent's socket."""

Refused = Callable[[WalletError], None]
"""Is told why a request was refused."""


def serve(
    session: Session, page: SshKeyPage, policy: Policy, refused: Refused, on_ready: Callable[[str], None]
) -> None:
    """Serve an identity's SSH key until SIGINT, SIGTERM or SIGHUP.

    Args:
        session: the open wallet; if the wallet's agent holds it, that is asked for each signature.
        page: the identity and its key.
        policy: what is granted.
        refused: is told why a request was refused.
        on_ready: called once with the path of the socket.

    Raises:
        VaultError: ``ssh-agent.running``.
        StorageError: ``ssh-agent.socket``, ``ssh-agent.path-too-long``, ``agent.directory``.
    """
    identity = page.identity
    with AgentSocket(session.home, identity.public_key, alone=True) as place:
        agent = SshAgent(place.listener, holder_of(session, identity), policy, refused)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: agent.stop())
        on_ready(place.path)
        agent.run()


def run_command(
    session: Session, page: SshKeyPage, policy: Policy, refused: Refused, command: Sequence[str], umask: int
) -> int:
    """Run a command that finds the agent, and end with it.

    Args:
        session: the open wallet.
        page: the identity and its key.
        policy: what is granted.
        refused: is told why a request was refused.
        command: program and arguments.
        umask: of the command.

    Returns:
        The command's exit code; 128 and the signal's number if a signal ended it.

    Raises:
        InputError: ``ssh-agent.command``.
        VaultError: ``ssh-agent.too-many``.
        StorageError: ``ssh-agent.socket``, ``ssh-agent.path-too-long``, ``agent.directory``.
    """
    identity = page.identity
    with AgentSocket(session.home, identity.public_key, alone=False) as place:
        agent = SshAgent(place.listener, holder_of(session, identity), policy, refused)
        thread = threading.Thread(target=agent.run, daemon=True)
        thread.start()
        try:
            return _run(command, {**os.environ, ENVIRONMENT: place.path}, umask)
        finally:
            agent.stop()
            thread.join()


def _run(command: Sequence[str], environment: dict[str, str], umask: int) -> int:
    environment.pop("SSH_AGENT_PID", None)
    try:
        process = subprocess.Popen(command, env=environment, umask=umask)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not a usable command"
        raise InputError("ssh-agent.command", f"cannot run {command[0]}: {why}", "see what follows --") from error
    # Ctrl-C goes to the whole group: the command decides what becomes of it, and we end with it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda caught, _frame: process.send_signal(caught))
    code = process.wait()
    return code if code >= 0 else 128 - code
