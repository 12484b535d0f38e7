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
from typing import Protocol, TypeVar

from walletcli.core.approvals import DocumentApprovals
from walletcli.core.document import Document
from walletcli.core.ed25519 import SigningKey
from walletcli.core.keys import KeyTree, Scheme
from walletcli.core.record import Record
from walletcli.core.wallet_index import ShardContent
from walletcli.errors import InputError, VaultError
from walletcli.signers.requests import PacketRequest
from walletcli.signers.software import SoftwareSigner
from walletcli.signers.statements import sign_statement
from walletcli.wallet.access import holding, ssh_keys
from walletcli.wallet.access.changing import changed
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
from walletcli.wallet.access.root import Root, SeedRoot
from walletcli.wallet.access.statement_policy import check_statement
from walletcli.wallet.access.watching import new_devices
from walletcli.wallet.home import Home
from walletcli.wallet.index import signing as shards
from walletcli.wallet.index.carried import DRAWER as CARRIED
from walletcli.wallet.state import transitions
from walletcli.wallet.state.approvers import Credential
from walletcli.wallet.state.changes import (
    AddIdentity,
    Change,
)
from walletcli.wallet.state.summary import IdentitySummary
from walletcli.wallet.state.view import IdentityView
from walletcli.wallet.state.wallet_state import WALLET_DRAWER, DeviceSecrets, WalletState
from walletcli.wallet.state.wallet_view import Snapshot, WalletFacts

MAX_ATTEMPTS = 20
"""How often a change is made again on top of what another process wrote meanwhile."""

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
        self._load()

    def _load(self) -> None:
        stamp = self._file_stamp()
        state = WalletState.from_bytes(self._vault.read())
        self._seed = KeyTree(state.seed, Scheme(state.public.scheme)) if state.seed is not None else None
        self._root = self._root_of(self._seed)
        self._state, self._stamp = state, stamp

    def _root_of(self, seed: KeyTree | None) -> Root | None:
        return SeedRoot(seed) if seed is not None else None

    @property
    def _tree(self) -> KeyTree:
        """The keys that the seed gives.

        Raises:
            SignerError: ``wallet.watch-only`` where there is no seed.
        """
        if self._seed is None:
            raise watch_only()
        return self._seed

    @property
    def _roots(self) -> Root:
        """The root keys, wherever they are.

        Raises:
            SignerError: ``wallet.watch-only`` where there are none.
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
                return self._roots.keys(request.start, request.count)
            case UnsealAsRoot():
                return self._roots.unseal(request.index, request.sealed, request.context)
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

    def _derived(self, request: DeriveSummaries) -> list[IdentitySummary]:
        held, root = {identity.index: identity for identity in self._state.public.identities}, self._roots
        return [
            self._summary(held[index]) if index in held else IdentitySummary.of(index, key, root.path(index))
            for index, key in enumerate(root.keys(request.start, request.count), request.start)
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
        if self._seed is None:
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
        if self._root is None:
            raise watch_only(identity.label)
        return self._root.sign(request.index, request.typ, request.payload)

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
        return changed(self._state, change, self._root, self._entropy, has_seed=self._seed is not None)

    def _review_request(self, data: bytes) -> object:
        """Say what a request would do; without the root keys it is only read."""
        from walletcli.wallet.airgap import desk

        return desk.review(data, self._state, self._seed, self._now(), self._entropy)

    def _approve_request(self, asked: ApproveRequest) -> object:
        """Sign what the owner approved; records and responses are in the vault before anybody sees them."""
        from walletcli.wallet.airgap import desk

        def signed() -> tuple[WalletState, bytes]:
            return desk.approve(
                asked, self._state, self._tree, self._now(), self._entropy, self._hold, self._ask_approvers
            )

        return self._written(signed)

    def _ask_approvers(
        self, credentials: Sequence[Credential], last: Record, document: Document, is_patient: bool
    ) -> bytes | None:
        from walletcli.wallet.airgap.cold import read_book
        from walletcli.wallet.approvers.gathering import beside_of, question_of

        question = question_of(credentials, last, document, read_book(self._state))
        return beside_of(self._home, question, last, document, is_patient=is_patient)

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
        has_index = self._seed is not None or (WALLET_DRAWER, CARRIED) in self._state.drawers
        return shards.due_s(self._state) if has_index else None

    def _hold(self, state: WalletState, index: int, label: str) -> WalletState:
        """Return the state with an identity that the wallet did not hold."""
        change = AddIdentity(label, index, int(self._now()) // _DAY_S)
        return holding.added(state, self._roots, index, change, self._entropy)

    def _unseal(self, index: int, sealed: bytes, context: bytes) -> bytes:
        """Open what is sealed to this device or to the recovery recipient of an identity."""
        return holding.opened(self._state, self._root, self._state.public.by_index(index), sealed, context)
