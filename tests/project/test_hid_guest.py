"""`make test-hid` gives no verdict that its guest did not give: what is missing, left out or cut off is a failure."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from tests.hid import run


@pytest.fixture(autouse=True)
def _nothing_real(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "kernel", lambda: (Path("tree"), "6.1"))
    monkeypatch.setattr(run, "initramfs", lambda _tree, _version: Path("packed"))
    monkeypatch.setattr(run.compileall, "compile_dir", lambda *_args, **_options: True)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ((0, "42 passed in 100.00s"), 0),
        ((1, "1 failed, 41 passed in 100.00s"), 1),
        ((93, "no tests were done"), 93),
        ((None, "42 passed in 100.00s"), 1),
        ((0, "41 passed, 1 skipped in 100.00s"), 1),
        ((0, "36 passed, 6 deselected in 100.00s"), 1),
        ((0, "41 passed, 1 xfailed in 100.00s"), 1),
        ((0, "no tests were done"), 1),
    ],
)
def test_success_is_what_the_guest_says_of_all_tests(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: tuple[int | None, str], code: int
) -> None:
    monkeypatch.setattr(run, "boot", lambda *_args: said)
    assert run.main([]) == code
    assert said[1] in capsys.readouterr().out.splitlines()[-1], "the summary is the last line"


def test_a_machine_that_cannot_be_had_is_told_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> NoReturn:
        raise run.CannotRunError("there is no qemu-system-x86_64")

    monkeypatch.setattr(run, "kernel", missing)
    assert run.main([]) == 1
    assert capsys.readouterr().err == "security keys cannot be tried here: there is no qemu-system-x86_64\n"


def test_what_others_wrote_is_tried_first() -> None:
    assert run.GUEST_TESTS[0] == "tests/hid/guest_peers.py"
    there = {f"tests/hid/{path.name}" for path in Path(run.__file__).parent.glob("guest_*.py")}
    assert set(run.GUEST_TESTS) == there, "every file of the guest's is run"
