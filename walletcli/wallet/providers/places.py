"""Opens the places that hold an identity's sealed data: the providers that it is bound to, and its exit kit.

Which ones there are is told by the identity's own document, so it works from the words alone as well: the document
names the grants, a grant carries its provider's record, and that record says where the provider is.

Spec: docs/spec/providers.md, "Finding a provider".
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from walletcli.client.host import HostClient
from walletcli.client.kit import DirectoryPlace
from walletcli.client.link import TIMEOUT_S
from walletcli.client.manifests import Writers
from walletcli.client.places import HostPlace
from walletcli.core.bindings import Binding, bindings_of, grants_of
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.errors import NetworkError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.providers.addresses import evidence_of, known_addresses, look_up_provider
from walletcli.wallet.providers.book import ProviderBook, Role, read_book
from walletcli.wallet.providers.links import roles_of
from walletcli.wallet.relays import known_relays
from walletcli.wallet.state.draft import last_document, last_record, today
from walletcli.wallet.state.view import IdentityView

NOT_THERE: Final = frozenset(
    {"host.unreachable", "host.timeout", "host.failed", "provider.no-address", "tls.no-record", "tls.handshake",
     "network.transport", "network.offline", "storage.failed"}
)  # fmt: skip
"""Errors of a place that is not there."""


@dataclass(slots=True)
class ProviderPlace:
    """One provider, reached and logged into, or why not.

    Attributes:
        provider: its root key, 32 bytes.
        role: what it is for.
        address: where it was reached, or was tried last; None if no address of it is known.
        client: logged in; None if that failed.
        place: holds the sealed data; None if it could not be reached.
        binding: as the identity's document has it; None for a provider that the identity has left.
        error: why it cannot be used, or None.
    """

    provider: bytes
    role: Role
    address: NodeAddress | None = None
    client: HostClient | None = None
    place: HostPlace | None = None
    binding: Binding | None = None
    error: WalletError | None = None

    @property
    def name(self) -> str:
        """Its address, or its id where none is known."""
        return self.address.to_text() if self.address is not None else IdentityId(self.provider).did

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self.client is not None:
            self.client.close()


@dataclass(slots=True)
class Places:
    """All places of an identity; close them, or use them as a context manager.

    Attributes:
        providers: one for each binding of the document, the main one first; those that cannot be used say why.
        kit: the exit kit in a directory, or None if the owner has none.
        writers: who may sign the identity's manifests.
    """

    providers: list[ProviderPlace] = field(default_factory=list)
    kit: DirectoryPlace | None = None
    writers: Writers | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def usable(self) -> list[ProviderPlace]:
        """The providers that are logged into, the main one first."""
        return [item for item in self.providers if item.place is not None]

    def close(self) -> None:
        """Close all connections."""
        for item in self.providers:
            item.close()


@dataclass(frozen=True, slots=True)
class Access:
    """How an identity's places are opened.

    Attributes:
        session: the open wallet; it signs the logins.
        identity: whose places.
        dialer: opens the connections, each for this identity.
        memory: what is remembered of providers' records; brought up to date.
        relays: whom to ask where a provider is that is no longer where it was.
        by_root: log in as the root, which may read only, because no device is left; otherwise as this device.
        timeout_s: how long each call may take, in seconds.
    """

    session: Session
    identity: IdentityView
    dialer: Dialer
    memory: WalletMemory
    relays: Sequence[NodeAddress] = ()
    by_root: bool = False
    timeout_s: float = TIMEOUT_S

    @property
    def did(self) -> str:
        """The identity, as did:key."""
        return IdentityId(self.identity.public_key).did

    def sign(self, typ: str, payload: bytes) -> bytes:
        """Sign a statement as the key that logs in; a grant request or a manifest always as this device."""
        from walletcli.core.login import Login

        by_root = self.by_root and typ == Login.TYP
        return self.session.sign_statement(self.identity.index, typ, payload, by_root=by_root)

    def client(self, address: NodeAddress, provider: bytes | None = None) -> HostClient:
        """Return a client for a provider, not logged in yet.

        Args:
            address: where it is.
            provider: root key (32 bytes) that must be there, or None if the address tells or it is yet to be seen.
        """
        identity = IdentityId(self.identity.public_key)
        return HostClient(
            address, self.dialer, identity, timeout_s=self.timeout_s, memory=self.memory, provider=provider
        )


def access_to(
    session: Session,
    identity: IdentityView,
    dialer: Dialer,
    *,
    by_root: bool = False,
    memory: WalletMemory | None = None,
    relays: Sequence[NodeAddress] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Access:
    """Return how the places of an identity are opened; without `relays`, with the wallet's own list of them."""
    relays = relays if relays is not None else known_relays(session.home)
    known = memory if memory is not None else WalletMemory(session.snapshot().wallet)
    return Access(session, identity, dialer, known, relays, by_root, timeout_s)


def bound_places(
    session: Session,
    identity: IdentityView,
    dialer: Dialer,
    *,
    by_root: bool = False,
    known: Mapping[bytes, int] | None = None,
    records: Sequence[Record] = (),
    memory: WalletMemory | None = None,
    relays: Sequence[NodeAddress] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Places:
    """Log in at each provider that the identity's latest document binds it to, and open its exit kit.

    Nothing is raised for a provider that does not answer or a binding that does not hold: the place says it.

    Args:
        session: the open wallet.
        identity: whose places.
        dialer: opens the connections.
        by_root: as the root, which may only read: when the devices are lost.
        known: the version that each blob had when it was last seen (id of 16 bytes to version); None: nothing known.
        records: of the identity beside its latest one: who may write by them counts as well.
        memory: what is remembered of providers' records; None: the wallet's, which is saved afterwards.
        relays: whom to ask where a provider is that is no longer where it was; None: the wallet's own list.
        timeout_s: how long each call may take, in seconds.

    Raises:
        VaultError: ``vault.*``, ``agent.*``.
        FormatError: ``provider-book.*``.
    """
    access = access_to(session, identity, dialer, by_root=by_root, memory=memory, relays=relays, timeout_s=timeout_s)
    book = read_book(session, identity.index)
    writers = writers_of(identity, known, records)
    places = Places(kit=kit_place(book, writers), writers=writers)
    try:
        for binding, role in in_order(current_bindings(identity, access.memory), book):
            if binding.grant is None or binding.error is not None:
                provider = binding.grant.provider if binding.grant is not None else b""
                places.providers.append(ProviderPlace(provider, role, binding=binding, error=binding.error))
                continue
            named = book.get(binding.grant.provider)
            places.providers.append(
                open_provider(
                    access,
                    binding.grant.provider,
                    writers,
                    named=named.address if named is not None else None,
                    records=(binding.provider_record,),
                    role=role,
                    binding=binding,
                )
            )
    except BaseException:
        places.close()
        raise
    if memory is None:
        access.memory.save(session)
    return places


def open_provider(
    access: Access,
    provider: bytes,
    writers: Writers,
    *,
    named: str | None = None,
    records: Sequence[Record | None] = (),
    role: Role = Role.MAIN,
    binding: Binding | None = None,
) -> ProviderPlace:
    """Reach a provider at one of its addresses and log in.

    If none of the known addresses leads there, its newest record is looked up: it may have moved.

    Args:
        access: how.
        provider: its root key, 32 bytes.
        writers: who may sign the identity's manifests.
        named: the address to try first.
        records: of the provider, as far as known beside those that the identity's grants carry.
        role: what it is for.
        binding: as the identity's document has it.

    Returns:
        The place; `error` says what became of the last attempt if none succeeded.
    """
    found = ProviderPlace(provider, role, binding=binding)
    seen = access.memory.get(provider)
    document = last_document(access.identity)
    grants = grants_of(document) if document is not None else []
    carried = [evidence_of(grant) for grant in grants if grant.provider == provider]
    known = [*records, *carried, seen.record if seen is not None else None]
    tried = known_addresses(provider, named, known)
    if _reach(access, found, tried, writers):
        return found
    newer = look_up_provider(provider, access.relays, access.dialer, access.memory, access.did)
    more = [address for address in known_addresses(provider, None, [*known, newer]) if address not in tried]
    if not _reach(access, found, more, writers) and found.error is None:
        found.error = NetworkError(
            "provider.no-address",
            f"no address of the provider {IdentityId(provider).did} is known",
            "name a relay that has its record, with: walletcli relay add ADDRESS",
        )
    return found


def _reach(access: Access, found: ProviderPlace, addresses: Sequence[NodeAddress], writers: Writers) -> bool:
    for address in addresses:
        client = access.client(address, found.provider)
        try:
            client.login(access.sign, by_root=access.by_root)
        except WalletError as error:
            client.close()
            if found.error is None or found.error.code in NOT_THERE:  # a refusal says more than silence elsewhere
                found.address, found.error = address, error
        else:
            found.address, found.client, found.error = address, client, None
            found.place = HostPlace(client, writers)
            return True
    return False


def current_bindings(identity: IdentityView, memory: WalletMemory | None = None) -> tuple[Binding, ...]:
    """Return the bindings of an identity's latest document, each verified with its provider's newest known record."""
    document = last_document(identity)
    if document is None:
        return ()
    newer: dict[bytes, Record] = {}
    for grant in grants_of(document) if memory is not None else ():
        seen = memory.get(grant.provider) if memory is not None else None
        if seen is not None and seen.record is not None:
            newer[grant.provider] = seen.record
    return bindings_of(document, today(time.time()), newer)


def writers_of(
    identity: IdentityView, known: Mapping[bytes, int] | None = None, records: Sequence[Record] = ()
) -> Writers:
    """Return who may sign an identity's manifests: by its latest record, by `records`, and this device itself."""
    own = last_record(identity)
    writers = Writers.of(identity.public_key, [*([own] if own is not None else []), *records], known)
    return Writers(writers.identity, writers.keys | {identity.device_signing_key}, writers.known)


def kit_place(book: ProviderBook, writers: Writers) -> DirectoryPlace | None:
    """Return the exit kit that is a directory, or None if the owner has none."""
    return DirectoryPlace(book.kit.path, writers) if book.kit is not None and book.kit.path else None


def in_order(bindings: Sequence[Binding], book: ProviderBook) -> list[tuple[Binding, Role]]:
    """Return bindings with their roles, the main one first."""
    providers = [binding.grant.provider if binding.grant is not None else b"" for binding in bindings]
    found = list(zip(bindings, roles_of(providers, book), strict=True))
    return sorted(found, key=lambda item: item[1])
