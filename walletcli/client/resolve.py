"""Finds the newest verifiable state of an identity, and is not led back or split.

Spec: docs/spec/resolution.md.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from walletcli.client.answers import Answer, completed, gather
from walletcli.client.approved import known_document
from walletcli.client.choice import Choice, choose
from walletcli.client.freshness import Freshness, Seen
from walletcli.client.independence import independent
from walletcli.client.link import TIMEOUT_S
from walletcli.client.resolution import FreshnessCheck, Resolution, latest_day, statements
from walletcli.client.sources import open_source
from walletcli.client.splits import refuse_split
from walletcli.core.bindings import Binding, bindings_of, grants_of
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.errors import NetworkError, VerificationError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer

FILE: Final = "file"
"""What stands for the address of a record that came in a file."""

_DAY_S = 86_400


def resolve(
    identity: IdentityId,
    relays: Sequence[NodeAddress],
    *,
    dialer: Dialer,
    memory: Freshness | None = None,
    for_identity: str | None = None,
    also: Sequence[NodeAddress] = (),
    spare: Sequence[NodeAddress] = (),
    at_hand: Record | None = None,
    timeout_s: float = TIMEOUT_S,
    now_s: float | None = None,
) -> Resolution:
    """Ask all relays at once and return the highest state that verifies.

    Args:
        identity: who to look for.
        relays: who to ask; the same one twice is asked once.
        also: nodes that somebody else has named, asked as well: what they have is taken, and they are no sources that
            count towards freshness.
        spare: nodes that may keep documents of this identity; asked for one that none of the others has, by its hash.
        at_hand: a record of this identity that came in a file: taken like one that a node has, and no source.
        dialer: opens the connections.
        memory: what is remembered of identities; brought up to date. None: freshness is not checked.
        for_identity: did:key of the identity on whose behalf is asked, or None.
        timeout_s: how long each call to a relay may take, in seconds.
        now_s: Unix time in seconds, for what is said of delegations; None takes the clock.

    Raises:
        NetworkError: ``relay.none`` without relays, ``resolve.not-found`` when all say that there is nothing,
            ``resolve.unreachable`` when some failed and none had it, ``network.offline``.
        VerificationError: ``resolve.unverified`` when nothing but unverifiable answers came, ``record.stale`` when
            all are older than the remembered state, ``record.equivocation`` when the newest state is split and no
            remembered one can be kept to; what `Record.verified` raises when the only document does not fit.
        FormatError: when the only document cannot be decoded.
    """
    addresses = list(dict.fromkeys((*relays, *also)))
    if not addresses and at_hand is None:
        raise NetworkError("relay.none", "no relay is known to ask", "add one with `relay add`, or give --relay")
    answers, node_records = ask_relays(
        identity, addresses, dialer=dialer, memory=memory, for_identity=for_identity, timeout_s=timeout_s
    )
    seen = memory.get(identity.public_key) if memory is not None else None
    if at_hand is not None:
        answers.append(_in_a_file(at_hand))
    if spare:
        answers = _with_spare(answers, spare, identity, seen, dialer, for_identity, timeout_s, memory)
    now_s = time.time() if now_s is None else now_s
    choice = choose(identity, answers, memory, int(now_s) // _DAY_S)
    named = frozenset(address.to_text() for address in relays)
    return resolution_of(choice, answers, identity, memory, now_s, node_records, named=named)


def _in_a_file(record: Record) -> Answer:
    document = record.document.to_bytes() if record.document is not None else None
    return Answer(FILE, record.packet, document, beside=() if record.beside is None else (record.beside,))


def _with_spare(
    answers: list[Answer],
    spare: Sequence[NodeAddress],
    identity: IdentityId,
    seen: Seen | None,
    dialer: Dialer,
    for_identity: str | None,
    timeout_s: float,
    memory: Freshness | None,
) -> list[Answer]:
    """Return the answers with documents that are looked for at further nodes, where one is missing."""
    if not any(item.packet and item.packet.document_hash and item.document is None for item in answers):
        return answers
    with ExitStack() as open_clients:
        clients = [
            open_clients.enter_context(open_source(address, dialer, for_identity, timeout_s=timeout_s, memory=memory))
            for address in dict.fromkeys(spare)
        ]
        return completed(answers, clients, identity.public_key, seen)


def ask_relays(
    identity: IdentityId,
    addresses: Sequence[NodeAddress],
    *,
    dialer: Dialer,
    memory: Freshness | None,
    for_identity: str | None,
    timeout_s: float,
) -> tuple[list[Answer], list[Record | None]]:
    """Ask relays at once for what they have of an identity, over connections of its own; nothing is raised.

    Args:
        identity: who to look for.
        addresses: who to ask.
        dialer: opens the connections.
        memory: what is remembered of the relays' own records.
        for_identity: did:key of the identity on whose behalf is asked, or None.
        timeout_s: how long each call to a relay may take, in seconds.

    Returns:
        One answer from each relay, and the record with which each has proven its key.
    """
    with ExitStack() as open_clients:
        clients = [
            open_clients.enter_context(open_source(address, dialer, for_identity, timeout_s=timeout_s, memory=memory))
            for address in addresses
        ]
        seen = memory.get(identity.public_key) if memory is not None else None
        answers = gather(clients, identity.public_key, seen)
    return answers, [client.node_record for client in clients]


def resolution_of(
    choice: Choice,
    answers: Sequence[Answer],
    identity: IdentityId,
    memory: Freshness | None,
    now_s: float,
    node_records: Sequence[Record | None],
    *,
    with_bindings: bool = True,
    named: Collection[str] | None = None,
) -> Resolution:
    """Say what a choice means, and remember it.

    Args:
        choice: made of `answers`.
        answers: one from each relay.
        identity: who was asked for.
        memory: brought up to date; None: freshness was not checked.
        now_s: Unix time in seconds.
        node_records: of the relays themselves, where known: each may be the provider of a binding.
        with_bindings: verify the bindings; otherwise the resolution names none.
        named: addresses of relays that the user has named, as text, which alone are sources; None: all are.
    """
    record, today = choice.record, int(now_s) // _DAY_S
    bindings = _bindings(record, node_records, memory, today) if with_bindings else ()
    before = memory.get(identity.public_key) if memory is not None else None
    if memory is not None:
        if record is not choice.kept and not choice.is_bare_pending:
            memory.put(identity.public_key, Seen.of(record))
        if before is not None and choice.waiting is not None:
            memory.put(identity.public_key, replace(before, waiting=choice.waiting))
    sources = tuple(choice.report(answer) for answer in answers)
    return Resolution(
        identity,
        record,
        sources,
        statements(record, now_s, bindings, known_document(before)),
        FreshnessCheck.NOT_CHECKED if memory is None else choice.freshness,
        choice.pending,
        choice.splits,
        bindings,
        choice.refused,
        independent(
            source.address for source in sources if source.is_answer and (named is None or source.address in named)
        ),
        latest_day(record.document, bindings, today),
    )


def _bindings(
    record: Record, node_records: Sequence[Record | None], memory: Freshness | None, today: int
) -> tuple[Binding, ...]:
    """Verify the bindings of a record, each with the newest record of its provider that is at hand."""
    if record.document is None or not record.document.bindings:
        return ()
    newest = {node.packet.public_key: node for node in node_records if node is not None}
    for grant in grants_of(record.document) if memory is not None else ():
        seen = memory.get(grant.provider) if memory is not None else None
        if seen is None or seen.record is None:
            continue
        if grant.provider not in newest or newest[grant.provider].packet.seq < seen.seq:
            newest[grant.provider] = seen.record
    return tuple(_unless_split(binding, memory) for binding in bindings_of(record.document, today, newest))


def _unless_split(binding: Binding, memory: Freshness | None) -> Binding:
    """Disable a binding that rests on a provider's record which is a side of a split, or comes after an open one."""
    if binding.provider_record is None or binding.grant is None:
        return binding
    try:
        refuse_split(binding.provider_record, memory, f"the provider {IdentityId(binding.grant.provider).did}")
    except VerificationError as error:
        return replace(binding, provider_record=None, error=error)
    return binding
