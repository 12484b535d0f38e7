"""The table [dht] of node.toml: who joins, and what is refused."""

from __future__ import annotations

import pytest

from tests.client.records import identity
from walletcli.dht.settings import PUBLIC_BOOTSTRAP
from walletcli.errors import WalletError
from walletcli.node.config import Config


@pytest.mark.parametrize("listener", ["127.0.0.1", "127.3.2.1", "::1"])
def test_a_node_on_loopback_does_not_join(listener: str) -> None:
    assert Config().dht.settings_for(listener) is None


@pytest.mark.parametrize("listener", ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1"])
def test_a_node_that_others_can_reach_joins_the_public_network(listener: str) -> None:
    settings = Config().dht.settings_for(listener)
    assert settings is not None
    assert settings.listen == ((listener, 6881),)
    assert settings.bootstrap == PUBLIC_BOOTSTRAP
    assert not settings.private


def test_the_operator_decides_otherwise_both_ways() -> None:
    assert Config.from_text('[dht]\njoin = "no"').dht.settings_for("0.0.0.0") is None
    settings = Config.from_text('[dht]\njoin = "yes"\nlisten = ["127.0.0.1:0", "[::1]:0"]').dht.settings_for(
        "127.0.0.1"
    )
    assert settings is not None
    assert settings.listen == (("127.0.0.1", 0), ("::1", 0))


def test_every_setting_is_read() -> None:
    did = identity("alice").did
    config = Config.from_text(
        f'[dht]\nprivate = true\nwriter_port = 1\nbootstrap = ["a.example:1", "[2001:db8::1]:2"]\n'
        f'peers = ["192.0.2.1:3"]\ncopies = 20\nrepublish_minutes = 15\npins = ["{did}"]\nsample = 0'
    ).dht
    assert config.bootstrap == (("a.example", 1), ("2001:db8::1", 2))
    assert config.peers == (("192.0.2.1", 3),)
    assert config.pins == (identity("alice").public_key,)
    settings = config.settings_for("0.0.0.0")
    assert settings is not None
    assert (settings.private, settings.writer_port, settings.copies) == (True, 1, 20)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("joins = true", "config.unknown"),
        ("join = true", "config.value"),
        ('join = "perhaps"', "config.value"),
        ("private = 1", "config.value"),
        ('listen = "127.0.0.1:1"', "config.value"),
        ('listen = ["localhost:1"]', "config.value"),
        ('listen = ["127.0.0.1:1", "127.0.0.2:1"]', "config.value"),
        ('listen = ["127.0.0.1:1", "[::1]:1", "[::1]:2"]', "config.value"),
        ('listen = ["127.0.0.1"]', "config.value"),
        ("writer_port = -1", "config.value"),
        ("writer_port = 65536", "config.value"),
        ("writer_port = true", "config.value"),
        ('bootstrap = ["nowhere"]', "config.value"),
        ('bootstrap = ["a.example:0"]', "config.value"),
        ('bootstrap = ["a.example:99999"]', "config.value"),
        ('bootstrap = ["a b:1"]', "config.value"),
        ('bootstrap = ["a,b:1"]', "config.value"),
        ('peers = ["a.example:1"]', "config.value"),
        ('peers = ["192.0.2.1:0"]', "config.value"),
        ("copies = 0", "config.value"),
        ("copies = 21", "config.value"),
        ("republish_minutes = 14", "config.value"),
        ("republish_minutes = 1.5", "config.value"),
        ("sample = -1", "config.value"),
        ("pins = [1]", "config.value"),
        ('pins = ["alice"]', "identity.malformed"),
    ],
)
def test_what_makes_no_sense_is_refused(line: str, code: str) -> None:
    with pytest.raises(WalletError) as refused:
        Config.from_text(f"[dht]\n{line}")
    assert refused.value.code == code
