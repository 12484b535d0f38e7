"""Who may be hosted: invitations, and identities that are allowed or blocked; from the shell, beside a running node.

Each change is one short transaction of its own in the store, which the running node sees with its next look: there is
nothing to restart or to reload.

Spec: docs/spec/hosting.md, "Who is hosted".
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import apsw

from walletcli.core.identity_id import IdentityId
from walletcli.errors import InputError, WalletError
from walletcli.node.config import Config
from walletcli.node.directory import NodeDirectory
from walletcli.node.hosting.batch import HostBatch
from walletcli.node.hosting.kept import Rule
from walletcli.node.sqlite_file import open_writer, storage_error
from walletcli.node.status import open_for_reading

MAX_USES: Final = 100_000
MAX_DAYS: Final = 3650
MAX_INVITATIONS: Final = 100_000
"""How many invitations a node can have open at once."""

_DAY_S: Final = 86_400
_TOKEN_BYTES: Final = 18
_BUSY_MS: Final = 20_000
_NAME: Final = re.compile(r"[0-9a-f]{12}")
_SET_RULE: Final = "INSERT INTO access VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET rule = ?2"
_INVITATIONS: Final = "SELECT digest, uses, used, made_s, expires_s FROM invitation ORDER BY made_s, digest"


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation as the operator sees it; the token itself is nowhere kept.

    Attributes:
        name: first 12 hexadecimal digits of the SHA-256 of the token.
        uses: how many identities it is good for.
        used: how many have used it.
        made_s: when it was made, Unix seconds.
        expires_s: when it ends, Unix seconds.
    """

    name: str
    uses: int
    used: int
    made_s: int
    expires_s: int

    def to_json(self) -> dict[str, object]:
        """Return the same for scripts."""
        return {
            "name": self.name,
            "uses": self.uses,
            "used": self.used,
            "made_s": self.made_s,
            "expires_s": self.expires_s,
        }


def invite(directory: Path, uses: int, days: int) -> tuple[str, Invitation]:
    """Make an invitation.

    Args:
        directory: the node's.
        uses: how many identities it is good for, 1 to 100,000.
        days: for how long, 1 to 3650.

    Returns:
        The token, which is not kept, and the invitation.

    Raises:
        InputError: ``hosting.range``, ``hosting.too-many``.
        StorageError: ``node.missing``, ``storage.*``.
    """
    if not 1 <= uses <= MAX_USES or not 1 <= days <= MAX_DAYS:
        hint = "choose numbers in these ranges; for everybody, set the policy in node.toml to open"
        raise InputError("hosting.range", f"an invitation has 1 to {MAX_USES} uses and 1 to {MAX_DAYS} days", hint)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    digest = hashlib.sha256(token.encode()).digest()
    now_s = int(time.time())
    made = Invitation(_name(digest), uses, 0, now_s, now_s + days * _DAY_S)
    with _writing(directory) as cursor:
        if (cursor.execute("SELECT count(*) FROM invitation").get or 0) >= MAX_INVITATIONS:
            raise InputError(
                "hosting.too-many",
                f"there are {MAX_INVITATIONS} invitations already",
                "remove some, or raise their uses",
            )
        cursor.execute("INSERT INTO invitation VALUES(?, ?, 0, ?, ?)", (digest, uses, now_s, made.expires_s))
    return token, made


def allow(directory: Path, identities: Sequence[str]) -> list[str]:
    """Let identities have a grant without an invitation; who was blocked is so no more.

    Args:
        directory: the node's.
        identities: in any of the forms of an id.

    Returns:
        Their did:keys.

    Raises:
        InputError: ``identity.*``.
        StorageError: ``node.missing``, ``storage.*``.
    """
    return _set_rule(directory, identities, Rule.ALLOWED)


def block(directory: Path, identities: Sequence[str]) -> list[str]:
    """Give identities no grant; those that are hosted are leaving from now on, as if they had gone; as `allow`."""
    return _set_rule(directory, identities, Rule.BLOCKED)


def remove(directory: Path, names: Sequence[str]) -> list[str]:
    """Take back what `invite`, `allow` and `block` have set; grants that were given stay.

    Args:
        directory: the node's.
        names: names of invitations, and identities.

    Returns:
        The names and did:keys that were removed.

    Raises:
        InputError: ``hosting.unknown``, ``identity.*``; nothing is removed then.
        StorageError: ``node.missing``, ``storage.*``.
    """
    with _writing(directory) as cursor:
        return [
            _remove_invitation(cursor, name) if _NAME.fullmatch(name) else _remove_rule(cursor, name) for name in names
        ]


def listing(directory: Path) -> dict[str, object]:
    """Return policy and terms, the invitations, and who is allowed or blocked.

    Raises:
        StorageError: ``node.missing``, ``node.unreadable``, ``storage.*``.
        InputError: ``config.*``.
    """
    files = NodeDirectory(directory)
    files.check()
    hosting = Config.from_file(files.config).hosting
    found: dict[str, list[object]] = {"invitations": [], "allowed": [], "blocked": []}
    if files.store.exists():
        try:
            with contextlib.closing(open_for_reading(files.store, files.is_locked())) as connection:
                _read(connection, found)
        except apsw.Error as error:
            raise storage_error(error) from error
    running = files.read_run_state() if files.is_locked() else {}
    policy = running.get("hosting") or hosting.policy.value
    return {"policy": policy, "terms": hosting.terms.to_json(), **found}


def _read(connection: apsw.Connection, found: dict[str, list[object]]) -> None:
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'access'").get is None:
        return  # a store of the version before, not opened since
    now_s = int(time.time())
    for digest, *numbers in connection.execute(_INVITATIONS):
        invitation = Invitation(_name(digest), *numbers)
        if invitation.expires_s > now_s:
            found["invitations"].append(invitation.to_json())
    names = {Rule.ALLOWED: "allowed", Rule.BLOCKED: "blocked"}
    for key, rule in connection.execute("SELECT key, rule FROM access ORDER BY key"):
        found[names[Rule(rule)]].append(IdentityId(key).did)


def _set_rule(directory: Path, identities: Sequence[str], rule: Rule) -> list[str]:
    found = [IdentityId.from_text(text) for text in identities]
    now_s = int(time.time())
    with _writing(directory) as cursor:
        counted = _Counted(cursor)
        batch = HostBatch(cursor, counted.change, counted.read)
        for identity in found:
            cursor.execute(_SET_RULE, (identity.public_key, rule.value))
            if rule is Rule.BLOCKED:
                batch.leave(identity.public_key, now_s)
    return [identity.did for identity in found]


def _remove_invitation(cursor: apsw.Cursor, name: str) -> str:
    low = bytes.fromhex(name)
    digest = cursor.execute(
        "SELECT digest FROM invitation WHERE digest >= ? AND digest <= ? LIMIT 1", (low, low + b"\xff" * 26)
    ).get
    if digest is None:
        raise _unknown(name)
    cursor.execute("DELETE FROM invitation WHERE digest = ?", (digest,))
    cursor.execute("DELETE FROM invited WHERE digest = ?", (digest,))
    return name


def _remove_rule(cursor: apsw.Cursor, name: str) -> str:
    try:
        identity = IdentityId.from_text(name)
    except WalletError:
        raise _unknown(name) from None
    if not cursor.execute("DELETE FROM access WHERE key = ? RETURNING 1", (identity.public_key,)).fetchall():
        raise _unknown(name)
    return identity.did


def _unknown(name: str) -> InputError:
    return InputError(
        "hosting.unknown",
        f"{name!r} is no invitation here, and nobody who was allowed or blocked",
        "see: walletcli node list DIR",
    )


def _name(digest: bytes) -> str:
    return digest[:6].hex()


@contextlib.contextmanager
def _writing(directory: Path) -> Iterator[apsw.Cursor]:
    """Give a cursor inside a transaction of the node's store, running or not; committed if all goes well."""
    files = NodeDirectory(directory)
    files.check()
    with contextlib.ExitStack() as stack:
        if not files.is_locked():
            stack.enter_context(files.locked())
        try:
            connection = stack.enter_context(contextlib.closing(open_writer(files.store)))
            connection.set_busy_timeout(_BUSY_MS)
            connection.execute("BEGIN IMMEDIATE")  # closing the connection without COMMIT rolls back
            yield connection.cursor()
            connection.execute("COMMIT")
        except (apsw.Error, OSError) as error:
            raise storage_error(error) from error


class _Counted:
    """The store's counts, changed at once."""

    def __init__(self, cursor: apsw.Cursor) -> None:
        self._cursor = cursor

    def change(self, name: str, change: int) -> None:
        """Change a count by a difference."""
        self._cursor.execute(
            "INSERT INTO count(name, value) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET value = value + ?2",
            (name, change),
        )

    def read(self, name: str) -> int:
        """Return a count."""
        return cast("int", self._cursor.execute("SELECT value FROM count WHERE name = ?", (name,)).get or 0)
