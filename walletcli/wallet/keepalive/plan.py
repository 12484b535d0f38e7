"""What an identity keeps alive now, and where: those of its contacts' records that are due, each at its relay.

Spec: docs/spec/keepalive.md, "What is kept alive" and "Which relay".
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from walletcli.core.record import Record
from walletcli.errors import InputError, NetworkError
from walletcli.net.addresses import NodeAddress, Scheme
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import read_book
from walletcli.wallet.contacts.own_providers import own_providers
from walletcli.wallet.contacts.placing import MIN_RELAYS, placing_key, ranked, spread_over
from walletcli.wallet.keepalive.log import Entry, KeepLog, read_log
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.publish import publish_addresses
from walletcli.wallet.relays import chosen_relays
from walletcli.wallet.state.view import IdentityView
from walletcli.wallet.state.wallet_view import WalletView

MAX_VISITS: Final = 64
"""Most visits of one run for one identity."""


@dataclass(frozen=True, slots=True)
class Task:
    """One record at one relay.

    Attributes:
        key: root key of whose record it is, 32 bytes.
        name: the contact's name, or the identity's own label.
        record: the newest that is known.
        relay: where.
        is_own: whether it is the identity's own.
    """

    key: bytes
    name: str
    record: Record
    relay: NodeAddress
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done for one identity, in random order.

    Attributes:
        identity: whose contacts.
        tasks: at most `MAX_VISITS`.
        log: as it was read, without those that are no contacts any more.
        keys: root keys (32 bytes) of all that this identity keeps alive, due or not.
        left: how many more are due.
        not_due: how many contacts are not due yet.
        without_record: how many contacts' records are not at hand: too long to be remembered, or never seen.
        elsewhere: how many contacts are left to another identity of the wallet, or are one.
    """

    identity: IdentityView
    tasks: tuple[Task, ...]
    log: KeepLog
    keys: frozenset[bytes]
    left: int
    not_due: int
    without_record: int
    elsewhere: int


def takes_part(identity: IdentityView) -> bool:
    """Tell whether an identity keeps anything alive: it is published, and was looked up since a restore."""
    return identity.record is not None and identity.stored is not None and not identity.unseen


def keeping_relays(
    session: Session, identity: IdentityView, relays: Sequence[str] = (), *, few: bool = False
) -> list[NodeAddress]:
    """Return among which relays an identity's contacts are spread: independent ones, and no providers of its own.

    The DHT is none: it keeps no documents, and relays put there what they are given.

    Args:
        session: the open wallet.
        identity: whose contacts.
        relays: named ones; none: the wallet's list.
        few: be content with fewer than `MIN_RELAYS`.

    Raises:
        InputError: ``keepalive.few-relays``.
        NetworkError: ``relay.none``.
    """
    usable = spread_over(chosen_relays(session.home, relays), own_providers(session, identity))
    if not usable or (len(usable) < MIN_RELAYS and not few):
        raise InputError(
            "keepalive.few-relays",
            f"contacts are spread among {MIN_RELAYS} relays or more, so that none learns of most of them; "
            f"there are {len(usable)} independent ones that are no providers of {identity.label!r}",
            "add relays with: walletcli relay add ADDRESS; or go on with --few-relays",
        )
    return usable


def make_plan(
    session: Session,
    identity: IdentityView,
    relays: Sequence[NodeAddress],
    now_s: float,
    *,
    everything: bool = False,
    own: bool = True,
) -> Plan:
    """Return what is due, in random order.

    Args:
        session: the open wallet.
        identity: whose contacts.
        relays: among which they are spread.
        now_s: Unix time in seconds.
        everything: also what is not due yet.
        own: the identity's own record as well, where it was stored.

    Raises:
        FormatError: ``contact-book.*``, ``keepalive-log.*``.
    """
    wallet = session.snapshot().wallet
    contacts = {item.key: item.name for item in read_book(session, identity.index) if item.key and not item.is_blocked}
    taken = _left_to_others(session, wallet, identity)
    wanted = [key for key in contacts if key not in taken]
    keys = frozenset({*wanted, identity.public_key})
    log = read_log(session, identity.index).only(keys)
    due = [key for key in wanted if everything or _is_due(log, key, now_s)]
    in_turn = sorted(due, key=lambda _: os.urandom(16))
    memory, secret = WalletMemory(wallet), placing_key(identity)
    tasks: list[Task] = []
    without = 0
    for key in in_turn:
        seen = memory.get(key)
        if seen is None or seen.record is None:
            without += 1
            continue
        order = ranked(secret, key, relays)
        relay = order[log.entries.get(key, Entry(0)).moved % len(order)]
        tasks.append(Task(key, contacts[key], seen.record, relay))
    if own and (everything or _is_due(log, identity.public_key, now_s)):
        tasks = sorted([*tasks, *_own_tasks(session, identity)], key=lambda _: os.urandom(16))
    not_due = len(wanted) - len(due)
    elsewhere = len(contacts) - len(wanted)
    left = max(0, len(tasks) - MAX_VISITS)
    return Plan(identity, tuple(tasks[:MAX_VISITS]), log, keys, left, not_due, without, elsewhere)


def _is_due(log: KeepLog, key: bytes, now_s: float) -> bool:
    entry = log.entries.get(key)
    return entry is None or entry.due_s <= now_s


def _left_to_others(session: Session, wallet: WalletView, identity: IdentityView) -> set[bytes]:
    """Return the keys that this identity leaves alone: the wallet's own, and contacts of an identity before it.

    Two identities that look after one contact could be told to be of one wallet by whoever sees both.
    """
    taken = {other.public_key for other in wallet.identities}
    for other in wallet.identities:
        if other.index < identity.index and takes_part(other):
            book = read_book(session, other.index)
            taken |= {contact.key for contact in book if contact.key is not None and not contact.is_blocked}
    return taken


def _own_tasks(session: Session, identity: IdentityView) -> list[Task]:
    """Return the visits to where the identity's own record was stored, and still belongs."""
    if identity.record is None or identity.stored is None:
        return []
    try:
        addresses = publish_addresses(session, identity.label)
    except NetworkError:
        return []
    record, stored = Record.from_bytes(identity.record), set(identity.stored.relays)
    return [
        Task(identity.public_key, identity.label, record, address, is_own=True)
        for address in addresses
        if address.to_text() in stored and address.scheme is not Scheme.DHT
    ]
