"""Starts the agent that keeps the wallet open, and ends it."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import IO

from walletcli.core.secret import Secret
from walletcli.errors import InputError, VaultError, WalletError
from walletcli.wallet.access import runtime, wire
from walletcli.wallet.access.agent_session import AgentStatus, find_agent, live_agent
from walletcli.wallet.access.schedule import Interval
from walletcli.wallet.home import Home, PasswordSource

DEFAULT_IDLE_S = 900.0
"""An agent that nobody asks anything for so long forgets everything and ends."""

MAX_TIMEOUT_S = 30 * 86_400.0
"""Longest time that an agent may live."""

START_TIMEOUT_S = 30.0
"""How long the agent may take to open the vault and listen."""

POLL_S = 0.02
"""How often something that is about to happen is looked for."""

END_TIMEOUT_S = 5.0
"""How long a locked agent may take to be gone."""

_PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "XDG_RUNTIME_DIR",
    "TMPDIR",
    "SYSTEMROOT",
    "LD_LIBRARY_PATH",
)


def unlock(
    home: Home,
    password: PasswordSource | None,
    idle_s: float = DEFAULT_IDLE_S,
    absolute_s: float | None = None,
    interval: Interval | None = None,
) -> AgentStatus:
    """Keep the wallet open in an agent process.

    Args:
        home: whose wallet.
        password: asked for the password if the keyring does not open the vault.
        idle_s: the agent ends after so many seconds without a request.
        absolute_s: and after so many in any case, or None.
        interval: how often it brings identities in step by itself; None: never.

    Returns:
        How the agent is; `already` if it had been running, and then nothing about it changed.

    Raises:
        InputError: ``agent.timeout``.
        VaultError: ``wallet.missing``, ``vault.*``, ``agent.start``.
    """
    for timeout_s in (idle_s, absolute_s if absolute_s is not None else idle_s):
        if not 1 <= timeout_s <= MAX_TIMEOUT_S:
            raise InputError(
                "agent.timeout", "the wallet can stay unlocked for 1 second to 30 days", "choose another time"
            )
    home.require()
    deadline_s = 0.0
    data_key: Secret | None = None
    while True:
        agent = live_agent(home)
        if agent is not None:
            with agent:
                return replace(agent.status(), already=data_key is None)
        if data_key is None:
            from walletcli.wallet.access.opening import open_vault

            data_key = open_vault(home, password).data_key
            deadline_s = time.monotonic() + START_TIMEOUT_S  # the owner may have taken long to type or to touch
        try:
            _start(home, data_key, idle_s, absolute_s, interval)
        except VaultError as error:
            # one that has just locked itself is on its way out, or another command was quicker: look again
            if error.code != "agent.running":
                raise
            time.sleep(POLL_S)
        if time.monotonic() > deadline_s:
            raise VaultError("agent.start", "the agent does not stay", "do without: give --password-file")


def lock(home: Home) -> bool:
    """End this home's agent and wait until it is gone.

    Returns:
        Whether there was one.

    Raises:
        VaultError: ``agent.foreign``, or ``agent.stuck`` if it cannot be ended.
    """
    agent = find_agent(home)
    if agent is None:
        return False
    with agent:
        try:
            agent.lock()
        except WalletError:
            agent.kill()
    deadline_s = time.monotonic() + END_TIMEOUT_S
    while not runtime.is_free(home):
        if time.monotonic() > deadline_s:
            raise VaultError("agent.stuck", "the agent does not end", "end its process")
        time.sleep(POLL_S)
    return True


def _start(home: Home, data_key: Secret, idle_s: float, absolute_s: float | None, interval: Interval | None) -> None:
    """Start the agent and hand it the data key through a pipe: never in an argument, the environment or a file."""
    runtime.make_directory()
    package_parent = str(Path(__file__).resolve().parents[3])
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    process = subprocess.Popen(
        [
            sys.executable, "-P", "-m", "walletcli.wallet.access.agent",
            home.path, repr(idle_s), "" if absolute_s is None else repr(absolute_s),
            *(("", "") if interval is None else (repr(interval.min_s), repr(interval.max_s))),
        ],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        cwd="/", env={**environment, "PYTHONPATH": package_parent}, start_new_session=True, close_fds=True,
    )  # fmt: skip
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # it says why on its standard output
                process.stdin.write(data_key.reveal())
                process.stdin.close()
            _await_ready(process.stdout)
        except BaseException:
            process.kill()
            raise


def _await_ready(stream: IO[bytes]) -> None:
    from walletcli.wallet.access.agent import READY

    deadline_s = time.monotonic() + START_TIMEOUT_S
    said = b""
    while said != READY:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or not select.select([stream], [], [], left_s)[0]:
            raise VaultError(
                "agent.start", "the agent did not start in time", "try again, or do without: give --password-file"
            )
        part = os.read(stream.fileno(), 65_536)
        if not part:
            if len(said) > wire.HEADER_BYTES:
                wire.decode_answer(said[wire.HEADER_BYTES :])
            raise VaultError(
                "agent.start", "the agent could not be started", "do without it: give --password-file to each command"
            )
        said += part
