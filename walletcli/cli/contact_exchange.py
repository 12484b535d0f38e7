"""Verbs of ``walletcli contact`` with another side to them: relations, shares, look-ups, exports and imports."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import click

from walletcli.cli.commands import Verb
from walletcli.cli.contact_options import ACCEPT_LINK, AS, RELAYS, WHO, inquiry_of, read_input
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.output import pairs
from walletcli.errors import UsageError

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session
    from walletcli.wallet.contacts.relating import Related
    from walletcli.wallet.contacts.sharing import Shared
    from walletcli.wallet.state.view import IdentityView

MAX_DAYS = 3653
"""Longest life of a relation, days (docs/spec/contact.md)."""

DEFAULT_DAYS = 365
"""Life of a relation unless said otherwise, days."""


@click.command("relate", cls=Verb, unlocks=True, example="walletcli contact relate bob --out for-bob.relation")
@WHO
@AS
@click.option("--accept", metavar="FILE", help="Sign the other side of this offer of the contact (file, link or '-').")
@click.option("--complete", metavar="FILE", help="Take the contact's answer to your offer (file, link or '-').")
@click.option("--days", type=click.IntRange(1, MAX_DAYS), metavar="N", help="Days that a new offer is to hold.")
@click.option("--out", metavar="FILE", help="Write the offer or answer to this new file.")
@click.option("--link", is_flag=True, help="Show the offer or answer as a link.")
@RELAYS
@pass_invocation
def relate(
    invocation: Invocation, who: str, owner: str | None, accept: str | None, complete: str | None, days: int | None,
    out: str | None, link: bool, relays: tuple[str, ...],
) -> None:  # fmt: skip
    """Make a relation that both sides sign: offer it, accept an offer, or take the answer."""
    from walletcli.cli.contact_page import tell_if_only_here
    from walletcli.wallet.files import write_file

    if (accept is not None) + (complete is not None) + (days is not None) > 1:
        raise UsageError(
            "relate.choice",
            "an offer, an answer or the end of one: one of these at a time",
            "see: walletcli contact relate --help",
        )
    if complete is None and out is None and not link:
        raise UsageError("relate.nowhere", "the other side needs what is signed here", "give --out FILE or --link")
    with invocation.session() as session:
        related = _relate(invocation, session, owner, who, (accept, complete, days or DEFAULT_DAYS), relays)
        tell_if_only_here(invocation, session, owner)
    if related.file is not None and out is not None:
        write_file(out, related.file.to_bytes(), replace=False)
    _answer_related(invocation, related, out, link)


def _relate(
    invocation: Invocation, session: Session, owner: str | None, who: str,
    step: tuple[str | None, str | None, int], relays: tuple[str, ...],
) -> Related:  # fmt: skip
    from walletcli.core.relation import LINK_PREFIX, MAX_FILE_BYTES
    from walletcli.wallet.contacts import relating

    accept, complete, days = step
    inquiry = inquiry_of(invocation, session, owner, relays)
    name = accept if accept is not None else complete
    if name is None:
        return relating.offer_relation(session, inquiry.identity, who, days)
    option = "--accept" if accept is not None else "--complete"
    file = relating.read_relation(read_input(invocation, option, name, MAX_FILE_BYTES, LINK_PREFIX))
    take = relating.accept_relation if accept is not None else relating.complete_relation
    return take(session, inquiry, who, file)


def _answer_related(invocation: Invocation, related: Related, out: str | None, link: bool) -> None:
    from walletcli.cli.contact_page import document, lines, tell

    text = related.link if link else None
    path = os.path.abspath(out) if out is not None and related.file is not None else None
    extra = [(name, value) for name, value in (("file", path), ("link", text)) if value]
    answer = {"contact": document(related.contact), "whole": related.relation.is_whole, "file": path, "link": text}
    if related.file is not None:
        step = "complete" if related.relation.is_whole else "accept"
        what = shlex.quote(os.path.basename(out)) if out is not None else "LINK"
        tell(invocation, (), f"Next, on the other side: walletcli contact relate YOU --{step} {what}")
    invocation.answer(answer, lines(related.contact, extra))


@click.command("share", cls=Verb, unlocks=True, example="walletcli contact share bob phone email")
@WHO
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@AS
@RELAYS
@pass_invocation
def share(invocation: Invocation, who: str, names: tuple[str, ...], owner: str | None, relays: tuple[str, ...]) -> None:
    """Let a contact read attributes of your profile, from the next publish on."""
    from walletcli.wallet.contacts.sharing import share_with

    with invocation.session() as session:
        inquiry = inquiry_of(invocation, session, owner, relays)
        _answer_shared(invocation, share_with(session, inquiry, who, names), inquiry.identity)


@click.command("unshare", cls=Verb, unlocks=True, example="walletcli contact unshare bob phone")
@WHO
@click.argument("names", metavar="[NAME…]", nargs=-1)
@AS
@pass_invocation
def unshare(invocation: Invocation, who: str, names: tuple[str, ...], owner: str | None) -> None:
    """Withdraw attributes from a contact, from the next publish on; all of them if none is named."""
    from walletcli.wallet.contacts.lookup import own_identity_of
    from walletcli.wallet.contacts.sharing import unshare as withdraw

    with invocation.session() as session:
        identity = own_identity_of(session, owner)
        _answer_shared(invocation, withdraw(session, identity, who, names), identity)


def _answer_shared(invocation: Invocation, shared: Shared, identity: IdentityView) -> None:
    from walletcli.cli.contact_page import document, lines, tell

    warnings = [f"everybody reads {name!r} anyway: it is in the public profile" for name in shared.public]
    following = f"Next: walletcli publish {identity.label_word}" if shared.to_publish else ""
    tell(invocation, warnings, following)
    answer = {"contact": document(shared.contact), "public": list(shared.public), "devices": shared.devices}
    invocation.answer({**answer, "to_publish": shared.to_publish}, lines(shared.contact))


@click.command("refresh", cls=Verb, unlocks=True, example="walletcli contact refresh")
@click.argument("whom", metavar="[CONTACT…]", nargs=-1)
@AS
@RELAYS
@pass_invocation
def refresh(invocation: Invocation, whom: tuple[str, ...], owner: str | None, relays: tuple[str, ...]) -> None:
    """Look contacts up, and say what is new: providers, shared attributes, identities that have ended."""
    from walletcli.cli.contact_page import few_relays, refresh_lines, tell
    from walletcli.cli.relay import warn_of_clear_text
    from walletcli.wallet.contacts.refreshing import refresh_contacts

    warn_of_clear_text(relays)
    with invocation.session() as session:
        report = refresh_contacts(
            session, owner, whom=whom, relays=relays, offline=invocation.offline, progress=invocation.step
        )
    told = () if report.is_spread else (few_relays(report.relays),)
    tell(invocation, told, "The next publish carries changes." if report.to_publish else "")
    invocation.answer({"refresh": report.to_json()}, refresh_lines(report))


@click.command("export", cls=Verb, unlocks=True, example="walletcli contact export contacts.export")
@click.argument("file", metavar="FILE")
@click.argument("whom", metavar="[CONTACT…]", nargs=-1)
@AS
@click.option("--to", "reader", metavar="ID", help="Seal it to this contact or identity, not to yourself.")
@click.option("--open", "is_open", is_flag=True, help="Signed, and readable by everybody.")
@click.option("--vcard", type=click.Choice(["3.0", "4.0"]), help="As vCards, unsigned and readable by everybody.")
@click.option("--notes", is_flag=True, help="With your notes; what is sealed to yourself has them anyway.")
@RELAYS
@ACCEPT_LINK
@pass_invocation
def export(
    invocation: Invocation, file: str, whom: tuple[str, ...], owner: str | None, reader: str | None, is_open: bool,
    vcard: str | None, notes: bool, relays: tuple[str, ...], accept_link: bool,
) -> None:  # fmt: skip
    """Write contacts to a new file, all or those named: sealed to yourself, unless you say otherwise."""
    from walletcli.wallet.contacts.exporting import Wanted, export_contacts
    from walletcli.wallet.vcards import Version

    wanted = Wanted(whom, reader, is_open, Version(vcard) if vcard is not None else None, notes)
    with invocation.session() as session:
        inquiry = inquiry_of(invocation, session, owner, relays)
        made = export_contacts(session, inquiry, wanted, file, accept_link=accept_link, progress=invocation.step)
    fields = [("exported", made.path), ("contacts", str(made.count)), ("readable by", made.readers)]
    fields += [("left out", text) for text in made.left_out]
    invocation.answer(made.to_json(), pairs(fields))


@click.command("import", cls=Verb, unlocks=True, example="walletcli contact import contacts.export")
@click.argument("file", metavar="FILE")
@AS
@click.option("--replace", "replace_known", is_flag=True, help="Where book and file differ, take what the file says.")
@click.option("--any-device", is_flag=True, help="Take your own list though the device that signed it is gone.")
@RELAYS
@ACCEPT_LINK
@pass_invocation
def import_(
    invocation: Invocation, file: str, owner: str | None, replace_known: bool, any_device: bool,
    relays: tuple[str, ...], accept_link: bool,
) -> None:  # fmt: skip
    """Take contacts in from a contact export, or from vCards of any program."""
    from walletcli.cli.contact_page import import_lines, tell, tell_if_only_here
    from walletcli.wallet.contacts.importing import import_contacts

    with invocation.session() as session:
        report = import_contacts(
            session, inquiry_of(invocation, session, owner, relays), file,
            replace_known=replace_known, any_device=any_device, accept_link=accept_link, progress=invocation.step,
        )  # fmt: skip
        tell_if_only_here(invocation, session, owner)
    tell(invocation, report.warnings)
    invocation.answer({"import": report.to_json()}, import_lines(report))
    if (shortfall := report.shortfall) is not None:
        raise shortfall


VERBS: tuple[click.Command, ...] = (relate, share, unshare, refresh, export, import_)
"""The verbs, in the order in which people meet them."""
