"""Reads the head of a plain answer: HTTP/1.1, a final status, a Content-Length, and nothing that changes its meaning.

Nearly every answer of a node is plain, and one expression reads it. Whatever is not is left to h11, which reads the
same bytes again and knows the rest of HTTP.

Spec: RFC 9112 sections 4 to 6; docs/spec/resolution.md, "One exchange".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

MAX_HEAD_BYTES: Final = 16_384
"""Longest status line and headers of an answer, in bytes."""

_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TEXT: Final = r"[\t -~\x80-\xff]*"
_HEAD: Final = re.compile(rf"HTTP/1\.1 ([2-5][0-9]{{2}})(?: {_TEXT})?\r\n((?:{_NAME}:{_TEXT}\r\n)*)")
_FIELD: Final = re.compile(r"([^:]+):([^\r]*)\r\n")
_LENGTH: Final = re.compile(r"[0-9]{1,8}")
_PLAIN: Final = {"transfer-encoding": "", "content-encoding": "identity", "connection": "keep-alive"}
"""All that these may say. Of a connection that is about to close, what was asked ahead would be lost."""

_WITHOUT_BODY: Final = (204, 304)


class PlainHead(NamedTuple):
    """The head of a plain answer: status (200 to 599), length of the body in bytes, headers with lower-case names."""

    status: int
    length_bytes: int
    headers: Mapping[str, str]


@lru_cache(maxsize=64)
def read_head(head: bytes) -> PlainHead | None:
    """Return what the head of an answer says, or None if it is not plain; a node says the same again and again.

    Args:
        head: status line and header lines, each with its CRLF, without the empty line.
    """
    match = _HEAD.fullmatch(head.decode("latin-1"))
    if match is None:
        return None
    fields = [(name.lower(), value.strip(" \t")) for name, value in _FIELD.findall(match[2])]
    headers = MappingProxyType(dict(fields))
    if any(headers.get(name, value).lower() != value for name, value in _PLAIN.items()):
        return None
    status = int(match[1])
    length = headers.get("content-length")
    if length is None:
        return PlainHead(status, 0, headers) if status in _WITHOUT_BODY else None
    if not _LENGTH.fullmatch(length) or (len(headers) < len(fields) and _is_repeated(fields)):
        return None
    return PlainHead(status, 0 if status in _WITHOUT_BODY else int(length), headers)


def _is_repeated(fields: list[tuple[str, str]]) -> bool:
    """Whether one of the fields that decide stands there twice; others may."""
    return any(sum(name == field for field, _ in fields) > 1 for name in ("content-length", *_PLAIN))
