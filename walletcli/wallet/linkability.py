"""Finds what would tie an identity to another one of this wallet, before anything leaves the machine.

Spec: docs/security/threat-model.md, "Unlinked".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from walletcli.core.document import Document
from walletcli.core.identity_id import IdentityId
from walletcli.errors import InputError
from walletcli.net.addresses import NodeAddress
from walletcli.wallet.state.draft import last_document
from walletcli.wallet.state.view import IdentityView
from walletcli.wallet.state.wallet_view import WalletView

FILE_ROUTE = "file"
"""Stands among the contacted relays for a record that was exported to a file."""

TCP_LINK = "route:tcp"
"""Accepted link: the identity uses TCP although another one of the wallet does."""

_MAX_NAMED = 3


@dataclass(frozen=True, slots=True)
class Link:
    """One thing that ties two identities together.

    Attributes:
        key: stable name of it, remembered in the vault once the user has accepted it.
        text: what it is and who could see it; names labels, so it is for the owner's eyes only.
    """

    key: str
    text: str


def find_links(wallet: WalletView, identity: IdentityView, relays: Sequence[NodeAddress]) -> list[Link]:
    """Return what publishing `identity` at `relays` would tie to other identities that have left this wallet.

    What the user has accepted for this identity before is left out.

    Args:
        wallet: the public half of the wallet.
        identity: what is about to be published.
        relays: where to; empty for a file.
    """
    others = [other for other in wallet.identities if other.index != identity.index and other.contacted]
    links = [
        *_route_links(identity, others, relays),
        *_profile_links(identity, others),
        *_document_links(identity, others),
    ]
    return [link for link in links if link.key not in identity.accepted_links]


def accepted_keys(links: Sequence[Link], *, accept: bool) -> tuple[str, ...]:
    """Return the names of what was found, if the user accepts it.

    Raises:
        InputError: ``link.would-link`` if there is something and the user has not accepted it.
    """
    if links and not accept:
        listed = "; ".join(link.text for link in links)
        raise InputError(
            "link.would-link",
            f"this would tie identities together: {listed}",
            "nothing has been sent; to go ahead, and have it remembered: --accept-link. What was seen stays seen",
        )
    return tuple(link.key for link in links)


def named(identities: Sequence[IdentityView]) -> str:
    """Return a few labels of identities, and how many more there are."""
    names = [repr(identity.label) for identity in identities[:_MAX_NAMED]]
    more = len(identities) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def _tcp_relays(contacted: Sequence[str]) -> set[str]:
    return {text for text in contacted if text != FILE_ROUTE and NodeAddress.from_relay_text(text).shows_source}


def _route_links(
    identity: IdentityView, others: Sequence[IdentityView], relays: Sequence[NodeAddress]
) -> Iterator[Link]:
    """Find that two identities would come from this machine's one address.

    The identity that used TCP first has it as its own route; each further one links itself to that.
    """
    tcp = {relay.to_text() for relay in relays if relay.shows_source}
    if not tcp or _tcp_relays(identity.contacted):
        return
    before = [(other, _tcp_relays(other.contacted)) for other in others]
    same = [other for other, used in before if used & tcp]
    elsewhere = [other for other, used in before if used and not used & tcp]
    if same:
        yield Link(TCP_LINK, f"the relay sees this machine's address, as it did for {named(same)}")
    elif elsewhere:
        yield Link(TCP_LINK, f"relays that compare notes see the address from which {named(elsewhere)} came, too")


def _published_profile(identity: IdentityView) -> dict[str, str]:
    """Return what of its profile others have seen, or will with the next publish."""
    document = last_document(identity) if identity.changed else None
    return {**(dict(document.profile) if document is not None else {}), **identity.profile}


def _profile_links(identity: IdentityView, others: Sequence[IdentityView]) -> Iterator[Link]:
    if not identity.profile:
        return
    profiles = [(other, _published_profile(other)) for other in others]
    for name, value in sorted(identity.profile.items()):
        shown = folded(value)
        same = [other for other, profile in profiles if any(folded(seen) == shown for seen in profile.values())]
        if same:
            yield Link(
                f"profile:{name}={value}", f"the public attribute {name!r} has a value that {named(same)} shows, too"
            )
        mentioned = [other for other in others if any(text in value for text in id_texts(other))]
        if mentioned:
            yield Link(f"mention:{name}={value}", f"the public attribute {name!r} names {named(mentioned)}")


def folded(value: str) -> str:
    """Return a value as it is compared with others: without case and white space."""
    return "".join(value.split()).casefold()


def id_texts(identity: IdentityView) -> tuple[str, ...]:
    """Return what names an identity in a text, in whichever form."""
    key_id = IdentityId(identity.public_key)
    return (key_id.did.removeprefix("did:key:"), key_id.z32, *(alias[1:] for alias in key_id.aliases))


def _document_links(identity: IdentityView, others: Sequence[IdentityView]) -> Iterator[Link]:
    """Find values that are there to be unique, and stand in two identities' documents."""
    marks = _marks(identity, last_document(identity))
    only_devices = all(what == "device key" for what, _ in marks)
    for other in others:
        # the document of another identity is read only if there is something in ours to compare with
        shared = marks & _marks(other, None if only_devices else last_document(other))
        for what, value in sorted(shared):
            yield Link(f"{what}:{value}", f"the {what} {value[:24]} stands in the record of {other.label!r}, too")


def _marks(identity: IdentityView, document: Document | None) -> set[tuple[str, str]]:
    marks = {("device key", identity.device_signing_key.hex()), ("device key", identity.device_sealing_key.hex())}
    if document is None:
        return marks
    marks |= {("device key", item.signing_key.hex()) for item in document.delegations}
    marks |= {("device key", item.sealing_key.hex()) for item in document.delegations}
    marks |= {("address", f"{item.transport} {item.location}") for item in document.addresses}
    marks |= {("binding", grant.hex()) for grant in document.bindings}
    marks |= {("sealed section", section.hex()) for section in document.sections if len(document.sections) > 1}
    if document.approvers is not None:
        marks |= {("approver", item.public_key.hex()) for item in document.approvers.approvers}
    if document.succession is not None:
        marks.add(("successor", document.succession.commitment.hex()))
        if document.succession.veto_key is not None:
            marks.add(("veto key", document.succession.veto_key.hex()))
    return marks
