"""Who may act for an identity: the devices with the power ``host`` in its record, as it is stored here now."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from walletcli.core.document import Document
from walletcli.core.document_parts import Delegation, Power
from walletcli.node.batch_writer import WriterState
from walletcli.node.clock import Clock
from walletcli.node.hosting.lately import Lately
from walletcli.node.hosting.tokens import signer_tag
from walletcli.node.store import Store

_REMEMBERED: Final = 1024
"""How many documents' devices are kept in memory."""


@dataclass(frozen=True, slots=True)
class Devices:
    """The devices of one document that may host.

    Attributes:
        by_key: delegation by signing key, 32 bytes.
        by_tag: the same by what stands for the key in tokens.
    """

    by_key: Mapping[bytes, Delegation]
    by_tag: Mapping[bytes, Delegation]

    def key_holds(self, signer: bytes, today: int) -> bool:
        """Tell whether a key may act today, days since 1970-01-01."""
        found = self.by_key.get(signer)
        return found is not None and found.holds_on(today)

    def tag_holds(self, tag: bytes, today: int) -> bool:
        """Tell the same of the key that a token stands for."""
        found = self.by_tag.get(tag)
        return found is not None and found.holds_on(today)


class DeviceBook:
    """Looks devices up in the store's documents.

    What was read is kept by key and the hash of the document, so it is never stale.

    Args:
        store: where records are.
        state: of what writes there.
        clock: the server's.
    """

    def __init__(self, store: Store, state: WriterState, clock: Clock) -> None:
        self._store = store
        self._read: OrderedDict[tuple[bytes, bytes], Devices] = OrderedDict()
        self._now = Lately(self._look_up, state, clock)

    def of(self, key: bytes) -> Devices | None:
        """Return the devices of an identity; None if the store has no record with its document.

        Args:
            key: the identity's, 32 bytes.

        Raises:
            StorageError: the store cannot be read.
        """
        return self._now.of(key)

    def _look_up(self, key: bytes) -> Devices | None:
        named = self._store.named_document(key)
        if named is None:
            return None
        known = self._read.get((key, named))
        if known is not None:
            self._read.move_to_end((key, named))
            return known
        body = self._store.document(named)
        if body is None:
            return None
        document = Document.from_bytes(body)
        if document.identity != key:
            return None
        hosts = [item for item in document.delegations if Power.HOST in item.powers]
        found = Devices(
            {item.signing_key: item for item in hosts}, {signer_tag(item.signing_key): item for item in hosts}
        )
        self._read[key, named] = found
        if len(self._read) > _REMEMBERED:
            self._read.popitem(last=False)
        return found
