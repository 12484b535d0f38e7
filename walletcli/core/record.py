"""The record: a packet and the document that it commits to, checked against each other.

Spec: docs/spec/record.md, "Packet", "Record file" and "Verification".
"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from walletcli.core import bep44, cbor, dns
from walletcli.core.approvals import MAX_APPROVALS_BYTES, DocumentApprovals
from walletcli.core.document import MAX_DOCUMENT_BYTES, Document, check_document_size
from walletcli.core.encodings import z32_encode
from walletcli.core.packet import MAX_RELAY_PAYLOAD_BYTES, POINTER_PREFIX, SignedPacket
from walletcli.errors import FormatError, InputError, VerificationError

MAGIC = b"walletcli record 1\n"
"""First bytes of a record file."""

MAX_FILE_BYTES = 70_000 + MAX_APPROVALS_BYTES
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
_Z32_BYTES = 52
_Z32_AT = 12 + 6
_B64_BYTES = 43
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _packet_template(devices: int) -> tuple[bytes, ...]:
    """Return the parts of a packet with that many device keys: what stands between z, the keys and the hash."""
    names = [b"k%d" % n for n in range(devices + 1)]
    listed = b",".join(names[1:])
    purposes = b";auth=%s;asm=%s" % (listed, listed) if devices else b""
    root = dns.txt_record(
        b"\4_did\x34" + bytes(_Z32_BYTES) + b"\0", b"v=0;vm=%s%s;inv=k0;del=k0" % (b",".join(names), purposes), TTL_S
    )
    did_label_at = 12 + len(root) + 4
    suffix = b"\4_did\0"
    parts = [dns.response_header(devices + 3) + root]
    for name in names:
        parts.append(dns.txt_record(b"\3_" + name + suffix, b"t=0;k=" + bytes(_B64_BYTES), TTL_S)[:-_B64_BYTES])
        suffix = (0xC000 | did_label_at).to_bytes(2, "big")
    parts.append(dns.txt_record(b"\2_w\xc0\x11", POINTER_PREFIX + bytes(_B64_BYTES), TTL_S)[:-_B64_BYTES])
    return parts[0][:_Z32_AT], parts[0][_Z32_AT + _Z32_BYTES :] + parts[1], *parts[2:]


_TEMPLATES = tuple(_packet_template(devices) for devices in range(PACKET_DEVICE_KEYS + 1))


def packet_value(document: Document) -> bytes:
    """Return the DNS message (at most 996 bytes) that a document's packet carries."""
    return _packet_value(document, document.hash)


def _packet_value(document: Document, document_hash: bytes) -> bytes:
    keys = [d.signing_key for d in document.delegations[:PACKET_DEVICE_KEYS]]
    parts = _TEMPLATES[len(keys)]
    out = [parts[0], z32_encode(document.identity).encode("ascii"), parts[1], _b64url(document.identity)]
    for part, key in zip(parts[2:], [*keys, document_hash], strict=True):
        out += (part, _b64url(key))
    return b"".join(out)


def _b64url(data: bytes) -> bytes:
    """Return 32 bytes as 43 of unpadded base64url."""
    return b2a_base64(data, newline=False)[:_B64_BYTES].translate(_URL_SAFE)


def _deriving(public_key: bytes, payload: bytes, document_bytes: bytes) -> tuple[Document, bytes] | None:
    """Return the document and its hash if it is `public_key`'s and gives exactly this payload's seq and value."""
    if len(payload) > MAX_RELAY_PAYLOAD_BYTES or len(document_bytes) > MAX_DOCUMENT_BYTES:
        return None
    try:
        document = Document.from_bytes(document_bytes)
    except FormatError:
        return None
    document_hash = hashlib.sha256(document_bytes).digest()
    derived = document.seq.to_bytes(8, "big") + _packet_value(document, document_hash)
    return (document, document_hash) if document.identity == public_key and payload[64:] == derived else None


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
    """A verified packet and, if it names one and it is at hand, its verified document.

    Attributes:
        packet: verified.
        document: the one that it names.
        beside: the approvals that came with the document, or None. What they are worth depends on who looks: see
            `walletcli.core.approvals.check_follows`.
    """

    packet: SignedPacket
    document: Document | None
    beside: DocumentApprovals | None = field(default=None, compare=False)

    @property
    def is_pending(self) -> bool:
        """Whether the packet names a document that is not at hand."""
        return self.document is None and self.packet.document_hash is not None

    def with_approvals(self, beside: DocumentApprovals | None) -> Record:
        """Return the same record with what is beside its document."""
        return replace(self, beside=beside)

    @classmethod
    def verified(cls, packet: SignedPacket, document_bytes: bytes | None) -> Record:
        """Join a verified packet and a document that claims to be its.

        Raises:
            FormatError: ``record.unknown-version`` for a packet that names its document in a way not known here; the
                document's form, ``document.*``, ``key.malformed``, ``cbor.*``.
            VerificationError: ``record.hash-mismatch``, ``record.identity-mismatch``, ``record.seq-mismatch``,
                ``record.not-derived``, ``record.no-document`` for a document where the packet names none.
        """
        if packet.document_hash is None and packet.is_of_unknown_version:
            raise FormatError(
                "record.unknown-version",
                "the packet names its document in a way that is not known here",
                "update walletcli",
            )
        if document_bytes is None:
            return cls(packet, None)
        if packet.document_hash is None:
            raise VerificationError("record.no-document", "the packet names no document, but one came with it")
        check_document_size(document_bytes)
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

    @classmethod
    def from_payload(cls, public_key: bytes, payload: bytes, document_bytes: bytes | None) -> Record:
        """Verify a relay payload and its document together; faster than one after the other.

        Args:
            public_key: 32 bytes.
            payload: relay payload, 84 to 1068 bytes.
            document_bytes: the document, or None.

        Raises:
            FormatError, VerificationError: as `SignedPacket.from_relay_payload` and `verified`.
        """
        found = _deriving(public_key, payload, document_bytes) if document_bytes else None
        if found is None:  # no document, or something is wrong: find out what, in the order of the specification
            return cls.verified(SignedPacket.from_relay_payload(public_key, payload), document_bytes)
        document, document_hash = found
        return cls(SignedPacket.with_derived_value(public_key, payload, document_hash), document)

    def to_bytes(self) -> bytes:
        """Encode as a record file."""
        packet = self.packet
        document = self.document.to_bytes() if self.document else None
        parts: list[cbor.Value] = [packet.public_key, packet.signature, packet.seq, packet.value, document]
        if self.beside is not None and document is not None:
            parts.append(self.beside.to_bytes())
        return MAGIC + cbor.encode(parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Record:
        """Decode and verify a record file.

        Raises:
            FormatError: ``record.file`` and what `SignedPacket`, `verified` and `DocumentApprovals` raise.
            VerificationError: ``signature.invalid`` and what `verified` raises.
        """
        if len(data) > MAX_FILE_BYTES or not data.startswith(MAGIC):
            raise FormatError(
                "record.file", "not a record file of a known version", "a record file starts with 'walletcli record 1'"
            )
        fields = cbor.decode(data[len(MAGIC) :], MAX_FILE_BYTES)
        if type(fields) is not list or len(fields) not in (5, 6):
            raise FormatError("record.file", "needs key, signature, seq, packet and document")
        key, signature, seq, value, document = fields[:5]
        if type(key) is not bytes or len(key) != 32 or type(signature) is not bytes or len(signature) != 64:
            raise FormatError("record.file", "the key has 32 bytes and the signature 64")
        if type(seq) is not int or not 0 <= seq <= bep44.MAX_SEQ or type(value) is not bytes:
            raise FormatError("record.file", "seq is a whole number of 63 bits and the packet a byte string")
        if document is not None and type(document) is not bytes:
            raise FormatError("record.file", "the document is a byte string or null")
        approvals = fields[5] if len(fields) == 6 else b""
        if type(approvals) is not bytes or (document is None and len(fields) == 6):
            raise FormatError("record.file", "the approvals are a byte string, and come with a document")
        payload = signature + seq.to_bytes(8, "big") + value
        if len(payload) > MAX_RELAY_PAYLOAD_BYTES:
            raise FormatError(
                "packet.too-long", f"a packet holds at most {bep44.MAX_VALUE_BYTES} bytes, found {len(value)}"
            )
        record = cls.from_payload(key, payload, document)
        return record if len(fields) == 5 else record.with_approvals(DocumentApprovals.from_bytes(approvals))
