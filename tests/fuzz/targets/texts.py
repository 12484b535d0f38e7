"""What people type and paste: ids, addresses, encodings, paths."""

from __future__ import annotations

import contextlib

from tests.fuzz.target import Target
from walletcli.core import encodings, slip10
from walletcli.core.identity_id import IdentityId
from walletcli.errors import WalletError
from walletcli.net.addresses import NodeAddress

ID = IdentityId(bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def check_identity(data: bytes) -> bool:
    """What is taken for an identity is the same identity in each of its forms."""
    try:
        identity = IdentityId.from_text(_text(data))
    except WalletError:
        return False
    for form in (identity.did, identity.did_dht, identity.pk, identity.z32):
        assert IdentityId.from_text(form) == identity
    return True


def check_address(data: bytes) -> bool:
    """An address that is taken has one text, and that text gives it back."""
    try:
        address = NodeAddress.from_relay_text(_text(data))
    except WalletError:
        return False
    assert NodeAddress.from_relay_text(address.to_text()) == address
    return True


def check_encodings(data: bytes) -> bool:
    """Each text encoding has one text per value."""
    text = _text(data)
    for length_bytes in (0, 1, 16, 32):
        with contextlib.suppress(WalletError):
            assert encodings.z32_encode(encodings.z32_decode(text, length_bytes)) == text
    with contextlib.suppress(WalletError):
        assert encodings.z32_encode(encodings.z32_key(data)).encode("ascii") == data
    with contextlib.suppress(WalletError):
        assert encodings.base58_encode(encodings.base58_decode(text)) == text
    with contextlib.suppress(WalletError):
        assert encodings.b64url_encode(encodings.b64url_decode(text)) == text
    assert encodings.b64url_decode(encodings.b64url_encode(data)) == data
    if len(data) <= 32:
        assert encodings.base58_decode(encodings.base58_encode(data)) == data
        assert encodings.z32_decode(encodings.z32_encode(data), len(data)) == data
    return True


def check_path(data: bytes) -> bool:
    """A derivation path has one text."""
    try:
        path = slip10.path_from_text(_text(data))
    except WalletError:
        return False
    assert slip10.path_to_text(path) == _text(data)
    return True


TARGETS = [
    Target(
        "identity",
        check_identity,
        lambda: [form.encode() for form in (ID.did, ID.did_dht, ID.pk, ID.z32, f" {ID.did}\n")],
        256,
    ),
    Target(
        "address",
        check_address,
        lambda: [
            f"walletcli://127.0.0.1:7000/{ID.did}".encode(),
            b"https://relay.example",
            b"http://[::1]:8080",
            b"https://xn--bcher-kva.example:8443",
            b"dht",
            b"dht://router.example:6881,[::1]:6881",
        ],
        512,
    ),
    Target("encodings", check_encodings, lambda: [ID.z32.encode(), ID.did[8:].encode(), b"AQID", b"yyyy"], 256),
    Target("path", check_path, lambda: [b"m/9791'/0'", b"m/9791'/2147483647'/1'", b"m"], 64),
]
