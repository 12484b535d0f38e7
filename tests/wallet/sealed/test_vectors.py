"""tests/vectors/sealed-data.json: layout, indices, settings, sealed pieces."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.vectors import load, name
from walletcli.core.sealed import unseal
from walletcli.core.secret import Secret
from walletcli.errors import WalletError
from walletcli.wallet.sealed.index import SealedIndex, padded_bytes, piece_count
from walletcli.wallet.sealed.owner import index_context, piece_context
from walletcli.wallet.sealed.settings import Settings

IDENTITY = bytes.fromhex("bac1c8012a3012cfcc3d9c28bd52fc515629dafde44260857e1431f66442ac49")


def _read(case: dict[str, Any]) -> Any:
    """Read a case as the specification says; what is read is written the same."""
    match case["kind"]:
        case "index":
            data = bytes.fromhex(case["cbor"])
            index = SealedIndex.from_cbor(data)
            assert index.to_cbor() == data
            return index
        case "padded-index":
            return SealedIndex.from_bytes(bytes.fromhex(case["hex"]))
        case "settings":
            data = bytes.fromhex(case["cbor"])
            settings = Settings.from_bytes(data)
            assert settings.to_bytes() == data
            return settings
        case "piece":
            return _open(case, piece_context(IDENTITY, bytes.fromhex(case["id"])))
        case kind:
            assert kind == "sealed-index"
            return SealedIndex.from_bytes(_open(case, index_context(IDENTITY)))


def _open(case: dict[str, Any], context: bytes) -> bytes:
    return unseal(bytes.fromhex(case["sealed"]), Secret(bytes.fromhex(case["scalar"])), context)


@pytest.mark.parametrize("case", load("sealed-data.json"), ids=name)
def test_valid_ones_are_read_and_written_the_same(case: dict[str, Any]) -> None:
    if case["kind"] == "layout":
        assert (padded_bytes(case["length"]), piece_count(case["length"])) == (case["padded"], case["pieces"])
        return
    found = _read(case)
    if case["kind"] == "piece":
        content = bytes.fromhex(case["content"])
        assert found == content.ljust(padded_bytes(len(content)), b"\0")
    if isinstance(found, SealedIndex):
        assert [item.name for item in found.items] == case["items"]
        assert len(found.to_bytes()) == case.get("padded_bytes", 4095)


@pytest.mark.parametrize("case", load("sealed-data.json", "invalid"), ids=name)
def test_bad_ones_end_in_the_error_that_is_written(case: dict[str, Any]) -> None:
    with pytest.raises(WalletError) as error:
        _read(case)
    assert error.value.code == case["error"]
