"""A restore with the wallet index against one resolve, at three relays that are far away.

On loopback answers take no time, and what is measured would be the processor's work for 20 identities against that for
one. So what relays answer comes late, as it does from afar: what counts is how often a restore has to wait.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.load import LOAD_CORE
from bench.measure import Row, at_most
from bench.processes import Server, pin, python
from bench.restore import PASSWORD, WORDS, Person
from bench.servers import ROOT, init_node, node
from walletcli.client.relay import RelayClient
from walletcli.client.resolve import resolve
from walletcli.core.bip39 import Mnemonic
from walletcli.core.identity_id import IdentityId
from walletcli.core.keys import KeyTree, Scheme
from walletcli.core.secret import Secret
from walletcli.core.wallet_index import Ranges, ShardContent, seal_shard
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer
from walletcli.vault.kdf import KdfParameters
from walletcli.wallet.create import NewSlots
from walletcli.wallet.home import Home
from walletcli.wallet.recovery.plan import Plan
from walletcli.wallet.recovery.run import Run
from walletcli.wallet.recovery.story import journal_of
from walletcli.wallet.restore import begin_restore

IDENTITIES = 20
LATE_MS = 200.0
"""How late an answer comes, in milliseconds."""

ROUNDS = 7
SEQ = 1_700_000_000_000_000


def restore_index(count: int = IDENTITIES, rounds: int = ROUNDS) -> list[Row]:
    """Keys, index, records, verified and in the vault: up to the point where records would be signed."""
    pin(LOAD_CORE)
    with tempfile.TemporaryDirectory() as directory:
        init_node(Path(directory) / "node")
        server, url = node(Path(directory) / "node")
        with server, Server(python(str(ROOT / "bench/far_away.py"), url.rpartition(":")[2], str(LATE_MS)), ROOT) as far:
            relays = [f"http://127.0.0.1:{port}" for port in far.ready_line.split()]
            tree = KeyTree(Mnemonic.parse(WORDS).seed(None))
            _settle(tree, NodeAddress.from_text(url), count)
            one, all_of_them = [], []
            for number in range(rounds):
                one.append(_seconds(lambda: _resolve(tree, relays)))
                all_of_them.append(_seconds(_restored(Path(directory) / f"home {number}", relays, count)))
    one_s, all_s = sorted(one)[rounds // 2], sorted(all_of_them)[rounds // 2]
    what = (
        f"restore of {count} identities with the wallet index, no spread, against one resolve, at the same three relays"
    )
    detail = (
        f"each answer {LATE_MS:.0f} ms late; {all_s * 1000:.0f} ms and {one_s * 1000:.0f} ms (medians of {rounds}); "
        f"load {os.getloadavg()[0]:.1f}"
    )
    return [at_most(what, all_s / one_s, 3.0, detail)]


def _settle(tree: KeyTree, address: NodeAddress, count: int) -> None:
    """Have the node hold the records of all identities, and the index that names them."""
    content = ShardContent({Scheme.WALLETCLI: Ranges.of(range(count))}, 1)
    with RelayClient(address, TcpDialer()) as relay:
        for index in range(count):
            record = Person(tree, index).record(SEQ)
            assert record.document is not None
            relay.put_document(record.document.to_bytes())
            relay.put_packet(record.packet)
        relay.put_packet(seal_shard(tree.index_key(0), 0, content, SEQ, os.urandom))


def _resolve(tree: KeyTree, relays: list[str]) -> None:
    addresses = [NodeAddress.from_text(url) for url in relays]
    found = resolve(IdentityId(tree.root(0).public_key), addresses, dialer=TcpDialer())
    assert found.record.document is not None


def _restored(directory: Path, relays: list[str], count: int) -> Callable[[], None]:
    slots = NewSlots(PASSWORD, kdf=KdfParameters(8, 1))
    plan = Plan(tuple(relays), spread_s=0)
    session = begin_restore(Home(str(directory)), Secret.from_text(WORDS), slots, plan)

    def run() -> None:
        with session:
            restore = Run(session, journal_of(session), TcpDialer())
            restore.search(plan.addresses)
            restore.read()
            assert len(restore.journal.found) == count
            assert restore.journal.index is not None

    return run


def _seconds(work: Callable[[], None]) -> float:
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s
