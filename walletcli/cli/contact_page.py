"""How contacts are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from walletcli.cli.output import note, pairs, safe, table, warn
from walletcli.cli.times import date_text

if TYPE_CHECKING:
    from walletcli.cli.invocation import Invocation
    from walletcli.wallet.access.session import Session
    from walletcli.wallet.contacts.contact import Contact
    from walletcli.wallet.contacts.import_report import Imported
    from walletcli.wallet.contacts.refreshing import RefreshReport
    from walletcli.wallet.contacts.report import ContactReport
    from walletcli.wallet.contacts.verifying import Safety

WORDS_IN_ROW = 4
"""How many safety words stand in one row."""

MAX_LISTED = 20
"""How many things of a kind are told to a person; programs get them all."""


def document(contact: Contact) -> dict[str, object]:
    """Return a contact for programs."""
    from walletcli.wallet.contacts.report import ContactReport

    return ContactReport.of(contact).to_json()


def lines(contact: Contact, extra: Sequence[tuple[str, str]] = ()) -> list[str]:
    """Return a contact for people, with what else the command has to say."""
    from walletcli.wallet.contacts.report import ContactReport

    report = ContactReport.of(contact)
    fields = [("name", contact.name), ("id", str(report.to_json()["id"])), ("verified", _verified(report))]
    fields.append(("state", f"{report.state}, blocked" if contact.is_blocked else report.state))
    fields += _statements(report)
    fields += [(name, value) for name, value in sorted(contact.attributes.items())]
    sighting = contact.sighting
    received = sorted(sighting.received.items()) if sighting is not None else []
    fields += [(f"{name} (shared with you)", value) for name, value in received]
    if contact.shared:
        fields.append(("may read", ", ".join(contact.shared)))
    fields += [("note", line) for text in contact.notes for line in text.split("\n")]
    return pairs([*fields, *extra])


def _verified(report: ContactReport) -> str:
    return f"{'yes' if report.is_verified else 'no'}: {report.reason}"


def _statements(report: ContactReport) -> list[tuple[str, str]]:
    from walletcli.core.identity_id import IdentityId
    from walletcli.wallet.contacts.report import card_of, relation_of

    contact, fields = report.contact, []
    card = card_of(contact.card) if contact.card is not None else None
    if contact.card is not None and card is not None:
        ends = _until(card.not_after_day, report.today)
        fields.append(("card", f"{report.card_why(contact.card)}; {ends}"))
        fields += [(f"{name} (on its card)", value) for name, value in sorted(card.attributes.items())]
    relation = relation_of(contact.relation) if contact.relation is not None else None
    if relation is not None:
        ends = _until(relation.not_after_day, report.today)
        fields.append(("relation", f"signed by both, offered on {date_text(relation.day)}; {ends}"))
    if contact.offer is not None:
        fields.append(("relation", "offered, waiting for the answer"))
    sighting = contact.sighting
    if sighting is not None:
        fields.append(("record", f"seq {sighting.seq}, seen on {date_text(sighting.day)}"))
        fields += [("provider", IdentityId(key).did) for key in sighting.providers]
    return fields


def _until(day: int, today: int) -> str:
    return f"holds before {date_text(day)}" if today < day else f"has ended on {date_text(day)}"


def listing(contacts: Sequence[Contact]) -> list[str]:
    """Return contacts as a table for people."""
    from walletcli.wallet.contacts.lookup import contact_id_text
    from walletcli.wallet.contacts.report import ContactReport

    if not contacts:
        return ["no contacts"]
    rows = [("NAME", "ID", "VERIFIED", "STATE")]
    for contact in contacts:
        report = ContactReport.of(contact)
        state = "blocked" if contact.is_blocked else report.state
        rows.append((contact.name, contact_id_text(contact.id), "yes" if report.is_verified else "no", state))
    return table(rows)


def safety_lines(safety: Safety) -> list[str]:
    """Return safety words and picture for people."""
    rows = [
        [f"{start + at + 1:2}. {word}" for at, word in enumerate(safety.words[start : start + WORDS_IN_ROW])]
        for start in range(0, len(safety.words), WORDS_IN_ROW)
    ]
    return [*table(rows), "", *(safe(line) for line in safety.picture)]


def import_lines(report: Imported) -> list[str]:
    """Return what came of an import for people."""
    from walletcli.core.identity_id import IdentityId

    signer = IdentityId(report.signer).did if report.signer is not None else "nobody: vCards are not signed"
    fields = [
        ("signed by", f"{signer} (yourself)" if report.is_own else signer),
        ("new", str(report.added)),
        ("changed", str(report.changed)),
        ("unchanged", str(report.unchanged)),
    ]
    if report.skipped:
        fields.append(("skipped", f"{report.skipped}, blocked or yourself"))
    fields += _some(("dropped", f"{item.contact}: {item.error.message} ({item.error.code})") for item in report.dropped)
    fields += _some(
        ("kept", f"{item.field} of {item.contact}: {item.kept!r}, not {item.other!r}") for item in report.conflicts
    )
    fields += _some(
        ("refused", f"card {item.number}: {item.error.message} ({item.error.code})") for item in report.refused
    )
    if report.left_out:
        listed = ", ".join(f"{name} ({count})" for name, count in sorted(report.left_out.items())[:MAX_LISTED])
        fields.append(("left out", listed))
    return pairs(fields)


def refresh_lines(report: RefreshReport) -> list[str]:
    """Return what came of looking contacts up for people."""
    fields = [("looked up", str(report.asked)), ("newer", str(report.changed))]
    if report.skipped:
        fields.append(("skipped", f"{report.skipped}, blocked or without an identity"))
    if report.stood_in:
        fields.append(("further relays", f"asked for {report.stood_in}, whose own ones were not enough"))
    fields += _some((item.contact, item.text) for item in report.news)
    fields += _some((item.contact, f"not found: {item.error.message} ({item.error.code})") for item in report.failures)
    return pairs(fields)


def few_relays(count: int) -> str:
    """Return a warning that there are too few relays to spread contacts over."""
    relays = "the only relay learns" if count == 1 else f"each of {count} relays learns"
    return f"{relays} who all of these contacts are: with three or more none does; see relay add"


def _some(fields: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    found = list(fields)
    more = [("", f"and {len(found) - MAX_LISTED} more; see --json")] if len(found) > MAX_LISTED else []
    return found[:MAX_LISTED] + more


def tell_if_only_here(invocation: Invocation, session: Session, owner: str | None) -> None:
    """Say that contacts stand on this machine alone until the next synchronization, where that is so."""
    from walletcli.wallet.contacts.lookup import own_identity_of
    from walletcli.wallet.sealed.overview import has_contacts_only_here

    identity = own_identity_of(session, owner)
    if not invocation.json and has_contacts_only_here(session, identity):
        note(f"On this machine alone, until: walletcli sync {identity.label_word}")


def tell(invocation: Invocation, warnings: Iterable[str], following: str = "") -> None:
    """Write warnings, and what to do next, to stderr."""
    for text in warnings:
        warn(text)
    if following and not invocation.json:
        note(following)
