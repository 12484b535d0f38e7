"""The tables of what is hosted, and reads from them.

Every statement is read to its end (``get``): one that is left open keeps its snapshot, and with it the log from being
started anew.

Hosted identities lie in the order of arrival, found by an index over six bytes of the key, as packets do. Rows of one
identity's blobs lie together, in the order in which they are listed; content lies in the order of arrival, in parts. So
a bind and a PUT touch few pages, however many identities there are.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import apsw

from walletcli.core.grant import Terms
from walletcli.node.hosting.kept import Hosted, Kept, Rule, StoredBlob
from walletcli.node.sqlite_tail import tag_of

TABLES: Final = ("hosted", "blob", "blob_part", "trash", "invitation", "invited", "access")
"""Their names."""

ORDERS: Final = {
    "blob": "host, id",
    "trash": "host",
    "invitation": "digest",
    "invited": "digest, key",
    "access": "key",
}
"""By what the rows of each are ordered, where that is not their number."""

SCHEMA: Final = """
CREATE TABLE hosted(
    id INTEGER PRIMARY KEY, tag INTEGER NOT NULL, key BLOB NOT NULL, host INTEGER NOT NULL, state INTEGER NOT NULL,
    due_s INTEGER NOT NULL, quota INTEGER NOT NULL, retention INTEGER NOT NULL, max_blob INTEGER NOT NULL,
    digest BLOB NOT NULL, used INTEGER NOT NULL, blobs INTEGER NOT NULL, signer BLOB NOT NULL
);
CREATE INDEX hosted_tag ON hosted(tag);
CREATE INDEX hosted_due ON hosted(due_s);
CREATE TABLE blob(
    host INTEGER NOT NULL, id BLOB NOT NULL, version INTEGER NOT NULL, manifest BLOB NOT NULL,
    content INTEGER NOT NULL, size INTEGER NOT NULL, PRIMARY KEY(host, id)
) WITHOUT ROWID;
CREATE TABLE blob_part(id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE trash(host INTEGER PRIMARY KEY);
CREATE TABLE invitation(
    digest BLOB PRIMARY KEY, uses INTEGER NOT NULL, used INTEGER NOT NULL, made_s INTEGER NOT NULL,
    expires_s INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE invited(digest BLOB NOT NULL, key BLOB NOT NULL, PRIMARY KEY(digest, key)) WITHOUT ROWID;
CREATE TABLE access(key BLOB PRIMARY KEY, rule INTEGER NOT NULL) WITHOUT ROWID;
"""

PARTS: Final = 256
"""Numbers kept free for the parts of each content: 2^26 bytes in parts of `kept.PART_BYTES`."""

_HOSTED: Final = (
    "SELECT id, host, state, due_s, quota, retention, max_blob, digest, used, blobs FROM hosted "
    "WHERE tag = ? AND key = ?"
)
_terms = lru_cache(maxsize=256)(Terms)  # most identities have the same
_BLOB: Final = "SELECT version, manifest, content, size FROM blob WHERE host = ? AND id = ?"
_STATES: Final = {state.value: state for state in Kept}  # asking the enumeration takes ten times as long
_PART: Final = "SELECT data FROM blob_part WHERE id = ?"
_MANIFESTS: Final = "SELECT manifest FROM blob WHERE host = ? AND id > ? ORDER BY id LIMIT ?"
_RULE: Final = "SELECT rule FROM access WHERE key = ?"


def find_hosted(cursor: apsw.Cursor, key: bytes) -> Hosted | None:
    """Return how an identity is hosted, or None."""
    row = cursor.execute(_HOSTED, (tag_of(key), key)).get
    if row is None:
        return None
    row_id, host_id, state, due_s, quota, retention, max_blob, digest, used, blobs = row
    return Hosted(row_id, host_id, _STATES[state], due_s, _terms(quota, retention, max_blob), digest, used, blobs)


def find_blob(cursor: apsw.Cursor, host_id: int, blob_id: bytes) -> StoredBlob | None:
    """Return a blob, or None."""
    row = cursor.execute(_BLOB, (host_id, blob_id)).get
    return StoredBlob(*row) if row is not None else None


def find_part(cursor: apsw.Cursor, content_id: int, number: int) -> bytes | None:
    """Return a part of a content, or None."""
    data: bytes | None = cursor.execute(_PART, (content_id * PARTS + number,)).get
    return data


def find_manifests(cursor: apsw.Cursor, host_id: int, after: bytes | None, limit: int) -> list[bytes]:
    """Return manifests ascending by blob id, from the one that follows `after`."""
    rows = cursor.execute(_MANIFESTS, (host_id, after if after is not None else b"", limit))
    return [manifest for (manifest,) in rows]


def find_rule(cursor: apsw.Cursor, key: bytes) -> Rule | None:
    """Return what the operator decided about an identity, or None."""
    number = cursor.execute(_RULE, (key,)).get
    return Rule(number) if number is not None else None


_WRONG_SUMS: Final = """
SELECT 1 FROM hosted LEFT JOIN (SELECT host, sum(size) AS size, count(*) AS number FROM blob GROUP BY host) AS kept
ON kept.host = hosted.host
WHERE used != ifnull(size, 0) OR blobs != ifnull(number, 0) LIMIT 1
"""
_WRONG_CONTENT: Final = """
SELECT 1 FROM blob WHERE size != ifnull(
    (SELECT sum(length(data)) FROM blob_part WHERE id BETWEEN content * 256 AND content * 256 + 255 AND content > 0), 0
) LIMIT 1
"""


def is_consistent(connection: apsw.Connection) -> bool:
    """Tell whether what is counted for each identity is there, and each blob's content is whole."""
    return all(connection.execute(query).get is None for query in (_WRONG_SUMS, _WRONG_CONTENT))
