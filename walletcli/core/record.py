"""The record: a packet and the document that it commits to, checked against each other.

Spec: docs/spec/record.md, "Packet", "Record file" and "Verification".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from walletcli.core import bep44, cbor, dns
from walletcli.core.document import MAX_DOCUMENT_BYTES, Document
from walletcli.core.encodings import b64url_encode, z32_encode
from walletcli.core.packet import MAX_RELAY_PAYLOAD_BYTES, POINTER_PREFIX, SignedPacket
from walletcli.errors import FormatError, InputError, VerificationError

MAGIC = b"walletcli record 1\n"
"""First bytes of a record file."""

MAX_FILE_BYTES = 70_000
"""Longest record file."""

PACKET_DEVICE_KEYS = 8
"""How many of a document's delegations its packet shows; as many as always fit."""

TTL_S = 7200
"""Time to live of our DNS answers, as did:dht recommends, in seconds."""

SEQ_LIMIT = 4_102_444_800_000_000
"""2100-01-01 in microseconds; no `seq` is signed from here on."""

SEQ_JUMP = 1 << 20
"""A new `seq` lies less than this beyond the last one, if that was not in the past."""

_DAY_S = 86_400


def packet_value(document: Document) -> bytes:
    """Return the DNS message (at most 996 bytes) that a document's packet carries."""
    return _packet_value(document, document.hash)


def _packet_value(document: Document, document_hash: bytes) -> bytes:
    z32 = z32_encode(document.identity).encode("ascii")
    keys = [document.identity, *(d.signing_key for d in document.delegations[:PACKET_DEVICE_KEYS])]
    names = [b"k%d" % n for n in range(len(keys))]
    devices = b",".join(names[1:])
    purposes = b";auth=%s;asm=%s" % (devices, devices) if devices else b""
    root_name = b"\4_did\x34" + z32 + b"\0"
    root = dns.txt_record(root_name, b"v=0;vm=%s%s;inv=k0;del=k0" % (b",".join(names), purposes), TTL_S)
    parts = [dns.response_header(len(keys) + 2), root]
    did_label_at = 12 + len(root) + 4
    suffix = b"\4_did\0"
    for name, key in zip(names, keys, strict=True):
        text = b"t=0;k=" + b64url_encode(key).encode("ascii")
        parts.append(dns.txt_record(b"\3_" + name + suffix, text, TTL_S))
        suffix = (0xC000 | did_label_at).to_bytes(2, "big")
    pointer = POINTER_PREFIX + b64url_encode(document_hash).encode("ascii")
    parts.append(dns.txt_record(b"\2_w\xc0\x11", pointer, TTL_S))
    return b"".join(parts)


def next_seq(last: int | None, now_s: float, entropy: Callable[[int], bytes]) -> int:
    """Choose the `seq` of the next packet.

    Args:
        last: the highest `seq` used or seen so far, or None.
        now_s: Unix time in seconds.
        entropy: gives as many random bytes as asked.

    Raises:
        InputError: ``seq.exhausted`` if the next one would lie beyond the year 2100.
    """
    midnight_s = int(now_s) // _DAY_S * _DAY_S - _DAY_S
    yesterday = midnight_s * 1_000_000 + int.from_bytes(entropy(16), "big") % (_DAY_S * 1_000_000)
    after_last = 0 if last is None else last + 1 + int.from_bytes(entropy(8), "big") % SEQ_JUMP
    seq = max(yesterday, after_last, 0)
    if seq >= SEQ_LIMIT:
        raise InputError(
            "seq.exhausted", "the next seq lies beyond the year 2100", "check this machine's clock and the last record"
        )
    return seq


@dataclass(frozen=True, slots=True)
class Record:
    """A verified packet and, if it names one and it is at hand, its verified document."""

    packet: SignedPacket
    document: Document | None

    @property
    def is_pending(self) -> bool:
        """Whether the packet names a document that is not at hand."""
        return self.document is None and self.packet.document_hash is not None

    @classmethod
    def verified(cls, packet: SignedPacket, document_bytes: bytes | None) -> Record:
        """Join a verified packet and a document that claims to be its.

        Raises:
            FormatError: the document's form, ``document.*``, ``cbor.*``.
            VerificationError: ``record.hash-mismatch``, ``record.identity-mismatch``, ``record.seq-mismatch``,
                ``record.not-derived``, ``record.no-document`` for a document where the packet names none.
        """
        if document_bytes is None:
            return cls(packet, None)
        if packet.document_hash is None:
            raise VerificationError("record.no-document", "the packet names no document, but one came with it")
        if len(document_bytes) > MAX_DOCUMENT_BYTES:
            raise FormatError(
                "document.too-long", f"a document has at most {MAX_DOCUMENT_BYTES} bytes, found {len(document_bytes)}"
            )
        if hashlib.sha256(document_bytes).digest() != packet.document_hash:
            raise VerificationError("record.hash-mismatch", "the document is not the one that the packet names")
        document = Document.from_bytes(document_bytes)
        if document.identity != packet.public_key:
            raise VerificationError("record.identity-mismatch", "the document is another identity's")
        if document.seq != packet.seq:
            raise VerificationError("record.seq-mismatch", "the document and the packet differ in seq")
        if _packet_value(document, packet.document_hash) != packet.value:
            raise VerificationError("record.not-derived", "the packet says something else than its document")
        return cls(packet, document)

    def to_bytes(self) -> bytes:
        """Encode as a record file."""
        packet = self.packet
        document = self.document.to_bytes() if self.document else None
        return MAGIC + cbor.encode([packet.public_key, packet.signature, packet.seq, packet.value, document])

    @classmethod
    def from_bytes(cls, data: bytes) -> Record:
        """Decode and verify a record file.

        Raises:
            FormatError: ``record.file`` and what `SignedPacket` and `verified` raise.
            VerificationError: ``signature.invalid`` and what `verified` raises.
        """
        if len(data) > MAX_FILE_BYTES or not data.startswith(MAGIC):
            raise FormatError(
                "record.file", "not a record file of a known version", "a record file starts with 'walletcli record 1'"
            )
        fields = cbor.decode(data[len(MAGIC) :], MAX_FILE_BYTES)
        if type(fields) is not list or len(fields) != 5:
            raise FormatError("record.file", "needs key, signature, seq, packet and document")
        key, signature, seq, value, document = fields
        if type(key) is not bytes or len(key) != 32 or type(signature) is not bytes or len(signature) != 64:
            raise FormatError("record.file", "the key has 32 bytes and the signature 64")
        if type(seq) is not int or not 0 <= seq <= bep44.MAX_SEQ or type(value) is not bytes:
            raise FormatError("record.file", "seq is a whole number of 63 bits and the packet a byte string")
        if document is not None and type(document) is not bytes:
            raise FormatError("record.file", "the document is a byte string or null")
        payload = signature + seq.to_bytes(8, "big") + value
        if len(payload) > MAX_RELAY_PAYLOAD_BYTES:
            raise FormatError(
                "packet.too-long", f"a packet holds at most {bep44.MAX_VALUE_BYTES} bytes, found {len(value)}"
            )
        return cls.verified(SignedPacket.from_relay_payload(key, payload), document)
