"""Numbers of bytes, as people write and read them."""

from __future__ import annotations

from typing import Any

import click

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Size(click.ParamType[int]):
    """Bytes, as ``1000``, ``500K``, ``256M`` or ``2G``; the letters stand for powers of 1024."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return bytes, from 0 on."""
        if isinstance(value, int):
            return value
        number, unit = (value[:-1], value[-1].upper()) if value[-1:].upper() in _UNITS else (value, "")
        if not (number.isascii() and number.isdigit() and len(number) < 16):
            self.fail(f"'{value}' is not a number of bytes, such as 1000, 500K, 256M or 2G", param, ctx)
        return int(number) * _UNITS.get(unit, 1)


SIZE = Size()
"""Type of options that take a number of bytes."""


def size_text(size_bytes: int) -> str:
    """Return a number of bytes in the largest unit that it fills, with one decimal."""
    for unit, factor in reversed(_UNITS.items()):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}iB"
    return f"{size_bytes} bytes"
