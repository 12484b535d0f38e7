"""A CBOR codec that is not ours, PyPI cbor2, re-encodes our documents and record files to the same bytes."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.records import identity, key, record
from walletcli.core import cbor
from walletcli.core.document_parts import (
    Address,
    Approver,
    Approvers,
    Delegation,
    Power,
    Retirement,
    Succession,
    Transport,
)
from walletcli.core.record import MAGIC, Record

DEVICE = Delegation(key("device").public_key, bytes([9]) + bytes(31), frozenset(Power), 20_000, 20_090)
FIELDS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "previous": {"previous": bytes(range(32))},
    "bindings": {"bindings": (b"\xd2grant",)},
    "delegations": {"delegations": (DEVICE,)},
    "approvers": {"approvers": Approvers(1, (Approver(-7, b"\x02" + bytes(32), True),), 30)},
    "succession": {"succession": Succession(bytes(32), 30, key("veto").public_key)},
    "profile": {"profile": {"name": "Zoë ☿", "a": "x" * 1024, "longer-name": "y"}},
    "sections": {"sections": (b"a" * 300, b"b" * 5000)},
    "addresses": {"addresses": (Address(Transport.TCP, "192.0.2.1:7411", bytes(32)),)},
    "retirement": {"retirement": Retirement(20_000, 2)},
    "healed": {"healed": ((bytes(32), bytes([1] * 32)),)},
    "extensions": {"extensions": {0: 2**64 - 1, 300: -1, "x": [True, None, {"deep": b""}]}},
}
FIELDS["everything"] = {name: value for fields in FIELDS.values() for name, value in fields.items()}


def in_order(value: Any) -> Any:
    """Sort every map by its keys' encodings, byte by byte (RFC 8949 section 4.2.1).

    cbor2's own canonical form sorts shorter keys first (section 4.2.3). The two differ only where a map has numbers
    above 23 beside other kinds of keys, which only a document's extensions can have.
    """
    if isinstance(value, dict):
        return {key: in_order(value[key]) for key in sorted(value, key=cbor2.dumps)}
    return [in_order(item) for item in value] if isinstance(value, list) else value


def reencoded(data: bytes) -> bytes:
    return cbor2.dumps(in_order(cbor2.loads(data)))


@pytest.mark.parametrize("name", FIELDS)
def test_cbor2_reencodes_our_documents_to_the_same_bytes(name: str) -> None:
    document = record("alice", 2**62, **FIELDS[name]).document
    assert document is not None
    data = document.to_bytes()
    fields = cbor2.loads(data)
    assert reencoded(data) == data
    if "extensions" not in FIELDS[name]:
        assert cbor2.dumps(fields, canonical=True) == data
    assert fields[2] == identity("alice").public_key
    assert fields[3] == 2**62


@pytest.mark.parametrize("name", FIELDS)
def test_cbor2_reencodes_our_record_files_to_the_same_bytes(name: str) -> None:
    one = record("alice", 7, **FIELDS[name])
    data = one.to_bytes()
    assert MAGIC + reencoded(data[len(MAGIC) :]) == data
    assert Record.from_bytes(data) == one


_SCALARS = st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=300) | st.text(max_size=80) | st.booleans() | st.none()
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=30) | st.dictionaries(st.integers(0, 2**32) | st.text(max_size=30), inner, max_size=30)
    ),
    max_leaves=40,
)


@given(_VALUES)
def test_both_codecs_write_every_value_alike(value: Any) -> None:
    ours = cbor.encode(value)
    assert ours == cbor2.dumps(in_order(value))
    assert cbor.decode(ours, len(ours)) == value
