"""``walletcli resolve``: anybody's record, found and verified."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from walletcli.cli.commands import Verb
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.output import json_lines, pairs, warn
from walletcli.cli.relay import warn_of_clear_text
from walletcli.cli.times import age_line, date_text
from walletcli.errors import InputError, VaultError, VerificationError

if TYPE_CHECKING:
    from walletcli.client.approved import NotApprovedError
    from walletcli.client.resolution import Resolution, SourceReport
    from walletcli.client.splits import Split
    from walletcli.core.bindings import Binding
    from walletcli.wallet.access.session import Session
    from walletcli.wallet.resolve import Resolved

FRESHNESS = {
    "checked": "at or above what this wallet has seen before",
    "first-seen": "first time that this wallet sees it: whoever was asked could have held back something newer",
    "newest-known": "what this wallet has seen before; the sources had nothing that could be used",
    "not-checked": "not checked, as the wallet is locked or there is none: a source could have given an older state",
}
"""How a state stands to what was known before, in words."""


@click.command("resolve", cls=Verb, unlocks=True, example="walletcli resolve did:key:z6Mk…")
@click.argument("who", metavar="ID")
@click.option("--relay", "relays", metavar="URL", multiple=True, help="Ask this relay, not your list of relays.")
@click.option("--record", "record_file", metavar="FILE",
              help="Take this record file into account as well: its document, or all of it.")  # fmt: skip
@click.option("--did-document", is_flag=True, help="Show the W3C DID document that did:dht resolvers see.")
@click.option("--allowed-signers", is_flag=True, help="Show its SSH keys, as lines of git's and ssh-keygen's lists.")
@pass_invocation
def resolve(
    invocation: Invocation, who: str, relays: tuple[str, ...], record_file: str | None, did_document: bool,
    allowed_signers: bool,
) -> None:  # fmt: skip
    """Find anybody's record, by any form of the id, and verify it."""
    from walletcli.wallet.records import did_document_of, did_metadata_of
    from walletcli.wallet.resolve import resolve_identity

    warn_of_clear_text(relays)
    with contextlib.ExitStack() as open_sessions:
        session = session_for(invocation, who)
        if session is not None:
            open_sessions.enter_context(session)
        found = resolve_identity(
            who, session, relays, invocation.home,
            record_file=record_file, offline=invocation.offline, progress=invocation.step,
        )  # fmt: skip
    if found.not_remembered is not None:
        warn(
            f"{found.not_remembered.message}: the wallet has not kept what was found, and will not notice an older "
            "state that is offered next time"
        )
    if allowed_signers:
        return _answer_signers(invocation, found)
    if not did_document:
        return invocation.answer(found.to_json(), _lines(found))
    record = found.resolution.record
    spelled, metadata = did_document_of(record), did_metadata_of(record)
    if metadata["deactivated"]:
        warn("the identity has ended: what its keys sign now is not its owner's word")
    answer = {**found.to_json(), "did_document": spelled, "did_document_metadata": metadata}
    invocation.answer(answer, json_lines(spelled))


def _answer_signers(invocation: Invocation, found: Resolved) -> None:
    from walletcli.wallet.ssh.listing import signer_lines

    document = found.resolution.record.document
    if document is None:
        raise VerificationError("record.pending", "the newest record's document cannot be had", "try again later")
    lines = signer_lines(document)
    warn_of_doubts(found.resolution)
    invocation.answer({**found.to_json(), "allowed_signers": lines}, lines)


def warn_of_doubts(resolution: Resolution) -> None:
    """Warn where there is more than what is followed: what is said of an identity's keys may be over."""
    if resolution.pending is not None:
        seq = resolution.pending.seq
        warn(f"a newer record (seq {seq}) is there whose document cannot be had or used: it may say otherwise")
    if resolution.refused is not None:
        warn(_refused_line(resolution.refused))
    for split in resolution.open_splits:
        warn(f"two states were signed with seq {split.seq}: somebody else may have the identity's root key")


def session_for(invocation: Invocation, who: str) -> Session | None:
    """Open the wallet if that takes no question, or if `who` is a label, which only the wallet knows."""
    from walletcli.wallet.access.agent_session import open_session

    if invocation.password_file is not None or (not _is_id(who) and invocation.home.exists()):
        return invocation.session()
    try:
        return open_session(invocation.home)
    except VaultError:
        return None


def _is_id(who: str) -> bool:
    from walletcli.core.identity_id import IdentityId

    try:
        IdentityId.from_text(who)
    except InputError:
        return False
    return True


def _lines(found: Resolved) -> list[str]:
    resolution = found.resolution
    document = resolution.record.document
    fields = [("did", found.did), ("seq", str(found.seq))]
    if found.label is not None:
        fields.insert(1, ("label", found.label))
    if document is not None:
        fields += [(f"{name} (public)", value) for name, value in sorted(document.profile.items())]
    fields += [("binding", _binding_line(binding)) for binding in resolution.bindings]
    fields += [("verified", statement) for statement in resolution.verified]
    fields += [("source", _source_line(source)) for source in resolution.sources]
    fields.append(("freshness", FRESHNESS[resolution.freshness.value]))
    fields += [("sources", sources_line(resolution)), ("age", age_line(resolution.latest_day))]
    if resolution.pending is not None:
        fields.append(("pending", f"seq {resolution.pending.seq} is newer, and its document cannot be had or used"))
    if resolution.refused is not None:
        fields.append(("not approved", _refused_line(resolution.refused)))
    fields += [("split", _split_line(split, resolution)) for split in resolution.splits]
    return pairs(fields)


def _split_line(split: Split, resolution: Resolution) -> str:
    said = f"two states were signed with seq {split.seq}"
    if split not in resolution.open_splits:
        return f"{said}; this record heals that"
    did = resolution.identity.did
    return f"{said}: its key may be in two hands; the proof: walletcli record prove {did} --out FILE"


def sources_line(resolution: Resolution) -> str:
    """Say how many independent sources have answered, and whether that will do."""
    from walletcli.client.independence import WANTED_SOURCES

    count = len(resolution.independent)
    answered = f"{count} independent {'source has' if count == 1 else 'sources have'} answered"
    if resolution.is_known:
        return f"{answered}; one will do for what is known"
    if resolution.may_start_trust:
        return f"{answered}: enough for new trust to start"
    return f"{answered}; {WANTED_SOURCES} are wanted before new trust starts"


def _binding_line(binding: Binding) -> str:
    """Say who is the provider, whether that holds and until when, and which two keys have signed it."""
    from walletcli.core.identity_id import IdentityId

    if binding.grant is None:
        return f"cannot be read ({binding.state})"
    provider, until = IdentityId(binding.grant.provider).did, date_text(binding.grant.not_after_day)
    if binding.error is not None:
        return f"{provider}: does not hold: {binding.error.message} ({binding.state})"
    signer = f"key {binding.signer.hex()[:16]}…" if binding.signer is not None else "key"
    return f"{provider}: valid before {until}; signed by its {signer} and, in this document, by the identity"


def _refused_line(refused: NotApprovedError) -> str:
    """Say that somebody signs with the root and without the approvers, and how long that is refused."""
    if refused.last_day is None:
        return f"a newer state is signed, and refused: {refused.message}"
    until = date_text(refused.last_day)
    return f"a newer state changes the approvers without them; it is followed only after {until}: {refused.message}"


def _source_line(source: SourceReport) -> str:
    seq = f", seq {source.seq}" if source.seq is not None else ""
    why = f": {source.message}" if source.message else ""
    return f"{source.address} ({source.outcome.value}{seq}){why}"
