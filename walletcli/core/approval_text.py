"""What an approver with a screen shows and signs: one readable text for each document, and for each contact export.

Whoever verifies builds the text anew from what is approved, and takes no other: so it says what the document says.

Spec: docs/spec/approval.md, "Signed text".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from walletcli.core import cbor
from walletcli.core.cbor import Map, Value
from walletcli.core.cose import Sign1
from walletcli.core.document import MAX_GRANT_BYTES, Document
from walletcli.core.document_parts import RETIREMENT_REASONS, Approvers
from walletcli.core.identity_id import IdentityId
from walletcli.errors import FormatError

MAX_TEXT_BYTES: Final = 900
"""Longest text, printable ASCII; the device takes at least 1147 (docs/spec/ledger.md)."""

MAX_NAMED_PROVIDERS: Final = 8
"""As many providers stand in the text with their whole names."""

_SIGNING_DOMAIN: Final = b"\xffsolana offchain"
_HEADER_VERSION: Final = b"\0"
_PRINTABLE_ASCII: Final = b"\0"
_ONE_SIGNER: Final = b"\1"
_CODE_BYTES: Final = 8
_LASTING: Final = (1, 2, 3)
"""Fields of a delegation that its renewal leaves as they are: both keys and the powers."""


def off_chain_message(domain: bytes, public_key: bytes, text: str) -> bytes:
    """Return the bytes that the device signs when it has shown a text.

    Args:
        domain: names the application, 32 bytes.
        public_key: of the approver, 32 bytes.
        text: printable ASCII.
    """
    said = text.encode("ascii")
    head = _SIGNING_DOMAIN + _HEADER_VERSION + domain + _PRINTABLE_ASCII + _ONE_SIGNER + public_key
    return head + len(said).to_bytes(2, "little") + said


def text_of(document: Document, digest: bytes) -> str:
    """Return the text of a document: what it says as far as a person can compare it, and its hash.

    Args:
        document: what is approved.
        digest: its hash, 32 bytes.
    """
    return _text(document.identity, f"Record number {document.seq}", digest, *_said(document))


def text_of_export(identity: bytes, digest: bytes, contacts: int) -> str:
    """Return the text of a contact export.

    Args:
        identity: whose list it is, root key of 32 bytes.
        digest: SHA-256 of the export's exact bytes, 32 bytes.
        contacts: how many it names.
    """
    return _text(identity, f"Export of {contacts} contact{'' if contacts == 1 else 's'}", digest)


def text_of_rehearsal(identity: bytes, digest: bytes) -> str:
    """Return a text that approves nothing, by which a device shows that it can sign one.

    Args:
        identity: who wants it as an approver, root key of 32 bytes.
        digest: 32 random bytes.
    """
    return _text(identity, "Rehearsal: this approves nothing", digest)


def _text(identity: bytes, what: str, digest: bytes, *said: str) -> str:
    parts = [f"walletcli approval. {what}", f"Identity {IdentityId(identity).did}", *said]
    return ". ".join([*parts, f"SHA-256 {digest.hex()}"])


def _said(document: Document) -> Iterator[str]:
    yield f"Providers: {_providers(document.bindings)}"
    devices: list[Value] = [[item.to_cbor()[field] for field in _LASTING] for item in document.delegations]
    yield f"Devices: {len(devices)}{_code(devices)}"
    yield f"Approvers: {_approvers(document.approvers)}"
    succession = document.succession
    yield f"Successor: {f'after {succession.delay_days} days{_code(succession.to_cbor())}' if succession else 'none'}"
    if document.profile:
        profile: Map = {}
        profile.update(document.profile)
        yield f"Profile: {len(profile)}{_code(profile)}"
    if document.addresses:
        addresses: list[Value] = [item.to_cbor() for item in document.addresses]
        yield f"Addresses: {len(addresses)}{_code(addresses)}"
    if document.healed:
        yield f"Healed splits: {len(document.healed)}"
    if document.retirement:
        yield f"THE IDENTITY ENDS: {RETIREMENT_REASONS[document.retirement.reason]}"


def _code(value: Value) -> str:
    """Return what tells one such part from another: 16 hexadecimal digits; nothing for an empty one."""
    return f" ({hashlib.sha256(cbor.encode(value)).digest()[:_CODE_BYTES].hex()})" if value else ""


def _approvers(approvers: Approvers | None) -> str:
    if approvers is None:
        return "none"
    members: list[Value] = [item.to_cbor() for item in approvers.approvers]
    return f"{approvers.threshold} of {len(members)}{_code(members)}, {approvers.delay_days} days"


def _providers(bindings: tuple[bytes, ...]) -> str:
    if not bindings:
        return "none"
    names = [_provider(grant) for grant in bindings]
    left = names[MAX_NAMED_PROVIDERS:]
    more = [f"{len(left)} more{_code([*names])}"] if left else []
    return ", ".join(names[:MAX_NAMED_PROVIDERS] + more)


def _provider(grant: bytes) -> str:
    """Return whom a grant names, without checking that it is theirs: one that does not verify binds to nobody."""
    try:
        payload = Sign1.from_bytes(grant, MAX_GRANT_BYTES).payload
        fields = cbor.decode(payload, MAX_GRANT_BYTES)
    except FormatError:
        return "unreadable"
    key = fields.get(2) if type(fields) is dict else None
    return IdentityId(key).did.removeprefix("did:key:") if type(key) is bytes and len(key) == 32 else "unreadable"
