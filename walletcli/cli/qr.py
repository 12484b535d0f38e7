"""QR codes drawn with the letters of a terminal."""

from __future__ import annotations

_HALVES = {(True, True): " ", (True, False): "▄", (False, True): "▀", (False, False): "█"}
"""Letter for two modules, one above the other (True: dark): light ones are drawn, so it reads on a dark terminal."""

BORDER_MODULES = 4
"""Quiet zone around the code, in modules (ISO/IEC 18004)."""


def lines(text: str) -> list[str]:
    """Return `text` as a QR code, two modules per letter, with its quiet zone."""
    import qrcode

    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=BORDER_MODULES)
    code.add_data(text)
    code.make(fit=True)
    matrix: list[list[bool]] = code.get_matrix()
    if len(matrix) % 2:
        matrix.append([False] * len(matrix[0]))
    return [
        "".join(_HALVES[bool(above), bool(below)] for above, below in zip(upper, lower, strict=True))
        for upper, lower in zip(matrix[::2], matrix[1::2], strict=True)
    ]
