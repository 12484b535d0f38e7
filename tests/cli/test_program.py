"""How the program starts, answers and ends."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from tests.cli.answers import check_answer
from tests.cli.conftest import Answer
from tests.conftest import Run, clean_environment
from walletcli import __version__
from walletcli.cli import program as cli_program
from walletcli.cli.commands import Late
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.errors import SignerError

Cli = Callable[..., Run]

HEAVY = {
    "apsw", "asyncio", "cryptography", "h11", "httptools", "keyring", "mnemonic", "nacl", "platformdirs",
    "prometheus_client", "prompt_toolkit", "qrcode", "socket", "ssl", "uvloop", "walletcli.wallet",
    "walletcli.node", "walletcli.vault",
}  # fmt: skip


def test_version_is_one_line(cli: Cli) -> None:
    done = cli("--version")
    assert (done.code, done.stdout, done.stderr) == (0, f"walletcli {__version__}\n", "")


def test_version_has_a_json_form(answer: Answer) -> None:
    assert answer("--version") == {"version": __version__}


def test_the_installed_command_is_the_module() -> None:
    command = Path(sys.executable).with_name("walletcli")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"walletcli {__version__}\n"


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["-h"], ["wallet", "--help"], ["publish", "--help"]])
def test_help_and_version_import_nothing_heavy(args: list[str]) -> None:
    code = (
        "import sys; before = set(sys.modules); from walletcli.cli.main import main; main(sys.argv[1:]); "
        "print(*(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(done.stderr.split())


def test_completion_imports_nothing_heavy() -> None:
    code = (
        "import sys, atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "
        "from walletcli.cli.main import main; main([])"
    )
    asked = {"_WALLETCLI_COMPLETE": "bash_complete", "COMP_WORDS": "walletcli identity ", "COMP_CWORD": "2"}
    environment = clean_environment(**asked)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert "plain,create" in done.stdout.split("\n")
    assert HEAVY.isdisjoint(done.stderr.split())


def test_help_shows_every_noun(cli: Cli) -> None:
    shown = cli("--help").stdout
    assert all(f"  {noun} " in shown for noun in cli_program.COMMANDS)


def test_no_command_shows_where_help_is(cli: Cli) -> None:
    done = cli()
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr == "error: walletcli needs a verb\nhint: see: walletcli --help\n"


def test_a_slip_in_a_noun_or_verb_names_the_nearest(cli: Cli) -> None:
    assert "did you mean wallet?" in cli("walet").stderr
    assert "did you mean create?" in cli("wallet", "crate").stderr


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["nothing"], "usage.invalid"),
        (["wallet"], "usage.no-verb"),
        (["wallet", "nothing"], "usage.invalid"),
        (["wallet", "status", "--nothing"], "usage.no-such-option"),
        (["identity", "create"], "usage.missing-parameter"),
        (["wallet", "create", "--words", "13"], "usage.bad-parameter"),
        (["wallet", "status", "extra"], "usage.invalid"),
        (["--home"], "usage.invalid"),
    ],
)
def test_usage_errors_are_json_and_exit_2(answer: Answer, args: list[str], code: str) -> None:
    error = answer(*args, code=2)["error"]
    assert error["code"] == code
    assert "--help" in error["hint"]
    assert not error["message"].endswith(".")


def test_global_options_may_follow_the_verb(cli: Cli, home: Path) -> None:
    before = cli("--json", "--home", str(home), "wallet", "status")
    after = cli("wallet", "status", "--json", "--home", str(home))
    assert before == after
    assert after.json["wallet"]["exists"] is False


def test_an_empty_home_is_refused(answer: Answer) -> None:
    assert answer("--home", "", "wallet", "status", code=2)["error"]["code"] == "home.empty"


def test_json_after_a_double_dash_is_an_argument(cli: Cli, home: Path) -> None:
    done = cli("identity", "create", "--", "--json", home=home)
    assert done.code == 5
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")


def test_errors_are_told_on_stderr_as_well_with_json(cli: Cli, home: Path) -> None:
    done = cli("--json", "identity", "list", home=home)
    error = check_answer(("identity", "list"), done.stdout, 5)["error"]
    assert done.stderr == f"error: {error['message']}\nhint: {error['hint']}\n"


def test_result_to_a_reader_that_is_gone_ends_quietly(home: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", '"$@" | true; exit "${PIPESTATUS[0]}"', "-", sys.executable, "-m", "walletcli", "--help"],
        capture_output=True, text=True, env=clean_environment(),
    )  # fmt: skip
    assert done.returncode in (0, 141)
    assert done.stderr == ""
    read, write = os.pipe()
    os.close(read)
    gone = subprocess.run(
        [sys.executable, "-m", "walletcli", "--home", str(home), "wallet", "status"],
        stdout=write, stderr=subprocess.PIPE, text=True, env=clean_environment(),
    )  # fmt: skip
    os.close(write)
    assert (gone.returncode, gone.stderr) == (141, "")


@pytest.mark.parametrize("arguments", [["wallet", "status"], ["--json", "wallet", "status"], ["--version"]])
def test_result_to_a_full_disk_is_a_storage_error(arguments: list[str], home: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "walletcli", "--home", str(home), *arguments],
            stdout=full, stderr=subprocess.PIPE, text=True, env=clean_environment(),
        )  # fmt: skip
    assert done.returncode == 8
    assert "the result could not be written: No space left on device" in done.stderr


def test_a_closed_stdout_is_a_storage_error(home: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", '"$@" >&-', "-", sys.executable, "-m", "walletcli", "--home", str(home), "wallet", "status"],
        stderr=subprocess.PIPE, text=True, env=clean_environment(),
    )  # fmt: skip
    assert done.returncode == 8
    assert done.stderr.startswith("error: the result could not be written")


def test_a_closed_stderr_changes_nothing(home: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", '"$@" 2>&-', "-", sys.executable, "-m", "walletcli", "--home", str(home), "identity", "list"],
        stdout=subprocess.PIPE, text=True, env=clean_environment(),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (5, "")


def test_interruption_exits_130_with_json(secret_file: Callable[..., str], home: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "words"
    os.mkfifo(pipe, 0o600)
    process = subprocess.Popen(
        [sys.executable, "-m", "walletcli", "--json", "--home", str(home), "wallet", "restore",
         "--mnemonic-file", str(pipe), "--password-file", secret_file("password", "x")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment(),
    )  # fmt: skip
    write = os.open(pipe, os.O_WRONLY)
    os.write(write, b"abandon ")
    while fcntl.ioctl(write, termios.FIONREAD, bytes(4)) != bytes(4):  # once that is read, it waits for the rest
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    os.close(write)
    assert process.returncode == 130
    assert json.loads(stdout)["error"]["code"] == "interrupted"
    assert stderr == "error: interrupted\n"
    assert not home.exists()


def test_files_are_made_for_the_owner_alone(wallet: Path) -> None:
    assert wallet.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in wallet.iterdir())


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Return a function that adds a command `fail`, which raises."""

    def add(error: BaseException) -> None:
        @click.command("fail")
        @pass_invocation
        def fail(_invocation: Invocation) -> None:
            hidden = "correct horse battery"
            raise error if hidden else AssertionError

        monkeypatch.setattr(cli_program, "_test_command", fail, raising=False)
        late = Late(cli_program.__name__, "_test_command", "Fail.")
        monkeypatch.setitem(cli_program.program.late, "fail", late)

    return add


def run_here(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = cli_program.run(list(args))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_bug_exits_1_and_shows_no_values(failing: Any, capsys: pytest.CaptureFixture[str]) -> None:
    failing(ValueError("cannot parse 'correct horse battery'"))
    code, out, err = run_here(capsys, "--json", "fail")
    assert code == 1
    error = check_answer(("fail",), out, 1)["error"]
    assert error["code"] == "internal.bug"
    assert "ValueError at test_program.py:" in error["message"]
    assert "correct horse" not in out + err


def test_debug_shows_places_and_no_values(failing: Any, capsys: pytest.CaptureFixture[str]) -> None:
    error = ValueError("cannot parse 'correct horse staple'")
    error.__cause__ = KeyError("correct horse staple")
    failing(error)
    code, out, err = run_here(capsys, "--debug", "fail")
    assert code == 1
    assert "in _invoke" in err
    assert "caused by\nKeyError" in err
    assert "correct horse staple" not in out + err


@pytest.mark.parametrize("number", [28, 122, 30, 13, 5])
def test_the_disk_failing_anywhere_is_a_storage_error(
    number: int, failing: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(OSError(number, os.strerror(number), "/some/file"))
    code, _, err = run_here(capsys, "fail")
    assert code == 8
    assert f"/some/file: {os.strerror(number)}" in err


def test_errors_of_ours_keep_their_exit_code_and_are_escaped(failing: Any, capsys: pytest.CaptureFixture[str]) -> None:
    failing(SignerError("signer.refused", "no \x1b[31mred\u202e letters"))
    code, out, err = run_here(capsys, "fail")
    assert (code, out) == (6, "")
    assert err == "error: no \\x1b[31mred\\u202e letters\n"


def test_an_answer_before_the_failure_stays_the_only_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command("late")
    @pass_invocation
    def late(invocation: Invocation) -> None:
        invocation.answer({"ready": True}, ["ready"])
        raise SignerError("signer.refused", "too late")

    monkeypatch.setattr(cli_program, "_late_command", late, raising=False)
    entry = Late(cli_program.__name__, "_late_command", "Late.")
    monkeypatch.setitem(cli_program.program.late, "late", entry)
    code, out, err = run_here(capsys, "--json", "late")
    assert (code, out, err) == (6, '{"ready": true}\n', "error: too late\n")
