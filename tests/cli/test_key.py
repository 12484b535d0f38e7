"""Security keys from the shell: the real program over a stand-in for hidapi; the true HID stack is `make test-hid`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.cli.answers import check_answer
from tests.cli.conftest import PASSWORD, PIN, ROOT, Answer, Do, Keys, error_of
from tests.conftest import FAST_KDF, Run


def on_terminal(wallet: Path, environment: dict[str, str], *args: str) -> pexpect.spawn:
    command = ["-m", "walletcli", "--home", str(wallet), *args]
    child = pexpect.spawn(sys.executable, command, env=environment, encoding="utf-8", timeout=60, dimensions=(30, 100))
    child.delaybeforesend = 0.05
    return child


def ended(child: pexpect.spawn) -> int:
    child.expect(pexpect.EOF)
    child.wait()
    return int(child.exitstatus)


def test_a_key_is_listed_enrolled_tested_and_removed(
    do: Do, keys: Keys, password: tuple[str, str], pin: tuple[str, str]
) -> None:
    keys("one")
    (listed,) = do("key", "list")["keys"]
    assert (listed["name"], listed["state"], listed["slots"]) == ("Key one", "ready", [])
    assert do("key", "enrol", *password, *pin)["slot"]["kinds"] == ["fido2"]
    assert do("key", "list")["keys"][0]["slots"] == [2]
    assert do("key", "info")["key"]["pin_tries"] == 8
    assert do("key", "test", *pin)["opened"]["id"] == 2
    assert do("identity", "list", *pin) == {"identities": []}
    assert do("key", "remove", "2", *password) == {"removed": 2}
    assert error_of(do("key", "test", *pin, code=6)) == "key.not-enrolled"


def test_a_key_can_be_all_that_opens_a_wallet_and_a_spare_replaces_it(
    do: Do, keys: Keys, password: tuple[str, str], pin: tuple[str, str]
) -> None:
    first, second = keys("one"), keys("two")
    do("key", "enrol", "--key", "serial-one", *password, *pin)
    do("key", "enrol", "--key", str(second), *password, *pin)
    do("slot", "remove", "1", *password)
    assert do("identity", "list", *pin) == {"identities": []}
    first.unlink()  # lost
    assert do("key", "remove", "2", *pin) == {"removed": 2}
    assert [slot["id"] for slot in do("slot", "list")["slots"]] == [3]
    assert do("identity", "list", *pin) == {"identities": []}
    second.unlink()
    assert error_of(do("identity", "list", *pin, code=6)) == "key.not-enrolled"


def test_with_password_both_are_needed(
    do: Do, keys: Keys, password: tuple[str, str], pin: tuple[str, str], secret_file: Callable[..., str]
) -> None:
    path = keys("one")
    new = secret_file("new", "another horse battery")
    do("key", "enrol", "--new-password-file", new, *password, *pin, *FAST_KDF)
    do("slot", "remove", "1", *password)
    assert do("slot", "list")["slots"][0]["kinds"] == ["password", "fido2"]
    assert do("identity", "list", "--password-file", new, *pin) == {"identities": []}
    assert do("key", "test", "--password-file", new, *pin)["opened"]["id"] == 2
    assert error_of(do("identity", "list", *password, *pin, code=5)) == "vault.wrong-password"
    path.unlink()
    assert error_of(do("identity", "list", "--password-file", new, *pin, code=6)) == "key.not-enrolled"


def test_a_password_file_is_enough_where_a_password_alone_opens(
    do: Do, keys: Keys, password: tuple[str, str], pin: tuple[str, str]
) -> None:
    keys("one")
    do("key", "enrol", *password, *pin)
    keys("one", touches="never")
    assert do("identity", "list", *password) == {"identities": []}


def test_the_agent_is_started_by_a_key(do: Do, keys: Keys, password: tuple[str, str], pin: tuple[str, str]) -> None:
    path = keys("one")
    do("key", "enrol", *password, *pin)
    assert do("wallet", "unlock", *pin)["agent"]["already"] is False
    path.unlink()
    assert do("identity", "list") == {"identities": []}
    assert do("wallet", "lock")["was_unlocked"]


def test_a_wrong_pin_from_a_file_is_tried_once(
    do: Do, keys: Keys, password: tuple[str, str], secret_file: Callable[..., str]
) -> None:
    keys("one")
    wrong = secret_file("wrong-pin", "0000")
    assert error_of(do("key", "enrol", *password, "--pin-file", wrong, code=6)) == "key.pin-wrong"
    assert do("key", "info")["key"]["pin_tries"] == 7


@pytest.mark.parametrize(
    ("settings", "options", "code"),
    [
        ({"hmac_secret": False}, (), "key.unsupported"),
        ({"pin": None}, (), "key.pin-not-set"),
        ({"tries": 0}, (), "key.locked-out"),
        ({"lie": "wrong-command"}, (), "key.bad-answer"),
        ({"lie": "truncated-cbor"}, ("--no-pin",), "key.bad-answer"),
        ({"pulled_when_touched": True}, (), "key.removed"),
        ({}, ("--key", "nothing"), "key.unknown"),
    ],
)
def test_what_cannot_be_enrolled_is_told_and_leaves_the_vault_alone(
    do: Do, keys: Keys, password: tuple[str, str], pin: tuple[str, str],
    settings: dict[str, Any], options: tuple[str, ...], code: str,
) -> None:  # fmt: skip
    keys("one", **settings)
    expected = 2 if code == "key.unknown" else 6
    answer = do("key", "enrol", *options, *password, *pin, code=expected)
    assert error_of(answer) == code
    assert answer["error"]["hint"]
    assert len(do("slot", "list")["slots"]) == 1


def test_no_key_and_several_keys_are_told(do: Do, keys: Keys, password: tuple[str, str]) -> None:
    assert error_of(do("key", "info", code=6)) == "key.none"
    assert error_of(do("key", "enrol", *password, code=6)) == "key.none"
    keys("one")
    keys("two")
    assert error_of(do("key", "info", code=6)) == "key.several"
    assert len(do("key", "list")["keys"]) == 2


def test_a_key_is_not_enrolled_twice(do: Do, keys: Keys, password: tuple[str, str], pin: tuple[str, str]) -> None:
    keys("one")
    do("key", "enrol", *password, *pin)
    assert error_of(do("key", "enrol", *password, *pin, code=6)) == "key.already-enrolled"


def test_a_key_without_pin_opens_by_touch_alone_and_that_is_warned_of(
    run: Callable[..., Run], do: Do, keys: Keys, password: tuple[str, str]
) -> None:
    keys("one", pin=None)
    done = run("key", "enrol", "--no-pin", *password)
    assert done.code == 0
    assert "warning: whoever has this key" in done.stderr
    assert done.stderr.count("Touch Key one now.") == 2
    assert "Touch" not in done.stdout
    assert do("key", "test")["opened"]["id"] == 2


def test_a_slot_of_another_sort_is_not_removed_as_a_key(do: Do, keys: Keys, password: tuple[str, str]) -> None:
    keys("one")
    assert error_of(do("key", "remove", "1", *password, code=2)) == "slot.not-a-key"
    assert error_of(do("key", "remove", "9", *password, code=2)) == "slot.unknown"


def test_the_last_slot_stays_even_if_a_key_opens_it(
    do: Do, keys: Keys, password: tuple[str, str], pin: tuple[str, str]
) -> None:
    keys("one")
    do("key", "enrol", *password, *pin)
    do("slot", "remove", "1", *password)
    assert error_of(do("key", "remove", "2", *pin, code=5)) == "slot.last"


def test_pin_and_touch_are_asked_for_on_the_terminal(
    do: Do, keys: Keys, wallet: Path, environment: dict[str, str], password: tuple[str, str]
) -> None:
    keys("one")
    child = on_terminal(wallet, environment, "key", "enrol", *password)
    child.expect_exact("PIN of Key one (8 tries left): ")
    child.sendline("0815")
    child.expect_exact("That PIN is wrong.")
    child.expect_exact("PIN of Key one (7 tries left): ")
    child.sendline(PIN)
    child.expect_exact("Touch Key one now.")
    child.expect_exact("PIN of Key one (8 tries left): ")
    child.sendline(PIN)
    child.expect_exact("Touch Key one now.")
    child.expect_exact("slot 2 added (fido2)")
    assert ended(child) == 0
    child = on_terminal(wallet, environment, "identity", "list")
    child.expect_exact("PIN of Key one")
    child.sendline(PIN)
    child.expect_exact("Touch Key one now.")
    child.expect_exact("no identities")
    assert PIN not in child.before
    assert ended(child) == 0


def test_three_wrong_pins_end_it_and_the_password_is_asked_for_instead(
    do: Do, keys: Keys, wallet: Path, environment: dict[str, str], password: tuple[str, str], pin: tuple[str, str]
) -> None:
    keys("one")
    do("key", "enrol", *password, *pin)
    child = on_terminal(wallet, environment, "identity", "list")
    for _ in range(3):
        child.expect_exact("PIN of Key one")
        child.sendline("0000")
    child.expect_exact("warning: the security key takes no more PINs for now; going on with the password")
    child.expect_exact("Password: ")
    child.sendline(PASSWORD)
    child.expect_exact("no identities")
    assert ended(child) == 0


def test_ctrl_c_at_the_touch_ends_it(
    do: Do, keys: Keys, wallet: Path, environment: dict[str, str], password: tuple[str, str], pin: tuple[str, str]
) -> None:
    keys("one")
    do("key", "enrol", *password, *pin)
    keys("one", touches="never")
    child = on_terminal(wallet, environment, "identity", "list", *pin)
    child.expect_exact("Touch Key one now.")
    child.sendintr()
    child.expect_exact("error: interrupted")
    assert ended(child) == 130


def test_without_hidapi_the_error_says_what_to_install(
    wallet: Path, environment: dict[str, str], tmp_path: Path, answer: Answer
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "hidraw.py").write_text("raise ImportError('no libudev')\n")
    done = subprocess.run(
        [sys.executable, "-m", "walletcli", "--json", "key", "list"],
        capture_output=True, env={**environment, "PYTHONPATH": f"{tmp_path / 'broken'}:{ROOT}"}, check=False,
    )  # fmt: skip
    assert done.returncode == 10
    told = check_answer(("key", "list"), done.stdout.decode(), done.returncode)
    assert error_of(told) == "key.no-hidapi"
    assert "pip install" in told["error"]["hint"]


@pytest.mark.parametrize(
    "line",
    [
        ("--help",),
        ("key", "--help"),
        ("key", "enrol", "--help"),
        ("key", "udev-rules"),
        ("slot", "list"),
        ("wallet", "status"),
    ],
    ids=" ".join,
)
def test_what_needs_no_key_loads_no_hid_library(
    wallet: Path, environment: dict[str, str], line: tuple[str, ...]
) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "walletcli", "--home", str(wallet), *line],
        capture_output=True, env={**environment, "PYTHONPATH": str(ROOT)}, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    loaded = {
        entry.rpartition("|")[2].strip() for entry in done.stderr.splitlines() if entry.startswith("import time:")
    }
    assert "walletcli.cli.program" in loaded
    assert not loaded & {"hid", "hidraw", "fido2", "cryptography"}


def test_a_wallet_without_a_key_slot_loads_no_hid_library(
    wallet: Path, environment: dict[str, str], password: tuple[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "walletcli", "--home", str(wallet), "identity", "list", *password],
        capture_output=True, env={**environment, "PYTHONPATH": str(ROOT)}, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert not {"hidraw", "fido2"} & {entry.rpartition("|")[2].strip() for entry in done.stderr.splitlines()}


def test_the_udev_rule_is_printed_alone(run: Callable[..., Run], do: Do) -> None:
    told = do("key", "udev-rules")
    assert told["path"].startswith("/etc/udev/rules.d/")
    assert run("key", "udev-rules").stdout == told["rules"]
    assert 'TAG+="uaccess"' in told["rules"]
    assert os.path.basename(told["path"]) < "73-seat-late.rules"
