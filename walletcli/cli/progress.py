"""Progress: one line on stderr for work that takes over a second, on a terminal only."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType

from walletcli.cli.output import safe, set_line_eraser

DELAY_S = 1.0
"""Work that is done sooner shows nothing."""

INTERVAL_S = 0.25
"""Time between two updates of the line."""

MAX_TEXT_LETTERS = 60
"""Longer steps are cut, so that the line stays one line."""

_ERASE = "\r\x1b[K"


class Progress:
    """Shows what is being done and for how long, while a ``with`` block runs.

    Only one can be active. It stays silent when stderr is not a terminal, and while the user is asked something.

    Args:
        clock: seconds, for measuring how long it takes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started_s = clock()
        self._text = "working"
        self._paused = 0
        self._shown = False
        self._lock = threading.RLock()
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Progress:
        if stderr_is_terminal():
            set_line_eraser(self.erase)
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()
            set_line_eraser(None)
        self.erase()

    def step(self, text: str) -> None:
        """Say what is being done now."""
        self._text = safe(text)[:MAX_TEXT_LETTERS]

    def pause(self) -> None:
        """Keep silent: somebody else writes to the terminal."""
        with self._lock:
            self._paused += 1
            self.erase()

    def resume(self) -> None:
        """Take up again, and count from now on."""
        with self._lock:
            self._paused -= 1
            self._started_s = self._clock()

    def erase(self) -> None:
        """Remove the line from the terminal."""
        with self._lock:
            if self._shown:
                self._write(_ERASE)
                self._shown = False

    def _run(self) -> None:
        while not self._done.wait(INTERVAL_S):
            self._show()

    def _show(self) -> None:
        with self._lock:
            seconds = self._clock() - self._started_s
            if self._paused == 0 and seconds >= DELAY_S:
                self._write(f"{_ERASE}{self._text} … {seconds:.0f} s")
                self._shown = True

    @staticmethod
    def _write(text: str) -> None:
        try:
            encoding = sys.stderr.encoding or "ascii"
            sys.stderr.write(text.encode(encoding, "replace").decode(encoding))
            sys.stderr.flush()
        except (OSError, ValueError):  # the terminal is gone: progress has nobody to talk to
            pass


def stderr_is_terminal() -> bool:
    """Tell whether stderr is a terminal that can redraw a line."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
