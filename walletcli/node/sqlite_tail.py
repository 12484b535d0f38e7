"""Packets at the end of the table, found through memory until they are many enough to be put into the index.

A packet's key is random, so an index of keys that is kept up to date with every batch has as many pages to write as
the batch has packets. Put in later, many at once and sorted, they cost a fraction of that
(docs/decisions/0005-node.md). The rows themselves are in the table, durable; after a crash the tail is read from
there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import apsw

_BY_ID: Final = "SELECT payload FROM packet WHERE id = ? AND key = ?"
_BY_TAG: Final = "SELECT key, payload FROM packet WHERE id = (SELECT id FROM packet_index WHERE tag = ?)"
_NAMED_BY_ID: Final = "SELECT document FROM packet WHERE id = ? AND key = ?"
_NAMED_BY_TAG: Final = "SELECT document FROM packet WHERE id IN (SELECT id FROM packet_index WHERE tag = ?) AND key = ?"
_BY_TAGS: Final = "SELECT payload FROM packet WHERE id IN (SELECT id FROM packet_index WHERE tag = ?) AND key = ?"

Execute = Callable[..., Any]


def tag_of(name: bytes) -> int:
    """Return the first six bytes of a key or hash as a number: a small index, and two hardly ever meet."""
    return int.from_bytes(name[:6], "big")


class Tail:
    """Which rows are not in the index.

    Attributes:
        ids: row id by key.
        indexed: the last row id that is in the index.
        last: the last row id that was given out.
    """

    __slots__ = ("ids", "indexed", "last")

    def __init__(self, ids: dict[bytes, int], indexed: int, last: int) -> None:
        self.ids = ids
        self.indexed = indexed
        self.last = last

    def find(self, execute: Execute, key: bytes) -> bytes | None:
        """Return the payload stored for a key, as the connection of `execute` sees it, or None."""
        payload: bytes | None
        row_id = self.ids.get(key)
        if row_id is not None:
            payload = execute(_BY_ID, (row_id, key)).get
            if payload is not None:
                return payload
        tag = int.from_bytes(key[:6], "big")
        row = execute(_BY_TAG, (tag,)).get
        if row is None or row[0] == key:
            return None if row is None else row[1]
        payload = execute(_BY_TAGS, (tag, key)).get  # another key with the same tag came first
        return payload

    def find_named(self, execute: Execute, key: bytes) -> bytes | None:
        """Return the hash of the document that a key's packet names, or None."""
        named: bytes | None
        row_id = self.ids.get(key)
        if row_id is not None:
            named = execute(_NAMED_BY_ID, (row_id, key)).get
            if named is not None:
                return named
        named = execute(_NAMED_BY_TAG, (tag_of(key), key)).get
        return named

    def clear(self) -> None:
        """Forget the tail: it is in the index, and every reader sees that."""
        self.ids.clear()
        self.indexed = self.last


def read_tail(connection: apsw.Connection) -> Tail:
    """Return the tail as the tables have it."""
    indexed = connection.execute("SELECT value FROM count WHERE name = 'indexed'").get or 0
    ids: dict[bytes, int] = dict(connection.execute("SELECT key, id FROM packet WHERE id > ?", (indexed,)))
    return Tail(ids, indexed, max(indexed, max(ids.values(), default=0)))
