"""Makes each item of a request ready to be shown and signed, where the root keys are at hand; signs nothing.

Spec: docs/spec/request.md, "On the cold side".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from walletcli.core.approver_items import ApproveItem, OfferItem
from walletcli.core.document import Document
from walletcli.core.document_parts import Delegation
from walletcli.core.equivocation import named_in
from walletcli.core.keys import KeyTree
from walletcli.core.record import Record
from walletcli.core.request_file import CLOCK_DAYS, RequestFile
from walletcli.core.request_items import CreateItem, EnrolItem, PublishItem, SignItem
from walletcli.core.sealed import unseal
from walletcli.core.slip10 import path_to_text
from walletcli.errors import SignerError, WalletError
from walletcli.signers.requests import PacketRequest, date_of, plain_line
from walletcli.signers.statement_requests import StatementRequest
from walletcli.wallet.airgap import alarms
from walletcli.wallet.airgap.alarms import Alarm, alarm
from walletcli.wallet.airgap.telling import describe_owner_sections
from walletcli.wallet.state import sections
from walletcli.wallet.state.draft import MAX_OWN_DEVICES, own_readers, reading_devices, today
from walletcli.wallet.state.sections import OwnerSection
from walletcli.wallet.state.view import MAX_INDEX, IdentityView
from walletcli.wallet.state.wallet_state import WalletState

SEARCHED = 10_000
"""How many indices are tried for an identity whose index the request does not name."""

GENERATION = 0
"""Generation of the recovery recipient of an identity that the wallet does not hold yet."""

Entropy = Callable[[int], bytes]
"""Gives as many random bytes as asked."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An item, ready to be shown and signed.

    Attributes:
        index: of its identity in the key tree.
        lines: what it would do.
        alarms: what has to be accepted by itself.
        asked: the typed request that the root signs.
        section: what the owner's section of the new record says; None for a statement, or if it cannot be opened.
        before: the same of the record that it replaces.
        drafted: the record was drafted here, so it travels back in full.
    """

    index: int
    lines: tuple[str, ...]
    alarms: tuple[Alarm, ...]
    asked: PacketRequest | StatementRequest
    section: OwnerSection | None = None
    before: OwnerSection | None = None
    drafted: bool = False


@dataclass(slots=True)
class Preparer:
    """Looks at the items of one request with the root keys at hand.

    Args:
        state: what the wallet holds; changes while items are signed.
        tree: the root keys.
        request: what is asked for.
        now_s: this machine's clock, Unix time in seconds.
        entropy: randomness for sealing.
    """

    state: WalletState
    tree: KeyTree
    request: RequestFile
    now_s: float
    entropy: Entropy
    _new_index: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Reserve an index for each new identity, in the order of the items, whichever of them are approved."""
        highest = max((identity.index for identity in self.state.public.identities), default=-1)
        for number, item in enumerate(self.request.items, 1):
            if isinstance(item, CreateItem):
                highest = max(highest + 1, item.least_index)
                self._new_index[number] = highest

    def held(self, identity: bytes | None) -> IdentityView | None:
        """Return the identity of this wallet with that root key (32 bytes), or None."""
        return next((item for item in self.state.public.identities if item.public_key == identity), None)

    def prepared(self, number: int) -> Prepared:
        """Check an item against what this wallet holds, and draft what it leaves to this side.

        Args:
            number: of the item, counted from 1.

        Raises:
            InputError: ``request.item``.
            SignerError: what docs/spec/request.md names.
            FormatError: for what cannot be a document.
        """
        item = self.request.item(number)
        if isinstance(item, ApproveItem | OfferItem):
            raise for_approvers()
        if isinstance(item, CreateItem):
            prepared = self._prepared_create(self._new_index[number], item)
        elif isinstance(item, SignItem):
            self._check_root(item.identity, item.index)
            statement = StatementRequest.of(item.identity, item.typ, item.payload)
            prepared = Prepared(item.index, tuple(statement.describe()), (), statement)
        elif isinstance(item, EnrolItem):
            prepared = self._prepared_enrol(item)
        else:
            prepared = self._prepared_publish(item)
        if self.request.made_day > today(self.now_s) + CLOCK_DAYS:
            made = alarm(
                alarms.CLOCK, f"the request was made on {date_of(self.request.made_day)}, by this machine's clock"
            )
            prepared = replace(prepared, alarms=(*prepared.alarms, made))
        return prepared

    def _prepared_publish(self, item: PublishItem) -> Prepared:
        self._check_root(item.identity, item.index)
        history = self._history(item.identity, item.record, named_in(item.document))
        previous = item.record.document
        assert previous is not None  # a short record has its document
        history += alarms.healing_alarms(item.document, previous)
        asked = PacketRequest(item.identity, item.document, previous)
        if item.document.succession != previous.succession:
            raise SignerError("request.successor", "the document would change the successor")
        return self._with_packet(item.index, asked, None, history)

    def _prepared_create(self, index: int, item: CreateItem) -> Prepared:
        if index > MAX_INDEX:
            raise SignerError("request.foreign", f"the seed has no identity {index}", "make the request anew")
        identity = self.tree.root(index).public_key
        section = OwnerSection(item.label, dict(item.sealed))
        readers = own_readers((item.device,), self._recovery_key(index))
        document = Document(
            identity,
            item.seq,
            delegations=(item.device,),
            profile=dict(item.public),
            sections=(sections.seal_section(section, identity, readers, self.entropy),),
        )
        history = []
        if self.state.public.restored:
            text = f"this wallet was restored: it does not know whether identity {index} has been in use before"
            history.append(alarm(alarms.HISTORY, text))
        prepared = self._with_packet(index, PacketRequest(identity, document, None), item.device, history)
        created = plain_line(f"create identity {index} ({path_to_text(self.tree.identity_path(index))})")
        return replace(prepared, lines=(created, *prepared.lines), drafted=True)

    def _prepared_enrol(self, item: EnrolItem) -> Prepared:
        index = self._index_of(item)
        history = self._history(item.identity, item.record)
        previous = item.record.document
        assert previous is not None  # a short record has its document
        _check_enrollable(previous, item.device)
        delegations = tuple(sorted((*previous.delegations, item.device), key=lambda found: found.signing_key))
        readers = own_readers(delegations, self._recovery_key(index))
        if len(reading_devices(delegations)) > MAX_OWN_DEVICES:
            raise SignerError(
                "request.devices",
                f"at most {MAX_OWN_DEVICES} devices read what their owner seals",
                "revoke one that is not used any more",
            )
        old, section = self._own_section(previous, index)
        section = section if section is not None else OwnerSection("", {})
        new = sections.seal_section(section, item.identity, readers, self.entropy)
        document = replace(
            previous,
            seq=item.seq,
            previous=previous.hash,
            delegations=delegations,
            sections=tuple(sorted({new, *(found for found in previous.sections if found != old)})),
        )
        prepared = self._with_packet(index, PacketRequest(item.identity, document, previous), item.device, history)
        return replace(prepared, drafted=True)

    def _with_packet(
        self, index: int, asked: PacketRequest, declared: Delegation | None, history: Sequence[Alarm]
    ) -> Prepared:
        """Describe a new record, with what this side reads in its sealed sections."""
        _, section = self._own_section(asked.document, index)
        _, before = self._own_section(asked.previous, index) if asked.previous is not None else (None, None)
        found = [*history, *alarms.packet_alarms(asked, declared, self.now_s)]
        if section is None:
            text = "no sealed section opens with the recovery key: the words would not bring label and attributes back"
            found.append(alarm(alarms.RECOVERY, text))
        lines = asked.describe(today(self.now_s))
        lines += describe_owner_sections(section, before, self._shared(asked.document, index))
        found.sort(key=lambda one: alarms.NAMES.index(one.name))
        return Prepared(index, tuple(lines), tuple(found), asked, section, before)

    def _check_root(self, identity: bytes, index: int) -> None:
        if self.tree.root(index).public_key != identity:
            raise SignerError(
                "request.foreign",
                f"these words do not give that identity at index {index}",
                "approve it with the wallet that the identity comes from",
            )

    def _index_of(self, item: EnrolItem) -> int:
        """Return the index of an identity whose own new device may not know it."""
        held = self.held(item.identity)
        index = item.index if held is None else held.index
        if index is not None:
            self._check_root(item.identity, index)
            return index
        keys = self.tree.root_public_keys(0, SEARCHED)
        if item.identity not in keys:
            raise SignerError(
                "request.foreign",
                f"these words do not give that identity at any index below {SEARCHED}",
                "approve it with the wallet that the identity comes from, or name its index with --index",
            )
        return keys.index(item.identity)

    def _history(self, identity: bytes, given: Record, healed: Collection[bytes] = ()) -> list[Alarm]:
        """Compare the record that the request follows with the one that this wallet signed last.

        Raises:
            SignerError: ``request.stale``, ``request.split``.
        """
        held = self.held(identity)
        if held is None or held.record is None:
            text = f"this wallet does not remember the identity: is seq {given.packet.seq} its newest record?"
            return [alarm(alarms.HISTORY, text)]
        own = Record.from_bytes(held.record).packet
        if given.packet.seq < own.seq:
            raise SignerError(
                "request.stale",
                f"the request follows seq {given.packet.seq}, and this wallet has signed seq {own.seq} since",
                "apply that answer first, or approve its request again; where there is neither, carry what "
                "`walletcli record export ID FILE` writes here, and apply that; then make this request anew",
            )
        if given.packet.seq > own.seq:
            text = f"the record with seq {given.packet.seq} was not signed by this wallet, but with the same words"
            return [alarm(alarms.HISTORY, text)]
        if given.packet.document_hash != own.document_hash:
            if {given.packet.document_hash, own.document_hash} <= set(healed):
                text = (
                    f"this wallet has signed another record with seq {own.seq}: another copy of its words signs as well"
                )
                return [alarm(alarms.HISTORY, text)]
            raise SignerError(
                "request.split",
                f"there are two records with seq {own.seq}, signed with the same words",
                "another copy of this wallet has signed as well: use one of them only",
            )
        return []

    def _recovery_key(self, index: int) -> bytes:
        return self.tree.recovery_public_key(index, self._generation(index))

    def _generation(self, index: int) -> int:
        held = (item for item in self.state.public.identities if item.index == index)
        return next((item.recovery_generation for item in held), GENERATION)

    def _own_section(self, document: Document, index: int) -> tuple[bytes | None, OwnerSection | None]:
        """Return the owner's section, sealed and opened, if one opens with the recovery recipient."""
        for data, content in self._opened(document, index, sections.context(document.identity)):
            return data, OwnerSection.from_bytes(content)
        return None, None

    def _shared(self, document: Document, index: int) -> list[str]:
        """Return the names of attributes that are shared with contacts, as far as the recovery recipient reads it."""
        found = self._opened(document, index, sections.shared_context(document.identity))
        names = {name for _, content in found for name in sections.SharedSection.from_bytes(content).attributes}
        return sorted(names)

    def _opened(self, document: Document, index: int, context: bytes) -> list[tuple[bytes, bytes]]:
        secret = self.tree.recovery_secret(index, self._generation(index))
        found = []
        for section in document.sections:
            try:
                found.append((section, unseal(section, secret, context)))
            except WalletError:  # somebody else's, or nonsense: what cannot be opened is not told of
                continue
        return found


def for_approvers() -> SignerError:
    """Return the error for what no root key answers."""
    return SignerError(
        "request.for-approvers",
        "this asks somebody who holds a security key, not the root key",
        "at whatever machine that key is: walletcli identity approver approve FILE --out ANSWER",
    )


def _check_enrollable(previous: Document, device: Delegation) -> None:
    if any(
        known.signing_key == device.signing_key or known.sealing_key == device.sealing_key
        for known in previous.delegations
    ):
        raise SignerError("request.enrolled", "the device is in the record already", "publish with it")
