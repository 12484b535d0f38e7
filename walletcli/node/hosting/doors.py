"""``/host``, ``/host/challenge``, ``/host/grant``, ``/host/login``: how an identity comes to be hosted, and gets in.

Spec: docs/spec/hosting.md, "Grant" and "Login".
"""

from __future__ import annotations

import hashlib
import time
from functools import partial
from typing import Final, TypeVar

from walletcli.client.host_answers import Token
from walletcli.core.cose import Sign1
from walletcli.core.grant_request import MAX_REQUEST_BYTES, GrantRequest
from walletcli.core.login import MAX_LOGIN_BYTES, Login
from walletcli.core.statements import Statement, verify_statement
from walletcli.errors import StorageError, WalletError
from walletcli.node.gate import Gate
from walletcli.node.hosting.budget import Budget
from walletcli.node.hosting.challenges import Challenges
from walletcli.node.hosting.devices import DeviceBook
from walletcli.node.hosting.kept import Kept, Rule, UseInvitation
from walletcli.node.hosting.provider import Provider, today
from walletcli.node.hosting.tokens import Session, Tokens, signer_tag
from walletcli.node.http import Connection
from walletcli.node.metrics import HostingCounters
from walletcli.node.request import Request
from walletcli.node.store import Outcome

GRANT_TYPE: Final = b"application/walletcli-grant+cose"
CBOR_TYPE: Final = b"application/cbor"
BYTES_TYPE: Final = b"application/octet-stream"
CHALLENGED: Final = b"WWW-Authenticate: Bearer\r\n"

_S = TypeVar("_S", bound=Statement)


class _Refused(Exception):
    """An answer that ends a request; never leaves this module."""

    def __init__(self, status: int, code: str, message: str, extra: bytes = b"") -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.extra = extra


class Doors:
    """Answers offers, challenges, requests for grants and logins.

    Args:
        gate: store, writer and answers.
        provider: who this node is.
        devices: who may act for whom.
        tokens: what a login gives.
        budget: how much may be asked for.
        counters: what is counted.
    """

    def __init__(
        self,
        gate: Gate,
        provider: Provider,
        devices: DeviceBook,
        tokens: Tokens,
        budget: Budget,
        counters: HostingCounters,
    ) -> None:
        self._gate = gate
        self._provider = provider
        self._devices = devices
        self._tokens = tokens
        self._budget = budget
        self._counters = counters
        self._challenges = Challenges()

    def offer(self) -> bytes:
        """Answer ``GET /host``."""
        return self._gate.answers.text(200, self._provider.offer(), CBOR_TYPE)

    def challenge(self) -> bytes:
        """Answer ``GET /host/challenge``."""
        return self._gate.answers.text(200, self._challenges.make(self._gate.clock.now), BYTES_TYPE)

    def login(self, request: Request) -> bytes:
        """Answer ``POST /host/login``.

        Raises:
            StorageError: the store cannot be read.
        """
        try:
            token = self._login(request)
        except _Refused as refused:
            self._counters.logins_refused += 1
            return self._render(refused)
        self._counters.logins += 1
        return self._gate.answers.text(200, token, CBOR_TYPE)

    def grant(self, request: Request, connection: Connection) -> bytes | None:
        """Answer ``POST /host/grant``; None as long as an invitation is being used.

        Raises:
            StorageError: the store cannot be read.
        """
        try:
            return self._grant(request, connection)
        except _Refused as refused:
            self._counters.grants_refused += 1
            return self._render(refused)

    def _render(self, refused: _Refused) -> bytes:
        return self._gate.answers.error(refused.status, refused.code, refused.message, refused.extra)

    # both

    def _count(self, request: Request) -> None:
        refusal = self._budget.refuse_login(request.client)
        if refusal is not None:
            raise _Refused(refusal.status, refusal.code, refusal.message, refusal.extra)

    def _read(self, body: bytes, cls: type[_S], max_bytes: int) -> tuple[_S, Sign1]:
        try:
            return verify_statement(body, cls, max_bytes)
        except WalletError as error:
            raise _Refused(400, error.code, error.message) from error

    def _open(self, challenge: bytes, status: int) -> None:
        if not self._challenges.is_open(challenge, self._gate.clock.now):
            raise _Refused(
                status, "host.challenge", "the challenge is not of this node, too old, or used", _extra(status)
            )

    def _use(self, challenge: bytes) -> None:
        if not self._challenges.use(challenge, self._gate.clock.now):
            raise _Refused(503, "limits.requests", "too many logins at once", b"Retry-After: 30\r\n")

    def _check_device(self, key: bytes, signer: bytes, status: int) -> None:
        devices = self._devices.of(key)
        if devices is None:
            raise _Refused(403, "host.unknown-identity", "no record of this identity is stored here")
        if not devices.key_holds(signer, today()):
            message = "the key is no device of the identity that may host today"
            raise _Refused(status, "host.device", message, _extra(status))

    # logins

    def _login(self, request: Request) -> bytes:
        self._count(request)
        asked, sign1 = self._read(request.body, Login, MAX_LOGIN_BYTES)
        if asked.audience != self._provider.key:
            raise _Refused(401, "host.audience", "the login is for another provider", CHALLENGED)
        self._open(asked.nonce, 401)
        if not asked.by_root:
            self._check_device(asked.identity, sign1.signer, 401)
        elif sign1.signer != asked.identity:
            raise _Refused(401, "host.device", "the key is not the identity's root", CHALLENGED)
        self._use(asked.nonce)
        expires_s = int(time.time()) + 60 * asked.minutes
        session = Session(asked.identity, asked.purpose, signer_tag(sign1.signer))
        return Token(self._tokens.make(session, expires_s), expires_s).to_bytes()

    # grants

    def _grant(self, request: Request, connection: Connection) -> bytes | None:
        self._count(request)
        asked, sign1 = self._read(request.body, GrantRequest, MAX_REQUEST_BYTES)
        if asked.provider != self._provider.key:
            raise _Refused(403, "host.audience", "the request is for another provider")
        self._open(asked.nonce, 403)
        if sign1.signer != asked.identity:
            self._check_device(asked.identity, sign1.signer, 403)
        rule = self._gate.store.rule(asked.identity)
        if rule is Rule.BLOCKED:
            raise _Refused(403, "host.blocked", "this node does not host this identity")
        if asked.quota_bytes > self._provider.settings.terms.quota_bytes:
            raise _Refused(403, "host.quota", "that is more room than this node offers")
        if not self._provider.may_grant():
            raise _Refused(
                503, "host.no-delegation", "this node cannot grant until its operator has renewed its record"
            )
        is_free = self._provider.is_open or rule is Rule.ALLOWED or self._is_bound(asked.identity)
        if not is_free and asked.invitation is None:
            raise _Refused(403, "host.invitation", "this node grants to those whom it has invited")
        self._use(asked.nonce)
        if is_free or asked.invitation is None:
            return self._signed(asked)
        digest = hashlib.sha256(asked.invitation.encode()).digest()
        done = partial(self._invited, asked, connection)
        self._gate.writer.submit(UseInvitation(digest, asked.identity), done)
        return None

    def _is_bound(self, key: bytes) -> bool:
        """Tell whether an identity is hosted already: then it may have a new grant without being invited again."""
        hosted = self._gate.store.hosted(key)
        return hosted is not None and hosted.state is Kept.BOUND

    def _signed(self, asked: GrantRequest) -> bytes:
        if self._gate.is_full:
            return self._gate.answers.error(507, "storage.full", "this node has no room")
        self._counters.grants += 1
        return self._gate.answers.text(200, self._provider.grant(asked.identity, asked.quota_bytes), GRANT_TYPE)

    def _invited(self, asked: GrantRequest, connection: Connection, result: Outcome | WalletError) -> None:
        if isinstance(result, StorageError):
            connection.finish(self._gate.storage_failed(result))
        elif result is Outcome.STORED or result is Outcome.SAME:
            connection.finish(self._signed(asked))
        else:
            self._counters.grants_refused += 1
            message = "the invitation is not known here, used up, or over"
            connection.finish(self._gate.answers.error(403, "host.invitation", message))


def _extra(status: int) -> bytes:
    return CHALLENGED if status == 401 else b""
