"""QR codes: drawn with the letters of a terminal, or as a PNG image."""

from __future__ import annotations

import struct
import zlib

BORDER_MODULES = 4
"""Quiet zone around the code, in modules (ISO/IEC 18004)."""

PNG_SCALE = 8
"""Pixels per module, each way, of an image."""

LONG_CHARS = 1000
"""Longer texts are coded with less correction of errors, so that their modules stay large enough for a camera."""

_HALVES = {(True, True): " ", (True, False): "▄", (False, True): "▀", (False, False): "█"}
"""Letter for two modules, one above the other (True: dark): light ones are drawn, so it reads on a dark terminal."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def matrix(text: str) -> list[list[bool]]:
    """Return the modules of a code with its quiet zone, row by row; True is dark.

    Args:
        text: up to 2,953 bytes, or 4,296 letters of 0-9, A-Z and ``$%*+-./:``, which need less room.
    """
    import qrcode

    corrections = qrcode.constants
    correction = corrections.ERROR_CORRECT_M if len(text) <= LONG_CHARS else corrections.ERROR_CORRECT_L
    code = qrcode.QRCode(error_correction=correction, border=BORDER_MODULES)
    code.add_data(text, optimize=0)  # one mode for all of it: whole texts of ours are alphanumeric, or are not
    code.make(fit=True)
    return [[bool(module) for module in row] for row in code.get_matrix()]


def lines(text: str) -> list[str]:
    """Return `text` as a QR code, two modules per letter, with its quiet zone."""
    modules = matrix(text)
    if len(modules) % 2:
        modules.append([False] * len(modules[0]))
    return [
        "".join(_HALVES[above, below] for above, below in zip(upper, lower, strict=True))
        for upper, lower in zip(modules[::2], modules[1::2], strict=True)
    ]


def png(text: str) -> bytes:
    """Return `text` as a QR code in a PNG image of one bit per pixel.

    Spec: W3C PNG, third edition, sections 5 and 11.
    """
    modules = matrix(text)
    side = len(modules) * PNG_SCALE
    rows = b"".join(_png_row(row) * PNG_SCALE for row in modules)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)  # greyscale, one bit, not interlaced
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows, 9)), _chunk(b"IEND", b""))
    return _PNG_SIGNATURE + b"".join(chunks)


def _png_row(row: list[bool]) -> bytes:
    """Return a row of pixels, eight in a byte, with the byte that says that nothing is filtered; 1 is white."""
    bits = "".join("0" * PNG_SCALE if dark else "1" * PNG_SCALE for dark in row)
    return b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
