"""Size steps, so that the length of a vault does not tell how many identities are in it.

Spec: docs/spec/vault.md, "Padding".
"""

from __future__ import annotations

from walletcli.errors import StorageError

SMALLEST_STEP_BYTES = 65_536
"""Length of the smallest body; room for a few tens of identities."""

LARGEST_STEP_BYTES = 64 * 1024 * 1024
"""Length of the largest body, 64 MiB."""

_STEPS = tuple(SMALLEST_STEP_BYTES << k for k in range(11))


def is_step(length_bytes: int) -> bool:
    """Tell whether a body can have this length."""
    return length_bytes in _STEPS


def step_for(length_bytes: int) -> int:
    """Return the smallest step that holds `length_bytes`.

    Raises:
        StorageError: ``vault.payload-too-long`` over 64 MiB.
    """
    for step in _STEPS:
        if length_bytes <= step:
            return step
    message = f"the wallet needs {length_bytes} bytes, a vault holds {LARGEST_STEP_BYTES}"
    raise StorageError("vault.payload-too-long", message, "split the identities over two wallets (--home)")
