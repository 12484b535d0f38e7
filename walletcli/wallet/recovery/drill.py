"""The drill: rehearses the loss of the device, and of each provider, against what is really there; changes nothing.

It restores into a wallet in memory with the code of a restore, and compares what came back with what is here.

Spec: docs/spec/recovery.md, "Drill".
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from walletcli.client.independence import independent
from walletcli.client.link import TIMEOUT_S
from walletcli.core.bip39 import Mnemonic
from walletcli.core.keys import MAX_INDEX, Scheme
from walletcli.core.secret import Secret
from walletcli.errors import NetworkError, SignerError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.create import first_state
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.index.book import read_book as read_index_book
from walletcli.wallet.linkability import TCP_LINK, accepted_keys, find_links
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.providers.book import read_book
from walletcli.wallet.recovery.comparing import compare, reached
from walletcli.wallet.recovery.copies import Copies, copies_of, kind_of, lost_with_a_provider
from walletcli.wallet.recovery.drill_log import Mark, marks_of, remember
from walletcli.wallet.recovery.index_search import IndexRead, IndexReader
from walletcli.wallet.recovery.journal import Item, Journal, JournalFile
from walletcli.wallet.recovery.plan import Plan, canonical
from walletcli.wallet.recovery.rehearsal import borrowed_rehearsal, rehearsal
from walletcli.wallet.recovery.report import report_of
from walletcli.wallet.recovery.run import Run
from walletcli.wallet.recovery.told import Told
from walletcli.wallet.relays import chosen_relays, known_relays
from walletcli.wallet.restore import verify_backup
from walletcli.wallet.route import dialer_for
from walletcli.wallet.state.wallet_view import WalletView

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Words:
    """Words that were typed in for a drill, with what they need.

    Attributes:
        text: the mnemonic.
        language: of its words, or None to recognise it.
        passphrase: BIP39's extra input, or None.
    """

    text: Secret
    language: str | None = None
    passphrase: Secret | None = None


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """How one loss would end.

    Attributes:
        back: what would come back, from where.
        missing: what would not.
    """

    back: tuple[Told, ...]
    missing: tuple[Told, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing would be lost."""
        return not self.missing

    def to_json(self) -> dict[str, object]:
        """Return passed, back and missing."""
        return {
            "passed": self.passed,
            "back": [told.to_json() for told in self.back],
            "missing": [told.to_json() for told in self.missing],
        }


@dataclass(frozen=True, slots=True)
class Drill:
    """What a drill found.

    Attributes:
        words_checked: whether they were typed in, and are right.
        device_loss: with nothing left but the words.
        provider_loss: with each provider gone in turn.
        sources: independent sources that can be asked; with fewer than three, new records wait for the owner's word.
        lookups: who was asked.
        seconds: that it took.
        by_providers: no relay is known: the identities' own providers were asked, and a restore has to be told of them.
        marks: how the identities were when it began.
    """

    words_checked: bool
    device_loss: Rehearsed
    provider_loss: Rehearsed
    sources: int
    lookups: tuple[dict[str, object], ...]
    seconds: float
    by_providers: bool = False
    marks: tuple[Mark, ...] = field(default=(), repr=False)

    @property
    def missing(self) -> int:
        """How much would be lost."""
        return len(self.device_loss.missing) + len(self.provider_loss.missing)

    @property
    def passed(self) -> bool:
        """Whether neither loss would cost anything."""
        return self.device_loss.passed and self.provider_loss.passed

    def to_json(self) -> dict[str, object]:
        """Return passed, both losses, words, sources and what they are, look-ups and seconds."""
        return {
            "passed": self.passed,
            "device_loss": {
                **self.device_loss.to_json(),
                "words_checked": self.words_checked,
                "sources": self.sources,
                "by_providers": self.by_providers,
            },
            "provider_loss": self.provider_loss.to_json(),
            "lookups": list(self.lookups),
            "seconds": round(self.seconds, 3),
        }


def drill(
    session: Session, words: Words | None = None, relays: Sequence[str] = (), *, now_s: float | None = None, **how: Any
) -> Drill:
    """Rehearse both losses, and remember how it went: that is all that changes.

    Args:
        session: the open wallet.
        words: as in `rehearse`.
        relays: as in `rehearse`.
        now_s: Unix time in seconds; None: now.
        how: the rest of what `rehearse` takes.

    Raises:
        As `rehearse`.
    """
    found = rehearse(session, words, relays, **how)
    remember(session, int(time.time() if now_s is None else now_s), found.missing, found.marks)
    return found


def rehearse(
    session: Session,
    words: Words | None = None,
    relays: Sequence[str] = (),
    *,
    accept_link: bool = False,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
    timeout_s: float = TIMEOUT_S,
) -> Drill:
    """Rehearse both losses. Nothing is changed: not the vault, no relay, no provider, no exit kit.

    Args:
        session: the open wallet.
        words: typed in by the owner; None: what only they could show is not checked.
        relays: whom to ask; none: the wallet's list, and if that is empty, the providers of its identities.
        accept_link: ask although that shows relays that identities belong together.
        offline: refused: a rehearsal has to ask.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.
        timeout_s: how long a call may take, in seconds.

    Raises:
        InputError: ``mnemonic.*``, ``link.would-link``.
        VerificationError: ``backup.mismatch`` if the words are not those of this wallet.
        NetworkError: ``relay.none``, ``network.offline``.
        SignerError: ``wallet.watch-only``.
        VaultError: ``vault.*``, ``agent.*``.
    """
    if offline:
        raise NetworkError("network.offline", "a loss cannot be rehearsed offline", "leave out --offline")
    _require_root(session)
    started_s, marks = time.monotonic(), marks_of(session)
    wallet = session.snapshot().wallet
    by_providers = not relays and not known_relays(session.home)
    addresses = chosen_relays(session.home, relays or (_provider_addresses(session) if by_providers else ()))
    _require_no_new_link(wallet, addresses, accept=accept_link)
    rehearsed = _rehearsal(session, words)
    published = {view.index for view in wallet.identities if view.record is not None}
    plan = Plan(canonical(address.to_text() for address in addresses), kits=_kits(session), spread_s=0, scan=True)
    # the search has ended before it begins: nobody is told of keys that are not in use yet
    journal = Journal(plan, next_index=MAX_INDEX + 1, open=published)
    route = dialer if dialer is not None else dialer_for(offline)
    run = Run(rehearsed, JournalFile(journal), route, progress, timeout_s)
    run.search(addresses)
    run.read()
    reader = IndexReader(session, addresses, route, WalletMemory(wallet), timeout_s, lambda _wait_s: None)
    index_read = reader.read(Scheme(wallet.scheme), 0) if _has_index(session) else None
    device_loss = _device_loss(session, rehearsed, run, index_read)
    provider_loss = _provider_loss(list(copies_of(session, route, timeout_s, progress)))
    sources = len(independent(row.address for row in run.relays.values() if row.asked > row.failed))
    asked = (*(reader.lookups.values() if index_read is not None else ()), *run.relays.values())
    lookups = report_of(run.journal, run.wallet, asked, run.places).lookups
    seconds = time.monotonic() - started_s
    return Drill(words is not None, device_loss, provider_loss, sources, lookups, seconds, by_providers, marks)


def _has_index(session: Session) -> bool:
    """Tell whether this wallet has written its index: nobody need be asked for one that is not there."""
    book = read_index_book(session)
    return book is not None and any(shard.written_s is not None for shard in book.shards)


def _require_no_new_link(wallet: WalletView, relays: Sequence[NodeAddress], *, accept: bool) -> None:
    """Refuse to show relays for the first time that identities belong together; that is the owner's to say.

    Raises:
        InputError: ``link.would-link``.
    """
    published = [view for view in wallet.identities if view.record is not None]
    links = [link for view in published for link in find_links(wallet, view, relays) if link.key == TCP_LINK]
    accepted_keys(links, accept=accept)


def _device_loss(session: Session, rehearsed: Session, run: Run, index_read: IndexRead | None) -> Rehearsed:
    """Say what came back of what the wallet holds, and what did not."""
    held = {view.index: view for view in session.snapshot().wallet.identities}
    journal = run.journal
    reach = reached(journal.found, journal.plan.gap, index_read)
    found = {
        index: entry for index, entry in journal.found.items() if index in held and (reach(index) or run.has_kit(index))
    }
    back = [Told(held[index], item) for index in sorted(found) for item in found[index].items]
    return Rehearsed(tuple(back), tuple(compare(session, rehearsed, found, journal.missing, reach)))


def _require_root(session: Session) -> None:
    """Check that the root keys are here: a restore reads with them.

    Raises:
        SignerError: ``wallet.watch-only``.
    """
    if session.facts().watch:
        raise SignerError(
            "wallet.watch-only",
            "a restore cannot be rehearsed here: it reads with the root keys, and they are on another machine",
            "see with `walletcli provider status` what stands at two places, and check the words where they are",
        )


def _rehearsal(session: Session, words: Words | None) -> Session:
    """Return the wallet in memory: made of the words if they were typed in, else of what this wallet's root can do."""
    if words is None:
        return borrowed_rehearsal(session)
    verify_backup(session, words.text, words.passphrase, words.language)
    mnemonic = Mnemonic.parse(words.text.reveal_text(), words.language)
    scheme = Scheme(session.facts().scheme)
    return rehearsal(session.home, first_state(mnemonic, words.passphrase, scheme, restored=True))


def _provider_addresses(session: Session) -> tuple[str, ...]:
    """Return where the providers of all identities are: a node has the records of those whom it hosts."""
    books = [read_book(session, identity.index) for identity in session.snapshot().wallet.identities]
    return tuple(dict.fromkeys(entry.address for book in books for entry in book.entries if entry.left_day is None))


def _kits(session: Session) -> tuple[str, ...]:
    """Return the directories of all exit kits that the wallet knows."""
    wallet = session.snapshot().wallet
    books = [read_book(session, identity.index) for identity in wallet.identities]
    return tuple(dict.fromkeys(book.kit.path for book in books if book.kit is not None and book.kit.path))


def _provider_loss(all_copies: Sequence[Copies]) -> Rehearsed:
    """Say what would be left of sealed data with each provider gone in turn."""
    back, missing = [], []
    for found in all_copies:
        lost = list(lost_with_a_provider(found))
        missing += lost
        gone = {(told.what.kind, told.what.name) for told in lost}
        for copy in found.items:
            kind, name = kind_of(copy.item)
            if (kind, name) not in gone:
                others = [place for place in copy.places if place not in found.providers] or copy.places
                day = copy.item.stored_s // _DAY_S
                length = copy.item.length_bytes if kind == "file" else None
                back.append(Told(found.identity, Item(kind, name, others[0], length, found.version, day)))
    return Rehearsed(tuple(back), tuple(missing))
