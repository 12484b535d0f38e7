"""Sockets whose datagrams the kernel sorts: answers to our own questions apart from what anybody may send.

Two sockets share one address. A classic BPF program, which needs no privilege, gives one of them what carries the
endpoint's cookie where an answer has its transaction, and the other one all the rest; so a flood fills a buffer that
no answer is in. Another one drops what cannot be KRPC before it takes up room. Where the kernel has neither (it is
not Linux), there is one socket, and everything works without these two advantages.

Spec: docs/spec/dht.md, "A flood".
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from typing import Final

from walletcli.core.bencode import MAX_BYTES

COOKIE_BYTES: Final = 4
TRANSACTION_BYTES: Final = 8
"""The cookie, and four random bytes."""

_ANSWERS_BUFFER_BYTES: Final = 1 << 20
_OTHERS_BUFFER_BYTES: Final = 1 << 18

_UDP_HEADER_BYTES: Final = 8  # a socket's filter sees it, the program that chooses a socket does not
_SO_ATTACH_FILTER: Final = 26
_SO_ATTACH_REUSEPORT_CBPF: Final = 51

_END: Final = b"1:y1:re"  # of an answer; an error ends in b"1:y1:ee"
_VERSION_BYTES: Final = len(b"1:v4:....")  # may stand between transaction and end

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand."""

# From linux/bpf_common.h: class | size | mode.
_LOAD_LENGTH: Final = 0x80
_LOAD_WORD_AT_X: Final = 0x40
_LOAD_BYTE_AT_X: Final = 0x50
_LOAD_BYTE: Final = 0x30
_SUBTRACT: Final = 0x14
_TO_X: Final = 0x07
_IF_EQUAL: Final = 0x15
_IF_GREATER: Final = 0x25
_RETURN: Final = 0x06


def bind(host: str, port: int, cookie: bytes) -> list[socket.socket]:
    """Return a UDP socket for everything, and where the kernel can sort a second one for answers.

    Args:
        host: numeric address.
        port: 0 for any.
        cookie: the first 4 bytes of each transaction of ours.

    Raises:
        OSError: the address cannot be had.
    """
    if port and hasattr(socket, "SO_REUSEPORT"):
        _socket(host, port).close()  # else somebody else's node could be joined without a word
    first = _socket(host, port, shared=True)
    sockets = [first]
    try:
        sockets.append(_socket(host, first.getsockname()[1], shared=True))
        _attach(first, _SO_ATTACH_REUSEPORT_CBPF, _choose_socket(cookie))
        for sock in sockets:
            _attach(sock, _SO_ATTACH_FILTER, _drop_what_is_no_message())
    except OSError:
        for sock in sockets[1:]:
            sock.close()
        return sockets[:1]
    for sock, size in zip(sockets, (_OTHERS_BUFFER_BYTES, _ANSWERS_BUFFER_BYTES), strict=True):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    return sockets


def _socket(host: str, port: int, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if shared and hasattr(socket, "SO_REUSEPORT"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ANSWERS_BUFFER_BYTES)
        sock.setblocking(False)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def _attach(sock: socket.socket, option: int, program: list[Instruction]) -> None:
    """Give a socket a program (``struct sock_fprog``); raises OSError where there is no such thing."""
    if sys.platform != "linux":
        raise OSError("only Linux sorts datagrams for us")
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *instruction) for instruction in program))
    sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("@HP", len(program), ctypes.addressof(code)))


def _choose_socket(cookie: bytes) -> list[Instruction]:
    """Return a program that chooses the second socket for what has the cookie before the end, or before a version."""
    wanted = int.from_bytes(cookie, "big")
    from_end = len(_END) + TRANSACTION_BYTES
    return [
        *_word_from_end(from_end),  # a read before the start returns 0
        (_IF_EQUAL, 4, 0, wanted),
        *_word_from_end(from_end + _VERSION_BYTES),
        (_IF_EQUAL, 0, 1, wanted),
        (_RETURN, 0, 0, 1),
        (_RETURN, 0, 0, 0),
    ]


def _word_from_end(count: int) -> list[Instruction]:
    return [(_LOAD_LENGTH, 0, 0, 0), (_SUBTRACT, 0, 0, count), (_TO_X, 0, 0, 0), (_LOAD_WORD_AT_X, 0, 0, 0)]


def _drop_what_is_no_message() -> list[Instruction]:
    """Return a filter for what is short enough, and starts and ends as a dictionary does."""
    return [
        (_LOAD_LENGTH, 0, 0, 0),
        (_IF_GREATER, 7, 0, MAX_BYTES + _UDP_HEADER_BYTES),
        (_SUBTRACT, 0, 0, 1),
        (_TO_X, 0, 0, 0),
        (_LOAD_BYTE_AT_X, 0, 0, 0),
        (_IF_EQUAL, 0, 3, ord("e")),
        (_LOAD_BYTE, 0, 0, _UDP_HEADER_BYTES),
        (_IF_EQUAL, 0, 1, ord("d")),
        (_RETURN, 0, 0, 0xFFFF),
        (_RETURN, 0, 0, 0),
    ]
