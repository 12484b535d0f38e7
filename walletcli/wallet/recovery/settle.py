"""Takes identities up again: a new record that leaves the lost devices out and has this one in, signed and published.

Spec: docs/spec/recovery.md, "New record".
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace

from walletcli.core.identity_id import IdentityId
from walletcli.errors import VerificationError, WalletError
from walletcli.wallet.pacing import random_pauses
from walletcli.wallet.providers.book import read_book
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.recovery.journal import Entry
from walletcli.wallet.recovery.run import Run
from walletcli.wallet.state.changes import RevokeDevices
from walletcli.wallet.state.draft import last_document, needs_document
from walletcli.wallet.state.view import IdentityView

_NO_ANSWER = frozenset({"host.unreachable", "host.timeout", "network.offline"})


def settle(run: Run) -> None:
    """Sign and publish the next record of each identity that was found, in random order; those that must wait do.

    An identity that fails keeps no other from being done.

    Args:
        run: has searched and read.

    Raises:
        VaultError: ``vault.*``, ``agent.*``, ``drawer.changed``.
    """
    views = {view.index: view for view in run.wallet.identities}
    ready: list[Entry] = []
    for entry in run.journal.entries:
        view = views.get(entry.index)
        if view is None or view.retired is not None:
            continue
        error = _why_wait(entry, view, run.journal.plan.sources)
        if error is not None:
            run.journal.put(replace(entry, waits=(error.code, error.message)))
        elif not _is_settled(view, _addresses(run, view.index)):
            ready.append(entry)
        elif entry.waits:
            run.journal.put(replace(entry, waits=()))
    ready.sort(key=lambda _: os.urandom(16))
    for number, (entry, wait_s) in enumerate(
        zip(ready, random_pauses(len(ready), run.journal.plan.pace_s), strict=True)
    ):
        if wait_s:
            run.wait(wait_s, f"the next record is published ({number} of {len(ready)} are)")
        waits = _settle_one(run, entry, views[entry.index])
        run.journal.put(replace(entry, waits=waits))
        run.write_if_due()
    run.write()


def _why_wait(entry: Entry, view: IdentityView, sources: int) -> WalletError | None:
    """Return why nothing may be signed yet, or None if it may."""
    if entry.blocked == "record.pending":
        return VerificationError(
            "record.pending", "there is a newer packet whose document could not be had: nothing is signed below it"
        )
    if entry.blocked:
        return VerificationError(
            "record.equivocation", f"what was shown must not be built upon ({entry.blocked}): nothing is signed"
        )
    if view.unseen:
        return VerificationError(
            "recovery.sources",
            f"{len(entry.answered)} of {sources} independent sources have answered: a newer record may be held back",
            "name more with: walletcli wallet recover --relay URL; or accept fewer with --sources N",
        )
    return None


def _addresses(run: Run, index: int) -> list[str]:
    """Return where a record goes: to the relays and the providers that answer."""
    silent = {address for address, relay in run.relays.items() if relay.silent}
    silent.update(place.place for place in run.places if place.error in _NO_ANSWER)
    providers = [entry.address for entry in read_book(run.session, index).entries if entry.left_day is None]
    return [address for address in dict.fromkeys((*run.journal.plan.relays, *providers)) if address not in silent]


def _is_settled(view: IdentityView, addresses: Sequence[str]) -> bool:
    """Tell whether the newest record says what the wallet says, and is wherever it should be."""
    if needs_document(view, time.time()) or view.stored is None:
        return False
    return set(addresses) <= set(view.stored.relays)


def _settle_one(run: Run, entry: Entry, view: IdentityView) -> tuple[str, ...]:
    """Sign and publish; return code and message of what did not work, or nothing."""
    plan = run.journal.plan
    addresses = _addresses(run, view.index)
    if not addresses:
        return "relay.none", "no relay that answers is known to publish to"
    try:
        if not plan.keep_devices:
            _leave_out_lost(run, entry, view)
        published = publish_identity(
            run.session,
            IdentityId(view.public_key).did,
            addresses,
            plan.accept_link,
            1,
            is_patient=False,  # the other identities are not to wait for a key that may be elsewhere
            dialer=run.dialer,
            progress=run.progress,
        )
    except WalletError as error:
        return error.code, error.message
    failed = [f"{failure.address}: {failure.message}" for failure in published.failed]
    return ("publish.short", f"not stored everywhere: {'; '.join(failed)}") if failed else ()


def _leave_out_lost(run: Run, entry: Entry, view: IdentityView) -> None:
    document = last_document(view)
    there = {item.signing_key for item in document.delegations} if document is not None else set()
    lost = [
        device.signing_key
        for device in entry.devices
        if device.signing_key in there
        and not device.is_a_nodes
        and device.signing_key not in (view.device_signing_key, *view.revoked)
    ]
    if lost:
        run.session.apply(RevokeDevices(view.index, tuple(lost)))
