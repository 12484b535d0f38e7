"""The public half of the wallet as a whole, what it remembers of others, and the wallet in one line.

Spec: docs/spec/wallet-state.md, "Public half".
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from operator import attrgetter

from walletcli.core.record import MAX_FILE_BYTES
from walletcli.errors import FormatError
from walletcli.wallet.state.fields import Fields
from walletcli.wallet.state.kept_splits import MAX_SPLITS, KeptSplit
from walletcli.wallet.state.view import IdentityView, unknown_identity

MAX_SEEN_RECORD_BYTES = 10_000
"""Longest record (file form) that is kept of somebody else's identity: a document of 8192 bytes fits. Of a longer one,
`seq` and hash are; but one with approvers is always kept, for who follows a later one depends on it."""

_WHAT = "wallet-view"


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest that this wallet has verified of somebody's identity.

    Attributes:
        seq: highest `seq`.
        document_hash: SHA-256 of its document (32 bytes), or None for a packet that names none.
        record: the record itself (file form), or None where it was too long to keep.
        waiting: a change of approvers that nobody approved (32 bytes) and the day of its first sight; or None.
    """

    seq: int
    document_hash: bytes | None
    record: bytes | None
    waiting: tuple[bytes, int] | None = None

    def is_completed_by(self, other: Seen) -> bool:
        """Tell whether `other` is the same state with a record or approvals that lack here, or what is waited for."""
        same = (self.seq, self.document_hash) == (other.seq, other.document_hash)
        has_more = other.record is not None and other.record != self.record
        return same and (has_more or (other.waiting is not None and other.waiting != self.waiting))

    def completed_by(self, other: Seen) -> Seen:
        """Return `other`; of the same state, what another program has kept meanwhile is not forgotten."""
        if (self.seq, self.document_hash) != (other.seq, other.document_hash):
            return other
        return replace(other, record=other.record or self.record, waiting=other.waiting or self.waiting)

    def to_row(self, identity: bytes) -> list[object]:
        """Return the CBOR list that stands for what was seen of `identity`."""
        return [identity, self.seq, self.document_hash, self.record, *(self.waiting or ())]

    @classmethod
    def from_row(cls, value: object, what: str) -> tuple[bytes, Seen]:
        """Read the list that `to_row` wrote; raises FormatError ``WHAT.malformed``."""
        row = Fields.of_row(value, what)
        identity = row.raw(0, 32)
        waiting = (row.raw(4, 32), row.integer(5)) if row.has(4) else None
        seen = cls(row.integer(1), row.optional_raw(2, 32), row.optional_raw(3, max_bytes=MAX_FILE_BYTES), waiting)
        row.end()
        return identity, seen


@dataclass(frozen=True, slots=True)
class WalletView:
    """The public half of the wallet.

    Attributes:
        scheme: restore scheme, such as ``walletcli``.
        language: language of the mnemonic (its words are nowhere).
        word_count: number of words of the mnemonic.
        check: 16 bytes; the same words and passphrase give the same value.
        created_day: days since 1970-01-01 UTC; never published.
        restored: made from words that were in use before.
        identities: in order of their index.
        seen: newest `seq` and document of other identities, by public key.
        splits: what was signed twice with one `seq`, by anybody; the oldest first, at most `MAX_SPLITS`.
        watch: the root keys are elsewhere. Then `language` is empty and `word_count` 0: nobody knows the words here;
            `check` is empty until the first answer of the machine that has them.

    Raises:
        FormatError: ``wallet-view.malformed`` if what is said of the words does not fit `watch`.
    """

    scheme: str
    language: str
    word_count: int
    check: bytes
    created_day: int
    restored: bool
    identities: tuple[IdentityView, ...]
    seen: dict[bytes, Seen]
    watch: bool = False
    splits: tuple[KeptSplit, ...] = ()

    def __post_init__(self) -> None:
        if self.watch:
            fits = not self.language and not self.word_count and len(self.check) in (0, 16)
        else:
            fits = bool(self.language) and 12 <= self.word_count <= 24 and len(self.check) == 16
        if not fits:
            raise FormatError(f"{_WHAT}.malformed", f"malformed {_WHAT}: what it says of the words")

    def by_index(self, index: int) -> IdentityView:
        """Return the identity with this index.

        Raises:
            InputError: ``identity.unknown``.
        """
        at = bisect_left(self.identities, index, key=attrgetter("index"))
        if at == len(self.identities) or self.identities[at].index != index:
            raise unknown_identity(f"index {index}")
        return self.identities[at]

    def to_cbor(self) -> dict[int, object]:
        """Return the CBOR map of the public half."""
        fields: dict[int, object] = {
            1: self.scheme,
            2: self.language,
            3: self.word_count,
            4: self.check,
            5: self.created_day,
            6: self.restored,
            7: [identity.encoded() for identity in self.identities],
            8: [seen.to_row(key) for key, seen in sorted(self.seen.items(), key=lambda item: item[0])],
        }
        if self.watch:
            fields[10] = True
        if self.splits:
            fields[14] = [split.to_row() for split in self.splits]
        return fields

    @classmethod
    def from_cbor(cls, value: object) -> WalletView:
        """Read the CBOR map of the public half.

        Raises:
            FormatError: ``wallet-view.malformed``.
        """
        fields = Fields(value, _WHAT)
        view = cls(
            scheme=fields.text(1),
            language=fields.text(2),
            word_count=fields.integer(3, 0, 24),
            check=fields.raw(4, max_bytes=16),
            created_day=fields.integer(5),
            restored=fields.flag(6),
            identities=tuple(IdentityView.from_cbor(item) for item in fields.items(7)),
            seen=fields.keyed_rows(8, lambda item: Seen.from_row(item, _WHAT)),
            watch=fields.present(10),
            splits=_splits(fields) if fields.has(14) else (),
        )
        fields.end()
        return view


def _splits(fields: Fields) -> tuple[KeptSplit, ...]:
    found = tuple(KeptSplit.from_row(item, _WHAT) for item in fields.items(14))
    if not 1 <= len(found) <= MAX_SPLITS:
        raise FormatError(f"{_WHAT}.malformed", f"malformed {_WHAT}: no splits, or too many")
    return found


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The public half of the wallet at one generation of the vault."""

    generation: int
    wallet: WalletView


@dataclass(frozen=True, slots=True)
class WalletFacts:
    """The wallet in one line, without its identities.

    Attributes:
        scheme: restore scheme.
        language: language of the mnemonic.
        word_count: number of words of the mnemonic.
        check: 16 bytes that the same words and passphrase always give.
        created_day: days since 1970-01-01 UTC.
        restored: made from words that were in use before.
        identity_count: how many identities it holds.
        generation: how often the vault has been written.
        watch: the root keys are elsewhere; language, number of words and check may not be known.
    """

    scheme: str
    language: str
    word_count: int
    check: bytes
    created_day: int
    restored: bool
    identity_count: int
    generation: int
    watch: bool = False

    def to_cbor(self) -> list[object]:
        """Return the row that the agent sends."""
        head: list[object] = [self.scheme, self.language, self.word_count, self.check]
        return [*head, self.created_day, self.restored, self.identity_count, self.generation, self.watch]

    @classmethod
    def from_cbor(cls, value: object) -> WalletFacts:
        """Read the row that the agent sends.

        Raises:
            FormatError: ``wallet-view.malformed``.
        """
        row = Fields.of_row(value, _WHAT)
        facts = cls(
            row.text(0),
            row.text(1),
            row.integer(2),
            row.raw(3, max_bytes=16),
            row.integer(4),
            row.flag(5),
            row.integer(6),
            row.integer(7),
            row.flag(8),
        )
        row.end()
        return facts

    def to_json(self) -> dict[str, object]:
        """Return the fields, the check value in hex; null for what a watch wallet does not know."""
        return {
            "watch": self.watch,
            "scheme": self.scheme,
            "language": self.language or None,
            "word_count": self.word_count or None,
            "check": self.check.hex() or None,
            "created_day": self.created_day,
            "restored": self.restored,
            "identities": self.identity_count,
            "generation": self.generation,
        }
