"""Compares safety words: the only thing that tells whose key a contact's key is.

Spec: docs/spec/contact.md, "Safety words"; docs/spec/contact-book.md, "What counts as what".
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace

from walletcli.core import bip39
from walletcli.core.safety import WORDS, safety_picture, safety_words
from walletcli.errors import InputError, VerificationError
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import read_book, save_book
from walletcli.wallet.contacts.contact import Contact
from walletcli.wallet.contacts.lookup import contact_by_id, find_contact, identified
from walletcli.wallet.state.draft import today
from walletcli.wallet.state.view import IdentityView

MAX_TYPED_CHARS = 1000
"""Longest text of typed words that is looked at."""

_SEPARATORS = re.compile(r"[\s,;.0-9)]+")


@dataclass(frozen=True, slots=True)
class Safety:
    """What the owner and a contact both see if they hold each other's real keys.

    Attributes:
        contact: with whom.
        words: twelve.
        picture: lines of printable ASCII.
    """

    contact: Contact
    words: tuple[str, ...]
    picture: tuple[str, ...]


def safety_of(session: Session, identity: IdentityView, who: str) -> Safety:
    """Return safety words and picture for a contact.

    Raises:
        InputError: ``contact.unknown``, ``contact.ambiguous``, ``contact.no-identity``.
    """
    return safety_with(identity, find_contact(read_book(session, identity.index), who))


def safety_with(identity: IdentityView, contact: Contact) -> Safety:
    """Return safety words and picture of an identity and a contact of its.

    Raises:
        InputError: ``contact.no-identity``.
    """
    key = identified(contact)
    return Safety(contact, safety_words(identity.public_key, key), safety_picture(identity.public_key, key))


def check_typed(safety: Safety, typed: str) -> None:
    """Compare words that came from the other side with one's own.

    Args:
        safety: one's own.
        typed: twelve words; case, numbers, commas and line ends between them do not matter.

    Raises:
        InputError: ``safety.words`` if they are not twelve words of the list.
        VerificationError: ``safety.differs``.
    """
    words = [word for word in _SEPARATORS.split(typed[:MAX_TYPED_CHARS].lower()) if word]
    unknown = [number for number, word in enumerate(words, 1) if word not in bip39.complete(word, "english")]
    if len(words) != WORDS or unknown:
        found = f"number {unknown[0]} is none of them" if unknown else f"found {len(words)}"
        raise InputError("safety.words", f"safety words are {WORDS} words of a list; {found}", "type them again")
    if tuple(words) != safety.words:
        raise VerificationError(
            "safety.differs",
            f"the words differ, so one of you does not hold the other's real key for {safety.contact.name!r}",
            "compare once more; if they still differ, somebody stands between you: exchange cards anew, in person",
        )


def mark_compared(session: Session, identity: IdentityView, contact: Contact, *, compared: bool = True) -> Contact:
    """Remember that safety words were compared and are alike, or that this no longer counts.

    Returns:
        The contact as it stands in the book.

    Raises:
        InputError: ``contact.unknown`` if it was removed meanwhile.
    """
    base = read_book(session, identity.index)
    found = contact_by_id(base, contact.id)
    changed = replace(found, compared_day=today(time.time()) if compared else None)
    return save_book(session, identity.index, base, base.with_contacts([changed])).get(contact.id) or changed
