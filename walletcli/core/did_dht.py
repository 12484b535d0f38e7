"""The did:dht view of a packet: the W3C DID document that its DNS answers spell.

Spec: did:dht method, "DIDs as DNS Records" and "Property Mapping"; W3C DID Core 1.0; docs/spec/record.md, "Packet".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from walletcli.core import dns
from walletcli.core.encodings import b64url_decode, b64url_encode, z32_encode
from walletcli.core.packet import SignedPacket
from walletcli.errors import FormatError

_RELATIONSHIPS = {
    "auth": "authentication",
    "asm": "assertionMethod",
    "agm": "keyAgreement",
    "inv": "capabilityInvocation",
    "del": "capabilityDelegation",
}
_DEACTIVATED = "deactivated"
"""What the root record of an identity says that its owner has ended by this method's own means."""

_MAX_ITEMS = 64
_P256_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_P256_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_SECP256K1_P = 2**256 - 2**32 - 977


def to_did_document(packet: SignedPacket) -> dict[str, object]:
    """Return the DID document that a did:dht resolver gives for `packet`.

    Raises:
        FormatError: ``did-dht.malformed`` if the packet is no did:dht record, or not a valid one.
    """
    return did_document(packet.public_key, packet.records)


def is_deactivated(packet: SignedPacket) -> bool:
    """Tell whether a packet's root record says that the identity has ended, as did:dht says it."""
    try:
        return _root_text(z32_encode(packet.public_key), _texts(packet.records)) == _DEACTIVATED
    except FormatError:
        return False


def did_document(public_key: bytes, records: tuple[dns.ResourceRecord, ...]) -> dict[str, object]:
    """Return the DID document that `records` spell for the identity key `public_key` (32 bytes).

    Of an identity that has ended by this method's own means there is nothing but its id.

    Raises:
        FormatError: ``did-dht.malformed``.
    """
    z32 = z32_encode(public_key)
    did = f"did:dht:{z32}"
    texts = _texts(records)
    root_text = _root_text(z32, texts)
    if root_text == _DEACTIVATED:
        return {"id": did}
    root = _properties(root_text)
    if root.get("v") != "0":
        raise _malformed("there is no root record of version 0")
    methods = {name: _method(did, name, texts) for name in _names(root.get("vm", ""))}
    if "k0" not in methods or methods["k0"]["publicKeyJwk"] != _identity_jwk(public_key):
        raise _malformed("k0 is not the identity's key")
    document: dict[str, object] = {"id": did}
    if "_cnt._did" in texts:
        document["controller"] = _one_or_many(texts["_cnt._did"])
    if "_aka._did" in texts:
        document["alsoKnownAs"] = texts["_aka._did"].split(",")
    document["verificationMethod"] = list(methods.values())
    for short, name in _RELATIONSHIPS.items():
        members = _names(root.get(short, ""))
        if not set(members) <= set(methods):
            raise _malformed(f"{short} names a key that is not there")
        if members:
            document[name] = [methods[member]["id"] for member in members]
    services = [_service(did, name, texts) for name in _names(root.get("svc", ""))]
    if services:
        document["service"] = services
    return document


def _root_text(z32: str, texts: Mapping[str, str]) -> str:
    return texts.get(f"_did.{z32}", "")


def _malformed(detail: str) -> FormatError:
    return FormatError("did-dht.malformed", f"not a did:dht record: {detail}")


def _texts(records: tuple[dns.ResourceRecord, ...]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for record in records:
        if record.type == dns.TYPE_TXT:
            try:
                name, text = record.name.decode("ascii"), record.data.decode("utf-8")
            except UnicodeDecodeError:
                continue
            if name in texts and "_did" in name.split("."):
                raise _malformed(f"{name} is there twice")
            texts[name] = text
    return texts


def _names(listing: str) -> list[str]:
    names = listing.split(",") if listing else []
    if len(names) > _MAX_ITEMS or len(set(names)) != len(names):
        raise _malformed("a list of keys or services is too long or repeats itself")
    return names


def _properties(text: str) -> dict[str, str]:
    parts = [part.split("=", 1) for part in text.split(";") if "=" in part]
    properties = dict(parts)
    if len(properties) < len(parts):
        raise _malformed("a property is there twice")
    return properties


def _one_or_many(text: str) -> str | list[str]:
    items = text.split(",")
    return items[0] if len(items) == 1 else items


def _identity_jwk(public_key: bytes) -> dict[str, str]:
    return {"kid": "0", "alg": "Ed25519", "crv": "Ed25519", "kty": "OKP", "x": b64url_encode(public_key)}


def _method(did: str, name: str, texts: Mapping[str, str]) -> dict[str, object]:
    fields = _properties(texts.get(f"_{name}._did", ""))
    if "t" not in fields or "k" not in fields:
        raise _malformed(f"key {name} is not there")
    try:
        key = b64url_decode(fields["k"])
    except FormatError as error:
        raise _malformed(f"key {name} is not base64url") from error
    jwk = _jwk(fields["t"], key)
    thumbprint = hashlib.sha256(json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()).digest()
    kid = "0" if name == "k0" else b64url_encode(thumbprint)
    algorithm = fields.get("a", _ALGORITHMS[fields["t"]])
    return {
        "id": f"{did}#{kid}",
        "type": "JsonWebKey",
        "controller": fields.get("c", did),
        "publicKeyJwk": {"kid": kid, "alg": algorithm, **jwk},
    }


_ALGORITHMS = {"0": "Ed25519", "1": "ES256K", "2": "ES256", "3": "ECDH-ES+A256KW"}


def _jwk(key_type: str, key: bytes) -> dict[str, str]:
    """Return the members of the JWK that its thumbprint covers (RFC 7638)."""
    if key_type in ("0", "3") and len(key) == 32:
        return {"crv": "Ed25519" if key_type == "0" else "X25519", "kty": "OKP", "x": b64url_encode(key)}
    if key_type in ("1", "2") and len(key) == 33 and key[0] in (2, 3):
        x = int.from_bytes(key[1:], "big")
        y = _curve_y(key_type, x, key[0] & 1)
        crv = "secp256k1" if key_type == "1" else "P-256"
        return {"crv": crv, "kty": "EC", "x": b64url_encode(key[1:]), "y": b64url_encode(y.to_bytes(32, "big"))}
    raise _malformed("a key of an unknown type or length")


def _curve_y(key_type: str, x: int, odd: int) -> int:
    """Decompress a point; both primes are 3 mod 4 (SEC 1 section 2.3.4)."""
    prime = _SECP256K1_P if key_type == "1" else _P256_P
    square = (x**3 + 7) % prime if key_type == "1" else (x**3 - 3 * x + _P256_B) % prime
    y = pow(square, (prime + 1) // 4, prime)
    if x >= prime or y * y % prime != square:
        raise _malformed("a key is not a point of its curve")
    return y if y & 1 == odd else prime - y


def _service(did: str, name: str, texts: Mapping[str, str]) -> dict[str, object]:
    fields = _properties(texts.get(f"_{name}._did", ""))
    if not {"id", "t", "se"} <= fields.keys():
        raise _malformed(f"service {name} is not there")
    extra = {key: value for key, value in fields.items() if key not in ("id", "t", "se")}
    base: dict[str, object] = {"id": f"{did}#{fields['id']}", "type": fields["t"]}
    return {**base, "serviceEndpoint": fields["se"].split(","), **extra}
