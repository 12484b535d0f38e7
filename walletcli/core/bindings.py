"""The bindings of a document, each verified on its own.

Spec: docs/spec/grant.md, "Bindings".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from walletcli.core.cose import Sign1
from walletcli.core.document import MAX_GRANT_BYTES, Document
from walletcli.core.grant import Grant, check_grant
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.errors import FormatError, VerificationError


@dataclass(frozen=True, slots=True)
class Binding:
    """A binding: the provider's grant, in the identity's document.

    Attributes:
        data: the grant as it stands there.
        grant: what it says; None if it cannot be read. Not verified unless `error` is None.
        signer: the provider's device key (32 bytes), None if it cannot be read.
        provider_record: the provider's newest known record; None if the binding is not valid.
        error: why it is disabled, or None.
    """

    data: bytes
    grant: Grant | None
    signer: bytes | None
    provider_record: Record | None
    error: FormatError | VerificationError | None

    @property
    def is_valid(self) -> bool:
        """Whether it holds."""
        return self.error is None

    @property
    def digest(self) -> bytes:
        """SHA-256 of the grant, 32 bytes."""
        return hashlib.sha256(self.data).digest()

    @property
    def state(self) -> str:
        """``valid``, or the code of what disables it."""
        return "valid" if self.error is None else self.error.code

    def to_json(self) -> dict[str, object]:
        """Return what the grant says, its signer, and the state with its reason."""
        said: dict[str, object] = self.grant.to_json() if self.grant is not None else {}
        return {
            "provider": said.get("provider"),
            "state": self.state,
            "reason": self.error.message if self.error is not None else None,
            "terms": said.get("terms"),
            "not_before_day": said.get("not_before_day"),
            "not_after_day": said.get("not_after_day"),
            "signers": {
                "provider_key": self.signer.hex() if self.signer is not None else None,
                "identity": IdentityId(self.grant.identity).did if self.grant is not None else None,
            },
            "digest": self.digest.hex(),
        }


def bindings_of(document: Document, today: int, newer: Mapping[bytes, Record] | None = None) -> tuple[Binding, ...]:
    """Verify the bindings of a document, in their order.

    Args:
        document: verified.
        today: days since 1970-01-01.
        newer: records of providers that are known otherwise, by root key.
    """
    return tuple(binding_of(data, document.identity, today, newer) for data in document.bindings)


def grants_of(document: Document) -> list[Grant]:
    """Return the grants of a document that can be read, in their order; nothing is verified."""
    found = []
    for data in document.bindings:
        try:
            found.append(_read(data)[0])
        except FormatError:
            continue
    return found


@lru_cache(maxsize=1024)
def _read(data: bytes) -> tuple[Grant, bytes]:
    """Return what a grant says and who is said to have signed it; it is looked at several times in a row."""
    sign1 = Sign1.from_bytes(data, MAX_GRANT_BYTES)
    return Grant.from_payload(sign1.payload), sign1.signer


def binding_of(data: bytes, identity: bytes, today: int, newer: Mapping[bytes, Record] | None = None) -> Binding:
    """Verify one grant as the binding that it is in a document of `identity` that contains it.

    Args:
        data: the grant.
        identity: root key, 32 bytes.
        today: days since 1970-01-01.
        newer: records of providers that are known otherwise, by root key.
    """
    try:
        grant, signer = _read(data)
    except FormatError as error:
        return Binding(data, None, None, None, error)
    try:
        verified = check_grant(data, identity, today, (newer or {}).get(grant.provider))
    except (FormatError, VerificationError) as error:
        return Binding(data, grant, signer, None, error)
    return Binding(data, grant, signer, verified.provider_record, None)
