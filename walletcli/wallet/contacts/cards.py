"""Makes the contact card of one of this wallet's identities.

Spec: docs/spec/contact.md, "Card".
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from walletcli.core.authority import check_authority
from walletcli.core.card import MAX_HINTS, MAX_LINK_CARD_BYTES, Card, CardFile, to_link, verify_card
from walletcli.core.document_parts import Power
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.core.short_record import to_short
from walletcli.errors import InputError, VerificationError
from walletcli.net.addresses import NodeAddress, Scheme
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.links import card_links, plan_file
from walletcli.wallet.contacts.lookup import own_identity
from walletcli.wallet.linkability import FILE_ROUTE
from walletcli.wallet.state.draft import today
from walletcli.wallet.state.view import IdentityView

DEFAULT_DAYS = 365
"""How long a card holds unless its maker says otherwise."""

NAME = "name"
"""The attribute that is the display name."""


@dataclass(frozen=True, slots=True)
class OwnCard:
    """A card of one's own, signed.

    Attributes:
        card: what it says.
        data: its COSE bytes.
        record: the identity's latest record, for readers without a network.
        warnings: what its readers may stumble over.
    """

    card: Card
    data: bytes
    record: Record
    warnings: tuple[str, ...] = ()

    @property
    def link(self) -> str:
        """The card as a link, without the record.

        Raises:
            InputError: ``card.too-long-for-link``.
        """
        return to_link(self.data)

    @property
    def short_link(self) -> str | None:
        """The card as a link, or None if it is too long for one."""
        return self.link if len(self.data) <= MAX_LINK_CARD_BYTES else None

    def to_file(self) -> bytes:
        """Return the card file."""
        return CardFile(self.data, to_short(self.record)).to_bytes()

    def to_json(self) -> dict[str, object]:
        """Return what the card says, and the key that signed it."""
        _, sign1 = verify_card(self.data)
        return {
            "did": IdentityId(self.card.identity).did,
            "attributes": dict(self.card.attributes),
            "day": self.card.day,
            "not_after_day": self.card.not_after_day,
            "hints": list(self.card.hints),
            "signer": sign1.signer.hex(),
            "bytes": len(self.data),
        }


def make_card(
    session: Session,
    who: str | None,
    names: Sequence[str] = (),
    display_name: str | None = None,
    days: int = DEFAULT_DAYS,
    *,
    accept_link: bool = False,
) -> OwnCard:
    """Make and sign a card of an identity.

    Args:
        session: the open wallet.
        who: label or id; None: the only identity of the wallet.
        names: attributes of its profile to put in, public or sealed ones. The public ``name`` is there anyway.
        display_name: what to put in as ``name`` instead; empty: no name.
        days: how long it holds, 1 to 3,653.
        accept_link: go ahead where this ties identities together; remembered for this identity.

    Raises:
        InputError: ``identity.*``, ``attribute.unknown``, ``record.none``, ``link.would-link``.
        UsageError: ``contact.which-identity``.
        FormatError: ``card.*``.
        VerificationError: ``authority.*`` if this device may not sign for the identity now.
    """
    identity, card = draft_card(session, who, names, display_name, days, accept_link=accept_link)
    record = own_record(identity)
    data = session.sign_statement(identity.index, Card.TYP, card.to_payload())
    check_own_device(data, record, card.day)
    return OwnCard(card, data, record, tuple(_warnings(identity)))


def draft_card(
    session: Session,
    who: str | None,
    names: Sequence[str] = (),
    display_name: str | None = None,
    days: int = DEFAULT_DAYS,
    *,
    accept_link: bool = False,
) -> tuple[IdentityView, Card]:
    """Return an identity, and what a card of it says, before anybody signs it; arguments and errors as `make_card`."""
    wallet = session.snapshot().wallet
    identity = own_identity(wallet, who)
    attributes = _chosen(identity, names, display_name)
    plan_file(session, identity, card_links(wallet, identity, attributes), accept=accept_link)
    own_record(identity)
    day = today(time.time())
    return identity, Card(identity.public_key, attributes, day, day + days, _hints(identity))


def own_record(identity: IdentityView) -> Record:
    """Return the latest record of an identity of this wallet, which others need to check its devices.

    Raises:
        InputError: ``record.none``.
    """
    if identity.record is None:
        raise InputError(
            "record.none",
            f"nothing has been signed of {identity.label!r} yet, so nobody could check who signs for it",
            f"walletcli publish {identity.label_word}",
        )
    return Record.from_bytes(identity.record)


def check_own_device(data: bytes, record: Record, day: int) -> None:
    """Check a card of one's own as its reader will.

    Raises:
        VerificationError: ``authority.*``.
    """
    card, sign1 = verify_card(data)
    try:
        check_authority(sign1, card.identity, record, Power.SHARE, day, root_allowed=True)
    except VerificationError as error:
        raise VerificationError(
            error.code, f"this device may not sign for the identity now: {error.message}", "publish the identity first"
        ) from error


def _chosen(identity: IdentityView, names: Sequence[str], display_name: str | None) -> dict[str, str]:
    known: Mapping[str, str] = {**identity.profile, **identity.sealed_profile}
    attributes = {}
    if display_name is None and NAME in identity.profile:
        attributes[NAME] = identity.profile[NAME]
    for name in names:
        if name not in known:
            raise InputError(
                "attribute.unknown",
                f"the identity has no attribute {name!r}",
                f"see: walletcli identity show {identity.label_word}",
            )
        attributes[name] = known[name]
    if display_name is not None:
        attributes.pop(NAME, None)
        if display_name:
            attributes[NAME] = display_name
    return attributes


def _hints(identity: IdentityView) -> tuple[str, ...]:
    """Return addresses of nodes that have the record and prove who they are; pinned ones first."""
    stored = identity.stored.relays if identity.stored is not None else ()
    addresses = [NodeAddress.from_relay_text(text) for text in stored if text != FILE_ROUTE]
    usable = [address for address in addresses if address.scheme in (Scheme.PINNED, Scheme.WEB)]
    usable.sort(key=lambda address: address.scheme is not Scheme.PINNED)
    return tuple(text for text in (address.to_text() for address in usable) if len(text) <= 255)[:MAX_HINTS]


def _warnings(identity: IdentityView) -> list[str]:
    if identity.stored is None:
        return ["the record is on no relay yet: only readers of the card file can check the card; publish it"]
    return ["there are changes that are not published yet"] if identity.changed else []
