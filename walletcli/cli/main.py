"""The entry point: starts the program, and turns how it ended into an exit code.

Nothing heavy is imported here: ``walletcli --version`` costs little more than Python itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from walletcli import __version__

PROGRAM = "walletcli"
"""Name of the program, in messages and completion scripts."""

PRIVATE_UMASK = 0o077
"""Files are made for their owner alone, unless a command says otherwise."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line.

    Args:
        arguments: what follows the program's name; None for the real command line.

    Returns:
        the exit code.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    _keep_private()
    try:
        if given == ["--version"]:
            from walletcli.cli.output import write_line

            return write_line(f"{PROGRAM} {__version__}")
        from walletcli.cli.program import run

        return run(given)
    except KeyboardInterrupt:  # pressed before the program could take it
        return 130


_found_umask: list[int] = []


def users_umask() -> int:
    """Return the umask that the program was started with, for commands that it runs for its user."""
    return _found_umask[0] if _found_umask else PRIVATE_UMASK


def _keep_private() -> None:
    """Make files private and core dumps empty: this process may hold secrets."""
    _found_umask.append(os.umask(PRIVATE_UMASK))
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    sys.exit(main())
