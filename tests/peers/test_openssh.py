"""OpenSSH and git through our agent, against a real server, and each other's signatures."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.peers.openssh import SshServer, make_key, run, start_server
from tests.wallet.parts import make_home, opened
from tests.wallet.ssh.agents import RunningAgent, serving
from walletcli.core.ed25519 import SigningKey
from walletcli.core.encodings import b64_encode
from walletcli.core.secret import Secret
from walletcli.core.ssh.encoding import string
from walletcli.core.ssh.signable import FileHash
from walletcli.core.ssh.sshsig import SshSignature
from walletcli.errors import VerificationError
from walletcli.wallet.access.session import Session
from walletcli.wallet.identities import create_identity
from walletcli.wallet.ssh.key import ssh_key
from walletcli.wallet.ssh.signing import sign_file
from walletcli.wallet.ssh.verifying import by_list, check_signature

FIRST_AUTHENTICATED = re.compile(r"Authenticated to 127\.0\.0\.1 .* using \"publickey\"")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A private runtime directory for the agents' sockets."""
    path = tmp_path_factory.mktemp("run")
    path.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(path))
        yield path


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, runtime: Path) -> Iterator[Session]:
    """An open wallet with two identities."""
    with opened(make_home(tmp_path_factory.mktemp("wallet") / "home")) as found:
        create_identity(found, "ada")
        create_identity(found, "bob")
        yield found


@pytest.fixture(scope="module")
def ada(session: Session) -> Iterator[RunningAgent]:
    """Ada's agent."""
    with serving(session, "ada") as agent:
        yield agent


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """An sshd on loopback; each test says whom it lets in."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    found = start_server(tmp_path_factory.mktemp("sshd"), port)
    yield found
    found.stop()


@pytest.fixture
def signers(tmp_path: Path, session: Session) -> Path:
    """A list of allowed signers with Ada in it."""
    path = tmp_path / "allowed_signers"
    path.write_text(ssh_key(session, "ada").signer_line("ada@example") + "\n")
    return path


@pytest.fixture
def message(tmp_path: Path) -> Path:
    """A file to sign."""
    path = tmp_path / "message"
    path.write_bytes(b"something to sign\n" * 1000)
    return path


def test_the_agent_lists_its_one_key(ada: RunningAgent) -> None:
    assert run("ssh-add", "-L", agent=ada.path).stdout.split() == ada.page.line().split()
    listed = run("ssh-add", "-l", agent=ada.path).stdout
    assert listed.startswith(f"256 {ada.page.to_json()['fingerprint']} ")


def test_two_identities_agents_offer_one_key_each(ada: RunningAgent, session: Session) -> None:
    with serving(session, "bob") as bob:
        assert bob.path != ada.path
        assert bob.page.public_key != ada.page.public_key
        assert run("ssh-add", "-L", agent=bob.path).stdout.split() == bob.page.line().split()


@pytest.mark.parametrize(
    "kind",
    ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-256", "rsa-sha2-512", "ssh-ed25519-cert-v01@openssh.com"],
)
def test_ssh_logs_in_whatever_key_the_server_has(ada: RunningAgent, server: SshServer, kind: str) -> None:
    server.authorize(ada.page.line())
    done = server.login("echo", "in", agent=ada.path, kind=kind)
    assert (done.returncode, done.stdout) == (0, "in\n"), done.stderr
    assert FIRST_AUTHENTICATED.search(done.stderr)
    assert done.stderr.count("Offering public key") == 1


def test_ssh_logs_in_where_the_host_is_not_named(ada: RunningAgent, server: SshServer) -> None:
    server.authorize(ada.page.line())
    done = server.login("true", agent=ada.path, options=["PubkeyAuthentication=unbound"])
    assert done.returncode == 0, done.stderr


def test_an_identity_does_not_get_in_with_anothers_agent(
    ada: RunningAgent, session: Session, server: SshServer
) -> None:
    server.authorize(ada.page.line())
    with serving(session, "bob") as bob:
        assert server.login("true", agent=bob.path).returncode == 255


def test_a_forwarded_agent_does_nothing(ada: RunningAgent, server: SshServer) -> None:
    server.authorize(ada.page.line())
    plain = server.login("ssh-add", "-L", agent=ada.path)
    assert "AAAA" not in plain.stdout
    before = len(ada.refused)
    done = server.login("ssh-add", "-L;", "echo", "still", "in", agent=ada.path, options=["-A"])
    assert done.returncode == 0, done.stderr
    assert done.stdout == "still in\n"
    assert ada.refused[before:]
    assert set(ada.refused[before:]) == {"ssh-agent.forwarded"}


def test_ssh_add_cannot_add_remove_or_constrain(ada: RunningAgent, tmp_path: Path) -> None:
    key = make_key(tmp_path / "key")
    assert run("ssh-add", str(key), agent=ada.path).returncode != 0
    run("ssh-add", "-D", agent=ada.path)
    assert run("ssh-add", "-L", agent=ada.path).stdout.split() == ada.page.line().split()


def test_ssh_keygen_signs_through_the_agent_and_we_verify(
    ada: RunningAgent, message: Path, signers: Path, tmp_path: Path
) -> None:
    public = tmp_path / "key.pub"
    public.write_text(ada.page.line() + "\n")
    done = run("ssh-keygen", "-Y", "sign", "-f", str(public), "-n", "file", str(message), agent=ada.path)
    assert done.returncode == 0, done.stderr
    checked = check_signature(str(message), f"{message}.sig", "file")
    assert by_list(checked, str(signers), "ada@example").principals == "ada@example"


def test_ssh_keygen_accepts_what_we_sign(session: Session, message: Path, signers: Path) -> None:
    signature = f"{message}.sig"
    sign_file(session, "ada", str(message), "file", signature)
    data = message.read_bytes()
    listed = ["-f", str(signers), "-s", signature]
    good = run("ssh-keygen", "-Y", "verify", "-I", "ada@example", "-n", "file", *listed, stdin=data)
    assert good.stdout.startswith('Good "file" signature for ada@example'), good.stderr
    found = run("ssh-keygen", "-Y", "find-principals", *listed, stdin=data)
    assert found.stdout == "ada@example\n"
    assert run("ssh-keygen", "-Y", "check-novalidate", "-n", "file", "-s", signature, stdin=data).returncode == 0
    for arguments, given in (
        (["-I", "ada@example", "-n", "git"], data),
        (["-I", "bob@example", "-n", "file"], data),
        (["-I", "ada@example", "-n", "file"], data + b"\n"),
    ):
        assert run("ssh-keygen", "-Y", "verify", *arguments, *listed, stdin=given).returncode != 0


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_we_verify_what_other_peoples_keys_sign(tmp_path: Path, message: Path, kind: str, algorithm: str) -> None:
    key = make_key(tmp_path / "key", kind)
    options = ["-O", f"hashalg={algorithm}", "-f", str(key), "-n", "release@walletcli.example"]
    assert run("ssh-keygen", "-Y", "sign", *options, str(message)).returncode == 0
    listed = tmp_path / "list"
    listed.write_text(f"carol {key.with_suffix('.pub').read_text()}")
    checked = check_signature(str(message), f"{message}.sig", "release@walletcli.example")
    assert by_list(checked, str(listed), "carol").to_json()["principals"] == "carol"
    message.write_bytes(message.read_bytes()[:-1])
    with pytest.raises(VerificationError) as refused:
        check_signature(str(message), f"{message}.sig", "release@walletcli.example")
    assert refused.value.code == "signature.invalid"


def _git(repository: Path, *arguments: str, agent: str | None = None) -> str:
    names = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    done = run("git", "-C", str(repository), *arguments, agent=agent, cwd=repository, more=names)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def repository(tmp_path: Path, ada: RunningAgent, signers: Path) -> Path:
    """A repository whose commits Ada signs."""
    path = tmp_path / "repository"
    path.mkdir()
    _git(path, "init", "-q")
    for name, value in {
        "user.name": "Ada",
        "user.email": "ada@example",
        "gpg.format": "ssh",
        "user.signingKey": f"key::{ada.page.line()}",
        "gpg.ssh.allowedSignersFile": str(signers),
    }.items():
        _git(path, "config", name, value)
    return path


def test_git_signs_through_the_agent_and_verifies(repository: Path, ada: RunningAgent) -> None:
    _git(repository, "commit", "-q", "--allow-empty", "-S", "-m", "signed", agent=ada.path)
    assert 'Good "git" signature for ada@example' in _git(repository, "verify-commit", "HEAD")
    _git(repository, "tag", "-s", "v1", "-m", "signed", agent=ada.path)
    assert 'Good "git" signature for ada@example' in _git(repository, "verify-tag", "v1")


def test_git_does_not_sign_with_another_identitys_agent(repository: Path, session: Session, ada: RunningAgent) -> None:
    with serving(session, "bob") as bob:
        names = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        command = ["git", "-C", str(repository), "commit", "-q", "--allow-empty", "-S", "-m", "signed"]
        assert run(*command, agent=bob.path, cwd=repository, more=names).returncode != 0


def test_lock_and_unlock_work_from_ssh_add(session: Session, on_askpass: Callable[[str], dict[str, str]]) -> None:
    with serving(session, "ada") as agent:
        assert run("ssh-add", "-x", agent=agent.path, more=on_askpass("secret")).returncode == 0
        assert "AAAA" not in run("ssh-add", "-L", agent=agent.path).stdout
        assert run("ssh-add", "-X", agent=agent.path, more=on_askpass("wrong")).returncode != 0
        assert "AAAA" not in run("ssh-add", "-L", agent=agent.path).stdout
        assert run("ssh-add", "-X", agent=agent.path, more=on_askpass("secret")).returncode == 0
        assert run("ssh-add", "-L", agent=agent.path).stdout.split() == agent.page.line().split()


@pytest.fixture
def on_askpass(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Return a function that makes ssh-add read a passphrase from a program."""

    def answer(passphrase: str) -> dict[str, str]:
        path = tmp_path / f"askpass-{passphrase}"
        path.write_text(f"#!/bin/sh\necho {passphrase}\n")
        path.chmod(0o700)
        return {"SSH_ASKPASS": str(path), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":none"}

    return answer


@pytest.mark.parametrize("flags", [b"\x01", b"\x05", b"\x00"])
def test_what_a_security_key_signs_verifies_here_and_there(tmp_path: Path, message: Path, flags: bytes) -> None:
    """As OpenSSH's PROTOCOL.u2f says: over the application's hash, flags, counter and the message's hash."""
    kind, application, counter = b"sk-ssh-ed25519@openssh.com", b"ssh:", (7).to_bytes(4, "big")
    made = SigningKey(Secret(bytes(range(32))))
    blob = string(kind) + string(made.public_key) + string(application)
    asked = FileHash("file", "sha512", hashlib.sha512(message.read_bytes()).digest()).to_bytes()
    value = made.sign(hashlib.sha256(application).digest() + flags + counter + hashlib.sha256(asked).digest())
    signature = SshSignature(blob, "file", "sha512", string(kind) + string(value) + flags + counter)
    path, listed = tmp_path / "sk.sig", tmp_path / "list"
    path.write_text(signature.to_text())
    listed.write_text(f"carol {kind.decode()} {b64_encode(blob)}\n")
    there = run(
        "ssh-keygen", "-Y", "verify", "-f", str(listed), "-I", "carol", "-n", "file", "-s", str(path),
        stdin=message.read_bytes(),
    )  # fmt: skip
    assert there.returncode == 0, there.stderr
    if flags == b"\x00":  # nobody touched the key: ssh-keygen takes that, we do not
        with pytest.raises(VerificationError):
            check_signature(str(message), str(path), "file")
        return
    assert by_list(check_signature(str(message), str(path), "file"), str(listed), "carol").principals == "carol"
    for end in range(1, 5 + 64):
        data = bytearray(signature.signature_blob)
        data[-end] ^= 0x10
        path.write_text(replace(signature, signature_blob=bytes(data)).to_text())
        with pytest.raises(VerificationError):
            check_signature(str(message), str(path), "file")
