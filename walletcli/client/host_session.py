"""A session with a provider: one kept connection, a token that is renewed, and waiting as the provider wishes.

Spec: docs/spec/hosting.md; docs/spec/resolution.md, "Providers".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeAlias

from walletcli.client.freshness import Freshness
from walletcli.client.host_answers import MAX_LOGIN_BYTES, Token
from walletcli.client.host_failure import bad_answer, refusal, transport_failure, unreadable
from walletcli.client.http import Request, Response, retry_after_s
from walletcli.client.link import NodeLink
from walletcli.core.encodings import b64url_encode
from walletcli.core.identity_id import IdentityId
from walletcli.core.login import Login, Purpose
from walletcli.core.record import Record
from walletcli.errors import FormatError, NetworkError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer

Sign: TypeAlias = Callable[[str, bytes], bytes]
"""Signs a payload as a statement of a type and returns the COSE_Sign1; keys stay with whoever implements it."""

MIN_BYTES_PER_S: Final = 32_768
"""Slowest provider that a blob is waited for: a blob's call may take this much longer than others, by its size."""

LOGIN_MINUTES: Final = 15
"""How long a login is asked to hold."""

_MAX_REASON_BYTES: Final = 4096
_NONCE_BYTES: Final = (16, 64)


class HostSession:
    """One provider, one identity, one kept connection; for one thread at a time.

    Args:
        address: the provider's.
        dialer: opens the connections.
        identity: whose hosting it is about, or None.
        timeout_s: how long each call may take, in seconds; calls that carry a blob get more, by its size.
        memory: freshness of the provider's own record.
    """

    def __init__(
        self,
        address: NodeAddress,
        dialer: Dialer,
        identity: IdentityId | None,
        timeout_s: float,
        memory: Freshness | None,
    ) -> None:
        self.name = address.to_text()
        self._link = NodeLink(address, dialer, identity.did if identity is not None else None, memory)
        self._identity = identity
        self._timeout_s = timeout_s
        self._token: Token | None = None
        self._sign: Sign | None = None
        self._provider = b""
        self._purpose = Purpose.DEVICE

    @property
    def node_record(self) -> Record | None:
        """The record with which a pinned provider has proven its key."""
        return self._link.node_record

    @property
    def identity(self) -> IdentityId:
        """Whose hosting it is about.

        Raises:
            NetworkError: ``host.login`` without one.
        """
        if self._identity is None:
            raise NetworkError("host.login", "no identity was named to ask for", "name an identity")
        return self._identity

    def close(self) -> None:
        """Close the connection and forget the token."""
        self._token = None
        self._link.close()

    def login(self, sign: Sign, provider: bytes, purpose: Purpose) -> None:
        """Get a token, and renew it when it is no longer taken.

        Args:
            sign: signs the login; kept.
            provider: root key of the provider (32 bytes), to whom alone the login means anything.
            purpose: as which key.

        Raises:
            NetworkError: ``host.*``, ``tls.*``, ``network.*``.
        """
        self._sign, self._provider, self._purpose = sign, provider, purpose
        self._renew()

    def call(self, request: Request, max_body_bytes: int, carried_bytes: int = 0) -> Response:
        """Ask, and wait as the provider wishes when it wants fewer requests and there is time.

        Args:
            request: means the same asked twice.
            max_body_bytes: longest body to take.
            carried_bytes: length of the blob that comes or goes.

        Raises:
            NetworkError: ``host.*``, ``tls.*``, ``network.*``.
        """
        deadline_s = time.monotonic() + self._timeout_s + carried_bytes / MIN_BYTES_PER_S
        while True:
            try:
                response = self._link.ask(request, max(max_body_bytes, _MAX_REASON_BYTES), deadline_s)
            except NetworkError as error:
                raise transport_failure(error, self.name) from error
            wait_s = retry_after_s(response) if response.status in (429, 503) else None
            if wait_s is None or time.monotonic() + wait_s >= deadline_s:
                return response
            time.sleep(wait_s)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: tuple[tuple[str, str], ...] = (),
        *,
        max_body_bytes: int = 0,
        carried_bytes: int = 0,
    ) -> Response:
        """Ask under ``/host/KEY`` with a token, which is renewed once if it is no longer taken.

        Args:
            method: of HTTP.
            path: what follows KEY.
            body: what is sent.
            headers: beside those that every request has.
            max_body_bytes: longest body to take.
            carried_bytes: length of the blob that comes or goes.

        Raises:
            NetworkError: ``host.*``, ``tls.*``, ``network.*``.
        """
        if self._token is None:
            self._renew()
        path = f"/host/{self.identity.z32}{path}"
        for is_last in (False, True):
            assert self._token is not None
            bearer = ("Authorization", f"Bearer {b64url_encode(self._token.value)}")
            response = self.call(Request(method, path, body, (*headers, bearer)), max_body_bytes, carried_bytes)
            if response.status != 401 or is_last:
                break
            self._renew()
        return response

    def challenge(self) -> bytes:
        """Return the provider's challenge, 16 to 64 bytes.

        Raises:
            NetworkError: ``host.*``, ``tls.*``, ``network.*``.
        """
        response = self.call(Request("GET", "/host/challenge"), _MAX_REASON_BYTES)
        if response.status != 200:
            raise refusal(response, self.name)
        if not _NONCE_BYTES[0] <= len(response.body) <= _NONCE_BYTES[1]:
            raise bad_answer(self.name, "a challenge of the wrong length")
        return response.body

    def _renew(self) -> None:
        if self._sign is None:
            raise NetworkError("host.login", f"not logged in at {self.name}", "log in first")
        identity = self.identity.public_key
        login = Login(identity, self._provider, self.challenge(), LOGIN_MINUTES, self._purpose)
        response = self.call(Request("POST", "/host/login", self._sign(Login.TYP, login.to_payload())), MAX_LOGIN_BYTES)
        if response.status != 200:
            raise refusal(response, self.name)
        try:
            self._token = Token.from_bytes(response.body)
        except FormatError as error:
            raise unreadable(error, self.name, "a login") from error
