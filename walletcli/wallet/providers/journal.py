"""How far a migration has come: what the vault remembers until the identity has left its old provider.

Spec: docs/spec/migration.md, "Journal".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from walletcli.core.document_parts import LAST_DAY
from walletcli.errors import FormatError, InputError
from walletcli.net.addresses import MAX_ADDRESS_CHARS, NodeAddress
from walletcli.wallet.providers.move_report import WHAT, MoveReport
from walletcli.wallet.state.fields import Fields
from walletcli.wallet.state.view import MAX_GRANT_BYTES

MAX_GRANTS: Final = 16
"""As many as a document holds."""


class Stage(IntEnum):
    """What is done."""

    GRANTED = 1
    """the new provider's grant is decided; the next document has it, and not the old one's"""
    COPIED = 2
    """the data is at the new provider, read back; the report is complete"""
    TOLD = 3
    """the document is on the relays, and the old provider has been told if it answers"""
    ABORTING = 4
    """the grants from before are decided again"""


@dataclass(frozen=True, slots=True)
class Journal:
    """A migration under way.

    Attributes:
        stage: what is done.
        old: root key of the provider that is left, 32 bytes.
        new: root key of the new one, 32 bytes.
        address: of the new one, canonical.
        grant: of the new one.
        before: the grants that the next document had before.
        day: when it began, days since 1970-01-01 (UTC).
        was_bound: whether the new one was bound before, as the exit kit.
        report: what became of the data; None before everything has been copied.
    """

    stage: Stage
    old: bytes
    new: bytes
    address: str
    grant: bytes
    before: tuple[bytes, ...]
    day: int
    was_bound: bool = False
    report: MoveReport | None = None

    def __post_init__(self) -> None:
        if self.old == self.new or len(self.before) > MAX_GRANTS:
            raise _malformed("a journal that cannot be")
        if self.stage in (Stage.COPIED, Stage.TOLD) and self.report is None:
            raise _malformed("a journal of copied data without its report")

    def to_row(self) -> list[object]:
        """Return the CBOR list that stands for the journal."""
        return [
            int(self.stage),
            self.old,
            self.new,
            self.address,
            self.grant,
            list(self.before),
            self.day,
            self.was_bound,
            self.report.to_row() if self.report is not None else None,
        ]

    @classmethod
    def from_row(cls, value: object) -> Journal:
        """Read the list that `to_row` wrote; raises FormatError ``provider-book.malformed``."""
        row = Fields.of_row(value, WHAT)
        stage = Stage(row.integer(0, Stage.GRANTED, Stage.ABORTING))
        old, new, address = row.raw(1, 32), row.raw(2, 32), checked_address(row.text(3, MAX_ADDRESS_CHARS))
        grant = row.raw(4, max_bytes=MAX_GRANT_BYTES)
        before = row.raws(5, max_bytes=MAX_GRANT_BYTES)
        day, was_bound = row.integer(6, 0, LAST_DAY), row.flag(7)
        report = _report(row)
        row.end()
        return cls(stage, old, new, address, grant, before, day, was_bound, report)


def checked_address(text: str) -> str:
    """Return the canonical text of an address; raises FormatError ``provider-book.malformed`` for any other."""
    try:
        canonical = NodeAddress.from_text(text).to_text()
    except InputError as error:
        raise _malformed(f"an address: {error.message}") from error
    if canonical != text:
        raise _malformed("an address is not in its canonical form")
    return text


def _report(row: Fields) -> MoveReport | None:
    if row.has(8):
        return MoveReport.from_row(row.items(8))
    row.optional_raw(8)
    return None


def _malformed(why: str) -> FormatError:
    return FormatError(f"{WHAT}.malformed", f"malformed {WHAT}: {why}")
