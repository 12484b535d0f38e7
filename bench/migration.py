"""A migration of 100 MB of sealed data, against a plain copy of the same blobs between two nodes, and its memory."""

from __future__ import annotations

import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench.measure import Row, at_least
from bench.processes import Server, pin, python
from tests.wallet.parts import make_home, opened
from walletcli.client.host_session import HostSession
from walletcli.core.encodings import b64url_encode
from walletcli.core.identity_id import IdentityId
from walletcli.core.login import Purpose
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity
from walletcli.wallet.providers.bind import BindWish, bind_provider
from walletcli.wallet.providers.book import read_book
from walletcli.wallet.providers.migrate import MigrateWish, migrate
from walletcli.wallet.providers.places import access_to
from walletcli.wallet.sealed.data import put_file
from walletcli.wallet.sealed.memory import read_memory
from walletcli.wallet.state.lookup import find

SIZE_BYTES = 100_000_000
ROUNDS = 3
MEMORY_GOAL_KIB = 32 * 1024
NAMES = ("one", "other", "plain")


def migration() -> list[Row]:
    """Move an identity back and forth, and copy its blobs plainly in between."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory, ExitStack() as stack:
        root = Path(directory)
        nodes = {name: stack.enter_context(node_for(root / name)) for name in NAMES}
        urls = {name: url_of(node) for name, node in nodes.items()}
        _worker("prepare", root, urls)
        plain, moved, growth = [], [], []
        for number in range(ROUNDS):
            source, target = ("one", "other") if number % 2 == 0 else ("other", "one")
            plain.append(_worker("copy", root, urls, source)["seconds"])
            before = {name: _fresh_peak(nodes[name]) for name in (source, target)}
            took = _worker("move", root, urls, target)
            moved.append(took["seconds"])
            nodes_kib = [nodes[name].memory().peak - kib for name, kib in before.items()]
            growth.append([int(took["growth_kib"]), *nodes_kib])
            _worker("forget", root, urls, source)
    ratio = statistics.median(plain) / statistics.median(moved)
    worst = [max(column) for column in zip(*growth, strict=True)]
    rate = SIZE_BYTES / 1e6 / statistics.median(moved)
    said = ", ".join(f"{who} {kib / 1024:.0f} MB" for who, kib in zip(("wallet", "old", "new"), worst, strict=True))
    return [
        at_least(
            "migration of an identity with 100 MB of sealed data, read back, against a plain GET and PUT of its blobs",
            ratio,
            0.6,
            f"{statistics.median(moved):.1f} s ({rate:.0f} MB/s) against {statistics.median(plain):.1f} s; "
            f"{ROUNDS} rounds, in turn",
        ),
        Row(
            "migration of 100 MB: memory growth of wallet and nodes",
            "under 32 MB each",
            f"{max(worst) / 1024:.0f} MB",
            max(worst) < MEMORY_GOAL_KIB,
            said,
        ),
    ]


def node_for(directory: Path) -> Server:
    """Start a node that hosts anybody, in a new directory."""
    subprocess.run(python("-m", "walletcli", "node", "init", str(directory)), check=True, capture_output=True)
    options = ["--no-limits", "--hosting", "open", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    return Server(python("-m", "walletcli", "--json", "node", "run", str(directory), *options), directory)


def url_of(node: Server) -> str:
    """Return where a node serves in clear."""
    addresses: list[str] = json.loads(node.ready_line)["addresses"]
    return next(text for text in addresses if text.startswith("http://"))


def _fresh_peak(node: Server) -> int:
    """Have the kernel measure a process's peak from here on; return what it has now, in KiB."""
    Path(f"/proc/{node.pid}/clear_refs").write_text("5")
    return node.memory().resident


def _worker(action: str, root: Path, urls: dict[str, str], *arguments: str) -> dict[str, float]:
    """Run one step in a process of its own."""
    command = python("-m", "bench.migration", action, str(root), json.dumps(urls), *arguments)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{action} failed: {done.stdout[-500:]} {done.stderr[-3000:]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


# in the worker


def prepare(root: Path, urls: dict[str, str]) -> dict[str, float]:
    """Make a wallet, bind it, and store 100 MB."""
    home = make_home(root / "home")
    source = root / "source"
    source.write_bytes((bytes(range(256)) * (SIZE_BYTES // 256 + 1))[:SIZE_BYTES])
    with opened(home) as session:
        create_identity(session, "alice")
        bind_provider(session, "alice", BindWish(urls["one"], kit=urls["plain"]))
        put_file(session, "alice", str(source), name="film")
    return {}


def forget(session: Session, url: str) -> None:
    """Have a node delete what it keeps."""
    identity = find(session.snapshot().wallet, "alice")
    access = access_to(session, identity, TcpDialer())
    with access.client(NodeAddress.from_text(url)) as client:
        client.login(access.sign)
        client.forget()


def copy(session: Session, source: str, target: str) -> float:
    """Copy every blob with a GET and a PUT, one after the other, with Python's own HTTP; return the seconds."""
    seen = read_memory(session, 0).seen
    assert seen is not None
    path = f"/host/{IdentityId(find(session.snapshot().wallet, 'alice').public_key).z32}/blob/"
    names = [bytes(16), *seen.index.pins]
    taken, given = _connection(session, source), _connection(session, target)
    started = time.monotonic()
    for name in names:
        body = _ask(*taken, "GET", path + name.hex())
        _ask(*given, "PUT", path + name.hex(), body)
    return time.monotonic() - started


def _connection(session: Session, url: str) -> tuple[http.client.HTTPConnection, str]:
    """Log in, and return a connection with its token."""
    identity = find(session.snapshot().wallet, "alice")
    address = NodeAddress.from_text(url)
    access = access_to(session, identity, TcpDialer())
    with access.client(address) as client:
        provider = client.offer().provider
    host = HostSession(address, TcpDialer(), IdentityId(identity.public_key), 15.0, None)
    host.login(access.sign, provider, Purpose.DEVICE)
    assert host._token is not None
    token = b64url_encode(host._token.value)
    host.close()
    return http.client.HTTPConnection(address.host, address.port), f"Bearer {token}"


def _ask(
    connection: http.client.HTTPConnection, token: str, method: str, path: str, body: bytes | None = None
) -> bytes:
    headers = {"Authorization": token, **({"If-Match": '"0"'} if body is not None else {})}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    data = answer.read()
    if answer.status not in (200, 204):
        raise RuntimeError(f"{method} {path}: {answer.status} {data[:200]!r}")
    return data


def move(session: Session, target: str) -> dict[str, float]:
    """Migrate; return the seconds, and how much memory grew in KiB."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident_kib("VmRSS")
    started = time.monotonic()
    done = migrate(session, "alice", MigrateWish(target))
    seconds = time.monotonic() - started
    if not done.report.is_complete or done.report.copied_bytes < SIZE_BYTES:
        raise RuntimeError(f"not everything was moved: {done.to_json()}")
    return {"seconds": seconds, "growth_kib": _resident_kib("VmHWM") - before}


def _resident_kib(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def main(action: str, root: str, urls_json: str, *arguments: str) -> None:
    """Do one step and print what it took."""
    pin(1)
    urls: dict[str, str] = json.loads(urls_json)
    if action == "prepare":
        print(json.dumps(prepare(Path(root), urls)))
        return
    with opened(Home(str(Path(root) / "home"))) as session:
        if action == "copy":
            forget(session, urls["plain"])  # it is the exit kit: what was copied is there when the kit is refreshed
            seconds = copy(session, urls[arguments[0]], urls["plain"])
            print(json.dumps({"seconds": seconds}))
        elif action == "move":
            assert read_book(session, 0).journal is None
            print(json.dumps(move(session, urls[arguments[0]])))
        else:
            forget(session, urls[arguments[0]])
            print("{}")


if __name__ == "__main__":
    main(*sys.argv[1:])
