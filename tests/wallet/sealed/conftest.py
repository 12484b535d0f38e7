"""Fixtures of the tests of sealed data: nodes that host, and a wallet with one identity that is bound."""

from __future__ import annotations

from tests.wallet.providers.conftest import alice, host, hosts

__all__ = ["alice", "host", "hosts"]
