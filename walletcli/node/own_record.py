"""The node's own record: which keys work for it, where it is, and which TLS key it has.

Spec: docs/spec/record.md; docs/spec/addresses.md, "Pinning".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from walletcli.core.document import Document
from walletcli.core.document_parts import MAX_DELEGATION_DAYS, Address, Delegation, Power, Transport
from walletcli.core.ed25519 import SigningKey
from walletcli.core.packet import SignedPacket
from walletcli.core.record import MAX_FILE_BYTES, Record, next_seq, packet_value
from walletcli.errors import StorageError
from walletcli.node.keys import DeviceKeys

RENEW_DAYS: Final = 30
"""The delegation is renewed when it holds for fewer days than this."""

_DAY_S: Final = 86_400


def read_record(path: Path) -> Record:
    """Read and verify the node's record file.

    Raises:
        StorageError: ``node.unreadable``.
        FormatError: as `Record.from_bytes`.
        VerificationError: as `Record.from_bytes`.
    """
    try:
        with path.open("rb") as file:
            return Record.from_bytes(file.read(MAX_FILE_BYTES + 1))
    except OSError as error:
        raise StorageError("node.unreadable", f"cannot read {path}: {error.strerror}") from error


def sign_record(
    root: SigningKey,
    device: DeviceKeys,
    addresses: Sequence[Address],
    previous: Record | None,
    now_s: float,
    entropy: Callable[[int], bytes],
) -> Record:
    """Sign the record that replaces `previous`.

    Args:
        root: the node's root key.
        device: whom it delegates to, for 89 days from now.
        addresses: where the node is.
        previous: the record now, or None for the first.
        now_s: Unix seconds.
        entropy: gives as many random bytes as asked.

    Raises:
        InputError: ``seq.exhausted``.
        FormatError: ``document.*``.
    """
    # From the day before, so that it holds already for those whose clock is behind.
    first_day = int(now_s) // _DAY_S - 1
    delegation = Delegation(
        signing_key=device.signing.public_key,
        sealing_key=device.sealing_public_key,
        powers=frozenset((Power.GRANT,)),
        not_before_day=first_day,
        not_after_day=first_day + MAX_DELEGATION_DAYS,
    )
    document = Document(
        identity=root.public_key,
        seq=next_seq(previous.packet.seq if previous else None, now_s, entropy),
        previous=previous.packet.document_hash if previous else None,
        delegations=(delegation,),
        addresses=tuple(addresses),
    )
    packet = SignedPacket.sign(root, document.seq, packet_value(document))
    return Record.verified(packet, document.to_bytes())


def days_left(record: Record, device: DeviceKeys, now_s: float) -> int:
    """Return for how many days from now the record delegates to `device`; 0 if it does not."""
    today = int(now_s) // _DAY_S
    for delegation in record.document.delegations if record.document else ():
        if delegation.signing_key == device.signing.public_key and delegation.holds_on(today):
            return delegation.not_after_day - today
    return 0


def addresses_of(locations: Sequence[str], pin: bytes) -> tuple[Address, ...]:
    """Return the record's addresses for ``HOST:PORT`` texts, pinned to a TLS key (32 bytes)."""
    return tuple(Address(_transport(location), location, pin) for location in locations)


def _transport(location: str) -> Transport:
    host = location.rpartition(":")[0]
    if host.endswith(".onion"):
        return Transport.TOR
    return Transport.I2P if host.endswith(".i2p") else Transport.TCP
