"""``/``, ``/metrics``, ``/healthz``, ``/identity`` and ``/sample``.

Spec: docs/spec/node-api.md, "Paths" and "The operator's pages".
"""

from __future__ import annotations

import re
from collections.abc import Callable

from walletcli.errors import StorageError
from walletcli.node import metrics as exposition
from walletcli.node.gate import Gate
from walletcli.node.metrics import Metrics, Reading
from walletcli.node.page import CONTENT_SECURITY_POLICY, Facts, render
from walletcli.node.request import Request
from walletcli.node.store import Counts

HEALTHY_FOR_S = 15.0
"""How long a stored batch proves that the store can write, in seconds; the service probes more often than that."""

SAMPLE_KEYS = 32
"""How many keys a sample names at most."""

_PROXIED = frozenset((b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"))
"""Fields that a web server in between adds."""

_OWN_NAMES = frozenset((b"localhost", b"[::1]"))
_IPV4 = re.compile(rb"[0-9.]+")

_PAGE_HEADERS = (
    b"Content-Security-Policy: " + CONTENT_SECURITY_POLICY.encode("ascii") + b"\r\n"
    b"X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nX-Frame-Options: DENY\r\n"
)


class OperatorPages:
    """Answers requests about the node itself.

    Args:
        gate: store, writer and answers.
        metrics: the counters.
        did: the node's own did:key.
        connections: tells how many are open.
        delegation_days_left: tells for how many days the node's delegation still holds.
        facts: collects what the status page shows.
    """

    def __init__(
        self,
        gate: Gate,
        metrics: Metrics,
        did: str,
        connections: Callable[[], int],
        delegation_days_left: Callable[[], int],
        facts: Callable[[Reading], Facts],
    ) -> None:
        self._gate = gate
        self._metrics = metrics
        self._did = did
        self._connections = connections
        self._delegation_days_left = delegation_days_left
        self._facts = facts

    def find(self, path: bytes, request: Request) -> Callable[[], bytes] | None:
        """Return what renders the page at `path` for this client, or None if it has no such page."""
        if path == b"/identity":
            return lambda: self._gate.answers.text(200, self._did.encode("ascii") + b"\n")
        if path == b"/healthz":
            return self._healthz
        if path == b"/sample":
            return self._sample
        if not request.client.is_operator or not _PROXIED.isdisjoint(request.headers) or _is_rebound(request):
            return None
        if path == b"/":
            return self._status_page
        return self._exposition if path == b"/metrics" else None

    def is_healthy(self) -> bool:
        """Tell whether the store could write within the last seconds."""
        state = self._gate.writer.state
        return state.error is None and self._gate.clock.now - state.stored_at < HEALTHY_FOR_S

    def reading(self) -> Reading:
        """Return the numbers as they are now."""
        try:
            counts, size = self._gate.store.counts(), self._gate.store.size_bytes()
        except StorageError:
            counts, size = Counts(), 0
        return Reading(
            counts=counts,
            writer=self._gate.writer.state,
            connections=self._connections(),
            store_bytes=size,
            free_bytes=self._gate.free_bytes,
            disk_bytes=self._gate.disk_bytes,
            delegation_days_left=self._delegation_days_left(),
            healthy=self.is_healthy(),
        )

    def _sample(self) -> bytes:
        """Name a few keys of packets that are stored: strangers, among whom a restore can hide from other nodes."""
        keys = set(self._gate.store.random_keys(SAMPLE_KEYS))
        return self._gate.answers.text(200, b"".join(sorted(keys)), b"application/octet-stream")

    def _healthz(self) -> bytes:
        if self.is_healthy():
            return self._gate.answers.text(200, b"ok\n")
        return self._gate.answers.error(503, "storage.failed", "this node cannot store anything now")

    def _exposition(self) -> bytes:
        body = exposition.exposition(self._metrics, self.reading())
        return self._gate.answers.text(200, body, exposition.CONTENT_TYPE, is_public=False)

    def _status_page(self) -> bytes:
        page = render(self._facts(self.reading()))
        return self._gate.answers.text(200, page.encode(), b"text/html; charset=utf-8", _PAGE_HEADERS, is_public=False)


def _is_rebound(request: Request) -> bool:
    """Tell whether a browser on this machine may have been led here by another site's name (DNS rebinding)."""
    if not request.client.is_loopback:
        return False
    host = request.headers.get(b"host", b"localhost").rpartition(b"]")
    name = host[0] + host[1] if host[1] else host[2].partition(b":")[0]
    return name.lower() not in _OWN_NAMES and not _IPV4.fullmatch(name)
