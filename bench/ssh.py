"""How fast the SSH agent answers, against OpenSSH's own; how fast a file is signed, against sha512sum."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.measure import Row, at_most, in_turn
from walletcli.core.encodings import b64_decode
from walletcli.core.ssh.agent_messages import SignData, encode
from walletcli.core.ssh.encoding import string
from walletcli.core.ssh.signable import FileHash

COMMAND = str(Path(sys.executable).with_name("walletcli"))
PASSWORD = b"a password for measuring\n"
REQUESTS = 300
"""Signatures that are asked for in one round, one after the other on one connection."""

ROUNDS = 7
FILE_BYTES = 256 << 20
"""Size of the file that is signed."""


def ssh() -> list[Row]:
    """Signatures by our agent, with the key in its process and in the wallet's; a signature of a large file."""
    with tempfile.TemporaryDirectory(prefix="ssh-") as scratch:
        environment = {**os.environ, "XDG_RUNTIME_DIR": scratch, "HOME": scratch}
        here = [COMMAND, "--home", str(Path(scratch) / "home")]

        def run(*arguments: str, given: bytes | None = None) -> bytes:
            return subprocess.run(
                [*here, *arguments], input=given, env=environment, check=True, stdout=subprocess.PIPE
            ).stdout

        fast = ("--kdf-memory-mib", "8", "--kdf-passes", "1", "--password-file", "-")
        run("wallet", "create", "--words-out", f"{scratch}/words", *fast, given=PASSWORD)
        run("identity", "create", "ada", "--password-file", "-", given=PASSWORD)
        ours = _blob(run("identity", "ssh-key", "ada", "--password-file", "-", given=PASSWORD).decode())
        theirs, key_path = _openssh_key(scratch, environment)
        agent = [*here, "identity", "ssh-agent", "ada"]
        with _openssh_agent(scratch, key_path, environment) as other:
            floor = _asking(other, theirs)
            with _serving([*agent, "--password-file", "-"], environment, PASSWORD) as path:
                alone_s, floor_s = in_turn(_asking(path, ours), floor, ROUNDS, time.perf_counter)
            run("wallet", "unlock", "--password-file", "-", given=PASSWORD)
            with _serving(agent, environment, b"") as path:
                passed_s, again_s = in_turn(_asking(path, ours), floor, ROUNDS, time.perf_counter)
        file_s, sum_s = _large_file(scratch, environment, here)
        run("wallet", "lock")
    return [
        _row("a signature by the agent, the key in its process, against ssh-agent", alone_s, floor_s, 1.0),
        _row("a signature by the agent, the key in the wallet's agent, against ssh-agent", passed_s, again_s, 3.0),
        at_most(
            f"`walletcli sign` of {FILE_BYTES >> 20} MiB against `sha512sum`",
            file_s / sum_s,
            1.5,
            f"{file_s:.2f} s against {sum_s:.2f} s; with starting the command and asking the agent",
        ),
    ]


def _row(what: str, ours_s: float, floor_s: float, most: float) -> Row:
    detail = f"{ours_s / REQUESTS * 1e6:.0f} µs against {floor_s / REQUESTS * 1e6:.0f} µs"
    return at_most(what, ours_s / floor_s, most, detail)


def _blob(line: str) -> bytes:
    return b64_decode(line.split()[1])


def _openssh_key(scratch: str, environment: dict[str, str]) -> tuple[bytes, str]:
    path = f"{scratch}/key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, env=environment)
    return _blob(Path(f"{path}.pub").read_text()), path


@contextlib.contextmanager
def _openssh_agent(scratch: str, key_path: str, environment: dict[str, str]) -> Iterator[str]:
    path = f"{scratch}/other.sock"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        adding = {**environment, "SSH_AUTH_SOCK": path}
        subprocess.run(["ssh-add", "-q", key_path], check=True, env=adding, stderr=subprocess.DEVNULL)
        yield path
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def _serving(command: list[str], environment: dict[str, str], given: bytes) -> Iterator[str]:
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(given)
    process.stdin.close()
    try:
        yield process.stdout.readline().decode().split("=", 1)[1].split(";")[0]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _asking(path: str, blob: bytes) -> Callable[[], object]:
    """Return what asks for `REQUESTS` signatures, each of another file's hash."""

    def ask() -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            for number in range(REQUESTS):
                digest = hashlib.sha512(number.to_bytes(4, "big")).digest()
                data = FileHash("file", "sha512", digest).to_bytes()
                connection.sendall(string(encode(SignData(blob, data, 0))))
                header = connection.recv(4, socket.MSG_WAITALL)
                answer = connection.recv(int.from_bytes(header, "big"), socket.MSG_WAITALL)
                assert answer[0] == 14, answer

    return ask


def _large_file(scratch: str, environment: dict[str, str], here: list[str]) -> tuple[float, float]:
    path = f"{scratch}/file"
    Path(path).write_bytes(os.urandom(1 << 20) * (FILE_BYTES >> 20))

    def sign() -> None:
        command = [*here, "--json", "sign", path, "--as", "ada", "--out", "-"]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)

    def checksum() -> None:
        subprocess.run(["sha512sum", path], check=True, stdout=subprocess.DEVNULL)

    return in_turn(sign, checksum, 3, time.perf_counter)
