"""What reaches stdout and stderr: one result, one error, escaped, and never half a document."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TextIO

from walletcli.errors import StorageError, WalletError

BROKEN_PIPE_EXIT_CODE = 141
"""128 + SIGPIPE: what a shell reports for a program whose reader has gone away."""

_RED, _BLUE, _RESET = "\x1b[1;31m", "\x1b[36m", "\x1b[0m"


_line_eraser: Callable[[], None] | None = None


def set_line_eraser(eraser: Callable[[], None] | None) -> None:
    """Say how a line of progress is removed, before anything else is written to the terminal."""
    global _line_eraser
    _line_eraser = eraser


def safe(text: str) -> str:
    r"""Return `text` with everything that a terminal would obey shown as an escape such as ``\x1b`` or ``\u202e``.

    Labels, profiles and error texts of others pass through here on their way to a terminal.
    """
    if text.isprintable():
        return text
    # Not printable: control, format (bidi), surrogate, private and unassigned characters, and separators but the space.
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(character: str) -> str:
    point = ord(character)
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def to_json_line(document: Mapping[str, object]) -> str:
    """Return `document` as one line of JSON in ASCII, so that it is safe on any terminal and in any locale."""
    import json

    return json.dumps(document, ensure_ascii=True, allow_nan=False).replace("\x7f", "\\u007f")


def json_lines(value: object) -> list[str]:
    """Return a JSON value as indented lines for a person, safe to show."""
    import json

    return [safe(line) for line in json.dumps(value, ensure_ascii=False, indent=2).splitlines()]


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return `rows` as lines with aligned columns."""
    shown = [[safe(cell) for cell in row] for row in rows]
    widths = [max(_columns(row[column]) for row in shown) for column in range(len(shown[0]))] if shown else []
    return [
        "  ".join(cell + " " * (width - _columns(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    ]


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: wide letters two, combining ones none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def pairs(fields: Iterable[tuple[str, str]]) -> list[str]:
    """Return ``name: value`` lines with aligned values."""
    return table([(f"{name}:", value) for name, value in fields])


def write_line(text: str) -> int:
    """Write a line to stdout and flush it.

    Returns:
        the exit code: 0, or 141 when nobody reads any more.

    Raises:
        StorageError: ``output.not-written`` when stdout is closed or its disk is full.
    """
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        _write(sys.stdout, text + "\n")
    except BrokenPipeError:
        silence(sys.stdout)
        return BROKEN_PIPE_EXIT_CODE
    except OSError as error:
        silence(sys.stdout)
        raise StorageError(
            "output.not-written", f"the result could not be written: {error.strerror}", "see what stdout leads to"
        ) from error
    return 0


def warn(message: str) -> None:
    """Write a warning to stderr."""
    _write_stderr(f"{_coloured('warning:', _BLUE)} {safe(message)}\n")


def note(message: str) -> None:
    """Write a line that is not the result (progress, advice) to stderr."""
    _write_stderr(safe(message) + "\n")


def write_error(error: WalletError) -> None:
    """Write ``error: …`` and ``hint: …`` to stderr."""
    text = f"{_coloured('error:', _RED)} {safe(error.message)}\n"
    if error.hint:
        text += f"{_coloured('hint:', _BLUE)} {safe(error.hint)}\n"
    _write_stderr(text)


def write_raw_error(text: str) -> None:
    """Write lines to stderr as they are: help texts and tracebacks of our own."""
    _write_stderr(text if text.endswith("\n") else text + "\n")


def silence(stream: TextIO | None) -> None:
    """Point a stream that failed at nothing, so that Python's own flush at exit stays silent."""
    if stream is None:
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, stream.fileno())
    finally:
        os.close(nothing)


def _write(stream: TextIO, text: str) -> None:
    """Write and flush; what the locale cannot show is escaped."""
    if _line_eraser is not None:
        _line_eraser()
    encoding = stream.encoding or "ascii"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def _write_stderr(text: str) -> None:
    if sys.stderr is None:
        return
    try:
        _write(sys.stderr, text)
    except OSError:  # nobody listens: the exit code still tells
        silence(sys.stderr)


def _coloured(text: str, colour: str) -> str:
    wanted = sys.stderr is not None and sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return f"{colour}{text}{_RESET}" if wanted and os.environ.get("TERM", "dumb") != "dumb" else text
