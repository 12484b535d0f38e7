"""tests/vectors/provider.json: grants, requests for them, logins, manifests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.core.vectors import VECTORS, load, name
from walletcli.core.blob import MAX_MANIFEST_BYTES
from walletcli.core.cose import Sign1
from walletcli.core.grant import check_grant
from walletcli.core.grant_request import MAX_REQUEST_BYTES, GrantRequest
from walletcli.core.login import MAX_LOGIN_BYTES, Login
from walletcli.core.manifest import Manifest
from walletcli.core.record import Record
from walletcli.core.statements import Statement, verify_statement
from walletcli.errors import WalletError

OTHERS: dict[str, tuple[type[Statement], int]] = {
    "grant-request": (GrantRequest, MAX_REQUEST_BYTES),
    "login": (Login, MAX_LOGIN_BYTES),
    "manifest": (Manifest, MAX_MANIFEST_BYTES),
}


def _read(case: dict[str, Any]) -> None:
    """Read a case as the specification says; what is read is written the same."""
    data = bytes.fromhex(case["hex"])
    if case["kind"] == "grant":
        newest = Record.from_bytes(bytes.fromhex(case["newest"])) if "newest" in case else None
        whole = _head()
        grant = check_grant(data, bytes.fromhex(whole["identity"]), whole["day"], newest).grant
        payload = grant.to_payload()
    else:
        found, _ = verify_statement(data, *OTHERS[case["kind"]])
        payload = found.to_payload()
    assert Sign1.from_bytes(data, len(data)).payload == payload


def _head() -> dict[str, Any]:
    head: dict[str, Any] = json.loads((VECTORS / "provider.json").read_text(encoding="utf-8"))
    return head


@pytest.mark.parametrize("case", load("provider.json"), ids=name)
def test_valid_ones_are_read_and_written_the_same(case: dict[str, Any]) -> None:
    _read(case)


@pytest.mark.parametrize("case", load("provider.json", "invalid"), ids=name)
def test_invalid_ones_end_in_their_error(case: dict[str, Any]) -> None:
    with pytest.raises(WalletError) as raised:
        _read(case)
    assert raised.value.code == case["error"]
    assert raised.value.hint


@pytest.mark.parametrize("case", load("provider.json"), ids=name)
def test_no_valid_one_is_valid_cut_short(case: dict[str, Any]) -> None:
    with pytest.raises(WalletError):
        _read({**case, "hex": case["hex"][:-2]})
