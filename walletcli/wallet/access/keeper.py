"""Whoever holds the open vault: answers typed requests with public values, signs, and writes before it answers.

The agent and a command that opens the vault itself both go through this class, so there is one path on which a root key
signs.

Spec: docs/spec/agent.md, "Requests".
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Protocol, TypeVar

from walletcli.core import x25519
from walletcli.core.approvals import DocumentApprovals
from walletcli.core.document import Document
from walletcli.core.ed25519 import SigningKey
from walletcli.core.keys import KeyTree, Scheme
from walletcli.core.record import Record
from walletcli.core.sealed import unseal
from walletcli.core.secret import Secret
from walletcli.core.slip10 import path_to_text
from walletcli.core.wallet_index import ShardContent
from walletcli.errors import FormatError, InputError, VaultError, VerificationError
from walletcli.signers.requests import PacketRequest
from walletcli.signers.software import SoftwareSigner
from walletcli.signers.statements import sign_statement
from walletcli.wallet.access import ssh_keys
from walletcli.wallet.access.messages import (
    Apply,
    ApproveRequest,
    DeriveKeys,
    DeriveSummaries,
    GetDrawer,
    GetFacts,
    GetSummaries,
    GetView,
    NewDevices,
    OpenShard,
    Request,
    ReviewRequest,
    Sign,
    SignShard,
    SignSsh,
    SignStatement,
    Unseal,
    UnsealAsRoot,
)
from walletcli.wallet.access.policy import check_signing, watch_only
from walletcli.wallet.access.statement_policy import check_statement
from walletcli.wallet.access.watching import keep_devices, new_devices, take_identity
from walletcli.wallet.home import Home
from walletcli.wallet.index import signing as shards
from walletcli.wallet.state import sections, transitions
from walletcli.wallet.state.approvers import Credential
from walletcli.wallet.state.changes import (
    AddIdentity,
    Adopt,
    Change,
    KeepDevices,
    KeepSshKey,
    PutDrawer,
    Several,
    TakeFound,
    TakeIdentity,
)
from walletcli.wallet.state.continuing import Found
from walletcli.wallet.state.draft import verified_record
from walletcli.wallet.state.summary import IdentitySummary
from walletcli.wallet.state.view import IdentityView
from walletcli.wallet.state.wallet_state import DEVICE_SEED_BYTES, WALLET_DRAWER, DeviceSecrets, WalletState
from walletcli.wallet.state.wallet_view import Snapshot, WalletFacts

MAX_ATTEMPTS = 20
"""How often a change is made again on top of what another process wrote meanwhile."""

MAX_RECOVERY_PAIRS = 1024
"""Of how many identities the recovery recipient's keys are kept at hand."""

MAX_KNOWN_KEYS = 4096
"""Of how many identities the root public key is kept at hand."""

RECOVERY_GENERATION = 0
"""Generation of the recovery recipient of a new identity."""

_DAY_S = 86_400

Result = TypeVar("Result")


class OpenVault(Protocol):
    """What is needed of an open vault."""

    @property
    def generation(self) -> int:
        """Generation of what was last read or written."""
        ...

    def read(self) -> bytes:
        """Read the payload that is on disk now."""
        ...

    def write(self, payload: bytes, expected_generation: int) -> None:
        """Replace the payload, if the generation on disk is the expected one."""
        ...


class Keeper:
    """Holds a wallet's secrets in memory and its vault open.

    Args:
        vault: the open vault.
        vault_path: where it lies, to notice that another process wrote it.
        entropy: gives as many random bytes as asked.
        now: gives Unix time in seconds; None: the machine's clock.

    Raises:
        FormatError: ``wallet-state.*`` if the payload is not a wallet's.
    """

    def __init__(
        self,
        vault: OpenVault,
        vault_path: str,
        entropy: Callable[[int], bytes] = os.urandom,
        now: Callable[[], float] | None = None,
        home: Home | None = None,
    ) -> None:
        self._home = home
        self._vault = vault
        self._vault_path = vault_path
        self._entropy = entropy
        self._now = now if now is not None else lambda: time.time()
        self._summaries: dict[bytes, IdentitySummary] = {}
        self._recovery_pairs: dict[tuple[int, int], tuple[Secret, bytes]] = {}
        self._known_keys: dict[int, bytes] = {}
        self._load()

    def _load(self) -> None:
        stamp = self._file_stamp()
        state = WalletState.from_bytes(self._vault.read())
        self._recovery_pairs.clear()
        self._known_keys.clear()
        self._root = KeyTree(state.seed, Scheme(state.public.scheme)) if state.seed is not None else None
        self._state, self._stamp = state, stamp

    @property
    def _tree(self) -> KeyTree:
        """The keys that the seed gives.

        Raises:
            SignerError: ``wallet.watch-only`` where there is no seed.
        """
        if self._root is None:
            raise watch_only()
        return self._root

    def _file_stamp(self) -> tuple[int, int, int]:
        try:
            found = os.stat(self._vault_path)
        except OSError as error:
            raise VaultError(
                "wallet.missing", "the vault file has gone", "restore it from a copy, or from the words"
            ) from error
        return found.st_ino, found.st_mtime_ns, found.st_size

    @property
    def generation(self) -> int:
        """Generation of the vault that the answers come from."""
        return self._vault.generation

    def snapshot(self) -> Snapshot:
        """Return the public half of the wallet as it is on disk now."""
        self.refresh()
        return Snapshot(self.generation, self._state.public)

    def refresh(self) -> None:
        """Take over what another process has written to the vault.

        Raises:
            VaultError: ``wallet.missing``, ``vault.changed`` (sealed with another key now) or ``vault.damaged``.
        """
        if self._file_stamp() != self._stamp:
            self._load()

    def synchronized(self) -> dict[int, int | None]:
        """Return when each published identity was last tried to be brought in step (Unix time in seconds), by index.

        Raises:
            FormatError: ``sync-log.*``.
        """
        from walletcli.wallet.sealed import sync_log

        data = self._state.drawers.get((WALLET_DRAWER, sync_log.DRAWER))
        entries = sync_log.from_bytes(data) if data is not None else {}
        return {
            identity.index: entries[identity.index].tried_s if identity.index in entries else None
            for identity in self._state.public.identities
            if identity.record is not None and not identity.unseen
        }

    def answer(self, request: Request) -> object:
        """Do what `request` asks for.

        Returns:
            A value for `cbor.encode`; it never holds a secret key.

        Raises:
            WalletError: what the request ends in.
        """
        self.refresh()
        match request:
            case GetFacts():
                return self._facts().to_cbor()
            case GetSummaries():
                return [self._summary(identity).to_cbor() for identity in self._state.public.identities]
            case GetView():
                return [self.generation, self._state.public.to_cbor()]
            case DeriveSummaries():
                return [summary.to_cbor() for summary in self._derived(request)]
            case Sign():
                return self._sign(request)
            case Apply():
                return self._apply(request.change)
            case Unseal():
                return self._unseal(request.index, request.sealed, request.context)
            case GetDrawer():
                return self._drawer(request)
            case SignStatement():
                return self._sign_statement(request)
            case SignSsh():
                return ssh_keys.sign(self._state, request.index, request.data)
            case DeriveKeys():
                return self._root_keys(request.start, request.count)
            case UnsealAsRoot():
                return self._unseal_as_root(request.index, request.sealed, request.context)
            case OpenShard():
                return shards.opened(self._tree, request.number, request.payload)
            case SignShard():
                return self._sign_shard(request)
            case NewDevices():
                count = request.count
                return self._written(lambda: new_devices(self._state, count, self._entropy))
            case ReviewRequest():
                return self._review_request(request.data)
            case ApproveRequest():
                return self._approve_request(request)
            case _:
                raise InputError("agent-request.unknown", "only an agent answers this request")

    def ssh_signer(self, index: int) -> ssh_keys.SshSigner:
        """Return the SSH key of an identity, for who holds the vault open in this process.

        Raises:
            InputError: ``identity.unknown``, ``identity.retired``.
            SignerError: ``ssh.no-key``, ``ssh.key-mismatch``.
        """
        self.refresh()
        return ssh_keys.signer(self._state, index)

    def _facts(self) -> WalletFacts:
        public = self._state.public
        count = len(public.identities)
        return WalletFacts(
            public.scheme, public.language, public.word_count, public.check, public.created_day, public.restored, count,
            self.generation, public.watch,
        )  # fmt: skip

    def _summary(self, identity: IdentityView) -> IdentitySummary:
        known = self._summaries.get(identity.public_key)
        if known is None:
            known = self._summaries[identity.public_key] = identity.summary()
        published, retired = identity.stored is not None, identity.retired is not None
        return replace(known, label=identity.label, published=published, retired=retired)

    def _path(self, index: int) -> str:
        return path_to_text(self._tree.identity_path(index))

    def _derived(self, request: DeriveSummaries) -> list[IdentitySummary]:
        held = {identity.index: identity for identity in self._state.public.identities}
        keys = self._tree.root_public_keys(request.start, request.count)
        return [
            self._summary(held[index]) if index in held else IdentitySummary.of(index, key, self._path(index))
            for index, key in enumerate(keys, request.start)
        ]

    def _write(self, state: WalletState) -> None:
        self._vault.write(state.to_bytes(), self.generation)
        self._stamp = self._file_stamp()
        self._state = state

    def _sign(self, request: Sign) -> bytes:
        """Sign a document's packet, and keep the record in the vault before anybody sees it."""
        if request.generation != self.generation:
            raise VaultError("vault.changed", "the wallet has changed since the document was made", "try again")
        identity = self._state.public.by_index(request.index)
        if self._root is None:
            raise watch_only(identity.label)
        previous = Record.from_bytes(identity.record).document if identity.record is not None else None
        asked = PacketRequest(identity.public_key, Document.from_bytes(request.document), previous)
        beside = DocumentApprovals.from_bytes(request.beside) if request.beside is not None else None
        check_signing(asked, identity, self._now(), beside)
        packet = SoftwareSigner(self._tree.root(request.index), identity.public_key).sign(asked)
        record = Record.verified(packet, request.document).with_approvals(beside).to_bytes()
        self._write(transitions.record_signed(self._state, request.index, record))
        return record

    def _drawer(self, request: GetDrawer) -> bytes | None:
        index = request.index if request.index is not None else WALLET_DRAWER
        if index != WALLET_DRAWER:
            self._state.public.by_index(index)
        return self._state.drawers.get((index, request.name))

    def _sign_statement(self, request: SignStatement) -> bytes:
        """Sign a statement that the policy allows, with the device key or the root's."""
        identity = self._state.public.by_index(request.index)
        check_statement(request.typ, request.payload, identity, by_root=request.by_root)
        if not request.by_root:
            return sign_statement(SigningKey(self._device(request.index).signing), request.typ, request.payload)
        if not self._has_root:
            raise watch_only(identity.label)
        return self._sign_as_root(request.index, request.typ, request.payload)

    def _device(self, index: int) -> DeviceSecrets:
        return self._state.devices[index]

    def _apply(self, change: Change) -> object:
        index = self._written(lambda: self._changed(change))
        identity = self._state.public.by_index(index).to_cbor() if index is not None else None
        return [self.generation, identity]

    def _written(self, make: Callable[[], tuple[WalletState, Result]]) -> Result:
        """Make the next state and write it; if another process was quicker, make it again on top of its state."""
        for _ in range(MAX_ATTEMPTS):
            state, result = make()
            try:
                if state != self._state:
                    self._write(state)
            except VaultError as error:
                if error.code != "vault.changed":
                    raise
                self._load()
            else:
                return result
        raise VaultError("vault.busy", "other processes keep changing the wallet", "try again")

    def _changed(self, change: Change) -> tuple[WalletState, int | None]:
        if not isinstance(change, Several):
            return self._changed_once(self._state, change)
        state, index = self._state, None
        for kind, group in groupby(change.changes, key=type):
            alike = list(group)
            if kind is TakeFound:
                state = self._taken_all(state, [one for one in alike if isinstance(one, TakeFound)])
                index = getattr(alike[-1], "index", None)
            elif kind is PutDrawer:
                state = transitions.put_drawers(state, [one for one in alike if isinstance(one, PutDrawer)])
                index = getattr(alike[-1], "index", None)
            else:
                for one in alike:
                    state, index = self._changed_once(state, one)
        return state, index

    def _changed_once(self, state: WalletState, change: Change) -> tuple[WalletState, int | None]:
        if isinstance(change, AddIdentity):
            if self._root is None:
                raise watch_only(new=change.label)
            index = transitions.free_index(state.public, change.index)
            return transitions.add_identity(state, *self._new_identity(state, index, change)), index
        if isinstance(change, TakeIdentity):
            return take_identity(state, change), change.index
        if isinstance(change, KeepDevices):
            return keep_devices(state, change), None
        if isinstance(change, TakeFound):
            return self._taken_all(state, [change]), change.index
        if isinstance(change, KeepSshKey):
            return ssh_keys.keep(state, change, self._entropy), change.index
        found = self._found(state, change) if isinstance(change, Adopt) else None
        return transitions.apply(state, change, found), getattr(change, "index", None)

    def _review_request(self, data: bytes) -> object:
        """Say what a request would do; without the root keys it is only read."""
        from walletcli.wallet.airgap import desk

        return desk.review(data, self._state, self._root, self._now(), self._entropy)

    def _approve_request(self, asked: ApproveRequest) -> object:
        """Sign what the owner approved; records and responses are in the vault before anybody sees them."""
        from walletcli.wallet.airgap import desk

        def signed() -> tuple[WalletState, bytes]:
            return desk.approve(
                asked, self._state, self._tree, self._now(), self._entropy, self._hold, self._ask_approvers
            )

        return self._written(signed)

    def _ask_approvers(self, credentials: Sequence[Credential], last: Record, document: Document) -> bytes | None:
        from walletcli.wallet.approvers.asking import beside_of

        return beside_of(self._home, credentials, last, document)

    def _sign_shard(self, request: SignShard) -> bytes:
        """Sign a shard of the wallet index; its `seq` is in the vault before anybody sees it."""
        content = ShardContent.from_bytes(request.content, request.number)
        above = request.seq - 1
        return self._written(
            lambda: shards.signed(self._tree, self._state, request.number, content, above, self._now(), self._entropy)
        )

    def index_due_s(self) -> int | None:
        """Return the next slot of the wallet index (Unix time in seconds); None if nothing is written here.

        Raises:
            FormatError: ``index-book.*``.
        """
        return shards.due_s(self._state) if self._root is not None else None

    def _hold(self, state: WalletState, index: int, label: str) -> WalletState:
        """Return the state with an identity that the wallet did not hold."""
        change = AddIdentity(label, index, int(self._now()) // _DAY_S)
        return transitions.add_identity(state, *self._new_identity(state, index, change))

    def _new_identity(self, state: WalletState, index: int, change: AddIdentity) -> tuple[IdentityView, DeviceSecrets]:
        label = transitions.free_label(state.public, change.label, None)
        return self._new_view(label, index, change.day, unseen=state.public.restored)

    def _new_view(self, label: str, index: int, day: int, *, unseen: bool) -> tuple[IdentityView, DeviceSecrets]:
        """Return an identity that has nothing yet, with new device keys."""
        secrets = DeviceSecrets(Secret(self._entropy(DEVICE_SEED_BYTES)), Secret(self._entropy(DEVICE_SEED_BYTES)))
        view = IdentityView(
            index=index,
            public_key=self._root_keys(index, 1)[0],
            label=label,
            created_day=day,
            device_signing_key=SigningKey(secrets.signing).public_key,
            device_sealing_key=x25519.public_key(secrets.sealing),
            recovery_key=self._recovery_key(index),
            recovery_generation=RECOVERY_GENERATION,
            profile={},
            sealed_profile={},
            retired=None,
            changed=True,
            unseen=unseen,
            record=None,
            stored=None,
            contacted=(),
            accepted_links=(),
            path=self._path(index),
        )
        return view, secrets

    def _taken_all(self, state: WalletState, changes: Sequence[TakeFound]) -> WalletState:
        """Hold identities whose records were found, under their owner's labels, or continue from those records."""
        labels = transitions.labels_of(state.public)
        new: dict[int, tuple[IdentityView, DeviceSecrets]] = {}
        left = []
        for change in changes:
            if change.index in state.devices or change.index in new:
                left.append(change)
                continue
            record = verified_record(change.record)
            section = self._section_as_root(change.index, record)
            label = transitions.free_label_for(labels, section, change.index)
            labels.add(label.casefold())
            view, secrets = self._new_view(label, change.index, change.day, unseen=state.public.restored)
            new[change.index] = transitions.taken(view, change, Found(record, section, None)), secrets
        state = transitions.add_identities(state, list(new.values())) if new else state
        for change in left:
            state = self._taken_again(state, change)
        return state

    def _taken_again(self, state: WalletState, change: TakeFound) -> WalletState:
        own = state.public.by_index(change.index).record
        base = self._section_as_root(change.index, Record.from_bytes(own)) if own is not None else None
        record = Record.from_bytes(change.record)
        return transitions.take_found(state, change, Found(record, self._section_as_root(change.index, record), base))

    def _section_as_root(self, index: int, record: Record) -> sections.OwnerSection | None:
        context = sections.context(record.packet.public_key)
        return _owner_section(record, lambda sealed: self._unseal_as_root(index, sealed, context))

    def _found(self, state: WalletState, change: Adopt) -> Found | None:
        """Open the owner's sections of a record from the network and of the wallet's own last one."""
        if change.record is None:
            return None
        identity = state.public.by_index(change.index)
        context = sections.context(identity.public_key)

        def opened(sealed: bytes) -> bytes:
            return self._opened(state, identity, sealed, context)

        record = Record.from_bytes(change.record)
        own = Record.from_bytes(identity.record) if identity.record is not None else None
        base = _owner_section(own, opened) if own is not None else None
        return Found(record, _owner_section(record, opened), base)

    def _unseal(self, index: int, sealed: bytes, context: bytes) -> bytes:
        """Open what is sealed to this device or to the recovery recipient of an identity."""
        return self._opened(self._state, self._state.public.by_index(index), sealed, context)

    def _opened(self, state: WalletState, identity: IdentityView, sealed: bytes, context: bytes) -> bytes:
        try:
            return unseal(sealed, state.devices[identity.index].sealing, context)
        except VerificationError as error:
            if error.code != "sealed.not-for-you":
                raise
        if self._has_root:
            return self._unseal_as_root(identity.index, sealed, context, identity.recovery_generation)
        raise VerificationError(
            "sealed.not-for-you",
            "it is not sealed to this device",
            "if this device is new, let one that can read it go first, with: walletcli sync; then try again",
        )

    @property
    def _has_root(self) -> bool:
        return self._root is not None

    def _root_keys(self, start: int, count: int) -> list[bytes]:
        """Return root public keys; a restore asks for many, and then holds the identities that it has found by them."""
        if count == 1 and start in self._known_keys:
            return [self._known_keys[start]]
        keys = self._tree.root_public_keys(start, count)
        if len(self._known_keys) + count > MAX_KNOWN_KEYS:
            self._known_keys.clear()
        self._known_keys.update(enumerate(keys, start))
        return keys

    def _recovery_key(self, index: int) -> bytes:
        return self._recovery_pair(index, RECOVERY_GENERATION)[1]

    def _unseal_as_root(
        self, index: int, sealed: bytes, context: bytes, generation: int = RECOVERY_GENERATION
    ) -> bytes:
        """Open what is sealed to the recovery recipient of an identity, held or not."""
        secret, public_key = self._recovery_pair(index, generation)
        return unseal(sealed, secret, context, public_key)

    def _recovery_pair(self, index: int, generation: int) -> tuple[Secret, bytes]:
        """Return the recovery recipient's keys; those that were needed last are kept beside the seed."""
        pair = self._recovery_pairs.pop((index, generation), None)
        if pair is None:
            secret = self._tree.recovery_secret(index, generation)
            pair = secret, x25519.public_key(secret)
            if len(self._recovery_pairs) >= MAX_RECOVERY_PAIRS:
                self._recovery_pairs.pop(next(iter(self._recovery_pairs)))
        self._recovery_pairs[index, generation] = pair
        return pair

    def _sign_as_root(self, index: int, typ: str, payload: bytes) -> bytes:
        return sign_statement(self._tree.root(index), typ, payload)


def _owner_section(found: Record, opened: Callable[[bytes], bytes]) -> sections.OwnerSection | None:
    """Return the owner's section of a record's document, or None if there is none that `opened` opens."""
    for section in found.document.sections if found.document is not None else ():
        try:
            content = opened(section)
        except (FormatError, VerificationError):  # somebody else's, or nonsense
            continue
        return sections.OwnerSection.from_bytes(content)
    return None
