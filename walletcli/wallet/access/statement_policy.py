"""Which statements the open wallet signs for a program of its user, and with which key.

A payload is decoded as what its type says, so nothing that cannot be parsed is ever signed.

Spec: docs/spec/agent.md, "What is signed"; docs/spec/cose.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from walletcli.errors import SignerError
from walletcli.wallet.state.view import IdentityView

if TYPE_CHECKING:
    from walletcli.core.card import Card
    from walletcli.core.contact_export import ContactExport
    from walletcli.core.grant_request import GrantRequest
    from walletcli.core.login import Login
    from walletcli.core.manifest import Manifest
    from walletcli.core.relation import Relation

    Statement = Card | ContactExport | GrantRequest | Login | Manifest | Relation


@dataclass(frozen=True, slots=True)
class _Rule:
    parties: tuple[bytes, ...]
    by_device: bool
    by_root: bool


@cache
def _rules() -> dict[str, tuple[Callable[[bytes], Statement], Callable[[Any], _Rule]]]:
    """Return decoder and rule by type; made when the first statement is signed, for it loads every format."""
    from walletcli.core.card import Card
    from walletcli.core.contact_export import ContactExport
    from walletcli.core.grant_request import GrantRequest
    from walletcli.core.login import Login
    from walletcli.core.manifest import Manifest
    from walletcli.core.relation import Relation

    def both(of: Card | ContactExport) -> _Rule:
        return _Rule((of.identity,), by_device=True, by_root=True)

    def device(of: GrantRequest | Manifest) -> _Rule:
        return _Rule((of.identity,), by_device=True, by_root=False)

    def relation(of: Relation) -> _Rule:
        return _Rule(of.parties, by_device=True, by_root=True)

    def login(of: Login) -> _Rule:
        return _Rule((of.identity,), by_device=not of.by_root, by_root=of.by_root)

    return {
        Card.TYP: (Card.from_payload, both),
        ContactExport.TYP: (ContactExport.from_payload, both),
        GrantRequest.TYP: (GrantRequest.from_payload, device),
        Login.TYP: (Login.from_payload, login),
        Manifest.TYP: (Manifest.from_payload, device),
        Relation.TYP: (Relation.from_payload, relation),
    }


def check_statement(typ: str, payload: bytes, identity: IdentityView, *, by_root: bool) -> None:
    """Check that the wallet signs this statement without asking anybody.

    Args:
        typ: type of the statement.
        payload: its content.
        identity: who is to sign.
        by_root: with the root key; otherwise with this device's.

    Raises:
        SignerError: ``statement.unknown``, ``statement.identity``, ``statement.by-root`` or ``statement.by-device``.
        FormatError: what the payload's form ends in.
    """
    found = _rules().get(typ)
    if found is None:
        raise SignerError("statement.unknown", "there is no statement of this type that a wallet signs")
    decode, rule_of = found
    rule = rule_of(decode(payload))
    if identity.public_key not in rule.parties:
        raise SignerError("statement.identity", "the statement is not one of this identity")
    if by_root and not rule.by_root:
        raise SignerError("statement.by-root", "the root key does not sign statements of this type")
    if not by_root and not rule.by_device:
        raise SignerError("statement.by-device", "only the root key signs this statement", "sign it with the root")
