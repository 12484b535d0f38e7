"""``walletcli contact``: the people and services that an identity knows."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from walletcli.cli import contact_exchange
from walletcli.cli.commands import Noun
from walletcli.cli.contact_options import ACCEPT_LINK, AS, NOUN_AS, RELAYS, STDIN, WHO, inquiry_of, read_stdin
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.output import note, pairs
from walletcli.cli.times import age_line, date_text
from walletcli.errors import UsageError

if TYPE_CHECKING:
    from walletcli.wallet.contacts.adding import Introduction
    from walletcli.wallet.contacts.cards import OwnCard
    from walletcli.wallet.contacts.contact import Contact
    from walletcli.wallet.contacts.verifying import Safety

MAX_DAYS = 3653
"""Longest life of a card, days (docs/spec/contact.md)."""

DEFAULT_DAYS = 365
"""Life of a card unless said otherwise, days."""

MAX_VALUE_BYTES = 8192
"""Longest value or note that is read from standard input, bytes."""


@click.group(cls=Noun)
@NOUN_AS
def contact() -> None:
    """Know other identities: cards, safety words, relations, shares, exports."""


@contact.command("card", unlocks=True, example="walletcli contact card --as alice --out alice.card --qr")
@AS
@click.option("--attribute", "names", metavar="NAME", multiple=True,
              help="Put this attribute of the profile in, public or sealed.")  # fmt: skip
@click.option(
    "--name", "display_name", metavar="TEXT", help="Display name; your public name if not given, '' for none."
)
@click.option("--days", type=click.IntRange(1, MAX_DAYS), default=DEFAULT_DAYS, metavar="N", help="Days that it holds.")
@click.option("--out", metavar="FILE", help="Write the card, and the record that proves it, to this new file.")
@click.option("--link", is_flag=True, help="Show the link.")
@click.option("--qr", is_flag=True, help="Show the link as a QR code.")
@click.option("--png", metavar="FILE", help="Write the QR code of the link to this new PNG file.")
@ACCEPT_LINK
@pass_invocation
def card(
    invocation: Invocation, owner: str | None, names: tuple[str, ...], display_name: str | None, days: int,
    out: str | None, link: bool, qr: bool, png: str | None, accept_link: bool,
) -> None:  # fmt: skip
    """Make a signed contact card of your own, to give to others."""
    from walletcli.cli.contact_page import tell
    from walletcli.wallet.contacts.cards import make_card

    with invocation.session() as session:
        made = make_card(session, owner, names, display_name, days, accept_link=accept_link)
    text = made.link if link or qr or png else made.short_link
    files = _write_card(made, out, png)
    tell(invocation, made.warnings)
    shown = text if link or not (out or qr or png) else None
    invocation.answer({"card": made.to_json(), "link": text, **files}, _card_lines(made, files, shown, qr))
    if qr and not invocation.json:
        _tell_if_too_tall(made)


def _write_card(made: OwnCard, out: str | None, png: str | None) -> dict[str, str | None]:
    import os

    from walletcli.cli import qr as codes
    from walletcli.wallet.files import write_file

    if out is not None:
        write_file(out, made.to_file(), replace=False)
    if png is not None:
        write_file(png, codes.png(made.link.upper()), replace=False)
    return {name: os.path.abspath(path) if path else None for name, path in (("file", out), ("png", png))}


def _tell_if_too_tall(made: OwnCard) -> None:
    """Say that a terminal shows only a part of the code, which no camera reads."""
    import os
    import sys

    from walletcli.cli import qr as codes

    rows = len(codes.lines(made.link.upper()))
    if sys.stdout.isatty() and rows > os.get_terminal_size(sys.stdout.fileno()).lines:
        note(f"The code has {rows} lines, more than this terminal: enlarge it, or write an image with --png FILE")


def _card_lines(made: OwnCard, files: dict[str, str | None], link: str | None, qr: bool) -> list[str]:
    fields = [("did", str(made.to_json()["did"])), *sorted(made.card.attributes.items())]
    fields.append(("holds before", date_text(made.card.not_after_day)))
    fields += [("found at", hint) for hint in made.card.hints]
    fields += [(name, path) for name, path in files.items() if path]
    lines = pairs(fields + ([("link", link)] if link else []))
    if qr:
        from walletcli.cli import qr as codes

        lines += ["", *codes.lines(made.link.upper())]
    return lines


@contact.command("add", unlocks=True, example="walletcli contact add bob.card")
@click.argument("source", metavar="CARD")
@AS
@click.option("--name", metavar="TEXT", help="What to call the contact; as the card says if not given.")
@RELAYS
@ACCEPT_LINK
@pass_invocation
def add(
    invocation: Invocation, source: str, owner: str | None, name: str | None, relays: tuple[str, ...], accept_link: bool
) -> None:
    """Add a contact: by a card file, a link, an id, or '-' for one of these from standard input."""
    from walletcli.cli.contact_page import document, lines, tell, tell_if_only_here
    from walletcli.client.independence import WANTED_SOURCES
    from walletcli.wallet.contacts.adding import add_contact

    introduction = _introduction(invocation, source)
    with invocation.session() as session:
        added = add_contact(
            session, inquiry_of(invocation, session, owner, relays), introduction, name, accept_link=accept_link
        )
        tell_if_only_here(invocation, session, owner)
    whose = f" --as {shlex.quote(owner)}" if owner is not None else ""
    following = f"Next: walletcli contact verify {shlex.quote(added.contact.name)}{whose}"
    tell(invocation, added.warnings, following if added.contact.compared_day is None else "")
    answer = {"contact": document(added.contact), "new": added.is_new, "checks": list(added.why)}
    told = {"warnings": list(added.warnings), "asked": list(added.asked), "independent": added.independent}
    sources = {"wanted": WANTED_SOURCES, "latest_day": added.latest_day}
    invocation.answer({**answer, **told, **sources}, lines(added.contact, [("age", age_line(added.latest_day))]))


def _introduction(invocation: Invocation, source: str) -> Introduction:
    from walletcli.core.card import MAX_FILE_BYTES
    from walletcli.wallet.contacts.adding import introduction_from, read_introduction

    if source == STDIN:
        return introduction_from(read_stdin(invocation, "CARD", MAX_FILE_BYTES))
    return read_introduction(source)


@contact.command("verify", unlocks=True, example="walletcli contact verify bob")
@WHO
@AS
@click.option("--yes", is_flag=True, help="You have compared the words: do not ask.")
@click.option("--words", metavar="TEXT", help="Compare these twelve words of the other side ('-': standard input).")
@click.option("--undo", is_flag=True, help="The words no longer count as compared.")
@pass_invocation
def verify(invocation: Invocation, who: str, owner: str | None, yes: bool, words: str | None, undo: bool) -> None:
    """Compare safety words with a contact, and remember that they are alike."""
    from walletcli.cli.contact_page import document, lines, safety_lines
    from walletcli.wallet.contacts.lookup import own_identity_of
    from walletcli.wallet.contacts.verifying import mark_compared, safety_of

    if yes + (words is not None) + undo > 1:
        raise UsageError("verify.choice", "--yes, --words and --undo say different things", "give one of them")
    typed = read_stdin(invocation, "--words", 1000).decode("utf-8", "replace") if words == STDIN else words
    with invocation.session() as session:
        identity = own_identity_of(session, owner)
        safety = safety_of(session, identity, who)
        were_shown = not undo and not yes and _compare(invocation, safety, typed)
        found = mark_compared(session, identity, safety.contact, compared=not undo)
    answer = {"contact": document(found), "words": list(safety.words), "picture": list(safety.picture)}
    invocation.answer(answer, [*([] if were_shown else [*safety_lines(safety), ""]), *lines(found)])


def _compare(invocation: Invocation, safety: Safety, typed: str | None) -> bool:
    """Compare with what was typed, or show the words and ask; tell whether they were shown."""
    from walletcli.cli.contact_page import safety_lines
    from walletcli.cli.terminal import open_terminal
    from walletcli.wallet.contacts.verifying import check_typed

    if typed is not None:
        check_typed(safety, typed)
        return False
    with open_terminal(invocation, "ask whether the words are alike", "give --words, or --yes") as terminal:
        terminal.write("\n".join(safety_lines(safety)) + "\n\n")
        if not terminal.confirm("Does the other side see the same twelve words, in this order?"):
            raise UsageError(
                "verify.declined",
                "nothing was recorded",
                "if the words differ, somebody may stand between you: exchange cards anew, in person",
            )
    return True


@contact.command("list", unlocks=True, example="walletcli contact list --as alice")
@AS
@pass_invocation
def list_(invocation: Invocation, owner: str | None) -> None:
    """List the contacts of an identity."""
    from walletcli.cli.contact_page import document, listing
    from walletcli.wallet.contacts.editing import list_contacts
    from walletcli.wallet.contacts.lookup import own_identity_of

    with invocation.session() as session:
        found = list_contacts(session, own_identity_of(session, owner))
    shown = [document(item) for item in found] if invocation.json else []
    invocation.answer({"contacts": shown}, [] if invocation.json else listing(found))


@contact.command("show", unlocks=True, example="walletcli contact show bob")
@WHO
@AS
@pass_invocation
def show(invocation: Invocation, who: str, owner: str | None) -> None:
    """Show a contact: what is verified and why, what you share with each other, your notes, the safety words."""
    from walletcli.cli.contact_page import document, lines, safety_lines, tell
    from walletcli.wallet.contacts.editing import show_contact
    from walletcli.wallet.contacts.lookup import own_identity_of
    from walletcli.wallet.contacts.verifying import safety_with

    with invocation.session() as session:
        identity = own_identity_of(session, owner)
        found, warnings = show_contact(session, identity, who)
    tell(invocation, warnings)
    safety = safety_with(identity, found) if found.key is not None else None
    words = {"words": list(safety.words), "picture": list(safety.picture)} if safety is not None else None
    shown = [*lines(found), *(["", *safety_lines(safety)] if safety is not None else [])]
    invocation.answer({"contact": document(found), "safety": words, "warnings": warnings}, shown)


@contact.command("set", unlocks=True, example="walletcli contact set bob note --value-file bob.txt")
@WHO
@click.argument("name")
@click.argument("value", required=False)
@click.option("--value-file", metavar="FILE", help="Read the value from this file ('-': standard input).")
@AS
@pass_invocation
def set_(
    invocation: Invocation, who: str, name: str, value: str | None, value_file: str | None, owner: str | None
) -> None:
    """Set your own 'name' or 'note' for a contact, or any attribute; nobody else sees it."""
    from walletcli.wallet.contacts.editing import set_of_contact
    from walletcli.wallet.contacts.lookup import own_identity_of

    if (value is None) == (value_file is None):
        raise UsageError(
            "usage.one-value", "give the value, or --value-file, and not both", "see: walletcli contact set --help"
        )
    text = value if value_file is None else _read_text(invocation, value_file)
    with invocation.session() as session:
        _answer(invocation, set_of_contact(session, own_identity_of(session, owner), who, name, text or ""))


def _read_text(invocation: Invocation, name: str) -> str:
    from walletcli.errors import InputError
    from walletcli.wallet.files import read_file

    if name == STDIN:
        data = read_stdin(invocation, "--value-file", MAX_VALUE_BYTES + 1)
    else:
        data = read_file(name, MAX_VALUE_BYTES + 1)
    try:
        return data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise InputError("file.not-text", f"{name} is not UTF-8 text", "save it as UTF-8") from error


@contact.command("unset", unlocks=True, example="walletcli contact unset bob note")
@WHO
@click.argument("name")
@AS
@pass_invocation
def unset(invocation: Invocation, who: str, name: str, owner: str | None) -> None:
    """Remove your note about a contact, or an attribute."""
    from walletcli.wallet.contacts.editing import unset_of_contact
    from walletcli.wallet.contacts.lookup import own_identity_of

    with invocation.session() as session:
        _answer(invocation, unset_of_contact(session, own_identity_of(session, owner), who, name))


@contact.command("block", unlocks=True, example="walletcli contact block bob")
@WHO
@click.option("--undo", is_flag=True, help="Block it no longer.")
@AS
@pass_invocation
def block(invocation: Invocation, who: str, undo: bool, owner: str | None) -> None:
    """Block a contact: it is left out of shares, look-ups, exports and relations."""
    from walletcli.wallet.contacts.editing import block_contact
    from walletcli.wallet.contacts.lookup import own_identity_of

    with invocation.session() as session:
        _answer(invocation, block_contact(session, own_identity_of(session, owner), who, blocked=not undo))


@contact.command("remove", unlocks=True, example="walletcli contact remove bob")
@WHO
@click.option("--yes", is_flag=True, help="Do not ask.")
@AS
@pass_invocation
def remove(invocation: Invocation, who: str, yes: bool, owner: str | None) -> None:
    """Remove a contact with all that is known of it."""
    from walletcli.wallet.contacts.editing import remove_contact, show_contact
    from walletcli.wallet.contacts.lookup import contact_id_text, own_identity_of

    with invocation.session() as session:
        identity = own_identity_of(session, owner)
        found, _ = show_contact(session, identity, who)
        if not yes and not _confirmed(invocation, f"Remove {found.name} with notes, card and relation?"):
            raise UsageError("remove.declined", "nothing was changed", "answer y, or give --yes")
        removed = remove_contact(session, identity, contact_id_text(found.id))
    invocation.answer({"removed": contact_id_text(removed.id)}, pairs([("removed", removed.name)]))


def _confirmed(invocation: Invocation, question: str) -> bool:
    from walletcli.cli.terminal import open_terminal

    with open_terminal(invocation, "ask whether you are sure", "give --yes") as terminal:
        return terminal.confirm(question)


def _answer(invocation: Invocation, found: Contact) -> None:
    from walletcli.cli.contact_page import document, lines

    invocation.answer({"contact": document(found)}, lines(found))


for verb in contact_exchange.VERBS:
    contact.add_command(verb)
