"""What a card, an export or a contact would tie to other identities of this wallet.

Spec: docs/security/threat-model.md, "Unlinked"; docs/spec/contact-book.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from walletcli.core.identity_id import IdentityId
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import read_book
from walletcli.wallet.linkability import FILE_ROUTE, Link, accepted_keys, find_links, folded, id_texts, named
from walletcli.wallet.state.changes import PlanPublish
from walletcli.wallet.state.view import IdentityView
from walletcli.wallet.state.wallet_view import WalletView


def text_links(
    wallet: WalletView, identity: IdentityView, texts: Iterable[tuple[str, str]], what: str, *, repeats: bool = True
) -> Iterator[Link]:
    """Find that texts name other identities of this wallet, or repeat a value of their profiles, sealed ones included.

    Args:
        wallet: the public half of the wallet.
        identity: whose statement it is.
        texts: names and values.
        what: where they stand, in words, such as ``card``.
        repeats: whether values alike count; of texts about somebody else they do not.
    """
    others = [other for other in wallet.identities if other.index != identity.index]
    values = [
        (other, {folded(v) for v in (*other.profile.values(), *other.sealed_profile.values())}) for other in others
    ]
    marks = [(other, id_texts(other)) for other in others]
    for name, value in texts:
        same = [other for other, known in values if repeats and folded(value) in known]
        if same:
            yield Link(
                f"{what}:{name}={value}", f"the {what} says {name!r}, which {named(same)} has with that value, too"
            )
        mentioned = [other for other, texts_of in marks if any(text in value for text in texts_of)]
        if mentioned:
            yield Link(f"{what}-mention:{name}={value}", f"the {what} names {named(mentioned)} in {name!r}")


def _values(identity: IdentityView) -> set[str]:
    return {folded(value) for value in (*identity.profile.values(), *identity.sealed_profile.values())}


def contact_links(wallet: WalletView, identity: IdentityView, keys: Sequence[bytes], what: str) -> Iterator[Link]:
    """Find other identities of this wallet among contacts.

    Args:
        wallet: the public half of the wallet.
        identity: whose contacts they are.
        keys: root keys, 32 bytes each.
        what: what happens to them, in words, such as ``the export names``.
    """
    wanted = set(keys)
    for other in wallet.identities:
        if other.index != identity.index and other.public_key in wanted:
            yield Link(f"own-contact:{IdentityId(other.public_key).did}", f"{what} your own identity {other.label!r}")


def shared_contact_links(
    session: Session, wallet: WalletView, identity: IdentityView, keys: Sequence[bytes]
) -> Iterator[Link]:
    """Find other identities of this wallet that have some of these contacts: two lists alike tell whose they are."""
    wanted = set(keys)
    for other in wallet.identities:
        if other.index == identity.index:
            continue
        common = sum(contact_id in wanted for contact_id in read_book(session, other.index).names())
        if common:
            yield Link(
                f"same-contacts:{IdentityId(other.public_key).did}",
                f"{common} of these contacts are contacts of {other.label!r}, too: whoever sees both lists can tell",
            )


def card_links(wallet: WalletView, identity: IdentityView, attributes: Mapping[str, str]) -> list[Link]:
    """Return what a card with these attributes, and the record beside it, would tie together."""
    found = [*find_links(wallet, identity, ()), *text_links(wallet, identity, attributes.items(), "card")]
    return not_accepted(found, identity)


def not_accepted(links: Iterable[Link], identity: IdentityView) -> list[Link]:
    """Return the links that the owner has not accepted for this identity before."""
    return [link for link in links if link.key not in identity.accepted_links]


def plan_file(session: Session, identity: IdentityView, links: Sequence[Link], *, accept: bool) -> None:
    """Remember that something of an identity leaves in a file, and which links were accepted, before it does.

    Raises:
        InputError: ``link.would-link`` if there is something and the user has not accepted it.
    """
    accepted = accepted_keys(links, accept=accept)
    if accepted or FILE_ROUTE not in identity.contacted:
        session.apply(PlanPublish(identity.index, (FILE_ROUTE,), accepted))
