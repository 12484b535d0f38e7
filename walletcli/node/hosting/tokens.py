"""Tokens: what a login gives, checked without anything being kept for it.

A token says until when, for what, and for which key it is, and carries a tag by a key of this process over that and the
identity. Whether the device may still act is looked at with every request, so a token needs no list to be struck from.

Spec: docs/spec/hosting.md, "Login".
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from walletcli.core.login import Purpose

TOKEN_BYTES: Final = 32
SIGNER_TAG_BYTES: Final = 11
"""How much of the SHA-256 of a signer's key stands for it in a token."""

_TAG_BYTES: Final = 16
_REMEMBERED: Final = 1024
"""How many tokens are not opened again."""

_PURPOSES: Final = {purpose.value: purpose for purpose in Purpose}  # asking the enumeration takes ten times as long


@dataclass(frozen=True, slots=True)
class Session:
    """Who is asking.

    Attributes:
        key: the identity's, 32 bytes.
        purpose: as a device, or as the root, which may only read.
        signer_tag: first bytes of the SHA-256 of the signer's key.
    """

    key: bytes
    purpose: Purpose
    signer_tag: bytes

    @property
    def may_write(self) -> bool:
        """Whether it may change anything."""
        return self.purpose is Purpose.DEVICE


def signer_tag(signer: bytes) -> bytes:
    """Return what stands for a signer's key (32 bytes) in a token."""
    return hashlib.sha256(signer).digest()[:SIGNER_TAG_BYTES]


class Tokens:
    """Makes tokens and reads them."""

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._opened = lru_cache(maxsize=_REMEMBERED)(self._open)

    def make(self, session: Session, expires_s: int) -> bytes:
        """Return a token of 32 bytes.

        Args:
            session: for whom.
            expires_s: until when, Unix seconds below 2^32.
        """
        body = expires_s.to_bytes(4, "big") + bytes((session.purpose,)) + session.signer_tag
        return body + self._tag(session.key, body)

    def read(self, token: bytes, key: bytes, now_s: float) -> Session | None:
        """Return whose a token is, or None if it is not of this process, of another identity, or over.

        Args:
            token: any bytes.
            key: the identity that is asked for, 32 bytes.
            now_s: Unix seconds.
        """
        opened = self._opened(token, key) if len(token) == TOKEN_BYTES else None
        return None if opened is None or now_s >= opened[0] else opened[1]

    def _open(self, token: bytes, key: bytes) -> tuple[int, Session] | None:
        """Return until when a token is good, and whose it is; whoever comes once comes again with the same."""
        body, tag = token[:-_TAG_BYTES], token[-_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(key, body)):
            return None
        return int.from_bytes(body[:4], "big"), Session(key, _PURPOSES[body[4]], body[5:])

    def _tag(self, key: bytes, body: bytes) -> bytes:
        return hashlib.blake2b(key + body, key=self._key, digest_size=_TAG_BYTES).digest()
