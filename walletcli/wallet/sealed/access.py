"""Opens an identity's sealed data: its places, what is remembered, and this device as its owner.

Spec: docs/spec/sealed-data.md.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from walletcli.client.copying import CopyReport
from walletcli.client.manifests import Writers
from walletcli.client.places import Place
from walletcli.core.blob import INDEX_ID
from walletcli.errors import InputError, VerificationError, WalletError
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Progress
from walletcli.wallet.providers.book import Role
from walletcli.wallet.providers.exit_kits import kit_places, refresh_kit
from walletcli.wallet.providers.places import Places, bound_places
from walletcli.wallet.sealed.index import SETTINGS
from walletcli.wallet.sealed.memory import BASE_DRAWERS, DataMemory, read_memory
from walletcli.wallet.sealed.owner import Owner
from walletcli.wallet.sealed.reading import SealedItems, SeenIndex, read_items
from walletcli.wallet.sealed.settings import Settings
from walletcli.wallet.sealed.slots import Listing
from walletcli.wallet.sealed.writing import DataWriter
from walletcli.wallet.state.view import IdentityView


@dataclass(frozen=True, slots=True)
class KitRefresh:
    """What became of an exit kit.

    Attributes:
        place: a path, or the address of a provider.
        complete: whether it has everything now.
        error: why not, or None.
        copied: how many blobs it got.
    """

    place: str
    complete: bool
    error: WalletError | None
    copied: int

    @classmethod
    def of(cls, report: CopyReport) -> KitRefresh:
        """Sum a copy up."""
        error = report.stopped or (report.failed[0].error if report.failed else None)
        return cls(report.target, report.is_complete, error, len(report.copied))

    def to_json(self) -> dict[str, object]:
        """Return all fields."""
        return {
            "place": self.place,
            "complete": self.complete,
            "copied": self.copied,
            "error": self.error.to_json() if self.error is not None else None,
        }


@dataclass(slots=True)
class OpenData:
    """An identity's sealed data, open.

    Attributes:
        session: the open wallet.
        identity: whose.
        owner: this device.
        places: open.
        memory: what was remembered when it was opened.
        base: who may write, without what an index says.
    """

    session: Session
    identity: IdentityView
    owner: Owner
    places: Places
    memory: DataMemory
    base: Writers

    def main(self) -> Place:
        """Return the provider that holds the data.

        Raises:
            InputError: ``data.no-provider`` if the identity is bound to none.
            WalletError: why it cannot be used.
        """
        for item in self.places.providers:
            if item.role is not Role.MAIN:
                continue
            if item.place is not None:
                return item.place.believing(self.base)
            if item.error is not None:
                raise item.error
        raise no_provider(self.identity)

    def sources(self) -> list[Place]:
        """Return all places to read from, the provider first, then the exit kits.

        Raises:
            WalletError: why the provider cannot be used, if there is no exit kit either.
        """
        kits = [place.believing(self.base) for place in kit_places(self.places)]
        try:
            return [self.main(), *kits]
        except WalletError:
            if not kits:
                raise
            return kits

    def items(self) -> SealedItems:
        """Find the index that counts.

        Raises:
            VerificationError: ``data.unknown-device``, ``data.by-removed-device``; as `read_items` and `sources`.
        """
        try:
            return read_items(self.sources(), self.owner.unseal, self.memory.seen)
        except VerificationError as error:
            raise self._explained(error) from error

    def first_look(self, writer: DataWriter) -> SealedItems:
        """Read the provider's index before anything is written there; raises as `items`."""
        try:
            return writer.items()
        except VerificationError as error:
            raise self._explained(error) from error

    def former_devices(self) -> frozenset[bytes]:
        """Return the signing keys of the devices that the settings of the last synchronization named."""
        data = self.session.drawer(self.identity.index, BASE_DRAWERS[SETTINGS])
        rows = Settings.from_bytes(data).devices if data is not None else ()
        return frozenset(row.device for row in rows) - self.owner.devices

    def believe_removed(self) -> None:
        """Believe, this once, what a device has stored that has been removed since."""
        self.base = replace(self.base, keys=self.base.keys | self.former_devices())

    def _explained(self, error: VerificationError) -> VerificationError:
        """Return what an index by an unknown signer means."""
        if error.code != "blob.writer":
            return error
        label, word = self.identity.label, self.identity.label_word
        listing = Listing.of(self.main())
        found = listing.manifests.get(INDEX_ID)
        if found is not None and found.signer in self.former_devices():
            return VerificationError(
                "data.by-removed-device",
                f"the newest index (version {found.version}) was stored by the device {found.signer.hex()[:8]}, which "
                "has been removed since",
                f"if it still was yours then: walletcli sync {word} --accept-removed; else --put-back brings back "
                "what was seen before",
            )
        return VerificationError(
            "data.unknown-device",
            f"the index of the sealed data is signed by a device that the record of {label!r} here does not name",
            f"walletcli sync {word}: another device of yours may have been added",
        )

    def writer(self) -> DataWriter:
        """Return what writes at the provider, and to the exit kits beside it; raises as `main`."""
        mirrors = [place.believing(self.base) for place in kit_places(self.places)]
        return DataWriter(self.main(), self.owner, self.memory.seen, mirrors, self.memory.taken)

    def refresh_kits(self, seen: SeenIndex, progress: Progress) -> list[KitRefresh]:
        """Bring the exit kits up to date with what the index names."""
        writers = seen.writers(self.base)
        if self.places.kit is not None:
            self.places.kit = self.places.kit.believing(writers)
        for item in self.places.usable:
            if item.place is not None:
                item.place = item.place.believing(writers)

        def step(done: int, total: int) -> None:
            progress(f"copying to the exit kit: {done >> 20} of {total >> 20} MiB")

        reports = refresh_kit(self.session, self.identity, self.places, progress=step)
        return [KitRefresh.of(report) for report in reports]


@contextlib.contextmanager
def open_data(session: Session, identity: IdentityView, dialer: Dialer) -> Iterator[OpenData]:
    """Open the sealed data of an identity of the wallet, at all of its places.

    Nothing is raised for a place that does not answer: who needs it is told.

    Raises:
        FormatError: ``data-memory.*``, ``provider-book.*``.
        VaultError: ``vault.*``, ``agent.*``.
    """
    memory = read_memory(session, identity.index)
    with bound_places(session, identity, dialer) as places:
        base = places.writers if places.writers is not None else Writers(identity.public_key, frozenset())
        yield OpenData(session, identity, Owner.of(session, identity), places, memory, replace(base, known={}))


def no_provider(identity: IdentityView) -> InputError:
    """Return the error for an identity that is bound to no provider."""
    return InputError(
        "data.no-provider",
        f"{identity.label!r} is bound to no provider that could keep its data",
        f"walletcli provider bind {identity.label_word} ADDRESS",
    )
