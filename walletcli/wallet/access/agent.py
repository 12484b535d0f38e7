"""The agent: a process of the user's own that keeps the wallet open behind a socket, for a while.

It is started by `unlock.py`, takes the data key of the vault from standard input, and answers typed
requests. No answer holds a seed or the private half of a key. It has one thread and waits for no client: what has come
in whole is answered, the rest waits.

Spec: docs/spec/agent.md.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from walletcli.core.secret import Secret
from walletcli.errors import FormatError, InputError, SignerError, VaultError, WalletError
from walletcli.wallet.access import messages, runtime, wire
from walletcli.wallet.access.clients import Client, Clients
from walletcli.wallet.access.keeper import Keeper
from walletcli.wallet.access.messages import Apply, ApproveRequest, GetStatus, GetSummaries, GetView, Lock, Request
from walletcli.wallet.access.schedule import Interval, Schedule
from walletcli.wallet.home import Home
from walletcli.wallet.state.changes import Change, SetApprovers, SetSshCredentials, Several

MAX_CLIENTS = 64
"""Most connections at once; the one that was silent longest makes room."""

CLIENT_IDLE_S = 60.0
"""A connection that says nothing for so long is closed."""

WAKE_S = 5.0
"""How often the agent looks at its clock and at the vault, though nobody asks: a machine that slept must not wake with
an agent that has expired, and nothing is held of a wallet that is no longer there."""

MIN_PAUSE_S = 0.1
"""Shortest pause between two looks at what is due and cannot begin, because something else is at work."""

READY = b"ready\n"
"""What the agent writes to standard output when it listens."""

FATAL_CODES = frozenset({
    "wallet.missing", "vault.missing", "vault.changed", "vault.damaged", "vault.symlink", "vault.not-a-file",
})  # fmt: skip
"""Errors of the vault after which the agent holds nothing that is of use, and locks itself; it also does where the file
has another form than a vault's."""


def boot_clock_s() -> float:
    """Return a clock that nobody sets and that runs while the machine sleeps, in seconds."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(slots=True)
class Limits:
    """When an agent ends.

    Attributes:
        idle_s: after so many seconds without a request.
        absolute_s: after so many seconds in any case, or None.
    """

    idle_s: float
    absolute_s: float | None


@dataclass(slots=True)
class _Client(Client):
    is_child: bool = False


class Agent:
    """Serves one wallet on one listening socket until it is locked or expires.

    Args:
        keeper: holds the secrets.
        listener: listening Unix socket.
        limits: when to end.
        schedule: when identities are brought in step; None: never by itself.
    """

    def __init__(
        self, keeper: Keeper, listener: socket.socket, limits: Limits, schedule: Schedule | None = None
    ) -> None:
        self._keeper = keeper
        self._limits = limits
        self._schedule = schedule
        self._planned = -1
        self._selector = selectors.DefaultSelector()
        self._clients = Clients(listener, self._selector, MAX_CLIENTS, boot_clock_s, self._admit, self._take)
        self._started_s = self._asked_s = self._looked_s = boot_clock_s()
        self._ending = False
        self._wakers: tuple[socket.socket, ...] = ()
        self._answers: dict[type[Request], tuple[int, bytes]] = {}

    def stop(self) -> None:
        """Have `run` return soon; safe in a signal handler."""
        self._ending = True

    def stop_on_signals(self) -> None:
        """Stop when the process is asked to end; a signal wakes `run` at once."""
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        self._wakers = (reader, writer)
        self._selector.register(reader, selectors.EVENT_READ)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.stop())

    def expires_in_s(self) -> float:
        """Return how many seconds are left if nobody asks anything."""
        now_s = boot_clock_s()
        left_s = self._asked_s + self._limits.idle_s - now_s
        if self._limits.absolute_s is not None:
            left_s = min(left_s, self._started_s + self._limits.absolute_s - now_s)
        return left_s

    def run(self) -> None:
        """Serve until locked, stopped or expired."""
        while not self._finished():
            self._look_at_vault()
            if self._finished():
                break
            self._keep_in_step()
            for key, events in self._selector.select(timeout=self._pause_s()):
                if self._finished():
                    break
                self._clients.handle(key, events)
            self._drop_silent()
        self._finish()

    def _pause_s(self) -> float:
        next_s = self._schedule.next_s() if self._schedule is not None else None
        due_s = next_s - boot_clock_s() if next_s is not None else WAKE_S
        return max(0.0, min(self.expires_in_s(), WAKE_S, max(due_s, MIN_PAUSE_S)))

    def _look_at_vault(self) -> None:
        """End where the vault is gone, or opens with another key now."""
        now_s = boot_clock_s()
        if now_s - self._looked_s < WAKE_S:
            return
        self._looked_s = now_s
        try:
            self._keeper.refresh()
        except WalletError as error:
            self._ending = self._ending or _is_fatal(error)

    def _keep_in_step(self) -> None:
        """Have identities brought in step that are due."""
        if self._schedule is None:
            return
        if self._planned != self._keeper.generation:
            self._planned = self._keeper.generation
            with contextlib.suppress(FormatError):  # a log that cannot be read: what has a time keeps it
                keeper = self._keeper
                self._schedule.plan(keeper.synchronized(), boot_clock_s(), time.time(), keeper.index_due_s())
        self._schedule.tick(boot_clock_s())

    def _finished(self) -> bool:
        return self._ending or self.expires_in_s() <= 0

    def _admit(self, connection: socket.socket, now_s: float) -> _Client:
        child = self._schedule.child_pid if self._schedule is not None else None
        return _Client(connection, now_s, is_child=child is not None and runtime.peer_pid(connection) == child)

    def _take(self, client: _Client) -> None:
        for content in _whole_frames(client):
            client.outgoing += wire.frame(self._answer(content, client))

    def _answer(self, content: bytes, client: _Client) -> bytes:
        try:
            request = messages.decode_request(content)
            if not client.is_child:  # what the agent has done by itself does not keep it open
                self._asked_s = boot_clock_s()
            return self._answer_request(request)
        except WalletError as error:
            if _is_fatal(error) and not self._still_opens():
                self._ending = True
                error = VaultError(
                    "agent.locked", f"the agent has locked itself: {error.message}", "walletcli wallet unlock"
                )
            return wire.encode_error(error)
        except (ValueError, TypeError, KeyError, OSError, ArithmeticError, RecursionError):
            # a bug, whose details might hold a secret: they stay here
            return wire.encode_error(
                WalletError("agent.failed", "the agent failed on this request", "lock and unlock the wallet")
            )

    def _still_opens(self) -> bool:
        try:
            self._keeper.refresh()
        except WalletError:
            return False
        return True

    def _answer_request(self, request: Request) -> bytes:
        match request:
            case Lock():
                self._ending = True
                return wire.encode_answer(None)
            case ApproveRequest():
                raise SignerError(
                    "request.consent",
                    "the agent approves no requests: whoever opens the vault does",
                    "give the password, or --password-file",
                )
            case Apply(SetApprovers() | SetSshCredentials() | Several()) if _sets_keys(request.change):
                raise SignerError(
                    "approver.consent",
                    "the agent changes no security keys of an identity: whoever opens the vault does",
                    "give the password, or --password-file",
                )
            case GetStatus():
                self._keeper.refresh()
                return wire.encode_answer([os.getpid(), max(0, int(self.expires_in_s()))])
            case GetSummaries() | GetView():
                self._keeper.refresh()
                known = self._answers.get(type(request))
                if known is None or known[0] != self._keeper.generation:
                    encoded = wire.encode_answer(self._keeper.answer(request))
                    known = self._answers[type(request)] = (self._keeper.generation, encoded)
                return known[1]
            case _:
                return wire.encode_answer(self._keeper.answer(request))

    def _drop_silent(self) -> None:
        limit_s = boot_clock_s() - CLIENT_IDLE_S
        for client in self._clients:
            if client.heard_s < limit_s:
                self._clients.close(client)

    def _finish(self) -> None:
        if self._schedule is not None:
            self._schedule.end()
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.connection.setblocking(True)
                client.connection.settimeout(1.0)
                client.connection.sendall(client.outgoing)
            self._clients.close(client)
        self._selector.close()
        for waker in self._wakers:
            waker.close()


def _whole_frames(client: _Client) -> Iterator[bytes]:
    """Take the whole frames out of what came in; a frame that is too long ends the connection."""
    while len(client.incoming) >= wire.HEADER_BYTES and not client.closing:
        length = int.from_bytes(client.incoming[: wire.HEADER_BYTES], "big")
        if length > wire.MAX_LARGE_REQUEST_BYTES:
            client.outgoing += wire.frame(
                wire.encode_error(
                    FormatError("agent-request.too-long", f"a request has at most {wire.MAX_LARGE_REQUEST_BYTES} bytes")
                )
            )
            client.incoming.clear()
            client.closing = True
            return
        if len(client.incoming) < wire.HEADER_BYTES + length:
            return
        content = bytes(client.incoming[wire.HEADER_BYTES : wire.HEADER_BYTES + length])
        del client.incoming[: wire.HEADER_BYTES + length]
        yield content


def listen(home: Home) -> tuple[socket.socket, int]:
    """Claim this home's socket, removing one that a killed agent left.

    Returns:
        The listening socket, and the handle of the lock that must stay open as long as it listens.

    Raises:
        VaultError: ``agent.running`` if another agent has it.
        StorageError: ``agent.directory``.
    """
    lock = runtime.claim(home)
    if lock is None:
        raise VaultError("agent.running", "an agent holds this wallet open already", "walletcli wallet lock")
    name = runtime.socket_name(home)
    directory = runtime.make_directory()
    os.chdir(directory)  # so that the socket's name is short, whatever the directory's is
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(name)
    listener.listen(MAX_CLIENTS)
    return listener, lock


def main(arguments: list[str]) -> int:
    """Run as the agent's process: ``HOME IDLE_S ABSOLUTE_S SYNC_MIN_S SYNC_MAX_S``, the data key on standard input.

    Without a shortest and longest time between two synchronizations there are none.

    Writes `READY`, or one frame with the error, to standard output, and then nothing more.
    """
    from walletcli.vault.hardening import harden_process
    from walletcli.wallet.access.opening import keeper_with_key

    if len(arguments) != 5:
        return 2
    harden_process()
    os.umask(0o077)
    home = Home(arguments[0])
    limits = Limits(float(arguments[1]), float(arguments[2]) if arguments[2] else None)
    try:
        key = Secret(sys.stdin.buffer.read())
        if os.fork():  # whoever started us waits for the parent; the child belongs to nobody
            os._exit(0)
        if len(key) != 32:
            raise InputError("agent.key", "no data key came in", "start the agent with: walletcli wallet unlock")
        keeper = keeper_with_key(home, key)
        listener, _lock = listen(home)
    except WalletError as error:
        sys.stdout.buffer.write(wire.frame(wire.encode_error(error)))
        sys.stdout.buffer.flush()
        return error.exit_code
    agent = Agent(keeper, listener, limits, _schedule(home, *arguments[3:]))
    agent.stop_on_signals()
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    _let_go_of_streams()
    try:
        agent.run()
    finally:
        with contextlib.suppress(OSError):
            os.unlink(runtime.socket_name(home))
        listener.close()
    return 0


def _is_fatal(error: WalletError) -> bool:
    return error.code in FATAL_CODES or (isinstance(error, FormatError) and error.code.startswith("vault."))


def _sets_keys(change: Change) -> bool:
    """Tell whether a change says which security keys approve for an identity, or hold its SSH keys."""
    if isinstance(change, Several):
        return any(map(_sets_keys, change.changes))
    return isinstance(change, SetApprovers | SetSshCredentials)


def _schedule(home: Home, min_s: str, max_s: str) -> Schedule | None:
    return Schedule(Interval(float(min_s), float(max_s)), home) if min_s and max_s else None


def _let_go_of_streams() -> None:
    """Point the standard streams at nothing: whoever started the agent may go, and nothing is ever printed."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
