"""Challenges: what is signed back must be of these minutes, of this node, and can be used once.

A challenge says when it was made and carries a tag by a key of this process, so that nothing is kept for those who only
ask. What was used is kept until it would be too old anyway.

Spec: docs/spec/hosting.md, "Challenge".
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Final

LIFE_S: Final = 120
"""How long a challenge can be used, in seconds."""

CHALLENGE_BYTES: Final = 40
MAX_USED: Final = 65_536
"""How many used challenges are kept; when that many were used within `LIFE_S`, no more are taken until some are old."""

_RANDOM_BYTES: Final = 16
_TAG_BYTES: Final = 16


class Challenges:
    """Makes challenges, and takes each back once."""

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._used: dict[bytes, float] = {}

    def make(self, now: float) -> bytes:
        """Return a challenge of 40 bytes.

        Args:
            now: monotonic seconds.
        """
        body = int(now * 1000).to_bytes(8, "big") + os.urandom(_RANDOM_BYTES)
        return body + self._tag(body)

    def is_open(self, challenge: bytes, now: float) -> bool:
        """Tell whether a challenge was made here within `LIFE_S` and has not been used."""
        body, tag = challenge[:-_TAG_BYTES], challenge[-_TAG_BYTES:]
        if len(challenge) != CHALLENGE_BYTES or not hmac.compare_digest(tag, self._tag(body)):
            return False
        made_s = int.from_bytes(body[:8], "big") / 1000
        return now - made_s < LIFE_S and challenge not in self._used

    def use(self, challenge: bytes, now: float) -> bool:
        """Use an open challenge up; False if so many were used lately that no more can be remembered.

        Args:
            challenge: which.
            now: monotonic seconds.
        """
        if len(self._used) >= MAX_USED:
            self._used = {name: until for name, until in self._used.items() if until > now}
            if len(self._used) >= MAX_USED:
                return False
        self._used[challenge] = now + LIFE_S
        return True

    def _tag(self, body: bytes) -> bytes:
        return hashlib.blake2b(body, key=self._key, digest_size=_TAG_BYTES).digest()
