"""Fuzz every decoder for a while, from the kept corpus, several at once.

``--seconds`` is the time for each target. New inputs are kept for the run in .work/fuzz; ``--keep`` merges what
reached new code into the kept corpus. A finding is left in .work/fuzz/findings, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.fuzz import registry  # noqa: E402  (the path comes first)
from tests.fuzz.target import Target  # noqa: E402

WORK = ROOT / ".work" / "fuzz"
GRACE_S = 120
"""How much longer than asked a target may run, in seconds: loading its corpus and its last input."""

INPUT_TIMEOUT_S = 10
"""How long one input may take, in seconds."""

MEMORY_MB = 2048
"""How much memory one target may take, in MiB."""


def write_seeds(target: Target, directory: Path) -> int:
    """Write the target's valid inputs into a directory; return how many inputs it then holds."""
    directory.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        path = directory / hashlib.sha256(seed).hexdigest()[:16]
        if not path.exists():
            path.write_bytes(seed)
    return sum(1 for _ in directory.iterdir())


def command(target: Target, *options: str) -> list[str]:
    """Return the command line that runs libFuzzer on `target`."""
    limits = [f"-timeout={INPUT_TIMEOUT_S}", f"-rss_limit_mb={MEMORY_MB}"]
    return [sys.executable, "-m", "tests.fuzz.one", target.name, *limits, *options]


def fuzz(target: Target, seconds: int) -> tuple[str, bool, str]:
    """Fuzz one target; return its name, whether nothing was found, and what to print."""
    fresh = WORK / "inputs" / target.name
    findings = WORK / "findings" / target.name
    for directory in (fresh, findings):
        directory.mkdir(parents=True, exist_ok=True)
    seeds = WORK / "seeds" / target.name
    write_seeds(target, seeds)
    kept = registry.CORPUS / target.name
    kept.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={findings}/", "-print_final_stats=1", "-verbosity=0"]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:  # libFuzzer ends without Python's `atexit`
        try:
            done = subprocess.run(
                command(target, *options, str(fresh), str(kept), str(seeds)),
                cwd=ROOT,
                env={**os.environ, "TMPDIR": scratch},
                capture_output=True,
                timeout=seconds + GRACE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as expired:
            return target.name, False, f"did not end:\n{(expired.stderr or b'')[-2000:].decode(errors='replace')}"
    log = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode != 0:
        return target.name, False, f"exit code {done.returncode}; inputs are in {findings}\n{log[-4000:]}"
    runs = next((line.split()[-1] for line in log.splitlines() if "number_of_executed_units" in line), "0")
    if int(runs) == 0:
        return target.name, False, f"ran no input\n{log[-2000:]}"
    return target.name, True, f"{int(runs):>9,} inputs in {time.monotonic() - started:.0f} s"


def keep(target: Target) -> str:
    """Merge what the last runs found into the kept corpus: only inputs that reach code no kept one reaches."""
    fresh = WORK / "inputs" / target.name
    kept = registry.CORPUS / target.name
    before = sum(1 for _ in kept.iterdir())
    again = WORK / f"again-{target.name}"
    again.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.fuzz.one {target.name} "$@"\n')
    again.chmod(0o700)
    subprocess.run(
        command(target, "-merge=1", str(kept), str(fresh)),
        cwd=ROOT,
        env={**os.environ, "FUZZ_PROGRAM": str(again)},
        capture_output=True,
        check=True,
    )
    return f"{before} -> {sum(1 for _ in kept.iterdir())} kept inputs"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen targets; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="names of targets; all of them if none is given")
    parser.add_argument("--seconds", type=int, default=10, help="time for each target")
    parser.add_argument("--jobs", type=int, default=2, help="how many run at once")
    parser.add_argument("--keep", action="store_true", help="afterwards, merge new inputs into the kept corpus")
    parser.add_argument("--seeds-only", action="store_true", help="write the valid inputs into the corpus and stop")
    chosen = parser.parse_args(arguments)
    known = registry.load()
    unknown = sorted(set(chosen.targets) - set(known))
    if unknown:
        parser.error(f"no such target: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    targets = [known[name] for name in sorted(chosen.targets or known)]
    if chosen.seeds_only:
        for target in targets:
            print(f"{target.name:<20} {write_seeds(target, registry.CORPUS / target.name):>4} kept")
        return 0
    print(f"fuzzing {len(targets)} decoders, {chosen.seconds} s each, {chosen.jobs} at once", flush=True)
    failed = 0
    with ThreadPoolExecutor(chosen.jobs) as pool:
        for name, passed, text in pool.map(lambda target: fuzz(target, chosen.seconds), targets):
            failed += not passed
            print(f"{'ok  ' if passed else 'FAIL'} {name:<20} {text}", flush=True)
    if chosen.keep:
        for target in targets:
            print(f"     {target.name:<20} {keep(target)}", flush=True)
    print(f"{len(targets) - failed} of {len(targets)} decoders held", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
