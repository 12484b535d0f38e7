"""Paths below ``/host``.

Spec: docs/spec/hosting.md, "Paths".
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Final

from walletcli.client.host_answers import PAGE_ITEMS
from walletcli.core.blob import ID_BYTES
from walletcli.core.encodings import b64url_decode, z32_key
from walletcli.core.grant_request import MAX_REQUEST_BYTES
from walletcli.core.login import MAX_LOGIN_BYTES, Purpose
from walletcli.errors import FormatError
from walletcli.node.gate import Gate
from walletcli.node.hosting.blobs import CODE_TOO_LONG, Blobs
from walletcli.node.hosting.budget import SHORT_BYTES, Budget
from walletcli.node.hosting.devices import DeviceBook
from walletcli.node.hosting.doors import CHALLENGED, Doors
from walletcli.node.hosting.provider import Provider, today
from walletcli.node.hosting.tokens import Session, Tokens
from walletcli.node.http import Connection
from walletcli.node.metrics import HostingCounters
from walletcli.node.request import BodyLimit, Client, Refusal, Request

PREFIX: Final = b"/host"

_HEX: Final = frozenset(b"0123456789abcdef")
_NO_TOKEN: Final = Refusal(401, "host.token", "log in first, or again", CHALLENGED)
_NO_PATH: Final = Refusal(404, "request.path", "there is nothing here")
_BLOBS: Final = b"/blobs"
_BLOB: Final = b"/blob/"


class HostRoutes:
    """Answers what is asked below ``/host``.

    Args:
        gate: store, writer and answers.
        provider: who this node is.
        budget: how much may be asked for.
        counters: what is counted.
    """

    def __init__(self, gate: Gate, provider: Provider, budget: Budget, counters: HostingCounters) -> None:
        self._gate = gate
        self._provider = provider
        self._devices = DeviceBook(gate.store, gate.writer.state, gate.clock)
        self._tokens = Tokens()
        self._doors = Doors(gate, provider, self._devices, self._tokens, budget, counters)
        self._blobs = Blobs(gate, provider, self._devices, budget, counters)

    def body_limit(
        self, method: bytes, path: bytes, headers: dict[bytes, bytes], client: Client, length_bytes: int | None
    ) -> BodyLimit | Refusal:
        """Return what a body may be; of one that is not short only if somebody sends it who may.

        Raises:
            StorageError: the store cannot be read.
        """
        if method == b"POST":
            return BodyLimit(max(MAX_REQUEST_BYTES, MAX_LOGIN_BYTES), "cose.too-long")
        if method != b"PUT":
            return BodyLimit(0, "request.body")
        if length_bytes is not None and length_bytes <= SHORT_BYTES:
            return BodyLimit(SHORT_BYTES, CODE_TOO_LONG)
        if self._provider.is_off:
            return _NO_PATH
        key, _, rest = path[len(PREFIX) + 1 :].partition(b"/")
        session = self._session(key, headers) if rest.startswith(_BLOB[1:]) else _NO_PATH
        if isinstance(session, Refusal):
            return session
        return self._blobs.body_limit(session, client, length_bytes)

    def answer(self, request: Request, connection: Connection, path: bytes, query: bytes) -> bytes | None:
        """Answer a request; None if that is done later.

        Raises:
            StorageError: the store cannot be read.
        """
        if self._provider.is_off:
            return self._refused(_NO_PATH)
        rest, method = path[len(PREFIX) :], request.method
        if rest == b"":
            return self._doors.offer() if method == b"GET" else self._no_method(method, b"GET, OPTIONS")
        if rest == b"/challenge":
            return self._doors.challenge() if method == b"GET" else self._no_method(method, b"GET, OPTIONS")
        if rest == b"/login":
            return self._doors.login(request) if method == b"POST" else self._no_method(method, b"POST, OPTIONS")
        if rest == b"/grant":
            if method == b"POST":
                return self._doors.grant(request, connection)
            return self._no_method(method, b"POST, OPTIONS")
        key, slash, rest = rest[1:].partition(b"/")
        return self._hosted(request, connection, key, slash + rest, query)

    def _hosted(self, request: Request, connection: Connection, key: bytes, rest: bytes, query: bytes) -> bytes | None:
        """Answer what is asked about one identity."""
        method = request.method
        if rest == b"":
            allowed = b"GET, DELETE, OPTIONS"
        elif rest == _BLOBS:
            allowed = b"GET, OPTIONS"
        elif rest.startswith(_BLOB):
            allowed = b"GET, PUT, OPTIONS"
        else:
            return self._refused(_NO_PATH)
        if method == b"OPTIONS" or method not in allowed.split(b", "):
            return self._no_method(method, allowed)
        session = self._session(key, request.headers)
        if isinstance(session, Refusal):
            return self._refused(session)
        if rest == b"":
            return self._blobs.status(session) if method == b"GET" else self._blobs.forget(session, connection)
        if rest == _BLOBS:
            return self._page(session, request.client, query)
        blob_id = _id(rest[len(_BLOB) :])
        if blob_id is None:
            return self._gate.answers.error(400, "blob.id", "a blob's id is 32 lower-case hexadecimal digits")
        if method == b"GET":
            return self._blobs.get(session, request, connection, blob_id)
        return self._blobs.put(session, request, connection, blob_id)

    def _page(self, session: Session, client: Client, query: bytes) -> bytes:
        after, limit = None, PAGE_ITEMS
        for part in query.split(b"&") if query else ():
            name, _, value = part.partition(b"=")
            if name == b"after" and (after := _id(value)) is not None:
                continue
            if name == b"limit" and value.isdigit() and len(value) <= 3 and 1 <= int(value) <= PAGE_ITEMS:
                limit = int(value)
                continue
            return self._gate.answers.error(
                400, "request.query", f"after=ID and limit=1 to {PAGE_ITEMS} are known here"
            )
        return self._blobs.page(session, client, after, limit)

    def _session(self, key_text: bytes, headers: dict[bytes, bytes]) -> Session | Refusal:
        """Return who is asking, if the token is good and its key may still act for the identity."""
        asked = _asked(key_text, headers.get(b"authorization", b""))
        if isinstance(asked, Refusal):
            return asked
        key, token = asked
        session = self._tokens.read(token, key, time.time())
        if session is None:
            return _NO_TOKEN
        if session.purpose is Purpose.DEVICE:
            devices = self._devices.of(key)
            if devices is None or not devices.tag_holds(session.signer_tag, today()):
                return _NO_TOKEN
        return session

    def _refused(self, refusal: Refusal) -> bytes:
        return self._gate.answers.error(refusal.status, refusal.code, refusal.message, refusal.extra)

    def _no_method(self, method: bytes, allowed: bytes) -> bytes:
        if method == b"OPTIONS":
            return self._gate.answers.options(allowed)
        allow = b"Allow: %b\r\n" % allowed
        return self._gate.answers.error(405, "request.method", "this method is not allowed here", allow)


@lru_cache(maxsize=256)
def _asked(key_text: bytes, authorization: bytes) -> tuple[bytes, bytes] | Refusal:
    """Return the identity (32 bytes) and the token that a request names; whoever asks once asks again with the same."""
    try:
        key = z32_key(key_text)
    except FormatError as error:
        return Refusal(400, error.code, error.message)
    scheme, _, text = authorization.partition(b" ")
    if scheme.lower() != b"bearer":
        return _NO_TOKEN
    try:
        return key, b64url_decode(text.strip().decode("latin-1"))
    except FormatError:
        return _NO_TOKEN


def _id(text: bytes) -> bytes | None:
    """Return the 16 bytes that 32 lower-case hexadecimal digits stand for, or None."""
    if len(text) != 2 * ID_BYTES or not _HEX.issuperset(text):
        return None
    return bytes.fromhex(text.decode("ascii"))
