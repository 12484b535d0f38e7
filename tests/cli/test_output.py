"""What reaches a terminal cannot command it."""

from __future__ import annotations

import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walletcli.cli import output
from walletcli.errors import InputError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with accents: é ß 漢字 кириллица", "plain, with accents: é ß 漢字 кириллица"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\nb\rc\td", "a\\x0ab\\x0dc\\x09d"),
        ("\x9b31m", "\\x9b31m"),
        ("user\u202egnp.exe", "user\\u202egnp.exe"),
        ("\u2066\u2069\u200f\u200b\ufeff", "\\u2066\\u2069\\u200f\\u200b\\ufeff"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("\x00\x7f", "\\x00\\x7f"),
    ],
)
def test_what_a_terminal_obeys_is_shown_escaped(text: str, shown: str) -> None:
    assert output.safe(text) == shown


@given(st.text())
def test_safe_text_has_nothing_that_hides(text: str) -> None:
    assert output.safe(text).isprintable()


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none()))
def test_json_is_one_printable_ascii_line(document: dict[str, object]) -> None:
    line = output.to_json_line(document)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == document


def test_json_has_no_second_number_form() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        output.to_json_line({"x": float("nan")})


def test_tables_align_and_escape() -> None:
    assert output.table([("A", "B"), ("long\n", "x")]) == ["A         B", "long\\x0a  x"]
    rows = [("漢字", "x"), ("e\u0301e", "y"), ("abcde", "z")]
    assert output.table(rows) == ["漢字   x", "e\u0301e     y", "abcde  z"]
    assert output.table([]) == []


def test_colour_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Screen(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    error = InputError("x.y", "message", "hint")
    for environment, coloured in (
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
    ):
        screen = Screen()
        with monkeypatch.context() as patch:
            patch.delenv("NO_COLOR", raising=False)
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "stderr", screen)
            output.write_error(error)
        assert ("\x1b[" in screen.getvalue()) is coloured
    output.write_error(error)
    assert capsys.readouterr().err == "error: message\nhint: hint\n"


def test_what_the_locale_cannot_show_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    output.write_line("漢é")
    assert raw.getvalue() == b"\\u6f22\xe9\n"
