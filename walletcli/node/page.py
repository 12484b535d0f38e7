"""The operator's status page: one HTML document that loads nothing.

Spec: docs/spec/node-api.md, "The operator's pages".
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from walletcli.node.config import Hosting, Policy
from walletcli.node.dht.counters import DhtCounters
from walletcli.node.metrics import Reading
from walletcli.node.page_style import STYLE

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'".format(
        base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode("ascii")
    )
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the page shows.

    Attributes:
        did: the node's did:key.
        listen: its pinned address.
        http: where it serves the API in clear, or None.
        version: of walletcli.
        uptime_s: seconds since the start.
        cpu_share: share of one core used since the start, 0 to 1 and above.
        memory_bytes: resident.
        load: the machine's load average over a minute, or None where there is none.
        requests: all answered since the start.
        kinds: them by what became of them.
        minutes: answered in each of the last minutes, oldest first.
        sources: addresses of sources.
        sinks: addresses of sinks.
        notices: what the operator should do, in words.
        reading: the numbers of a metrics scrape.
        dht: what is counted about the DHT.
        hosting: whom the node hosts, and what it gives them.
    """

    did: str
    listen: str
    http: str | None
    version: str
    uptime_s: float
    cpu_share: float
    memory_bytes: int
    load: float | None
    requests: int
    kinds: dict[str, int]
    minutes: Sequence[int]
    sources: Sequence[str]
    sinks: Sequence[str]
    notices: Sequence[str]
    reading: Reading
    dht: DhtCounters
    hosting: Hosting


def render(facts: Facts) -> str:
    """Return the page as HTML."""
    reading = facts.reading
    state = '<span class="state good">healthy</span>'
    if not reading.healthy:
        state = '<span class="state bad">cannot store</span>'
    notices = "".join(f'<p class="note" role="status">{escape(text)}</p>' for text in facts.notices)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta http-equiv="refresh" content="30">'
        f"<title>walletcli node</title><style>{STYLE}</style></head><body><main>"
        f"<header><h1>walletcli node</h1>{state}"
        f'<span class="quiet">up {escape(duration(facts.uptime_s))} · version {escape(facts.version)}</span></header>'
        f"{notices}{_tiles(facts)}{_history(facts)}"
        f'<div class="pair">{_identity(facts)}{_machine(facts)}{_holdings(facts)}{_hosting(facts)}{_peers(facts)}'
        f"{_dht(facts.dht)}</div>"
        '<footer class="quiet">Only this machine and the addresses in node.toml see this page. It reloads every '
        "30 seconds. Numbers for machines: /metrics</footer></main></body></html>\n"
    )


def _tiles(facts: Facts) -> str:
    counts = facts.reading.counts
    last_minute = facts.minutes[-1] / 60 if facts.minutes else 0.0
    tiles = (
        (number(counts.packets), "packets"),
        (number(counts.documents), "documents"),
        (f"{last_minute:.1f}" if last_minute < 100 else number(round(last_minute)), "requests a second"),
        (number(facts.reading.connections), "connections"),
        (size(facts.reading.store_bytes), "store on disk"),
        (size(facts.reading.free_bytes), "free on disk"),
    )
    cells = "".join(f'<div class="tile"><b>{escape(value)}</b><span>{name}</span></div>' for value, name in tiles)
    return f'<div class="tiles">{cells}</div>'


def _history(facts: Facts) -> str:
    """Return the requests of the last hour as bars; the picture has a text of its own."""
    minutes = [0] * (60 - len(facts.minutes)) + list(facts.minutes)
    most = max(minutes)
    scale = 44 / most if most else 0
    heights = [max(value * scale, 1.5) if value else 0.0 for value in minutes]
    bars = "".join(
        f'<rect x="{at * 10 + 1}" y="{46 - height:.1f}" width="8" height="{height:.1f}" rx="1"/>'
        for at, height in enumerate(heights)
        if height
    )
    text = f"requests per minute over the last hour, at most {number(most)}"
    return (
        '<section><h2>Last hour</h2><svg viewBox="0 0 600 47" preserveAspectRatio="none" role="img" '
        f'aria-label="{text}"><line x1="0" y1="46.5" x2="600" y2="46.5"/>{bars}</svg>'
        f'<div class="quiet">{text[:1].upper()}{text[1:]}</div></section>'
    )


def _identity(facts: Facts) -> str:
    rows = [("did", f"<code>{escape(facts.did)}</code>"), ("address", f"<code>{escape(facts.listen)}</code>")]
    if facts.http is not None:
        rows.append(("in clear", f"<code>{escape(facts.http)}</code>"))
    rows.append(("delegation", f"{facts.reading.delegation_days_left} days left"))
    return _section("Identity", rows)


def _machine(facts: Facts) -> str:
    reading = facts.reading
    share = 1 - reading.free_bytes / reading.disk_bytes if reading.disk_bytes else 0.0
    load = "—" if facts.load is None else f"{facts.load:.2f}"
    rows = [
        ("disk", f'<meter min="0" max="1" high="0.9" value="{share:.4f}">{share:.0%}</meter>'),
        ("", f"{share:.0%} of {escape(size(reading.disk_bytes))} used, by everything on it"),
        ("memory", escape(size(facts.memory_bytes))),
        ("processor", f"{facts.cpu_share:.1%} of one core since the start"),
        ("load", f"{load} over a minute"),
        ("last fsync", f"{reading.writer.last_commit_s * 1000:.1f} ms"),
    ]
    return _section("Machine", rows)


def _holdings(facts: Facts) -> str:
    counts = facts.reading.counts
    rows = [
        ("packets", number(counts.packets)),
        ("pending", f"{number(counts.pending)} without their document"),
        ("documents", f"{number(counts.documents)} ({escape(size(counts.document_bytes))})"),
        ("unnamed", f"{number(counts.unreferenced)} documents that no packet names"),
        ("answered", f"{number(facts.requests)} requests since the start"),
        ("", ", ".join(f"{number(value)} {escape(name)}" for name, value in facts.kinds.items())),
    ]
    return _section("Holdings", rows)


def _hosting(facts: Facts) -> str:
    counts, hosting = facts.reading.counts, facts.hosting
    whom = {Policy.OPEN: "anybody", Policy.CLOSED: "those invited or allowed", Policy.OFF: "nobody"}[hosting.policy]
    terms = hosting.terms
    rows = [
        ("for", whom),
        ("each gets", f"{size(terms.quota_bytes)}, in blobs of at most {size(terms.max_blob_bytes)}"),
        ("kept", f"for {hosting.retention_days} days after leaving"),
        ("identities", f"{number(counts.hosted)}, of them {number(counts.leaving)} leaving"),
        ("blobs", f"{number(counts.blobs)} ({escape(size(counts.blob_bytes))})"),
    ]
    if counts.trash:
        rows.append(("clearing", f"deleted data of {number(counts.trash)}"))
    return _section("Hosting", rows)


def _peers(facts: Facts) -> str:
    counts = facts.reading.counts
    rows = [("source", f"<code>{escape(text)}</code>") for text in facts.sources] or [("sources", "none")]
    rows += [("sink", f"<code>{escape(text)}</code>") for text in facts.sinks] or [("sinks", "none")]
    if facts.sinks:
        rows.append(("to send", f"{number(counts.queued)} packets, {number(counts.dropped)} dropped"))
    return _section("Other nodes", rows)


def _dht(dht: DhtCounters) -> str:
    if not dht.is_joined:
        return _section("DHT", [("joined", "no")])
    share = dht.copies_missing / dht.copies_expected if dht.copies_expected else 0.0
    rows = [
        ("nodes", f"{number(dht.nodes)} in the table, {number(dht.known)} known to the writer"),
        ("put", f"{number(dht.puts)} packets, {number(dht.put_failures)} taken by nobody"),
        ("waiting", f"{number(dht.waiting)} packets, {number(dht.dropped)} dropped"),
        ("found", f"{number(dht.found)} of {number(dht.asked)} packets looked for"),
        ("kept alive", f"{number(dht.kept)} times in {number(dht.rounds)} rounds; {share:.0%} of copies were gone"),
        ("round", f"{escape(duration(dht.round_s))} long"),
    ]
    return _section("DHT", rows)


def _section(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """Return a card; names are ours, values are HTML."""
    cells = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    return f"<section><h2>{title}</h2><dl>{cells}</dl></section>"


def number(value: int) -> str:
    """Return a count with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u2009")


def size(value: int) -> str:
    """Return a size in the binary unit that suits it."""
    amount = float(value)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "bytes" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units."""
    minutes = int(seconds) // 60
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"
