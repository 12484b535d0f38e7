"""OpenSSH's own programs: a server on loopback, and whatever talks to an agent."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import clean_environment

TIMEOUT_S = 60
KEY_TYPES = ("ed25519", "ecdsa", "rsa")
"""Kinds of keys that the server has."""


def program(name: str) -> str:
    """Return the path of a program of OpenSSH or git; scripts/setup-system.sh installs them."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert found, f"install {name}"
    return found


def run(
    *command: str, agent: str | None = None, cwd: Path | None = None, stdin: bytes = b"",
    more: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """Run a program, with an agent or without; its output is text."""
    environment = clean_environment(HOME=str(cwd or "/"), **(more or {}))
    if agent is not None:
        environment["SSH_AUTH_SOCK"] = agent
    done = subprocess.run(
        [program(command[0]), *command[1:]],
        input=stdin, capture_output=True, cwd=cwd, env=environment, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def make_key(path: Path, kind: str = "ed25519") -> Path:
    """Make a key pair without a passphrase; return the path of its private half."""
    size = ["-b", "2048"] if kind == "rsa" else []
    done = run("ssh-keygen", "-q", "-t", kind, *size, "-N", "", "-C", "", "-f", str(path))
    assert done.returncode == 0, done.stderr
    return path


@dataclass(frozen=True, slots=True)
class SshServer:
    """A running sshd that lets one user in, by keys alone.

    Args:
        directory: for its keys.
        port: on 127.0.0.1.
        process: that listens.
    """

    directory: Path
    port: int
    process: subprocess.Popen[bytes]

    def authorize(self, *lines: str) -> None:
        """Let these keys in, and no others."""
        (self.directory / "authorized_keys").write_text("".join(f"{line}\n" for line in lines))

    def login(
        self, *remote: str, agent: str, kind: str = "ssh-ed25519", options: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Log in with what the agent has, and run a command there."""
        settings = [
            "BatchMode=yes", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={self.directory / 'known_hosts'}",
            "GlobalKnownHostsFile=none", "IdentityFile=none", "PreferredAuthentications=publickey",
            f"HostKeyAlgorithms={kind}", *options,
        ]  # fmt: skip
        flags = [flag for setting in settings for flag in (("-o", setting) if "=" in setting else (setting,))]
        target = ["-F", "none", "-p", str(self.port), f"{getpass.getuser()}@127.0.0.1"]
        return run("ssh", "-v", *flags, *target, *remote, agent=agent, cwd=self.directory)

    def listens(self) -> bool:
        """Tell whether it takes connections."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(TIMEOUT_S)

    def log(self) -> str:
        """Return what the server has said so far."""
        path = self.directory / "log"
        return path.read_text() if path.exists() else ""


def start_server(directory: Path, port: int) -> SshServer:
    """Start a server with a key of each kind and a certificate, and wait until it listens."""
    known = []
    config = [
        f"Port {port}", "ListenAddress 127.0.0.1", "PidFile none", "StrictModes no", "UsePAM no",
        "PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password",
        f"AuthorizedKeysFile {directory / 'authorized_keys'}", "LogLevel VERBOSE",
    ]  # fmt: skip
    authority = make_key(directory / "authority")
    for kind in KEY_TYPES:
        path = make_key(directory / f"host_{kind}", kind)
        known.append(f"[127.0.0.1]:{port} {path.with_suffix('.pub').read_text()}")
        config.append(f"HostKey {path}")
    signed = run(
        "ssh-keygen", "-q", "-s", str(authority), "-I", "host", "-h", "-n", "127.0.0.1",
        str(directory / "host_ed25519.pub"),
    )  # fmt: skip
    assert signed.returncode == 0, signed.stderr
    config.append(f"HostCertificate {directory / 'host_ed25519-cert.pub'}")
    known.append(f"@cert-authority [127.0.0.1]:{port} {authority.with_suffix('.pub').read_text()}")
    (directory / "known_hosts").write_text("".join(known))
    (directory / "sshd_config").write_text("\n".join([*config, ""]))
    (directory / "authorized_keys").write_text("")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where the server shuts its children up
    command = [program("sshd"), "-D", "-E", str(directory / "log"), "-f", str(directory / "sshd_config")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=clean_environment())
    server = SshServer(directory, port, process)
    deadline_s = time.monotonic() + TIMEOUT_S
    while not server.listens():
        assert process.poll() is None, server.log()
        assert time.monotonic() < deadline_s, server.log()
        time.sleep(0.02)
    return server
