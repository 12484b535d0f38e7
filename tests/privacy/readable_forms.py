"""The forms in which a text or a key might slip out."""

from __future__ import annotations

import base64
import json

from walletcli.core.encodings import base58_encode, z32_encode
from walletcli.core.identity_id import IdentityId


def forms_of_bytes(data: bytes) -> list[bytes]:
    """Return `data` as it is (so it stands in CBOR), in hex, and in base 32, 58 and 64 whatever stands before it."""
    found = [data, data.hex().encode(), data.hex().upper().encode()]
    found += [z32_encode(data).encode()[:-1], base58_encode(data).encode()]
    for shift in range(5):
        middle = base64.b32encode(bytes(shift) + data).rstrip(b"=")[8:-2]
        found += [middle, middle.lower()]
    for shift in range(3):  # the letters that neighbours change are left out
        middle = base64.b64encode(bytes(shift) + data).rstrip(b"=")[4:-2]
        found += [middle, middle.replace(b"+", b"-").replace(b"/", b"_")]
    return found


def forms_of_text(text: str) -> list[bytes]:
    """Return `text` in UTF-8, UTF-16 and JSON, each in the forms of bytes."""
    json_text = json.dumps(text)[1:-1].encode()
    codings = {text.encode(), text.encode("utf-16-le"), text.encode("utf-16-be"), json_text}
    return [form for data in sorted(codings) for form in forms_of_bytes(data)]


def forms_of_key(public_key: bytes) -> list[bytes]:
    """Return an identity's root key (32 bytes) in every form of its id."""
    identity = IdentityId(public_key)
    texts = (identity.did, identity.did.removeprefix("did:key:"), identity.z32, *identity.aliases)
    return [*forms_of_bytes(public_key), *(form for text in texts for form in forms_of_text(text))]
