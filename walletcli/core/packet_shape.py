"""Recognises in one step the DNS message that a document gives, which nearly every packet of ours is.

Such a message has one length for each number of device keys, and differs from others of its length only in z-base-32
and base64url text of fixed size. A regular expression that spells it out accepts nothing that `walletcli.core.dns`
would not decode to the same answers, and costs a third of decoding.

Spec: docs/spec/record.md, "Packet".
"""

from __future__ import annotations

import binascii
import re
from typing import Final

from walletcli.core import dns
from walletcli.core.encodings import Z32_ALPHABET, z32_decode
from walletcli.errors import FormatError

MAX_DEVICE_KEYS = 8
"""How many device keys a packet shows at most."""

_Z32: Final = b"[%b]{52}" % Z32_ALPHABET.encode("ascii")
_KEY: Final = b"[A-Za-z0-9_-]{43}"
_HASH: Final = b"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]"
"""32 bytes in base64url; the last letter's two spare bits are zero."""

_SAMPLE_TTL: Final = 0x7E7E7E7E
_ANY_TTL: Final = b"[\\x00-\\xff]{4}"
_STANDARD_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")


def _shape(device_keys: int) -> tuple[int, re.Pattern[bytes]]:
    """Return the length of the message with so many device keys, and the expression that it matches.

    The message is written with letters that stand for its variable parts, escaped, and then these are replaced.
    """
    names = [b"k%d" % number for number in range(device_keys + 1)]
    devices = b",".join(names[1:])
    purposes = b";auth=%b;asm=%b" % (devices, devices) if devices else b""
    root_text = b"v=0;vm=%b%b;inv=k0;del=k0" % (b",".join(names), purposes)
    root = dns.txt_record(b"\4_did\x34" + b"Z" * 52 + b"\0", root_text, _SAMPLE_TTL)
    parts = [dns.response_header(device_keys + 3), root]
    suffix, label_at = b"\4_did\0", 12 + len(root) + 4
    for name in names:
        parts.append(dns.txt_record(b"\3_" + name + suffix, b"t=0;k=" + b"K" * 43, _SAMPLE_TTL))
        suffix = (0xC000 | label_at).to_bytes(2, "big")
    parts.append(dns.txt_record(b"\2_w\xc0\x11", b"v=1;h=" + b"H" * 43, _SAMPLE_TTL))
    message = b"".join(parts)
    expression = re.escape(message)
    for stand_in, variable in (
        (b"Z" * 52, b"(%b)" % _Z32),
        (b"K" * 43, _KEY),
        (b"H" * 43, b"(%b)" % _HASH),
        (re.escape(_SAMPLE_TTL.to_bytes(4, "big")), _ANY_TTL),
    ):
        expression = expression.replace(stand_in, variable)
    return len(message), re.compile(expression)


_SHAPES: Final = dict(_shape(device_keys) for device_keys in range(MAX_DEVICE_KEYS + 1))


def document_hash(public_key: bytes, value: bytes) -> bytes | None:
    """Return the hash that a message of this shape names for the identity of `public_key`.

    Args:
        public_key: 32 bytes.
        value: a DNS message.

    Returns:
        32 bytes; None if the message is of another shape or of another identity, which says nothing about it.
    """
    shape = _SHAPES.get(len(value))
    match = shape.fullmatch(value) if shape is not None else None
    if match is None:
        return None
    z32, hash_text = match.groups()
    try:
        if z32_decode(z32.decode("ascii"), 32) != public_key:
            return None
    except FormatError:
        return None
    return binascii.a2b_base64(hash_text.translate(_STANDARD_ALPHABET) + b"=")
