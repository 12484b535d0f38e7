"""A provider's whole disk and traffic, searched for what is not its business: names, contacts, labels, sealed data."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FAST_KDF, NodeProcess
from tests.privacy.readable_forms import forms_of_key, forms_of_text
from walletcli.core.identity_id import IdentityId

LABEL = "my-secret-alter-ego"
PHONE = "+36 1 555 0100 ext 42"
CONTACT = "Borís Contactov"
NOTE = "met him at the fountain"
FILE_NAME = "list of sources.txt"
CONTENT = "the minister's driver talks to us. " * 40
BOBS_LABEL = "boris-in-private"
ATTRIBUTE = "signal.number"
PASSWORD = "correct horse battery"

Walletcli = Callable[..., Any]


class Recorder:
    """Stands before a node's listener in clear and keeps every byte of both directions.

    Args:
        port: the node's.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._streams: list[bytearray] = []
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def traffic(self) -> list[bytes]:
        """What was sent, a stream for each direction of each connection."""
        return [bytes(stream) for stream in self._streams]

    def close(self) -> None:
        """Stop listening, and close what is left open."""
        self._listener.close()
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            node = socket.create_connection(("127.0.0.1", self._port))
            self._ends += [client, node]
            for source, target in ((client, node), (node, client)):
                stream = bytearray()
                self._streams.append(stream)
                self._threads.append(threading.Thread(target=_copy, args=(source, target, stream), daemon=True))
                self._threads[-1].start()


def _copy(source: socket.socket, target: socket.socket, stream: bytearray) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            stream += data
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def recorders(node_factory: Callable[..., NodeProcess], tmp_path: Path) -> Iterator[Callable[[str], Recorder]]:
    """Start a node that hosts anybody, behind a recorder."""
    started: list[Recorder] = []

    def start(name: str) -> Recorder:
        running = node_factory(name, "--no-limits", "--hosting", "open")
        recorder = Recorder(int(running.url.rpartition(":")[2]))
        started.append(recorder)
        return recorder

    yield start
    for recorder in started:
        recorder.close()


@pytest.fixture
def walletcli(cli: Callable[..., Any], tmp_path: Path) -> Walletcli:
    """Run a command in a home, as JSON; it has to succeed."""
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text(PASSWORD)

    def run(home: str, *args: str) -> Any:
        more = () if args[0] == "relay" else ("--password-file", str(password))
        done = cli("--json", *args, *more, home=tmp_path / home)
        assert done.code == 0, (args, done.stdout, done.stderr)
        return done.json

    return run


def test_a_provider_sees_and_keeps_nothing_that_is_not_its_business(
    tmp_path: Path, recorders: Callable[[str], Recorder], node: NodeProcess, walletcli: Walletcli
) -> None:
    old, new = recorders("old"), recorders("new")
    kit = tmp_path / "kit"
    (tmp_path / FILE_NAME).write_text(CONTENT)
    for home, label in (("alice", LABEL), ("bob", BOBS_LABEL)):
        walletcli(home, "wallet", "create", "--words-out", str(tmp_path / f"{home}.words"), *FAST_KDF)
        walletcli(home, "relay", "add", node.url)
        walletcli(home, "identity", "create", label)
    bob = walletcli("bob", "publish", BOBS_LABEL)["did"]
    walletcli("bob", "contact", "card", "--name", CONTACT, "--out", str(tmp_path / "bob.card"))

    walletcli("alice", "identity", "set", LABEL, ATTRIBUTE, PHONE, "--sealed")
    walletcli("alice", "provider", "bind", LABEL, old.url, "--kit", str(kit))
    walletcli("alice", "contact", "add", str(tmp_path / "bob.card"))
    walletcli("alice", "contact", "set", CONTACT, "note", NOTE)
    walletcli("alice", "contact", "verify", CONTACT, "--yes")
    walletcli("alice", "contact", "relate", CONTACT, "--out", str(tmp_path / "offer"))
    walletcli("alice", "contact", "share", CONTACT, ATTRIBUTE)
    walletcli("alice", "publish", LABEL)
    walletcli("alice", "data", "put", LABEL, str(tmp_path / FILE_NAME))
    walletcli("alice", "sync", LABEL)
    walletcli("alice", "contact", "refresh")
    walletcli("alice", "provider", "status", LABEL)
    walletcli("alice", "provider", "migrate", LABEL, new.url)
    walletcli("alice", "sync", LABEL)
    walletcli("alice", "data", "get", LABEL, FILE_NAME, "--out", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == CONTENT

    disks = [path for place in ("old", "new", "kit") for path in (tmp_path / place).rglob("*") if path.is_file()]
    logs = [tmp_path / "old.log", tmp_path / "new.log"]
    seen = {str(path): path.read_bytes() for path in (*disks, *logs)}
    seen |= {f"{name}, stream {number}": stream for name, recorder in (("old", old), ("new", new))
             for number, stream in enumerate(recorder.traffic)}  # fmt: skip
    assert sum(len(data) for data in seen.values()) > 10 * len(CONTENT), "nothing was recorded"
    names = b"\0".join(os.fsencode(path.name) for path in disks)
    forbidden = {
        text: forms_of_text(text)
        for text in (LABEL, PHONE, ATTRIBUTE, CONTACT, NOTE, FILE_NAME, CONTENT[:35], BOBS_LABEL, PASSWORD)
    }
    forbidden["the contact's id"] = forms_of_key(IdentityId.from_text(bob).public_key)
    for what, forms in forbidden.items():
        for form in forms:
            assert form not in names, what
            for where, data in seen.items():
                assert form not in data, (what, where)


def test_the_search_finds_a_public_name_and_the_owners_own_id(
    tmp_path: Path, recorders: Callable[[str], Recorder], walletcli: Walletcli
) -> None:
    recorder = recorders("node-in-clear")
    walletcli("alice", "wallet", "create", "--words-out", str(tmp_path / "words"), *FAST_KDF)
    walletcli("alice", "identity", "create", LABEL)
    walletcli("alice", "identity", "set", LABEL, "name", CONTACT, "--public")
    did = walletcli("alice", "publish", LABEL, "--relay", recorder.url)["did"]
    traffic = b"".join(recorder.traffic)
    disk = b"".join(path.read_bytes() for path in (tmp_path / "node-in-clear").rglob("*") if path.is_file())
    for data in (traffic, disk):
        assert any(form in data for form in forms_of_text(CONTACT))
        assert any(form in data for form in forms_of_key(IdentityId.from_text(did).public_key))
