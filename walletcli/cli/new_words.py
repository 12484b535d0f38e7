"""The words of a new wallet, from drawing them to knowing that they are kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from walletcli.cli.backup_words import show_and_ask_back, written_to
from walletcli.cli.invocation import Invocation
from walletcli.cli.output import warn
from walletcli.cli.secret_files import SecretFile
from walletcli.cli.terminal import open_terminal
from walletcli.core.secret import Secret
from walletcli.errors import UsageError

if TYPE_CHECKING:
    from walletcli.wallet.create import NewMnemonic

_ENTROPY_BYTES = {12: 16, 15: 20, 18: 24, 21: 28, 24: 32}
_INSTEAD = "give --words-out FILE to have the words written to a file of yours"


def new_words(invocation: Invocation, options: Mapping[str, Any]) -> NewMnemonic:
    """Draw the words that the options of ``wallet create`` ask for.

    Raises:
        UsageError: ``words.recipe-alone``, ``dice.twice``, ``terminal.missing`` when nobody could be shown the words.
    """
    from walletcli.cli.dice_entry import read_rolls
    from walletcli.vault.hardening import harden_process
    from walletcli.wallet.create import new_mnemonic

    harden_process()
    count = int(options["words"])
    typed: dict[str, bool] = {"dice": options["dice"], "coin": options["coins"]}
    files: dict[str, SecretFile | None] = {"dice": options["dice_file"], "coin": options["coins_file"]}
    if options["recipe_out"] and not (options["words_out"] and any([*typed.values(), *files.values()])):
        raise UsageError("words.recipe-alone", "--recipe-out goes with --words-out and dice or coins", "add them")
    if options["words_out"] is None:
        with open_terminal(invocation, "show the words", _INSTEAD):
            pass
    rolled = read_rolls(invocation, typed, files, _ENTROPY_BYTES[count])
    language = options["language"] or "english"
    if rolled is None:
        return new_mnemonic(count, language)
    kind, rolls = rolled
    return new_mnemonic(count, language, rolls.reveal_text(), kind)


@contextlib.contextmanager
def kept_words(invocation: Invocation, made: NewMnemonic, options: Mapping[str, Any]) -> Iterator[None]:
    """See that the words are kept before the block uses them; files are removed again when it fails."""
    words, recipe = made.mnemonic.text(), _recipe(made)
    if options["words_out"] is None:
        with open_terminal(invocation, "show the words", _INSTEAD) as terminal:
            text = recipe.reveal_text() if recipe is not None else None
            show_and_ask_back(terminal, words, text, ask_all=options["ask_back"] == "all")
        yield
        return
    with contextlib.ExitStack() as files:
        files.enter_context(written_to(options["words_out"], words))
        if options["recipe_out"] and recipe is not None:
            files.enter_context(written_to(options["recipe_out"], recipe))
        elif recipe is not None:
            warn("the words cannot be recomputed from the dice alone; --recipe-out keeps the rest")
        yield


def _recipe(made: NewMnemonic) -> Secret | None:
    """Return the recipe with the machine's share of the entropy, without which it cannot be followed."""
    if made.recipe is None or made.os_entropy is None:
        return None
    share = made.os_entropy.reveal().hex()
    return Secret.from_text(f"{made.recipe}\n\nos='{share}'")
