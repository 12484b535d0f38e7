"""In the guest: SSH keys on security keys over the kernel's own HID stack, with OpenSSH and git on the other side.

A login is tried outside (tests/cli/test_ssh_security_key.py): this user's account lets nobody in.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.hid.device import FORGERIES
from tests.hid.in_process import Owner
from tests.hid.plugboard import ask
from tests.peers import openssh
from tests.peers.openssh import run
from tests.wallet.parts import make_home, opened
from tests.wallet.ssh.agents import serving
from walletcli.core.secret import Secret
from walletcli.errors import SignerError, VerificationError
from walletcli.signers.devices import channel, security_key
from walletcli.wallet.access.session import Session
from walletcli.wallet.identities import create_identity
from walletcli.wallet.ssh.on_security_keys import add_security_key
from walletcli.wallet.ssh.signing import sign_file
from walletcli.wallet.ssh.verifying import by_list, check_signature

PIN = "4711"
LONG_S, SHORT_S = 120.0, 3.0
ED25519, ECDSA = "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"
ES256 = {"algorithms": [-7]}
WAYS = pytest.mark.parametrize("way", ["uhid", "gadget"])
LIES = {
    "wrong-channel": "key.timeout",
    "endless-keepalive": "key.timeout",
    "wrong-command": "key.bad-answer",
    "truncated-cbor": "key.bad-answer",
    "foreign-party": "key.bad-answer",
    "not-touched": "key.bad-answer",
    **dict.fromkeys(FORGERIES, "key.bad-answer"),
}
"""What a key says instead of a signature (another application, no touch, other flags or counter), and how that ends."""


class Knows(Owner):
    """Types the right PIN whenever it is asked for."""

    def pin(self, key: str, tries_left: int | None, *, again: bool) -> Secret:
        return Secret.from_text(PIN)


def wait_at_most(limit_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (channel, security_key):
        monkeypatch.setattr(module, "ANSWER_LIMIT_S", limit_s)
        monkeypatch.setattr(module, "TOUCH_LIMIT_S", limit_s)
    monkeypatch.setattr(channel, "BUSY_LIMIT_S", limit_s / 3)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No key is plugged in, and slow programs are waited for; sockets have short names."""
    ask("forget")
    wait_at_most(LONG_S, monkeypatch)
    monkeypatch.setattr(openssh, "TIMEOUT_S", 300)
    with tempfile.TemporaryDirectory(prefix="run-") as path:
        monkeypatch.setenv("XDG_RUNTIME_DIR", path)
        yield


@pytest.fixture
def ada(tmp_path: Path) -> Iterator[Session]:
    """A wallet with one identity, whose owner knows the PIN."""
    with opened(replace(make_home(tmp_path / "home"), keys=Knows())) as session:
        create_identity(session, "ada")
        yield session


@pytest.fixture
def message(tmp_path: Path) -> str:
    """A file to sign."""
    path = tmp_path / "message"
    path.write_bytes(b"something to sign\n")
    return str(path)


def plug(way: str, name: str = "a", **options: Any) -> None:
    ask("plug", name=name, way=way, pin=PIN, **options)


def listed(tmp_path: Path, line: str) -> str:
    path = tmp_path / "signers"
    path.write_text(f"ada@example {line}\n")
    return str(path)


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(SignerError) as told:
        act()
    assert told.value.hint
    return told.value.code


@WAYS
@pytest.mark.parametrize(("kind", "options"), [(ED25519, {}), (ECDSA, ES256)], ids=["ed25519", "ecdsa"])
def test_openssh_git_and_we_accept_what_the_key_signs(
    way: str, kind: str, options: dict[str, Any], ada: Session, message: str, tmp_path: Path
) -> None:
    plug(way, **options)
    page = add_security_key(ada, "ada", name="blue")
    public_key = page.credential.key.to_line()
    assert public_key.split()[0] == kind
    signers = listed(tmp_path, public_key)
    signed = sign_file(ada, "ada", message, "file", f"{message}.sig", touch=True)
    assert signed.to_json()["security_key"] == {"pin": True}
    check = ["ssh-keygen", "-Y", "verify", "-f", signers, "-I", "ada@example", "-n", "file", "-s", f"{message}.sig"]
    theirs = run(*check, stdin=Path(message).read_bytes())
    assert theirs.stdout.startswith('Good "file" signature for ada@example'), theirs.stderr
    assert by_list(check_signature(message, f"{message}.sig", "file"), signers, "ada@example").principals
    assert run(*check, stdin=b"something else\n").returncode != 0
    with serving(ada, "ada") as agent:
        assert public_key in run("ssh-add", "-L", agent=agent.path).stdout
        _commit(tmp_path, public_key, signers, agent.path)
        assert agent.refused == []
        assert agent.asked == ["a signature for 'git' asks for the security key 'blue'"]


def _commit(tmp_path: Path, public_key: str, signers: str, agent: str) -> None:
    """Make a commit that git itself finds well signed."""
    repository = tmp_path / "repository"
    repository.mkdir()
    settings = {
        "user.name": "Ada", "user.email": "ada@example", "gpg.format": "ssh", "user.signingKey": f"key::{public_key}",
        "gpg.ssh.allowedSignersFile": signers,
    }  # fmt: skip
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    alone = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    said = ""
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-S", "-m", "signed"], ["verify-commit", "HEAD"]):
        done = run("git", *options, *words, agent=agent, cwd=repository, more=alone)
        assert done.returncode == 0, done.stderr
        said = done.stdout + done.stderr
    assert 'Good "git" signature for ada@example' in said


@WAYS
@pytest.mark.parametrize("kind", ["ed25519-sk", "ecdsa-sk"])
def test_we_accept_what_openssh_signs_with_its_own_keys(way: str, kind: str, message: str, tmp_path: Path) -> None:
    ask("plug", name="a", way=way, algorithms=[-7] if kind == "ecdsa-sk" else [-8])
    private = tmp_path / "id"
    made = run("ssh-keygen", "-q", "-t", kind, "-N", "", "-O", "application=ssh:work", "-f", str(private))
    assert made.returncode == 0, made.stderr
    done = run("ssh-keygen", "-q", "-Y", "sign", "-f", str(private), "-n", "file", message)
    assert done.returncode == 0, done.stderr
    signers = listed(tmp_path, " ".join((tmp_path / "id.pub").read_text().split()[:2]))
    checked = check_signature(message, f"{message}.sig", "file")
    assert by_list(checked, signers, "ada@example").to_json()["security_key"] == {"pin": False}
    Path(message).write_bytes(b"something else\n")
    with pytest.raises(VerificationError):
        check_signature(message, f"{message}.sig", "file")


@WAYS
def test_nothing_is_signed_without_the_right_key_its_touch_and_its_pin(
    way: str, ada: Session, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sign() -> object:
        return sign_file(ada, "ada", message, "file", None, touch=True)

    plug(way)
    add_security_key(ada, "ada", name="blue")
    ask("unplug", name="a")
    plug("uhid", "friend")
    assert refused(sign) == "ssh.key-not-here"
    ask("unplug", name="friend")
    plug(way)
    ask("pull_when_touched", name="a")
    assert refused(sign) == "key.removed"
    plug(way)
    codes = {}
    for lie in LIES:
        ask("tell", name="a", lie=lie)
        wait_at_most(SHORT_S if LIES[lie] == "key.timeout" else LONG_S, monkeypatch)
        codes[lie] = refused(sign)
    assert codes == LIES
    ask("tell", name="a", lie=None)
    wait_at_most(LONG_S, monkeypatch)
    sign()
    ada.home = replace(ada.home, keys=Owner(*["0000"] * 9))
    codes_of_pins = []
    for _ in range(3):
        codes_of_pins.append(refused(sign))
        ask("unplug", name="a")
        plug(way)
    assert codes_of_pins == ["key.pin-paused", "key.pin-paused", "key.locked-out"]
