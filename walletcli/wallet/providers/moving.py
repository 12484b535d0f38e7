"""Brings an identity's sealed data to a new provider from wherever it is, and says what became of each item.

The newest index that anybody has says what there should be. What the provider that is left does not give, or not as it
should be, comes from the exit kits. What no place has is taken out of the index, so that nothing is named that is not
there, and is reported.

Spec: docs/spec/migration.md, "Data"; docs/spec/sealed-data.md, "Putting back".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from walletcli.client.copying import CopyReport, Missing, copy
from walletcli.client.manifests import ItemFault, SignedManifest
from walletcli.client.places import Place
from walletcli.core.blob import INDEX_ID
from walletcli.errors import NetworkError, VerificationError, WalletError
from walletcli.wallet.providers.move_report import ItemOutcome, MoveReport, Outcome, Unusable
from walletcli.wallet.providers.places import NOT_THERE
from walletcli.wallet.sealed.index import Item, Kind
from walletcli.wallet.sealed.owner import Owner
from walletcli.wallet.sealed.reading import SeenIndex, read_index
from walletcli.wallet.sealed.settling import LostItem, Settled, pinning, settle, source_of
from walletcli.wallet.sealed.slots import Listing

Progress = Callable[[str], None]
"""Takes a line for whoever waits."""


@dataclass(slots=True)
class Source:
    """A place that data may come from.

    Attributes:
        place: which; it goes by who may write, without what an index says.
        outcome: what an item is called that comes from there.
        error: why it could not be used, or not to the end; None as long as nothing is wrong with it.
    """

    place: Place
    outcome: Outcome
    error: WalletError | None = None


def state_of(error: WalletError | None) -> str:
    """Return in one word how a provider took it: ``agreed``, ``dead``, ``unreliable`` or ``refused``."""
    if error is None:
        return "agreed"
    if error.code in NOT_THERE:
        return "dead"
    if isinstance(error, VerificationError) or error.code in ("host.bad-answer", "host.too-much"):
        return "unreliable"
    return "refused"


def move_data(
    sources: Sequence[Source],
    target: Place,
    owner: Owner,
    known: SeenIndex | None,
    progress: Progress,
    note: Callable[[MoveReport], None],
    *,
    all_asked: bool = True,
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
        note: writes down what is lost before the index that still names it is replaced: the next run would not know.
        all_asked: no place is left out of the sources because it could not be reached: it may have had an index.

    Raises:
        NetworkError: ``provider.lost`` when the target does not have what it has just acknowledged; ``host.*``,
            ``blob.quota``.
        VerificationError: ``blob.*`` of the target.
    """
    move = _Move(target, owner, progress, all_asked)
    move.find_newest(list(sources), known)
    move.copy_all()
    move.read_back()
    return move.settle(note)


@dataclass(slots=True)
class _Move:
    target: Place
    owner: Owner
    progress: Progress
    all_asked: bool = True
    indices: list[SeenIndex] = field(default_factory=list)
    places: list[tuple[Source, Place]] = field(default_factory=list)
    origin: dict[bytes, Outcome] = field(default_factory=dict)
    held: dict[bytes, SignedManifest] = field(default_factory=dict)
    faults: list[ItemFault] = field(default_factory=list)
    copied_bytes: int = 0

    @property
    def newest(self) -> SeenIndex | None:
        """The index that counts."""
        return max(self.indices, key=lambda seen: seen.version, default=None)

    @property
    def wanted(self) -> dict[bytes, tuple[int, bytes]]:
        """Version and hash of every blob that there should be, by the newest index."""
        if (newest := self.newest) is None:
            return {}
        return {**newest.index.pins, INDEX_ID: (newest.version, newest.content_hash)}

    @property
    def there(self) -> Place:
        """The target, going by what the indices name."""
        return self.target.believing(pinning(self.target.writers, self.indices))

    # what there should be

    def find_newest(self, sources: list[Source], known: SeenIndex | None) -> None:
        """Find out what there should be: by the wallet's memory, and by what the places give."""
        self.indices = [known] if known is not None and known.version else []
        for source in sources:
            try:
                place, seen = source_of(source.place, self.owner, known)
            except WalletError as error:
                source.error = error
                self.faults.append(ItemFault(INDEX_ID, error, source.place.name))
                place, seen = source.place, None
            self.places.append((source, place))
            self.indices += [seen] if seen is not None else []
        try:
            own = read_index(self.there, self.owner.unseal)
        except WalletError as error:
            if state_of(error) == "dead":
                raise
        else:
            self.indices += [own] if own is not None else []

    # copying

    def copy_all(self) -> None:
        """Copy from each source what the target does not have, until it has everything."""
        self._list_target()
        self.origin = dict.fromkeys(self.held, Outcome.THERE)
        for source, place in self.places:
            if self.newest is not None and not self.missing():
                break
            report = self._copy(place)
            for item in report.copied:
                self.origin[item.blob_id] = source.outcome
            self.held.update({item.blob_id: item for item in (*report.copied, *report.same)})
            self.copied_bytes += report.copied_bytes
            self.faults += report.failed
            self._raise_of_target(report)
            source.error = report.stopped or self._lie_in(report, source) or source.error

    def _copy(self, place: Place) -> CopyReport:
        return copy(
            place,
            self.there,
            progress=lambda done, total: self.progress(f"copying from {place.name}: {_part(done, total)}"),
        )

    def _raise_of_target(self, report: CopyReport) -> None:
        """Raise what the target ends in; what the source ends in is in the report."""
        for fault in report.failed:
            if fault.name == self.target.name:
                raise fault.error

    def _lie_in(self, report: CopyReport, source: Source) -> WalletError | None:
        """Return what a source has to answer for though it went on: something wrong, or something that is not there."""
        for fault in report.failed:
            if fault.name == source.place.name:
                return fault.error
        missing = self.missing()
        if self.newest is None or not missing:
            return None
        return VerificationError(
            "blob.withheld",
            f"{source.place.name} does not give {len(missing)} of {len(self.wanted)} blobs as the index names them",
            "what is at another place is taken from there",
        )

    def missing(self) -> list[bytes]:
        """Return the ids of blobs that the index names and the target does not have as it should."""
        return [blob_id for blob_id, named in self.wanted.items() if not self._has(blob_id, named)]

    def _has(self, blob_id: bytes, named: tuple[int, bytes]) -> bool:
        there = self.held.get(blob_id)
        return there is not None and (there.version, there.manifest.content_hash) == named

    # verifying

    def _list_target(self) -> None:
        self.held = dict(Listing.of(self.there).manifests)

    def read_back(self) -> None:
        """Ask the target for everything that it should have now: each blob that is named is read and checked.

        Raises:
            NetworkError: ``provider.lost``.
        """
        copied = {blob_id: item.version for blob_id, item in self.held.items()}
        self._list_target()
        lost = [
            blob_id
            for blob_id, version in copied.items()
            if blob_id not in self.held or self.held[blob_id].version < version
        ]
        place = self.there
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

    def settle(self, note: Callable[[MoveReport], None]) -> MoveReport:
        """Say what became of each item, and have the target's index name what is there."""
        nothing_there = self.all_asked and not (self.held or self.faults)
        wanted, indexed = self.wanted, self.newest is not None or nothing_there
        settled = settle(self.owner, self.target, self.indices, accept_loss=False)
        report = self._report(settled, wanted, indexed=indexed)
        note(report)
        if settled.lost:
            settle(self.owner, self.target, self.indices)
        return report

    def _report(self, settled: Settled, wanted: dict[bytes, tuple[int, bytes]], *, indexed: bool) -> MoveReport:
        items = [self._whole(item) for item in settled.whole] + [_not_back(lost) for lost in settled.lost]
        count = list(self.origin.values()).count
        return MoveReport(
            tuple(sorted(items, key=lambda item: (item.is_file, item.name))),
            count(Outcome.MOVED),
            count(Outcome.THERE),
            count(Outcome.KIT),
            self.copied_bytes,
            tuple(self._lost_blobs(settled.lost)),
            tuple(self._unusable(wanted)),
            indexed,
        )

    def _whole(self, item: Item) -> ItemOutcome:
        came = {self.origin.get(piece.blob_id, Outcome.THERE) for piece in item.pieces}
        outcome = next(kind for kind in (Outcome.KIT, Outcome.MOVED, Outcome.THERE) if kind in came)
        return ItemOutcome(item.kind is Kind.FILE, item.name, item.length_bytes, item.stored_s, outcome)

    def _lost_blobs(self, lost: Sequence[LostItem]) -> Iterator[Missing]:
        for piece in (piece for item in lost for piece in item.missing):
            there = self.held.get(piece.blob_id)
            yield Missing(piece.blob_id, piece.version, there.version if there is not None else 0)

    def _unusable(self, wanted: dict[bytes, tuple[int, bytes]]) -> Iterator[Unusable]:
        """Give what was wrong with blobs that are not at the target now; what nobody names is left out."""
        done: set[tuple[bytes | None, str]] = set()
        for fault in self.faults:
            key = fault.blob_id, fault.name
            is_named = not wanted or fault.blob_id is None or fault.blob_id in wanted
            if is_named and key not in done and not self._is_there(fault.blob_id, wanted):
                done.add(key)
                yield Unusable(fault.blob_id, fault.name, fault.error.code, fault.error.message)

    def _is_there(self, blob_id: bytes | None, wanted: dict[bytes, tuple[int, bytes]]) -> bool:
        if blob_id is None:
            return False
        named = wanted.get(blob_id)
        return self._has(blob_id, named) if named is not None else blob_id in self.held


def _not_back(lost: LostItem) -> ItemOutcome:
    item, back = lost.item, lost.back
    outcome = Outcome.OLDER if back is not None else Outcome.LOST
    if item.kind is Kind.SYSTEM:
        return ItemOutcome(False, item.name, item.length_bytes, item.stored_s, Outcome.VAULT)
    found_s = back.stored_s if back is not None else None
    return ItemOutcome(True, item.name, item.length_bytes, item.stored_s, outcome, found_s)


def _part(done: int, total: int) -> str:
    return f"{100 * done // total if total else 100} %"
