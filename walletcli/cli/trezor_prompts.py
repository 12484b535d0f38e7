"""How a person is asked for the PIN, the passphrase and the button of a Trezor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from walletcli.cli.output import note, safe
from walletcli.errors import UsageError

if TYPE_CHECKING:
    from walletcli.cli.invocation import Invocation
    from walletcli.core.secret import Secret

_SQUARE = "    7 8 9\n    4 5 6\n    1 2 3\n"


class TrezorTerminal:
    """Asks at the terminal.

    Args:
        invocation: the run.
    """

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation

    def places(self, device: str) -> Secret:
        """Return the places of the PIN's digits.

        Raises:
            UsageError: ``trezor.pin-by-hand``, ``terminal.missing``.
        """
        from walletcli.cli.terminal import open_terminal

        if self._invocation.pin_file is not None:
            message = "the places of this device's PIN change each time, so that no file can hold them"
            raise UsageError("trezor.pin-by-hand", message, "leave --pin-file out, and look at the device")
        with open_terminal(self._invocation, "ask for the PIN of the device", "its PIN is typed by hand") as terminal:
            terminal.write(f"{safe(device)} shows a square of digits. Type where those of your PIN stand:\n{_SQUARE}")
            return terminal.ask_secret("Places: ")

    def passphrase(self, device: str) -> Secret:
        """Return the passphrase, which may be empty.

        Raises:
            UsageError: ``terminal.missing``.
        """
        from walletcli.cli.terminal import open_terminal

        with open_terminal(self._invocation, "ask for the passphrase", "it is typed by hand") as terminal:
            return terminal.ask_secret(f"Passphrase for {safe(device)} (empty for none): ")

    def blind(self, device: str, lines: list[str]) -> bool:
        """Tell whether something is to be signed that the device does not show.

        Raises:
            UsageError: ``terminal.missing``.
        """
        from walletcli.cli.terminal import open_terminal

        with open_terminal(self._invocation, "ask before a blind signature", "it is confirmed by hand") as terminal:
            terminal.write("".join(f"  {safe(line)}\n" for line in lines))
            terminal.write(f"{safe(device)} will not show this, and what it shows is not signed.\n")
            return terminal.confirm("Sign it blindly?")

    def press(self, device: str) -> None:
        """Say on stderr that the device waits for its button."""
        note(f"Look at {device}, and confirm there.")
