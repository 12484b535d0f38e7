"""One line of a list of identities.

Light: this is what `identity list` loads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class IdentitySummary:
    """One line of a list of identities.

    Attributes:
        index: identity index in the key tree.
        label: local name, or None for a derived identity that the wallet does not hold.
        did: ``did:key:…``, the id.
        did_dht: ``did:dht:…``, the same key on the network.
        pk: ``pk:…``, the same key for pkarr.
        z32: the key in z-base-32.
        path: derivation path.
        aliases: key ids of the original network.
        published: whether its latest record has been stored by a relay.
        retired: whether it has been retired.
    """

    index: int
    label: str | None
    did: str
    did_dht: str
    pk: str
    z32: str
    path: str
    aliases: tuple[str, ...]
    published: bool
    retired: bool

    def to_json(self) -> dict[str, object]:
        """Return the fields under their names."""
        return {
            "label": self.label,
            "did": self.did,
            "did_dht": self.did_dht,
            "pk": self.pk,
            "z32": self.z32,
            "path": self.path,
            "aliases": list(self.aliases),
            "published": self.published,
            "retired": self.retired,
            "index": self.index,
        }

    @classmethod
    def of(
        cls,
        index: int,
        public_key: bytes,
        path: str,
        label: str | None = None,
        *,
        published: bool = False,
        retired: bool = False,
    ) -> IdentitySummary:
        """Return the line for a root public key (32 bytes)."""
        from walletcli.core.identity_id import IdentityId

        key_id = IdentityId(public_key)
        texts = (key_id.did, key_id.did_dht, key_id.pk, key_id.z32, path, key_id.aliases)
        return cls(index, label, *texts, published, retired)

    def to_cbor(self) -> list[object]:
        """Return the row that the agent sends."""
        texts = [self.did, self.did_dht, self.pk, self.z32, self.path]
        return [self.index, self.label, *texts, list(self.aliases), self.published, self.retired]

    @classmethod
    def from_cbor(cls, row: object) -> IdentitySummary:
        """Take a row from our own agent; checked no further than its shape."""
        index, label, did, did_dht, pk, z32, path, aliases, published, retired = cast("list[Any]", row)
        return cls(index, label, did, did_dht, pk, z32, path, tuple(aliases), published, retired)
