"""What a restore tells its owner beforehand: what will be looked up, where, over how many connections, who learns what.

Spec: docs/spec/recovery.md, "Order of look-ups".
"""

from __future__ import annotations

from collections.abc import Iterator

from walletcli.client.independence import independent
from walletcli.net.addresses import NodeAddress, Scheme
from walletcli.wallet.recovery.journal import Journal, is_done
from walletcli.wallet.recovery.plan import Plan


def announcement(journal: Journal, *, offline: bool = False) -> list[str]:
    """Return lines for the owner to read before anything is looked up.

    Args:
        journal: of the restore; its plan says what will be done.
        offline: no connection will be opened.

    Returns:
        Nothing where there is nothing to do.
    """
    return [] if is_done(journal) else list(_lines(journal, offline=offline))


def _lines(journal: Journal, *, offline: bool) -> Iterator[str]:
    plan = journal.plan
    if not offline and plan.relays:
        yield from _about_relays(journal)
        yield from _about_providers(plan)
    for path in plan.kits:
        yield f"The exit kits in {path} are read; nobody learns of that."
    if not offline and plan.relays:
        yield from _about_signing(plan)


def _about_relays(journal: Journal) -> Iterator[str]:
    plan = journal.plan
    count = len(plan.relays)
    if _asks_for_index(journal):
        yield f"First the wallet index is asked for at {count} {_relays(count)}, alone: it names your identities."
        yield "  A relay learns that somebody looks for this index; that is a key of its own, and names nobody."
        yield f"With an index: those that it names are looked up, and {_beyond(plan)}; nothing else is asked for."
        yield f"Without one: {_steps(journal)}. That shows the relays keys that you will use later."
    else:
        yield f"Looked up at {count} {_relays(count)}: {_steps(journal)}."
    for address in plan.relays:
        yield f"  {address}"
    if plan.together:
        yield "One connection to each relay, asked for all: each learns that these identities belong together."
    else:
        yield "A connection for each identity and relay, opened for it alone, in random order."
        if not _has_whole_index(journal):
            yield from _about_decoys(plan)
    if any(NodeAddress.from_relay_text(text).shows_source for text in plan.relays):
        yield "Over TCP each relay also sees that one address, this machine's, asks for all of them at one time:"
        yield "it can tell that they have one owner, also those that are in use only later."
        yield "To go on is to accept that."
    if any(NodeAddress.from_relay_text(text).scheme is Scheme.DHT for text in plan.relays):
        yield "The DHT is asked over UDP, in clear: strangers who happen to be near a key see the same."
    yield from _about_pace(plan)


def _asks_for_index(journal: Journal) -> bool:
    return not journal.plan.scan and journal.index is None and not journal.finished


def _has_whole_index(journal: Journal) -> bool:
    return journal.index is not None and journal.index.is_whole


def _beyond(plan: Plan) -> str:
    if not plan.beyond:
        return "none beyond the last one, though it may be newer than the index"
    return f"{plan.beyond} beyond the last one and in gaps, which may be newer than the index"


def _steps(journal: Journal) -> str:
    """Say which identities are asked for in steps, and which once more."""
    first, last = journal.next_index, journal.last_found + journal.gap
    what = f"identities {first} to {last}" if first <= last else ""
    again = len(journal.open) + sum(bool(entry.waits) for entry in journal.entries)
    parts = [part for part in (what, f"{again} of before once more" if again else "") if part]
    return f"{' and '.join(parts) or 'nothing more'}; and {journal.gap} beyond each one that is found"


def _about_decoys(plan: Plan) -> Iterator[str]:
    if plan.decoys and len(plan.relays) > 1:
        yield f"A step of a search stands among up to {plan.decoys} keys of strangers, if relays name some: that hides"
        yield "it from a relay that compares nothing with the others, and from no two that do."


def _about_pace(plan: Plan) -> Iterator[str]:
    if plan.pace_s:
        yield f"Looking up, reading and publishing are spread at random over {plan.pace_s} s each."
    elif plan.spread_s is None:
        yield "Nothing is spread over time, as it all comes from one address; --spread TIME spreads it."


def _about_providers(plan: Plan) -> Iterator[str]:
    yield "Then each identity's own providers: its root logs in there, and reads."
    yield "They learn that the owner's devices are lost, and over TCP this machine's address."
    if not plan.keep_devices:
        yield "The devices that are found in the records are left out of the new ones."


def _about_signing(plan: Plan) -> Iterator[str]:
    have = len(independent(plan.relays))
    if have < plan.sources:
        sources = "source" if have == 1 else "sources"
        yield f"These relays are {have} independent {sources}; {plan.sources} must answer before anything is signed."
        yield "Until then identities are held and wait. Name more with --relay, or accept fewer with --sources."
    elif not plan.pace_s:
        yield "New records are signed and published at once, one after the other."


def _relays(count: int) -> str:
    return "relay" if count == 1 else "relays"
