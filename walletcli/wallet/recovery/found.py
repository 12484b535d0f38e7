"""What an answer, or an exit kit, means for an identity: a record to hold, or the reason why there is none.

Spec: docs/spec/recovery.md, "Freshness".
"""

from __future__ import annotations

from dataclasses import dataclass

from walletcli.client.independence import independent
from walletcli.client.resolution import Outcome, Resolution
from walletcli.client.scan import Scanned
from walletcli.core.exit_kit import ExitKitHead
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.errors import VerificationError, WalletError
from walletcli.wallet.recovery.asking import Looked
from walletcli.wallet.recovery.journal import Missing


@dataclass(frozen=True, slots=True)
class KitRecord:
    """The record in an exit kit.

    Attributes:
        path: of the kit.
        head: verified.
    """

    path: str
    head: ExitKitHead


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """The newest record that could be had of an identity.

    Attributes:
        index: in the key tree.
        record: with its document.
        place: who gave it: a relay, or the path of an exit kit.
        day: of the exit kit that it comes from, or the latest date in it, days since 1970-01-01; None if it has none.
        answered: independent sources that said what they have.
        blocked: code of what keeps anything from being signed on it, or empty.
    """

    index: int
    record: Record
    place: str
    day: int | None
    answered: tuple[str, ...]
    blocked: str = ""


def newest(index: int, looked: Looked | None, kit: KitRecord | None, held: Record | None) -> FoundRecord | None:
    """Return the newest record of an identity that is to be had, or None where nobody has one with its document.

    Args:
        index: in the key tree.
        looked: what relays said.
        kit: the exit kit with the newest record, or None.
        held: the record that the wallet has already, or None.
    """
    reports = looked.scanned.sources if looked is not None else ()
    sources = independent(source.address for source in reports if source.is_answer)
    resolution = looked.scanned.resolution if looked is not None else None
    blocked = _blocked(resolution) if resolution is not None else _refusal(looked)
    candidates: list[FoundRecord] = []
    if resolution is not None and resolution.record.document is not None:
        current = [source.address for source in resolution.sources if source.outcome is Outcome.CURRENT]
        place, day = current[0] if current else "", resolution.latest_day
        candidates.append(FoundRecord(index, resolution.record, place, day, sources, blocked))
    if kit is not None:
        candidates.append(FoundRecord(index, kit.head.record, kit.path, kit.head.day, sources, blocked))
    if held is not None:
        candidates.append(FoundRecord(index, held, "", None, sources, blocked))
    return max(candidates, key=lambda found: found.record.packet.seq, default=None)  # the first one of equals


def why_not(key: bytes, looked: Looked) -> Missing | None:
    """Return why an identity that exists has no record that could be taken; None where nobody has shown one.

    Args:
        key: root key, 32 bytes.
        looked: what relays said.
    """
    if not looked.exists:
        return None
    did = IdentityId(key).did
    scanned = looked.scanned
    places = ", ".join(source.address for source in scanned.sources if source.seq is not None)
    return Missing.of("record", _reason(scanned), did, places)


def _reason(scanned: Scanned) -> WalletError:
    resolution = scanned.resolution
    if resolution is None:
        assert scanned.error is not None
        return scanned.error
    if resolution.pending is not None or resolution.record.is_pending:
        return VerificationError("record.pending", "the document that its packet names could not be had")
    return VerificationError(
        "recovery.foreign",
        "its packet was made by another program: it names no document",
        "publish the identity with that program",
    )


def _blocked(resolution: Resolution) -> str:
    if resolution.pending is not None and resolution.pending.seq > resolution.record.packet.seq:
        return "record.pending"
    return "record.equivocation" if resolution.open_splits else ""


def _refusal(looked: Looked | None) -> str:
    """Return the code of what was shown and must not be built upon, where nothing could be chosen."""
    error = looked.scanned.error if looked is not None and looked.exists else None
    return error.code if error is not None and error.code != "record.stale" else ""
