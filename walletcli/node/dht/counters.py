"""What the node counts about the DHT."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class DhtCounters:
    """Plain numbers; no label tells identities apart.

    Attributes:
        is_joined: whether this node takes part.
        nodes: in libtorrent's table, as of the last look.
        known: to the writer, as of the last look.
        puts: packets put, again or for the first time.
        put_failures: puts that no node took.
        overtaken: puts that met a newer packet.
        splits: counts of copies that met another packet with the same `seq`: somebody has signed two.
        waiting: newly accepted packets that wait to be put.
        dropped: them, when too many waited.
        asked: look-ups for packets.
        found: look-ups that found one.
        kept: packets put again in rounds.
        rounds: rounds that are over.
        copies_expected: copies looked for before packets were put again.
        copies_missing: those of them that were gone.
        round_s: length of the round under way, in seconds.
    """

    is_joined: bool = False
    nodes: int = 0
    known: int = 0
    puts: int = 0
    put_failures: int = 0
    overtaken: int = 0
    splits: int = 0
    waiting: int = 0
    dropped: int = 0
    asked: int = 0
    found: int = 0
    kept: int = 0
    rounds: int = 0
    copies_expected: int = 0
    copies_missing: int = 0
    round_s: float = 0.0
