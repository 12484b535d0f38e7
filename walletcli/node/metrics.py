"""What the node counts, and its Prometheus text.

No label tells clients or identities apart. Counting is plain integers; the library only writes them out.
"""

from __future__ import annotations

import resource
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from walletcli.node.batch_writer import WriterState
from walletcli.node.dht.counters import DhtCounters
from walletcli.node.store import Counts

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"

_METHODS: Final = frozenset((b"GET", b"HEAD", b"PUT", b"POST", b"DELETE", b"OPTIONS"))
_WRITES: Final = frozenset((b"PUT", b"POST", b"DELETE"))


@dataclass(slots=True)
class Peering:
    """What went between this node and its sources and sinks."""

    asked: int = 0
    found: int = 0
    source_errors: int = 0
    sent: int = 0
    sink_errors: int = 0
    given_up: int = 0


@dataclass(slots=True)
class HostingCounters:
    """What hosting has done."""

    grants: int = 0
    grants_refused: int = 0
    logins: int = 0
    logins_refused: int = 0
    blobs_in: int = 0
    blob_bytes_in: int = 0
    blobs_out: int = 0
    blob_bytes_out: int = 0


@dataclass(slots=True)
class Metrics:
    """The node's counters.

    Attributes:
        answers: by method and three-digit status.
        refused_connections: closed at once, for being too many.
        peering: between nodes.
        hosting: as a provider.
        dht: in the DHT.
        minutes: requests answered in each of the last minutes, for the status page.
    """

    answers: defaultdict[tuple[bytes, bytes], int] = field(default_factory=lambda: defaultdict(int))
    refused_connections: int = 0
    peering: Peering = field(default_factory=Peering)
    hosting: HostingCounters = field(default_factory=HostingCounters)
    dht: DhtCounters = field(default_factory=DhtCounters)
    minutes: deque[int] = field(default_factory=lambda: deque(maxlen=60))
    started_at: float = field(default_factory=time.monotonic)
    _minute_base: int = 0

    def answered(self, method: bytes, status: bytes) -> None:
        """Count an answer."""
        self.answers[method, status] += 1

    def total(self) -> int:
        """Return how many requests were answered."""
        return sum(self.answers.values())

    def by_kind(self) -> dict[str, int]:
        """Return answers by what became of them: reads, writes, refused."""
        kinds = {"reads": 0, "writes": 0, "refused": 0}
        for (method, status), number in self.answers.items():
            if status >= b"400" and status != b"404":
                kinds["refused"] += number
            elif method in _WRITES:
                kinds["writes"] += number
            else:
                kinds["reads"] += number
        return kinds

    def close_minute(self) -> None:
        """End a minute of the history."""
        total = self.total()
        self.minutes.append(total - self._minute_base)
        self._minute_base = total


def memory_bytes() -> int:
    """Return the resident memory of this process now (Linux), or its peak elsewhere."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@dataclass(frozen=True, slots=True)
class Reading:
    """What a scrape shows beside the counters."""

    counts: Counts
    writer: WriterState
    connections: int
    store_bytes: int
    free_bytes: int
    disk_bytes: int
    delegation_days_left: int
    healthy: bool


def exposition(metrics: Metrics, reading: Reading) -> bytes:
    """Return the Prometheus text of one scrape."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(metrics, reading))
    return generate_latest(registry)


class _Collector:
    """Gives prometheus_client the numbers as they are now."""

    def __init__(self, metrics: Metrics, reading: Reading) -> None:
        self._metrics = metrics
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        answers = CounterMetricFamily("walletcli_node_answers", "Requests answered.", labels=["method", "status"])
        by_label: dict[tuple[str, str], int] = defaultdict(int)
        for (method, status), number in self._metrics.answers.items():
            name = method.decode() if method in _METHODS else "other"
            by_label[name, status.decode()] += number
        for labels, number in sorted(by_label.items()):
            answers.add_metric(labels, number)
        yield answers
        for name, help_text, value in self._counters():
            yield CounterMetricFamily(f"walletcli_node_{name}", help_text, value=value)
        for name, help_text, gauge in self._gauges():
            yield GaugeMetricFamily(f"walletcli_node_{name}", help_text, value=gauge)

    def _counters(self) -> Iterator[tuple[str, str, float]]:
        peering, writer = self._metrics.peering, self._reading.writer
        yield "connections_refused", "Connections closed at once for being too many.", self._metrics.refused_connections
        yield "store_batches", "Batches written to the store.", writer.batches
        yield "store_writes", "Writes in those batches.", writer.writes
        yield "store_failures", "Batches that could not be written.", writer.failures
        yield "source_questions", "Questions asked of sources.", peering.asked
        yield "source_found", "Questions that a source answered.", peering.found
        yield "source_errors", "Questions that failed.", peering.source_errors
        yield "sink_sent", "Packets sent to sinks.", peering.sent
        yield "sink_errors", "Attempts to send that failed.", peering.sink_errors
        yield "sink_given_up", "Packets that no attempt brought to a sink.", peering.given_up
        yield "sink_dropped", "Packets that fell out of a full queue.", self._reading.counts.dropped
        hosting = self._metrics.hosting
        yield "grants", "Grants signed.", hosting.grants
        yield "grants_refused", "Requests for grants refused.", hosting.grants_refused
        yield "logins", "Logins.", hosting.logins
        yield "logins_refused", "Logins refused.", hosting.logins_refused
        yield "blobs_received", "Blobs stored.", hosting.blobs_in
        yield "blob_bytes_received", "Sealed bytes received.", hosting.blob_bytes_in
        yield "blobs_given", "Blobs given out.", hosting.blobs_out
        yield "blob_bytes_given", "Sealed bytes given out.", hosting.blob_bytes_out
        dht = self._metrics.dht
        yield "dht_puts", "Packets put into the DHT, again or for the first time.", dht.puts
        yield "dht_put_failures", "Puts that no node took.", dht.put_failures
        yield "dht_overtaken", "Puts that met a newer packet.", dht.overtaken
        yield "dht_splits", "Counts of copies that met another packet with the same seq.", dht.splits
        yield "dht_dropped", "Accepted packets that were not put, as too many waited.", dht.dropped
        yield "dht_questions", "Look-ups for packets in the DHT.", dht.asked
        yield "dht_found", "Look-ups that found one.", dht.found
        yield "dht_kept", "Packets put again in rounds.", dht.kept
        yield "dht_rounds", "Rounds of keeping alive that are over.", dht.rounds
        yield "dht_copies_expected", "Copies looked for before packets were put again.", dht.copies_expected
        yield "dht_copies_missing", "Copies that were gone then.", dht.copies_missing
        usage = resource.getrusage(resource.RUSAGE_SELF)
        yield "cpu_seconds", "CPU time used.", usage.ru_utime + usage.ru_stime

    def _gauges(self) -> Iterator[tuple[str, str, float]]:
        reading, counts = self._reading, self._reading.counts
        yield "packets", "Packets stored.", counts.packets
        yield "packets_pending", "Packets whose document is not there.", counts.pending
        yield "documents", "Documents stored.", counts.documents
        yield "documents_unreferenced", "Documents that no packet names.", counts.unreferenced
        yield "sink_queue", "Packets waiting for a sink.", counts.queued
        yield "hosted", "Identities that are hosted, leaving ones included.", counts.hosted
        yield "hosted_leaving", "Identities whose data goes when their time is over.", counts.leaving
        yield "blobs", "Blobs kept, deleted ones included.", counts.blobs
        yield "blob_bytes", "Sealed bytes kept.", counts.blob_bytes
        yield "trash", "Identities whose deleted data is still being cleared away.", counts.trash
        dht = self._metrics.dht
        yield "dht_joined", "1 if this node takes part in the DHT.", float(dht.is_joined)
        yield "dht_nodes", "Nodes in the routing table.", dht.nodes
        yield "dht_known_nodes", "Nodes that the writer knows.", dht.known
        yield "dht_waiting", "Accepted packets that wait to be put.", dht.waiting
        yield "dht_round_seconds", "Length of the round under way.", dht.round_s
        yield "connections", "Open connections.", reading.connections
        yield "store_bytes", "Space that the store takes.", reading.store_bytes
        yield "disk_free_bytes", "Free space on the store's disk.", reading.free_bytes
        yield "memory_bytes", "Resident memory.", memory_bytes()
        yield "uptime_seconds", "Time since the start.", time.monotonic() - self._metrics.started_at
        yield "delegation_days_left", "Days until the node's delegation ends.", reading.delegation_days_left
        yield "healthy", "1 if the store can write.", float(reading.healthy)
