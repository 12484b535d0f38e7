"""Takes home everything that a provider holds of an identity: as an exit kit, each blob verified.

Spec: docs/spec/providers.md, "Export".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from walletcli.client.copying import CopyReport, copy
from walletcli.client.kit import DirectoryPlace
from walletcli.core.identity_id import IdentityId
from walletcli.errors import InputError, PartialError
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.linkability import FILE_ROUTE, accepted_keys, find_links
from walletcli.wallet.providers.book import read_book
from walletcli.wallet.providers.exit_kits import remembered_versions, write_kit_head
from walletcli.wallet.providers.links import kit_link
from walletcli.wallet.providers.naming import named_provider
from walletcli.wallet.providers.places import access_to, open_provider, writers_of
from walletcli.wallet.route import dialer_for
from walletcli.wallet.state.changes import PlanPublish
from walletcli.wallet.state.lookup import find
from walletcli.wallet.state.view import IdentityView


@dataclass(frozen=True, slots=True)
class Exported:
    """What was taken from a provider.

    Attributes:
        identity: whose data.
        provider: root key, 32 bytes.
        directory: absolute path of the exit kit.
        report: what became of each blob.
    """

    identity: IdentityView
    provider: bytes
    directory: str
    report: CopyReport

    @property
    def shortfall(self) -> PartialError | None:
        """What is not in the directory, or None if everything is."""
        report = self.report
        if report.is_complete:
            return None
        bad = len(report.failed) + len(report.missing)
        why = f": {report.stopped.message}" if report.stopped is not None else ""
        return PartialError(
            "provider.export-partial",
            f"{bad} blobs could not be taken from {report.source}{why}",
            "run the same command again: what is there stays; see the exit kit for what is missing",
        )

    def to_json(self) -> dict[str, object]:
        """Return whose data is where, and the report with every blob."""
        return {
            "did": IdentityId(self.identity.public_key).did,
            "provider": IdentityId(self.provider).did,
            "directory": self.directory,
            "items": [
                {"blob": item.blob_id.hex(), "version": item.version, "bytes": item.manifest.length_bytes}
                for item in sorted((*self.report.copied, *self.report.same), key=lambda item: item.blob_id)
            ],
            "report": self.report.to_json(),
        }


def export_data(
    session: Session,
    who: str,
    directory: str,
    *,
    provider: str | None = None,
    accept_link: bool = False,
    wanted: Mapping[bytes, int] | None = None,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
) -> Exported:
    """Copy everything that a provider holds of an identity into a directory, in the form of an exit kit.

    Args:
        session: the open wallet.
        who: label or id.
        directory: a new one, an empty one, or one that an export of this identity was made to before.
        provider: an id in any form, or an address; None: the main provider.
        accept_link: go ahead where the directory ties identities together; remembered.
        wanted: id and version of each blob that there should be; None: what the wallet remembers.
        offline: open no connection.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.

    Raises:
        InputError: ``identity.unknown``, ``provider.unknown``, ``provider.none``, ``record.none``, ``link.would-link``.
        NetworkError: ``host.*``, ``provider.no-address``.
        StorageError: ``exit-kit.*``, ``storage.*``.
        VerificationError: ``exit-kit.identity``, ``exit-kit.newer``.
    """
    route = dialer if dialer is not None else dialer_for(offline)
    wallet = session.snapshot().wallet
    identity = find(wallet, who)
    if identity.record is None:
        raise InputError("record.none", f"nothing has been signed of {identity.label!r} yet", "publish it first")
    book = read_book(session, identity.index)
    key = named_provider(identity, book, provider)
    path = os.path.abspath(directory)
    links = [*find_links(wallet, identity, ()), *kit_link(session, identity, path)]
    accepted = accepted_keys([link for link in links if link.key not in identity.accepted_links], accept=accept_link)
    session.apply(PlanPublish(identity.index, (FILE_ROUTE,), accepted))
    writers = writers_of(identity)
    access, entry = access_to(session, identity, route), book.get(key)
    progress("reaching the provider")
    place = open_provider(access, key, writers, named=entry.address if entry is not None else None)
    try:
        if place.place is None:
            assert place.error is not None
            raise place.error
        target = DirectoryPlace(path, writers)
        write_kit_head(target, identity)
        remembered = wanted if wanted is not None else remembered_versions(session, identity.index)
        report = copy(
            place.place, target, remembered, lambda done, total: progress(f"copying: {done} of {total} bytes")
        )
    finally:
        place.close()
        access.memory.save(session)
    return Exported(identity, key, path, report)
