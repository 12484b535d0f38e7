"""How a command gets at the vault: the agent, the keyring, a file, or the user at the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from walletcli.cli.invocation import Invocation
from walletcli.cli.output import note, warn
from walletcli.errors import InputError, UsageError, VaultError

if TYPE_CHECKING:
    from walletcli.cli.secret_files import SecretFile
    from walletcli.cli.terminal import Terminal
    from walletcli.core.secret import Secret
    from walletcli.wallet.access.session import Session
    from walletcli.wallet.home import PasswordSource

ATTEMPTS = 3
"""How often a person may type a secret wrong before the command gives up."""

WRONG_PASSWORD = "vault.wrong-password"  # noqa: S105 - an error code
"""Code of the error for a password that opens no slot."""

Result = TypeVar("Result")


def open_wallet(invocation: Invocation) -> Session:
    """Open the wallet of this run.

    Raises:
        VaultError: as `walletcli.wallet.access.agent_session.open_session`.
    """
    from walletcli.wallet.access.agent_session import open_session

    invocation.agent_advice = ", or unlock first with: walletcli wallet unlock"
    session = with_password(invocation, lambda password: open_session(invocation.home, password))
    for notice in session.notices:
        warn(notice)
    return session


def open_wallet_here(invocation: Invocation) -> Session:
    """Open the wallet in this process, for what the agent does not do: with the keyring or the password.

    Raises:
        VaultError: as `walletcli.wallet.access.opening.open_here`.
    """
    from walletcli.wallet.access.opening import open_here

    invocation.agent_advice = "; this takes the password itself, also while the wallet is unlocked"
    session = with_password(invocation, lambda password: open_here(invocation.home, password))
    for notice in session.notices:
        warn(notice)
    return session


def with_password(
    invocation: Invocation, action: Callable[[PasswordSource], Result], first: Secret | None = None
) -> Result:
    """Do something that may need the password; a person who types it wrong is asked again.

    Args:
        invocation: the run.
        action: is given the source of the password; called again after a wrong one.
        first: a password that the user gave already, for the first attempt.

    Raises:
        VaultError: ``vault.wrong-password`` after `ATTEMPTS` tries, or at once when the password came from a file.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action((lambda: first) if first is not None and attempt == 1 else invocation.password)
        except VaultError as error:
            if error.code != WRONG_PASSWORD or invocation.password_file is not None or attempt == ATTEMPTS:
                raise
            note("That password does not open the wallet; try again.")
    raise AssertionError("the loop returns or raises")


def read_password(invocation: Invocation) -> Secret:
    """Return the password of the vault, from the file or from the terminal.

    Raises:
        UsageError: ``terminal.missing``.
        InputError: ``secret-file.*``.
    """
    from walletcli.cli.terminal import open_terminal

    if invocation.password_file is not None:
        if invocation.file_password is None:
            invocation.file_password = invocation.password_file.read()
        return invocation.file_password
    instead = f"give --password-file FILE{invocation.agent_advice}"
    with open_terminal(invocation, "ask for the password", instead) as terminal:
        return terminal.ask_secret("Password: ")


def read_invitation(invocation: Invocation, file: SecretFile | None, *, prompt: bool) -> Secret | None:
    """Return the invitation of a closed provider: from a file, from the terminal, or None if neither was named.

    Raises:
        UsageError: ``invitation.twice``, ``terminal.missing``.
        InputError: ``secret-file.*``.
    """
    from walletcli.cli.terminal import open_terminal

    if file is not None and prompt:
        raise UsageError(
            "invitation.twice", "the invitation comes from a file or from the terminal", "name one of both"
        )
    if file is not None:
        return file.read_text()
    if not prompt:
        return None
    with open_terminal(invocation, "ask for the invitation", "give --invitation-file FILE") as terminal:
        return terminal.ask_secret("Invitation: ")


SHORT_PASSWORD_BYTES = 10
"""New passwords under this length draw a warning."""


def read_new_password(invocation: Invocation, file: SecretFile | None, option: str = "--password-file") -> Secret:
    """Return a password for a new slot: from a file, or typed twice.

    Raises:
        UsageError: ``terminal.missing``.
        InputError: ``secret-file.*``, ``password.mismatch``.
    """
    from walletcli.cli.terminal import open_terminal

    if file is not None:
        return _judged(file.read())
    with open_terminal(invocation, "ask for a new password", f"give {option} FILE") as terminal:
        return _judged(_typed_twice(terminal, "New password: ", "The same password again: ", "password"))


def _judged(password: Secret) -> Secret:
    """Return the password, with a warning if a thief of the vault's file could try all that are as short."""
    if len(password) < SHORT_PASSWORD_BYTES:
        warn("the password is short: whoever copies the vault can try all like it; five random words are a good one")
    return password


def read_new_passphrase(invocation: Invocation, file: SecretFile | None) -> Secret:
    """Return a BIP39 passphrase: from a file, or typed twice.

    Raises:
        UsageError: ``terminal.missing``.
        InputError: ``secret-file.*``, ``passphrase.mismatch``, ``passphrase.not-text``.
    """
    from walletcli.cli.terminal import open_terminal

    if file is not None:
        return file.read_text()
    with open_terminal(invocation, "ask for the passphrase", "give --passphrase-file FILE") as terminal:
        secret = _typed_twice(terminal, "Passphrase: ", "The same passphrase again: ", "passphrase")
    try:
        secret.reveal().decode("utf-8")
    except UnicodeDecodeError:  # not chained: the exception holds the bytes
        raise InputError("passphrase.not-text", "the passphrase is not UTF-8", "use a UTF-8 terminal") from None
    return secret


def _typed_twice(terminal: Terminal, first: str, second: str, what: str) -> Secret:
    for _ in range(ATTEMPTS):
        secret = terminal.ask_secret(first)
        if not len(secret):
            terminal.write(f"An empty {what} protects nothing.\n")
        elif terminal.ask_secret(second) == secret:
            return secret
        else:
            terminal.write("The two differ; try again.\n")
    raise InputError(f"{what}.mismatch", f"no {what} was given twice alike", "run the command again")
