"""Programs that nobody here wrote, run as processes on loopback."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
TIMEOUT_S = 60


def javascript(script: str, *args: str) -> Any:
    """Run a script of this directory under node and return the one line of JSON that it prints."""
    if not (HERE / "node_modules").is_dir():
        raise FileNotFoundError("npm's peers are not installed: run `make peers`")
    done = subprocess.run(
        ["node", script, *args], cwd=HERE, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    return json.loads(done.stdout)


@pytest.fixture
def npm_pkarr() -> Callable[..., Any]:
    """Return a function that runs npm pkarr as a client: ``npm_pkarr("get", URL, Z32)``."""
    return lambda *args: javascript("pkarr.mjs", *args)


@pytest.fixture
def key_did_resolver() -> Callable[[str], Any]:
    """Return a function that has npm key-did-resolver read a did:key."""
    return lambda did: javascript("did_key.mjs", did)


@pytest.fixture
def ical(tmp_path: Path) -> Callable[[bytes], Any]:
    """Return a function that has npm ical.js parse a file of vCards: for each, its properties as jCard has them."""

    def parse(data: bytes) -> Any:
        path = tmp_path / "contacts.vcf"
        path.write_bytes(data)
        return javascript("vcards.mjs", str(path))

    return parse


@pytest.fixture
def npm_relay() -> Iterator[str]:
    """The URL of npm pkarr's own relay, running for one test."""
    with relay_running() as url:
        yield url


@pytest.fixture
def npm_tampering_relay() -> Iterator[str]:
    """The same, with a bit turned in every signature that it gives out."""
    with relay_running("tamper") as url:
        yield url


@contextlib.contextmanager
def relay_running(*arguments: str) -> Iterator[str]:
    """Run npm pkarr's relay."""
    if not (HERE / "node_modules").is_dir():
        raise FileNotFoundError("npm's peers are not installed: run `make peers`")
    process = subprocess.Popen(["node", "relay.mjs", *arguments], cwd=HERE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
