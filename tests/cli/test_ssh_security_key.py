"""SSH keys on security keys from the shell: the real program over a stand-in for hidapi, OpenSSH's and git's own
programs, and a real node; the true HID stack is `make test-hid`.
"""

from __future__ import annotations

import base64
import getpass
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.cli.conftest import MNEMONIC, PIN, Do, Keys, error_of
from tests.conftest import FAST_KDF, NodeProcess, Run
from tests.peers.openssh import SshServer, program, start_server
from tests.peers.openssh import run as run_program

Options = tuple[str, str]
GIT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
ES256 = {"algorithms": [-7]}
KINDS = {"sk-ssh-ed25519@openssh.com": {}, "sk-ecdsa-sha2-nistp256@openssh.com": ES256}


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A directory whose path is short, for the runtime directory is in it and sockets have short names."""
    with tempfile.TemporaryDirectory(prefix="ssh-") as path:
        yield Path(path)


@pytest.fixture
def alice(do: Do, keys: Keys, password: Options) -> str:
    """An identity, and a security key `blue` that is plugged in; its did."""
    keys("blue")
    return str(do("identity", "create", "alice", *password)["did"])


@pytest.fixture
def blue(do: Do, alice: str, password: Options, pin: Options) -> dict[str, Any]:
    """Its SSH key on that security key, with the PIN."""
    return dict(do("identity", "ssh-security-key", "add", "alice", "--name", "blue", *password, *pin)["key"])


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file to sign."""
    path = tmp_path / "release"
    path.write_bytes(b"a release\n")
    return str(path)


@pytest.fixture
def walletcli(wallet: Path, environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command with more of an environment; what it prints is text."""

    def execute(*args: str, stderr: Any = subprocess.PIPE, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "walletcli", "--home", str(wallet), *args]
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True, timeout=120,
            check=False, env={**environment, **more}, start_new_session=True,
        )  # fmt: skip

    return execute


Walletcli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(("kind", "behaviour"), KINDS.items(), ids=["ed25519", "ecdsa"])
def test_openssh_and_we_verify_what_the_security_key_signs(
    do: Do, run: Callable[..., Run], keys: Keys, alice: str, file: str, password: Options, pin: Options,
    node: NodeProcess, kind: str, behaviour: dict[str, Any],
) -> None:  # fmt: skip
    keys("blue", **behaviour)
    made = do("identity", "ssh-security-key", "add", "alice", "--in-record", *password, *pin)["key"]
    assert made["public_key"].split()[0] == kind
    assert made["authorized_keys"] == f"verify-required {made['public_key']}"
    assert (made["name"], made["pin"], made["named"], made["in_record"]) == ("Key blue", True, True, False)
    do("publish", "alice", "--relay", node.url, *password)
    signed = do("sign", file, "--as", "alice", *password, *pin)
    assert signed["security_key"] == {"pin": True}
    assert (signed["in_record"], signed["fingerprint"]) == (True, made["fingerprint"])
    found = do("verify", file, f"{file}.sig", "--signer", alice, "--relay", node.url, *password)
    assert (found["by"], found["device"], found["security_key"]) == ("identity", None, {"pin": True})
    shown = run("verify", file, f"{file}.sig", "--signer", alice, "--relay", node.url, *password).stdout
    assert "by a security key that was touched, with its PIN" in shown
    listed = Path(file).with_name("signers")
    listed.write_text(run("resolve", alice, "--relay", node.url, "--allowed-signers", *password).stdout)
    assert 'valid-before="' in listed.read_text()
    theirs = run_program(
        "ssh-keygen", "-Y", "verify", "-f", str(listed), "-I", alice, "-n", "file", "-s", f"{file}.sig",
        stdin=Path(file).read_bytes(),
    )  # fmt: skip
    assert theirs.stdout.startswith(f'Good "file" signature for {alice}'), theirs.stderr


def test_this_devices_key_signs_unless_the_security_key_is_asked_for(
    do: Do, blue: dict[str, Any], file: str, password: Options, pin: Options
) -> None:
    device = do("identity", "ssh-key", "alice", *password)
    assert do("sign", file, "--as", "alice", "--out", "-", *password)["fingerprint"] == device["fingerprint"]
    touched = do("sign", file, "--as", "alice", "--out", "-", "--security-key", *password, *pin)
    assert touched["fingerprint"] == blue["fingerprint"]


def test_a_login_and_a_commit_take_a_touch_and_the_pin(
    walletcli: Walletcli, blue: dict[str, Any], tmp_path: Path, password: Options, pin: Options
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (tmp_path / "sshd").mkdir()
    server = start_server(tmp_path / "sshd", port)
    agent = ("identity", "ssh-agent", "alice", *password, *pin, "--")
    try:
        server.authorize(blue["authorized_keys"])
        done = walletcli(*agent, *_ssh(server), "echo", "in")
        assert (done.returncode, done.stdout) == (0, "in\n"), (done.stderr, server.log())
        assert f"a login as {getpass.getuser()!r} at the server SHA256:" in done.stderr
        assert "Touch Key blue now." in done.stderr
    finally:
        server.stop()
    repository, listed = tmp_path / "repository", tmp_path / "signers"
    repository.mkdir()
    listed.write_text(f"ada@example {blue['public_key']}\n")
    settings = {
        "user.name": "Ada", "user.email": "ada@example", "gpg.format": "ssh",
        "user.signingKey": f"key::{blue['public_key']}", "gpg.ssh.allowedSignersFile": str(listed),
    }  # fmt: skip
    names = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    git = [program("git"), "-C", str(repository), *names]
    subprocess.run([*git, "init", "-q"], check=True)
    done = walletcli(*agent, *git, "commit", "-q", "--allow-empty", "-S", "-m", "signed", **GIT)
    assert done.returncode == 0, done.stderr
    assert "a signature for 'git' asks for the security key 'blue'" in done.stderr
    shown = run_program("git", *git[1:], "verify-commit", "HEAD", more=GIT)
    assert 'Good "git" signature for ada@example' in shown.stdout + shown.stderr


def _ssh(server: SshServer) -> list[str]:
    options = [
        "BatchMode=yes", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={server.directory / 'known_hosts'}",
        "GlobalKnownHostsFile=none", "IdentityFile=none", "HostKeyAlgorithms=ssh-ed25519",
    ]  # fmt: skip
    flags = [part for option in options for part in ("-o", option)]
    return [program("ssh"), "-F", "none", *flags, "-p", str(server.port), f"{getpass.getuser()}@127.0.0.1"]


def test_the_words_and_the_security_key_bring_the_login_back(
    do: Do, keys: Keys, blue: dict[str, Any], wallet: Path, node: NodeProcess, file: str, password: Options,
    pin: Options, secret_file: Callable[..., str], walletcli: Walletcli,
) -> None:  # fmt: skip
    """The laptop is lost: its own SSH key with it, the key on the security key is not."""
    do("identity", "ssh-security-key", "show", "alice", "blue", "--in-record", *password)
    do("publish", "alice", "--relay", node.url, *password)
    shutil.rmtree(wallet)
    do("wallet", "restore", "--mnemonic-file", secret_file("words", MNEMONIC), *password, *FAST_KDF)
    do("wallet", "recover", "--relay", node.url, "--sources", "1", "--yes", *password)
    (back,) = do("identity", "ssh-security-key", "list", "alice", *password)["keys"]
    assert back == {**blue, "named": True, "in_record": True}
    agent = ("identity", "ssh-agent", "alice", *password, *pin, "--")
    assert walletcli(*agent, program("ssh-add"), "-L").stdout.split() == blue["public_key"].split()
    do("sign", file, "--as", "alice", *password, *pin)
    did = do("identity", "show", "alice", *password)["did"]
    assert do("verify", file, f"{file}.sig", "--signer", did, "--relay", node.url, *password)["valid"]


def test_a_removed_key_counts_no_more_once_that_is_published(
    do: Do, blue: dict[str, Any], alice: str, node: NodeProcess, file: str, password: Options, pin: Options
) -> None:
    do("identity", "ssh-security-key", "show", "alice", "--in-record", *password)
    do("publish", "alice", "--relay", node.url, *password)
    do("sign", file, "--as", "alice", *password, *pin)
    check = ("verify", file, f"{file}.sig", "--signer", alice, "--relay", node.url, *password)
    do(*check)
    removed = do("identity", "ssh-security-key", "remove", "alice", "blue", *password)["removed"]
    assert removed["fingerprint"] == blue["fingerprint"]
    do("publish", "alice", "--relay", node.url, *password)
    assert error_of(do(*check, code=4)) == "ssh-keys.not-named"
    assert do("identity", "ssh-security-key", "list", "alice", *password)["keys"] == []
    shown = do("resolve", alice, "--relay", node.url, *password)
    assert "ssh-sk" not in str(shown)


def test_a_touch_alone_is_enough_where_that_was_said(
    do: Do, alice: str, file: str, password: Options, pin: Options
) -> None:
    do("identity", "ssh-security-key", "add", "alice", "--no-pin", *password, *pin)
    touch = do("identity", "ssh-security-key", "show", "alice", *password)["key"]
    assert (touch["pin"], touch["authorized_keys"]) == (False, touch["public_key"])
    signed = do("sign", file, "--as", "alice", *password)
    assert signed["security_key"] == {"pin": False}


def test_nothing_is_signed_without_the_right_key_pin_and_touch(
    do: Do, run: Callable[..., Run], keys: Keys, blue: dict[str, Any], file: str, password: Options, pin: Options,
    secret_file: Callable[..., str],
) -> None:  # fmt: skip
    sign = ("sign", file, "--as", "alice", *password)
    wrong = ("--pin-file", secret_file("wrong", "0000"))
    assert error_of(do(*sign, *wrong, code=6)) == "key.pin-wrong"
    assert error_of(do(*sign, code=2)) == "terminal.missing"
    for behaviour, code in (
        ({"pulled_when_touched": True}, "key.removed"),
        ({"tries": 0}, "key.locked-out"),
        ({"lie": "other-counter"}, "key.bad-answer"),
    ):
        path = keys("blue", **behaviour)
        assert error_of(do(*sign, *pin, code=6)) == code, behaviour
        keys("blue", pulled_when_touched=False, tries=8, lie=None)
    path.rename(path.with_suffix(".away"))
    assert error_of(do(*sign, *pin, code=6)) == "ssh.key-not-here"
    keys("red")
    assert error_of(do(*sign, *pin, code=6)) == "ssh.key-not-here"
    assert not Path(f"{file}.sig").exists()


def test_the_agent_says_why_and_goes_on(
    walletcli: Walletcli, keys: Keys, blue: dict[str, Any], file: str, password: Options, pin: Options
) -> None:
    public = Path(file).with_name("key.pub")
    public.write_text(blue["public_key"] + "\n")
    sign = [program("ssh-keygen"), "-Y", "sign", "-f", str(public), "-n", "file"]
    agent = ("identity", "ssh-agent", "alice", *password, *pin, "--")
    keys("blue").rename(keys("blue").with_suffix(".away"))
    done = walletcli(*agent, *sign, file)
    assert done.returncode != 0
    assert "no security key that is plugged in holds this SSH key of the identity ('blue')" in done.stderr
    keys("blue").with_suffix(".away").rename(keys("blue"))
    keys("blue")
    done = walletcli(*agent, *sign, file)
    assert done.returncode == 0, done.stderr
    assert Path(f"{file}.sig").exists()


def test_the_agent_asks_for_the_pin_at_the_terminal_of_the_command(
    wallet: Path, environment: dict[str, str], blue: dict[str, Any], file: str, password: Options
) -> None:
    public = Path(file).with_name("key.pub")
    public.write_text(blue["public_key"] + "\n")
    sign = [program("ssh-keygen"), "-Y", "sign", "-f", str(public), "-n", "file", file]
    agent = ["identity", "ssh-agent", "alice", *password, "--", *sign]
    child = pexpect.spawn(
        sys.executable, ["-m", "walletcli", "--home", str(wallet), *agent], env=environment, encoding="utf-8",
        timeout=60, dimensions=(30, 200),
    )  # fmt: skip
    child.expect("a signature for 'file' asks for the security key 'blue'")
    for typed in ("0000", PIN):
        child.expect(r"PIN of Key blue \([78] tries left\): ")
        child.sendline(typed)
    child.expect("Touch Key blue now.")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert Path(f"{file}.sig").exists()


def test_whoever_stops_waiting_leaves_no_key_blinking_and_the_agent_ends(
    walletcli: Walletcli, keys: Keys, blue: dict[str, Any], file: str, password: Options, pin: Options
) -> None:
    keys("blue", touches="never")
    public = Path(file).with_name("key.pub")
    public.write_text(blue["public_key"] + "\n")
    said = Path(file).with_name("said")
    script = 'ssh-keygen -Y sign -f "$1" -n file "$2" & until grep -q Touch "$3"; do sleep 0.1; done; kill $!; wait'
    asking = ["sh", "-c", script, "x", str(public), file, str(said)]
    with said.open("w") as stream:
        walletcli("identity", "ssh-agent", "alice", *password, *pin, "--", *asking, stderr=stream)
    assert "refused: whoever asked does not wait any more" in said.read_text()
    assert not Path(f"{file}.sig").exists()


def test_one_security_key_for_two_identities_is_asked_about(
    do: Do, keys: Keys, blue: dict[str, Any], password: Options, pin: Options
) -> None:
    do("identity", "create", "work", *password)
    for noun in ("ssh-security-key", "approver"):
        refused = do("identity", noun, "add", "work", *password, *pin, code=3)
        assert error_of(refused) == "link.would-link"
        assert "'alice'" in refused["error"]["message"]
    do("identity", "ssh-security-key", "add", "work", "--accept-link", *password, *pin)
    do("identity", "approver", "add", "work", *password, *pin)  # accepted for this identity before
    keys("red")
    do("identity", "create", "third", *password)
    do("identity", "approver", "add", "third", "--key", "serial-red", *password, *pin)
    do("identity", "create", "fourth", *password)
    refused = do("identity", "ssh-security-key", "add", "fourth", "--key", "serial-red", *password, *pin, code=3)
    assert "'third'" in refused["error"]["message"]


def test_bad_input_gets_an_error_of_ours(
    do: Do, keys: Keys, blue: dict[str, Any], file: str, password: Options, pin: Options
) -> None:
    bad: list[tuple[tuple[str, ...], int, str]] = [
        (("add", "nobody"), 3, "identity.unknown"),
        (("add", "alice", "--key", "serial-none"), 2, "key.unknown"),
        (("add", "alice", "--name", " "), 3, "approver.name"),
        (("add", "alice"), 6, "key.already-enrolled"),
        (("show", "alice", "green"), 3, "ssh-key.unknown"),
        (("show", "alice", "SHA256:"), 3, "ssh-key.unknown"),
        (("show", "alice", "--comment", "two\nlines"), 3, "ssh.comment"),
        (("show", "alice", "--principal", "two words"), 3, "ssh.principal"),
        (("show", "nobody"), 3, "identity.unknown"),
        (("remove", "alice", "green"), 3, "ssh-key.unknown"),
        (("list", "nobody"), 3, "identity.unknown"),
    ]
    for arguments, status, code in bad:
        needs_pin = pin if arguments[0] == "add" else ()
        assert error_of(do("identity", "ssh-security-key", *arguments, *password, *needs_pin, code=status)) == code
    keys("red")
    do("identity", "ssh-security-key", "add", "alice", "--name", "red", "--key", "serial-red", *password, *pin)
    assert error_of(do("identity", "ssh-security-key", "show", "alice", *password, code=2)) == "ssh-key.ambiguous"
    by_print = do("identity", "ssh-security-key", "show", "alice", blue["fingerprint"][:15], *password)["key"]
    assert by_print["name"] == "blue"
    do("identity", "create", "bob", *password)
    refused = do("sign", file, "--as", "bob", "--security-key", *password, *pin, code=6)
    assert error_of(refused) == "ssh.no-security-key"
    do("identity", "retire", "alice", "--yes", *password)
    refused = do("identity", "ssh-security-key", "add", "alice", *password, *pin, code=3)
    assert error_of(refused) == "identity.retired"


def test_a_security_key_without_a_pin_signs_only_if_that_is_said(
    do: Do, keys: Keys, alice: str, password: Options
) -> None:
    keys("blue", pin=None)
    refused = do("identity", "ssh-security-key", "add", "alice", *password, code=6)
    assert error_of(refused) == "key.pin-not-set"
    assert do("identity", "ssh-security-key", "add", "alice", "--no-pin", *password)["key"]["pin"] is False


def test_the_agent_changes_no_security_keys_and_a_locked_wallet_signs_nothing(
    do: Do, blue: dict[str, Any], wallet: Path, file: str, password: Options, pin: Options, walletcli: Walletcli
) -> None:
    """Any program of the user may ask the agent; a key that it could have named would outlive the device."""
    do("wallet", "unlock", *password)
    for arguments in (("add", "alice"), ("show", "alice", "--in-record"), ("remove", "alice", "blue")):
        refused = do("identity", "ssh-security-key", *arguments, code=2)
        assert error_of(refused) == "terminal.missing"
    assert do("identity", "ssh-security-key", "show", "alice")["key"]["named"] is False
    public = Path(file).with_name("key.pub")
    public.write_text(blue["public_key"] + "\n")
    script = (
        'ssh-keygen -Y sign -f "$1" -n file "$2" && rm "$2.sig" && "$3" -m walletcli --home "$4" wallet lock >&2;'
        'ssh-keygen -Y sign -f "$1" -n file "$2"; test ! -e "$2.sig"'
    )
    asking = ["sh", "-c", script, "x", str(public), file, sys.executable, str(wallet)]
    done = walletcli("identity", "ssh-agent", "alice", *pin, "--", *asking)
    assert done.returncode == 0, done.stderr
    assert "Touch Key blue now." in done.stderr
    assert "refused: the wallet has been locked" in done.stderr


def test_the_record_gives_nothing_of_the_device_away(
    do: Do, blue: dict[str, Any], tmp_path: Path, password: Options, node: NodeProcess
) -> None:
    from tests.hid.authenticator import AAGUID

    do("identity", "ssh-security-key", "show", "alice", "--in-record", *password)
    do("publish", "alice", "--relay", node.url, *password)
    path = tmp_path / "alice.record"
    do("record", "export", "alice", str(path), *password)
    data = path.read_bytes()
    assert base64.b64decode(blue["public_key"].split()[1])[34:66] in data
    for secret in (AAGUID, b"blue", b"walletcli:approver", b"ssh:"):
        assert secret not in data
