"""An identity that two of three keys must agree to, and people who plug keys in when they are asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tests.wallet.parts import WORDS, HonestRelay, opened, restored_home
from tests.wallet.test_security_keys import Prompts, Shelf
from walletcli.core.approvals import check_follows
from walletcli.core.document import Document
from walletcli.core.record import Record
from walletcli.wallet.access.session import Session
from walletcli.wallet.approvers.deciding import add_approver
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity, set_attribute
from walletcli.wallet.publish import publish_identity

NAMES = ("ada", "bob", "cyd")
"""Who has keys; each is plugged in under the number of its place."""


class People(Prompts):
    """Types the right PIN, and does what a test wants when another key is asked for.

    Args:
        turns: each changes what is plugged in; when none is left, nobody is there.
    """

    def __init__(self, *turns: Callable[[], object]) -> None:
        super().__init__()
        self.turns = list(turns)

    def another(self, given: int, needed: int, names: Sequence[str], why: str) -> bool:
        super().another(given, needed, names, why)
        if not self.turns:
            return False
        self.turns.pop(0)()
        return True


class Drawerful:
    """Keys that are somewhere: `put` plugs exactly those in that are named.

    Args:
        shelf: what is plugged in.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        for number in range(len(NAMES)):
            shelf.plug(number)
        self.all = dict(shelf.keys)
        shelf.keys.clear()

    def put(self, *names: str) -> None:
        self.shelf.keys.clear()
        for key, wire in self.all.items():
            if NAMES[int(key.path[-1])] in names:
                self.shelf.keys[key] = wire


def guarded(home: Home, keys: Drawerful, relay: HonestRelay, threshold: int = 2, count: int = 3) -> Session:
    """Return an open wallet whose identity is published, and moves only with so many of the keys."""
    session = opened(replace(home, keys=People()))
    create_identity(session, "alice")
    publish_identity(session, "alice", [relay.url])
    for number, name in enumerate(NAMES[:count]):
        keys.put(name)
        add_approver(session, "alice", name=name, threshold=min(threshold, number + 1))
    publish_identity(session, "alice", [relay.url])
    keys.put()
    return session


def a_wallet(tmp_path: Path) -> Home:
    return restored_home(tmp_path / "owner", WORDS)


def record_of(session: Session) -> Record:
    record = session.snapshot().wallet.by_index(0).record
    assert record is not None
    return Record.from_bytes(record)


def document_of(session: Session) -> Document:
    document = record_of(session).document
    assert document is not None
    return document


def decide(session: Session, value: str = "Alice") -> Document:
    """Have something to sign; return the document of before."""
    set_attribute(session, "alice", "name", value)
    return document_of(session)


def followed(session: Session, before: Document) -> int:
    """Check that whoever knew the document of before follows; return how many have approved."""
    record = record_of(session)
    assert record.document is not None
    assert record.document.hash != before.hash
    check_follows(before, record.document, record.beside)
    assert record.beside is not None
    return len(record.beside.approvals)


def people(session: Session, *turns: Callable[[], object]) -> People:
    """Have people at the machine."""
    found = People(*turns)
    session.home = replace(session.home, keys=found)
    return found
