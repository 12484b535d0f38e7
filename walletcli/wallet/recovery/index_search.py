"""Reads the wallet index from relays: what a restore asks for before anything else.

Spec: docs/spec/recovery.md, "Index".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from walletcli.client.answers import Answer
from walletcli.client.independence import independent
from walletcli.client.resolution import Outcome, SourceReport
from walletcli.client.resolve import ask_relays
from walletcli.core.identity_id import IdentityId
from walletcli.core.keys import Scheme
from walletcli.core.wallet_index import NOTHING, SCHEMES, Ranges, ShardContent
from walletcli.errors import FormatError, NetworkError, VerificationError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.index.signing import open_with, shard_key
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.pacing import random_pauses
from walletcli.wallet.recovery.asking import RelayLookups
from walletcli.wallet.recovery.index_found import IndexFound
from walletcli.wallet.recovery.journal import Missing

MISSING = "wallet-index"
"""Kind of what is reported missing of the index."""


@dataclass(frozen=True, slots=True)
class IndexRead:
    """What relays gave.

    Attributes:
        found: the index, or None where nobody gave shard 0.
        listed: the identities of this wallet's scheme.
        missing: what of it did not come.
    """

    found: IndexFound | None = None
    listed: Ranges = NOTHING
    missing: tuple[Missing, ...] = ()


@dataclass(slots=True)
class IndexReader:
    """Asks relays for shards, each over connections of its own, and joins what opens.

    Args:
        session: the wallet; it holds the seed.
        relays: whom to ask.
        dialer: opens the connections.
        memory: what is remembered of the relays' own records.
        timeout_s: how long a call may take, in seconds.
        wait: waits so many seconds before a shard is asked for.

    Attributes:
        lookups: how each relay answered.
    """

    session: Session
    relays: Sequence[NodeAddress]
    dialer: Dialer
    memory: WalletMemory
    timeout_s: float
    wait: Callable[[float], None]
    lookups: dict[str, RelayLookups] = field(init=False)

    def __post_init__(self) -> None:
        names = [address.to_text() for address in self.relays]
        self.lookups = {name: RelayLookups(name, what="index") for name in names}

    def read(self, scheme: Scheme, pace_s: int) -> IndexRead:
        """Read shard 0, and then the others, in random order.

        Whoever gives an older shard, or none, takes nothing away: lists only grow, and are joined.

        Args:
            scheme: of the wallet.
            pace_s: over how many seconds the other shards are spread.
        """
        first = self._shard(0)
        if first.content is None:
            return IndexRead(missing=first.faults)
        count = first.content.shards or 1
        joined, missing, absent = first.content, list(first.faults), []
        order = sorted(range(1, count), key=lambda _: os.urandom(16))
        for number, wait_s in zip(order, random_pauses(len(order), pace_s), strict=True):
            if wait_s:
                self.wait(wait_s)
            shard = self._shard(number)
            missing += shard.faults
            if shard.content is None:
                absent.append(number)
                missing.append(_absent(number))
            else:
                joined |= shard.content
        listed = joined.of(scheme)
        elsewhere = tuple(other.value for other in SCHEMES if other is not scheme and joined.of(other))
        found = IndexFound(first.answered, count, tuple(sorted(absent)), len(listed), listed.highest, elsewhere)
        return IndexRead(found, listed, tuple(missing))

    def _shard(self, number: int) -> _Shard:
        key = shard_key(self.session, number)
        who = IdentityId(key)
        answers, _ = ask_relays(
            who,
            self.relays,
            dialer=self.dialer,
            memory=self.memory,
            for_identity=who.did,
            timeout_s=self.timeout_s,
        )
        content: ShardContent | None = None
        faults: dict[str, Missing] = {}
        good: list[str] = []
        for answer in answers:
            opened, error = self._opened(number, answer)
            report = _report(answer, opened, error)
            self.lookups[answer.address].count(report)
            if report.is_answer:
                good.append(answer.address)
            if opened is not None:
                content = opened if content is None else content | opened
            if error is not None and error.code == "wallet-index.unknown-version":
                faults[error.code] = Missing.of(MISSING, error, f"shard {number}", answer.address)
        return _Shard(content, independent(good), tuple(faults.values()))

    def _opened(self, number: int, answer: Answer) -> tuple[ShardContent | None, WalletError | None]:
        if answer.packet is None:
            return None, answer.error
        try:
            return open_with(self.session, number, answer.packet), None
        except (FormatError, VerificationError) as error:
            return None, error


@dataclass(frozen=True, slots=True)
class _Shard:
    content: ShardContent | None
    answered: tuple[str, ...]
    faults: tuple[Missing, ...]


def _report(answer: Answer, opened: ShardContent | None, error: WalletError | None) -> SourceReport:
    """Say what an answer was worth; what does not open is none."""
    if opened is not None and answer.packet is not None:
        return SourceReport(answer.address, Outcome.CURRENT, answer.packet.seq)
    if error is not None:
        return SourceReport(answer.address, Outcome.FAILED, None, error.code, error.message)
    return SourceReport(answer.address, Outcome.NOT_FOUND)


def _absent(number: int) -> Missing:
    error = NetworkError(
        "recovery.shard-missing",
        f"the wallet index speaks of shard {number}, and no relay has it: identities are searched for as without index",
        "name more relays with: walletcli wallet recover --relay URL",
    )
    return Missing.of(MISSING, error, f"shard {number}")
