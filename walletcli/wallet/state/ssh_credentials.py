"""What a wallet knows of an identity's SSH keys on security keys: how to ask them, and which of them documents name.

Spec: docs/spec/wallet-state.md, "Public half" and "Owner's section"; docs/spec/ssh.md, "On a security key".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from walletcli.core.document import Document
from walletcli.core.ssh.named_security_keys import MAX_KEYS, NamedSecurityKey, named_security_keys
from walletcli.core.ssh.security_keys import EDDSA, ES256, SkKey
from walletcli.errors import FormatError
from walletcli.wallet.state.approvers import MAX_CREDENTIAL_BYTES, MAX_NAME_BYTES
from walletcli.wallet.state.fields import Fields

if TYPE_CHECKING:
    from walletcli.wallet.state.sections import OwnerSection


@dataclass(frozen=True, slots=True)
class SshCredential:
    """One SSH key of an identity that lives in a security key.

    Attributes:
        key: its public half.
        verify: its signatures are made with the PIN.
        credential_id: what the security key made for it, at most 1023 bytes; empty: this wallet cannot ask it.
        name: the owner's name for it, at most 128 bytes; never published.
        named: the owner wants documents to name it.
    """

    key: SkKey
    verify: bool
    credential_id: bytes
    name: str
    named: bool = False

    @property
    def can_be_asked(self) -> bool:
        """Whether this wallet knows what its security key needs to sign."""
        return bool(self.credential_id)

    def in_document(self) -> NamedSecurityKey:
        """Return the key as documents name it."""
        return NamedSecurityKey(self.key, self.verify)

    def to_row(self) -> list[object]:
        """Return the CBOR list that stands for it in the wallet."""
        return [*self.to_section_row(), self.named]

    def to_section_row(self) -> list[object]:
        """Return the CBOR list that stands for it in the owner's section; the document around it says the rest."""
        return [self.key.algorithm, self.key.public_key, self.verify, self.credential_id, self.name]


def read_credentials(rows: Iterable[object], what: str, *, in_section: bool = False) -> tuple[SshCredential, ...]:
    """Read keys in their order, each once.

    Args:
        rows: the lists that `to_row` wrote.
        what: first part of the error's code.
        in_section: those that `to_section_row` wrote.

    Raises:
        FormatError: ``WHAT.malformed``, ``key.malformed``, ``ssh.key``.
    """
    found = tuple(_credential(row, what, in_section) for row in rows)
    keys = [item.key.public_key for item in found]
    if not 1 <= len(found) <= MAX_KEYS or any(map(bytes.__ge__, keys, keys[1:])):
        raise FormatError(f"{what}.malformed", f"malformed {what}: no or too many SSH keys, or out of order")
    return found


def _credential(value: object, what: str, in_section: bool) -> SshCredential:
    row = Fields.of_row(value, what)
    key = SkKey(row.integer(0, EDDSA, ES256), row.raw(1, max_bytes=33))
    verify, credential_id = row.flag(2), row.raw(3, max_bytes=MAX_CREDENTIAL_BYTES)
    found = SshCredential(key, verify, credential_id, row.text(4, MAX_NAME_BYTES), not in_section and row.flag(5))
    row.end()
    return found


def ordered(credentials: Iterable[SshCredential]) -> tuple[SshCredential, ...]:
    """Return keys in the order in which they are kept, at most 8."""
    return tuple(sorted(list(credentials)[:MAX_KEYS], key=lambda item: item.key.public_key))


def of_record(
    document: Document, section: OwnerSection | None, known: Iterable[SshCredential] = ()
) -> dict[bytes, SshCredential]:
    """Return the keys that a document and the owner's section in it tell of, by public key.

    Args:
        document: verified.
        section: of that document, or None if it does not open.
        known: what stands for the section then.
    """
    try:
        named = {item.key.public_key: item for item in named_security_keys(document)}
    except FormatError:  # in another form than this version knows
        named = {}
    kept = {item.key.public_key: item for item in (section.ssh_credentials if section is not None else known)}
    strange = {key: SshCredential(item.key, item.verify, b"", "") for key, item in named.items() if key not in kept}
    return {key: replace(item, named=key in named) for key, item in {**kept, **strange}.items()}


def merged(
    base: Mapping[bytes, SshCredential], mine: Iterable[SshCredential], theirs: Mapping[bytes, SshCredential]
) -> tuple[SshCredential, ...]:
    """Return what one side has changed since `base`; where both did, what this wallet says."""
    own = {item.key.public_key: item for item in mine}
    chosen = ((theirs if own.get(key) == base.get(key) else own).get(key) for key in sorted(own.keys() | theirs.keys()))
    return ordered(item for item in chosen if item is not None)
