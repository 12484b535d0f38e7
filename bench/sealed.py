"""Sealed files end to end: `data put` of 64 KiB and of 100 MB, and reading that back, with the memory that it takes."""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench.measure import Row
from bench.migration import node_for, url_of
from tests.wallet.parts import make_home, opened
from walletcli.wallet.access.session import Session
from walletcli.wallet.files import NewFile
from walletcli.wallet.identities import create_identity
from walletcli.wallet.providers.bind import BindWish, bind_provider
from walletcli.wallet.sealed.data import get_file, put_file

SMALL_BYTES = 65_536
LARGE_BYTES = 100_000_000
CHUNK_BYTES = 1 << 20
ROUNDS = 20


def sealed() -> list[Row]:
    """Put and get files of an identity at a node, each as a command does it: connection, login, index and all."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory, ExitStack() as stack:
        root = Path(directory)
        node = stack.enter_context(node_for(root / "node"))
        with opened(make_home(root / "home")) as session:
            create_identity(session, "alice")
            bind_provider(session, "alice", BindWish(url_of(node), no_kit=True))
            small = [_put(session, root, f"small {number}", SMALL_BYTES) for number in range(ROUNDS)]
            before_kib = _peak_kib()
            put_s = _put(session, root, "large", LARGE_BYTES)
            get_s = _get(session, root, "large")
            growth_mb = (_peak_kib() - before_kib) / 1024
    return [
        Row(
            "data put of 64 KiB, end to end: connection, login, index, list, piece, index, vault",
            "",
            f"{statistics.median(small) * 1000:.0f} ms",
            None,
            f"median of {ROUNDS}",
        ),
        Row(
            "data put and data get of 100 MB",
            "",
            f"{LARGE_BYTES / 1e6 / put_s:.0f} and {LARGE_BYTES / 1e6 / get_s:.0f} MB/s",
            None,
            f"{put_s:.1f} s and {get_s:.1f} s; memory grew by {growth_mb:.0f} MB",
        ),
    ]


def _put(session: Session, root: Path, name: str, size: int) -> float:
    path = root / name
    with path.open("wb") as file:  # part by part: the memory that is measured is not this one
        for start in range(0, size, CHUNK_BYTES):
            file.write(os.urandom(min(CHUNK_BYTES, size - start)))
    started = time.monotonic()
    put_file(session, "alice", str(path))
    return time.monotonic() - started


def _get(session: Session, root: Path, name: str) -> float:
    started = time.monotonic()
    with NewFile(str(root / "out")) as out:
        get_file(session, "alice", name, out)
        out.commit()
    return time.monotonic() - started


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
