"""A manifest of the usual form is read by comparing: never another answer than decoding gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walletcli.core import manifest
from walletcli.core.manifest import MAX_VERSION, Manifest
from walletcli.errors import FormatError

EDGES = (1, 23, 24, 255, 256, 65_535, 65_536)
HASHES = st.binary(min_size=32, max_size=32)
MANIFESTS = st.builds(
    lambda version, digest, length, previous: Manifest(
        b"\1" * 32, b"\2" * 16, version, digest, length if digest is not None else 0, previous
    ),
    st.sampled_from((*EDGES, 2**32 - 1, 2**32, MAX_VERSION)) | st.integers(1, MAX_VERSION),
    st.none() | HASHES,
    st.sampled_from((*EDGES, 2**26)),
    st.none() | HASHES,
)
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(("set", "cut", "insert")),
        st.sampled_from((*range(7), *range(37, 42), *range(54, 75), *range(94, 140))) | st.integers(0, 150),
        st.sampled_from((0, 1, 2, 3, 4, 5, 6, 7, 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x20, 0x50, 0x58, 0xA6, 0xA7, 0xF6)),
    ),
    max_size=2,
)


def read(data: bytes) -> Manifest | str:
    """Return the manifest, or the code of the error."""
    try:
        return Manifest.from_payload(data)
    except FormatError as error:
        return error.code


@given(MANIFESTS, CHANGES)
def test_usual_form_is_read_as_it_is_decoded(said: Manifest, changes: list[tuple[str, int, int]]) -> None:
    data = bytearray(said.to_payload())
    for kind, place, byte in changes:
        at = place % max(1, len(data))
        if kind == "set" and data:
            data[at] = byte
        elif kind == "insert":
            data.insert(at, byte)
        else:
            del data[at:]
    quick = read(bytes(data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "_usual", lambda data: None)
        assert quick == read(bytes(data))
    if not changes:
        assert quick == said


def test_usual_form_is_the_usual_case() -> None:
    for previous in (None, b"\3" * 32):
        said = Manifest(b"\1" * 32, b"\2" * 16, 70_000, b"\4" * 32, 65_536, previous)
        assert manifest._usual(said.to_payload()) is not None
