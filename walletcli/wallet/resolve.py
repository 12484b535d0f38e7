"""Finds anybody's record and verifies it; remembers it if the wallet is open."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from walletcli.client import resolve as client
from walletcli.client.resolution import Resolution
from walletcli.core.identity_id import IdentityId
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Home, Progress, silent
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.relays import chosen_relays
from walletcli.wallet.route import dialer_for
from walletcli.wallet.state.lookup import key_of


@dataclass(frozen=True, slots=True)
class Resolved:
    """The verified state of an identity.

    Attributes:
        resolution: what was found, and what each source said.
        label: this wallet's own name for it, or None.
    """

    resolution: Resolution
    label: str | None

    @property
    def did(self) -> str:
        """The identity, as did:key."""
        return self.resolution.identity.did

    @property
    def seq(self) -> int:
        """`seq` of its packet."""
        return self.resolution.record.packet.seq

    def to_json(self) -> dict[str, object]:
        """Return the resolution for scripts; the label is the owner's alone and not in it."""
        return self.resolution.to_json()


def resolve_identity(
    who: str,
    session: Session | None,
    relays: Sequence[str] = (),
    home: Home | None = None,
    *,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
) -> Resolved:
    """Ask relays for an identity's newest record, and verify it.

    Args:
        who: an id in any form; a label as well if the wallet is open.
        session: the open wallet, whose memory guards against old answers; None: freshness is not checked.
        relays: whom to ask; none: the list of `home`, or of the session's home.
        home: whose list of relays, without a session.
        offline: open no connection.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.

    Raises:
        InputError: ``identity.unknown``, ``identity.malformed``.
        NetworkError: ``relay.none``, ``resolve.not-found``, ``resolve.unreachable``, ``network.offline``.
        VerificationError: ``resolve.unverified``, ``record.stale``, ``record.equivocation``, ``record.*``.
    """
    wallet = session.snapshot().wallet if session is not None else None
    key = key_of(who, wallet)
    addresses = chosen_relays(session.home if session is not None else home, relays)
    memory = WalletMemory(wallet) if wallet is not None else None
    progress(f"asking {len(addresses)} relay(s)")
    route = dialer if dialer is not None else dialer_for(offline)
    with contextlib.ExitStack() as keeping:
        if session is not None and memory is not None:
            keeping.enter_context(memory.keeping_splits(session))
        found = client.resolve(IdentityId(key), addresses, dialer=route, memory=memory)
    if session is not None and memory is not None:
        memory.save(session)
    labels = (
        [identity.label for identity in wallet.identities if identity.public_key == key] if wallet is not None else []
    )
    return Resolved(found, labels[0] if labels else None)


def identity_id(who: str, session: Session | None) -> IdentityId:
    """Return the id that `who` names: any form of an id, or a label of the open wallet.

    Raises:
        InputError: ``identity.unknown``, ``identity.malformed``.
    """
    return IdentityId(key_of(who, session.snapshot().wallet if session is not None else None))
