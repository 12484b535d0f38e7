"""Files of vCards, of whichever version each card is.

Spec: docs/spec/contact.md, "vCard".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from walletcli.core import vcard4
from walletcli.core.vcard import ReadCard, VCard
from walletcli.core.vcard_lines import BadCard, split_cards
from walletcli.errors import FormatError
from walletcli.wallet import vcard3


class Version(StrEnum):
    """Versions of vCard that are written."""

    V3 = "3.0"
    V4 = "4.0"


@dataclass(frozen=True, slots=True)
class VCardFile:
    """What a file of vCards holds.

    Attributes:
        cards: those that were taken, in the file's order.
        refused: the others, each with its error.
    """

    cards: tuple[ReadCard, ...]
    refused: tuple[BadCard, ...]


def read_vcards(data: bytes, progress: Callable[[int], None] | None = None) -> VCardFile:
    """Read a file of vCards of versions 3.0 and 4.0; one bad card does not spoil the others.

    Args:
        data: at most 32 MiB.
        progress: is told the number of each card that was looked at; a thousand take about a second.

    Raises:
        FormatError: for the whole file: ``vcard.too-long``, ``vcard.charset``, ``vcard.none``, ``vcard.too-many``.
    """
    cards: list[ReadCard] = []
    refused: list[BadCard] = []
    for item in split_cards(data):
        if progress is not None:
            progress(item.number)
        if isinstance(item, BadCard):
            refused.append(item)
            continue
        try:
            cards.append(vcard3.read(item) if item.version == "3.0" else vcard4.read(item))
        except FormatError as error:
            refused.append(BadCard(item.number, error))
    return VCardFile(tuple(cards), tuple(refused))


def write_vcards(cards: Sequence[VCard], version: Version) -> bytes:
    """Return a file of these cards in UTF-8."""
    return vcard3.write(cards) if version is Version.V3 else vcard4.write(cards)
