"""`walletcli wallet index` and what `sync` does for it, as their user meets them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Answer
from tests.conftest import FAST_KDF, NodeProcess, Run

Cli = Callable[..., Run]
Password = tuple[str, str]


def test_show_publish_and_off_answer_with_the_index_as_it_stands(
    answer: Answer, cli: Cli, wallet: Path, password: Password, node: NodeProcess
) -> None:
    first = answer("wallet", "index", "show", *password, home=wallet)
    assert first["on"] is True
    assert first["shards"][0]["written_s"] is None
    assert answer("wallet", "index", "publish", *password, home=wallet, code=7)["error"]["code"] == (
        "wallet-index.no-relay"
    )
    answer("relay", "add", node.url, home=wallet)
    answer("identity", "create", "alice", *password, home=wallet)
    answer("publish", "alice", *password, home=wallet)
    shown = cli("wallet", "index", "show", *password, home=wallet)
    assert "Not in it yet: alice" in shown.stderr
    assert "The wallet index names it from" in cli("publish", "alice", *password, home=wallet).stderr
    published = cli("wallet", "index", "publish", *password, home=wallet)
    assert published.code == 0, published.stderr
    assert "not at a random instant" in published.stderr
    assert "lists:      1 identity" in published.stdout
    view = answer("wallet", "index", "show", *password, home=wallet)
    assert view["waiting"] == []
    assert "The wallet index" not in cli("publish", "alice", *password, home=wallet).stderr
    assert view["shards"][0]["stored"] == [node.url]
    assert first["shards"][0]["key"] == view["shards"][0]["key"]
    assert answer("wallet", "index", "off", *password, home=wallet)["next_s"] is None
    assert answer("wallet", "index", "publish", *password, home=wallet, code=2)["error"]["code"] == "wallet-index.off"
    assert answer("wallet", "index", "on", *password, home=wallet)["next_s"] is not None


def test_the_status_tells_when_the_index_was_written_and_who_waits_for_it(
    answer: Answer, cli: Cli, wallet: Path, password: Password, node: NodeProcess
) -> None:
    assert answer("wallet", "status", *password, home=wallet)["wallet"]["index"] is None
    answer("relay", "add", node.url, home=wallet)
    answer("identity", "create", "alice", *password, home=wallet)
    answer("publish", "alice", *password, home=wallet)
    answer("sync", "--at-once", *password, home=wallet)
    index = answer("wallet", "status", *password, home=wallet)["wallet"]["index"]
    assert (index["on"], index["written_s"], index["waiting"], index["fault"]) == (True, None, 1, None)
    assert "which takes in 1 more" in cli("wallet", "status", *password, home=wallet).stdout
    answer("wallet", "index", "publish", *password, home=wallet)
    index = answer("wallet", "status", *password, home=wallet)["wallet"]["index"]
    assert index["waiting"] == 0
    assert index["next_s"] > index["written_s"]
    answer("wallet", "index", "off", *password, home=wallet)
    assert "off; a restore has to search" in cli("wallet", "status", *password, home=wallet).stdout


def test_sync_plans_the_index_and_says_when_it_is_due(
    answer: Answer, wallet: Path, password: Password, node: NodeProcess
) -> None:
    answer("relay", "add", node.url, home=wallet)
    done = answer("sync", *password, home=wallet)["index"]
    assert done["written"] is None
    assert done["error"] is None
    assert answer("wallet", "index", "show", *password, home=wallet)["next_s"] == done["next_s"]


def test_offline_nothing_is_written(answer: Answer, wallet: Path, password: Password) -> None:
    error = answer("wallet", "index", "publish", "--offline", *password, home=wallet, code=7)["error"]
    assert error["code"] == "network.offline"


def test_a_bad_relay_is_refused(answer: Answer, wallet: Path, password: Password) -> None:
    error = answer("wallet", "index", "publish", "--relay", "nonsense", *password, home=wallet, code=3)["error"]
    assert error["code"] == "address.malformed"


def test_a_watch_wallet_says_who_writes_the_index(answer: Answer, tmp_path: Path, password: Password) -> None:
    answer("wallet", "create", "--watch", *password, "--kdf-memory-mib", "8", "--kdf-passes", "1", home=tmp_path / "w")
    error = answer("wallet", "index", "show", *password, home=tmp_path / "w", code=6)["error"]
    assert error["code"] == "wallet.watch-only"
    assert "that machine" in error["hint"]


def test_an_index_is_signed_where_the_words_are_and_written_where_they_are_not(
    answer: Answer, cli: Cli, wallet: Path, password: Password, node: NodeProcess, tmp_path: Path
) -> None:
    online, file = tmp_path / "online", tmp_path / "index.batch"
    answer("wallet", "create", "--watch", *password, *FAST_KDF, home=online)
    answer("relay", "add", node.url, home=online)
    refused = answer("wallet", "index", "show", *password, home=online, code=6)["error"]
    assert refused["code"] == "wallet.watch-only"
    assert "wallet index apply" in refused["hint"]
    signed = cli("wallet", "index", "sign", "--out", str(file), "--writes", "2", *password, home=wallet)
    assert signed.code == 0, signed.stderr
    assert "writes:  2" in signed.stdout
    assert "wallet index apply" in signed.stderr
    assert answer("wallet", "index", "sign", "--out", str(file), *password, home=wallet, code=3)["error"]["code"] == (
        "file.exists"
    )
    applied = answer("wallet", "index", "apply", str(file), *password, home=online)
    assert (applied["shards"][0]["left"], applied["shards"][0]["identities"]) == (2, None)
    assert applied["shards"][0]["key"] in signed.stdout
    answer("wallet", "index", "publish", *password, home=online)
    shown = cli("wallet", "index", "show", *password, home=online)
    assert "left:       1 write\n" in shown.stdout
    assert "what only the words can read" in shown.stdout
    file.write_bytes(b"something else")
    assert answer("wallet", "index", "apply", str(file), *password, home=online, code=3)["error"]["code"] == (
        "index-batch.file"
    )
