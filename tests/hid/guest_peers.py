"""In the guest: programs that nobody here wrote accept the key that the tests are made with, on the same devices.

libfido2's tools and OpenSSH come from Debian. What they accept is what a real key does, so what follows in
`guest_stories` is tested against that and not against our own idea of it.
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.hid.plugboard import ask

PIN = "1234"
PARTY = "peers.example"


@pytest.fixture(params=["uhid", "gadget"])
def node(request: pytest.FixtureRequest) -> Iterator[str]:
    """A key that is plugged in; its hidraw device."""
    ask("forget")
    yield str(ask("plug", name="peer", way=request.param))
    ask("forget")


def run(*command: str, given: str = "") -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return str(done.stdout)


def on_terminal(*command: str, pins: int) -> str:
    child = pexpect.spawn(command[0], list(command[1:]), encoding="utf-8", timeout=300)
    for _ in range(pins):
        child.expect("PIN for [^:]*: ")
        child.sendline(PIN)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0, child.before
    return str(child.before)


def random_b64() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def test_this_user_owns_nothing() -> None:
    assert os.geteuid() != 0
    assert not os.access("/dev/uhid", os.W_OK)


@pytest.mark.parametrize(("algorithm", "with_pin"), [("es256", False), ("eddsa", True)])
def test_libfido2_makes_and_verifies_credentials_and_secrets(
    node: str, tmp_path: Path, algorithm: str, with_pin: bool
) -> None:
    assert node in run("fido2-token", "-L")
    if with_pin:
        child = pexpect.spawn("fido2-token", ["-S", node], encoding="utf-8", timeout=300)
        for prompt in ("PIN for [^:]*: ", "again: "):
            child.expect(prompt)
            child.sendline(PIN)
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0, child.before
    told = run("fido2-token", "-I", node)
    assert "hmac-secret" in told
    assert ("clientPin" in told) and (("noclientPin" not in told) == with_pin)
    pin = ["-v"] if with_pin else []
    asked, made, checked = (tmp_path / name for name in ("asked", "made", "checked"))
    asked.write_text(f"{random_b64()}\n{PARTY}\nuser\n{random_b64()}\n")
    on_terminal("fido2-cred", "-M", "-h", *pin, "-i", str(asked), "-o", str(made), node, algorithm, pins=with_pin)
    run("fido2-cred", "-V", "-h", *pin, "-i", str(made), "-o", str(checked), algorithm)
    credential, *public = checked.read_text().splitlines(keepends=True)
    (tmp_path / "public.pem").write_text("".join(public))
    secrets = []
    salt = random_b64()
    for number, wanted in enumerate((salt, salt, random_b64())):
        asked.write_text(f"{random_b64()}\n{PARTY}\n{credential}{wanted}\n")
        given = tmp_path / f"given-{number}"  # a new file: the tool does not cut off what an old one has more
        on_terminal("fido2-assert", "-G", "-h", *pin, "-i", str(asked), "-o", str(given), node, pins=with_pin)
        *assertion, secret = given.read_text().splitlines(keepends=True)
        secrets.append(secret)
        given.write_text("".join(assertion))
        public_key = str(tmp_path / "public.pem")
        run("fido2-assert", "-V", "-h", "-p", *pin, "-i", str(given), public_key, algorithm)
    assert secrets[0] == secrets[1]
    assert secrets[0] != secrets[2]
    assert len(base64.b64decode(secrets[0])) == 32


@pytest.mark.parametrize("kind", ["ed25519-sk", "ecdsa-sk"])
def test_openssh_signs_with_the_key(node: str, tmp_path: Path, kind: str) -> None:
    private, message = tmp_path / "id", tmp_path / "message"
    message.write_text("signed with a key\n")
    run("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(private))
    run("ssh-keygen", "-q", "-Y", "sign", "-f", str(private), "-n", "file", str(message))
    allowed = tmp_path / "allowed"
    allowed.write_text(f"me {' '.join((tmp_path / 'id.pub').read_text().split()[:2])}\n")
    checked = ["-f", str(allowed), "-I", "me", "-n", "file", "-s", f"{message}.sig"]
    assert "Good" in run("ssh-keygen", "-Y", "verify", *checked, given=message.read_text())
