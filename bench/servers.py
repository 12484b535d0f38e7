"""The servers that are compared: a node, npm pkarr's relay, and the node's connection handling with a constant."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

from bench.processes import Server, python

HERE = Path(__file__).parent
ROOT = HERE.parent


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def init_node(directory: Path) -> None:
    """Make a node's directory."""
    subprocess.run(
        python("-m", "walletcli", "node", "init", str(directory)), cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )


def node(directory: Path, *options: str) -> tuple[Server, str]:
    """Start a node without limits; return it and its URL in clear."""
    command = python("-m", "walletcli", "--json", "node", "run", str(directory), "--no-limits", *options)
    server = Server([*command, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"], ROOT)
    addresses = json.loads(server.ready_line)["addresses"]
    return server, next(address for address in addresses if address.startswith("http://"))


def npm_relay() -> tuple[Server, str]:
    """Start npm pkarr's relay over a map in memory."""
    port = free_port()
    return Server(["node", "npm_relay.mjs", str(port)], HERE), f"http://127.0.0.1:{port}"


def npm_dht_relay(members: list[tuple[str, int]]) -> tuple[Server, str]:
    """Start npm pkarr's relay in a private DHT."""
    port = free_port()
    names = [f"{host}:{number}" for host, number in members]
    return Server(["node", "npm_dht_relay.mjs", str(port), *names], HERE), f"http://127.0.0.1:{port}"


def bare_provider(path: Path, checkpoint_pages: int) -> tuple[Server, str]:
    """Start the least that can be called a provider, with a table of SQLite in files beginning with `path`."""
    port = free_port()
    command = python(str(HERE / "bare_provider.py"), str(port), str(path), str(checkpoint_pages))
    return Server(command, ROOT), f"http://127.0.0.1:{port}"


def constant(length_bytes: int) -> tuple[Server, str]:
    """Start the node's connection handling with a constant body of so many bytes."""
    port = free_port()
    return Server(python(str(HERE / "constant.py"), str(port), str(length_bytes)), ROOT), f"http://127.0.0.1:{port}"


def store_path(directory: Path) -> Path:
    """Return the file of a node's store."""
    return directory / "store.db"
