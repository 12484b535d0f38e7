"""COSE_Sign1, in the one form that walletcli's statements have.

Spec: RFC 9052 sections 4.2 and 4.4, RFC 9596 (typ); docs/spec/cose.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from walletcli.core import cbor, ed25519
from walletcli.core.cbor import Map, Tagged
from walletcli.core.ed25519 import SigningKey
from walletcli.errors import FormatError

MAX_TYP_BYTES: Final = 128
"""Longest type label, bytes."""

_ALGORITHM: Final = 1
_KID: Final = 4
_TYP: Final = 16
_EDDSA: Final = -8
_MAX_PROTECTED_BYTES: Final = 256
_HEAD: Final = b"\xa3\x01\x27\x04\x58\x20"
_PLACE: Final = b"the place of the signer's key..!"
_TYPS: Final = {
    cbor.encode(_TYP) + cbor.encode(typ): typ
    for typ in (
        f"application/walletcli-{name}+cose"
        for name in ("grant", "grant-request", "login", "manifest", "card", "relation", "contact-export", "response")
    )
}
"""How the protected header of each type goes on behind the key."""


@dataclass(frozen=True, slots=True)
class Sign1:
    """A signed statement, its form checked; `verify` checks the signature.

    Attributes:
        typ: media type of the statement, 1 to 128 ASCII characters.
        signer: Ed25519 public key, 32 bytes.
        payload: what is signed.
        signature: 64 bytes.
    """

    typ: str
    signer: bytes
    payload: bytes
    signature: bytes

    @classmethod
    def sign(cls, key: SigningKey, typ: str, payload: bytes) -> Sign1:
        """Sign `payload` as a statement of type `typ`."""
        return cls(typ, key.public_key, payload, key.sign(sig_structure(typ, key.public_key, payload)))

    def verify(self) -> None:
        """Check the signature over exactly the bytes received.

        Raises:
            VerificationError: ``signature.invalid``.
        """
        ed25519.verify(self.signer, sig_structure(self.typ, self.signer, self.payload), self.signature)

    def to_bytes(self) -> bytes:
        """Encode with tag 18."""
        return cbor.encode(Tagged(18, [_protected(self.typ, self.signer), {}, self.payload, self.signature]))

    @classmethod
    def from_bytes(cls, data: bytes, max_bytes: int) -> Sign1:
        """Decode; exactly one encoding is accepted. The signature is not checked.

        Raises:
            FormatError: ``cose.too-long``, ``cose.malformed``, ``cose.unsupported``, ``key.malformed``, ``cbor.*``.
        """
        if len(data) > max_bytes:
            raise FormatError("cose.too-long", f"a signed statement of at most {max_bytes} bytes, found {len(data)}")
        usual = _usual(data)
        if usual is not None:
            ed25519.check_encoding(usual[1])
            return cls(*usual)
        tagged = cbor.decode(data, max_bytes)
        if type(tagged) is not Tagged or type(tagged.value) is not list or len(tagged.value) != 4:
            raise FormatError("cose.malformed", "not a COSE_Sign1")
        protected, unprotected, payload, signature = tagged.value
        if type(protected) is not bytes or type(payload) is not bytes or type(signature) is not bytes:
            raise FormatError("cose.malformed", "a COSE_Sign1 needs a header, a payload and a signature")
        if unprotected != {} or type(unprotected) is not dict:
            raise FormatError("cose.unsupported", "nothing stands in the unprotected header")
        if len(signature) != 64:
            raise FormatError("cose.malformed", "a signature has 64 bytes")
        return cls(*_read_protected(protected), payload, signature)


def _protected(typ: str, signer: bytes) -> bytes:
    header: Map = {_ALGORITHM: _EDDSA, _KID: signer, _TYP: typ}
    return cbor.encode(header)


def _read_protected(data: bytes) -> tuple[str, bytes]:
    header = cbor.decode(data, _MAX_PROTECTED_BYTES)
    if type(header) is not dict or header.keys() != {_ALGORITHM, _KID, _TYP} or header[_ALGORITHM] != _EDDSA:
        raise FormatError("cose.unsupported", "the protected header holds EdDSA, a key id and a type, and nothing else")
    kid, typ = header[_KID], header[_TYP]
    if type(kid) is not bytes or type(typ) is not str or not 1 <= len(typ) <= MAX_TYP_BYTES or not typ.isascii():
        raise FormatError("cose.malformed", "the key id is a key, and the type a short text")
    ed25519.check_encoding(kid)
    return typ, kid


def sig_structure(typ: str, signer: bytes, payload: bytes) -> bytes:
    """Return the bytes that are signed (RFC 9052 section 4.4)."""
    if len(signer) != 32:
        return cbor.encode(["Signature1", _protected(typ, signer), b"", payload])
    before, after = _frame(typ)
    return b"".join((before, signer, after, cbor.encode(payload)))


@lru_cache(maxsize=64)
def _frame(typ: str) -> tuple[bytes, bytes]:
    """Return what stands before and behind the signer in every structure of a type; the payload follows."""
    whole = cbor.encode(["Signature1", _protected(typ, _PLACE), b"", b""])[:-1]
    before, after = whole.split(_PLACE)
    return before, after


def _usual(data: bytes) -> tuple[str, bytes, bytes, bytes] | None:
    """Take a statement apart that has the usual bytes around its key, payload and signature; None for all others.

    Comparing is several times faster than decoding, and no less strict: each type's bytes were decoded once.
    """
    end = 4 + data[3] if len(data) > 120 else 0
    typ = _TYPS.get(data[42:end])
    if typ is None or data[:3] != b"\xd2\x84\x58" or data[4:10] != _HEAD or data[end] != 0xA0:
        return None
    length, at = data[end + 1], end + 2
    if 0x40 <= length < 0x58:
        length -= 0x40
    elif length == 0x58 and data[at] >= 24:
        length, at = data[at], at + 1
    elif length == 0x59 and data[at]:
        length, at = data[at] << 8 | data[at + 1], at + 2
    else:
        return None
    end = at + length
    if len(data) != end + 66 or data[end : end + 2] != b"\x58\x40":
        return None
    return typ, data[10:42], data[at:end], data[end + 2 :]
