"""What was just read from the store about identities: a PUT asks it of the same one several times in a row.

It is asked of the store again whenever more than blobs was written, and after a tick of the server's clock, as the
operator's commands write beside the node. What may not be late is looked at once more where the write itself is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from walletcli.node.batch_writer import WriterState
from walletcli.node.clock import Clock

_T = TypeVar("_T")


class Lately(Generic[_T]):
    """Answers by identity.

    Args:
        look_up: reads what the store has about an identity (key, 32 bytes).
        state: of what writes to the store.
        clock: the server's.
    """

    def __init__(self, look_up: Callable[[bytes], _T], state: WriterState, clock: Clock) -> None:
        self._look_up = look_up
        self._state = state
        self._clock = clock
        self._known: dict[bytes, _T] = {}
        self._as_of = (-1, 0.0)

    def of(self, key: bytes) -> _T:
        """Return what the store has about an identity; raises what `look_up` does."""
        as_of = (self._state.records, self._clock.now)
        if as_of != self._as_of:
            self._as_of = as_of
            self._known.clear()
        elif key in self._known:
            return self._known[key]
        found = self._known[key] = self._look_up(key)
        return found
