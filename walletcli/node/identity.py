"""Who the node is while it runs: its record, its daily keys, and when they have to be renewed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from walletcli.core.document_parts import Address
from walletcli.core.ed25519 import SigningKey
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.errors import UsageError
from walletcli.net.tls import spki_pin_of_pem
from walletcli.node.directory import NodeDirectory, replace
from walletcli.node.keys import DeviceKeys, read_root_key
from walletcli.node.own_record import RENEW_DAYS, addresses_of, days_left, read_record, sign_record


class NodeIdentity:
    """The node's identity, from its directory.

    The root key is read when something has to be signed, and not kept.

    Args:
        files: the directory.
        entropy: for the `seq` of new records.

    Attributes:
        files: the directory.
        record: the record now.
        device: the daily keys.

    Raises:
        StorageError, FormatError, VerificationError: a file is missing, open to others, or damaged.
    """

    def __init__(self, files: NodeDirectory, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self.files = files
        self.record = read_record(files.record)
        self.device = DeviceKeys.from_file(files.device_key)
        self._entropy = entropy
        self._pin = spki_pin_of_pem(files.tls_certificate.read_bytes())
        self._wanted: tuple[Address, ...] = self.addresses

    @property
    def did(self) -> str:
        """The node's did:key."""
        return IdentityId(self.record.packet.public_key).did

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The addresses in the record."""
        return self.record.document.addresses if self.record.document else ()

    def days_left(self) -> int:
        """Return for how many days the delegation still holds."""
        return days_left(self.record, self.device, time.time())

    def set_addresses(self, configured: Sequence[str], listen: str | None, now_s: float) -> None:
        """Make the record say where the node is.

        Args:
            configured: ``HOST:PORT`` of the configuration; if there are any, they are taken.
            listen: else the address listened on, or None if that is every address of the machine.
            now_s: Unix seconds.

        Raises:
            UsageError: ``node.no-address`` if the record would pin no TLS key: nobody could connect.
            StorageError: the record cannot be written.
        """
        locations = tuple(configured) or ((listen,) if listen is not None else ())
        if locations:
            self._wanted = addresses_of(locations, self._pin)
        elif not any(address.pin == self._pin for address in self.addresses):
            hint = "set addresses in node.toml, or listen on one address of this machine"
            raise UsageError("node.no-address", "the node's record does not say where it is", hint)
        if self._wanted != self.addresses:
            root = self._root()
            if root is not None:
                self._sign(root, now_s)

    def renewed(self, now_s: float) -> Record | None:
        """Sign a new record if the delegation ends soon and the root is here; None if there was nothing to do.

        Raises:
            StorageError: the root key cannot be read or the record cannot be written.
            FormatError: ``node.key-file``.
        """
        if days_left(self.record, self.device, now_s) >= RENEW_DAYS:
            return None
        root = self._root()
        return None if root is None else self._sign(root, now_s)

    def notices(self) -> list[str]:
        """Return what the operator should do about the identity, in words."""
        notices = []
        days = self.days_left()
        root_there = self.files.root_key.exists()
        if days < RENEW_DAYS and not root_there:
            notices.append(f"The delegation ends in {days} days: bring root.key back, and the node renews it.")
        if self._wanted != self.addresses and not root_there:
            notices.append("The record names other addresses than the node has now: bring root.key back and restart.")
        return notices

    def _root(self) -> SigningKey | None:
        return read_root_key(self.files.root_key, self.record.packet.public_key)

    def _sign(self, root: SigningKey, now_s: float) -> Record:
        record = sign_record(root, self.device, self._wanted, self.record, now_s, self._entropy)
        replace(self.files.record, record.to_bytes(), 0o644)
        self.record = record
        return record
