"""Servers as processes of their own: start, stop, processor time and memory from /proc."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

START_S = 60.0
"""How long a server may take to be ready, in seconds."""

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a process, in KiB."""

    resident: int
    peak: int
    anonymous: int


class Server:
    """A child process that prints one line when it is ready.

    Args:
        command: what to run.
        cwd: where.
        core: the processor core it is kept on, so that the load has the other for itself.
    """

    def __init__(self, command: list[str], cwd: Path, core: int = 0) -> None:
        self._process = subprocess.Popen(
            command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=lambda: pin(core)
        )
        self.ready_line = self._first_line(command)

    def _first_line(self, command: list[str]) -> str:
        assert self._process.stdout is not None
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if select.select([self._process.stdout], [], [], 0.2)[0]:
                line = self._process.stdout.readline()
                if line:
                    return line.decode().strip()
        raise RuntimeError(f"{' '.join(command)} did not get ready")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def cpu_s(self) -> float:
        """Return the processor time that the process and its threads have used, in seconds."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> Memory:
        """Return its memory now."""
        lines = dict(
            line.split(":", 1)
            for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
            if ":" in line
        )
        resident, peak, anonymous = (int(lines[name].split()[0]) for name in ("VmRSS", "VmHWM", "RssAnon"))
        return Memory(resident, peak, anonymous)

    def stop(self) -> None:
        """End it and wait."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def pin(core: int) -> None:
    """Keep the calling process on one processor core."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


@contextlib.contextmanager
def ahead_of_others() -> Iterator[None]:
    """Run this process, and those that it starts meanwhile, ahead of everything else, where that is allowed.

    A tail of milliseconds is otherwise the time slices of whatever else runs on the machine.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def python(*arguments: str) -> list[str]:
    """Return a command line that runs this interpreter."""
    return [sys.executable, *arguments]
