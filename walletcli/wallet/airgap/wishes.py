"""What an online wallet may want a root to sign besides records: contact cards, and its list of contacts."""

from __future__ import annotations

from collections.abc import Sequence

from walletcli.core.card import Card
from walletcli.core.contact_export import ContactExport
from walletcli.core.identity_id import IdentityId
from walletcli.wallet.access.session import Session
from walletcli.wallet.airgap.making import StatementWish
from walletcli.wallet.contacts.cards import draft_card
from walletcli.wallet.contacts.exporting import draft_export
from walletcli.wallet.splits.healing import decide_to_heal
from walletcli.wallet.state.lookup import find


def card_wish(session: Session, who: str, names: Sequence[str] = (), *, accept_link: bool = False) -> StatementWish:
    """Return the wish for a contact card.

    Args:
        session: the open wallet.
        who: label or id.
        names: attributes of its profile to put in, beside the public name.
        accept_link: go ahead where this ties identities together; remembered.

    Raises:
        InputError: ``identity.unknown``, ``attribute.unknown``, ``record.none``, ``link.would-link``.
    """
    _, card = draft_card(session, who, names, accept_link=accept_link)
    return StatementWish(who, Card.TYP, card.to_payload())


def healing_wish(session: Session, paths: Sequence[str]) -> tuple[str, ...]:
    """Decide that the next records heal what proof files show; return whose records are to be asked for, as did:key.

    Raises:
        WalletError: as `decide_to_heal`.
    """
    return tuple(IdentityId(identity.public_key).did for identity in decide_to_heal(session, paths))


def export_wish(session: Session, who: str) -> StatementWish:
    """Return the wish for a list of all contacts of an identity, which its owner alone will read.

    Raises:
        InputError: ``identity.unknown``.
        FormatError: ``contact-export.too-long``.
    """
    identity = find(session.snapshot().wallet, who)
    return StatementWish(who, ContactExport.TYP, draft_export(session, identity))
