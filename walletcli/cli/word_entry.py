"""Typing a mnemonic at the terminal: completion, a check after each word, and help when the whole does not fit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from walletcli.cli.invocation import Invocation
from walletcli.cli.output import safe
from walletcli.cli.secret_files import SecretFile
from walletcli.cli.terminal import Terminal, open_terminal, text_device
from walletcli.cli.word_sheet import MAX_WORDS, WordSheet
from walletcli.core.secret import Secret

if TYPE_CHECKING:
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.data_structures import Size
    from prompt_toolkit.key_binding import KeyBindings

REMOVE = "\b"
"""What the line reader returns for Backspace on an empty line: take the last word back."""

_INTRODUCTION = (
    "Type the words in their order, or paste them all. Space or Enter ends a word; its first letters are enough if no "
    "other word begins like that, and Tab completes it. Backspace on an empty line takes a word back. A number "
    "corrects that word. '?' lists what the last word could be. Enter on an empty line ends.\n"
)

LineReader = Callable[[str], str]
"""Shows a prompt and returns what was typed."""


def read_mnemonic(invocation: Invocation, file: SecretFile | None, language: str | None) -> Secret:
    """Return the text of a mnemonic, from a file or typed at the terminal.

    Raises:
        UsageError: ``terminal.missing``.
        InputError: ``secret-file.*``.
    """
    from walletcli.vault.hardening import harden_process

    harden_process()
    if file is not None:
        return file.read_text()
    with (
        open_terminal(invocation, "ask for the words", "give --mnemonic-file FILE") as terminal,
        terminal.private_screen(),
    ):
        return enter_words(terminal, WordSheet(language))


def enter_words(terminal: Terminal, sheet: WordSheet) -> Secret:
    """Ask for words until they make a mnemonic; the sheet keeps what was typed."""
    read_line = _line_reader(terminal, sheet)
    terminal.say(_INTRODUCTION)
    while True:
        typed = read_line(_prompt(sheet))
        if typed == REMOVE:
            sheet.remove_last()
        elif typed == "?":
            terminal.write(_last_words(sheet))
        elif typed.isdigit():
            _correct(terminal, sheet, read_line, int(typed))
        else:
            terminal.write(_take(sheet, typed.split()))
        if (not typed or len(sheet.words) == MAX_WORDS) and _is_complete(terminal, sheet):
            return sheet.secret()


def _prompt(sheet: WordSheet) -> str:
    count = len(sheet.words)
    if count == MAX_WORDS:
        return "number of the word to correct: "
    return f"word {count + 1}" + (" (or Enter, if that was all): " if sheet.is_countable else ": ")


def _take(sheet: WordSheet, typed: Iterable[str]) -> str:
    """Add words up to the first that is wrong; return what to tell."""
    for word in typed:
        if len(sheet.words) == MAX_WORDS:
            return f"A mnemonic has at most {MAX_WORDS} words; what follows them was left out.\n"
        if (problem := sheet.add(word)) is not None:
            return f"  {safe(problem)}\n"
    return ""


def _correct(terminal: Terminal, sheet: WordSheet, read_line: LineReader, number: int) -> None:
    if not 1 <= number <= len(sheet.words):
        terminal.write(f"  There is no word {number} yet.\n")
        return
    typed = read_line(f"word {number} is '{sheet.words[number - 1]}'; what is it really? ")
    if typed and typed != REMOVE and (problem := sheet.add(typed, number - 1)) is not None:
        terminal.write(f"  {safe(problem)}\n")


def _last_words(sheet: WordSheet) -> str:
    found = sheet.last_words()
    if not found:
        return "  The last word can be told after 11, 14, 17, 20 or 23 words.\n"
    return f"  The last word is one of {len(found)}: {' '.join(found)}\n"


def _is_complete(terminal: Terminal, sheet: WordSheet) -> bool:
    error = sheet.problem()
    if error is not None:
        terminal.write(f"  {safe(error.message)}\n" + (f"  {safe(error.hint)}\n" if error.hint else ""))
    return error is None


def _line_reader(terminal: Terminal, sheet: WordSheet) -> LineReader:
    """Return the reader with completion, or a plain one for a terminal that cannot draw."""
    if not terminal.can_clear:
        return terminal.ask
    from prompt_toolkit import PromptSession
    from prompt_toolkit.input.vt100 import Vt100Input
    from prompt_toolkit.output.vt100 import Vt100_Output

    device = text_device(terminal)
    session: PromptSession[str] = PromptSession(
        input=Vt100Input(device),
        output=Vt100_Output(device, lambda: _size(terminal), term=os.environ.get("TERM"), enable_cpr=False),
        completer=_completer(sheet),
        complete_while_typing=True,
        key_bindings=_key_bindings(),
        reserve_space_for_menu=4,
    )
    return lambda prompt: session.prompt(prompt).strip()


def _size(terminal: Terminal) -> Size:
    from prompt_toolkit.data_structures import Size

    columns, rows = os.get_terminal_size(terminal.descriptor)
    return Size(rows=rows or 24, columns=columns or 80)


def _completer(sheet: WordSheet) -> Completer:
    from prompt_toolkit.completion import Completer, Completion

    class WordCompleter(Completer):
        """Offers the words that go with those before."""

        def get_completions(self, document: Any, complete_event: Any) -> Iterable[Completion]:
            """Complete what stands before the cursor."""
            prefix = document.text_before_cursor
            return [Completion(word, -len(prefix)) for word in sheet.completions(prefix)]

    return WordCompleter()


def _key_bindings() -> KeyBindings:
    from prompt_toolkit.key_binding import KeyBindings

    bindings = KeyBindings()

    @bindings.add(" ")
    def end_word(event: Any) -> None:
        """Space ends a word, as Enter does; at the start of a line it means nothing."""
        if event.current_buffer.text:
            event.current_buffer.validate_and_handle()

    @bindings.add("backspace")
    def delete(event: Any) -> None:
        """Backspace takes a letter back, or the last word when there is none."""
        if event.current_buffer.text:
            event.current_buffer.delete_before_cursor()
            event.current_buffer.start_completion(select_first=False)
        else:
            event.app.exit(result=REMOVE)

    return bindings
