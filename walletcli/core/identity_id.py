"""The text forms of an identity: one id, two network names for the same key, and the original network's key id.

Spec: did:key (W3C CCG) with multicodec 0xed; did:dht and ``pk:`` in z-base-32; docs/spec/identity-id.md.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from walletcli.core.encodings import base58_decode, base58_encode, z32_decode, z32_encode
from walletcli.errors import FormatError, InputError

DID_KEY_PREFIX: Final = "did:key:z"
"""did:key method and the multibase letter of base58btc."""

DID_DHT_PREFIX: Final = "did:dht:"
"""did:dht method; z-base-32 follows."""

PK_PREFIX: Final = "pk:"
"""pkarr's scheme; z-base-32 follows."""

MAX_TEXT_LETTERS: Final = 128
"""Longest text that `IdentityId.from_text` looks at; the longest id has 60."""

_ED25519_MULTICODEC: Final = b"\xed\x01"
_LEGACY_DIGEST_KEY: Final = b"open social graph"
_Z32_LETTERS: Final = 52
_HINT: Final = "give did:key:z6Mk…, did:dht:… or pk:… as another person or program shows it"


@dataclass(frozen=True, slots=True)
class IdentityId:
    """An identity by its root public key.

    Whoever constructs it from bytes of their own vouches for the key; `from_text` checks the point.

    Args:
        public_key: 32 bytes, Ed25519.

    Raises:
        FormatError: `key.malformed`: not 32 bytes.
    """

    public_key: bytes
    z32: str = field(init=False, compare=False, repr=False)
    """The key in z-base-32, 52 letters: its name on the DHT and at relays."""

    def __post_init__(self) -> None:
        if len(self.public_key) != 32:
            raise FormatError("key.malformed", f"a public key has {len(self.public_key)} bytes, 32 needed")
        object.__setattr__(self, "z32", z32_encode(self.public_key))

    @property
    def did(self) -> str:
        """The id: ``did:key:z6Mk…``."""
        return _did(self.public_key)

    @property
    def did_dht(self) -> str:
        """The same key as ``did:dht:…``."""
        return DID_DHT_PREFIX + self.z32

    @property
    def pk(self) -> str:
        """The same key as ``pk:…``, pkarr's form."""
        return PK_PREFIX + self.z32

    @property
    def aliases(self) -> tuple[str, ...]:
        """The original network's key id in both of its spellings, ``iez…`` and ``Iez…``; a digest, so no way back."""
        digest = hashlib.blake2b(self.public_key, digest_size=16, key=_LEGACY_DIGEST_KEY).digest()
        text = "ez" + base58_encode(b"\x01" + digest)
        return ("i" + text, "I" + text)

    @classmethod
    def from_text(cls, text: str) -> IdentityId:
        """Read any of the forms that name the key itself.

        Args:
            text: ``did:key:z…``, ``did:dht:…``, ``pk:…`` or 52 bare letters of z-base-32; white space around it is
                ignored.

        Raises:
            InputError: `identity.malformed`: none of these forms, not in its one spelling, or not an honest
                Ed25519 key.
        """
        from walletcli.core.ed25519 import check_public_key  # late: an id that is only shown needs no libsodium

        text = text.strip()
        if len(text) > MAX_TEXT_LETTERS:
            raise InputError("identity.malformed", f"an identity id has at most {MAX_TEXT_LETTERS} letters", _HINT)
        try:
            public_key = _decode(text)
            check_public_key(public_key)
        except FormatError as error:
            raise InputError("identity.malformed", f"not an identity id: {error.message}", _HINT) from error
        return cls(public_key)


@lru_cache(maxsize=1024)
def _did(public_key: bytes) -> str:
    return DID_KEY_PREFIX + base58_encode(_ED25519_MULTICODEC + public_key)


def _decode(text: str) -> bytes:
    """Return the 32 bytes that a text names; the point is not checked."""
    if text.startswith(DID_KEY_PREFIX):
        data = base58_decode(text[len(DID_KEY_PREFIX) :], max_bytes=len(_ED25519_MULTICODEC) + 32)
        if len(data) != 34 or not data.startswith(_ED25519_MULTICODEC):
            raise FormatError("identity.malformed", "this did:key does not hold an Ed25519 key")
        return data[2:]
    for prefix in (DID_DHT_PREFIX, PK_PREFIX):
        if text.startswith(prefix):
            return z32_decode(text[len(prefix) :], 32)
    if len(text) == _Z32_LETTERS:  # first: one key in 32,768 has a z-base-32 name that starts like a key id
        return z32_decode(text, 32)
    if text.startswith(("iez", "Iez")):
        raise FormatError(
            "identity.malformed", "a key id of the original network is a digest, the key cannot be had from it"
        )
    raise FormatError("identity.malformed", "it has none of the forms of an id")
