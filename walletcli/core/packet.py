"""The signed packet: a DNS answer under a BEP44 signature, as the network stores it.

Spec: docs/spec/record.md, "Packet"; BEP44 (signature); pkarr's relay payload (signature, seq, value).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from walletcli.core import bep44, dns, ed25519, packet_shape
from walletcli.core.encodings import b64url_decode, z32_decode
from walletcli.errors import FormatError, VerificationError, WalletError

RELAY_HEADER_BYTES = 72
"""Signature (64) and `seq` (8, big-endian) before the value in a relay payload."""

MAX_RELAY_PAYLOAD_BYTES = RELAY_HEADER_BYTES + bep44.MAX_VALUE_BYTES
"""Longest relay payload."""

POINTER_PREFIX = b"v=1;h="
"""Start of the `_w` TXT that names a document: version 1, then its SHA-256 in base64url."""


@dataclass(frozen=True, slots=True)
class SignedPacket:
    """A packet whose signature and DNS form have been checked.

    Make one with `sign` or `from_relay_payload`; both check everything.

    Attributes:
        public_key: Ed25519 key of 32 bytes that signed it.
        signature: 64 bytes.
        seq: BEP44 sequence number, a counter.
        value: the DNS message, 12 to 996 bytes.
        document_hash: SHA-256 of the document that it commits to (32 bytes), or None if it names none.
    """

    public_key: bytes
    signature: bytes
    seq: int
    value: bytes
    document_hash: bytes | None = field(compare=False)

    @property
    def records(self) -> tuple[dns.ResourceRecord, ...]:
        """The DNS answers."""
        return tuple(dns.decode(self.value))

    @property
    def is_of_unknown_version(self) -> bool:
        """Whether it is a walletcli packet that names its document in a way that is not known here."""
        return self.document_hash is None and bool(_pointers(self.public_key, dns.decode(self.value)))

    def to_relay_payload(self) -> bytes:
        """Return signature ‖ seq (8 bytes, big-endian) ‖ value."""
        return self.signature + self.seq.to_bytes(8, "big") + self.value

    def to_json(self) -> dict[str, object]:
        """Return seq, signature (hex), size and answers."""
        return {
            "seq": self.seq,
            "signature": self.signature.hex(),
            "bytes": len(self.value),
            "document_hash": self.document_hash.hex() if self.document_hash else None,
            "records": [record.to_json() for record in self.records],
        }

    @classmethod
    def sign(cls, key: ed25519.SigningKey, seq: int, value: bytes) -> SignedPacket:
        """Sign `value` (a DNS message) as item `seq`.

        Raises:
            FormatError: ``packet.too-long``, ``packet.seq`` or ``dns.*``.
        """
        document_hash = _check(key.public_key, seq, value)
        return cls(key.public_key, key.sign(bep44.signable(seq, value)), seq, value, document_hash)

    @classmethod
    def with_derived_value(cls, public_key: bytes, payload: bytes, document_hash: bytes) -> SignedPacket:
        """Verify a payload whose value is known to be the one that a valid document gives.

        Such a value needs no DNS decoder: it was compared, byte for byte, with what the encoder writes; and so was its
        seq, with the document's.

        Raises:
            VerificationError: ``signature.invalid``.
        """
        seq = int.from_bytes(payload[64:72], "big")
        signature, value = payload[:64], payload[RELAY_HEADER_BYTES:]
        ed25519.verify(public_key, bep44.signable(seq, value), signature)
        return cls(public_key, signature, seq, value, document_hash)

    @classmethod
    def from_relay_payload(cls, public_key: bytes, payload: bytes) -> SignedPacket:
        """Decode a relay payload and verify it under `public_key`.

        Args:
            public_key: 32 bytes.
            payload: 84 to 1068 bytes.

        Raises:
            FormatError: ``packet.too-short``, ``packet.too-long``, ``packet.seq`` or ``dns.*``.
            VerificationError: ``signature.invalid``.
        """
        signature, seq, value, document_hash = _decoded(public_key, payload)
        ed25519.verify(public_key, bep44.signable(seq, value), signature)
        return cls(public_key, signature, seq, value, document_hash)

    @classmethod
    def from_relay_payloads(cls, items: Iterable[tuple[bytes, bytes]]) -> list[SignedPacket | WalletError]:
        """Decode and verify many relay payloads, each under its public key.

        First all are decoded and then all are verified: verification takes the processor's caches for itself, and
        decoding in between would start from cold ones every time.

        Args:
            items: public key (32 bytes) and payload, as for `from_relay_payload`.

        Returns:
            For each item the packet, or the error that `from_relay_payload` raises.
        """
        decoded: list[tuple[bytes, tuple[bytes, int, bytes, bytes | None] | WalletError]] = []
        for public_key, payload in items:
            try:
                decoded.append((public_key, _decoded(public_key, payload)))
            except WalletError as error:
                decoded.append((public_key, error))
        return [
            parts if isinstance(parts, WalletError) else cls._verified(public_key, *parts)
            for public_key, parts in decoded
        ]

    @classmethod
    def _verified(
        cls, public_key: bytes, signature: bytes, seq: int, value: bytes, document_hash: bytes | None
    ) -> SignedPacket | WalletError:
        try:
            ed25519.verify(public_key, bep44.signable(seq, value), signature)
        except VerificationError as error:
            return error
        return cls(public_key, signature, seq, value, document_hash)


def _decoded(public_key: bytes, payload: bytes) -> tuple[bytes, int, bytes, bytes | None]:
    """Return signature, seq, value and document hash of a payload, with everything checked but the signature."""
    if len(payload) < RELAY_HEADER_BYTES:
        raise FormatError("packet.too-short", f"a packet has at least {RELAY_HEADER_BYTES} bytes, found {len(payload)}")
    seq = int.from_bytes(payload[64:72], "big")
    value = payload[RELAY_HEADER_BYTES:]
    return payload[:64], seq, value, _check(public_key, seq, value)


def _check(public_key: bytes, seq: int, value: bytes) -> bytes | None:
    """Check everything but the signature; return the hash of the document that the packet names."""
    if len(value) > bep44.MAX_VALUE_BYTES:
        raise FormatError(
            "packet.too-long", f"a packet holds at most {bep44.MAX_VALUE_BYTES} bytes, found {len(value)}"
        )
    if not 0 <= seq <= bep44.MAX_SEQ:
        raise FormatError("packet.seq", "seq is not between 0 and 2^63 - 1")
    known = packet_shape.document_hash(public_key, value)
    if known is not None:
        return known
    return _pointed_at(public_key, dns.decode(value))


def _pointed_at(public_key: bytes, records: Iterable[dns.ResourceRecord]) -> bytes | None:
    """Return the hash of the document that answers name, if exactly one of them does."""
    pointers = _pointers(public_key, records)
    if len(pointers) != 1 or not pointers[0].startswith(POINTER_PREFIX):
        return None
    try:
        digest = b64url_decode(pointers[0][len(POINTER_PREFIX) :].decode("ascii"))
    except (UnicodeDecodeError, FormatError):
        return None
    return digest if len(digest) == 32 else None


def _pointers(public_key: bytes, records: Iterable[dns.ResourceRecord]) -> list[bytes]:
    """Return the texts at `_w` below the identity's own name that say a version, whichever it is."""
    return [
        data
        for name, rr_type, _, data in records
        if rr_type == dns.TYPE_TXT and name[:3] == b"_w." and data[:2] == b"v=" and _is_name_of(public_key, name[3:])
    ]


def _is_name_of(public_key: bytes, name: bytes) -> bool:
    try:
        return z32_decode(name.decode("ascii"), 32) == public_key  # half the work of encoding the key
    except (FormatError, UnicodeDecodeError):
        return False
