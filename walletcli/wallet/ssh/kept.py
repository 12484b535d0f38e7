"""Signatures that this wallet has found good, so that they still count after the device has gone.

Spec: docs/spec/ssh.md, "Signature files".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from walletcli.core import cbor
from walletcli.core.ssh.sshsig import SshSignature
from walletcli.wallet.access.session import Session
from walletcli.wallet.state.changes import PutDrawer
from walletcli.wallet.state.fields import Fields

DRAWER = "signatures"
"""Drawer of the wallet that holds them."""

MAX_KEPT = 10_000
"""Most signatures that are kept; the oldest go first."""

MAX_BYTES = 1 << 20
"""Longest drawer."""

_WHAT = "kept-signatures"


@dataclass(frozen=True, slots=True)
class KeptSignature:
    """A signature that was good.

    Attributes:
        mark: 32 bytes that stand for signature and file.
        identity: whose it was, root public key, 32 bytes.
        day: when it was first verified, days since 1970-01-01 UTC.
    """

    mark: bytes
    identity: bytes
    day: int


def mark_of(signature: SshSignature, digest: bytes) -> bytes:
    """Return the 32 bytes that stand for a signature and its file's hash."""
    return hashlib.sha256(signature.to_blob() + digest).digest()


def to_bytes(kept: list[KeptSignature]) -> bytes:
    """Encode the drawer."""
    return cbor.encode([[item.mark, item.identity, item.day] for item in kept])


def from_bytes(data: bytes) -> list[KeptSignature]:
    """Decode the drawer.

    Raises:
        FormatError: ``kept-signatures.malformed``, ``cbor.*``.
    """
    rows = Fields.of_row([cbor.decode(data, MAX_BYTES)], _WHAT).items(0)
    return [_row(item) for item in rows]


def _row(item: object) -> KeptSignature:
    row = Fields.of_row(item, _WHAT)
    kept = KeptSignature(row.raw(0, 32), row.raw(1, 32), row.integer(2))
    row.end()
    return kept


def kept_day(session: Session, signature: SshSignature, digest: bytes, identity: bytes) -> int | None:
    """Return the day on which this wallet found a signature good, or None if it did not keep it."""
    mark = mark_of(signature, digest)
    found = (item.day for item in _read(session)[0] if (item.mark, item.identity) == (mark, identity))
    return next(found, None)


def keep(session: Session, signature: SshSignature, digest: bytes, identity: bytes, day: int) -> None:
    """Remember that a signature was good on a day, unless an earlier one is remembered."""
    kept, before = _read(session)
    new = KeptSignature(mark_of(signature, digest), identity, day)
    if any((item.mark, item.identity) == (new.mark, identity) for item in kept):
        return
    data = to_bytes([*kept, new][-MAX_KEPT:])
    session.put_drawers(PutDrawer(None, DRAWER, data, hashlib.sha256(before).digest() if before is not None else None))


def _read(session: Session) -> tuple[list[KeptSignature], bytes | None]:
    data = session.drawer(None, DRAWER)
    return (from_bytes(data) if data is not None else []), data
