"""DNS answers as signed packets carry them: a strict decoder, and an encoder for the TXT records that we write.

Only the answer section is used.

Spec: RFC 1035 sections 3.2, 3.3 and 4.1 (message, names, compression); docs/spec/record.md, "Packet".
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import NamedTuple

from walletcli.errors import FormatError

TYPE_A, TYPE_NS, TYPE_CNAME, TYPE_TXT, TYPE_AAAA = 1, 2, 5, 16, 28
CLASS_IN = 1

MAX_LABEL_BYTES = 63
"""RFC 1035 section 2.3.4."""

MAX_NAME_BYTES = 255
"""RFC 1035 section 2.3.4, length bytes included."""

_HEADER = Struct(">HHHHHH")
_RECORD = Struct(">HHIH")
_FLAG_RESPONSE = 0x8000
_FLAGS_ALLOWED = 0x8580
"""QR, AA, RD and RA may be set; an opcode, TC, a response code or the reserved bits may not."""

_TYPE_NAMES = {
    TYPE_A: "A",
    TYPE_NS: "NS",
    TYPE_CNAME: "CNAME",
    TYPE_TXT: "TXT",
    TYPE_AAAA: "AAAA",
    64: "SVCB",
    65: "HTTPS",
}


class ResourceRecord(NamedTuple):
    """One answer.

    Attributes:
        name: owner name in raw label form without the final root label, labels joined by ``.`` bytes.
        type: the RR type number.
        ttl_s: time to live in seconds, 0 to 2^32 - 1.
        data: TXT: its strings joined; NS and CNAME: the target in the form of `name`; else the RDATA as it is.
    """

    name: bytes
    type: int
    ttl_s: int
    data: bytes

    def to_json(self) -> dict[str, object]:
        """Return the record for people and scripts: type by name, data as text where its type has one."""
        return {
            "name": _printable(self.name),
            "type": _TYPE_NAMES.get(self.type, f"TYPE{self.type}"),
            "ttl": self.ttl_s,
            "data": self._data_text(),
        }

    def _data_text(self) -> str:
        if self.type in (TYPE_TXT, TYPE_NS, TYPE_CNAME):
            return _printable(self.data)
        if self.type == TYPE_A and len(self.data) == 4:
            return str(IPv4Address(self.data))
        if self.type == TYPE_AAAA and len(self.data) == 16:
            return str(IPv6Address(self.data))
        return self.data.hex()


def _printable(raw: bytes) -> str:
    return "".join(chr(c) if 32 <= c < 127 and c != 92 else f"\\{c:03d}" for c in raw)


def decode(message: bytes) -> list[ResourceRecord]:
    """Decode the answers of a DNS response that fills `message`.

    Raises:
        FormatError: ``dns.truncated``, ``dns.header`` (not a plain response, or other sections than answers),
            ``dns.name`` (label, length or compression pointer out of bounds), ``dns.rdata``, ``dns.trailing``.
    """
    if len(message) < 12:
        raise FormatError("dns.truncated", f"a DNS message has a header of 12 bytes, found {len(message)} bytes")
    _, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(message)
    if not flags & _FLAG_RESPONSE or flags & ~_FLAGS_ALLOWED:
        raise FormatError("dns.header", f"flags {flags:#06x} are not those of a plain response")
    if questions or authorities or additionals:
        raise FormatError("dns.header", "only the answer section may be used")
    records = []
    at = 12
    size = len(message)
    for _ in range(answers):
        name, at = _name(message, at)
        start = at + 10
        if start > size:
            raise FormatError("dns.truncated", "a resource record ends early")
        rr_type, _, ttl_s, length = _RECORD.unpack_from(message, at)
        at = start + length
        if at > size:
            raise FormatError("dns.truncated", "the data of a resource record ends early")
        records.append(ResourceRecord(name, rr_type, ttl_s, _data(message, rr_type, start, at)))
    if at != size:
        raise FormatError("dns.trailing", f"{size - at} bytes follow the last answer")
    return records


def _data(message: bytes, rr_type: int, start: int, end: int) -> bytes:
    if rr_type == TYPE_TXT:
        if start < end and start + 1 + message[start] == end:
            return message[start + 1 : end]
        return _txt(message, start, end)
    if rr_type in (TYPE_NS, TYPE_CNAME):
        target, name_end = _name(message, start)
        if name_end != end:
            raise FormatError("dns.rdata", "the name in a record's data does not fill it")
        return target
    return message[start:end]


def _name(message: bytes, at: int) -> tuple[bytes, int]:
    """Read a name; pointers may only go back before everything read so far, so that every name ends."""
    size = len(message)
    end = 0
    lowest = at
    total = 1
    labels: list[bytes] = []
    while True:
        if at >= size:
            raise FormatError("dns.truncated", "a name ends early")
        length = message[at]
        if length == 0:
            return b".".join(labels), end or at + 1
        if length >= 0xC0:
            if at + 1 >= size:
                raise FormatError("dns.truncated", "a compression pointer ends early")
            target = (length & 0x3F) << 8 | message[at + 1]
            if not 12 <= target < lowest:
                raise FormatError("dns.name", "a compression pointer does not point back")
            end = end or at + 2
            at = lowest = target
            continue
        if length > MAX_LABEL_BYTES:
            raise FormatError(
                "dns.name", f"label types other than length and pointer are not allowed, found {length:#04x}"
            )
        total += length + 1
        if total > MAX_NAME_BYTES:
            raise FormatError("dns.name", f"a name is longer than {MAX_NAME_BYTES} bytes")
        label = message[at + 1 : at + 1 + length]
        if len(label) != length:
            raise FormatError("dns.truncated", "a label ends early")
        labels.append(label)
        at += length + 1


def _txt(message: bytes, at: int, end: int) -> bytes:
    if at == end:
        raise FormatError("dns.rdata", "a TXT record holds no character string")
    strings = []
    while at < end:
        stop = at + 1 + message[at]
        if stop > end:
            raise FormatError("dns.rdata", "a character string is longer than its TXT record")
        strings.append(message[at + 1 : stop])
        at = stop
    return b"".join(strings)


def txt_record(wire_name: bytes, text: bytes, ttl_s: int) -> bytes:
    """Encode one TXT resource record of class IN.

    Args:
        wire_name: the owner name as it stands in the message (labels with their length bytes, or ending in a pointer).
        text: at most 255 bytes.
        ttl_s: time to live in seconds.
    """
    return wire_name + _RECORD.pack(TYPE_TXT, CLASS_IN, ttl_s, len(text) + 1) + bytes((len(text),)) + text


def response_header(answers: int) -> bytes:
    """Encode the header of an authoritative response with id 0 (flags 0x8400)."""
    return _HEADER.pack(0, 0x8400, 0, answers, 0, 0)
