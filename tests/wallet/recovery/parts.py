"""What the tests of recovery share: records that an owner's other machine has signed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from walletcli.core import x25519
from walletcli.core.bip39 import Mnemonic
from walletcli.core.document import Document
from walletcli.core.document_parts import MAX_DELEGATION_DAYS, Delegation, Power
from walletcli.core.ed25519 import SigningKey
from walletcli.core.keys import KeyTree, Scheme, scheme_seed
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.core.secret import Secret
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
