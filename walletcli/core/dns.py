"""DNS answers as signed packets carry them: a strict decoder, and an encoder for the TXT records that we write.

Only the answer section is used. What a stranger's message costs is bounded: names may share their ends, and so a short
message can spell long ones many times over.

Spec: RFC 1035 sections 3.2, 3.3 and 4.1 (message, names, compression); docs/spec/record.md, "Packet".
"""

from __future__ import annotations

from collections.abc import Callable
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

MAX_STRING_BYTES = 255
"""RFC 1035 section 3.3: a character string has a length of one byte."""

MAX_STEPS = 1024
"""Labels and compression pointers that are followed in one message, at most; 61 addresses of one service take 370."""

_HEADER = Struct(">HHHHHH")
_RECORD = Struct(">HHIH")
_FLAG_RESPONSE = 0x8000
_FLAGS_ALLOWED = 0x8580
"""QR, AA, RD and RA may be set; an opcode, TC, a response code or the reserved bits may not."""

_ADDRESS_BYTES = {TYPE_A: 4, TYPE_AAAA: 16}
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
    r"""One answer, of class IN.

    Attributes:
        name: owner name without the final root label, labels joined by ``.`` bytes; a ``.`` or ``\`` inside a label is
            written as ``\046`` or ``\092`` (RFC 1035 section 5.1), all other bytes are as they came.
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
            "name": _printable_name(self.name),
            "type": _TYPE_NAMES.get(self.type, f"TYPE{self.type}"),
            "ttl": self.ttl_s,
            "data": self._data_text(),
        }

    def _data_text(self) -> str:
        if self.type == TYPE_TXT:
            return "".join(chr(c) if 32 <= c < 127 and c != 92 else f"\\{c:03d}" for c in self.data)
        if self.type in (TYPE_NS, TYPE_CNAME):
            return _printable_name(self.data)
        if self.type == TYPE_A:
            return str(IPv4Address(self.data))
        if self.type == TYPE_AAAA:
            return str(IPv6Address(self.data))
        return self.data.hex()


def _printable_name(name: bytes) -> str:
    return "".join(chr(c) if 32 <= c < 127 else f"\\{c:03d}" for c in name)


def decode(message: bytes) -> list[ResourceRecord]:
    """Decode the answers of a DNS response that fills `message`.

    Raises:
        FormatError: ``dns.truncated``, ``dns.header`` (not a plain response, or other sections than answers),
            ``dns.name`` (label, length or compression pointer out of bounds, or too many of them), ``dns.class``
            (another than IN), ``dns.rdata``, ``dns.trailing``.
    """
    if len(message) < 12:
        raise FormatError("dns.truncated", f"a DNS message has a header of 12 bytes, found {len(message)} bytes")
    _, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(message)
    if not flags & _FLAG_RESPONSE or flags & ~_FLAGS_ALLOWED:
        raise FormatError("dns.header", f"flags {flags:#06x} are not those of a plain response")
    if questions or authorities or additionals:
        raise FormatError("dns.header", "only the answer section may be used")
    try:
        records, end = _records(message, answers)
    except IndexError:
        raise FormatError("dns.truncated", "the message ends in the middle of a name") from None
    if end != len(message):
        raise FormatError("dns.trailing", f"{len(message) - end} bytes follow the last answer")
    return records


def _records(message: bytes, answers: int) -> tuple[list[ResourceRecord], int]:
    records = []
    at = 12
    size = len(message)
    steps = MAX_STEPS
    joined = _escaped if b"." in message or b"\\" in message else b".".join
    for _ in range(answers):
        name, at, steps = _name(message, at, steps, joined)
        start = at + 10
        if start > size:
            raise FormatError("dns.truncated", "a resource record ends early")
        rr_type, rr_class, ttl_s, length = _RECORD.unpack_from(message, at)
        at = start + length
        if at > size:
            raise FormatError("dns.truncated", "the data of a resource record ends early")
        if rr_class != CLASS_IN:
            raise FormatError("dns.class", f"a resource record is of class {rr_class}, only IN (1) may be used")
        if rr_type == TYPE_TXT:
            if length and message[start] == length - 1:  # nearly always: one string
                data = message[start + 1 : at]
            else:
                data = _txt(message, start, at)
        elif rr_type in (TYPE_NS, TYPE_CNAME):
            data, name_end, steps = _name(message, start, steps, joined)
            if name_end != at:
                raise FormatError("dns.rdata", "the name in a record's data does not fill it")
        elif length == _ADDRESS_BYTES.get(rr_type, length):
            data = message[start:at]
        else:
            raise FormatError("dns.rdata", f"an address of type {_TYPE_NAMES[rr_type]} has {length} bytes")
        records.append(ResourceRecord(name, rr_type, ttl_s, data))
    return records, at


def _name(message: bytes, at: int, steps: int, joined: Callable[[list[bytes]], bytes]) -> tuple[bytes, int, int]:
    """Read a name; pointers may only go back before everything read so far, so that every name ends.

    Args:
        message: all of it.
        at: where the name starts.
        steps: how many labels and pointers may still be read.
        joined: makes one name of labels.

    Returns:
        The name, where it ends in the message, and the steps left.

    Raises:
        IndexError: the message ends first.
    """
    end = 0
    lowest = at
    total = 1
    labels: list[bytes] = []
    while length := message[at]:
        steps -= 1
        if length <= MAX_LABEL_BYTES:
            start = at + 1
            at = start + length
            labels.append(message[start:at])
            total += length + 1
        elif length >= 0xC0:
            target = (length & 0x3F) << 8 | message[at + 1]
            if not 12 <= target < lowest:
                raise FormatError("dns.name", "a compression pointer does not point back")
            end = end or at + 2
            at = lowest = target
        else:
            raise FormatError(
                "dns.name", f"label types other than length and pointer are not allowed, found {length:#04x}"
            )
    if total > MAX_NAME_BYTES:
        raise FormatError("dns.name", f"a name is longer than {MAX_NAME_BYTES} bytes")
    if steps < 0:
        raise FormatError("dns.name", f"the names have more than {MAX_STEPS} labels and pointers in all")
    return joined(labels), end or at + 1, steps


def _escaped(labels: list[bytes]) -> bytes:
    return b".".join(label.replace(b"\\", b"\\092").replace(b".", b"\\046") for label in labels)


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
        text: at least one byte; more than 255 stand in several character strings.
        ttl_s: time to live in seconds.
    """
    strings = [text[at : at + MAX_STRING_BYTES] for at in range(0, len(text), MAX_STRING_BYTES)]
    data = b"".join(bytes((len(string),)) + string for string in strings)
    return wire_name + _RECORD.pack(TYPE_TXT, CLASS_IN, ttl_s, len(data)) + data


def response_header(answers: int, *, authoritative: bool = True) -> bytes:
    """Encode the header of a response with id 0 (flags 0x8400, or 0x8000 if it is not authoritative)."""
    return _HEADER.pack(0, 0x8400 if authoritative else _FLAG_RESPONSE, 0, answers, 0, 0)
