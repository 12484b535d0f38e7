"""Says how an identity stands with its providers: the bindings, what each provider says it keeps, the exit kit.

Spec: docs/spec/providers.md, "Status".
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from walletcli.client.host_answers import HostState, HostStatus
from walletcli.core.bindings import Binding, binding_of
from walletcli.core.identity_id import IdentityId
from walletcli.errors import WalletError
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.providers.book import ProviderBook, ProviderEntry, Role, read_book
from walletcli.wallet.providers.exit_kits import KitState, kit_state, remembered_versions
from walletcli.wallet.providers.links import read_grant
from walletcli.wallet.providers.places import Places, ProviderPlace, bound_places, current_bindings, in_order
from walletcli.wallet.route import dialer_for
from walletcli.wallet.state.draft import last_document, today
from walletcli.wallet.state.lookup import find
from walletcli.wallet.state.view import IdentityView

_HOST_STATES = {HostState.BOUND: "bound", HostState.LEAVING: "leaving", HostState.UNKNOWN: "unknown"}


@dataclass(frozen=True, slots=True)
class ProviderView:
    """One provider of an identity.

    Attributes:
        provider: its root key, 32 bytes; empty for a binding that cannot be read.
        role: what it is for.
        address: where it was reached last, or None.
        binding: as the identity's document has it, or None once the identity has left.
        host: what the provider says it keeps, or None if it was not asked or did not say.
        error: why it could not be asked, or None.
        left_day: day on which the identity left it (days since 1970-01-01, UTC), or None.
        pending: the binding is decided and stands in no signed document yet.
    """

    provider: bytes
    role: Role
    address: str | None = None
    binding: Binding | None = None
    host: HostStatus | None = None
    error: WalletError | None = None
    left_day: int | None = None
    pending: bool = False

    @property
    def did(self) -> str | None:
        """The provider, as did:key; None for a binding that cannot be read."""
        return IdentityId(self.provider).did if self.provider else None

    @property
    def state(self) -> str:
        """``valid``, ``pending``, ``left``, or the code of what disables the binding."""
        if self.binding is None:
            return "left"
        return "pending" if self.pending and self.binding.is_valid else self.binding.state

    @property
    def counts_the_grant(self) -> bool | None:
        """Whether the provider goes by the grant that the document holds; None if that is not known."""
        if self.host is None or self.binding is None:
            return None
        return self.host.state is HostState.BOUND and self.host.grant_digest == self.binding.digest

    def to_json(self) -> dict[str, object]:
        """Return the binding with both signers, its state, and what the provider says."""
        return {
            "provider": self.did,
            "role": "main" if self.role is Role.MAIN else "kit",
            "address": self.address,
            "state": self.state,
            "binding": self.binding.to_json() if self.binding is not None else None,
            "host": host_json(self.host) if self.host is not None else None,
            "error": self.error.to_json() if self.error is not None else None,
            "left_day": self.left_day,
        }


@dataclass(frozen=True, slots=True)
class ProviderOverview:
    """All providers of an identity.

    Attributes:
        identity: whose.
        providers: the bound ones, the main one first; then those that were left.
        kits: its exit kits; empty if it has none.
        kit_decided: whether the owner has said where the kit is, or that there is none.
    """

    identity: IdentityView
    providers: tuple[ProviderView, ...]
    kits: tuple[KitState, ...] = ()
    kit_decided: bool = False

    def to_json(self) -> dict[str, object]:
        """Return did, providers and kits."""
        return {
            "did": IdentityId(self.identity.public_key).did,
            "providers": [item.to_json() for item in self.providers],
            "kits": [item.to_json() for item in self.kits],
            "kit_decided": self.kit_decided,
        }


def host_json(host: HostStatus) -> dict[str, object]:
    """Return what a provider says of an identity."""
    return {
        "state": _HOST_STATES[host.state],
        "terms": host.terms.to_json() if host.terms is not None else None,
        "used_bytes": host.used_bytes,
        "blobs": host.blobs,
        "leaving_day": host.leaving_day,
        "grant_digest": host.grant_digest.hex() if host.grant_digest is not None else None,
    }


def list_providers(session: Session, who: str | None = None) -> list[ProviderOverview]:
    """Return the providers of one identity, or of all that have any, from what the wallet knows; nobody is asked.

    Raises:
        InputError: ``identity.unknown``.
    """
    wallet = session.snapshot().wallet
    memory = WalletMemory(wallet)
    chosen = [find(wallet, who)] if who is not None else list(wallet.identities)
    found = []
    for identity in chosen:
        book = read_book(session, identity.index)
        bindings = in_order(current_bindings(identity, memory), book)
        views = [_view(binding, role, book) for binding, role in bindings]
        views += [*_pending(identity, book), *_left(book)]
        if views or who is not None:
            found.append(ProviderOverview(identity, tuple(views), kit_decided=book.kit is not None))
    return found


def provider_status(
    session: Session,
    who: str,
    *,
    wanted: Mapping[bytes, int] | None = None,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
) -> ProviderOverview:
    """Ask each provider of an identity what it keeps, and look at the exit kit.

    A provider that does not answer is no error: its part says why.

    Args:
        session: the open wallet.
        who: label or id.
        wanted: id and version of each blob that there should be; None: by what the wallet remembers.
        offline: open no connection.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.

    Raises:
        InputError: ``identity.unknown``.
    """
    identity = find(session.snapshot().wallet, who)
    book = read_book(session, identity.index)
    progress(f"asking the providers of {identity.label}")
    with bound_places(session, identity, dialer if dialer is not None else dialer_for(offline)) as places:
        remembered = wanted if wanted is not None else remembered_versions(session, identity.index)
        return overview_of(identity, places, book, remembered)


def overview_of(
    identity: IdentityView, places: Places, book: ProviderBook, wanted: Mapping[bytes, int] | None = None
) -> ProviderOverview:
    """Return what there is to say of open places."""
    views = [_asked(place, book) for place in places.providers]
    return ProviderOverview(
        identity,
        (*views, *_pending(identity, book), *_left(book)),
        tuple(kit_state(places, book, wanted)),
        book.kit is not None,
    )


def _asked(place: ProviderPlace, book: ProviderBook) -> ProviderView:
    entry = book.get(place.provider)
    address = place.address.to_text() if place.address is not None else (entry.address if entry is not None else None)
    view = ProviderView(place.provider, place.role, address, place.binding, error=place.error)
    if place.client is None:
        return view
    try:
        return replace(view, host=place.client.status())
    except WalletError as error:
        return replace(view, error=error)


def _view(binding: Binding, role: Role, book: ProviderBook) -> ProviderView:
    provider = binding.grant.provider if binding.grant is not None else b""
    entry = book.get(provider)
    return ProviderView(provider, role, entry.address if entry is not None else None, binding)


def _pending(identity: IdentityView, book: ProviderBook) -> list[ProviderView]:
    """Return the bindings that are decided and stand in no signed document yet."""
    document = last_document(identity)
    signed = document.bindings if document is not None else ()
    found = []
    for data in identity.bindings or ():
        grant = read_grant(data) if data not in signed else None
        if grant is not None:
            entry = book.get(grant.provider)
            role, address = (entry.role, entry.address) if entry is not None else (Role.MAIN, None)
            binding = binding_of(data, identity.public_key, today(time.time()))
            found.append(ProviderView(grant.provider, role, address, binding, pending=True))
    return found


def _left(book: ProviderBook) -> list[ProviderView]:
    left = [entry for entry in book.entries if entry.left_day is not None]
    return [_left_view(entry) for entry in sorted(left, key=lambda entry: (-(entry.left_day or 0), entry.address))]


def _left_view(entry: ProviderEntry) -> ProviderView:
    return ProviderView(entry.provider, entry.role, entry.address, left_day=entry.left_day)
