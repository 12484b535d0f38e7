"""An exit kit is whole whenever its writer stops: at each call that reaches the disk, and by kill -9."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.client.provider import ALICE, TODAY, blob_id, manifest, with_devices
from tests.client.records import key
from walletcli.client.kit import DirectoryPlace
from walletcli.client.manifests import ItemFault, Writers
from walletcli.core.exit_kit import ExitKitHead

WRITERS = Writers.of(key("alice").public_key, [ALICE])
ROOT = Path(__file__).resolve().parents[2]
CALLS = ("open", "write", "fsync", "replace", "unlink")
WRITER = """
import sys
from tests.faults.test_exit_kit_faults import WRITERS, content
from tests.client.provider import blob_id, manifest
from walletcli.client.kit import DirectoryPlace
kit = DirectoryPlace(sys.argv[1], WRITERS)
there = kit.get(blob_id(1))
version = there.manifest.version if there is not None else 0
print("ready", flush=True)
while True:
    version += 1
    kit.put(manifest(blob_id(1), content(version), version), content(version), version - 1)
    print(version, flush=True)
"""


class PowerCutError(BaseException):
    """Nothing after this reaches the disk."""


def content(version: int) -> bytes:
    return version.to_bytes(8, "big") * 5000


def made(tmp_path: Path) -> DirectoryPlace:
    kit = DirectoryPlace(str(tmp_path / "kit"), WRITERS)
    kit.write_head(ExitKitHead(ALICE, (), TODAY))
    kit.put(manifest(blob_id(1), content(1)), content(1), 0)
    return kit


def cut_at(monkeypatch: pytest.MonkeyPatch, step: int) -> list[str]:
    """Have the `step`-th call that changes the disk, and all after it, fail; return what was called before."""
    called: list[str] = []

    def counted(name: str) -> None:
        honest = getattr(os, name)

        def call(*args: object, **fields: object) -> object:
            if name == "open" and not (len(args) > 1 and isinstance(args[1], int) and args[1] & os.O_CREAT):
                return honest(*args, **fields)
            if len(called) >= step:
                raise PowerCutError
            called.append(name)
            return honest(*args, **fields)

        monkeypatch.setattr(os, name, call)

    for name in CALLS:
        counted(name)
    return called


@pytest.mark.parametrize("step", range(9))
def test_a_blob_is_the_old_or_the_new_one_wherever_its_writer_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    kit = made(tmp_path)
    called = cut_at(monkeypatch, step)
    try:
        kit.put(manifest(blob_id(1), content(2), 2), content(2), 1)
        finished = True
    except PowerCutError:
        finished = False
    monkeypatch.undo()
    assert finished == (len(called) < step or called.count("fsync") == 2)
    found = kit.get(blob_id(1))
    assert found is not None
    assert found.content == content(found.manifest.version)
    assert not [item for item in kit.manifests() if isinstance(item, ItemFault)]
    kit.put(manifest(blob_id(1), content(3), 3), content(3), found.manifest.version)


@pytest.mark.parametrize("step", range(9))
def test_a_head_is_the_old_or_the_new_one_wherever_its_writer_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    kit = made(tmp_path)
    newer = ExitKitHead(with_devices("alice", *ALICE.document.delegations, seq=200), (), TODAY + 1)  # type: ignore[union-attr]
    cut_at(monkeypatch, step)
    with contextlib.suppress(PowerCutError):
        kit.write_head(newer)
    monkeypatch.undo()
    head = kit.head()
    assert head is not None
    assert head.day in (TODAY, TODAY + 1)
    kit.write_head(newer)
    assert kit.head() == newer


def test_killed_writers_lose_nothing_that_they_said_was_stored(tmp_path: Path) -> None:
    kit = made(tmp_path)
    last = 1
    for pause_s in (0.0, 0.003, 0.01, 0.02):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, kit.name], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(pause_s)
        writer.send_signal(signal.SIGKILL)
        said, _ = writer.communicate()
        last = max([last, *(int(line) for line in said.splitlines() if line.endswith(tuple("0123456789")))])
        found = kit.get(blob_id(1))
        assert found is not None
        assert found.content == content(found.manifest.version)
        assert found.manifest.version >= last
        last = found.manifest.version
