"""Keeps secrets in memory from being written elsewhere, as far as the system lets a process do that.

Best effort: Python copies bytes and cannot lock them in memory, so swap is the owner's to encrypt.

Spec: docs/security/threat-model.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

_PR_SET_DUMPABLE = 4
"""Linux, prctl(2): no core dumps, and no other process of the user attaches or reads this one's memory."""


@dataclass(frozen=True, slots=True)
class Hardening:
    """What could be done.

    Args:
        no_core_dumps: the limit for core files is zero.
        not_dumpable: the process is marked as not dumpable (Linux).
    """

    no_core_dumps: bool
    not_dumpable: bool


def harden_process() -> Hardening:
    """Turn off core dumps and, on Linux, reading this process's memory by others of the same user. Never fails."""
    return Hardening(no_core_dumps=_limit_core(), not_dumpable=_set_not_dumpable())


def _limit_core() -> bool:
    if sys.platform == "win32":
        return False
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError):
        return False
    return True


def _set_not_dumpable() -> bool:
    if sys.platform != "linux":
        return False
    import ctypes

    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return int(libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)) == 0
    except (OSError, AttributeError):
        return False
