"""Finds whose contact book is meant, and which contact in it.

Spec: docs/spec/contact-book.md.
"""

from __future__ import annotations

from walletcli.core.document import text_fault
from walletcli.core.identity_id import IdentityId
from walletcli.core.look_alike import drawn_form, mixes_scripts
from walletcli.errors import InputError, UsageError
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import ContactBook
from walletcli.wallet.contacts.contact import MAX_NAME_BYTES, Contact
from walletcli.wallet.state.labels import same_label
from walletcli.wallet.state.lookup import find
from walletcli.wallet.state.view import IdentityView
from walletcli.wallet.state.wallet_view import WalletView

_MAX_NAMED = 3


def own_identity(wallet: WalletView, who: str | None) -> IdentityView:
    """Return the identity whose contacts are meant.

    Args:
        wallet: the public half of the wallet.
        who: label or id; None: the only one that there is.

    Raises:
        InputError: ``identity.unknown``, or ``identity.none`` if the wallet holds none.
        UsageError: ``contact.which-identity`` if there are several and none is named.
    """
    if who is not None:
        return find(wallet, who)
    if not wallet.identities:
        raise InputError("identity.none", "this wallet holds no identity", "walletcli identity create LABEL")
    if len(wallet.identities) > 1:
        raise UsageError(
            "contact.which-identity",
            f"this wallet holds {len(wallet.identities)} identities, and each has contacts of its own",
            "say which one with --as LABEL",
        )
    return wallet.identities[0]


def own_identity_of(session: Session, who: str | None) -> IdentityView:
    """Return the identity whose contacts are meant; as `own_identity`."""
    return own_identity(session.snapshot().wallet, who)


def find_contact(book: ContactBook, who: str) -> Contact:
    """Return the contact that `who` names.

    Args:
        book: of the identity.
        who: the contact's name (case does not matter), its identity in any form, or its id in hexadecimal.

    Raises:
        InputError: ``contact.unknown``, ``contact.ambiguous``.
    """
    text = who.strip()
    found = [contact_id for contact_id, name in book.names().items() if same_label(name, text)]
    if len(found) > 1:
        listed = ", ".join(contact_id_text(contact_id) for contact_id in sorted(found)[:_MAX_NAMED])
        raise InputError(
            "contact.ambiguous", f"{len(found)} contacts have the name {text!r}: {listed}", "give the id of one of them"
        )
    return contact_by_id(book, found[0] if found else _id_of(text), text)


def contact_by_id(book: ContactBook, contact_id: bytes, called: str = "") -> Contact:
    """Return the contact with this id (32 or 16 bytes).

    Args:
        book: of the identity.
        contact_id: the contact's.
        called: what the user called it, for the message.

    Raises:
        InputError: ``contact.unknown``.
    """
    contact = book.get(contact_id)
    if contact is None:
        shown = called or contact_id_text(contact_id)
        raise InputError("contact.unknown", f"{shown!r} is no contact of this identity", "see: walletcli contact list")
    return contact


def identified(contact: Contact) -> bytes:
    """Return the root key (32 bytes) of a contact.

    Raises:
        InputError: ``contact.no-identity`` for one without.
    """
    if contact.key is None:
        raise InputError(
            "contact.no-identity",
            f"{contact.name!r} came with a vCard and has no identity",
            "ask for a contact card, and add that",
        )
    return contact.key


def not_blocked(contact: Contact) -> Contact:
    """Return the contact if it is not blocked.

    Raises:
        InputError: ``contact.blocked``.
    """
    if contact.is_blocked:
        raise InputError("contact.blocked", f"{contact.name!r} is blocked", "first: walletcli contact block --undo WHO")
    return contact


def contact_id_text(contact_id: bytes) -> str:
    """Return the text that names a contact for good: did:key, or 32 hexadecimal digits for one without an identity."""
    return IdentityId(contact_id).did if len(contact_id) == 32 else contact_id.hex()


def _id_of(text: str) -> bytes:
    try:
        return IdentityId.from_text(text).public_key
    except InputError:
        return bytes.fromhex(text) if len(text) == 32 and all(c in "0123456789abcdef" for c in text) else b""


def as_name(text: str) -> str:
    """Return a text as a contact's name: one line, single spaces.

    Raises:
        InputError: ``contact.name`` if nothing is left, for characters that cannot be seen, or over 1024 bytes.
    """
    name = " ".join(text.split())
    fault = text_fault(name, MAX_NAME_BYTES) if name else "it needs one"
    if fault:
        hint = f"give --name NAME: one line of 1 to {MAX_NAME_BYTES} bytes that can be seen"
        raise InputError("contact.name", f"the contact's name: {fault}", hint)
    return name


def name_warnings(name: str, contact_id: bytes, book: ContactBook, wallet: WalletView) -> list[str]:
    """Return what should make one look twice at a name.

    Args:
        name: of a contact.
        contact_id: its id, which is not compared with itself.
        book: of the identity.
        wallet: the public half of the wallet, for its labels.
    """
    return NameCheck(book, wallet).warnings(name, contact_id)


class NameCheck:
    """Compares names with those of a book and with the owner's own labels.

    Args:
        book: of the identity.
        wallet: the public half of the wallet.
    """

    def __init__(self, book: ContactBook, wallet: WalletView) -> None:
        self._names = book.names()
        self._drawn = {contact_id: drawn_form(name) for contact_id, name in self._names.items()}
        self._alike: dict[str, list[bytes]] = {}
        for contact_id, drawn in self._drawn.items():
            self._alike.setdefault(drawn, []).append(contact_id)
        self._labels = {drawn_form(identity.label): identity.label for identity in wallet.identities}

    def warnings(self, name: str, contact_id: bytes) -> list[str]:
        """Return what should make one look twice at the name of the contact with this id."""
        known = self._drawn[contact_id] if self._names.get(contact_id) == name else None
        drawn = known if known is not None else drawn_form(name)
        said = []
        alike = [other for other in self._alike.get(drawn, ()) if other != contact_id]
        if drawn and alike:
            more = f" and {len(alike) - 1} more" if len(alike) > 1 else ""
            whose = f"the contact {self._names[alike[0]]!r} ({contact_id_text(alike[0])}){more}"
            said.append(f"the name {name!r} looks like that of {whose}")
        if drawn and drawn in self._labels:
            said.append(f"the name {name!r} looks like your own label {self._labels[drawn]!r}")
        if mixes_scripts(name):
            said.append(f"the name {name!r} mixes letters of several alphabets")
        return said
