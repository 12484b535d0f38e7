"""Asks relays for identities, together or apart, among decoys; counts how each answered.

Spec: docs/spec/recovery.md, "Order of look-ups" and "Decoys".
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from walletcli.client.fanout import for_each
from walletcli.client.freshness import Freshness
from walletcli.client.link import TIMEOUT_S
from walletcli.client.resolution import Outcome, SourceReport
from walletcli.client.scan import Scanned, TogetherScan, scan_apart
from walletcli.core.identity_id import IdentityId
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.recovery.decoys import Decoys

AT_ONCE: Final = 32
"""How many identities are asked for at once, each at all relays: a search by the index seldom waits twice."""

MIN_SILENT: Final = 4
"""A relay that fails for all of a step of at least so many is not asked any more in this run."""

Keys = Callable[[int, int], list[bytes]]
"""Gives the root public keys of so many identities from an index on."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of one identity.

    Attributes:
        index: in the key tree.
        scanned: what the relays said.
        skipped: relays that were not asked because they had not answered before.
    """

    index: int
    scanned: Scanned
    skipped: tuple[str, ...] = ()

    @property
    def exists(self) -> bool:
        """Whether anybody has shown something that its key has signed."""
        return self.scanned.resolution is not None or any(source.seq is not None for source in self.scanned.sources)

    @property
    def is_open(self) -> bool:
        """Whether somebody who did not answer might know more."""
        return bool(self.skipped) or not all(source.is_answer for source in self.scanned.sources)


@dataclass(slots=True)
class RelayLookups:
    """What one relay was asked in this run, and how it answered.

    Attributes:
        address: as text.
        asked: how many identities it was asked for.
        found: of how many it has a packet.
        absent: of how many it has nothing.
        failed: for how many it did not answer usefully.
        errors: codes of the failures, each once.
        message: of the first failure.
        silent: whether it is not asked any more in this run.
        decoys: for how many keys of strangers it was asked beside them.
        what: it was asked for.
    """

    address: str
    asked: int = 0
    found: int = 0
    absent: int = 0
    failed: int = 0
    errors: list[str] = field(default_factory=list)
    message: str = ""
    silent: bool = False
    decoys: int = 0
    what: str = "records"

    def count(self, source: SourceReport) -> None:
        """Count an answer."""
        self.asked += 1
        if not source.is_answer:
            self.failed += 1
            code = source.error_code or "relay.bad-answer"
            if code not in self.errors:
                self.errors.append(code)
            self.message = self.message or source.message or code
        elif source.outcome is Outcome.NOT_FOUND:
            self.absent += 1
        else:
            self.found += 1


@dataclass(frozen=True, slots=True)
class _Job:
    """One look-up: an identity's, or a decoy's, of which nothing is remembered."""

    identity: IdentityId
    relays: Sequence[NodeAddress]
    memory: Freshness | None

    @property
    def is_decoy(self) -> bool:
        return self.memory is None


class Asking:
    """Asks relays for identities, together or apart, and stops asking those that do not answer.

    Args:
        relays: whom.
        dialer: opens the connections.
        memory: what is remembered of identities and of the relays' own records.
        together: over one connection for each relay; otherwise over connections for each identity alone.
        timeout_s: how long a call may take, in seconds.
        decoys: keys of strangers, mixed in; apart only.
    """

    def __init__(
        self,
        relays: Sequence[NodeAddress],
        *,
        dialer: Dialer,
        memory: Freshness,
        together: bool,
        timeout_s: float = TIMEOUT_S,
        decoys: Decoys | None = None,
    ) -> None:
        self._decoys = decoys
        self.lookups = {address.to_text(): RelayLookups(address.to_text()) for address in relays}
        self._alive = list(relays)
        self._dialer = dialer
        self._memory = memory
        self._together = together
        self._timeout_s = timeout_s
        self._scan: TogetherScan | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    @property
    def alive(self) -> tuple[str, ...]:
        """The relays that are still asked."""
        return tuple(address.to_text() for address in self._alive)

    def look_up(self, wanted: Sequence[tuple[int, bytes]]) -> list[Looked]:
        """Ask for identities in random order.

        Args:
            wanted: index and root public key (32 bytes) of each.

        Returns:
            What came of each, ascending by index; nothing at all where nobody is left to ask.
        """
        order = sorted(wanted, key=lambda _: os.urandom(16))
        if not self._alive or not order:
            return []
        skipped = tuple(address for address in self.lookups if address not in self.alive)
        results = self._ask([IdentityId(key) for _, key in order])
        for result in results:
            for source in result.sources:
                self.lookups[source.address].count(source)
        self._let_go_of_the_silent(results)
        looked = [Looked(index, result, skipped) for (index, _), result in zip(order, results, strict=True)]
        return sorted(looked, key=lambda item: item.index)

    def _ask(self, identities: list[IdentityId]) -> list[Scanned]:
        if not self._together:
            return self._ask_apart(identities)
        if self._scan is None:
            self._scan = TogetherScan(
                self._alive,
                dialer=self._dialer,
                memory=self._memory,
                timeout_s=self._timeout_s,
                with_bindings=False,
            )
        return self._scan.look_up(identities)

    def _ask_apart(self, identities: list[IdentityId]) -> list[Scanned]:
        """Ask for each over connections of its own; decoys stand among them, each at relays that did not name it."""
        jobs: list[_Job] = [_Job(identity, self._alive, self._memory) for identity in identities]
        if self._decoys is not None:
            own = {identity.public_key for identity in identities}
            for key, relays in self._decoys.draw(self._alive):
                if key in own:  # a relay that holds the owner's records may name them
                    continue
                jobs.append(_Job(IdentityId(key), relays, None))
                for address in relays:
                    self.lookups[address.to_text()].decoys += 1
            jobs.sort(key=lambda _: os.urandom(16))
        results = for_each(jobs, self._one, AT_ONCE)
        found = {job.identity: result for job, result in zip(jobs, results, strict=True) if not job.is_decoy}
        return [found[identity] for identity in identities]

    def _one(self, job: _Job) -> Scanned:
        (scanned,) = scan_apart(
            [job.identity],
            job.relays,
            dialer=self._dialer,
            memory=job.memory,
            timeout_s=self._timeout_s,
            with_bindings=False,
        )
        return scanned

    def _let_go_of_the_silent(self, results: Sequence[Scanned]) -> None:
        """Stop asking relays that failed for everything in a step; who waits for each again waits for hours."""
        if len(results) < MIN_SILENT:
            return
        useful = {
            source.address for result in results for source in result.sources if source.outcome is not Outcome.FAILED
        }
        silent = [address for address in self._alive if address.to_text() not in useful]
        for address in silent:
            self._alive.remove(address)
            self.lookups[address.to_text()].silent = True
        if silent:
            self._close()

    def _close(self) -> None:
        if self._scan is not None:
            with contextlib.suppress(OSError):
                self._scan.close()
            self._scan = None
