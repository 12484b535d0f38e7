"""Hashes a file of any length, part by part.

Spec: docs/spec/ssh.md, "Signature files".
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Iterator
from typing import BinaryIO

from walletcli.errors import InputError

STDIN = "-"
"""Name that stands for standard input."""

_CHUNK_BYTES = 1 << 20


def hash_file(path: str, algorithm: str) -> bytes:
    """Return the hash of a file.

    Args:
        path: of the file; ``-`` for standard input.
        algorithm: ``sha256`` or ``sha512``.

    Raises:
        InputError: ``file.missing``, ``file.unreadable``.
    """
    digest = hashlib.new(algorithm)
    try:
        with _opened(path) as file:
            while part := file.read(_CHUNK_BYTES):
                digest.update(part)
    except FileNotFoundError as error:
        raise InputError("file.missing", f"there is no file {path}", "check the name") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or "not a usable path"
        raise InputError(
            "file.unreadable", f"cannot read {path}: {why}", "check the name and its permissions"
        ) from error
    return digest.digest()


@contextlib.contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    if path != STDIN:
        with open(path, "rb", buffering=0) as file:
            yield file
        return
    if sys.stdin is None:
        raise OSError(9, "standard input is closed")
    yield sys.stdin.buffer
