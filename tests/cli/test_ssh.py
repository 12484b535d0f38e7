"""SSH from the command line: the key, the agent around a command, signatures."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.answers import check_answer
from tests.cli.conftest import Answer
from tests.conftest import Run, clean_environment

Cli = Callable[..., Run]
Password = tuple[str, str]


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A directory whose path is short, for the runtime directory is in it and sockets have short names."""
    with tempfile.TemporaryDirectory(prefix="ssh-") as path:
        yield Path(path)


@pytest.fixture
def alice(answer: Answer, wallet: Path, password: Password) -> str:
    """An identity `alice` in the test wallet; its did."""
    return str(answer("identity", "create", "alice", *password, home=wallet)["did"])


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file to sign."""
    path = tmp_path / "release"
    path.write_bytes(b"a release\n")
    return str(path)


def test_the_key_is_a_line_for_authorized_keys(
    answer: Answer, cli: Cli, wallet: Path, alice: str, password: Password
) -> None:
    shown = answer("identity", "ssh-key", "alice", *password, home=wallet)
    assert (shown["did"], shown["new"], shown["named"], shown["in_record"]) == (alice, True, False, False)
    assert cli("identity", "ssh-key", "alice", *password, home=wallet).stdout == shown["public_key"] + "\n"
    with_comment = cli("identity", "ssh-key", "alice", "--comment", "my laptop", *password, home=wallet).stdout
    assert with_comment == shown["public_key"] + " my laptop\n"
    listed = cli("identity", "ssh-key", "alice", "--principal", "ada@example", *password, home=wallet).stdout
    assert listed == f"ada@example {shown['public_key']}\n"
    assert shown["allowed_signers"] == f"{alice} {shown['public_key']}"


def test_to_have_it_named_says_what_comes_next(
    answer: Answer, cli: Cli, wallet: Path, alice: str, password: Password
) -> None:
    named = cli("identity", "ssh-key", "alice", "--in-record", *password, home=wallet)
    assert named.stderr == "Next: walletcli publish alice\n"
    assert answer("identity", "ssh-key", "alice", *password, home=wallet)["named"] is True
    back = answer("identity", "ssh-key", "alice", "--not-in-record", *password, home=wallet)
    assert (back["named"], back["new"]) == (False, False)


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [("--comment", "two\nlines", "ssh.comment"), ("--principal", "two words", "ssh.principal")],
)
def test_a_line_stays_one_line(
    answer: Answer, wallet: Path, alice: str, password: Password, option: str, value: str, code: str
) -> None:
    error = answer("identity", "ssh-key", "alice", option, value, *password, home=wallet, code=3)["error"]
    assert error["code"] == code


def test_a_command_finds_the_agent_and_gives_its_exit_code(
    cli: Cli, wallet: Path, alice: str, password: Password
) -> None:
    script = 'ssh-add -L; test -S "$SSH_AUTH_SOCK"; echo "$SSH_AUTH_SOCK"; umask; echo "$*"; exit 7'
    done = cli(
        "identity", "ssh-agent", "alice", *password, "--", "sh", "-c", script, "x", "--json", "-v", home=wallet
    )  # fmt: skip
    assert done.code == 7, done.stderr
    key, path, umask, rest = done.stdout.splitlines()
    assert key.startswith("ssh-ed25519 AAAA")
    assert not os.path.lexists(path)
    assert int(umask, 8) == _umask()
    assert rest == "--json -v"


def _umask() -> int:
    found = os.umask(0o022)
    os.umask(found)
    return found


def test_a_command_ended_by_a_signal_is_told_as_a_shell_tells_it(
    cli: Cli, wallet: Path, alice: str, password: Password
) -> None:
    done = cli("identity", "ssh-agent", "alice", *password, "--", "sh", "-c", "kill -TERM $$", home=wallet)
    assert done.code == 128 + signal.SIGTERM


def test_standard_input_is_the_commands(cli: Cli, wallet: Path, alice: str, password: Password) -> None:
    done = cli("identity", "ssh-agent", "alice", *password, "--", "cat", home=wallet, stdin=b"through")
    assert (done.code, done.stdout) == (0, "through")


def test_a_command_that_is_not_there_is_named(
    answer: Answer, cli: Cli, wallet: Path, alice: str, password: Password
) -> None:
    done = cli("identity", "ssh-agent", "alice", *password, "--", "no-such-program", home=wallet)
    assert done.code == 3
    assert "cannot run no-such-program" in done.stderr
    error = answer("--json", "identity", "ssh-agent", "alice", *password, "--", "true", home=wallet, code=2)["error"]
    assert error["code"] == "ssh-agent.stdout"


def test_two_commands_at_once_have_an_agent_each(cli: Cli, wallet: Path, alice: str, password: Password) -> None:
    outer = ["identity", "ssh-agent", "alice", *password, "--", "sh", "-c"]
    inner = f'echo "$SSH_AUTH_SOCK"; {sys.executable} -m walletcli --home {wallet} identity ssh-agent alice'
    script = f"{inner} --password-file {password[1]} -- sh -c 'echo \"$SSH_AUTH_SOCK\"; ssh-add -L'"
    done = cli(*outer, script, home=wallet)
    assert done.code == 0, done.stderr
    first, second, key = done.stdout.splitlines()
    assert first != second
    assert key.startswith("ssh-ed25519 ")


def test_alone_it_prints_where_it_is_and_serves_until_told_to_stop(
    wallet: Path, alice: str, password: Password, tmp_path: Path
) -> None:
    environment = clean_environment(HOME=str(tmp_path / "user"), XDG_RUNTIME_DIR=str(tmp_path / "run"))
    command = [sys.executable, "-m", "walletcli", "--home", str(wallet), "identity", "ssh-agent", "alice", *password]
    for options, number in (([], signal.SIGTERM), (["--json"], signal.SIGINT)):
        with subprocess.Popen(
            [*command, *options], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                path = _path_in(line, as_json=bool(options))
                assert stat.S_IMODE(os.lstat(path).st_mode) == 0o600
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.connect(path)
                process.send_signal(number)
                assert process.wait(30) == 0
            finally:
                process.kill()
        assert not os.path.lexists(path)


def _path_in(line: str, *, as_json: bool) -> str:
    if as_json:
        return str(check_answer(("identity", "ssh-agent"), line, 0)["socket"])
    shell = subprocess.run(["sh", "-c", f'{line} printf %s "$SSH_AUTH_SOCK"'], capture_output=True, text=True)
    return shell.stdout


def test_the_key_stays_in_the_agent_of_an_unlocked_wallet(
    cli: Cli, wallet: Path, alice: str, password: Password
) -> None:
    assert cli("wallet", "unlock", *password, home=wallet).code == 0
    lock = f"{sys.executable} -m walletcli --home {wallet} wallet lock"
    sign = "ssh-keygen -Y sign -f key.pub -n file message"
    script = f"cd $1; ssh-add -L > key.pub; echo x > message; {sign} && {lock} && rm message.sig; {sign}"
    done = cli("identity", "ssh-agent", "alice", "--", "sh", "-c", script, "x", str(wallet.parent), home=wallet)
    assert done.code != 0
    assert "Write signature to message.sig" in done.stderr
    assert "the wallet has been locked" in done.stderr


def test_a_file_is_signed_and_verified(
    answer: Answer, cli: Cli, wallet: Path, alice: str, password: Password, file: str, tmp_path: Path
) -> None:
    signed = answer("sign", file, "--as", "alice", *password, home=wallet)
    assert (signed["did"], signed["out"], signed["in_record"]) == (alice, f"{file}.sig", False)
    assert Path(signed["out"]).read_text() == signed["signature"]
    assert stat.S_IMODE(os.lstat(signed["out"]).st_mode) == 0o600
    listed = tmp_path / "allowed"
    listed.write_text(cli("identity", "ssh-key", "alice", "--allowed-signers", *password, home=wallet).stdout)
    good = answer("verify", file, f"{file}.sig", "--allowed-signers", str(listed), "--principal", alice)
    assert good["principals"] == alice
    assert cli("verify", "-", f"{file}.sig", "--allowed-signers", str(listed), stdin=Path(file).read_bytes()).code == 0
    changed = answer("verify", "-", f"{file}.sig", "--allowed-signers", str(listed), stdin=b"other", code=4)
    assert changed["error"]["code"] == "signature.invalid"


def test_standard_input_is_signed_to_standard_output(
    cli: Cli, wallet: Path, alice: str, password: Password, file: str, tmp_path: Path
) -> None:
    done = cli("sign", "-", "--as", "alice", "--namespace", "git", *password, home=wallet, stdin=b"a release\n")
    assert done.code == 0, done.stderr
    (tmp_path / "sig").write_text(done.stdout)
    listed = tmp_path / "allowed"
    listed.write_text(cli("identity", "ssh-key", "alice", "--allowed-signers", *password, home=wallet).stdout)
    checked = cli("verify", file, str(tmp_path / "sig"), "--allowed-signers", str(listed), "--namespace", "git")
    assert checked.code == 0, checked.stderr
    assert "signed by did:key:" in checked.stdout


def test_a_signature_is_verified_by_the_signers_record(
    answer: Answer, cli: Cli, wallet: Path, alice: str, password: Password, file: str, tmp_path: Path
) -> None:
    answer("identity", "ssh-key", "alice", "--in-record", *password, home=wallet)
    answer("sign", file, "--as", "alice", *password, home=wallet)
    _sign_record(wallet, password)
    path = str(tmp_path / "alice.record")
    answer("record", "export", "alice", path, *password, home=wallet)
    offline = ("--offline", "verify", file, f"{file}.sig", "--record", path)
    good = answer(*offline, "--signer", alice)
    assert (good["did"], good["by"], good["freshness"]) == (alice, "identity", "not-checked")
    assert "which may speak for the identity until" in cli(*offline, "--signer", alice).stdout
    kept = answer(*offline, "--signer", "alice", "--keep", *password, home=wallet)
    assert kept["kept_day"] is None
    git = answer(*offline, "--signer", alice, "--namespace", "git", code=4)["error"]
    assert git["code"] == "sshsig.namespace"


def _sign_record(wallet: Path, password: Password) -> None:
    """Have the record signed that names the key; no relay is asked."""
    import time

    from walletcli.core.secret import Secret
    from walletcli.wallet.access.agent_session import open_session
    from walletcli.wallet.home import Home
    from walletcli.wallet.state.changes import Adopt
    from walletcli.wallet.state.draft import next_document

    secret = Secret(Path(password[1]).read_bytes().rstrip(b"\n"))
    with open_session(Home(str(wallet)), lambda: secret) as session:
        if session.snapshot().wallet.by_index(0).unseen:
            session.apply(Adopt(0, None))
        snapshot = session.snapshot()
        document = next_document(snapshot.wallet.by_index(0), (), time.time(), os.urandom)
        session.sign(0, document.to_bytes(), snapshot.generation)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), "verify.signer"),
        (("--signer", "x", "--allowed-signers", "y"), "verify.signer"),
        (("--allowed-signers", "y", "--keep"), "verify.options"),
        (("--allowed-signers", "y", "--record", "z"), "verify.options"),
        (("--signer", "x", "--principal", "y"), "verify.options"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    answer: Answer, options: tuple[str, ...], code: str, file: str
) -> None:
    assert answer("verify", file, file, *options, code=2)["error"]["code"] == code


def test_a_signature_is_never_written_over_a_file(
    answer: Answer, wallet: Path, alice: str, password: Password, file: str
) -> None:
    Path(f"{file}.sig").write_text("mine")
    error = answer("sign", file, "--as", "alice", *password, home=wallet, code=3)["error"]
    assert error["code"] == "file.exists"
    assert Path(f"{file}.sig").read_text() == "mine"


def test_what_verifies_opens_no_wallet_and_says_so_in_json(answer: Answer, cli: Cli, tmp_path: Path, file: str) -> None:
    done = cli("--json", "verify", file, "missing.sig", "--signer", "did:key:x", home=tmp_path / "none")
    assert done.code == 3
    assert json.loads(done.stdout)["error"]["code"] == "file.missing"
