"""What a wallet knows of an identity's approvers beside what the document says: how to ask them, and who is to be one.

Spec: docs/spec/wallet-state.md, "Public half" and "Owner's section".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from walletcli.core import cbor
from walletcli.core.document_parts import Approvers
from walletcli.errors import FormatError
from walletcli.wallet.state.fields import Fields

MAX_CREDENTIALS = 8
"""As many as an identity can have approvers."""

MAX_CREDENTIAL_BYTES = 1023
"""Longest credential id that CTAP 2.1 allows."""

MAX_NAME_BYTES = 128
"""Longest name that the owner gives to an approver, UTF-8."""

_MAX_APPROVERS_BYTES = 512


@dataclass(frozen=True, slots=True)
class Credential:
    """How a security key is asked to approve.

    Attributes:
        public_key: of the approver, 32 or 33 bytes.
        credential_id: what the security key made for it, 1 to 1023 bytes; it cannot sign without.
        name: the owner's name for it, at most 128 bytes; never published.
    """

    public_key: bytes
    credential_id: bytes
    name: str

    def to_row(self) -> list[object]:
        """Return the CBOR list that stands for it."""
        return [self.public_key, self.credential_id, self.name]

    @classmethod
    def from_row(cls, value: object, what: str) -> Credential:
        """Read the list that `to_row` wrote; raises FormatError ``WHAT.malformed``."""
        row = Fields.of_row(value, what)
        found = cls(row.raw(0, max_bytes=33), row.raw(1, max_bytes=MAX_CREDENTIAL_BYTES), row.text(2, MAX_NAME_BYTES))
        row.end()
        if len(found.public_key) < 32 or not found.credential_id:
            raise FormatError(f"{what}.malformed", f"malformed {what}: a credential needs a key and an id")
        return found


def read_credentials(rows: Iterable[object], what: str) -> tuple[Credential, ...]:
    """Read credentials in the order of their keys, each once; raises FormatError ``WHAT.malformed``."""
    found = tuple(Credential.from_row(row, what) for row in rows)
    keys = [item.public_key for item in found]
    if len(found) > MAX_CREDENTIALS or any(map(bytes.__ge__, keys, keys[1:])):
        raise FormatError(f"{what}.malformed", f"malformed {what}: too many credentials, or out of order")
    return found


def joined(*groups: Iterable[Credential]) -> tuple[Credential, ...]:
    """Return the credentials of several places, in order; of one that stands in several, the first. At most 8."""
    found: dict[bytes, Credential] = {}
    for group in groups:
        for item in group:
            found.setdefault(item.public_key, item)
    return tuple(sorted(list(found.values())[:MAX_CREDENTIALS], key=lambda item: item.public_key))


@dataclass(frozen=True, slots=True)
class ApproverPlan:
    """The owner's decision on who is to approve; signed with the next record.

    Attributes:
        approvers: that the next document names, or None for none.
        lost: those of now cannot approve any more, so the next document goes without: everybody follows after a delay.
    """

    approvers: Approvers | None
    lost: bool = False

    def to_row(self) -> list[object]:
        """Return the CBOR list that stands for the decision."""
        encoded = cbor.encode(self.approvers.to_cbor()) if self.approvers is not None else None
        return [encoded, self.lost]

    @classmethod
    def from_row(cls, value: object, what: str) -> ApproverPlan:
        """Read the list that `to_row` wrote.

        Raises:
            FormatError: ``WHAT.malformed``, ``document.approvers``, ``key.malformed``, ``cbor.*``.
        """
        row = Fields.of_row(value, what)
        encoded, lost = row.optional_raw(0, max_bytes=_MAX_APPROVERS_BYTES), row.flag(1)
        row.end()
        if encoded is None:
            return cls(None, lost)
        return cls(Approvers.from_cbor(cbor.decode(encoded, _MAX_APPROVERS_BYTES)), lost)
