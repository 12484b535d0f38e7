"""Moves an identity to another provider, whether the old one agrees, refuses or is dead, and can be run again.

Spec: docs/spec/migration.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from walletcli.client.copying import CopyReport
from walletcli.client.publish import Stored
from walletcli.core.identity_id import IdentityId
from walletcli.errors import PartialError, WalletError
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.providers.migration_steps import MigrateWish, MigrationRun, main_entry
from walletcli.wallet.providers.move_report import MoveReport
from walletcli.wallet.route import dialer_for
from walletcli.wallet.state.lookup import find
from walletcli.wallet.state.view import IdentityView

__all__ = ["MigrateWish", "Migrated", "migrate"]


@dataclass(frozen=True, slots=True)
class Migrated:
    """An identity that has moved.

    Attributes:
        identity: which.
        old: root key of the provider that was left (32 bytes), or None if that is not remembered.
        new: root key of the new one, 32 bytes.
        address: of the new one.
        report: what became of the data.
        stored: where the record is that says so; None if that was done by an earlier run.
        told_error: why the old provider could not be told, or None.
        kit_reports: what became of each exit kit.
        shortfall: what is not as it should be though the identity has moved, or None.
    """

    identity: IdentityView
    old: bytes | None
    new: bytes
    address: str
    report: MoveReport
    stored: Stored | None = None
    told_error: WalletError | None = None
    kit_reports: tuple[CopyReport, ...] = ()
    shortfall: WalletError | None = None

    def to_json(self) -> dict[str, object]:
        """Return who moved from where to where, and what became of each item."""
        error = self.report.old_error
        return {
            "did": IdentityId(self.identity.public_key).did,
            "from": {
                "provider": IdentityId(self.old).did if self.old is not None else None,
                "state": self.report.old,
                "error": {"code": error.code, "message": error.message} if error is not None else None,
                "told": self.told_error is None,
            },
            "to": {"provider": IdentityId(self.new).did, "address": self.address},
            "stage": "done",
            "report": self.report.to_json(),
            "stored": self.stored.to_json() if self.stored is not None else None,
            "kit_reports": [report.to_json() for report in self.kit_reports],
        }


def migrate(
    session: Session,
    who: str,
    wish: MigrateWish,
    *,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
) -> Migrated:
    """Move an identity to another provider, or go on with a move that was interrupted.

    Args:
        session: the open wallet.
        who: label or id.
        wish: what the owner wants.
        offline: open no connection.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.

    Raises:
        InputError: ``migration.none``, ``migration.under-way``, ``migration.aborting``, ``migration.same``,
            ``identity.unknown``, ``identity.retired``, ``provider.*``, ``link.would-link``.
        NetworkError: ``host.*``, ``blob.*`` of the new provider, ``provider.not-counted``, ``provider.lost``, and what
            publishing ends in. That too few relays have the record is told by the result.
        VerificationError: ``host.*``, ``publish.newer-exists``.
        SignerError: ``request.*``, and what a wallet without the root key ends in.
    """
    route = dialer if dialer is not None else dialer_for(offline)
    identity = find(session.snapshot().wallet, who)
    run = MigrationRun(session, identity.index, wish, route, progress)
    if run.book.journal is None:
        if run.is_there_already():
            return _done_before(run)
        run.begin()
    run.check_goes_on()
    journal = run.journal
    run.sign()
    run.copy()
    run.tell()
    report = run.finish()
    return Migrated(
        run.identity,
        journal.old,
        journal.new,
        journal.address,
        report,
        run.stored,
        run.told_error,
        tuple(run.kit_reports),
        _lost(report, identity) or run.shortfall,
    )


def _done_before(run: MigrationRun) -> Migrated:
    """Return what the last migration came to, for it has brought the identity where it is to go."""
    book, identity = run.book, run.identity
    there = main_entry(identity, book)
    assert there is not None
    assert book.last is not None
    left = [entry for entry in book.entries if entry.left_day is not None]
    old = max(left, key=lambda entry: entry.left_day or 0).provider if left else None
    report = book.last[1]
    return Migrated(identity, old, there.provider, there.address, report, shortfall=_lost(report, identity))


def _lost(report: MoveReport, identity: IdentityView) -> PartialError | None:
    if report.is_complete:
        return None
    if not report.indexed:
        return PartialError(
            "migration.unknown",
            f"the index of what {identity.label!r} keeps was not found, so nobody knows whether something is missing",
            "see the result for what could not be used; look for another copy of the exit kit",
        )
    return PartialError(
        "migration.lost",
        f"{report.lost_files} of {len(report.items)} items are not back in their newest state",
        "the result names each; store them again from where you have them",
    )
