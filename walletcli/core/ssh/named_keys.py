"""The SSH keys that a document names, and whether they count.

Spec: docs/spec/ssh.md, "In the document".
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from walletcli.core import ed25519
from walletcli.core.cbor import Value
from walletcli.core.document import Document
from walletcli.core.document_parts import Delegation, Power
from walletcli.errors import FormatError, VerificationError

EXTENSION: Final = "ssh"
"""Key of the document's extensions under which they stand."""

MAX_KEYS: Final = 32
"""Most keys; one for each delegation."""


def named_keys(document: Document) -> dict[bytes, bytes]:
    """Return the SSH keys that a document names by the signing keys of their devices (32 bytes each).

    Raises:
        FormatError: ``ssh-keys.malformed``, ``key.malformed``.
    """
    value = document.extensions.get(EXTENSION)
    if value is None:
        return {}
    if type(value) is not list or not 1 <= len(value) <= MAX_KEYS:
        raise _wrong(f"needs a list of 1 to {MAX_KEYS}")
    rows = [_row(item) for item in value]
    if any(first[0] >= second[0] for first, second in pairwise(rows)):
        raise _wrong("devices are repeated or out of order")
    keys = dict(rows)
    taken = {document.identity, *(item.signing_key for item in document.delegations), *keys}
    if len(set(keys.values())) < len(keys) or taken & set(keys.values()):
        raise _wrong("a key stands there twice, or is one for something else")
    return keys


def _row(item: Value) -> tuple[bytes, bytes]:
    if type(item) is not list or len(item) != 2:
        raise _wrong("needs pairs of keys")
    device, public_key = item
    if type(device) is not bytes or type(public_key) is not bytes:
        raise _wrong("needs pairs of keys")
    ed25519.check_encoding(device)
    ed25519.check_encoding(public_key)
    return device, public_key


def naming(extensions: Mapping[int | str, Value], keys: Mapping[bytes, bytes]) -> dict[int | str, Value]:
    """Return extensions that name these SSH keys, by the signing keys of their devices, and no others."""
    kept = {key: value for key, value in extensions.items() if key != EXTENSION}
    rows: list[Value] = [[device, key] for device, key in sorted(keys.items())]
    return {**kept, EXTENSION: rows} if rows else kept


def check_named(document: Document, public_key: bytes, day: int) -> Delegation:
    """Check that a document names an SSH key, and that it counts on a day.

    Args:
        document: the identity's newest, verified.
        public_key: SSH key, Ed25519, 32 bytes.
        day: days since 1970-01-01 UTC.

    Returns:
        The delegation of its device.

    Raises:
        FormatError: ``ssh-keys.malformed``, ``key.malformed``.
        VerificationError: ``ssh-keys.retired``, ``ssh-keys.not-named``, ``ssh-keys.device-gone``, ``ssh-keys.power``,
            ``ssh-keys.expired``.
    """
    if document.retirement is not None:
        raise VerificationError("ssh-keys.retired", "the identity has ended, and its keys with it", _HINT)
    device = next((one for one, key in named_keys(document).items() if key == public_key), None)
    if device is None:
        raise VerificationError(
            "ssh-keys.not-named",
            "the identity's newest record does not name this SSH key (any more)",
            "if it should, its owner runs: walletcli identity ssh-key ID --in-record, and publishes",
        )
    found = next((item for item in document.delegations if item.signing_key == device), None)
    if found is None:
        raise VerificationError("ssh-keys.device-gone", "the device with this SSH key has been revoked", _HINT)
    if Power.SHARE not in found.powers:
        raise VerificationError("ssh-keys.power", "the device with this SSH key may not speak for the identity", _HINT)
    if not found.holds_on(day):
        raise VerificationError("ssh-keys.expired", "the delegation to the device with this SSH key has ended", _HINT)
    return found


_HINT = "ask its owner for a new signature, made with a device that the identity has today"


def _wrong(detail: str) -> FormatError:
    return FormatError("ssh-keys.malformed", f"the SSH keys of the document: {detail}")
