from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.targets.hosting import check_plain_head
from walletcli.client.plain import PlainHead, read_head

NAMES = [
    "Content-Length",
    "content-length",
    "Transfer-Encoding",
    "Content-Encoding",
    "Connection",
    "Vary",
    "ETag",
    "a b",
    "",
]
VALUES = [
    "0",
    "12",
    "012",
    "+1",
    "1, 1",
    "chunked",
    "identity",
    "Identity",
    "gzip",
    "close",
    "keep-alive",
    "",
    "x\ty",
    "\x0b",
    "é",
]
FIELDS = st.builds(
    lambda name, before, value, after: f"{name}:{before}{value}{after}\r\n",
    st.sampled_from(NAMES),
    st.sampled_from(["", " ", "\t "]),
    st.sampled_from(VALUES),
    st.sampled_from(["", " ", " \t"]),
)
LINES = st.sampled_from(
    ["HTTP/1.1 200 OK", "HTTP/1.1 204", "HTTP/1.1 304 ", "HTTP/1.1 404 no\tno", "HTTP/1.0 200 OK", "HTTP/1.1 103 X",
     "HTTP/1.1 600 X", "HTTP/1.1  200 X", "http/1.1 200 X", "HTTP/1.1 200\x00"]
)  # fmt: skip


@given(LINES, st.lists(FIELDS, max_size=5))
def test_what_counts_as_plain_means_the_same_to_h11(line: str, fields: list[str]) -> None:
    check_plain_head(f"{line}\r\n{''.join(fields)}".encode("latin-1"))


def test_a_plain_head_is_read() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nVary: a\r\nVARY:\tb \r\n"
    assert read_head(head) == PlainHead(200, 12, {"content-length": "12", "vary": "b"})
    assert read_head(b"HTTP/1.1 204 \r\nconnection: keep-alive\r\n") == PlainHead(204, 0, {"connection": "keep-alive"})


def test_nobody_changes_what_was_read_for_another() -> None:
    found = read_head(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n")
    assert found is not None
    with pytest.raises(TypeError):
        found.headers["content-length"] = "13"  # type: ignore[index]


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n",
        b"HTTP/1.1 103 Early\r\nContent-Length: 1\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Encoding: gzip\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nconnection: close\r\nconnection: keep-alive\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 123456789\r\n",
        b"HTTP/1.1 200 OK\r\n Content-Length: 1\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 1\n",
        b"",
    ],
)
def test_what_is_not_plain_is_left_to_h11(head: bytes) -> None:
    assert read_head(head) is None
