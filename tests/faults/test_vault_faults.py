"""A vault under kill -9, a full disk, refusals of the system, and several processes: the old state or the new, whole.

The system calls that touch the vault's files are listed once by strace, and then each of them, one after another, is
where the process is killed or where the system refuses.
"""

from __future__ import annotations

import random
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.vault.parts import password
from walletcli.core.secret import Secret
from walletcli.errors import VaultError
from walletcli.vault.file import Vault
from walletcli.vault.storage import FileNames

ROOT = Path(__file__).parents[2]
OLD, NEW = b"old", b"new"
CHANGING = ("write", "fsync", "rename", "link", "linkat", "unlink", "openat", "fchmod", "flock", "close")
"""System calls between which the state of the disk, or of the lock, is another."""

_STEP = re.compile(r"\d+ +(\w+)\((?:\d+<([^>]*)>|\"([^\"]*)\")")
_CALL = re.compile(r"(\w+)\(.*\) += ")


@dataclass(frozen=True)
class Point:
    """The `nth` time that `call` touches one of the vault's files, counted from 1."""

    call: str
    nth: int


@dataclass(frozen=True)
class Subject:
    """A vault at rest, and what the process that changes it needs."""

    path: Path
    data_key: Secret

    @property
    def watched(self) -> list[Path]:
        files: list[Path] = []
        for path in (self.path, self.path.with_name("second.vault")):
            names = FileNames(path)
            files += [names.path, names.new, names.previous, names.previous_new, names.lock]
        return [self.path.parent, *files]

    def run(
        self, action: str, *strace: str, limit: Callable[[], None] | None = None
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-B", "-m", "tests.faults.vault_writer", action, str(self.path)]
        if strace:
            watch = [option for path in self.watched for option in ("-P", str(path))]
            command = ["strace", "-f", "-qq", *watch, *strace, *command]
        return subprocess.run(
            command, input=self.data_key.reveal().hex() + "\n", cwd=ROOT, capture_output=True, text=True,
            timeout=60, check=False, preexec_fn=limit,
        )  # fmt: skip

    def points(self, action: str) -> list[Point]:
        """Return every system call of an undisturbed change, in order."""
        log = self.path.parent.with_suffix(".trace")
        done = self.run(action, "-e", f"trace={','.join(CHANGING)}", "-o", str(log))
        assert done.returncode == 0, done.stderr
        seen: Counter[str] = Counter()
        points = []
        for line in log.read_text().splitlines():
            found = _CALL.search(line)
            assert found, line
            seen[found.group(1)] += 1
            points.append(Point(found.group(1), seen[found.group(1)]))
        return points

    def reset(self, files: dict[str, bytes]) -> None:
        for file in self.path.parent.iterdir():
            file.unlink()
        for name, data in files.items():
            file = self.path.with_name(name)
            file.touch(mode=0o600)
            file.write_bytes(data)

    def files(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in self.path.parent.iterdir()}

    def state(self) -> tuple[bytes, str]:
        """Open the vault as its owner would; return the payload and the password that opened it."""
        try:
            return Vault.unlock(self.path, [password("old")]).read(), "old"
        except VaultError as error:
            if error.code != "vault.wrong-password":
                raise
        return Vault.unlock(self.path, [password("new")]).read(), "new"


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    directory = tmp_path / "home"
    directory.mkdir(mode=0o700)
    vault = Vault.create(directory / "wallet.vault", b"older", [password("old")])
    vault.write(OLD)
    return Subject(vault.path, vault.data_key)


def each_point(subject: Subject, action: str) -> Iterator[Point]:
    """Give every point with the vault as it was, and at the end check that the list was not empty."""
    before = subject.files()
    points = subject.points(action)
    wanted = {"write", "fsync", "rename", "openat", "flock"}
    assert wanted <= {point.call for point in points}, points
    for point in points:
        subject.reset(before)
        yield point


def test_each_file_is_synced_before_its_rename_and_the_directory_after(subject: Subject) -> None:
    for action in ("write", "replace_slot"):
        log = subject.path.parent.with_suffix(".order")
        done = subject.run(action, "-y", "-e", "trace=write,fsync,rename", "-o", str(log))
        assert done.returncode == 0, done.stderr
        steps = [_STEP.match(line) for line in log.read_text().splitlines()]
        order = [(step[1], Path(step[2] or step[3]).name) for step in steps if step]
        renamed = order.index(("rename", "wallet.vault.new"))
        synced = order.index(("fsync", "wallet.vault.new"))
        assert max(i for i, step in enumerate(order) if step == ("write", "wallet.vault.new")) < synced < renamed
        assert order[-1] == ("fsync", "home")
        assert order.index(("rename", "wallet.vault.previous.new")) < renamed
        if action == "replace_slot":
            first_rename = [call for call, _ in order].index("rename")
            assert order.index(("fsync", "wallet.vault.previous.new")) < first_rename
            assert synced < first_rename


def inject(point: Point, what: str) -> list[str]:
    return ["-e", f"trace={point.call}", "-e", f"inject={point.call}:{what}:when={point.nth}", "-o", "/dev/null"]


def change_after(subject: Subject) -> None:
    """The next change by the owner works, whatever was left over."""
    payload, word = subject.state()
    vault = Vault.unlock(subject.path, [password(word)])
    vault.write(payload + b"!")
    assert Vault.unlock(subject.path, [password(word)]).read() == payload + b"!"
    left = {file.name for file in subject.path.parent.iterdir() if not file.name.startswith("second")}
    assert left == {"wallet.vault", "wallet.vault.previous", "wallet.vault.lock"}


@pytest.mark.parametrize("action", ["write", "replace_slot"])
def test_killed_at_every_system_call_the_old_state_or_the_new_is_there(subject: Subject, action: str) -> None:
    new = {"write": (NEW, "old"), "replace_slot": (OLD, "new")}[action]
    seen = set()
    for point in each_point(subject, action):
        done = subject.run(action, *inject(point, "signal=KILL"))
        assert done.returncode == -9, (point, done)
        assert "done" not in done.stdout
        state = subject.state()
        assert state in ((OLD, "old"), new), point
        seen.add(state)
        change_after(subject)
    assert seen == {(OLD, "old"), new}


def test_killed_while_making_a_vault_there_is_none_or_a_whole_one(subject: Subject) -> None:
    second = subject.path.with_name("second.vault")
    found = set()
    for point in each_point(subject, "create"):
        done = subject.run("create", *inject(point, "signal=KILL"))
        assert done.returncode == -9, (point, done)
        found.add(second.exists())
        if second.exists():
            assert Vault.unlock(second, [password()]).read() == NEW
        else:
            Vault.create(second, NEW, [password()])
    assert found == {True, False}


@pytest.mark.parametrize(
    ("error", "code"),
    [("ENOSPC", "storage.full"), ("EDQUOT", "storage.full"), ("EROFS", "storage.read-only"), ("EIO", "storage.failed")],
)
def test_whatever_the_system_refuses_the_old_state_stays(subject: Subject, error: str, code: str) -> None:
    told = Counter[str]()
    for point in each_point(subject, "write"):
        if point.call == "close":
            continue
        done = subject.run("write", *inject(point, f"error={error}"))
        line = done.stdout.strip()
        told[line] += 1
        if line == "StorageError storage.not-durable":
            assert subject.state() == (NEW, "old")
        elif line == "done":
            # Only what is tidied up, or has another way, may fail unnoticed.
            assert point.call in ("unlink", "linkat", "link"), point
        else:
            assert line == f"StorageError {code}", (point, done)
            assert subject.state() == (OLD, "old"), point
        assert "Traceback" not in done.stderr
        change_after(subject)
    assert told[f"StorageError {code}"] >= 5
    assert told["StorageError storage.not-durable"] >= 1


@pytest.mark.parametrize("error", ["EACCES", "EPERM"])
def test_a_directory_that_refuses_leaves_the_old_state(subject: Subject, error: str) -> None:
    before = subject.files()
    for call in ("openat", "rename", "write"):
        for point in [point for point in subject.points("write") if point.call == call]:
            subject.reset(before)
            done = subject.run("write", *inject(point, f"error={error}"))
            assert done.stdout.strip() in ("StorageError storage.permission", "StorageError storage.not-durable"), point
            change_after(subject)
        subject.reset(before)


def test_a_full_disk_keeps_both_passwords_from_being_lost(subject: Subject) -> None:
    for point in each_point(subject, "replace_slot"):
        if point.call not in ("openat", "write", "fsync", "rename"):
            continue
        done = subject.run("replace_slot", *inject(point, "error=ENOSPC"))
        expected = "new" if "not-durable" in done.stdout else "old"
        assert subject.state() == (OLD, expected), point
        assert done.stdout.startswith("StorageError "), (point, done)


def test_a_limit_on_file_sizes_leaves_the_old_state(subject: Subject) -> None:
    done = subject.run("write", limit=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)))
    assert done.stdout.strip() == "StorageError storage.full"
    assert subject.state() == (OLD, "old")
    assert not FileNames(subject.path).new.exists()


def kill_at_random_instants(subject: Subject, times: int) -> None:
    instants = random.Random(2_026)
    for _ in range(times):
        command = [sys.executable, "-B", "-m", "tests.faults.vault_writer", "endless", str(subject.path)]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(subject.data_key.reveal().hex() + "\n")
            process.stdin.flush()
            acknowledged = [int(process.stdout.readline())]
            time.sleep(instants.uniform(0, 0.1))
            process.kill()
            acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]
        vault = Vault.open_with_key(subject.path, subject.data_key)
        assert vault.generation in (acknowledged[-1], acknowledged[-1] + 1)
        assert int(vault.read()) == vault.generation
        previous = Vault.open_with_key(vault.previous_path, subject.data_key)
        assert previous.generation in (vault.generation, vault.generation - 1)


def test_killed_at_random_instants_nothing_acknowledged_is_lost(subject: Subject) -> None:
    kill_at_random_instants(subject, 20)


@pytest.mark.soak
def test_killed_at_two_hundred_random_instants_nothing_acknowledged_is_lost(subject: Subject) -> None:
    kill_at_random_instants(subject, 200)


def start(subject: Subject, action: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-B", "-m", "tests.faults.vault_writer", action, str(subject.path)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write(subject.data_key.reveal().hex() + "\n")
    process.stdin.close()
    process.stdin = None
    return process


def test_two_writers_at_once_lose_nothing(subject: Subject) -> None:
    Vault.open_with_key(subject.path, subject.data_key).write(b"0")
    writers = [start(subject, "count") for _ in range(2)]
    assert [writer.communicate(timeout=60)[0] for writer in writers] == ["done\n"] * 2
    assert Vault.open_with_key(subject.path, subject.data_key).read() == b"60"


def test_slots_that_two_processes_add_at_once_are_all_there(subject: Subject) -> None:
    writers = [start(subject, "add_slots") for _ in range(2)]
    assert [writer.communicate(timeout=60)[0] for writer in writers] == ["done\n"] * 2
    vault = Vault.open_with_key(subject.path, subject.data_key)
    assert [slot.slot_id for slot in vault.slots] == list(range(1, 8))
    assert Vault.unlock(subject.path, [password("old")]).read() == OLD
