"""Opens devices that are plugged in, of those that may be asked the one that fits, and closes them again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from walletcli.errors import SignerError
from walletcli.signers.devices.hidapi import HidConnection, PluggedKey
from walletcli.signers.devices.ledger import Ledger
from walletcli.signers.devices.prompts import KeyPrompts
from walletcli.signers.devices.security_key import SecurityKey

T = TypeVar("T")

UNUSABLE: Final = frozenset({"key.no-permission", "key.busy", "key.removed", "key.unsupported", "key.timeout"})
"""Why one key among several is passed over; told if no other one does."""


@contextlib.contextmanager
def opened(plugged: PluggedKey, prompts: KeyPrompts) -> Iterator[SecurityKey]:
    """Open a security key for a ``with`` block.

    Raises:
        SignerError: ``key.*``.
        MissingExtraError: ``key.no-hidapi``.
    """
    connection = HidConnection(plugged)
    try:
        yield SecurityKey(plugged.name, connection, prompts)
    finally:
        connection.close()


@contextlib.contextmanager
def opened_ledger(plugged: PluggedKey) -> Iterator[Ledger]:
    """Open a Ledger for a ``with`` block.

    Raises:
        SignerError: ``key.*``, ``ledger.*``.
        MissingExtraError: ``key.no-hidapi``.
    """
    connection = HidConnection(plugged)
    try:
        yield Ledger(plugged.name, connection)
    finally:
        connection.close()


def only_key(keys: Sequence[PluggedKey]) -> PluggedKey:
    """Return the one key that is plugged in.

    Raises:
        SignerError: ``key.none``, ``key.several``.
    """
    if not keys:
        raise SignerError("key.none", "no security key is plugged in", "put one in and try again")
    if len(keys) > 1:
        names = ", ".join(f"{key.path} ({key.name})" for key in keys)
        raise SignerError("key.several", f"several security keys are plugged in: {names}", "name one with --key")
    return keys[0]


def on_key_that_knows(
    keys: Sequence[PluggedKey], prompts: KeyPrompts, credential_id: bytes, party: str, act: Callable[[SecurityKey], T]
) -> T | None:
    """Do something with the first key that made a credential, and return what came of it; None if no key did.

    Args:
        keys: that are plugged in.
        prompts: asks their owner.
        credential_id: 1 to 1023 bytes.
        party: name that the credential was made under.
        act: is given the open key.

    Raises:
        SignerError: ``key.*``: what `act` ends in, or why a key cannot be asked if no other one fits.
        MissingExtraError: ``key.no-hidapi``.
    """
    refused: SignerError | None = None
    for plugged in keys:
        try:
            with opened(plugged, prompts) as key:
                if key.knows(credential_id, party):
                    return act(key)
        except SignerError as error:
            if error.code not in UNUSABLE:
                raise
            refused = error
    if refused is not None:
        raise refused
    return None
