"""Plays the four stories for real, narrated, and what outlives them all: on this machine, in a temporary directory.

Every line that starts with `$` is run as printed (`walletcli` is the installed command). A step that fails ends the
demonstration with a non-zero exit code. Nothing outside of the temporary directory is touched, and no other machine.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from scripts.demo.stage import Stage, StepFailedError
from scripts.demo.stories import STORIES


def main(stories: Sequence[Callable[[Stage], None]] = STORIES) -> int:
    """Play the stories in a temporary directory and remove it."""
    started = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="walletcli-demo-"))
    stage = Stage(directory)
    try:
        for story in stories:
            story(stage)
    except (StepFailedError, subprocess.TimeoutExpired, KeyError, StopIteration) as error:
        reason = str(error) if isinstance(error, StepFailedError) else repr(error)
        print(f"\n✗ the demonstration failed: {reason}", flush=True)
        return 1
    finally:
        stage.close()
        shutil.rmtree(directory, ignore_errors=True)
    took_s = time.monotonic() - started
    print(f"\nEverything above was real and took {took_s:.0f} s. Nothing of it is left on this machine.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
