"""The settings of an identity that must survive a loss and stand nowhere else; kept sealed, merged between devices.

Spec: docs/spec/sealed-data.md, "Settings".
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from walletcli.core import cbor
from walletcli.core.document_parts import LAST_DAY
from walletcli.errors import FormatError, InputError
from walletcli.net.addresses import MAX_ADDRESS_CHARS, NodeAddress
from walletcli.wallet.providers.book import MAX_PATH_BYTES, ProviderEntry, Role, change_book, read_book
from walletcli.wallet.relays import list_relays
from walletcli.wallet.state.changes import PlanPublish, SetShares
from walletcli.wallet.state.fields import Fields
from walletcli.wallet.state.view import Share

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session
    from walletcli.wallet.state.view import IdentityView

VERSION: Final = 1
"""Version of the format."""

MAX_SETTINGS_BYTES: Final = 1 << 20
"""Longest settings."""

MAX_DEVICES: Final = 64
"""Most devices of which something is kept."""

_WHAT = "data-settings"
_KEY_BYTES = 32
_Row = TypeVar("_Row", bound=Hashable)


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """What is so on one device.

    Attributes:
        device: its signing key, 32 bytes.
        kit_path: directory of its exit kit; empty if it has none, on purpose or because a second provider is the kit;
            None as long as its owner has not decided.
        kit_day: when that was last brought up to date (days since 1970-01-01, UTC), or None.
        relays: those that its wallet publishes to.
    """

    device: bytes
    kit_path: str | None
    kit_day: int | None
    relays: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """A provider, and where it was reached.

    Attributes:
        provider: root key, 32 bytes.
        address: as text.
        role: what it is for.
    """

    provider: bytes
    address: str
    role: Role


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it; every part ascending, without repetitions.

    Attributes:
        accepted_links: links that the owner has accepted.
        contacted: relays that were ever told of the identity.
        shares: what contacts may read.
        providers: one row for each.
        devices: one row for each.
    """

    accepted_links: tuple[str, ...] = ()
    contacted: tuple[str, ...] = ()
    shares: tuple[Share, ...] = ()
    providers: tuple[ProviderSettings, ...] = ()
    devices: tuple[DeviceSettings, ...] = ()

    def to_bytes(self) -> bytes:
        """Encode the settings.

        Raises:
            InputError: ``data-settings.too-long`` over 1 MiB.
        """
        data = cbor.encode(
            {
                1: VERSION,
                2: list(self.accepted_links),
                3: list(self.contacted),
                4: [share.to_row() for share in self.shares],
                5: [[item.provider, item.address, int(item.role)] for item in self.providers],
                6: [[item.device, item.kit_path, item.kit_day, list(item.relays)] for item in self.devices],
            }
        )
        if len(data) > MAX_SETTINGS_BYTES:
            raise InputError(
                "data-settings.too-long", f"the settings have over {MAX_SETTINGS_BYTES} bytes", "share with fewer"
            )
        return data

    @classmethod
    def from_bytes(cls, data: bytes) -> Settings:
        """Decode settings.

        Raises:
            FormatError: ``data-settings.malformed``, ``data-settings.unknown-version``, ``cbor.*``.
        """
        fields = Fields(cbor.decode(data, MAX_SETTINGS_BYTES), _WHAT)
        if fields.integer(1) != VERSION:
            raise FormatError(
                "data-settings.unknown-version",
                "the settings were written by a newer version of walletcli",
                "update walletcli",
            )
        found = cls(
            fields.texts(2),
            fields.texts(3),
            tuple(Share.from_row(item, _WHAT) for item in fields.items(4)),
            tuple(_provider(item) for item in fields.items(5)),
            tuple(_device(item) for item in fields.items(6)),
        )
        fields.end()
        if found != _ordered(found) or found.to_bytes() != data or len(found.devices) > MAX_DEVICES:
            raise _malformed("something is repeated, out of order, or not in its one encoding")
        return found


def _ordered(settings: Settings) -> Settings:
    return Settings(
        tuple(sorted(set(settings.accepted_links))),
        tuple(sorted(set(settings.contacted))),
        tuple(sorted(set(settings.shares), key=lambda item: (item.names, item.recipients))),
        tuple(sorted({item.provider: item for item in settings.providers}.values(), key=lambda item: item.provider)),
        tuple(sorted({item.device: item for item in settings.devices}.values(), key=lambda item: item.device)),
    )


def _provider(value: object) -> ProviderSettings:
    row = Fields.of_row(value, _WHAT)
    found = ProviderSettings(
        row.raw(0, _KEY_BYTES), row.text(1, MAX_ADDRESS_CHARS), Role(row.integer(2, Role.MAIN, Role.KIT))
    )
    row.end()
    try:
        canonical = NodeAddress.from_text(found.address).to_text()
    except InputError as error:
        raise _malformed("the address of a provider") from error
    if canonical != found.address:
        raise _malformed("an address is not in its canonical form")
    return found


def _device(value: object) -> DeviceSettings:
    row = Fields.of_row(value, _WHAT)
    device = row.raw(0, _KEY_BYTES)
    path = row.optional_text(1, MAX_PATH_BYTES)
    found = DeviceSettings(device, path, row.optional_integer(2, LAST_DAY), row.texts(3))
    row.end()
    if "\0" in (path or "") or (not path and found.kit_day is not None):
        raise _malformed("the path of an exit kit, or the day of its refresh")
    return found


def merge_settings(base: Settings, mine: Settings, theirs: Settings, devices: Collection[bytes] = ()) -> Settings:
    """Return settings with both sides' changes.

    But for the rows of devices the result is the same whichever side is called mine. Each device writes its own row:
    the one in `mine` is this device's, the others come from `theirs`.

    Args:
        base: what both started from; empty settings if that is not known, and then nothing is removed.
        mine: one side; it has a row for this device alone, or none.
        theirs: the other side.
        devices: signing keys of the devices of today; rows of others go.
    """
    own = {item.device for item in mine.devices}
    others = (item for item in theirs.devices if item.device not in own and item.device in devices)
    return _ordered(
        Settings(
            (*mine.accepted_links, *theirs.accepted_links),
            (*mine.contacted, *theirs.contacted),
            tuple(_merged(base.shares, mine.shares, theirs.shares)),
            tuple(_one_each(_merged(base.providers, mine.providers, theirs.providers))),
            (*mine.devices, *others),
        )
    )


def _merged(base: Iterable[_Row], mine: Iterable[_Row], theirs: Iterable[_Row]) -> set[_Row]:
    """Return the rows that both have, and those that either has added."""
    before, one, other = set(base), set(mine), set(theirs)
    return (one & other) | (one - before) | (other - before)


def _one_each(rows: Collection[ProviderSettings]) -> list[ProviderSettings]:
    """Return one row for each provider: of two that differ the higher one."""
    return list({item.provider: item for item in sorted(rows, key=lambda item: (item.address, item.role))}.values())


def own_settings(session: Session, identity: IdentityView) -> Settings:
    """Return what this wallet would keep of an identity: its own share of the settings.

    Raises:
        FormatError: ``provider-book.*``, ``relays.malformed``.
    """
    book = read_book(session, identity.index)
    path = book.kit.path if book.kit is not None else None
    day = book.kit.day if book.kit is not None else None
    device = DeviceSettings(identity.device_signing_key, path, day, tuple(list_relays(session.home)))
    providers = (
        ProviderSettings(entry.provider, entry.address, entry.role) for entry in book.entries if entry.left_day is None
    )
    return _ordered(Settings(identity.accepted_links, identity.contacted, identity.shares, tuple(providers), (device,)))


def take_over(session: Session, identity: IdentityView, settings: Settings) -> None:
    """Make the wallet do what merged settings say: accepted links, contacted relays, shares, providers.

    Paths of exit kits and lists of relays are each device's own, and are not taken over.

    Raises:
        InputError: ``share.*``, ``provider.too-many``.
        VaultError: ``vault.*``.
    """
    links = set(settings.accepted_links) - set(identity.accepted_links)
    contacted = set(settings.contacted) - set(identity.contacted)
    if links or contacted:
        session.apply(PlanPublish(identity.index, tuple(sorted(contacted)), tuple(sorted(links))))
    if settings.shares != _ordered(Settings(shares=identity.shares)).shares and identity.retired is None:
        session.apply(SetShares(identity.index, settings.shares))
    known = {entry.provider for entry in read_book(session, identity.index).entries}
    for item in settings.providers:
        if item.provider not in known:
            entry = ProviderEntry(item.provider, item.address, item.role)
            change_book(session, identity.index, lambda book, entry=entry: book.with_entry(entry))  # type: ignore[misc]


def _malformed(why: str) -> FormatError:
    return FormatError("data-settings.malformed", f"malformed data-settings: {why}")
