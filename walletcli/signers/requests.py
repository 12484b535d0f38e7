"""What a root key may be asked to sign: typed requests that explain themselves.

A root key never signs bytes that it is handed. It is given one of these, can show what it would do, and makes the bytes
itself.

Spec: docs/spec/record.md; docs/security/threat-model.md, promise 9.
"""

from __future__ import annotations

from dataclasses import dataclass

from walletcli.core.bindings import Binding, bindings_of
from walletcli.core.document import Document
from walletcli.core.document_parts import RETIREMENT_REASONS, Delegation
from walletcli.core.identity_id import IdentityId
from walletcli.core.ssh.keys import fingerprint, key_blob
from walletcli.core.ssh.named_keys import named_keys
from walletcli.core.ssh.named_security_keys import NamedSecurityKey, named_security_keys
from walletcli.errors import FormatError, SignerError

MAX_REQUEST_SEQ = 4_102_444_800_000_000
"""First `seq` that is refused: the year 2100 in microseconds."""

MAX_LINE_CHARS = 160
"""Longest line that `describe` gives, characters: a screen shows it whole."""

_DAY_S = 86400


@dataclass(frozen=True, slots=True)
class PacketRequest:
    """Asks a root key to sign the packet of a document.

    Attributes:
        identity: root public key that is to sign, 32 bytes.
        document: the new public state, in full.
        previous: the document that it replaces, or None for a first one.

    Raises:
        SignerError: ``request.identity``, ``request.previous`` or ``request.seq`` if the parts do not belong together.
    """

    identity: bytes
    document: Document
    previous: Document | None = None

    def __post_init__(self) -> None:
        document, previous = self.document, self.previous
        if document.identity != self.identity or (previous is not None and previous.identity != self.identity):
            raise SignerError(
                "request.identity", "the document belongs to another identity than the one that is to sign"
            )
        if document.previous != (previous.hash if previous is not None else None):
            raise SignerError("request.previous", "the document does not follow the one that it is said to replace")
        if document.seq >= MAX_REQUEST_SEQ or (previous is not None and document.seq <= previous.seq):
            raise SignerError("request.seq", f"seq {document.seq} is not above the last one, or beyond the year 2100")
        if previous is not None and previous.retirement is not None:
            raise SignerError("request.retired", "the identity has been retired: nothing follows its last document")

    def describe(self, today: int | None = None) -> list[str]:
        """Return what signing would do, one fact a line, ASCII only, for a person who decides.

        Text from the document is escaped, so that it cannot draw on the screen.

        Args:
            today: days since 1970-01-01, to say whether providers' grants verify; None: that is left out.
        """
        document, previous = self.document, self.previous
        lines = [f"publish as {IdentityId(self.identity).did}", f"seq {document.seq}"]
        if previous is None:
            lines.append("this is the first record of the identity")
        else:
            lines.append(f"replaces the record with seq {previous.seq}")
        lines += _describe_profile(document, previous)
        lines += _describe_devices(document, previous)
        lines += _describe_ssh_keys(document, previous)
        lines += _describe_security_keys(document, previous)
        lines += _describe_bindings(document, previous, today)
        lines += _describe_rest(document, previous)
        return [plain_line(line) for line in lines]


def plain_line(text: str) -> str:
    """Return `text` in printable ASCII and short enough for a line."""
    shown = "".join(c if " " <= c <= "~" else c.encode("unicode_escape").decode("ascii") for c in text)
    return shown if len(shown) <= MAX_LINE_CHARS else shown[: MAX_LINE_CHARS - 3] + "..."


def _describe_profile(document: Document, previous: Document | None) -> list[str]:
    before = dict(previous.profile) if previous is not None else {}
    lines = []
    for name, value in sorted(document.profile.items()):
        mark = "" if previous is None or before.get(name) == value else " (changed)" if name in before else " (new)"
        lines.append(f"public {name} = {value}{mark}")
    lines += [f"removes public {name}" for name in sorted(before.keys() - document.profile.keys())]
    if document.sections:
        lines.append(f"{len(document.sections)} sealed section(s), for whoever they were sealed to")
    elif previous is not None and previous.sections:
        lines.append("removes all sealed sections")
    return lines


def _describe_devices(document: Document, previous: Document | None) -> list[str]:
    before = {item.signing_key: item for item in (previous.delegations if previous is not None else ())}
    kept = {item.signing_key for item in document.delegations}
    lines = []
    for item in sorted(document.delegations, key=lambda one: one.signing_key in before):
        changed = item.signing_key in before and before[item.signing_key] != item
        added = previous is not None and item.signing_key not in before
        lines.append(("ADDS the " if added else "") + describe_delegation(item) + (" (changed)" if changed else ""))
    return lines + [f"REMOVES the device {key.hex()[:16]}" for key in before if key not in kept]


def _describe_ssh_keys(document: Document, previous: Document | None) -> list[str]:
    before = _ssh_keys(previous) if previous is not None else {}
    if before is None or (now := _ssh_keys(document)) is None:
        return ["SSH keys in a form that is not known here"]
    lines = []
    for device, key in now.items():
        mark = "" if before.get(device) == key else "ADDS the "
        lines.append(f"{mark}SSH key {fingerprint(key_blob(key))} of device {device.hex()[:16]}")
    gone = [(device, key) for device, key in before.items() if now.get(device) != key]
    return lines + [f"REMOVES the SSH key {fingerprint(key_blob(key))} of device {one.hex()[:16]}" for one, key in gone]


def _ssh_keys(document: Document) -> dict[bytes, bytes] | None:
    try:
        return named_keys(document)
    except FormatError:
        return None


def _describe_security_keys(document: Document, previous: Document | None) -> list[str]:
    before = _security_keys(previous) if previous is not None else ()
    if before is None or (now := _security_keys(document)) is None:
        return ["SSH keys on security keys in a form that is not known here"]
    lines = [("" if item in before else "ADDS the ") + item.described() for item in now]
    return lines + [f"REMOVES the {item.described()}" for item in before if item not in now]


def _security_keys(document: Document) -> tuple[NamedSecurityKey, ...] | None:
    try:
        return named_security_keys(document)
    except FormatError:
        return None


def describe_delegation(item: Delegation) -> str:
    """Return which device may do what, and until when, in one line."""
    powers = ", ".join(sorted(item.powers))
    days = f"{date_of(item.not_before_day)} to {date_of(item.not_after_day)}"
    return f"device {item.signing_key.hex()[:16]} may {powers}, {days}"


def _describe_bindings(document: Document, previous: Document | None, today: int | None) -> list[str]:
    before = {item.digest: _provider(item) for item in bindings_of(previous, 0)} if previous is not None else {}
    lines, kept = [], set()
    for binding in bindings_of(document, today if today is not None else 0):
        provider = _provider(binding)
        kept.add(provider)
        if binding.digest in before:
            lines.append(f"keeps the binding with {provider}")
            continue
        lines.append(("RENEWS" if provider in before.values() else "ADDS") + f" the binding with {provider}")
        lines += _describe_grant(binding, today)
    return lines + [f"REMOVES the binding with {provider}" for provider in before.values() if provider not in kept]


def _provider(binding: Binding) -> str:
    if binding.grant is None:
        return f"nobody known: grant {binding.digest.hex()[:16]} cannot be read"
    return f"provider {IdentityId(binding.grant.provider).did}"


def _describe_grant(binding: Binding, today: int | None) -> list[str]:
    grant = binding.grant
    lines = []
    if grant is not None:
        terms = grant.terms
        lines = [
            f"  room for {_size(terms.quota_bytes)} of sealed data, in blobs of at most {_size(terms.max_blob_bytes)}",
            f"  kept for {terms.retention_days} days after leaving",
            f"  holds {date_of(grant.not_before_day)} to {date_of(grant.not_after_day)}",
        ]
    if today is None:
        return lines
    verdict = "verifies today" if binding.error is None else f"DOES NOT VERIFY today: {binding.error.message}"
    return [*lines, f"  the provider's grant {verdict}"]


def _size(count_bytes: int) -> str:
    for factor, unit in ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count_bytes >= factor and count_bytes * 8 % factor == 0:  # eighths are written exactly
            return f"{count_bytes / factor:.10g} {unit}"
    return f"{count_bytes} bytes"


def _describe_rest(document: Document, previous: Document | None) -> list[str]:
    before = previous if previous is not None else Document(document.identity, 0)
    lines = [f"address {item.transport} {item.location}" for item in document.addresses]
    gone = [item for item in before.addresses if item not in document.addresses]
    lines += [f"REMOVES the address {item.transport} {item.location}" for item in gone]
    counted = (
        ("bindings", document.bindings, before.bindings),
        ("extensions", document.extensions, before.extensions),
    )
    lines += [f"{what}: {len(now)} (before: {len(then)})" for what, now, then in counted if now or then]
    for pair in document.healed:
        first, second = (half.hex()[:16] for half in pair)
        verb = "keeps healed" if pair in before.healed else "HEALS"
        lines.append(f"{verb} the split between the states {first} and {second}")
    lines += ["REMOVES a healed split"] * len(set(before.healed) - set(document.healed))
    if document.approvers is not None:
        what = "approvers" if document.approvers == before.approvers else "CHANGES the approvers"
        lines.append(f"{what}: {document.approvers.threshold} of {len(document.approvers.approvers)}")
    elif before.approvers is not None:
        lines.append("REMOVES all approvers")
    if document.succession is not None:
        what = "a successor" if document.succession == before.succession else "CHANGES the successor"
        lines.append(f"{what}, who may take over after {document.succession.delay_days} days")
    elif before.succession is not None:
        lines.append("REMOVES the successor")
    if document.retirement is not None:
        reason = RETIREMENT_REASONS[document.retirement.reason]
        lines.append(f"RETIRES the identity for good ({reason}), dated {date_of(document.retirement.day)}")
    return lines


def date_of(day: int) -> str:
    """Return a day (since 1970-01-01 UTC) as YYYY-MM-DD."""
    import datetime

    return datetime.datetime.fromtimestamp(day * _DAY_S, tz=datetime.UTC).strftime("%Y-%m-%d")
