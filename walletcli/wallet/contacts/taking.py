"""Takes contacts of a file into a book one by one, and notes what came of each.

Spec: docs/spec/contact-book.md, "Import".
"""

from __future__ import annotations

from dataclasses import replace

from walletcli.errors import FormatError
from walletcli.wallet.contacts.book import ContactBook
from walletcli.wallet.contacts.contact import MAX_ATTRIBUTES, MAX_NOTES, Contact
from walletcli.wallet.contacts.import_report import Conflict, Dropped, Imported
from walletcli.wallet.contacts.merging import later_card, later_relation
from walletcli.wallet.contacts.report import day_text


class Taker:
    """Takes contacts into a book.

    Args:
        book: what is there; it is not changed.
        own_key: root key (32 bytes) of whose book it is.
        report: takes what came of each.
        replace_known: where book and file differ, take what the file says.

    Attributes:
        changed: contacts that are new or know more, by id.
        new: those that are new.
    """

    def __init__(self, book: ContactBook, own_key: bytes, report: Imported, replace_known: bool) -> None:
        self._book = book
        self._own_key = own_key
        self._report = report
        self._replace = replace_known
        self._by_uid: dict[str, bytes] | None = None
        self.changed: dict[bytes, Contact] = {}
        self.new: list[Contact] = []

    def take(self, found: Contact) -> None:
        """Take one contact of the file."""
        report = self._report
        before = self._known(found)
        if found.id == self._own_key or (before is not None and before.is_blocked):
            report.skipped += 1
        elif before is None:
            report.added += 1
            self.changed[found.id] = found
            self.new.append(found)
            if found.uid is not None and self._by_uid is not None:
                self._by_uid[found.uid] = found.id
        else:
            after = self._joined(before, found)
            if after == before:
                report.unchanged += 1
            else:
                report.changed += 1
                self.changed[before.id] = after

    def _known(self, found: Contact) -> Contact | None:
        """Return the contact of the book that this one is: by its id, or by the UID of its vCard."""
        contact_id = found.id
        if found.uid is not None and contact_id not in self._book and contact_id not in self.changed:
            contact_id = self._uids().get(found.uid, contact_id)
            if found.key is not None and contact_id != found.id:
                return None  # a vCard may claim any identity: it does not give one to a contact that is there
        return self.changed.get(contact_id) or self._book.get(contact_id)

    def _uids(self) -> dict[str, bytes]:
        if self._by_uid is None:
            self._by_uid = {contact.uid: contact.id for contact in self._book if contact.uid is not None}
            self._by_uid.update({item.uid: item.id for item in self.changed.values() if item.uid is not None})
        return self._by_uid

    def _joined(self, before: Contact, found: Contact) -> Contact:
        notes = tuple(sorted({*before.notes, *found.notes}, key=str.encode)[:MAX_NOTES])
        return replace(
            before,
            name=self._name(before, found),
            card=later_card(before.card, found.card) if before.card and found.card else before.card or found.card,
            relation=later_relation(before.relation, found.relation)
            if before.relation and found.relation
            else before.relation or found.relation,
            notes=notes,
            attributes=self._attributes(before, found),
            uid=before.uid if before.uid is not None else found.uid,
            places=before.places or found.places,
            compared_day=self._compared_day(before, found),
        )

    def _compared_day(self, before: Contact, found: Contact) -> int | None:
        """Return when safety words were compared; that they no longer count here is not undone by an old list."""
        if before.compared_day is not None or found.compared_day is None:
            return before.compared_day
        not_here, there = "not compared", f"compared on {day_text(found.compared_day)}"
        kept, other = (there, not_here) if self._replace else (not_here, there)
        self._report.conflicts.append(Conflict(before.name, before.id, "safety words", kept, other))
        return found.compared_day if self._replace else None

    def _name(self, before: Contact, found: Contact) -> str:
        if before.name == found.name:
            return before.name
        kept, other = (found.name, before.name) if self._replace else (before.name, found.name)
        self._report.conflicts.append(Conflict(before.name, before.id, "name", kept, other))
        return kept

    def _attributes(self, before: Contact, found: Contact) -> dict[str, str]:
        joined = dict(before.attributes)
        for name, value in found.attributes.items():
            known = joined.get(name)
            if known is None:
                joined[name] = value
            elif known != value:
                kept, other = (value, known) if self._replace else (known, value)
                self._report.conflicts.append(Conflict(before.name, before.id, name, kept, other))
                joined[name] = kept
        if len(joined) > MAX_ATTRIBUTES:
            error = FormatError("contact-book.malformed", f"a contact has at most {MAX_ATTRIBUTES} attributes")
            self._report.dropped.append(Dropped(before.name, before.id, error))
            return dict(before.attributes)
        return joined
