"""The watch side asks: drafts what is to be signed and writes it as a request.

Spec: docs/spec/request.md, "Request file".
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from walletcli.client.resolve import resolve
from walletcli.core.document_parts import Delegation
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record, next_seq
from walletcli.core.request_file import MAX_DAYS, RequestFile
from walletcli.core.request_items import CreateItem, EnrolItem, Item, PublishItem, SignItem
from walletcli.errors import InputError, NetworkError, UsageError, VerificationError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer
from walletcli.wallet.access.session import Session
from walletcli.wallet.airgap.book import Context, RequestBook, Waiting
from walletcli.wallet.airgap.review import Review
from walletcli.wallet.airgap.waiting import cancel_request, change_book, require_watch
from walletcli.wallet.files import refuse_existing, write_file
from walletcli.wallet.home import Progress, silent
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.next_record import draft_next
from walletcli.wallet.publish import plan_publish, publish_addresses
from walletcli.wallet.relays import chosen_relays
from walletcli.wallet.route import dialer_for
from walletcli.wallet.state.changes import Change
from walletcli.wallet.state.decided import decisions_hash
from walletcli.wallet.state.draft import needs_document, new_delegation, today
from walletcli.wallet.state.labels import same_label
from walletcli.wallet.state.lookup import find, key_of
from walletcli.wallet.state.naming import free_label
from walletcli.wallet.state.view import IdentityView
from walletcli.wallet.state.wallet_view import WalletView

DEFAULT_DAYS = 14
"""How long a request holds if nothing else is said."""


@dataclass(frozen=True, slots=True)
class NewIdentity:
    """An identity that is asked for.

    Attributes:
        label: the owner's name for it.
        public: attributes that its first record shows.
        sealed: attributes that only the owner reads.
    """

    label: str
    public: Mapping[str, str] = field(default_factory=dict)
    sealed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StatementWish:
    """A statement that the root of an identity is to sign.

    Attributes:
        who: label or id.
        typ: its type (docs/spec/cose.md).
        payload: its content.
    """

    who: str
    typ: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Wish:
    """What one request is to ask for.

    Attributes:
        who: identities whose next record is wanted, by label or id.
        new: identities that are to be made.
        statements: what roots are to sign besides.
        days: how long the request holds, 1 to 90.
    """

    who: tuple[str, ...] = ()
    new: tuple[NewIdentity, ...] = ()
    statements: tuple[StatementWish, ...] = ()
    days: int = DEFAULT_DAYS

    @property
    def is_open(self) -> bool:
        """Whether nothing in particular is asked for: then all that waits is."""
        return not (self.who or self.new or self.statements)


@dataclass(frozen=True, slots=True)
class Made:
    """A request that was made.

    Attributes:
        review: what the request would do; it waits for its answer.
        path: of the file.
    """

    review: Review
    path: str

    @property
    def request(self) -> RequestFile:
        """The request."""
        return self.review.request

    def to_json(self) -> dict[str, object]:
        """Return the request with what it asks for in plain language, and where it is."""
        return {"request": self.review.to_json(), "file": self.path}


def make_request(
    session: Session,
    wish: Wish,
    path: str,
    relays: Sequence[str] = (),
    *,
    accept_link: bool = False,
    on_top: bool = False,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
) -> Made:
    """Write a request for what waits to be signed.

    Relays are asked first what has been published of each identity, as before every signature, unless there are none or
    the wallet is offline.

    Args:
        session: an open watch wallet.
        wish: what is asked for; nothing in particular: the next record of each identity of which something is new.
        path: of the new file.
        relays: whom to ask; none: the wallet's list and the identity's providers.
        accept_link: go ahead where asking ties identities together; remembered for each of them.
        on_top: continue from a newer record of an identity that relays have.
        offline: open no connection.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.

    Raises:
        SignerError: ``request.not-watch``.
        InputError: ``request.nothing``, ``link.would-link``, ``request.too-many``, ``identity.unknown``, ``label.*``,
            ``file.exists``.
        UsageError: ``request.days``.
        VerificationError: ``publish.newer-exists``, ``record.*``.
        NetworkError: what relays end in.
        StorageError: ``storage.*``.
    """
    require_watch(session)
    refuse_existing(path)
    wallet = session.snapshot().wallet
    identities = _wanted(wallet, wish)
    labels = _new_labels(wallet, wish)
    route = dialer if dialer is not None else dialer_for(offline)
    drafted = []
    for identity in identities:
        addresses = relays_to_ask(session, identity, relays, offline)
        if addresses:
            plan_publish(session, identity.label, addresses, accept_link)
        drafted.append(_next_record(session, identity, addresses, route, on_top, progress))
    statements = [_statement(wallet, wanted) for wanted in wish.statements]

    def items(devices: Sequence[Delegation]) -> list[tuple[Item, Context]]:
        least_index = max((identity.index for identity in session.snapshot().wallet.identities), default=-1) + 1
        created = [
            (_create(new, label, device, least_index), Context())
            for new, label, device in zip(wish.new, labels, devices, strict=True)
        ]
        return [*drafted, *created, *statements]

    return _made(session, path, wish.days, len(wish.new), items)


def ask_to_enrol(
    session: Session,
    who: str,
    path: str,
    relays: Sequence[str] = (),
    *,
    index: int | None = None,
    record: Record | None = None,
    days: int = DEFAULT_DAYS,
    offline: bool = False,
    dialer: Dialer | None = None,
    progress: Progress = silent,
) -> Made:
    """Write a request that asks to enrol this wallet as one more device of an identity.

    Args:
        session: an open watch wallet that does not hold the identity.
        who: the identity's id.
        path: of the new file.
        relays: whom to ask for its record; none: the wallet's list.
        index: where it is in the key tree, or None if that is not known.
        record: its newest record, if that is at hand; then nobody is asked.
        days: how long the request holds, 1 to 90.
        offline: open no connection.
        dialer: opens connections; None: plain TCP.
        progress: takes a line per step.

    Raises:
        SignerError: ``request.not-watch``.
        InputError: ``identity.exists``, ``identity.malformed``, ``request.too-many``, ``file.exists``.
        VerificationError: ``record.pending``, ``record.identity-mismatch``, and what resolving ends in.
        NetworkError: ``relay.none``, ``resolve.*``.
        StorageError: ``storage.*``.
    """
    require_watch(session)
    refuse_existing(path)
    wallet = session.snapshot().wallet
    key = key_of(who, wallet)
    if any(identity.public_key == key for identity in wallet.identities):
        raise InputError("identity.exists", "this wallet is a device of that identity already", "publish with it")
    asked: tuple[str, ...] = ()
    if record is None:
        addresses = chosen_relays(session.home, relays)
        asked = tuple(address.to_text() for address in addresses)
        progress(f"asking {len(addresses)} relay(s)")
        record = _resolved(session, key, addresses, dialer if dialer is not None else dialer_for(offline))
    if record.packet.public_key != key:
        raise VerificationError("record.identity-mismatch", "the record is another identity's")
    if record.document is None:
        raise VerificationError("record.pending", "the record's document is not at hand", "ask other relays")
    seq = next_seq(record.packet.seq, time.time(), os.urandom)

    def items(devices: Sequence[Delegation]) -> list[tuple[Item, Context]]:
        return [(EnrolItem(key, index, record, devices[0], seq), Context(asked=asked))]

    return _made(session, path, days, 1, items)


def _wanted(wallet: WalletView, wish: Wish) -> list[IdentityView]:
    """Return the identities whose next record is asked for."""
    now_s = time.time()
    if wish.is_open:
        found = [identity for identity in wallet.identities if needs_document(identity, now_s)]
    else:
        found = list({identity.index: identity for identity in (find(wallet, who) for who in wish.who)}.values())
    idle = [identity for identity in found if not needs_document(identity, now_s)]
    if idle or (wish.is_open and not found):
        what = f"of {idle[0].label!r} " if idle else ""
        raise InputError(
            "request.nothing",
            f"nothing {what}waits to be signed",
            "run what needs the root first, such as `identity set`, or ask for one of --new, --card, --contacts",
        )
    return found


def _new_labels(wallet: WalletView, wish: Wish) -> list[str]:
    labels: list[str] = []
    for new in wish.new:
        label = free_label(wallet, new.label, None)
        if any(same_label(label, other) for other in labels):
            raise InputError("label.exists", "two new identities have one label", "choose another label")
        labels.append(label)
    return labels


def relays_to_ask(session: Session, identity: IdentityView, relays: Sequence[str], offline: bool) -> list[NodeAddress]:
    """Return whom to ask what has been published; nobody if the wallet is offline or knows nobody."""
    if offline:
        return []
    try:
        return publish_addresses(session, identity.label, relays)
    except NetworkError as error:
        if error.code != "relay.none":
            raise
        return []


def _next_record(
    session: Session,
    identity: IdentityView,
    addresses: Sequence[NodeAddress],
    dialer: Dialer,
    on_top: bool,
    progress: Progress,
) -> tuple[Item, Context]:
    view, document = draft_next(session, identity.index, addresses, dialer, on_top=on_top, progress=progress)
    if view.record is None:
        raise InputError(
            "record.none", f"nothing has been signed of {view.label!r} yet", "ask for it with: request make --new"
        )
    item = PublishItem(view.public_key, view.index, Record.from_bytes(view.record), document)
    return item, Context(decisions_hash(view))


def _create(new: NewIdentity, label: str, device: Delegation, least_index: int) -> CreateItem:
    seq = next_seq(None, time.time(), os.urandom)
    return CreateItem(label, device, dict(new.public), dict(new.sealed), seq, least_index)


def _statement(wallet: WalletView, wanted: StatementWish) -> tuple[Item, Context]:
    identity = find(wallet, wanted.who)
    return SignItem(identity.public_key, identity.index, wanted.typ, wanted.payload), Context()


def _resolved(session: Session, key: bytes, addresses: Sequence[NodeAddress], dialer: Dialer) -> Record:
    memory = WalletMemory(session.snapshot().wallet)
    with memory.keeping_splits(session):
        record = resolve(IdentityId(key), addresses, dialer=dialer, memory=memory).record
    memory.save(session)
    return record


def _made(
    session: Session,
    path: str,
    days: int,
    device_count: int,
    items: Callable[[Sequence[Delegation]], list[tuple[Item, Context]]],
) -> Made:
    """Remember a request that waits, and write it; what cannot be written does not wait."""
    if not 1 <= days <= MAX_DAYS:
        raise UsageError("request.days", f"a request holds 1 to {MAX_DAYS} days", "choose another number")
    now_s = time.time()
    made: list[RequestFile] = []

    def remembered(book: RequestBook) -> tuple[RequestBook, Sequence[Change]]:
        keys = session.new_devices(device_count) if device_count else []
        devices = [new_delegation(signing, sealing, now_s, os.urandom) for signing, sealing in keys]
        parts = items(devices)
        request = RequestFile(os.urandom(16), today(now_s), today(now_s) + days, tuple(item for item, _ in parts))
        made[:] = [request]
        return book.with_waiting(Waiting(request, tuple(context for _, context in parts))), ()

    change_book(session, remembered)
    (request,) = made
    try:
        write_file(path, request.to_bytes(), replace=False)
    except WalletError:
        cancel_request(session, request.request_id.hex())
        raise
    return Made(Review.from_row(request, session.review_request(request.to_bytes())), os.path.abspath(path))
