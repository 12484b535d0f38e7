"""The list of relays that a wallet publishes to and asks: a file of addresses in clear.

It names no identity and no label. Spec: docs/spec/wallet-state.md, "Relays".
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from walletcli.errors import FormatError, InputError, NetworkError, StorageError
from walletcli.net.addresses import NodeAddress, Scheme
from walletcli.wallet.home import Home

FIRST_LINE = "# walletcli relays 1: one address a line"
"""First line of the file."""

MAX_FILE_BYTES = 65_536
"""Longest file."""

MAX_RELAYS = 100
"""Most relays in the list."""


def list_relays(home: Home) -> list[str]:
    """Return the addresses, in the order in which they were added.

    Raises:
        FormatError: ``relays.malformed``.
        StorageError: ``relays.unreadable``.
    """
    return [address.to_text() for address in _read(home)]


def known_relays(home: Home) -> list[NodeAddress]:
    """Return the wallet's list, each address once; raises as `list_relays`."""
    return list(dict.fromkeys(_read(home)))


def add_relay(home: Home, text: str) -> list[str]:
    """Add an address; one that is there already stays where it is.

    Returns:
        All addresses.

    Raises:
        InputError: ``address.malformed``, ``relay.too-many``, or ``relay.one-dht`` where the DHT is there already,
            entered by other members.
    """
    address = NodeAddress.from_relay_text(text)
    with _locked(home):
        addresses = _read(home)
        if address not in addresses:
            if address.scheme is Scheme.DHT and any(item.scheme is Scheme.DHT for item in addresses):
                raise InputError(
                    "relay.one-dht",
                    "the DHT is in the list, entered by other members",
                    "first: walletcli relay remove dht",
                )
            addresses.append(address)
            if len(addresses) > MAX_RELAYS:
                raise InputError("relay.too-many", f"a wallet names at most {MAX_RELAYS} relays", "remove one first")
            _write(home, addresses)
    return [item.to_text() for item in addresses]


def remove_relay(home: Home, text: str) -> list[str]:
    """Remove an address; ``dht`` alone removes the DHT, whatever members it is entered by.

    Returns:
        What is left.

    Raises:
        InputError: ``address.malformed`` or ``relay.unknown``.
    """
    address = NodeAddress.from_relay_text(text)
    with _locked(home):
        addresses = _read(home)
        if address.scheme is Scheme.DHT and not address.members:
            address = next((item for item in addresses if item.scheme is Scheme.DHT), address)
        if address not in addresses:
            raise InputError("relay.unknown", f"{address.to_text()} is not in the list", "see: walletcli relay list")
        addresses.remove(address)
        _write(home, addresses)
    return [item.to_text() for item in addresses]


def chosen_relays(home: Home | None, relays: Sequence[str]) -> list[NodeAddress]:
    """Return the relays that a command uses: those it names, or else the wallet's list.

    Raises:
        NetworkError: ``relay.none``.
    """
    named = [NodeAddress.from_relay_text(text) for text in relays]
    addresses = named or (_read(home) if home is not None else [])
    if not addresses:
        raise NetworkError(
            "relay.none", "no relay is known", "add one with: walletcli relay add ADDRESS, or name it with --relay"
        )
    return list(dict.fromkeys(addresses))


def _read(home: Home) -> list[NodeAddress]:
    try:
        with open(home.relays_path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(
            "relays.unreadable", f"cannot read {home.relays_path}: {error.strerror}", "correct its permissions"
        ) from error
    hint = f"correct or remove {home.relays_path}"
    if len(data) > MAX_FILE_BYTES or not data.isascii():
        raise FormatError("relays.malformed", "the list of relays is too long, or not ASCII", hint)
    lines = data.decode("ascii").splitlines()
    if not lines or lines[0] != FIRST_LINE:
        raise FormatError("relays.malformed", "the list of relays does not begin with its first line", hint)
    addresses = []
    for number, line in enumerate(lines[1:], 2):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            addresses.append(NodeAddress.from_relay_text(line))
        except InputError as error:
            raise FormatError(
                "relays.malformed", f"line {number} of the list of relays: {error.message}", hint
            ) from error
    return addresses


def _write(home: Home, addresses: Sequence[NodeAddress]) -> None:
    from walletcli.wallet.files import write_file

    lines = [FIRST_LINE, *(address.to_text() for address in addresses)]
    write_file(home.relays_path, ("\n".join(lines) + "\n").encode("ascii"))


@contextlib.contextmanager
def _locked(home: Home) -> Iterator[None]:
    """Keep other processes from changing the list meanwhile."""
    import fcntl

    home.make()
    handle = os.open(home.relays_path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
