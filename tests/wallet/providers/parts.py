"""What the providers' tests share: hosting nodes, and sealed data of an identity of a wallet."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.node.local import LocalNode
from walletcli.client.places import Place
from walletcli.core.identity_id import IdentityId
from walletcli.core.manifest import Manifest
from walletcli.core.record import Record
from walletcli.errors import WalletError
from walletcli.node import setup
from walletcli.node.directory import NodeDirectory
from walletcli.node.identity import NodeIdentity
from walletcli.wallet.access.session import Session
from walletcli.wallet.providers.bind import BindWish, Bound, bind_provider
from walletcli.wallet.sealed.data import get_file, list_data, put_file
from walletcli.wallet.sealed.index import Kind
from walletcli.wallet.state.view import IdentityView


class Host:
    """A node in a thread of this process that hosts identities."""

    def __init__(self, node: LocalNode) -> None:
        self.node = node

    @classmethod
    def start(cls, directory: Path, settings: str, addresses: Sequence[str] = ()) -> Host:
        """Start a node, in a new directory if there is none.

        Args:
            directory: of the node.
            settings: lines of its hosting section.
            addresses: those that its record states; none: where it listens.
        """
        if not directory.exists():
            setup.init(directory)
        stated = f"addresses = {json.dumps(list(addresses))}\n" if addresses else ""
        (directory / "node.toml").write_text(f"{stated}[hosting]\n{settings}\n")
        return cls(LocalNode(directory, limits=False).start())

    @property
    def key(self) -> bytes:
        """Its root key."""
        return NodeIdentity(NodeDirectory(self.node.directory)).record.packet.public_key

    @property
    def did(self) -> str:
        return IdentityId(self.key).did

    @property
    def url(self) -> str:
        """Where it serves in clear."""
        return self.node.url

    @property
    def address(self) -> str:
        """Where it serves TLS, pinned to its key."""
        return f"walletcli://127.0.0.1:{self.node.tls_port}/{self.did}"

    def stop(self) -> None:
        self.node.stop()

    def wipe(self) -> None:
        """Stop, and lose what is stored."""
        self.node.stop()
        for path in self.node.directory.glob("store.db*"):
            path.unlink()

    def copy_to(self, directory: Path) -> None:
        """Copy its directory, as a backup taken now would; it must be stopped."""
        shutil.copytree(self.node.directory, directory)

    def restart(self) -> None:
        self.node.start()


def bind(session: Session, address: str, who: str = "alice", **wish: object) -> Bound:
    """Bind without an exit kit, unless the wish says otherwise."""
    if "kit" not in wish:
        wish.setdefault("no_kit", True)
    return bind_provider(session, who, BindWish(address, **wish))  # type: ignore[arg-type]


def blob_id(number: int) -> bytes:
    """Return an id of 16 bytes; 0 is the index."""
    return number.to_bytes(16, "big")


def put(
    session: Session, identity: IdentityView, place: Place, number: int, content: bytes | None, version: int = 1
) -> bytes:
    """Store a blob signed by this device, in place of the version before; returns its manifest."""
    digest = hashlib.sha256(content).digest() if content is not None else None
    said = Manifest(identity.public_key, blob_id(number), version, digest, len(content or b""))
    signed = session.sign_statement(identity.index, Manifest.TYP, said.to_payload())
    place.put(signed, content or b"", version - 1)
    return signed


def view_of(session: Session, who: str = "alice") -> IdentityView:
    """Return an identity as the wallet has it now."""
    return next(item for item in session.snapshot().wallet.identities if item.label == who)


def record_of(session: Session, who: str = "alice") -> Record:
    data = view_of(session, who).record
    assert data is not None
    return Record.from_bytes(data)


def fails(code: str, call: Callable[[], object]) -> WalletError:
    """Check that a call ends in the error `code`, with a hint."""
    with pytest.raises(WalletError) as caught:
        call()
    assert caught.value.code == code, caught.value.message
    assert caught.value.hint, caught.value.code
    return caught.value


def put_data(session: Session, tmp_path: Path, name: str, content: bytes, who: str = "alice", **settings: bool) -> None:
    """Store a file of an identity at its provider, and in its exit kit where that can be reached."""
    path = tmp_path / f"source of {name}"
    path.write_bytes(content)
    put_file(session, who, str(path), name=name, **settings)


class Memory:
    """Takes the content of an item."""

    def __init__(self) -> None:
        self.content = b""

    def write(self, data: bytes) -> None:
        self.content += data

    def restart(self) -> None:
        self.content = b""


def get_data(session: Session, name: str, who: str = "alice") -> bytes:
    """Read a file of an identity."""
    target = Memory()
    get_file(session, who, name, target)
    return target.content


def names_of(session: Session, who: str = "alice") -> list[str]:
    """Return the names of an identity's files, as the provider's index has them."""
    return [item.name for item in list_data(session, who).seen.index.of_kind(Kind.FILE)]
