"""Finds anybody's record and verifies it; remembers it if the wallet is open."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from walletcli.client import resolve as client
from walletcli.client.resolution import Resolution
from walletcli.core.bindings import bindings_of, grants_of
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import MAX_FILE_BYTES, Record
from walletcli.errors import NetworkError, StorageError, VerificationError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.sightings import places_of
from walletcli.wallet.files import read_file
from walletcli.wallet.home import Home, Progress, silent
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.relays import chosen_relays
from walletcli.wallet.route import dialer_for
from walletcli.wallet.state.draft import today
from walletcli.wallet.state.lookup import key_of


@dataclass(frozen=True, slots=True)
class Resolved:
    """The verified state of an identity.

    Attributes:
        resolution: what was found, and what each source said.
        label: this wallet's own name for it, or None.
        not_remembered: why the wallet could not write down what was found, or None.
    """

    resolution: Resolution
    label: str | None
    not_remembered: StorageError | None = None

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
        why = self.not_remembered.to_json() if self.not_remembered is not None else None
        return {**self.resolution.to_json(), "not_remembered": why}


def resolve_identity(
    who: str,
    session: Session | None,
    relays: Sequence[str] = (),
    home: Home | None = None,
    *,
    record_file: str | None = None,
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
        record_file: path of a record file of this identity, taken like what a relay has; it is no source.
        offline: open no connection.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.

    Raises:
        InputError: ``identity.unknown``, ``identity.malformed``.
        NetworkError: ``relay.none``, ``resolve.not-found``, ``resolve.unreachable``, ``network.offline``.
        VerificationError: ``resolve.unverified``, ``record.stale``, ``record.equivocation``, ``record.*``.
        FormatError: ``record.file``, and what else a record file ends in.
    """
    wallet = session.snapshot().wallet if session is not None else None
    key = key_of(who, wallet)
    at_hand = _record_in(record_file, key) if record_file is not None else None
    try:
        addresses = chosen_relays(session.home if session is not None else home, relays)
    except NetworkError:
        if at_hand is None:
            raise
        addresses = []
    memory = WalletMemory(wallet) if wallet is not None else None
    progress(f"asking {len(addresses)} relay(s)")
    route = dialer if dialer is not None else dialer_for(offline)
    spare = _places_of_documents(key, memory)
    found, not_remembered = None, None
    try:
        with contextlib.ExitStack() as keeping:
            if session is not None and memory is not None:
                keeping.enter_context(memory.keeping_splits(session))
            found = client.resolve(
                IdentityId(key), addresses, dialer=route, memory=memory, spare=spare, at_hand=at_hand
            )
        if session is not None and memory is not None:
            memory.save(session)
    except StorageError as error:
        if found is None:
            raise
        not_remembered = error
    labels = (
        [identity.label for identity in wallet.identities if identity.public_key == key] if wallet is not None else []
    )
    return Resolved(found, labels[0] if labels else None, not_remembered)


def _record_in(path: str, key: bytes) -> Record:
    record = Record.from_bytes(read_file(path, MAX_FILE_BYTES))
    if record.packet.public_key != key:
        raise VerificationError(
            "record.identity-mismatch", "the record in the file is another identity's", "see: walletcli record show"
        )
    return record


def _places_of_documents(key: bytes, memory: WalletMemory | None) -> list[NodeAddress]:
    """Return the nodes of an identity's providers, as far as its remembered record names them: they keep its documents.

    Args:
        key: root key, 32 bytes.
        memory: what is remembered, or None.
    """
    seen = memory.get(key) if memory is not None else None
    document = seen.record.document if seen is not None and seen.record is not None else None
    if memory is None or document is None:
        return []
    known = {grant.provider: memory.get(grant.provider) for grant in grants_of(document)}
    records = {provider: one.record for provider, one in known.items() if one is not None and one.record is not None}
    bindings = bindings_of(document, today(time.time()), records)
    return [NodeAddress.from_text(text) for text in places_of(bindings)]


def identity_id(who: str, session: Session | None) -> IdentityId:
    """Return the id that `who` names: any form of an id, or a label of the open wallet.

    Raises:
        InputError: ``identity.unknown``, ``identity.malformed``.
    """
    return IdentityId(key_of(who, session.snapshot().wallet if session is not None else None))
