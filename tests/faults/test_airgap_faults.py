"""Offline signing under kill -9 and a full disk: the old state or the new on each side, and no `seq` used twice.

The system calls that touch the vault and the files that travel are listed once by strace; then each of them, one after
another, is where the process is killed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.test_wallet_faults import CHANGING, ROOT, Point
from tests.wallet.airgap.parts import Machines, document_of, here
from walletcli.core.record import Record
from walletcli.core.response import ResponseFile
from walletcli.wallet.airgap.making import NewIdentity, Wish
from walletcli.wallet.airgap.waiting import read_book
from walletcli.wallet.home import Home
from walletcli.wallet.identities import set_attribute
from walletcli.wallet.transfer import _files as names_of

_CALL = re.compile(r"(\w+)\(.*\) += ")


@pytest.fixture
def alice(tmp_path: Path) -> Machines:
    """An identity that an online machine looks after, with something that waits to be signed."""
    machines = Machines(tmp_path)
    machines.create("alice", name="Alice")
    with here(machines.online) as session:
        set_attribute(session, "alice", "name", "Alice B.")
    return machines


def run(home: Home, *action: str, strace: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    name, *files = action
    command = [sys.executable, "-B", "-m", "tests.faults.airgap_writer", name, home.path, *files]
    if strace:
        directories = {str(Path(file).parent) for file in files}
        paths = (home.path, *names_of(home), *files, *sorted(directories))
        watched = [option for path in paths for option in ("-P", path)]
        command = ["strace", "-f", "-qq", *watched, *strace, *command]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def each_kill(home: Home, produced: Path | None, log: Path, *action: str) -> Iterator[Point]:
    """Kill a step at every point, each time from the same state of the disk."""
    before = Path(f"{home.path}.before")
    shutil.copytree(home.path, before)
    done = run(home, *action, strace=("-e", f"trace={','.join(CHANGING)}", "-o", str(log)))
    assert done.stdout == "done\n", done.stdout + done.stderr
    seen: Counter[str] = Counter()
    points = []
    for line in log.read_text().splitlines():
        found = _CALL.search(line)
        if found:
            seen[found.group(1)] += 1
            points.append(Point(found.group(1), seen[found.group(1)]))
    assert {"write", "fsync", "rename"} <= seen.keys(), seen
    for point in points:
        shutil.rmtree(home.path)
        shutil.copytree(before, home.path)
        if produced is not None:
            produced.unlink(missing_ok=True)
        done = run(home, *action, strace=("-e", f"inject={point.call}:signal=SIGKILL:when={point.nth}"))
        assert done.returncode == -9, (point, done)
        yield point


def test_a_killed_approval_never_signs_two_documents_with_one_seq(alice: Machines) -> None:
    request = alice.ask(Wish(("alice",), (NewIdentity("bob"),))).path
    out = Path(alice.path())
    before = alice.view("alice", alice.cold).record
    log = alice.directory / "trace"
    outcomes: Counter[tuple[bool, bool]] = Counter()
    for point in each_kill(alice.cold, out, log, "approve", request, str(out)):
        kept = alice.view("alice", alice.cold).record
        signed = kept != before
        left = ResponseFile.from_bytes(out.read_bytes()) if out.exists() else None
        assert signed or left is None, f"{point}: a response left that the vault does not know"
        outcomes[signed, left is not None] += 1
        again = Path(alice.approve(request))
        if left is not None:
            assert again.read_bytes() == left.to_bytes()
        after = alice.view("alice", alice.cold).record
        assert after == kept or not signed
        seqs = {Record.from_bytes(data or b"").packet.seq for data in (kept, after)} if signed else set()
        assert len(seqs) <= 1
        last = again
    assert set(outcomes) >= {(False, False), (True, False), (True, True)}
    alice.apply(str(last))
    assert document_of(alice.view("alice").record).profile == {"name": "Alice B."}


def test_a_killed_apply_takes_over_all_or_nothing(alice: Machines) -> None:
    response = alice.approve(alice.ask(Wish(("alice",), (NewIdentity("bob"),))).path)
    before = alice.view("alice").record
    outcomes: Counter[bool] = Counter()
    for _ in each_kill(alice.online, None, alice.directory / "trace", "apply", response):
        with here(alice.online) as session:
            labels = [item.label for item in session.summaries()]
            waiting = len(read_book(session).waiting)
            devices = len(session._keeper._state.waiting)  # type: ignore[union-attr]  # what no view shows
        taken = alice.view("alice").record != before
        assert (labels, waiting, devices) == ((["alice", "bob"], 0, 0) if taken else (["alice"], 1, 1))
        outcomes[taken] += 1
        if not taken:
            assert run(alice.online, "apply", response).stdout == "done\n"
        assert run(alice.online, "apply", response).stdout == "response.applied\n"
    assert outcomes.keys() == {True, False}


def test_a_killed_make_leaves_a_request_that_can_be_answered_or_asked_again(alice: Machines) -> None:
    path = Path(alice.path())
    for _ in each_kill(alice.online, path, alice.directory / "trace", "make", str(path)):
        with here(alice.online) as session:
            waiting = read_book(session).waiting
        assert len(waiting) <= 1
        if path.exists():
            assert path.read_bytes() == waiting[0].request.to_bytes()
            alice.apply(alice.approve(str(path)))
        else:
            alice.trip()
        assert document_of(alice.view("alice").record).profile == {"name": "Alice B."}
        shutil.rmtree(alice.cold.path)  # a cold side that has not answered yet
        shutil.copytree(f"{alice.cold.path}.fresh", alice.cold.path)


@pytest.fixture(autouse=True)
def _keep_cold(alice: Machines) -> None:
    shutil.copytree(alice.cold.path, f"{alice.cold.path}.fresh")


@pytest.mark.parametrize("call", ["write", "fsync"])
@pytest.mark.parametrize("action", ["make", "approve", "apply"])
def test_a_full_disk_changes_nothing_and_lets_nothing_out(alice: Machines, action: str, call: str) -> None:
    produced = Path(alice.path())
    if action == "make":
        home, arguments = alice.online, (str(produced),)
    elif action == "approve":
        home, arguments = alice.cold, (alice.ask(Wish(("alice",))).path, str(produced))
    else:
        home, arguments = alice.online, (alice.approve(alice.ask(Wish(("alice",))).path),)
    before = Path(home.vault_path).read_bytes()
    done = run(home, action, *arguments, strace=("-e", f"inject={call}:error=ENOSPC:when=1+"))
    assert done.stdout == "storage.full\n", done.stdout + done.stderr
    assert Path(home.vault_path).read_bytes() == before
    assert not produced.exists()
    assert run(home, action, *arguments).stdout == "done\n"


def test_a_response_that_found_no_room_is_given_again(alice: Machines) -> None:
    """The vault was written, the stick is full: what was signed is signed, and the next approval says the same."""
    request = alice.ask(Wish(("alice",))).path
    log = alice.directory / "trace"
    probe = alice.path()
    shutil.copytree(alice.cold.path, alice.directory / "copy")
    done = run(alice.cold, "approve", request, probe, strace=("-e", "trace=fsync", "-o", str(log)))
    assert done.stdout == "done\n"
    last = len([line for line in log.read_text().splitlines() if "fsync(" in line])
    shutil.rmtree(alice.cold.path)
    shutil.copytree(alice.directory / "copy", alice.cold.path)
    out = alice.path()
    for nth in range(last, 0, -1):
        done = run(alice.cold, "approve", request, out, strace=("-e", f"inject=fsync:error=ENOSPC:when={nth}"))
        if done.stdout == "storage.full\n" and alice.view("alice", alice.cold).record != alice.view("alice").record:
            break
    else:
        raise AssertionError("no point was found at which the response did not fit")
    assert run(alice.cold, "approve", request, alice.path()).stdout == "done\n"
    alice.apply(alice.approve(request))
    assert alice.view("alice", alice.cold).record == alice.view("alice").record


def test_processes_that_approve_at_once_sign_one_document(alice: Machines) -> None:
    """Two requests that follow one record, each approved by two processes at the same time."""
    first = alice.ask(Wish(("alice",), (NewIdentity("bob"),))).path
    with here(alice.online) as session:
        set_attribute(session, "alice", "motto", "x")
    second = alice.ask(Wish(("alice",))).path
    outs = [(path, alice.path()) for path in (first, second) for _ in range(2)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.airgap_writer", "approve", alice.cold.path, path, out],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )
        for path, out in outs
    ]  # fmt: skip
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert sorted(said) == ["done\n", "done\n", "request.stale\n", "request.stale\n"]
    done = [out for (_, out), text in zip(outs, said, strict=True) if text == "done\n"]
    assert said[0] == said[1]
    assert len({Path(out).read_bytes() for out in done}) == 1
    alice.apply(done[0])
    assert alice.view("alice").record == alice.view("alice", alice.cold).record
