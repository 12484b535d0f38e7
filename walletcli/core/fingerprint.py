"""A picture of a key that people can compare at a glance.

The walk is the "drunken bishop" of OpenSSH's randomart, over a digest with a domain of its own. It helps to notice a
wrong key; it does not prove the right one: similar pictures can be searched for, so what matters is compared letter by
letter.

Spec: docs/spec/identity-id.md, "Visual fingerprint".
"""

from __future__ import annotations

import hashlib
from typing import Final

WIDTH: Final = 17
"""Fields in a row of the board, without its frame."""

HEIGHT: Final = 9
"""Rows of the board, without its frame."""

_DOMAIN: Final = b"walletcli/fingerprint/1\0"
_MARKS: Final = " .o+=*BOX@%&#/^"
_FRAME: Final = "+" + "-" * WIDTH + "+"


def fingerprint(public_key: bytes) -> tuple[str, ...]:
    """Return the picture of a public key: 11 lines of 19 printable ASCII characters.

    Args:
        public_key: any bytes; 32 for Ed25519.
    """
    visits = [[0] * WIDTH for _ in range(HEIGHT)]
    column, row = WIDTH // 2, HEIGHT // 2
    for byte in hashlib.sha256(_DOMAIN + public_key).digest():
        for shift in (0, 2, 4, 6):
            step = byte >> shift
            column = min(max(column + (1 if step & 1 else -1), 0), WIDTH - 1)
            row = min(max(row + (1 if step & 2 else -1), 0), HEIGHT - 1)
            visits[row][column] += 1
    board = [[_MARKS[min(count, len(_MARKS) - 1)] for count in line] for line in visits]
    board[HEIGHT // 2][WIDTH // 2] = "S"
    board[row][column] = "E"
    return (_FRAME, *("|" + "".join(line) + "|" for line in board), _FRAME)
