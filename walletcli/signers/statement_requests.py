"""Statements that a root key may be asked to sign by somebody who cannot reach it: typed, and told in plain language.

Spec: docs/spec/request.md, "What is shown"; docs/spec/cose.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from walletcli.core.card import Card
from walletcli.core.contact_export import ContactExport
from walletcli.core.identity_id import IdentityId
from walletcli.core.relation import Relation
from walletcli.errors import SignerError
from walletcli.signers.requests import date_of, plain_line

MAX_NAMED = 20
"""Most contacts of an export whose names are shown."""

Statement = Card | ContactExport | Relation
"""What a root signs in this way."""


@dataclass(frozen=True, slots=True)
class StatementRequest:
    """Asks a root key to sign a statement.

    Attributes:
        identity: root public key that is to sign, 32 bytes.
        statement: what it is to say.

    Raises:
        SignerError: ``statement.identity`` if the statement is not one of that identity.
    """

    identity: bytes
    statement: Statement

    def __post_init__(self) -> None:
        statement = self.statement
        parties = statement.parties if isinstance(statement, Relation) else (statement.identity,)
        if self.identity not in parties:
            raise SignerError("statement.identity", "the statement is not one of this identity")

    @classmethod
    def of(cls, identity: bytes, typ: str, payload: bytes) -> StatementRequest:
        """Decode a payload as what its type says.

        Raises:
            SignerError: ``statement.unknown``, ``statement.identity``.
            FormatError: what the payload's form ends in.
        """
        decode: dict[str, Callable[[bytes], Statement]] = {
            Card.TYP: Card.from_payload,
            ContactExport.TYP: ContactExport.from_payload,
            Relation.TYP: Relation.from_payload,
        }
        if typ not in decode:
            raise SignerError(
                "statement.unknown",
                "a root key that is asked from elsewhere signs no statements of this type",
                "a device of the identity signs the others",
            )
        return cls(identity, decode[typ](payload))

    def describe(self) -> list[str]:
        """Return what signing would do, one fact a line, ASCII only, for a person who decides."""
        did = IdentityId(self.identity).did
        statement = self.statement
        if isinstance(statement, Card):
            lines = [f"sign a contact card of {did}", *_attributes(statement.attributes)]
            lines += [f"points to {hint}" for hint in statement.hints]
            lines.append(_days(statement.day, statement.not_after_day))
        elif isinstance(statement, Relation):
            other = IdentityId(statement.other_side(self.identity)).did
            lines = [f"say as {did} that it knows {other}", _days(statement.day, statement.not_after_day)]
        else:
            lines = [f"sign a list of {len(statement.entries)} contact(s) of {did}", f"made {date_of(statement.day)}"]
            named = statement.entries[:MAX_NAMED]
            lines += [f"contact {entry.name}: {IdentityId(entry.key).did}" for entry in named]
            if len(named) < len(statement.entries):
                lines.append(f"and {len(statement.entries) - len(named)} more")
        return [plain_line(line) for line in lines]


def _attributes(attributes: Mapping[str, Any]) -> list[str]:
    return [f"says {name} = {value}" for name, value in sorted(attributes.items())]


def _days(first: int, end: int) -> str:
    return f"made {date_of(first)}, holds until {date_of(end)}"
