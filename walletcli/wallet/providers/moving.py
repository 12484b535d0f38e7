"""Brings an identity's sealed data to a new provider from wherever it is, and says what became of each item.

The newest index that anybody has says what there should be. What the provider that is left does not give, or not as it
should be, comes from the exit kits. What no place has is taken out of the index, so that nothing is named that is not
there, and is reported.

Spec: docs/spec/migration.md, "Data".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from walletcli.client.copying import CopyReport, Missing, copy
from walletcli.client.manifests import ItemFault, SignedManifest, Writers
from walletcli.client.places import Place
from walletcli.core.blob import INDEX_ID
from walletcli.errors import NetworkError, VerificationError, WalletError
from walletcli.wallet.providers.move_report import ItemOutcome, MoveReport, Outcome, Unusable
from walletcli.wallet.providers.sources import Resigned
from walletcli.wallet.sealed.index import PIECE_BYTES, Item, Kind, Piece, SealedIndex, padded_bytes
from walletcli.wallet.sealed.owner import Owner, index_context, piece_context
from walletcli.wallet.sealed.reading import SeenIndex, fetch_piece, read_index
from walletcli.wallet.sealed.slots import Listing, forgotten_ids
from walletcli.wallet.sealed.writing import DataWriter

Progress = Callable[[str], None]
"""Takes a line for whoever waits."""

DEAD: Final = frozenset(
    {"host.unreachable", "host.timeout", "host.failed", "provider.no-address", "tls.no-record", "tls.handshake",
     "network.transport", "network.offline", "storage.failed"}
)  # fmt: skip
"""Errors of a place that is not there."""


@dataclass(slots=True)
class Source:
    """A place that data may come from.

    Attributes:
        place: which; it goes by who may write, without what an index says.
        outcome: what an item is called that comes from there.
        seen: the index that it gave, or None.
        error: why it could not be used, or not to the end.
    """

    place: Place
    outcome: Outcome
    seen: SeenIndex | None = None
    error: WalletError | None = None


def state_of(error: WalletError | None) -> str:
    """Return in one word how a provider took it: ``agreed``, ``dead``, ``unreliable`` or ``refused``."""
    if error is None:
        return "agreed"
    if error.code in DEAD:
        return "dead"
    if isinstance(error, VerificationError) or error.code in ("host.bad-answer", "host.too-much"):
        return "unreliable"
    return "refused"


def move_data(
    sources: Sequence[Source], target: Place, owner: Owner, known: SeenIndex | None, progress: Progress
) -> MoveReport:
    """Bring everything to `target` that the newest index names, and what else the sources list.

    Run again it goes on with what is missing. Failures of sources are in the report; failures of the target are raised,
    for without it nothing can be brought anywhere.

    Args:
        sources: the provider that is left, if it lets us in, then the exit kits.
        target: the new provider, logged in; it goes by who may write.
        owner: this device.
        known: the index that this wallet saw last, or None.
        progress: takes a line per step.

    Raises:
        NetworkError: ``provider.lost`` when the target does not have what it has just acknowledged; ``host.*``,
            ``blob.quota``.
        VerificationError: ``blob.*`` of the target.
    """
    move = _Move(list(sources), target, owner, progress)
    move.find_newest(known)
    move.copy_all()
    move.read_back()
    return move.settle()


@dataclass(slots=True)
class _Move:
    sources: list[Source]
    target: Place
    owner: Owner
    progress: Progress
    newest: SeenIndex | None = None
    origin: dict[bytes, Outcome] = field(default_factory=dict)
    held: dict[bytes, SignedManifest] = field(default_factory=dict)
    faults: list[ItemFault] = field(default_factory=list)
    copied_bytes: int = 0

    @property
    def writers(self) -> Writers:
        base = self.target.writers
        return self.newest.writers(base) if self.newest is not None else base

    @property
    def wanted(self) -> dict[bytes, tuple[int, bytes]]:
        """Version and hash of every blob that there should be, by the newest index."""
        if self.newest is None:
            return {}
        return {**self.newest.index.pins, INDEX_ID: (self.newest.version, self.newest.content_hash)}

    # what there should be

    def find_newest(self, known: SeenIndex | None) -> None:
        """Find the newest index: the one that the wallet remembers, or a newer one that a place gives."""
        self.newest = known if known is not None and known.version else None
        for source in self.sources:
            try:
                source.seen = read_index(self._pinned(source.place), self.owner.unseal)
            except WalletError as error:
                self.faults.append(ItemFault(INDEX_ID, error, source.place.name))
                continue
            self._consider(source.seen)
        try:
            self._consider(read_index(self._pinned(self.target), self.owner.unseal))
        except WalletError as error:
            if state_of(error) == "dead":
                raise

    def _pinned(self, place: Place) -> Place:
        """Return a place that may give what the newest index names, whoever has signed it, and older states as well."""
        return place.believing(replace(self.writers, known={}))

    def _consider(self, seen: SeenIndex | None) -> None:
        if seen is not None and (self.newest is None or seen.version > self.newest.version):
            self.newest = seen

    # copying

    def copy_all(self) -> None:
        """Copy from each source what the target does not have, until it has everything."""
        self._list_target()
        self.origin = dict.fromkeys(self.held, Outcome.THERE)
        for source in self.sources:
            if self.newest is not None and not self.missing():
                break
            report = self._copy(source)
            for item in report.copied:
                self.origin[item.blob_id] = source.outcome
            self.held.update({item.blob_id: item for item in (*report.copied, *report.same)})
            self.copied_bytes += report.copied_bytes
            self.faults += report.failed
            self._raise_of_target(report)
            source.error = report.stopped or _lie_in(report.failed, source)

    def _copy(self, source: Source) -> CopyReport:
        name = source.place.name
        place = Resigned(source.place.believing(self.writers), self.owner)
        return copy(
            place,
            self.target.believing(self.writers),
            progress=lambda done, total: self.progress(f"copying from {name}: {_part(done, total)}"),
        )

    def _raise_of_target(self, report: CopyReport) -> None:
        """Raise what the target ends in; what the source ends in is in the report."""
        for fault in report.failed:
            if fault.name == self.target.name:
                raise fault.error

    def missing(self) -> list[bytes]:
        """Return the ids of blobs that the index names and the target does not have as it should."""
        return [blob_id for blob_id, named in self.wanted.items() if not self._has(blob_id, named)]

    def _has(self, blob_id: bytes, named: tuple[int, bytes]) -> bool:
        there = self.held.get(blob_id)
        return there is not None and (there.version, there.manifest.content_hash) == named

    # verifying

    def _list_target(self) -> None:
        self.held = dict(Listing.of(self.target.believing(self.writers)).manifests)

    def read_back(self) -> None:
        """Ask the target for everything that it should have now: each blob that is named is read and checked.

        Raises:
            NetworkError: ``provider.lost``.
        """
        copied = {blob_id: self.held[blob_id].version for blob_id in self.held}
        self._list_target()
        lost = [
            blob_id
            for blob_id, version in copied.items()
            if blob_id not in self.held or self.held[blob_id].version < version
        ]
        place = self.target.believing(self.writers)
        named = sorted(blob_id for blob_id in self.wanted if blob_id in self.held)
        for number, blob_id in enumerate(named):
            self.progress(f"reading back from {place.name}: {_part(number, len(named))}")
            if place.get(blob_id, self.held[blob_id]) is None:
                lost.append(blob_id)
        if lost:
            raise NetworkError(
                "provider.lost",
                f"{place.name} took {len(lost)} blobs and does not have them, such as {lost[0].hex()}",
                "do not rely on it: leave it with `provider migrate --abort`, and choose another one",
            )

    # what is left

    def settle(self) -> MoveReport:
        """Say what became of each item, and write a new index if the newest one names what is not there."""
        lost = {blob_id for blob_id in self.missing() if blob_id != INDEX_ID}
        outcomes: list[ItemOutcome] = []
        index = self.newest.index if self.newest is not None else None
        for item in index.items if index is not None else ():
            outcome, other = self._outcome(item, lost)
            outcomes.append(_said(item, outcome, other))
            if outcome in (Outcome.LOST, Outcome.VAULT):
                index = index.without(item.kind, item.name) if index is not None else None
            elif other is not None and index is not None:
                index = index.with_item(other)
        if self.newest is not None and index is not None:
            is_there = self._has(INDEX_ID, self.wanted[INDEX_ID])
            if index != self.newest.index or not is_there:
                self._write_index(index)
        return self._report(outcomes, lost)

    def _outcome(self, item: Item, lost: set[bytes]) -> tuple[Outcome, Item | None]:
        """Return what became of an item, and the older state that is there instead, if it came back as such."""
        ids = [piece.blob_id for piece in item.pieces]
        if not lost.intersection(ids):
            came = {self.origin.get(blob_id, Outcome.THERE) for blob_id in ids}
            kinds = (Outcome.KIT, Outcome.MOVED, Outcome.THERE)
            return next(outcome for outcome in kinds if outcome in came), None
        if item.kind is Kind.SYSTEM:
            return Outcome.VAULT, None
        older = self._older(item)
        return (Outcome.OLDER, older) if older is not None else (Outcome.LOST, None)

    def _older(self, item: Item) -> Item | None:
        """Store the newest older state of an item that a source has in full; None if there is none."""
        indexes = sorted(
            (source.seen for source in self.sources if source.seen is not None),
            key=lambda seen: seen.version,
            reverse=True,
        )
        for seen in indexes:
            other = seen.index.get(item.kind, item.name)
            if other is None or other.is_same(item):
                continue
            try:
                return self._store_again(other, seen)
            except WalletError as error:
                self._raise_if_targets(error)
                self.faults.append(ItemFault(None, error, item.name))
        return None

    def _raise_if_targets(self, error: WalletError) -> None:
        """Tell a full or dead target from a source that does not give a piece."""
        if error.code in ("blob.quota", "host.full", "host.not-bound"):
            raise error

    def _store_again(self, item: Item, seen: SeenIndex) -> Item:
        """Store an item's pieces under new ids, one by one, so that a large one needs no more memory."""
        writer = DataWriter(self.target.believing(self.writers), self.owner, self.newest)
        pieces = [writer.store_piece(content) for content in self._checked(item, seen)]
        return replace(item, pieces=tuple(pieces), recipients=self.owner.recipients)

    def _checked(self, item: Item, seen: SeenIndex) -> Iterator[bytes]:
        padded = padded_bytes(item.length_bytes)
        for number, piece in enumerate(item.pieces):
            content = self._piece(piece, seen)
            if len(content) != min(PIECE_BYTES, padded - number * PIECE_BYTES):
                raise VerificationError("data.damaged", "a piece has another length than the index gives")
            yield content

    def _piece(self, piece: Piece, seen: SeenIndex) -> bytes:
        first: WalletError | None = None
        for source in self.sources:
            try:
                place = source.place.believing(seen.writers(source.place.writers))
                blob = fetch_piece(place, piece)
            except WalletError as error:
                first = first or error
                continue
            return self.owner.unseal(blob.content, piece_context(self.owner.identity, piece.blob_id))
        raise first or VerificationError("data.damaged", "there is no place to read from")

    def _write_index(self, index: SealedIndex) -> None:
        """Store an index that follows the newest one: whoever has seen that takes this one for its successor."""
        assert self.newest is not None
        listing = Listing.of(self.target.believing(self.writers))
        replaces = listing.version(INDEX_ID)
        version = max(self.newest.version, replaces) + 1
        wanted = replace(index.with_free(forgotten_ids(index, listing)), replaces=self.newest.content_hash or None)
        sealed = self.owner.seal(wanted.to_bytes(), index_context(self.owner.identity))
        self.target.put(self.owner.manifest(INDEX_ID, version, sealed), sealed, replaces)

    def _report(self, outcomes: Sequence[ItemOutcome], lost: set[bytes]) -> MoveReport:
        wanted = self.wanted
        count = list(self.origin.values()).count
        return MoveReport(
            tuple(outcomes),
            count(Outcome.MOVED),
            count(Outcome.THERE),
            count(Outcome.KIT),
            self.copied_bytes,
            tuple(Missing(blob_id, wanted[blob_id][0], self._found(blob_id)) for blob_id in sorted(lost)),
            tuple(self._unusable()),
            self.newest is not None or not self._has_anything(),
        )

    def _found(self, blob_id: bytes) -> int:
        return self.held[blob_id].version if blob_id in self.held else 0

    def _has_anything(self) -> bool:
        return bool(self.held or self.faults)

    def _unusable(self) -> Iterator[Unusable]:
        """Give what was wrong with blobs that are not at the target now; what nobody names is left out."""
        done: set[tuple[bytes | None, str]] = set()
        for fault in self.faults:
            key = fault.blob_id, fault.name
            named = self.newest is None or fault.blob_id is None or fault.blob_id in self.wanted
            ok = fault.blob_id is not None and self._is_there(fault.blob_id)
            if named and not ok and key not in done:
                done.add(key)
                yield Unusable(fault.blob_id, fault.name, fault.error.code, fault.error.message)

    def _is_there(self, blob_id: bytes) -> bool:
        named = self.wanted.get(blob_id)
        return self._has(blob_id, named) if named is not None else blob_id in self.held


def _lie_in(faults: Sequence[ItemFault], source: Source) -> WalletError | None:
    """Return the first error that a source answers for, though it went on; None if there is none."""
    return next((fault.error for fault in faults if fault.name == source.place.name), None)


def _said(item: Item, outcome: Outcome, other: Item | None) -> ItemOutcome:
    found_s = other.stored_s if other is not None else None
    return ItemOutcome(item.kind is Kind.FILE, item.name, item.length_bytes, item.stored_s, outcome, found_s)


def _part(done: int, total: int) -> str:
    return f"{100 * done // total if total else 100} %"
