"""The SSH keys on security keys that a document names, and whether they count.

Spec: docs/spec/ssh.md, "In the document".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from walletcli.core.cbor import Value
from walletcli.core.document import Document
from walletcli.core.document_parts import Power
from walletcli.core.ssh.keys import fingerprint
from walletcli.core.ssh.named_keys import named_keys
from walletcli.core.ssh.security_keys import SkKey
from walletcli.errors import FormatError, VerificationError

EXTENSION: Final = "ssh-sk"
"""Key of the document's extensions under which they stand."""

MAX_KEYS: Final = 8
"""Most keys."""


@dataclass(frozen=True, slots=True)
class NamedSecurityKey:
    """A key that a document names.

    Attributes:
        key: made under ``ssh:``.
        verify: its signatures count only if the security key had checked its PIN.
    """

    key: SkKey
    verify: bool

    def described(self) -> str:
        """Return the key in a few words, for a person who decides."""
        needs = "PIN and touch" if self.verify else "touch"
        return f"SSH key {fingerprint(self.key.to_blob())} on a security key ({needs})"


def named_security_keys(document: Document) -> tuple[NamedSecurityKey, ...]:
    """Return the keys that a document names, ascending by key.

    Raises:
        FormatError: ``ssh-keys.malformed``, ``key.malformed``, ``ssh.key``.
    """
    value = document.extensions.get(EXTENSION)
    if value is None:
        return ()
    if type(value) is not list or not 1 <= len(value) <= MAX_KEYS:
        raise _wrong(f"needs a list of 1 to {MAX_KEYS}")
    found = tuple(_row(item) for item in value)
    keys = [item.key.public_key for item in found]
    if any(map(bytes.__ge__, keys, keys[1:])):
        raise _wrong("keys are repeated or out of order")
    if _others(document) & set(keys):
        raise _wrong("a key is one for something else")
    return found


def _row(item: Value) -> NamedSecurityKey:
    if type(item) is not list or len(item) != 3:
        raise _wrong("needs algorithm, key, and whether its PIN is needed")
    algorithm, public_key, verify = item
    if type(algorithm) is not int or type(public_key) is not bytes or type(verify) is not bool:
        raise _wrong("needs algorithm, key, and whether its PIN is needed")
    return NamedSecurityKey(SkKey(algorithm, public_key), verify)


def _others(document: Document) -> set[bytes]:
    """Return the keys of a document that are for something else."""
    approvers = document.approvers.approvers if document.approvers is not None else ()
    devices = {item.signing_key for item in document.delegations}
    return {document.identity, *devices, *(item.public_key for item in approvers), *_device_ssh_keys(document)}


def _device_ssh_keys(document: Document) -> set[bytes]:
    try:
        return set(named_keys(document).values())
    except FormatError:  # none of those is named then
        return set()


def naming_security_keys(
    extensions: Mapping[int | str, Value], keys: Sequence[NamedSecurityKey]
) -> dict[int | str, Value]:
    """Return extensions that name these keys, and no others."""
    kept = {key: value for key, value in extensions.items() if key != EXTENSION}
    ordered = sorted(keys, key=lambda item: item.key.public_key)
    rows: list[Value] = [[item.key.algorithm, item.key.public_key, item.verify] for item in ordered]
    return {**kept, EXTENSION: rows} if rows else kept


def check_named_security_key(document: Document, key: SkKey, day: int, *, is_verified: bool) -> int:
    """Check that a document names a key, and that a signature of it counts on a day.

    Args:
        document: the identity's newest, verified.
        key: that signed.
        day: days since 1970-01-01 UTC.
        is_verified: whether the security key had checked its PIN.

    Returns:
        The first day on which it counts no more, unless there is a newer document by then.

    Raises:
        FormatError: ``ssh-keys.malformed``, ``key.malformed``, ``ssh.key``.
        VerificationError: ``ssh-keys.retired``, ``ssh-keys.not-named``, ``ssh-keys.expired``,
            ``ssh-keys.not-verified``.
    """
    if document.retirement is not None:
        raise VerificationError("ssh-keys.retired", "the identity has ended, and its keys with it", _HINT)
    found = next((item for item in named_security_keys(document) if item.key == key), None)
    if found is None:
        raise VerificationError(
            "ssh-keys.not-named",
            "the identity's newest record does not name this SSH key (any more)",
            "if it should, its owner runs: walletcli identity ssh-security-key show ID KEY --in-record, and publishes",
        )
    if found.verify and not is_verified:
        raise VerificationError(
            "ssh-keys.not-verified",
            "the identity's record says that this key signs with its PIN, and the signature was made without",
            _HINT,
        )
    return until_day(document, day)


def until_day(document: Document, day: int) -> int:
    """Return the first day on which the security keys of a document that holds on `day` count no more.

    Raises:
        VerificationError: ``ssh-keys.expired``.
    """
    speaking = (item for item in document.delegations if Power.SHARE in item.powers and item.holds_on(day))
    end = max((item.not_after_day for item in speaking), default=None)
    if end is None:
        raise VerificationError(
            "ssh-keys.expired", "no device may speak for the identity any more, so its record names no key", _HINT
        )
    return end


_HINT = "ask its owner for a new signature, and for a newer record"


def _wrong(detail: str) -> FormatError:
    return FormatError("ssh-keys.malformed", f"the SSH keys on security keys of the document: {detail}")
