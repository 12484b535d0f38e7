"""The load: wrk, one thread, on a processor core of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.processes import pin

HERE = Path(__file__).parent
CONNECTIONS = 128
LOAD_CORE = 1
LONGEST_S = 600


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw.

    Args:
        answered: how many answers came.
        seconds: in which time.
    """

    answered: int
    seconds: float

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answered / self.seconds


def _wrk(script: str, url: str, seconds: int, connections: int = CONNECTIONS, **env: str) -> subprocess.Popen[str]:
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", str(seconds), "--timeout", "30"]
    return subprocess.Popen(
        [*command, "-s", str(HERE / script), url],
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: pin(LOAD_CORE),
    )


def _result(process: subprocess.Popen[str], what: str) -> Load:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            seen = json.loads(line)
            if seen["refused"]:
                raise RuntimeError(f"{seen['refused']} of {seen['answered']} requests failed: {what}")
            return Load(seen["answered"], seen["seconds"])
    raise RuntimeError(f"wrk ended without a result: {what}")


def request(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    """Return a request as it goes over the wire."""
    length = [f"Content-Length: {len(body)}"] if body else []
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", *headers, *length]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def write_requests(path: Path, requests: Iterable[bytes]) -> None:
    """Write requests for the load."""
    with path.open("wb") as file:
        for one in requests:
            file.write(len(one).to_bytes(4, "big") + one)


def put_all(url: str, packets: Path) -> Load:
    """PUT every packet of a file once; a line has its key (z-base-32), a space, and its payload in hexadecimal."""
    lines = (line.split() for line in packets.read_text().splitlines())
    return _send_made(url, packets, (request("PUT", f"/{key}", bytes.fromhex(payload)) for key, payload in lines))


def get_once(url: str, keys: Path) -> Load:
    """GET every key of a file once."""
    return _send_made(url, keys, (request("GET", f"/{key}") for key in keys.read_text().splitlines()))


def _send_made(url: str, source: Path, requests: Iterable[bytes]) -> Load:
    file = source.with_suffix(".requests")
    write_requests(file, requests)
    return send_all(url, file)


def send_all(url: str, requests: Path, connections: int = CONNECTIONS) -> Load:
    """Send every request of a file once, over so many connections, each the next one when its last is answered."""
    with _wrk("send.lua", url, LONGEST_S, connections, REQUESTS=str(requests)) as process:
        try:
            return _result(process, f"requests to {url}")
        finally:
            process.kill()


def get_all(url: str, keys: Path, seconds: int) -> Load:
    """GET the keys of a file, over and over, for a time."""
    with _wrk("get.lua", url, seconds, KEYS=str(keys)) as process:
        return _result(process, f"GET {url}")
