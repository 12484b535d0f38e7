"""Seals what an identity keeps at its places to this device as well, once its new record names it.

Spec: docs/spec/recovery.md, "New record".
"""

from __future__ import annotations

import os
from dataclasses import replace

from walletcli.errors import VaultError, WalletError
from walletcli.wallet.recovery.journal import Entry
from walletcli.wallet.recovery.run import Run
from walletcli.wallet.sealed.access import open_data
from walletcli.wallet.sealed.locking import data_lock
from walletcli.wallet.sealed.sync import SyncWish, sync_data
from walletcli.wallet.state.view import IdentityView

_DATA = frozenset({"contacts", "settings", "file"})


def reseal(run: Run) -> None:
    """Bring the data of each identity in step whose new record is published; one that fails keeps no other from it.

    Args:
        run: has settled.

    Raises:
        VaultError: ``vault.*``, ``agent.*``, ``drawer.changed``.
    """
    views = {view.index: view for view in run.wallet.identities}
    ready = [entry for entry in run.journal.entries if _is_due(entry, views.get(entry.index))]
    ready.sort(key=lambda _: os.urandom(16))
    for entry in ready:
        view = views[entry.index]
        run.progress(f"sealing the data of {view.label} to this device")
        error = _reseal_one(run, view)
        waits = entry.waits if error is None else (error.code, error.message)
        run.journal.put(replace(entry, waits=waits, is_resealed=error is None))
        run.write_if_due()
    run.write()


def _is_due(entry: Entry, view: IdentityView | None) -> bool:
    if view is None or view.stored is None or view.unseen or view.changed or view.retired is not None:
        return False
    return not entry.is_resealed and any(item.kind in _DATA for item in entry.items)


def _reseal_one(run: Run, view: IdentityView) -> WalletError | None:
    """Return why it did not work, or None; nowhere to write is no failure: the data is as safe as before."""
    try:
        with data_lock(run.session.home, view.index), open_data(run.session, view, run.dialer) as data:
            if data.places.usable:
                sync_data(data, SyncWish(), is_newest=True, progress=run.progress)
    except VaultError:
        raise
    except WalletError as error:
        return error
    return None
