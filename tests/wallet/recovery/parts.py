"""What the tests of recovery share: records that an owner's other machine has signed."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.wallet.parts import SLOTS, WORDS, HonestRelay
from walletcli.core import x25519
from walletcli.core.bip39 import Mnemonic
from walletcli.core.document import Document
from walletcli.core.document_parts import MAX_DELEGATION_DAYS, Delegation, Power
from walletcli.core.ed25519 import SigningKey
from walletcli.core.keys import KeyTree, Scheme, scheme_seed
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.core.secret import Secret
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Home
from walletcli.wallet.recovery.plan import Plan
from walletcli.wallet.recovery.report import Report
from walletcli.wallet.recovery.story import Wish, journal_of, recover
from walletcli.wallet.restore import begin_restore
from walletcli.wallet.state.draft import DEVICE_POWERS, today
from walletcli.wallet.state.sections import OwnerSection, seal_section

FIRST_SEQ = 1_700_000_000_000_000


def tree_of(words: str, scheme: Scheme = Scheme.WALLETCLI) -> KeyTree:
    """Return the keys that words give."""
    return KeyTree(scheme_seed(scheme, Mnemonic.parse(words), None), scheme)


def device(number: int, first_day: int = -10, powers: frozenset[Power] = DEVICE_POWERS) -> Delegation:
    """Return the delegation of a device, valid from `first_day` (counted from today) for 90 days."""
    secret = Secret(number.to_bytes(32, "big"))
    start = today(time.time()) + first_day
    key = SigningKey(secret).public_key
    return Delegation(key, x25519.public_key(secret), powers, start, start + MAX_DELEGATION_DAYS)


def signed(root: SigningKey, document: Document) -> Record:
    """Return the record of a document."""
    return Record.verified(SignedPacket.sign(root, document.seq, packet_value(document)), document.to_bytes())


def published(
    tree: KeyTree,
    index: int,
    label: str = "",
    sealed: dict[str, str] | None = None,
    devices: Sequence[Delegation] = (),
    seq: int | None = None,
    **fields: Any,
) -> Record:
    """Return a record as a wallet that is lost now has published it: with a device of its own, and a section."""
    root = tree.root(index)
    ordered = tuple(sorted(devices or (device(index + 1),), key=lambda item: item.signing_key))
    recipients = [ordered[0].sealing_key, tree.recovery_public_key(index, 0)]
    section = seal_section(OwnerSection(label, sealed or {}), root.public_key, recipients, os.urandom)
    document = Document(
        root.public_key, FIRST_SEQ + index if seq is None else seq, delegations=ordered, sections=(section,)
    )
    return signed(root, replace(document, **fields))


class Net:
    """Some relays on real sockets."""

    def __init__(self, count: int) -> None:
        self.relays = [HonestRelay() for _ in range(count)]

    @classmethod
    @contextlib.contextmanager
    def of(cls, count: int) -> Iterator[Net]:
        net = cls(count)
        try:
            yield net
        finally:
            for relay in net.relays:
                relay.close()

    @property
    def urls(self) -> list[str]:
        return [relay.url for relay in self.relays]

    def hold(self, *records: Record) -> None:
        """Have all relays hold these records."""
        for relay in self.relays:
            for record in records:
                relay.shelf.put(record)


@dataclass
class Lost:
    """An owner whose machine is lost: what is left are the words, and what others hold.

    Args:
        directory: where new homes are made.
        words: the mnemonic.
        scheme: which program it comes from.
    """

    directory: Path
    words: str = WORDS
    scheme: Scheme = Scheme.WALLETCLI

    @property
    def tree(self) -> KeyTree:
        return tree_of(self.words, self.scheme)

    def begin(self, *relays: str, name: str = "new", **wish: Any) -> Session:
        """Make a wallet from the words in a new home; nothing is looked up yet."""
        plan = Wish(relays, **wish).on(Plan())
        home = Home(str(self.directory / name))
        return begin_restore(home, Secret.from_text(self.words), SLOTS, plan, self.scheme.value)


def go(session: Session, *, dialer: Dialer | None = None, timeout_s: float = 5.0, **wish: Any) -> Report:
    """Restore as far as it goes; nothing waits between two identities."""
    file = journal_of(session, Wish(**wish))
    return recover(session, file, dialer=dialer, pause=lambda _: None, timeout_s=timeout_s)
