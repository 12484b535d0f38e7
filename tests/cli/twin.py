"""Another copy of somebody's words, which signs as well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from walletcli.core.bip39 import Mnemonic
from walletcli.core.keys import KeyTree, Scheme
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value


def write_twin(own: Path, other: Path, words: str) -> None:
    """Sign another state with the seq of a record file, as another copy of the words would."""
    record = Record.from_bytes(own.read_bytes())
    assert record.document is not None
    document = replace(record.document, profile={"name": "Eve"})
    root = KeyTree(Mnemonic.parse(words).seed(None), Scheme.WALLETCLI).root(0)
    packet = SignedPacket.sign(root, document.seq, packet_value(document))
    other.write_bytes(Record.verified(packet, document.to_bytes()).to_bytes())
