"""A blob as it travels and lies in an exit kit: its signed manifest, then the sealed content.

Spec: docs/spec/exit-kit.md, "Frame".
"""

from __future__ import annotations

from typing import Final

from walletcli.core import sealed
from walletcli.errors import FormatError

ID_BYTES: Final = 16
"""A blob's id; random, but for the index."""

INDEX_ID: Final = bytes(ID_BYTES)
"""The id of the index, the sealed blob that names all others."""

MAX_MANIFEST_BYTES: Final = 512
"""Longest manifest with its signature, in bytes."""

MAX_FRAME_BYTES: Final = 2 + MAX_MANIFEST_BYTES + sealed.MAX_BYTES
"""Longest frame, in bytes."""


def join_blob(manifest: bytes, content: bytes) -> bytes:
    """Return length of the manifest (2 bytes, big-endian) ‖ manifest ‖ sealed content.

    Raises:
        FormatError: ``blob.malformed`` for a manifest that is empty, or for a part that is too long.
    """
    if not 1 <= len(manifest) <= MAX_MANIFEST_BYTES or len(content) > sealed.MAX_BYTES:
        raise FormatError("blob.malformed", f"a manifest has 1 to {MAX_MANIFEST_BYTES} bytes, a blob 2^26 at most")
    return b"".join((len(manifest).to_bytes(2, "big"), manifest, content))


def split_blob(frame: bytes) -> tuple[bytes, bytes]:
    """Return manifest and sealed content of a frame; neither is verified.

    Raises:
        FormatError: ``blob.malformed``.
    """
    size = int.from_bytes(frame[:2], "big")
    if len(frame) > MAX_FRAME_BYTES or not 1 <= size <= MAX_MANIFEST_BYTES or len(frame) < 2 + size:
        raise FormatError("blob.malformed", "a blob is the length of its manifest, the manifest and the sealed content")
    return frame[2 : 2 + size], frame[2 + size :]
