"""Security keys in this process, in the place of hidapi."""

from __future__ import annotations

import pytest

from tests.wallet.test_security_keys import Shelf
from walletcli.signers.devices import channel, security_key


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """The keys that are plugged in."""
    found = Shelf()
    monkeypatch.setattr("walletcli.signers.devices.opening.HidConnection", found.connect)
    for module in ("signers.devices.approver_device", "wallet.approvers.enrolling", "wallet.security_keys"):
        monkeypatch.setattr(f"walletcli.{module}.plugged_keys", found.all)
    monkeypatch.setattr("walletcli.wallet.approvers.enrolling.plugged_ledgers", tuple)
    monkeypatch.setattr(channel, "ANSWER_LIMIT_S", 3.0)
    monkeypatch.setattr(security_key, "ANSWER_LIMIT_S", 3.0)
    monkeypatch.setattr(security_key, "TOUCH_LIMIT_S", 3.0)
    return found
