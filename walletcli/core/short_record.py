"""The short record: signature and document, without what can be derived from them.

A packet is a function of its document, and a document's padding of its length. So a verifier makes both again, and
checks the root's signature over the packet. It travels where a record has to come along with something else.

Spec: docs/spec/cose.md, "Short record".
"""

from __future__ import annotations

from typing import Final

from walletcli.core import cbor, ed25519
from walletcli.core.document import Document
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.errors import FormatError

MAX_SHORT_BYTES: Final = 65_700
"""Longest short record."""


def to_short(record: Record) -> bytes:
    """Encode a record that has its document.

    Raises:
        FormatError: ``short-record.malformed`` for one without.
    """
    if record.document is None:
        raise _wrong("a record without a document has no short form")
    return cbor.encode([record.packet.signature, record.document.to_bare_bytes()])


def from_short(data: bytes, max_bytes: int = MAX_SHORT_BYTES) -> Record:
    """Decode and verify a short record.

    Args:
        data: the short record.
        max_bytes: longest that is allowed here.

    Raises:
        FormatError: ``short-record.malformed``, ``short-record.too-long``, ``document.*``, ``key.malformed``,
            ``cbor.*``.
        VerificationError: ``signature.invalid``.
    """
    if len(data) > max_bytes:
        raise FormatError("short-record.too-long", f"a record of at most {max_bytes} bytes, found {len(data)}")
    fields = cbor.decode(data, max_bytes)
    if type(fields) is not list or len(fields) != 2:
        raise _wrong("needs a signature and a document")
    signature, bare = fields
    if type(signature) is not bytes or len(signature) != ed25519.SIGNATURE_BYTES or type(bare) is not bytes:
        raise _wrong("needs a signature of 64 bytes and a document")
    document = Document.from_bare_bytes(bare)
    value = packet_value(document)
    payload = signature + document.seq.to_bytes(8, "big") + value
    return Record(SignedPacket.with_derived_value(document.identity, payload, document.hash), document)


def _wrong(detail: str) -> FormatError:
    return FormatError("short-record.malformed", f"short record: {detail}")
