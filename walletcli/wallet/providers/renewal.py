"""Renews grants before they end, so that a binding does not lapse because nobody looked.

Spec: docs/spec/providers.md, "Renewing".
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from walletcli.core.bindings import Binding
from walletcli.core.grant import VerifiedGrant
from walletcli.core.identity_id import IdentityId
from walletcli.errors import WalletError
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.providers.book import change_book, read_book
from walletcli.wallet.providers.grants import request_grant, with_grants
from walletcli.wallet.providers.places import Access, Places, ProviderPlace, access_to
from walletcli.wallet.state.changes import SetBindings
from walletcli.wallet.state.draft import today
from walletcli.wallet.state.view import IdentityView

RENEW_DAYS: Final = 30
"""A grant with fewer days left is renewed; one that lasts shorter, in the last third of its life."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """What became of one grant that ends soon.

    Attributes:
        provider: root key, 32 bytes.
        not_after_day: first day on which the grant no longer holds: of the new one, or of the old one if there is none.
        error: why it was not renewed, or None.
    """

    provider: bytes
    not_after_day: int
    error: WalletError | None = None

    def to_json(self) -> dict[str, object]:
        """Return provider, last day and error."""
        return {
            "provider": IdentityId(self.provider).did,
            "not_after_day": self.not_after_day,
            "error": self.error.to_json() if self.error is not None else None,
        }


def ends_soon(binding: Binding, day: int) -> bool:
    """Tell whether a binding's grant is to be renewed.

    Args:
        binding: any.
        day: today, days since 1970-01-01 (UTC).
    """
    grant = binding.grant
    if grant is None:
        return False
    lasts = grant.not_after_day - grant.not_before_day
    return grant.not_after_day - day < min(RENEW_DAYS, max(1, lasts // 3))


def renew_grants(
    session: Session, identity: IdentityView, places: Places, dialer: Dialer, *, progress: Progress = silent
) -> list[Renewal]:
    """Ask for new grants in place of those that end soon, under the same terms; the next document has them.

    Nothing is signed or published here. One that is refused stays as it is, and the result says why. During a migration
    nothing is renewed: the bindings are about to change.

    Args:
        session: the open wallet.
        identity: whose bindings.
        places: open, as the identity's document has them.
        dialer: opens connections.
        progress: takes a line per step.
    """
    if read_book(session, identity.index).journal is not None or identity.retired is not None:
        return []
    day = today(time.time())
    due = [item for item in places.usable if item.binding is not None and ends_soon(item.binding, day)]
    access = access_to(session, identity, dialer)
    found, granted = [], []
    for place in due:
        try:
            grant = _renewed(access, place, progress)
        except WalletError as error:
            found.append(Renewal(place.provider, _last_day(place), error))
            continue
        granted.append((grant.data, place.role))
        found.append(Renewal(place.provider, grant.grant.not_after_day))
    if granted:

        def bindings() -> Sequence[SetBindings]:
            now = session.snapshot().wallet.by_index(identity.index)
            return [SetBindings(identity.index, with_grants(now, granted))]

        change_book(session, identity.index, lambda book: book, bindings)
    access.memory.save(session)
    return found


def _renewed(access: Access, place: ProviderPlace, progress: Progress) -> VerifiedGrant:
    assert place.client is not None
    assert place.address is not None
    assert place.binding is not None
    assert place.binding.grant is not None
    quota = place.binding.grant.terms.quota_bytes
    return request_grant(access, place.client, place.address, access.relays, quota, None, progress)


def _last_day(place: ProviderPlace) -> int:
    grant = place.binding.grant if place.binding is not None else None
    return grant.not_after_day if grant is not None else 0
