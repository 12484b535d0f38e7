"""What a restore has found of the wallet index: a row of its journal.

Spec: docs/spec/recovery.md, "Journal".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from walletcli.core.wallet_index import MAX_SHARDS
from walletcli.wallet.state.fields import Fields
from walletcli.wallet.state.view import MAX_INDEX

_WHAT: Final = "recovery-journal"


@dataclass(frozen=True, slots=True)
class IndexFound:
    """The wallet index, as far as it could be read.

    Attributes:
        answered: independent sources that said what they have of shard 0.
        shards: of how many it consists.
        missing: numbers of those that nobody gave.
        listed: how many identities it names.
        highest: the highest of them, or -1.
        elsewhere: schemes of which it names identities as well.
        near: the lowest that it does not name, which are looked up as well: one of them may be newer than it.
    """

    answered: tuple[str, ...]
    shards: int
    missing: tuple[int, ...]
    listed: int
    highest: int
    elsewhere: tuple[str, ...] = ()
    near: tuple[int, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all shards were read, so that nobody needs to be searched for."""
        return not self.missing

    def to_row(self) -> list[object]:
        """Return the CBOR list that stands for it."""
        numbers = [self.shards, list(self.missing), self.listed, self.highest + 1]
        return [list(self.answered), *numbers, list(self.elsewhere), list(self.near)]

    @classmethod
    def from_row(cls, value: object) -> IndexFound:
        """Read the list that `to_row` wrote; raises FormatError ``recovery-journal.malformed``."""
        row = Fields.of_row(value, _WHAT)
        found = cls(
            row.texts(0),
            row.integer(1, 1, MAX_SHARDS),
            row.number_list(2, 0, MAX_SHARDS),
            row.integer(3),
            row.integer(4, high=MAX_INDEX + 1) - 1,
            row.texts(5),
            row.number_list(6, 0, MAX_INDEX),
        )
        row.end()
        return found

    def to_json(self) -> dict[str, object]:
        """Return the sources, the shards, what is missing, and how many identities it names."""
        return {
            "sources": list(self.answered),
            "shards": self.shards,
            "missing_shards": list(self.missing),
            "identities": self.listed,
            "other_schemes": list(self.elsewhere),
        }
