"""Ledgers from the shell: the real program over a stand-in for hidapi, and a real node; the true HID stack is
`make test-hid`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest

from tests.cli.conftest import MNEMONIC, Do, Keys, error_of
from tests.conftest import FAST_KDF, NodeProcess, Run
from walletcli.core.approval import Subject
from walletcli.core.record import Record

Options = tuple[str, str]
OTHER_WORDS = "legal winner thank year wave sausage worth useful legal winner thank yellow"


def shown(tmp_path: Path, name: str = "nano") -> list[str]:
    """Return the texts that a Ledger has shown."""
    file = tmp_path / "keys" / f"{name}.shown"
    return file.read_text().splitlines() if file.exists() else []


def away(path: Path) -> Callable[[], None]:
    """Take a device out; return what puts it in again."""
    kept = path.with_suffix(".away")
    path.rename(kept)
    return lambda: kept.rename(path) and None


@pytest.fixture
def alice(do: Do, password: Options, node: NodeProcess) -> str:
    """Publish alice at a node, and return the node's address."""
    do("identity", "create", "alice", *password)
    do("publish", "alice", "--relay", node.url, *password)
    return node.url


@pytest.fixture
def guarded(do: Do, keys: Keys, alice: str, password: Options) -> str:
    """Have a Ledger approve for alice, and return the node's address."""
    keys("nano", kind="ledger")
    do("identity", "approver", "add", "alice", "--name", "nano", *password)
    do("publish", "alice", "--relay", alice, *password)
    return alice


def test_it_is_listed_and_says_how_far_it_was_checked(do: Do, keys: Keys) -> None:
    path = str(keys("nano", kind="ledger"))
    (listed,) = do("key", "list")["ledgers"]
    assert (listed["path"], listed["vendor_id"], listed["state"]) == (path, 0x2C97, "ready")
    assert "not the device's firmware" in listed["checked"]
    told = do("key", "info")["ledger"]
    assert (told["app"], told["app_version"]) == ("Solana", "1.9.2")
    keys("nano", locked=True)
    assert do("key", "list")["ledgers"][0]["state"] == "locked"
    assert error_of(do("key", "info", code=6)) == "ledger.locked"
    keys("nano", locked=False, app="BOLOS", version="2.2.1")
    assert do("key", "info")["ledger"]["state"] == "wrong-app"


def test_what_names_a_ledger_is_told_from_its_security_key(do: Do, keys: Keys) -> None:
    path = keys("nano", kind="ledger")
    keys("red", kind="ledger", words=OTHER_WORDS)
    assert error_of(do("key", "info", "--key", "serial-none", code=2)) == "key.unknown"
    assert do("key", "info", "--key", str(path))["ledger"]["serial"] == "serial-nano"
    assert do("key", "info", "--key", "serial-red")["ledger"]["serial"] == "serial-red"
    assert error_of(do("key", "info", code=6)) == "ledger.several"


def test_with_nothing_plugged_in_nothing_becomes_an_approver(do: Do, password: Options) -> None:
    do("identity", "create", "alice", *password)
    refused = do("identity", "approver", "add", "alice", *password, code=6)
    assert error_of(refused) == "key.none" and "Ledger" in refused["error"]["message"]


def test_the_rule_for_udev_names_ledgers(do: Do) -> None:
    assert "2C97" in do("key", "udev-rules")["rules"]


def test_it_shows_the_text_that_the_terminal_shows_and_the_node_insists_on_it(
    do: Do, run: Callable[..., Run], keys: Keys, guarded: str, tmp_path: Path, password: Options
) -> None:
    (approver,) = do("identity", "approver", "list", "alice", *password)["approvers"]
    assert (approver["form"], approver["algorithm"], approver["pin"]) == ("signed-text", "EdDSA", False)
    assert "Rehearsal: this approves nothing" in shown(tmp_path)[0]
    do("identity", "set", "alice", "name", "Alice", "--public", *password)
    put_back = away(keys("nano"))
    assert error_of(do("publish", "alice", "--relay", guarded, *password, code=6)) == "approver.not-here"
    put_back()
    done = run("publish", "alice", "--relay", guarded, *password)
    assert done.code == 0, done.stderr
    text = shown(tmp_path)[-1]
    did = do("identity", "show", "alice", *password)["did"]
    found = do("resolve", "alice", "--relay", guarded, *password)
    assert f"Record number {found['seq']}. Identity {did}. Providers: none. Devices: 1 (" in text
    exported = tmp_path / "alice.record"
    do("record", "export", "alice", str(exported), *password)
    document = Record.from_bytes(exported.read_bytes()).document
    assert document is not None and text == Subject.of_document(document).text
    for part in text.split(". "):
        assert part in done.stderr
    assert found["document"]["profile"] == {"name": "Alice"}
    listing = run("identity", "approver", "list", "alice", *password)
    assert "text confirmed on its screen" in listing.stdout


TROUBLE: list[tuple[dict[str, Any], str]] = [
    ({"refuses": True}, "ledger.denied"),
    ({"locked": True}, "ledger.locked"),
    ({"app": "Bitcoin"}, "ledger.wrong-app"),
    ({"version": "1.2.0"}, "ledger.old"),
    ({"status": 0x6808}, "ledger.setting"),
    ({"lie": "no-header"}, "ledger.old"),
    ({"lie": "other-text"}, "ledger.bad-answer"),
    ({"pulled_when_touched": True}, "key.removed"),
    ({"words": OTHER_WORDS}, "approver.not-here"),
]


def test_trouble_with_it_signs_nothing_and_can_be_mended(do: Do, keys: Keys, guarded: str, password: Options) -> None:
    before = do("resolve", "alice", "--relay", guarded, *password)["seq"]
    do("identity", "set", "alice", "name", "Alice", "--public", *password)
    for behaviour, code in TROUBLE:
        path = keys("nano", **behaviour)
        assert error_of(do("publish", "alice", "--relay", guarded, *password, code=6)) == code
        path.unlink()
        keys("nano", kind="ledger")
    assert do("resolve", "alice", "--relay", guarded, *password)["seq"] == before
    do("publish", "alice", "--relay", guarded, *password)


def test_a_security_key_and_a_ledger_approve_together_one_after_the_other(
    do: Do, keys: Keys, guarded: str, password: Options, pin: Options
) -> None:
    blue = keys("blue")
    several = do("identity", "approver", "add", "alice", "--threshold", "2", *password, *pin, code=6)
    assert error_of(several) == "key.several"
    do("identity", "approver", "add", "alice", "--key", "serial-blue", "--threshold", "2", *password, *pin)
    do("publish", "alice", "--relay", guarded, *password, *pin)
    do("identity", "set", "alice", "name", "Alice", "--public", *password)
    put_back = away(blue)
    assert error_of(do("publish", "alice", "--relay", guarded, *password, *pin, code=6)) == "approver.not-here"
    away(keys("nano"))  # what it has approved is kept
    assert error_of(do("publish", "alice", "--relay", guarded, *password, *pin, code=6)) == "approver.not-here"
    put_back()
    do("publish", "alice", "--relay", guarded, *password, *pin)
    found = do("resolve", "alice", "--relay", guarded, *password)
    assert found["document"]["approvers"]["threshold"] == 2


def test_a_locked_ledger_does_not_stand_in_the_way_of_a_security_key(
    do: Do, keys: Keys, guarded: str, password: Options, pin: Options
) -> None:
    keys("blue")
    do("identity", "approver", "add", "alice", "--key", "serial-blue", *password, *pin)
    do("publish", "alice", "--relay", guarded, *password, *pin)
    do("identity", "set", "alice", "name", "Alice", "--public", *password)
    keys("nano", locked=True)
    do("publish", "alice", "--relay", guarded, *password, *pin)


def test_one_device_for_two_identities_has_unrelated_keys_and_counts_once_for_each(
    do: Do, keys: Keys, guarded: str, password: Options
) -> None:
    again = do("identity", "approver", "add", "alice", *password, code=6)
    assert error_of(again) == "ledger.already-approver"
    do("identity", "create", "work", *password)
    added = do("identity", "approver", "add", "work", *password)
    first = do("identity", "approver", "list", "alice", *password)
    assert added["approvers"][0]["key"] != first["approvers"][0]["key"]
    do("identity", "create", "third", *password)
    assert error_of(do("identity", "approver", "add", "third", "--no-pin", *password, code=2)) == "ledger.has-pin"


def test_the_words_alone_bring_back_how_it_is_asked(
    do: Do, keys: Keys, guarded: str, wallet: Path, password: Options, secret_file: Callable[..., str]
) -> None:
    shutil.rmtree(wallet)
    do("wallet", "restore", "--mnemonic-file", secret_file("words", MNEMONIC), *password, *FAST_KDF)
    do("wallet", "recover", "--relay", guarded, "--sources", "1", "--yes", *password)
    do("publish", "alice", "--relay", guarded, *password)


def test_a_contact_export_says_on_its_screen_how_many_and_counts_only_with_its_signature(
    do: Do, keys: Keys, guarded: str, tmp_path: Path, password: Options,
    answer: Callable[..., dict[str, Any]], secret_file: Callable[..., str],
) -> None:  # fmt: skip
    friend, file = tmp_path / "friend", tmp_path / "contacts"
    did = do("identity", "show", "alice", *password)["did"]
    answer("wallet", "restore", "--mnemonic-file", secret_file("friends", "zoo " * 11 + "wrong"), *password, *FAST_KDF,
           home=friend)  # fmt: skip
    answer("identity", "create", "friend", *password, home=friend)
    answer("resolve", did, "--relay", guarded, *password, home=friend)
    do("contact", "export", str(file), "--open", *password)
    assert shown(tmp_path)[-1].startswith("walletcli approval. Export of 0 contacts. Identity did:key:")
    take = ("contact", "import", "--relay", guarded, *password)
    answer(*take, str(file), home=friend)
    magic, body = file.read_bytes()[:27], cbor2.loads(file.read_bytes()[27:])
    (approval,) = body[3]
    for number, wrong in enumerate(([], [[*approval[:3], bytes(64)]])):
        forged = tmp_path / f"forged-{number}"
        forged.write_bytes(magic + cbor2.dumps([*body[:3], *([wrong] if wrong else [])], canonical=True))
        assert error_of(answer(*take, str(forged), home=friend, code=4)) == "approval.missing"
