"""Labels and sealed attributes are nowhere in clear: at home, in the vault, at a relay, in what the agent writes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.privacy.readable_forms import forms_of_text
from tests.wallet.parts import HonestRelay, make_home, opened, password
from walletcli.wallet.access.session import Session
from walletcli.wallet.access.unlock import lock, unlock
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity, rename_identity, set_attribute
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.records import export_record
from walletcli.wallet.relays import add_relay
from walletcli.wallet.resolve import resolve_identity
from walletcli.wallet.transfer import export_vault

LABELS = ("my-secret-alter-ego", "the other one", "Ünsichtbär")
SEALED = "+36 1 555 0100 ext 42"


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "run"
    path.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(path))
    return path


@pytest.fixture
def relay() -> Iterator[HonestRelay]:
    found = HonestRelay()
    yield found
    found.close()


def assert_nowhere(data: bytes, where: object) -> None:
    for text in (*LABELS, SEALED):
        for form in forms_of_text(text):
            assert form not in data, (where, text)


def live(session: Session, relay: HonestRelay, directory: Path) -> None:
    """Do what a user does with an identity."""
    create_identity(session, LABELS[0])
    set_attribute(session, LABELS[0], "phone", SEALED, sealed=True)
    publish_identity(session, LABELS[0], [relay.url])
    rename_identity(session, LABELS[0], LABELS[1])
    publish_identity(session, LABELS[1], [relay.url])
    resolve_identity(LABELS[1], session, [relay.url])
    create_identity(session, LABELS[2])
    export_record(session, LABELS[1], str(directory / "exported.record"))


@pytest.mark.parametrize("where", ["here", "agent"])
def test_labels_stay_in_the_vault(tmp_path: Path, relay: HonestRelay, runtime: Path, where: str) -> None:
    home = make_home(tmp_path / "home")
    add_relay(home, relay.url)
    if where == "agent":
        unlock(home, password)
    with opened(home) as session:
        live(session, relay, tmp_path)
    export_vault(home, str(tmp_path / "exported.vault"))
    everything = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert Path(home.vault_path) in everything
    assert len(everything) >= 5
    for path in [*tmp_path.rglob("*"), *runtime.rglob("*")]:
        assert_nowhere(os.fsencode(path.name), path)
    for path in everything:
        assert_nowhere(path.read_bytes(), path)
    for asked in relay.shelf.asked:
        assert_nowhere(asked.head + asked.body, asked.path)
    lock(home)


def test_the_agent_writes_nothing_but_the_vault(tmp_path: Path, relay: HonestRelay) -> None:
    home = make_home(tmp_path / "home")
    log = tmp_path / "agent.trace"
    status = unlock(home, password)
    tracer = subprocess.Popen(
        [
            "strace",
            "-f",
            "-s",
            "200000",
            "-e",
            "trace=write,pwrite64,openat,sendto,sendmsg",
            "-o",
            str(log),
            "-p",
            str(status.pid),
        ],
        stderr=subprocess.PIPE,
    )
    assert tracer.stderr is not None
    assert b"attached" in tracer.stderr.readline()
    with opened(home) as session:
        live(session, relay, tmp_path)
    lock(home)
    tracer.wait(20)
    tracer.stderr.close()
    lines = log.read_bytes().splitlines()
    opened_for_writing = [line for line in lines if b"openat(" in line and (b"O_WRONLY" in line or b"O_RDWR" in line)]
    assert opened_for_writing
    for line in opened_for_writing:
        assert os.fsencode(home.path) in line or b"/dev/null" in line, line
    # answers to the client go over the socket; what is written anywhere else is sealed
    for line in lines:
        if b" write(" in line or b" pwrite64(" in line:
            assert_nowhere(line, "the agent's writes")


def test_the_agent_prints_nothing(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    script = (
        "import sys\n"
        "from tests.wallet.parts import password\n"
        "from walletcli.wallet.home import Home\n"
        "from walletcli.wallet.access.unlock import unlock\n"
        "unlock(Home(sys.argv[1]), password)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script, home.path], capture_output=True, check=True, cwd=root, timeout=30
    )
    assert (done.stdout, done.stderr) == (b"", b"")
    with opened(home) as session:
        create_identity(session, LABELS[0])
    assert lock(Home(home.path))
