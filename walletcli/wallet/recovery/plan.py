"""What a restore was asked to do: whom to ask, how far to look, and what the owner has agreed to.

Spec: docs/spec/recovery.md, "Plan".
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from walletcli.client.independence import WANTED_SOURCES
from walletcli.errors import FormatError, InputError, UsageError
from walletcli.net.addresses import NodeAddress
from walletcli.wallet.state.fields import Fields

DEFAULT_GAP: Final = 20
"""How many identities in a row nobody knows before the search ends."""

MAX_GAP: Final = 10_000
"""Longest gap."""

DEFAULT_SOURCES: Final = WANTED_SOURCES
"""How many independent sources must have answered before anything is signed."""

MAX_SOURCES: Final = 16
"""Most sources that can be asked for."""

MAX_RELAYS: Final = 100
"""Most relays of a plan."""

MAX_KITS: Final = 10_000
"""Most directories of exit kits."""

MAX_SPREAD_S: Final = 30 * 86_400
"""Longest time over which what is done for identities is spread, in seconds."""

DEFAULT_SPREAD_S: Final = 1800
"""How long it is spread over where routes hide who asks, in seconds. Over TCP it is not: all comes from one address."""

DEFAULT_BEYOND: Final = 3
"""How many identities beyond the last one of the wallet index are looked up as well."""

DEFAULT_DECOYS: Final = 20
"""How many keys of strangers are mixed into each step of a search without an index."""

MAX_DECOYS: Final = 256
"""Most keys of strangers in a step."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How an owner wants their identities looked up and taken up again.

    Attributes:
        relays: addresses of whom to ask and where to publish, in canonical form; none: nothing is looked up.
        gap: how many indices in a row nobody knows before the search ends.
        together: ask each relay for all over one connection, which is quicker and shows it that they belong together.
        kits: absolute paths of exit kits, or of directories that hold some.
        sources: how many independent sources must have answered before anything is signed.
        spread_s: look up, read and publish over this time each, in seconds; None: as `pace_s` says.
        keep_devices: leave the other devices of the records in the new ones.
        accept_link: go ahead where publishing ties identities together.
        scan: search without asking for the wallet index.
        beyond: how many identities beyond the last one of the index are looked up as well.
        decoys: how many keys of strangers are mixed into each step of a search without an index.

    Raises:
        UsageError: ``recovery.gap``, ``recovery.source-count``, ``recovery.spread``, ``recovery.too-many``,
            ``recovery.beyond``, ``recovery.decoys``.
        InputError: ``address.malformed``.
    """

    relays: tuple[str, ...] = ()
    gap: int = DEFAULT_GAP
    together: bool = False
    kits: tuple[str, ...] = ()
    sources: int = DEFAULT_SOURCES
    spread_s: int | None = None
    keep_devices: bool = False
    accept_link: bool = False
    scan: bool = False
    beyond: int = DEFAULT_BEYOND
    decoys: int = DEFAULT_DECOYS

    def __post_init__(self) -> None:
        if not 1 <= self.gap <= MAX_GAP:
            raise UsageError(
                "recovery.gap", f"a gap of 1 to {MAX_GAP} identities can be searched", "name another --gap"
            )
        if not 1 <= self.sources <= MAX_SOURCES:
            raise UsageError("recovery.source-count", f"1 to {MAX_SOURCES} sources can be asked for", "see --sources")
        if self.spread_s is not None and not 0 <= self.spread_s <= MAX_SPREAD_S:
            raise UsageError("recovery.spread", "a restore is spread over 30 days at most", "name another --spread")
        if not 0 <= self.beyond <= MAX_GAP:
            raise UsageError("recovery.beyond", f"0 to {MAX_GAP} identities can be looked up", "name another --beyond")
        if not 0 <= self.decoys <= MAX_DECOYS:
            raise UsageError("recovery.decoys", f"0 to {MAX_DECOYS} decoys can be asked for", "name another --decoys")
        if len(self.relays) > MAX_RELAYS or len(self.kits) > MAX_KITS:
            raise UsageError(
                "recovery.too-many", f"at most {MAX_RELAYS} relays and {MAX_KITS} kits can be named", "name fewer"
            )

    @property
    def addresses(self) -> tuple[NodeAddress, ...]:
        """The relays."""
        return tuple(NodeAddress.from_relay_text(text) for text in self.relays)

    @property
    def pace_s(self) -> int:
        """Over how many seconds each step is spread."""
        if self.spread_s is not None:
            return self.spread_s
        return 0 if self.is_over_tcp else DEFAULT_SPREAD_S

    @property
    def is_over_tcp(self) -> bool:
        """Whether a relay sees this machine's address, or there is no relay."""
        return not self.relays or any(address.shows_source for address in self.addresses)

    @property
    def looks_up(self) -> bool:
        """Whether there is anything to look into."""
        return bool(self.relays or self.kits)

    def with_more(self, relays: Iterable[str], kits: Iterable[str], **settings: object) -> Plan:
        """Return the plan with relays and kits added, and with what else is said anew; None leaves a setting as it is.

        Raises:
            As the constructor.
        """
        said = {name: value for name, value in settings.items() if value is not None}
        return replace(
            self,
            relays=tuple(dict.fromkeys((*self.relays, *canonical(relays)))),
            kits=tuple(dict.fromkeys((*self.kits, *map(os.path.abspath, kits)))),
            **said,  # type: ignore[arg-type]  # settings of this class
        )

    def without(self, gone: Iterable[str]) -> Plan:
        """Return the plan without relays and exit kits that are gone for good.

        Args:
            gone: addresses of relays, and paths of exit kits.

        Raises:
            UsageError: ``recovery.place`` for one that the plan does not name.
            InputError: ``address.malformed``.
        """
        relays, kits = list(self.relays), list(self.kits)
        for place in gone:
            named = next(iter(canonical([place]))) if "://" in place else os.path.abspath(place)
            if named in relays:
                relays.remove(named)
            elif named in kits:
                kits.remove(named)
            else:
                raise UsageError(
                    "recovery.place",
                    f"{named} is no relay and no exit kit of this restore",
                    "name it as it was given to the restore; the places are in what it says of them",
                )
        return replace(self, relays=tuple(relays), kits=tuple(kits))

    def to_row(self) -> list[object]:
        """Return the CBOR list that stands for the plan."""
        said = [list(self.relays), self.gap, self.together, list(self.kits), self.sources, self.spread_s]
        return [*said, self.keep_devices, self.accept_link, self.scan, self.beyond, self.decoys]

    @classmethod
    def from_row(cls, value: object, what: str) -> Plan:
        """Read the list that `to_row` wrote; raises FormatError ``WHAT.malformed``."""
        row = Fields.of_row(value, what)
        relays, gap, together, kits = row.texts(0), row.integer(1), row.flag(2), row.texts(3)
        sources, spread_s, keep_devices, accept_link = row.integer(4), row.optional_integer(5), row.flag(6), row.flag(7)
        scan, beyond, decoys = row.flag(8), row.integer(9), row.integer(10)
        row.end()
        try:
            plan = cls(relays, gap, together, kits, sources, spread_s, keep_devices, accept_link, scan, beyond, decoys)
            if canonical(relays) == relays:
                return plan
        except (InputError, UsageError) as error:
            raise FormatError(f"{what}.malformed", f"malformed {what}: {error.message}") from error
        raise FormatError(f"{what}.malformed", f"malformed {what}: an address is not in its canonical form")


def canonical(relays: Iterable[str]) -> tuple[str, ...]:
    """Return addresses in their canonical form, each once.

    Raises:
        InputError: ``address.malformed``.
    """
    return tuple(dict.fromkeys(NodeAddress.from_relay_text(text).to_text() for text in relays))
