"""An Ed25519 key as SSH spells it: blob, line, fingerprint.

Spec: RFC 8709; docs/spec/ssh.md.
"""

from __future__ import annotations

import hashlib

from walletcli.core import ed25519
from walletcli.core.encodings import b64_encode
from walletcli.core.ssh.encoding import SshReader, string
from walletcli.errors import FormatError

ED25519 = b"ssh-ed25519"
"""Name of the key type, and of its signatures."""

KEY_BLOB_BYTES = 51
"""Length of an Ed25519 key blob."""

MAX_KEY_BLOB_BYTES = 16_384
"""Longest key blob of any kind that is looked at."""


def key_blob(public_key: bytes) -> bytes:
    """Return the blob of an Ed25519 key (32 bytes)."""
    return string(ED25519) + string(public_key)


def from_key_blob(blob: bytes) -> bytes:
    """Return the Ed25519 key (32 bytes) of a blob.

    Raises:
        FormatError: ``ssh.key``; ``key.malformed`` for a key of small order.
    """
    reader = SshReader(blob, _wrong)
    if reader.string() != ED25519:
        raise _wrong("it is no Ed25519 key")
    public_key = reader.string(32, 32)
    reader.end()
    ed25519.check_encoding(public_key)
    return public_key


def key_type(blob: bytes) -> str:
    """Return the type of a key blob of any kind, as it names itself.

    Raises:
        FormatError: ``ssh.key``.
    """
    return SshReader(blob, _wrong).text(64)


def signature_blob(signature: bytes) -> bytes:
    """Return the blob of an Ed25519 signature (64 bytes)."""
    return string(ED25519) + string(signature)


def blob_line(blob: bytes) -> str:
    """Return the line that stands for a key of any kind in ``authorized_keys``.

    Raises:
        FormatError: ``ssh.key``.
    """
    return f"{key_type(blob)} {b64_encode(blob)}"


def key_line(public_key: bytes, comment: str = "") -> str:
    """Return the line that stands for a key in ``authorized_keys``."""
    line = blob_line(key_blob(public_key))
    return f"{line} {comment}" if comment else line


def fingerprint(blob: bytes) -> str:
    """Return the fingerprint of a key blob of any kind as OpenSSH writes it."""
    return "SHA256:" + b64_encode(hashlib.sha256(blob).digest()).rstrip("=")


def _wrong(detail: str) -> FormatError:
    return FormatError("ssh.key", f"not a key as SSH spells it: {detail}")
