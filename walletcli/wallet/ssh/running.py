"""Runs an identity's SSH agent: until told to stop, or as long as a command runs.

Spec: docs/spec/ssh.md, "The agent".
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from walletcli.errors import InputError, WalletError
from walletcli.wallet.access.local_session import LocalSession
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Progress
from walletcli.wallet.ssh.conversation import Policy
from walletcli.wallet.ssh.holder import KeyHolder, holder_of
from walletcli.wallet.ssh.place import AgentSocket
from walletcli.wallet.ssh.serving import SshAgent
from walletcli.wallet.ssh.touching import touched_holders
from walletcli.wallet.state.view import IdentityView

ENVIRONMENT = "SSH_AUTH_SOCK"
"""Where programs look for the path of an agent's socket."""


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told what an agent does.

    Attributes:
        refused: takes why a request was refused.
        asked: takes a line for each signature that a security key is to be touched for.
    """

    refused: Callable[[WalletError], None]
    asked: Progress


def serve(
    session: Session,
    identity: IdentityView,
    policy: Policy,
    told: Told,
    on_ready: Callable[[str, Sequence[bytes]], None],
) -> None:
    """Serve an identity's SSH keys until SIGINT, SIGTERM or SIGHUP.

    Args:
        session: the open wallet; if the wallet's agent holds it, that is asked for each signature.
        identity: that has at least one.
        policy: what is granted.
        told: is told what happens.
        on_ready: called once with the path of the socket, and the key blobs.

    Raises:
        VaultError: ``ssh-agent.running``.
        StorageError: ``ssh-agent.socket``, ``ssh-agent.path-too-long``, ``agent.directory``.
    """
    with AgentSocket(session.home, identity.public_key, alone=True) as place:
        holders = _holders(session, identity, told)
        agent = SshAgent(place.listener, holders, policy, told.refused)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: agent.stop())
        on_ready(place.path, [holder.key_blob for holder in holders])
        agent.run()


def run_command(
    session: Session, identity: IdentityView, policy: Policy, told: Told, command: Sequence[str], umask: int
) -> int:
    """Run a command that finds the agent, and end with it.

    Args:
        session: the open wallet.
        identity: that has at least one SSH key.
        policy: what is granted.
        told: is told what happens.
        command: program and arguments.
        umask: of the command.

    Returns:
        The command's exit code; 128 and the signal's number if a signal ended it.

    Raises:
        InputError: ``ssh-agent.command``.
        VaultError: ``ssh-agent.too-many``.
        StorageError: ``ssh-agent.socket``, ``ssh-agent.path-too-long``, ``agent.directory``.
    """
    with AgentSocket(session.home, identity.public_key, alone=False) as place:
        agent = SshAgent(place.listener, _holders(session, identity, told), policy, told.refused)
        thread = threading.Thread(target=agent.run, daemon=True)
        thread.start()
        try:
            return _run(command, {**os.environ, ENVIRONMENT: place.path}, umask)
        finally:
            agent.stop()
            thread.join()


def _holders(session: Session, identity: IdentityView, told: Told) -> list[KeyHolder]:
    """Return who signs for an identity; a session of this process is closed, for what is needed is taken out of it."""
    touched: list[KeyHolder] = [*touched_holders(session, identity, told.asked)]
    if identity.ssh_key is not None:
        return [holder_of(session, identity), *touched]
    if isinstance(session, LocalSession):
        session.close()
    return touched


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
