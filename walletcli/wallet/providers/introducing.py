"""A provider that a wallet meets for the first time: is what it shows of itself the newest?

Spec: docs/spec/providers.md, "Binding"; docs/spec/resolution.md, "Sources".
"""

from __future__ import annotations

from collections.abc import Sequence

from walletcli.client.independence import independent
from walletcli.client.spread import look_up_each
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.errors import VerificationError
from walletcli.net.addresses import NodeAddress
from walletcli.wallet.home import Progress
from walletcli.wallet.providers.places import Access


def is_known(access: Access, provider: bytes) -> bool:
    """Tell whether this wallet knew a provider's record (root key, 32 bytes) before this command."""
    return provider in access.session.snapshot().wallet.seen


def introduce(access: Access, shown: Record, relays: Sequence[NodeAddress], progress: Progress) -> int:
    """Look the own record of a provider up at relays, as one that was stolen would show an older one.

    Args:
        access: to the identity on whose behalf is asked; its memory is brought up to date.
        shown: the record that the provider has shown.
        relays: whom to ask; none: nobody.
        progress: takes a line per step.

    Returns:
        How many independent sources have answered.

    Raises:
        VerificationError: ``record.stale`` if there is a newer one, ``record.equivocation`` if two were signed with
            one `seq`.
    """
    provider = IdentityId(shown.packet.public_key)
    if not relays:
        return 0
    progress(f"asking {len(relays)} relay(s) for the record of the provider itself")
    with access.memory.keeping_splits(access.session):
        (found,) = look_up_each({provider: relays}, dialer=access.dialer, memory=access.memory, for_identity=access.did)
    if found.error is not None and found.error.code == "record.equivocation":
        raise found.error
    if found.resolution is not None and found.resolution.open_splits:
        raise VerificationError(
            "record.equivocation",
            f"{provider.did} has signed two records with one seq: its key may be in two hands",
            "choose another provider, or ask its operator",
        )
    newest = access.memory.get(provider.public_key)
    if newest is not None and newest.seq > shown.packet.seq:
        access.memory.save(access.session)  # so that it is refused the next time as well, whoever is asked then
        raise VerificationError(
            "record.stale",
            f"the provider shows its record with seq {shown.packet.seq}, and there is one with seq {newest.seq}",
            "somebody may be using keys that it has given up: ask its operator",
        )
    return len(independent(source.address for source in found.sources if source.is_answer))
