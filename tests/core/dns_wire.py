"""Writes DNS messages byte by byte, right or wrong."""

from __future__ import annotations

from struct import pack

from walletcli.core.encodings import b64url_encode, z32_encode

TXT = 16


def name(*labels: bytes | str) -> bytes:
    """Return labels and the root label."""
    raw = [label.encode() if isinstance(label, str) else label for label in labels]
    return b"".join(bytes([len(label)]) + label for label in raw) + b"\0"


def pointer(target: int) -> bytes:
    return pack(">H", 0xC000 | target)


def text(*strings: bytes | str) -> bytes:
    """Return the data of a TXT."""
    return name(*strings)[:-1]


def rr(
    owner: bytes, data: bytes, *, kind: int = TXT, rr_class: int = 1, ttl_s: int = 300, length: int | None = None
) -> bytes:
    """Return a resource record; `length` lies about its data's."""
    return owner + pack(">HHIH", kind, rr_class, ttl_s, len(data) if length is None else length) + data


def message(
    *records: bytes,
    ident: int = 0,
    flags: int = 0x8400,
    questions: int = 0,
    answers: int | None = None,
    authorities: int = 0,
    additionals: int = 0,
) -> bytes:
    count = len(records) if answers is None else answers
    return pack(">HHHHHH", ident, flags, questions, count, authorities, additionals) + b"".join(records)


def document_pointer(public_key: bytes, document_hash: bytes, prefix: str = "v=1;h=") -> bytes:
    """Return the TXT that names a document."""
    return rr(name("_w", z32_encode(public_key)), text(prefix + b64url_encode(document_hash)))
