"""``walletcli sign`` and ``walletcli verify``: signatures of files in OpenSSH's form."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from walletcli.cli.commands import Verb
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.output import note, pairs
from walletcli.cli.relay import warn_of_clear_text
from walletcli.cli.times import date_text
from walletcli.errors import UsageError

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session
    from walletcli.wallet.ssh.signing import SignedFile
    from walletcli.wallet.ssh.verifying import CheckedSignature, Evidence, SignedByIdentity, SignedByListed

STDIO = "-"
"""Name that stands for standard input or output."""

DEFAULT_NAMESPACE = "file"
"""What ssh-keygen calls signatures of files."""

_NAMESPACE_OPTION = click.option(
    "--namespace", default=DEFAULT_NAMESPACE, show_default=True, help="What the signature is for."
)


@click.command("sign", cls=Verb, unlocks=True, example="walletcli sign release.tar.gz --as alice")
@click.argument("file", metavar="FILE")
@click.option("--as", "who", metavar="ID", required=True, help="In whose name.")
@_NAMESPACE_OPTION
@click.option(
    "--out", metavar="FILE", help="Write the signature to this new file ('-': standard output); else FILE.sig."
)
@click.option("--security-key", "touch", is_flag=True, help="With a security key of the identity, which is touched.")
@pass_invocation
def sign(invocation: Invocation, file: str, who: str, namespace: str, out: str | None, touch: bool) -> None:
    """Sign a file with an identity's SSH key; '-' is standard input."""
    from walletcli.wallet.ssh.signing import sign_file

    if file == STDIO:
        invocation.claim_stdin("FILE")
    target = out if out is not None else STDIO if file == STDIO else f"{file}.sig"
    with invocation.session() as session:
        to = None if target == STDIO else target
        signed = sign_file(session, who, file, namespace, to, touch=touch, tell=note)
    text = signed.signature.to_text().removesuffix("\n")
    invocation.answer(signed.to_json(), [text] if signed.out is None else _signed_lines(signed))
    if not signed.is_in_record and not invocation.json:
        command = "ssh-key" if signed.signature.touch is None else "ssh-security-key show"
        label = signed.identity.label_word
        note(f"The record does not name this key: give verifiers the line of: walletcli identity {command} {label}")


@click.command("verify", cls=Verb, unlocks=True,
               example="walletcli verify release.tar.gz release.tar.gz.sig --signer did:key:z6Mk…")  # fmt: skip
@click.argument("file", metavar="FILE")
@click.argument("signature", metavar="SIG")
@click.option("--signer", metavar="ID", help="Who has to have signed; their newest record is asked for.")
@click.option(
    "--record", metavar="FILE", help="Take this file with their record into account as well; with --offline, it alone."
)
@click.option("--relay", "relays", metavar="URL", multiple=True, help="Ask this relay, not your list of relays.")
@click.option(
    "--keep", is_flag=True, help="Remember in the wallet that it is good: it counts when the device has gone."
)
@click.option("--allowed-signers", metavar="FILE", help="Look for the signer in this list, as ssh-keygen does.")
@click.option("--principal", metavar="NAME", help="Who of that list has to have signed; anybody if not given.")
@_NAMESPACE_OPTION
@pass_invocation
def verify(
    invocation: Invocation, file: str, signature: str, signer: str | None, record: str | None, relays: tuple[str, ...],
    keep: bool, allowed_signers: str | None, principal: str | None, namespace: str,
) -> None:  # fmt: skip
    """Verify a file's signature by its signer's identity, or by a list; FILE '-' is standard input."""
    from walletcli.wallet.ssh.verifying import by_list, check_signature

    _check_options(signer, record, relays, keep, allowed_signers, principal)
    if file == STDIO:
        invocation.claim_stdin("FILE")
    checked = check_signature(file, signature, namespace)
    if allowed_signers is not None:
        listed = by_list(checked, allowed_signers, principal)
        return invocation.answer(listed.to_json(), _listed_lines(listed))
    found = _by_identity(invocation, checked, signer or "", record, relays, keep=keep)
    invocation.answer(found.to_json(), _identity_lines(found))


def _check_options(
    signer: str | None, record: str | None, relays: tuple[str, ...], keep: bool, listed: str | None, name: str | None
) -> None:
    if (signer is None) == (listed is None):
        raise UsageError("verify.signer", "say who has to have signed", "give --signer ID or --allowed-signers FILE")
    if listed is not None and (record is not None or relays or keep):
        raise UsageError("verify.options", "--record, --relay and --keep go with --signer", "leave them out")
    if signer is not None and name is not None:
        raise UsageError("verify.options", "--principal goes with --allowed-signers", "leave it out")


def _by_identity(
    invocation: Invocation, checked: CheckedSignature, signer: str, record: str | None, relays: tuple[str, ...],
    *, keep: bool,
) -> SignedByIdentity:  # fmt: skip
    from walletcli.cli.resolve import session_for
    from walletcli.wallet.ssh.verifying import by_identity

    warn_of_clear_text(relays)
    with contextlib.ExitStack() as open_sessions:
        session = invocation.session() if keep else session_for(invocation, signer)
        if session is not None:
            open_sessions.enter_context(session)
        evidence = _evidence(invocation, session, signer, record, relays)
        return by_identity(checked, evidence, session, keep=keep)


def _evidence(
    invocation: Invocation, session: Session | None, signer: str, record: str | None, relays: tuple[str, ...]
) -> Evidence:
    from walletcli.cli.resolve import warn_of_doubts
    from walletcli.wallet.resolve import resolve_identity
    from walletcli.wallet.ssh.verifying import Evidence

    found = resolve_identity(
        signer, session, relays, home=invocation.home,
        record_file=record, offline=invocation.offline, progress=invocation.step,
    ).resolution  # fmt: skip
    warn_of_doubts(found)
    return Evidence(found.record, found.freshness.value)


def _signed_lines(signed: SignedFile) -> list[str]:
    return pairs([("signed", f"as {signed.did}"), ("for", signed.signature.namespace), ("signature", signed.out or "")])


def _listed_lines(found: SignedByListed) -> list[str]:
    signature = found.checked.signature
    return pairs([("good", f"signed by {found.principals}"), *_common(found.checked), ("for", signature.namespace)])


def _identity_lines(found: SignedByIdentity) -> list[str]:
    fields = [("good", f"signed by {found.did}"), *_common(found.checked), ("for", found.checked.signature.namespace)]
    if found.device is not None and found.until_day is not None:
        device = f"{found.device.hex()[:16]}…, which may speak for the identity until {date_text(found.until_day)}"
        fields.append(("device", device))
    elif found.until_day is not None:
        fields.append(("counts", f"until {date_text(found.until_day)}, if no newer record says otherwise"))
    if found.kept_day is not None:
        kept = f"{date_text(found.kept_day)}; the key counts no more today"
        fields.append(("found good by this wallet on", kept))
    fields.append(("record", f"seq {found.evidence.record.packet.seq}, {_freshness(found.evidence.freshness)}"))
    return pairs(fields)


def _common(checked: CheckedSignature) -> list[tuple[str, str]]:
    from walletcli.core.ssh.keys import fingerprint

    touch = checked.signature.touch
    key = [("key", fingerprint(checked.signature.key_blob))]
    if touch is None:
        return key
    return [*key, ("made", f"by a security key that was touched, {'with' if touch.is_verified else 'without'} its PIN")]


def _freshness(word: str) -> str:
    from walletcli.cli.resolve import FRESHNESS

    return FRESHNESS[word]
