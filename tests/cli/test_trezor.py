"""Trezors from the shell: the real program over a stand-in for hidapi."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.cli.conftest import Answer, Do, Keys
from tests.conftest import FAST_KDF, Run
from tests.hid.trezor_device import WORDS, places_of
from walletcli.core.bip39 import Mnemonic
from walletcli.core.identity_id import IdentityId
from walletcli.core.keys import KeyTree, Scheme, scheme_seed
from walletcli.core.secret import Secret


def did(index: int, passphrase: str = "") -> str:
    seed = scheme_seed(Scheme.SLIP13, Mnemonic.parse(WORDS), Secret.from_text(passphrase))
    return IdentityId(KeyTree(seed, Scheme.SLIP13).root(index).public_key).did


def on_terminal(environment: dict[str, str], *args: str, verb: str = "info") -> pexpect.spawn:
    command = ["-m", "walletcli", "key", verb, *args]
    return pexpect.spawn(sys.executable, command, env=environment, encoding="utf-8", timeout=60)


def ended(child: pexpect.spawn, code: int = 0) -> str:
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == code, child.before
    return str(child.before)


def test_it_is_listed_and_says_how_far_it_was_checked(do: Do, keys: Keys) -> None:
    path = str(keys("t", kind="trezor"))
    (listed,) = do("key", "list")["trezors"]
    assert (listed["path"], listed["over"]) == (path, "hid")
    told = do("key", "info")["trezor"]
    assert told["checked"] == "against published vectors and framing only, not the device's firmware"
    assert (told["firmware"], told["max_challenge_bytes"], told["signs_records"]) == ("1.6.3", 256, False)
    assert told["identity"] is None


def test_it_holds_the_identity_that_its_words_give_in_software(do: Do, keys: Keys) -> None:
    keys("t", kind="trezor")
    for index in (0, 7):
        assert do("key", "info", "--identity", str(index))["trezor"]["identity"]["did"] == did(index)


def test_the_words_restored_with_its_scheme_give_that_identity(
    do: Do, keys: Keys, tmp_path: Path, answer: Answer, password: tuple[str, str], secret_file: Callable[..., str]
) -> None:
    keys("t", kind="trezor")
    on_it = do("key", "info", "--identity", "0")["trezor"]["identity"]
    home = tmp_path / "restored"
    options = ["--scheme", "slip13", "--mnemonic-file", secret_file("words", WORDS), *password, *FAST_KDF]
    assert answer("wallet", "restore", *options, home=home)["wallet"]["scheme"] == "slip13"
    (derived,) = answer("identity", "list", "--derive", "1", *password, home=home)["identities"]
    assert {name: derived[name] for name in ("did", "path")} == {name: on_it[name] for name in ("did", "path")}


def test_pin_and_passphrase_are_typed_on_the_terminal_and_not_echoed(keys: Keys, environment: dict[str, str]) -> None:
    keys("t", kind="trezor", digits="4711", passphrase_used=True)
    child = on_terminal(environment, "--identity", "2")
    child.expect_exact("Places: ")
    child.sendline(places_of("4711"))
    child.expect(r"Passphrase for [^:]*: ")
    child.sendline("hush")
    said = ended(child)
    assert did(2, "hush") in said
    assert "hush" not in said


@pytest.mark.parametrize(("typed", "code"), [("1111", "PIN is wrong"), ("0", "places of a PIN")])
def test_what_is_typed_wrong_is_told(keys: Keys, environment: dict[str, str], typed: str, code: str) -> None:
    keys("t", kind="trezor", digits="4711")
    child = on_terminal(environment, "--identity", "2")
    child.expect_exact("Places: ")
    child.sendline(typed)
    assert code in ended(child, 6 if "wrong" in code else 3)


REFUSALS: list[tuple[dict[str, Any], tuple[str, ...], str, int]] = [
    ({"kind": "trezor", "vendor": "example.com"}, (), "trezor.not-one", 6),
    ({"kind": "trezor", "in_bootloader": True}, (), "trezor.bootloader", 6),
    ({"kind": "trezor", "words": ""}, (), "trezor.empty", 6),
    ({"kind": "trezor"}, ("--key", "nowhere"), "key.unknown", 2),
    ({"kind": "trezor"}, ("--key", "nowhere", "--identity", "1"), "trezor.unknown", 2),
    ({"kind": "trezor"}, ("--identity", "2147483647"), "identity.index", 3),
    ({"kind": "trezor", "digits": "1"}, ("--identity", "1"), "terminal.missing", 2),
    ({"kind": "trezor-webusb"}, ("--identity", "1"), "trezor.webusb", 6),
    ({"kind": "key"}, ("--identity", "1"), "trezor.none", 6),
]


def test_each_refusal_has_its_code(do: Do, keys: Keys) -> None:
    for number, (settings, args, code, exit_code) in enumerate(REFUSALS):
        path = keys(f"t{number}", **settings)
        assert do("key", "info", *args, code=exit_code)["error"]["code"] == code
        path.unlink()


def test_it_signs_an_empty_record_after_its_owner_agreed_to_sign_blindly(
    keys: Keys, environment: dict[str, str]
) -> None:
    keys("t", kind="trezor", digits="4711")
    for answer, code in (("y", 0), ("n", 6)):
        child = on_terminal(environment, "--identity", "2", verb="test")
        child.expect_exact("Places: ")
        child.sendline(places_of("4711"))
        child.expect_exact(did(2))
        child.expect_exact("will not show this")
        child.expect_exact("Sign it blindly? [y/N] ")
        child.sendline(answer)
        said = ended(child, code)
        assert ("the signature verifies" in said) == (code == 0)


def test_one_that_lies_signs_nothing(keys: Keys, environment: dict[str, str]) -> None:
    for lie, told in (("flipped-signature", "does not verify"), ("other-key", "another key than before")):
        keys("t", kind="trezor", lie=lie)
        child = on_terminal(environment, "--identity", "2", verb="test")
        child.expect_exact("Sign it blindly? [y/N] ")
        child.sendline("y")
        assert told in " ".join(ended(child, 6).split())


def test_nothing_is_signed_unattended(do: Do, keys: Keys) -> None:
    keys("t", kind="trezor")
    assert do("key", "test", "--identity", "0", code=2)["error"]["code"] == "terminal.missing"


def test_no_file_holds_the_places_of_its_pin(do: Do, keys: Keys, pin: tuple[str, str]) -> None:
    keys("t", kind="trezor", digits="4711")
    assert do("key", "test", "--identity", "0", *pin, code=2)["error"]["code"] == "trezor.pin-by-hand"


def test_several_are_told_apart_by_path_or_serial_number(do: Do, keys: Keys) -> None:
    first, second = str(keys("a", kind="trezor")), keys("b", kind="trezor")
    assert do("key", "info", code=6)["error"]["code"] == "trezor.several"
    assert do("key", "info", "--key", first)["trezor"]["path"] == first
    assert do("key", "info", "--key", "serial-b")["trezor"]["path"] == str(second)


def test_one_over_webusb_is_listed_as_what_it_can_be_used_as(run: Any, do: Do, keys: Keys) -> None:
    path = str(keys("t", kind="trezor-webusb"))
    listed = do("key", "list")
    assert [view["over"] for view in listed["trezors"]] == ["webusb"]
    assert [view["path"] for view in listed["keys"]] == [path]
    done: Run = run("key", "list")
    assert "the security key alone can be reached" in done.stderr


def test_a_trezor_that_is_a_security_key_too_is_both_by_its_paths(do: Do, keys: Keys) -> None:
    signer, key = str(keys("t", kind="trezor")), str(keys("u", kind="trezor-u2f"))
    assert "trezor" in do("key", "info", "--key", signer)
    assert "key" in do("key", "info", "--key", key)
    assert "key" in do("key", "info")
