"""In the guest: the program and keys on the kernel's own HID stack, as a user who owns nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.hid.device import LIES
from tests.hid.in_process import Owner, TrezorOwner
from tests.hid.plugboard import ask
from walletcli.core.secret import Secret
from walletcli.errors import SignerError, VaultError, WalletError
from walletcli.signers.devices import channel, security_key
from walletcli.signers.devices.hidapi import plugged_keys
from walletcli.signers.devices.opening import opened
from walletcli.signers.devices.security_key import SecurityKey
from walletcli.signers.devices.udev import RULES
from walletcli.vault.kdf import KdfParameters
from walletcli.wallet.access.opening import open_vault
from walletcli.wallet.create import NewSlots, create_wallet, new_mnemonic
from walletcli.wallet.home import Home
from walletcli.wallet.ledgers import ledger_info
from walletcli.wallet.security_keys import enrol_key, key_info, list_keys, remove_key, try_key
from walletcli.wallet.slots import remove_slot
from walletcli.wallet.trezors import trezor_info

PIN = "4711"
PASSWORD = "correct horse battery"
CHEAP = KdfParameters(memory_mib=8, passes=1)
SALT = bytes(range(32))
WAYS = pytest.mark.parametrize("way", ["uhid", "gadget"])
LIES_ON_USB = ("silent", "endless-keepalive", "wrong-channel", "wrong-command", "wrong-sequence", "truncated-cbor")
"""Fewer: what lies above the packets is the same on both ways, and a USB packet cannot be short."""

SILENT = {
    "silent": "key.timeout",
    "endless-keepalive": "key.timeout",
    "wrong-channel": "key.timeout",
    "always-busy": "key.busy",
}


LONG_S, SHORT_S = 120.0, 3.0
"""How long an honest key is waited for, since this machine is imagined by a busy one, and how long a silent one."""


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key is plugged in, and none is remembered."""
    ask("forget")
    wait_at_most(LONG_S, monkeypatch)


def wait_at_most(limit_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give keys so many seconds for an answer or a touch, and a third of that to be done with other programs."""
    for module in (channel, security_key):
        monkeypatch.setattr(module, "ANSWER_LIMIT_S", limit_s)
        monkeypatch.setattr(module, "TOUCH_LIMIT_S", limit_s)
    monkeypatch.setattr(channel, "BUSY_LIMIT_S", limit_s / 3)


def plug(name: str = "a", way: str = "uhid", **options: Any) -> str:
    return str(ask("plug", name=name, way=way, **options))


def with_key(action: Callable[[SecurityKey], Any], *pins: str, at: str | None = None) -> Any:
    """Open the key at a path, or the only one, and do something with it."""
    (key,) = [key for key in plugged_keys() if at in (None, key.path)]
    with opened(key, Owner(*pins)) as device:
        return action(device)


def code_of(action: Callable[[SecurityKey], Any], *pins: str) -> str:
    with pytest.raises(WalletError) as refused:
        with_key(action, *pins)
    assert refused.value.hint
    return refused.value.code


# The library on the kernel's HID stack


@WAYS
def test_a_key_is_found_by_its_usage_and_says_what_it_is(way: str) -> None:
    assert plugged_keys() == ()
    node = plug("a", way)
    (key,) = plugged_keys()
    assert (key.path, key.vendor_id, key.product_id) == (node, 0x1209, 0xF1D0)
    assert key.product.endswith("Test Key a")
    assert key.serial == "serial-a"
    facts = with_key(SecurityKey.facts)
    assert facts.opens_vaults
    assert set(facts.algorithms) == {-7, -8}
    ask("unplug", name="a")
    assert plugged_keys() == ()


@WAYS
def test_its_secret_is_the_same_after_it_was_plugged_in_again(way: str) -> None:
    plug("a", way, pin=PIN)
    credential = with_key(lambda key: key.enrol((), verify=True), PIN)
    first = with_key(lambda key: key.secret(credential, SALT, verify=True), PIN)
    ask("unplug", name="a")
    plug("a", way)
    assert with_key(lambda key: key.knows(credential))
    assert with_key(lambda key: key.secret(credential, SALT, verify=True), PIN) == first
    assert with_key(lambda key: key.secret(credential, SALT, verify=False)) != first


def test_two_keys_are_told_apart() -> None:
    one, two = plug("a"), plug("b")
    assert [key.path for key in plugged_keys()] == sorted([one, two])
    credential = with_key(lambda key: key.enrol((), verify=False), at=one)
    assert with_key(lambda key: key.knows(credential), at=one)
    assert not with_key(lambda key: key.knows(credential), at=two)


@WAYS
def test_wrong_pins_pause_the_key_until_it_is_plugged_in_again_and_lock_it_in_the_end(way: str) -> None:
    plug("a", way, pin=PIN)
    codes = []
    for _ in range(3):
        codes.append(code_of(lambda key: key.enrol((), verify=True), *["0000"] * 3))
        codes.append(code_of(lambda key: key.enrol((), verify=True), PIN))
        ask("unplug", name="a")
        plug("a", way)
    assert codes == ["key.pin-paused"] * 4 + ["key.locked-out"] * 2
    assert code_of(lambda key: key.enrol((), verify=True), PIN) == "key.locked-out"


@WAYS
@pytest.mark.parametrize("step", ["enrol", "secret"])
def test_a_key_that_is_pulled_out_while_it_waits_is_gone(way: str, step: str) -> None:
    plug("a", way)
    credential = with_key(lambda key: key.enrol((), verify=False))
    ask("tell", name="a", touches="never")
    ask("pull_when_touched", name="a")
    steps: dict[str, Callable[[SecurityKey], Any]] = {
        "enrol": lambda key: key.enrol((), verify=False),
        "secret": lambda key: key.secret(credential, SALT, verify=False),
    }
    assert code_of(steps[step]) == "key.removed"
    ask("settle")
    assert plugged_keys() == ()


def test_a_key_that_is_pulled_out_while_its_pin_is_typed_is_gone() -> None:
    plug("a", pin=PIN)
    owner = Owner(PIN)
    typed = owner.pin

    def pull(key: str, tries_left: int | None, *, again: bool) -> Any:
        ask("unplug", name="a")
        return typed(key, tries_left, again=again)

    owner.pin = pull  # type: ignore[method-assign]  # the test's own owner
    with pytest.raises(SignerError) as refused, opened(plugged_keys()[0], owner) as key:
        key.enrol((), verify=True)
    assert refused.value.code == "key.removed"


@pytest.mark.parametrize(("way", "lies"), [("uhid", LIES), ("gadget", LIES_ON_USB)], ids=["uhid", "gadget"])
def test_a_lying_key_gives_no_secret(way: str, lies: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    plug("a", way, pin=PIN)
    credential = with_key(lambda key: key.enrol((), verify=True), PIN)
    codes = {}
    for lie in lies:
        ask("tell", name="a", lie=lie)
        wait_at_most(SHORT_S if lie in SILENT else LONG_S, monkeypatch)
        codes[lie] = code_of(lambda key: key.secret(credential, SALT, verify=True), PIN)
    assert codes == {lie: SILENT.get(lie, "key.bad-answer") for lie in lies}
    ask("tell", name="a", lie=None)
    wait_at_most(LONG_S, monkeypatch)
    assert len(with_key(lambda key: key.secret(credential, SALT, verify=True), PIN)) == 32


def test_a_key_that_another_program_uses_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    plug("a", touches="never")
    program = (
        "from tests.hid.in_process import Owner; from walletcli.signers.devices.hidapi import plugged_keys\n"
        "from walletcli.signers.devices.opening import opened\n"
        "class Says(Owner):\n"
        "    def touch(self, key): print('waiting', flush=True)\n"
        "with opened(plugged_keys()[0], Says()) as key: key.enrol((), verify=False)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"waiting\n"
        monkeypatch.setattr(channel, "BUSY_LIMIT_S", SHORT_S)
        assert code_of(SecurityKey.facts) == "key.busy"
        other.kill()


def test_a_key_without_permission_is_told_with_the_way_out() -> None:
    plug("a", mode=0o600)
    with pytest.raises(SignerError) as refused:
        with_key(SecurityKey.facts)
    assert refused.value.code == "key.no-permission"
    assert "udev-rules" in refused.value.hint


# A real vault, in this process


class Knows(Owner):
    """Types the right PIN whenever it is asked for."""

    def pin(self, key: str, tries_left: int | None, *, again: bool) -> Secret:
        return Secret.from_text(PIN)


def password() -> Secret:
    return Secret.from_text(PASSWORD)


def nobody() -> Secret:
    raise AssertionError("the password was asked for")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A wallet that a password opens, whose owner knows the PIN of the keys."""
    found = Home(str(tmp_path / "home"), Knows())
    create_wallet(found, new_mnemonic(12).mnemonic, NewSlots(password(), kdf=CHEAP))
    return found


@WAYS
def test_a_key_is_enrolled_and_opens_the_vault(way: str, home: Home) -> None:
    plug("a", way, pin=PIN)
    assert enrol_key(home, password).kinds == ("fido2",)
    remove_slot(home, 1, password)
    assert open_vault(home, nobody).read()
    ask("unplug", name="a")
    with pytest.raises(SignerError) as refused:
        open_vault(home, nobody)
    assert refused.value.code == "key.not-enrolled"
    plug("a", way)
    assert open_vault(home, nobody).read()


def test_a_spare_key_takes_over_when_one_is_lost(home: Home) -> None:
    one, two = plug("a", pin=PIN), plug("b", pin=PIN)
    enrol_key(home, password, one)
    enrol_key(home, password, two)
    assert {view.key.path: view.slots for view in list_keys(home)} == {one: (2,), two: (3,)}
    remove_slot(home, 1, password)
    ask("unplug", name="a")
    remove_key(home, 2, nobody)
    assert open_vault(home, nobody).read()
    ask("unplug", name="b")
    plug("a")
    with pytest.raises(SignerError) as refused:
        open_vault(home, nobody)
    assert refused.value.code == "key.not-enrolled"


@WAYS
def test_a_key_pulled_out_at_enrolling_or_unlocking_changes_nothing(way: str, home: Home) -> None:
    plug("a", way, pin=PIN)
    vault = Path(home.vault_path)
    before = vault.read_bytes()
    ask("pull_when_touched", name="a")
    with pytest.raises(SignerError) as refused:
        enrol_key(home, password)
    assert refused.value.code == "key.removed"
    assert vault.read_bytes() == before
    plug("a", way)
    enrol_key(home, password)
    remove_slot(home, 1, password)
    before = vault.read_bytes()
    ask("pull_when_touched", name="a")
    with pytest.raises(SignerError) as refused:
        open_vault(home, nobody)
    assert refused.value.code == "key.removed"
    plug("a", way)
    assert open_vault(home, nobody).read()
    assert vault.read_bytes() == before


@pytest.mark.parametrize("lie", ["wrong-channel", "truncated-cbor", "other-credential", "endless-keepalive"])
def test_a_key_that_begins_to_lie_opens_no_vault(lie: str, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    plug("a", pin=PIN)
    enrol_key(home, password)
    remove_slot(home, 1, password)
    ask("tell", name="a", lie=lie)
    wait_at_most(SHORT_S if lie in SILENT else LONG_S, monkeypatch)
    with pytest.raises(SignerError) as refused:
        open_vault(home, nobody)
    assert refused.value.code == SILENT.get(lie, "key.bad-answer")


def test_key_and_password_are_both_needed(home: Home) -> None:
    plug("a", pin=PIN)
    other = Secret.from_text("another password")
    enrol_key(home, password, new_password=other, kdf=CHEAP)
    remove_slot(home, 1, password)
    assert open_vault(home, lambda: other).read()
    with pytest.raises(VaultError) as refused:
        open_vault(home, password)
    assert refused.value.code == "vault.wrong-password"


def test_wrong_pins_lock_the_key_and_not_the_vault(home: Home) -> None:
    plug("a", pin=PIN)
    enrol_key(home, password)
    codes = []
    for _ in range(3):
        with pytest.raises(SignerError) as refused:
            try_key(replace(home, keys=Owner("0000", "0000", "0000")), nobody)
        codes.append(refused.value.code)
        ask("unplug", name="a")
        plug("a")
    assert codes == ["key.pin-paused", "key.pin-paused", "key.locked-out"]
    with pytest.raises(SignerError) as refused:
        try_key(home, nobody)
    assert refused.value.code == "key.locked-out"
    assert open_vault(home, password).read(), "the password still opens it"
    remove_key(home, 2, password)


# The program


@pytest.fixture
def place(home: Home, tmp_path: Path) -> Path:
    """A directory with that wallet, and files with its password and PIN."""
    for name, text in {"password": PASSWORD, "pin": PIN}.items():
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(text + "\n")
    return tmp_path


def walletcli(place: Path, *args: str, code: int = 0) -> dict[str, Any]:
    """Run the program with --json; return its answer."""
    done = subprocess.run(
        [*PROGRAM, "--json", "--home", "home", *args],
        cwd=place, capture_output=True, stdin=subprocess.DEVNULL, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
    return dict(json.loads(done.stdout))


PROGRAM = (
    "env",
    f"PYTHONPATH={Path(__file__).resolve().parents[2]}",
    "TERM=xterm",
    sys.executable,
    "-m",
    "tests.hid.patient",
)
WITH_PASSWORD = ("--password-file", "password")
WITH_PIN = ("--pin-file", "pin")


def test_the_program_enrols_a_key_and_is_unlocked_by_it(place: Path) -> None:
    node = plug("a", "gadget", pin=PIN)
    (listed,) = walletcli(place, "key", "list")["keys"]
    assert (listed["path"], listed["state"]) == (node, "ready")
    assert walletcli(place, "key", "enrol", *WITH_PASSWORD, *WITH_PIN)["slot"]["kinds"] == ["fido2"]
    assert walletcli(place, "wallet", "unlock", *WITH_PIN)["agent"]["already"] is False
    ask("unplug", name="a")
    assert walletcli(place, "identity", "list") == {"identities": []}
    assert walletcli(place, "wallet", "lock")["was_unlocked"]


def test_pin_and_touch_are_asked_for_on_the_terminal(place: Path) -> None:
    plug("a", pin=PIN, touches="by-hand")
    command = [*PROGRAM[1:], "--home", "home", "key", "enrol", *WITH_PASSWORD]
    child = pexpect.spawn("env", command, cwd=str(place), encoding="utf-8", timeout=300)
    for _ in range(2):
        child.expect(r"PIN of [^(]*\(8 tries left\): ")
        child.sendline(PIN)
        child.expect("Touch [^\r]* now.")
        ask("touch", name="a")
    child.expect_exact("slot 2 added (fido2)")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


# The last one: from here on, udev decides who may use what


def test_the_udev_rule_gives_keys_trezors_and_ledgers_to_their_group(home: Home) -> None:
    plug("a", mode=0o600)
    with pytest.raises(SignerError) as refused:
        key_info(home, None)
    assert refused.value.code == "key.no-permission"
    ask("unplug", name="a")
    ask("use_udev_rules", rules=RULES)
    node = plug("a", mode=None)
    ask("settle_udev", node=node)
    assert Path(node).stat().st_mode & 0o777 == 0o660
    assert Path(node).group() == "plugdev"
    assert key_info(home, None).state == "no-pin"
    ask("unplug", name="a")
    node = str(ask("plug_trezor", name="t", mode=None))
    ask("settle_udev", node=node)
    assert Path(node).group() == "plugdev"
    assert trezor_info(None, TrezorOwner(), 0).identity is not None
    ask("unplug", name="t")
    node = str(ask("plug_ledger", name="l", mode=None))
    ask("settle_udev", node=node)
    assert Path(node).group() == "plugdev"
    assert ledger_info(None).state == "ready"
