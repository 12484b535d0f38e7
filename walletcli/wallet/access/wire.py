"""What goes over the agent's socket: frames of deterministic CBOR, requests as rows, answers and errors.

A frame is a length (4 bytes, big-endian) and that many bytes. Light: this is on the way of every command while the
wallet is unlocked, so requests are rows here; whoever answers makes typed values of them (`messages.py`).

Spec: docs/spec/agent.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from walletcli import errors
from walletcli.core import cbor
from walletcli.errors import VaultError, WalletError

VERSION: Final = 1
"""Version of the protocol; first item of every request."""

HEADER_BYTES: Final = 4
"""Length of a frame's length."""

MAX_REQUEST_BYTES: Final = 160_000
"""Longest request of most kinds: a document, or a record, and its surroundings."""

MAX_LARGE_REQUEST_BYTES: Final = 64 << 20
"""Longest request in all: what fills a drawer."""

MAX_ANSWER_BYTES: Final = 256 << 20
"""Longest answer: the public half of a large wallet."""

MAX_KEYS: Final = 10_000
"""Most derived identities in one answer."""

GET_STATUS: Final = 1
"""How is the agent?"""
GET_FACTS: Final = 2
"""The wallet in one line."""
GET_SUMMARIES: Final = 3
"""The list of identities."""
GET_VIEW: Final = 4
"""The public half of the wallet."""
DERIVE_SUMMARIES: Final = 5
"""What the seed gives: start, count."""
SIGN: Final = 6
"""Sign a document's packet: index, document, generation, what goes beside it or null."""
APPLY: Final = 7
"""Make a change: its row."""
UNSEAL: Final = 8
"""Open a sealed section: index, section, context."""
LOCK: Final = 9
"""Forget everything and end."""
GET_DRAWER: Final = 10
"""What is in a drawer: index (null: the wallet's own), name."""
NEW_DEVICES: Final = 12
"""Draw keys of devices that a request is to ask for: how many."""
REVIEW_REQUEST: Final = 13
"""Say what a request would do: the file."""
APPROVE_REQUEST: Final = 14
"""Sign items of a request, for who opened the vault: the file, digest, numbers of items, names of accepted alarms."""
SIGN_STATEMENT: Final = 11
"""Sign a statement with the device key or the root: index, type, payload, by root."""

DERIVE_KEYS: Final = 16
"""Root public keys that the seed gives: start, count."""
UNSEAL_AS_ROOT: Final = 17
"""Open what is sealed to the recovery recipient, as somebody with nothing but the words: index, sealed, context."""
SIGN_SSH: Final = 30
"""Sign a login or a file's hash with the SSH key: index, what is to be signed."""

OPEN_SHARD: Final = 24
"""Public key of a shard of the wallet index, and what a packet of that key says: shard, packet (null: none)."""
SIGN_SHARD: Final = 25
"""Sign a shard of the wallet index: shard, content, lowest seq that it may get."""


def encode_request(row: Sequence[object]) -> bytes:
    """Return the content of a frame that asks for `row`: a kind, then its arguments.

    Raises:
        FormatError: ``cbor.text`` for text with halves of characters, as broken file names give them.
    """
    return cbor.encode([VERSION, *row])


def encode_answer(value: object) -> bytes:
    """Return the content of a frame that answers with `value`."""
    return cbor.encode([True, value])


def encode_error(error: WalletError) -> bytes:
    """Return the content of a frame that answers with an error."""
    return cbor.encode([False, type(error).__name__, error.code, error.message, error.hint])


def decode_answer(data: bytes) -> object:
    """Return the value that was answered, or raise the error that was.

    Raises:
        WalletError: the agent's, of its own family.
        VaultError: ``agent.bad-answer``.
        FormatError: ``cbor.*``.
    """
    match cbor.decode(data, MAX_ANSWER_BYTES):
        case [True, value]:
            return value
        case [False, str(name), str(code), str(message), str(hint)]:
            raise _family(name)(code, message, hint)
    raise VaultError("agent.bad-answer", "the agent's answer cannot be read", "lock and unlock the wallet")


def _family(name: str) -> type[WalletError]:
    found = getattr(errors, name, None)
    return found if isinstance(found, type) and issubclass(found, WalletError) else WalletError


def frame(content: bytes) -> bytes:
    """Put the length before `content`."""
    return len(content).to_bytes(HEADER_BYTES, "big") + content
