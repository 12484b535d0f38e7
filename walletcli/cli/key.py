"""``walletcli key``: security keys that open the wallet, and what other devices hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from walletcli.cli.commands import Noun
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.new_vault import kdf_options, kdf_parameters
from walletcli.cli.output import note, pairs, table, warn
from walletcli.cli.secret_files import SECRET_FILE, SecretFile
from walletcli.cli.unlocking import read_new_password, with_password

if TYPE_CHECKING:
    from walletcli.wallet.security_keys import KeyView

_WHICH = click.option("--key", "which", metavar="KEY", help="Path or serial number of the key, if several are there.")


@click.group(cls=Noun)
def key() -> None:
    """Let security keys (FIDO2) open the wallet; see what Trezors and Ledgers say."""


@key.command("list", example="walletcli key list")
@pass_invocation
def list_(invocation: Invocation) -> None:
    """List the security keys that are plugged in, the slots that they open, Trezors and Ledgers."""
    from walletcli.cli.ledger_page import ledger_row
    from walletcli.cli.trezor_page import trezor_row
    from walletcli.wallet.ledgers import list_ledgers
    from walletcli.wallet.security_keys import list_keys
    from walletcli.wallet.trezors import list_trezors

    keys, trezors, ledgers = list_keys(invocation.home), list_trezors(), list_ledgers()
    rows = [(view.key.path, view.key.name, view.state, ", ".join(map(str, view.slots)) or "-") for view in keys]
    rows += [trezor_row(view) for view in trezors if view.over == "hid"]
    rows += map(ledger_row, ledgers)
    lines = table([("KEY", "NAME", "STATE", "OPENS SLOT"), *rows]) if rows else ["no security key is plugged in"]
    found = {
        "keys": [view.to_json() for view in keys],
        "trezors": [view.to_json() for view in trezors],
        "ledgers": [view.to_json() for view in ledgers],
    }
    invocation.answer(found, lines)
    refused = [(view.key.path, view.refused) for view in keys] + [(view.device.path, view.fault) for view in ledgers]
    for path, why in refused:
        if why is not None:
            note(f"{path}: {why.message}; {why.hint}")
    for trezor in trezors:
        if trezor.over == "webusb":
            note(f"{trezor.device.path}: of this Trezor, the security key alone can be reached (it signs over WebUSB)")


@key.command("info", example="walletcli key info")
@_WHICH
@click.option("--identity", "index", type=click.IntRange(min=0), metavar="N",
              help="Of a Trezor: ask it for identity N of the scheme slip13.")  # fmt: skip
@pass_invocation
def info(invocation: Invocation, which: str | None, index: int | None) -> None:
    """Show what a security key, a Trezor or a Ledger says about itself."""
    from walletcli.wallet.ledgers import is_ledger
    from walletcli.wallet.security_keys import key_info
    from walletcli.wallet.trezors import is_trezor

    if index is not None or is_trezor(which):
        _trezor_info(invocation, which, index)
        return
    if is_ledger(which):
        _ledger_info(invocation, which)
        return
    view = key_info(invocation.home, which)
    assert view.facts is not None
    facts = {
        "versions": list(view.facts.versions),
        "extensions": list(view.facts.extensions),
        "pin_set": view.facts.pin_set,
        "pin_tries": view.facts.pin_tries,
        "always_pin": view.facts.always_pin,
        "algorithms": list(view.facts.algorithms),
        "firmware": view.facts.firmware,
        "model": view.facts.model,
        "opens_vaults": view.facts.opens_vaults,
    }
    invocation.answer({"key": {**view.to_json(), **facts}}, _info_lines(view))


def _trezor_info(invocation: Invocation, which: str | None, index: int | None) -> None:
    from walletcli.cli.trezor_page import trezor_lines
    from walletcli.cli.trezor_prompts import TrezorTerminal
    from walletcli.wallet.trezors import trezor_info

    view = trezor_info(which, TrezorTerminal(invocation), index)
    invocation.answer({"trezor": view.to_json()}, trezor_lines(view))


def _ledger_info(invocation: Invocation, which: str | None) -> None:
    from walletcli.cli.ledger_page import ledger_lines
    from walletcli.wallet.ledgers import ledger_info

    view = ledger_info(which)
    invocation.answer({"ledger": view.to_json()}, ledger_lines(view))


def _try_trezor(invocation: Invocation, which: str | None, index: int) -> None:
    from walletcli.cli.trezor_prompts import TrezorTerminal
    from walletcli.wallet.trezors import try_trezor

    terminal = TrezorTerminal(invocation)
    view = try_trezor(which, terminal, terminal, index)
    invocation.answer({"trezor": view.to_json()}, ["The device signed a record, and the signature verifies."])


def _info_lines(view: KeyView) -> list[str]:
    facts = view.facts
    assert facts is not None
    algorithms = {-7: "ES256", -8: "EdDSA"}
    pin = {None: "never has one", False: "not set", True: f"set; {facts.pin_tries} tries left"}[facts.pin_set]
    return pairs([
        ("key", view.key.path),
        ("name", view.key.name),
        ("serial", view.key.serial or "not told"),
        ("usb id", f"{view.key.vendor_id:04x}:{view.key.product_id:04x}"),
        ("model", facts.model),
        ("firmware", str(facts.firmware) if facts.firmware else "not told"),
        ("versions", ", ".join(facts.versions)),
        ("extensions", ", ".join(facts.extensions) or "none"),
        ("algorithms", ", ".join(algorithms.get(number, str(number)) for number in facts.algorithms) or "not told"),
        ("pin", pin),
        ("opens vaults", "yes" if facts.opens_vaults else "no: it does not know hmac-secret"),
        ("opens slot", ", ".join(map(str, view.slots)) or "none of this wallet"),
    ])  # fmt: skip


@key.command("enrol", unlocks=True, example="walletcli key enrol")
@_WHICH
@click.option("--with-password", "both", is_flag=True, help="Ask for a password as well: both are needed.")
@click.option("--no-pin", is_flag=True, help="Do not ask for the key's PIN: a touch is enough.")
@click.option("--new-password-file", type=SECRET_FILE, help="Read that password from this file ('-': standard input).")
@kdf_options
@pass_invocation
def enrol(
    invocation: Invocation, which: str | None, both: bool, no_pin: bool,
    new_password_file: SecretFile | None, kdf_memory_mib: int, kdf_passes: int,
) -> None:  # fmt: skip
    """Let a security key open the wallet; it is touched twice."""
    from walletcli.wallet.security_keys import chosen_key, enrol_key

    home = invocation.home
    home.require()
    chosen_key(which)  # before anything is asked
    both = both or new_password_file is not None
    new = read_new_password(invocation, new_password_file, "--new-password-file") if both else None
    if no_pin and not both:
        warn("whoever has this key and the vault's file opens it; a PIN or --with-password prevents that")
    kdf = kdf_parameters(kdf_memory_mib, kdf_passes)
    added = with_password(
        invocation,
        lambda password: enrol_key(home, password, which, verify=not no_pin, new_password=new, kdf=kdf),
    )
    invocation.answer({"slot": added.to_json()}, [f"slot {added.id} added ({added.kind})"])
    if not invocation.json:
        note("A key can be lost: enrol a second one, or keep the password. Try it with: walletcli key test")


@key.command("test", unlocks=True, example="walletcli key test")
@_WHICH
@click.option("--identity", "index", type=click.IntRange(min=0), metavar="N",
              help="Of a Trezor: have it sign an empty record of identity N, and throw that away.")  # fmt: skip
@pass_invocation
def test(invocation: Invocation, which: str | None, index: int | None) -> None:
    """Open the wallet by a security key, or have a Trezor sign, and change nothing."""
    from walletcli.wallet.security_keys import try_key

    if index is not None:
        _try_trezor(invocation, which, index)
        return
    home = invocation.home
    opened = with_password(invocation, lambda password: try_key(home, password, which))
    invocation.answer({"opened": opened.to_json()}, [f"The key opens slot {opened.id}."])


@key.command("remove", unlocks=True, example="walletcli key remove 2")
@click.argument("number", metavar="SLOT", type=click.IntRange(min=1))
@pass_invocation
def remove(invocation: Invocation, number: int) -> None:
    """Remove the slot of a security key, a lost one too."""
    from walletcli.wallet.security_keys import remove_key

    with_password(invocation, lambda password: remove_key(invocation.home, number, password))
    invocation.answer({"removed": number}, [f"slot {number} removed"])


@key.command("udev-rules", example="walletcli key udev-rules")
@pass_invocation
def udev_rules(invocation: Invocation) -> None:
    """Print the rule that gives security keys, Trezors and Ledgers to whoever sits at a Linux machine."""
    from walletcli.signers.devices.udev import RULES, RULES_PATH

    invocation.answer({"path": RULES_PATH, "rules": RULES}, RULES.splitlines())
    if not invocation.json:
        note(f"As root, put this into {RULES_PATH}, then: udevadm control --reload && udevadm trigger")
