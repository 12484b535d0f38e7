"""What a person sees of a request before deciding: values that travel from whoever holds the vault to the terminal.

Spec: docs/spec/request.md, "What is shown".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from walletcli.core.identity_id import IdentityId
from walletcli.core.request_file import RequestFile, digest_words
from walletcli.errors import WalletError
from walletcli.wallet.airgap.alarms import Alarm
from walletcli.wallet.state.fields import Fields

_WHAT = "request-review"

KINDS = {1: "publish", 2: "create", 3: "enrol", 4: "sign", 5: "approve", 6: "offer"}
"""Names of the kinds of items, by number."""


@dataclass(frozen=True, slots=True)
class ItemReview:
    """What one item would do.

    Attributes:
        number: counted from 1.
        kind: one of `KINDS`.
        identity: root key, 32 bytes, or None for one that does not exist yet.
        index: in the key tree, or None if it is not known.
        label: this wallet's own name for it, or the one that is asked for; or None.
        lines: in plain language, printable ASCII.
        alarms: what has to be accepted by itself.
        error: why it cannot be approved: code, message and hint; or None.
        answered: this wallet has signed it before.
    """

    number: int
    kind: str
    identity: bytes | None
    index: int | None
    label: str | None
    lines: tuple[str, ...]
    alarms: tuple[Alarm, ...] = ()
    error: tuple[str, str, str] | None = None
    answered: bool = False

    def to_json(self) -> dict[str, object]:
        """Return everything, the identity as did:key."""
        error = dict(zip(("code", "message", "hint"), self.error, strict=True)) if self.error is not None else None
        return {
            "item": self.number,
            "kind": self.kind,
            "did": IdentityId(self.identity).did if self.identity is not None else None,
            "index": self.index,
            "label": self.label,
            "lines": list(self.lines),
            "alarms": [found.to_json() for found in self.alarms],
            "error": error,
            "answered": self.answered,
        }

    def to_row(self) -> list[object]:
        """Return the row that the agent sends."""
        alarms = [[found.name, found.text] for found in self.alarms]
        error = list(self.error) if self.error is not None else None
        head: list[object] = [self.number, self.kind, self.identity, self.index, self.label, list(self.lines)]
        return [*head, alarms, error, self.answered]

    @classmethod
    def from_row(cls, value: object) -> ItemReview:
        """Read the row that the agent sends."""
        row = Fields.of_row(value, _WHAT)
        item = cls(
            row.integer(0),
            row.text(1),
            row.optional_raw(2, 32),
            row.optional_integer(3),
            row.optional_text(4),
            row.texts(5),
            tuple(_alarm(found) for found in row.items(6)),
            _error(row.texts(7)) if row.has(7) else None,
            row.flag(8),
        )
        return item


def error_parts(error: WalletError) -> tuple[str, str, str]:
    """Return code, message and hint."""
    return error.code, error.message, error.hint


def _alarm(value: object) -> Alarm:
    row = Fields.of_row(value, _WHAT)
    return Alarm(row.text(0), row.text(1))


def _error(texts: Sequence[str]) -> tuple[str, str, str]:
    code, message, hint = texts
    return code, message, hint


@dataclass(frozen=True, slots=True)
class Review:
    """What a request would do.

    Attributes:
        request: the request.
        items: each of its items.
        expired: it no longer holds, by this machine's clock.
        by_root: whoever looked at it holds the root keys; otherwise it was only read.
    """

    request: RequestFile
    items: tuple[ItemReview, ...]
    expired: bool
    by_root: bool

    @property
    def words(self) -> tuple[str, ...]:
        """The 8 words of the digest."""
        return digest_words(self.request.digest)

    def to_json(self) -> dict[str, object]:
        """Return id, digest and its words, days and items."""
        return {
            **request_json(self.request),
            "expired": self.expired,
            "by_root": self.by_root,
            "items": [item.to_json() for item in self.items],
        }

    def to_row(self) -> list[object]:
        """Return the row that the agent sends; the request itself is not in it."""
        return [[item.to_row() for item in self.items], self.expired, self.by_root]

    @classmethod
    def from_row(cls, request: RequestFile, value: object) -> Review:
        """Read the row that the agent sends."""
        row = Fields.of_row(value, _WHAT)
        return cls(request, tuple(ItemReview.from_row(item) for item in row.items(0)), row.flag(1), row.flag(2))


def request_json(request: RequestFile) -> dict[str, object]:
    """Return id, digest and its words, and days."""
    return {
        "id": request.request_id.hex(),
        "digest": request.digest.hex(),
        "digest_words": list(digest_words(request.digest)),
        "made_day": request.made_day,
        "expires_day": request.expires_day,
    }
