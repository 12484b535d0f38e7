"""Reads QR codes with a decoder that nobody here wrote: ZXing, and Pillow for images."""

from __future__ import annotations

import io
from collections.abc import Sequence

import zxingcpp
from PIL import Image, ImageFilter

PIXELS = 4
"""Pixels per module of a drawn terminal; a letter is one module wide and two high."""


def read_image(image: Image.Image) -> str:
    """Return the text of the one QR code in an image."""
    found = zxingcpp.read_barcodes(image, formats=zxingcpp.BarcodeFormat.QRCode)
    assert len(found) == 1, f"{len(found)} codes found"
    return str(found[0].text)


def read_png(data: bytes) -> str:
    """Return the text of the code in a PNG file."""
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    return read_image(image.convert("L"))


def terminal_image(lines: Sequence[str], *, dark: bool = True) -> Image.Image:
    """Return what a terminal shows for lines of half blocks, on a dark or a light background."""
    ink, paper = (255, 0) if dark else (0, 255)
    image = Image.new("L", (max(map(len, lines)) + 8, 2 * len(lines) + 8), paper)
    for row, line in enumerate(lines):
        for column, letter in enumerate(line):
            for half, letters in enumerate(("█▀", "█▄")):
                if letter in letters:
                    image.putpixel((column + 4, 2 * row + half + 4), ink)
    return image.resize((image.width * PIXELS, image.height * PIXELS), Image.Resampling.NEAREST)


def as_photographed(image: Image.Image, degrees: float = 7, blur: float = 1.2) -> Image.Image:
    """Return an image as a camera might see it: askew, on grey, and not quite sharp."""
    turned = image.convert("L").rotate(degrees, Image.Resampling.BILINEAR, expand=True, fillcolor=90)
    return turned.filter(ImageFilter.GaussianBlur(blur))


def drawn_code(output: str) -> list[str]:
    """Return the lines of a QR code out of what a command printed."""
    return [line for line in output.splitlines() if line and set(line) <= set("█▀▄ ") and "█" in line]
