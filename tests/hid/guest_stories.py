"""In the guest: the program and keys on the kernel's own HID stack, as a user who owns nothing."""

from __future__ import annotations

from tests.hid.plugboard import ask


def test_nothing_yet() -> None:
    ask("forget")
