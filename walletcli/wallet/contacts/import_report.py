"""What came of an import: counts, and each thing that was not taken, with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field

from walletcli.core.identity_id import IdentityId
from walletcli.errors import PartialError, WalletError
from walletcli.wallet.contacts.lookup import contact_id_text


@dataclass(frozen=True, slots=True)
class Dropped:
    """Something of a contact that was not taken, though the contact was.

    Attributes:
        contact: its name.
        contact_id: its id.
        error: why.
    """

    contact: str
    contact_id: bytes
    error: WalletError


@dataclass(frozen=True, slots=True)
class Conflict:
    """Something that the book and the file say differently.

    Attributes:
        contact: the contact's name in the book.
        contact_id: its id.
        field: ``name``, ``safety words``, or the name of an attribute.
        kept: what the book says from now on.
        other: what it does not.
    """

    contact: str
    contact_id: bytes
    field: str
    kept: str
    other: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A vCard that was refused.

    Attributes:
        number: its place in the file, from 1.
        error: why.
    """

    number: int
    error: WalletError


@dataclass(slots=True)
class Imported:
    """What came of an import.

    Attributes:
        signer: whose list it is (root key of 32 bytes), or None for vCards, which nobody has signed.
        is_own: whether it is the list of the very identity that imports it.
        added: how many contacts are new.
        changed: how many were there and know more now.
        unchanged: how many were there and have nothing new.
        skipped: how many were left alone because they are blocked, or are the identity itself.
        dropped: cards and relations that were not taken.
        conflicts: what was not overwritten, or was on demand.
        refused: vCards that were refused.
        left_out: names of vCard properties that there is no place for, with how often they were met.
        warnings: what should make one look twice.
    """

    signer: bytes | None = None
    is_own: bool = False
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    skipped: int = 0
    dropped: list[Dropped] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def shortfall(self) -> PartialError | None:
        """What to end with after the answer: nothing of the file could be taken; None if anything could."""
        if not self.refused or self.added or self.changed or self.unchanged or self.skipped:
            return None
        return PartialError(
            "contact.none-taken",
            f"no contact was taken: {len(self.refused)} of {len(self.refused)} cards were refused",
            "the answer says why, card by card: correct them, or export them from their program as vCard 3.0 or 4.0",
        )

    def to_json(self) -> dict[str, object]:
        """Return counts, and each thing that was not taken with its reason."""
        return {
            "signer": IdentityId(self.signer).did if self.signer is not None else None,
            "own": self.is_own,
            "added": self.added,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "skipped": self.skipped,
            "dropped": [
                {"name": item.contact, "id": contact_id_text(item.contact_id), "error": item.error.to_json()}
                for item in self.dropped
            ],
            "conflicts": [
                {
                    "name": item.contact,
                    "id": contact_id_text(item.contact_id),
                    "field": item.field,
                    "kept": item.kept,
                    "other": item.other,
                }
                for item in self.conflicts
            ],
            "refused": [{"number": item.number, "error": item.error.to_json()} for item in self.refused],
            "left_out": dict(sorted(self.left_out.items())),
            "warnings": list(self.warnings),
        }
