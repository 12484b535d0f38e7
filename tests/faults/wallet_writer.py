"""One step of a wallet's life in a process of its own, to be killed or refused in the middle of it.

Called as ``python -m tests.faults.wallet_writer ACTION HOME [ARGUMENT…]``; prints ``done`` when the step says so.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from tests.wallet.parts import SLOTS, WORDS, password
from walletcli.core.bip39 import Mnemonic
from walletcli.core.secret import Secret
from walletcli.errors import WalletError
from walletcli.vault import os_keyring
from walletcli.wallet.access.agent_session import open_session
from walletcli.wallet.access.opening import open_here
from walletcli.wallet.create import NewSlots, create_wallet
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity, rename_identity, set_attribute
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.relays import add_relay


class Keys:
    """A keyring that forgets when the process ends."""

    def __init__(self) -> None:
        self._entries: dict[str, bytes] = {}

    def store(self, name: str, value: Secret) -> None:
        self._entries[name] = value.reveal()

    def load(self, name: str) -> Secret | None:
        found = self._entries.get(name)
        return Secret(found) if found is not None else None

    def delete(self, name: str) -> None:
        self._entries.pop(name, None)


def create(home: Home) -> None:
    create_wallet(home, Mnemonic.parse(WORDS), SLOTS)


def create_with_two_slots(home: Home) -> None:
    os_keyring.OsKeyring = Keys  # type: ignore[misc,assignment]  # no keyring daemon in a test
    create_wallet(home, Mnemonic.parse(WORDS), NewSlots(SLOTS.password, True, SLOTS.kdf))


def identity(home: Home, label: str) -> None:
    with open_here(home, password) as session:
        create_identity(session, label)


def publish(home: Home, who: str, relay: str) -> None:
    with open_here(home, password) as session:
        publish_identity(session, who, [relay])


def relay(home: Home, address: str) -> None:
    add_relay(home, address)


def many(home: Home, name: str, count: str, where: str, relay_url: str) -> None:
    """Add identities, rename them, and publish the shared one after a change of its own, all as fast as it goes."""
    opened = open_here(home, password) if where == "here" else open_session(home)
    with opened as session:
        for number in range(int(count)):
            create_identity(session, f"{name} {number}")
            rename_identity(session, f"{name} {number}", f"{name} {number} renamed")
            set_attribute(session, "shared", name, str(number))
            publish_identity(session, "shared", [relay_url])


ACTIONS: dict[str, Callable[..., None]] = {
    "create": create,
    "create-two": create_with_two_slots,
    "identity": identity,
    "publish": publish,
    "relay": relay,
    "many": many,
}

if __name__ == "__main__":
    try:
        ACTIONS[sys.argv[1]](Home(sys.argv[2]), *sys.argv[3:])
    except WalletError as error:
        print(error.code)
        sys.exit(error.exit_code)
    print("done")
