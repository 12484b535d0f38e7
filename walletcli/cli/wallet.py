"""``walletcli wallet``: the wallet as a whole, from its words to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from walletcli.cli import restoring
from walletcli.cli.commands import Noun
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.new_vault import make_with_slots, slot_options
from walletcli.cli.output import note, safe
from walletcli.cli.restoring import search_options
from walletcli.cli.secret_files import SECRET_FILE, SecretFile
from walletcli.cli.times import DURATION, for_people
from walletcli.cli.unlocking import read_new_passphrase, with_password
from walletcli.cli.wallet_index import index
from walletcli.cli.wallet_page import status_lines
from walletcli.errors import UsageError, VaultError

if TYPE_CHECKING:
    from walletcli.core.secret import Secret
    from walletcli.wallet.status import WalletStatus

SCHEMES = ("walletcli", "mercury", "morpheus", "slip13")
"""Key trees that words may belong to: ours, the original network's two, and that of hardware wallets."""

NEW_SCHEMES = ("walletcli", "slip13")
"""Key trees that new words are made for."""

_language = click.option("--language", metavar="NAME", help="Language of the words, such as english or japanese.")
_passphrase = click.option("--passphrase", is_flag=True, help="Ask for a BIP39 passphrase: an extra word of your own.")
_passphrase_file = click.option(
    "--passphrase-file", type=SECRET_FILE, help="Read the BIP39 passphrase from this file ('-': standard input)."
)
_mnemonic_file = click.option(
    "--mnemonic-file", type=SECRET_FILE, help="Read the words from this file ('-': standard input)."
)


@click.group(cls=Noun)
def wallet() -> None:
    """Create, restore, lock and keep a wallet."""


@wallet.command("create", unlocks=True, example="walletcli wallet create --words 24")
@click.option("--words", type=click.Choice(["12", "15", "18", "21", "24"]), default="24", show_default=True,
              help="How many words the wallet has.")  # fmt: skip
@click.option("--scheme", type=click.Choice(NEW_SCHEMES), default=NEW_SCHEMES[0], show_default=True,
              help="Key tree: ours, or the one of a Trezor that is to hold the words as well.")  # fmt: skip
@_language
@_passphrase
@_passphrase_file
@click.option("--dice", is_flag=True, help="Mix in dice rolls that you type.")
@click.option("--dice-file", type=SECRET_FILE, help="Mix in dice rolls (1 to 6) from this file.")
@click.option("--coins", is_flag=True, help="Mix in coin flips that you type.")
@click.option("--coins-file", type=SECRET_FILE, help="Mix in coin flips (0 or 1) from this file.")
@click.option("--ask-back", type=click.Choice(["some", "all"]), default="some", show_default=True,
              help="How many of the words are asked back.")  # fmt: skip
@click.option("--words-out", metavar="FILE", help="Unattended: write the words to this new file, show nothing.")
@click.option("--recipe-out", metavar="FILE", help="With --words-out and dice: write how to recompute the words.")
@click.option("--watch", is_flag=True, help="Make no words: the root keys are on another machine, and answer requests.")
@slot_options
@pass_invocation
def create(invocation: Invocation, /, passphrase: bool, passphrase_file: SecretFile | None, **options: Any) -> None:
    """Create a wallet; its words are shown once, then asked back."""
    from walletcli.cli.new_words import kept_words, new_words
    from walletcli.wallet.create import create_wallet

    home = invocation.home
    _require_no_wallet(invocation)
    if options["watch"]:
        _create_watch(invocation, options, passphrase or passphrase_file is not None)
        return
    made = new_words(invocation, options)
    extra = _passphrase_of(invocation, passphrase, passphrase_file)
    with kept_words(invocation, made, options):
        slots = {name: options[name] for name in ("keyring", "no_password", "kdf_memory_mib", "kdf_passes")}
        status = make_with_slots(
            invocation,
            lambda new_slots: create_wallet(home, made.mnemonic, new_slots, extra, options["scheme"]),
            **slots,
        )
    _answer(invocation, status, "Wallet created.", "Next: walletcli identity create LABEL")


def _create_watch(invocation: Invocation, options: dict[str, Any], passphrase: bool) -> None:
    from walletcli.wallet.create import create_watch_wallet

    about_words = ("language", "dice", "dice_file", "coins", "coins_file", "words_out", "recipe_out")
    if passphrase or options["scheme"] != NEW_SCHEMES[0] or any(options[name] for name in about_words):
        raise UsageError("watch.words", "a watch wallet has no words", "leave out what is about words")
    slots = {name: options[name] for name in ("keyring", "no_password", "kdf_memory_mib", "kdf_passes")}
    status = make_with_slots(invocation, lambda new: create_watch_wallet(invocation.home, new), **slots)
    _answer(invocation, status, "Watch wallet created.", "Next: walletcli request make --new LABEL --out FILE")


@wallet.command("restore", unlocks=True, example="walletcli wallet restore --relay https://relay.example")
@click.option("--scheme", type=click.Choice(SCHEMES), default=SCHEMES[0], show_default=True,
              help="Which program the words come from.")  # fmt: skip
@_mnemonic_file
@_language
@_passphrase
@_passphrase_file
@search_options
@slot_options
@pass_invocation
def restore(
    invocation: Invocation, /, scheme: str, mnemonic_file: SecretFile | None, language: str | None,
    passphrase: bool, passphrase_file: SecretFile | None, yes: bool, **options: Any,
) -> None:  # fmt: skip
    """Restore a wallet from its words: its identities, and what belongs to them."""
    from walletcli.cli.word_entry import read_mnemonic
    from walletcli.core.bip39 import Mnemonic
    from walletcli.wallet.recovery.journal import Journal
    from walletcli.wallet.recovery.story import first_plan, journal_of
    from walletcli.wallet.restore import begin_restore

    home = invocation.home
    _require_no_wallet(invocation, "go on with: walletcli wallet recover, or name another directory with --home")
    plan = first_plan(home, restoring.wish_of(options))
    words = read_mnemonic(invocation, mnemonic_file, language)
    Mnemonic.parse(words.reveal_text(), language)  # before anything else is asked
    extra = _passphrase_of(invocation, passphrase, passphrase_file)
    restoring.announce(invocation, Journal(plan), yes=yes)
    with make_with_slots(
        invocation, lambda slots: begin_restore(home, words, slots, plan, scheme, language, extra), **options
    ) as session:
        restoring.go_on(invocation, session, journal_of(session), "Wallet restored.")


@wallet.command("recover", unlocks=True, example="walletcli wallet recover --relay https://relay.example")
@search_options
@click.option("--gone", metavar="PLACE", multiple=True,
              help="This relay, or this exit kit's directory, is gone for good: expect nothing of it.")  # fmt: skip
@pass_invocation
def recover(invocation: Invocation, /, yes: bool, **options: Any) -> None:
    """Go on with a restore: what was interrupted, or not to be had."""
    from walletcli.wallet.recovery.story import journal_of

    wish = restoring.wish_of(options)
    with invocation.session() as session:
        file = journal_of(session, wish)
        restoring.require_somebody(file.journal)
        restoring.announce(invocation, file.journal, yes=yes)
        restoring.go_on(invocation, session, file, "Recovered.")


@wallet.command("drill", unlocks=True, example="walletcli wallet drill --words")
@click.option("--words", "ask_words", is_flag=True, help="Ask for the words, and check that they bring all this back.")
@_mnemonic_file
@_language
@_passphrase
@_passphrase_file
@click.option("--relay", "relays", metavar="URL", multiple=True, help="Ask this relay instead of your list.")
@click.option("--accept-link", is_flag=True, help="Go ahead where relays could see that identities belong together.")
@pass_invocation
def drill(
    invocation: Invocation, ask_words: bool, mnemonic_file: SecretFile | None, language: str | None, passphrase: bool,
    passphrase_file: SecretFile | None, relays: tuple[str, ...], accept_link: bool,
) -> None:  # fmt: skip
    """Rehearse the loss of this device, and of each provider."""
    from walletcli.cli.drill_page import drill_lines, raise_if_lossy
    from walletcli.cli.word_entry import read_mnemonic
    from walletcli.wallet.recovery.drill import Words
    from walletcli.wallet.recovery.drill import drill as rehearse
    from walletcli.wallet.restore import require_words

    with invocation.session() as session:
        require_words(session)
        words = None
        if ask_words or mnemonic_file is not None:
            text = read_mnemonic(invocation, mnemonic_file, language)
            words = Words(text, language, _passphrase_of(invocation, passphrase, passphrase_file))
        found = rehearse(session, words, relays, accept_link=accept_link, offline=invocation.offline,
                         progress=invocation.step)  # fmt: skip
    invocation.answer(found.to_json(), drill_lines(found))
    raise_if_lossy(found)


@wallet.command("verify-backup", unlocks=True, example="walletcli wallet verify-backup")
@_mnemonic_file
@_language
@_passphrase
@_passphrase_file
@pass_invocation
def verify_backup(
    invocation: Invocation, mnemonic_file: SecretFile | None, language: str | None,
    passphrase: bool, passphrase_file: SecretFile | None,
) -> None:  # fmt: skip
    """Check that words on paper are those of this wallet."""
    from walletcli.cli.word_entry import read_mnemonic
    from walletcli.wallet.restore import require_words
    from walletcli.wallet.restore import verify_backup as verify

    with invocation.session() as session:
        require_words(session)
        words = read_mnemonic(invocation, mnemonic_file, language)
        verify(session, words, _passphrase_of(invocation, passphrase, passphrase_file), language)
    invocation.answer({"verified": True}, ["The words are those of this wallet."])


@wallet.command("status", unlocks=True, example="walletcli wallet status")
@pass_invocation
def status(invocation: Invocation) -> None:
    """Show whether there is a wallet, what opens it, and whether it is unlocked."""
    from walletcli.wallet.status import wallet_status

    password = invocation.password if invocation.password_file is not None else None
    found = wallet_status(invocation.home, password)
    invocation.answer({"wallet": found.to_json()}, status_lines(found))


@wallet.command("unlock", unlocks=True, example="walletcli wallet unlock --timeout 15m")
@click.option("--timeout", type=DURATION, default="15m", show_default=True, help="Lock again after this much idleness.")
@click.option("--at-most", type=DURATION, help="Lock again after this time in any case.")
@click.option("--sync-between", nargs=2, type=DURATION, metavar="TIME TIME", default=("2h", "6h"), show_default=True,
              help="Meanwhile bring each identity in step at random times of its own, so far apart.")  # fmt: skip
@click.option("--no-sync", is_flag=True, help="Do nothing by itself.")
@pass_invocation
def unlock(
    invocation: Invocation, timeout: int, at_most: int | None, sync_between: tuple[int, int], no_sync: bool
) -> None:
    """Keep the wallet open for a while, so that commands ask for no password."""
    from walletcli.wallet.access.schedule import Interval
    from walletcli.wallet.access.unlock import unlock as start

    interval = None if no_sync or invocation.offline else Interval(*sync_between)
    agent = with_password(invocation, lambda password: start(invocation.home, password, timeout, at_most, interval))
    invocation.answer({"agent": agent.to_json()}, [f"Unlocked for {for_people(agent.expires_in_s)}."])
    if agent.already and not invocation.json:
        note(
            "It was unlocked before, and stays as it was. For other times: walletcli wallet lock, then unlock it again"
        )


@wallet.command("lock", example="walletcli wallet lock")
@pass_invocation
def lock(invocation: Invocation) -> None:
    """Lock the wallet."""
    from walletcli.wallet.access.unlock import lock as stop

    was_unlocked = stop(invocation.home)
    invocation.answer({"was_unlocked": was_unlocked}, ["Locked." if was_unlocked else "It was locked already."])


@wallet.command("export", example="walletcli wallet export wallet-copy.vault")
@click.argument("file", metavar="FILE")
@pass_invocation
def export(invocation: Invocation, file: str) -> None:
    """Copy the sealed vault to a file."""
    from walletcli.wallet.transfer import export_vault

    path = export_vault(invocation.home, file)
    invocation.answer({"exported": path}, [f"Exported to {safe(path)}; it opens as this wallet does."])


@wallet.command("import", example="walletcli --home other wallet import wallet-copy.vault")
@click.argument("file", metavar="FILE")
@pass_invocation
def import_(invocation: Invocation, file: str) -> None:
    """Take in a sealed vault that was exported."""
    from walletcli.wallet.transfer import import_vault

    found = import_vault(invocation.home, file)
    invocation.answer({"wallet": found.to_json()}, ["Imported.", *status_lines(found)])


@wallet.command("wipe", example="walletcli wallet wipe")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_invocation
def wipe(invocation: Invocation, yes: bool) -> None:
    """Remove the wallet from this machine."""
    from walletcli.wallet.transfer import wipe as remove

    home = invocation.home
    home.require()
    question = f"Remove the wallet in {home.path}? Only its words, or an export, bring it back."
    if not yes and not _confirmed(invocation, question):
        raise UsageError("wipe.declined", "nothing was removed", "answer y, or give --yes")
    removed = remove(home)
    invocation.answer({"removed": removed}, [f"removed {safe(path)}" for path in removed])


wallet.add_command(index)


def _require_no_wallet(invocation: Invocation, hint: str = "name another directory with --home") -> None:
    """Stop before words are shown or typed in vain."""
    home = invocation.home
    if home.exists():
        raise VaultError("vault.exists", f"there is a wallet in {home.path} already", hint)


def _passphrase_of(invocation: Invocation, wanted: bool, file: SecretFile | None) -> Secret | None:
    return read_new_passphrase(invocation, file) if wanted or file is not None else None


def _confirmed(invocation: Invocation, question: str) -> bool:
    from walletcli.cli.terminal import open_terminal

    with open_terminal(invocation, "ask whether you are sure", "give --yes") as terminal:
        return terminal.confirm(question)


def _answer(invocation: Invocation, status: WalletStatus, done: str, following: str) -> None:
    invocation.answer({"wallet": status.to_json(), "identities": []}, [done, *status_lines(status)])
    if not invocation.json:
        note(following)
