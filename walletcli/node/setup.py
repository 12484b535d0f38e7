"""``node init``: a new directory with everything a node needs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from walletcli.core.identity_id import IdentityId
from walletcli.net.tls import make_certificate, spki_pin_of_pem
from walletcli.node.config import TEMPLATE, location_of
from walletcli.node.directory import NodeDirectory, new_directory, write_new
from walletcli.node.keys import make_device_keys, make_root_key
from walletcli.node.own_record import addresses_of, sign_record


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """A node that was made.

    Attributes:
        directory: where.
        did: its did:key.
        addresses: ``HOST:PORT`` of its record; empty until it first listens.
        root_key: the file that may be moved off the machine.
    """

    directory: Path
    did: str
    addresses: tuple[str, ...]
    root_key: Path

    def to_json(self) -> dict[str, object]:
        """Return the same for scripts."""
        return {
            "directory": str(self.directory),
            "did": self.did,
            "addresses": list(self.addresses),
            "root_key": str(self.root_key),
        }


def init(
    directory: Path,
    addresses: Sequence[str] = (),
    *,
    entropy: Callable[[int], bytes] = os.urandom,
    now_s: float | None = None,
) -> NodeInfo:
    """Make a node: keys, certificate, record and configuration, all or nothing.

    Args:
        directory: must not exist, or be empty; mode 0700 afterwards.
        addresses: where the world will reach it, each ``HOST:PORT``; without any, the record gets the address that
            `run` listens on.
        entropy: source of the keys.
        now_s: Unix seconds; None for now.

    Raises:
        InputError: ``node.exists``, ``address.malformed``.
        StorageError: ``node.unwritable``, ``storage.full``.
    """
    locations = tuple(location_of(text) for text in addresses)
    with new_directory(directory) as beside:
        files = NodeDirectory(beside)
        root = make_root_key(files.root_key, entropy)
        device = make_device_keys(files.device_key, entropy)
        key_pem, certificate_pem = make_certificate()
        write_new(files.tls_key, key_pem.reveal())
        write_new(files.tls_certificate, certificate_pem, 0o644)
        pinned = addresses_of(locations, spki_pin_of_pem(certificate_pem))
        record = sign_record(root, device, pinned, None, time.time() if now_s is None else now_s, entropy)
        write_new(files.record, record.to_bytes(), 0o644)
        listed = ", ".join(f'"{location}"' for location in locations)
        write_new(files.config, TEMPLATE.replace("addresses = []", f"addresses = [{listed}]", 1).encode(), 0o644)
    made = NodeDirectory(directory)
    return NodeInfo(directory, IdentityId(root.public_key).did, locations, made.root_key)
