"""Talks to one node or relay on behalf of one identity.

Spec: pkarr's relay API (design/relays.md of that project); docs/spec/addresses.md, docs/spec/resolution.md.
"""

from __future__ import annotations

import hashlib
import re
import time
from types import TracebackType
from typing import Final, NoReturn, Self

from walletcli.client.freshness import Freshness
from walletcli.client.http import Request, Response, bad_answer, retry_after_s
from walletcli.client.link import TIMEOUT_S, NodeLink
from walletcli.core.approvals import MAX_APPROVALS_BYTES, DocumentApprovals
from walletcli.core.document import MAX_DOCUMENT_BYTES
from walletcli.core.encodings import z32_encode
from walletcli.core.packet import MAX_RELAY_PAYLOAD_BYTES, SignedPacket
from walletcli.core.record import Record
from walletcli.errors import FormatError, NetworkError, VerificationError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer

_MAX_ANSWER_BYTES: Final = 65_536
MAX_SAMPLE_KEYS: Final = 64
"""Most keys that a node names in one answer."""

_FROM_STORE: Final = (("Cache-Control", "only-if-cached"),)
_NO_DOCUMENTS: Final = frozenset({400, 404, 405, 501})
"""How relays that know nothing of documents answer when asked for one."""

_REASON: Final = re.compile(rb"([a-z0-9-]{1,32}\.[a-z0-9.-]{1,32}): ")


class RelayClient:
    """One relay, one identity, at most one connection; for one thread at a time.

    Nothing is shared with any other client.

    Args:
        address: the relay.
        dialer: opens the connections.
        for_identity: did:key of the identity on whose behalf it is asked, or None.
        timeout_s: how long each call may take, in seconds.
        memory: freshness of the *node's* own record, for pinned addresses; None starts from nothing.

    Attributes:
        link: its connection.
    """

    def __init__(
        self,
        address: NodeAddress,
        dialer: Dialer,
        for_identity: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        memory: Freshness | None = None,
    ) -> None:
        self.address = address
        self.link = NodeLink(address, dialer, for_identity, memory)
        self._name = address.to_text()
        self._timeout_s = timeout_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def node_record(self) -> Record | None:
        """The record with which a pinned node has proven its key; None before that, and for other addresses."""
        return self.link.node_record

    def close(self) -> None:
        """Close the connection, if there is one; the client can be used again."""
        self.link.close()

    def get_packet(
        self, public_key: bytes, min_seq: int | None = None, *, from_store: bool = False
    ) -> SignedPacket | None:
        """Return the packet that the relay has for a key, verified, or None where it has none.

        Args:
            public_key: Ed25519, 32 bytes.
            min_seq: refuse anything older.
            from_store: ask the relay what it holds itself; a relay that does not know the question asks its sources.

        Raises:
            NetworkError: ``relay.*``, ``tls.*``, ``network.*``.
            VerificationError: ``signature.invalid``, ``record.stale`` below `min_seq`, ``tls.*``.
        """
        headers = _FROM_STORE if from_store else ()
        path = "/" + z32_encode(public_key)
        response = self._ask(Request("GET", path, headers=headers), MAX_RELAY_PAYLOAD_BYTES)
        if response.status == 404 or (from_store and response.status == 504):
            return None
        self._expect(response, 200)
        packet = decode_packet(public_key, response.body, self._name)
        if min_seq is not None and packet.seq < min_seq:
            raise VerificationError(
                "record.stale", f"{self._name} has seq {packet.seq}, older than the known {min_seq}", "ask other relays"
            )
        return packet

    def get_packets(self, public_key: bytes, *, from_store: bool = False) -> tuple[SignedPacket, ...]:
        """Return what `get_packet` does, as a row of one or none: a relay has one packet of a key."""
        packet = self.get_packet(public_key, from_store=from_store)
        return () if packet is None else (packet,)

    def get_sample(self) -> list[bytes]:
        """Return some public keys (32 bytes each) of packets that the node holds, drawn by it at random.

        Raises:
            NetworkError: ``relay.*``, ``tls.*``, ``network.*``; ``relay.status`` from a relay that names none.
            VerificationError: ``tls.*``.
        """
        response = self._ask(Request("GET", "/sample"), MAX_SAMPLE_KEYS * 32)
        self._expect(response, 200)
        keys = [response.body[at : at + 32] for at in range(0, len(response.body), 32)]
        if any(len(key) != 32 for key in keys):
            raise bad_answer(self._name, "its sample is not a row of keys of 32 bytes")
        return keys

    def put_packet(self, packet: SignedPacket, cas_seq: int | None = None, *, dht_wait_s: int = 0) -> int | None:
        """Store a packet.

        Args:
            packet: what to store.
            cas_seq: store it only if this is the `seq` that the relay has now.
            dht_wait_s: how long the relay may take to say on how many nodes of the DHT it is then, in seconds.

        Returns:
            The number of nodes of the DHT that the relay says hold it; None if it says nothing.

        Raises:
            NetworkError: ``relay.conflict`` when the relay knows a newer one, ``relay.precondition`` when `cas_seq` is
                not what it has or it wants one, ``relay.refused``, other ``relay.*``, ``tls.*``, ``network.*``.
            VerificationError: ``tls.*``; ``approval.missing`` if the relay knows approvers who have not approved it.
        """
        headers = () if cas_seq is None else (("If-Match", str(cas_seq)),)
        if dht_wait_s:
            headers = (*headers, ("Prefer", f"wait={dht_wait_s}"))
        path = "/" + z32_encode(packet.public_key)
        response = self._ask(Request("PUT", path, packet.to_relay_payload(), headers), _MAX_ANSWER_BYTES)
        self._expect(response, 200, 204)
        return _dht_nodes(response)

    def get_document(self, document_hash: bytes, *, from_store: bool = False) -> bytes | None:
        """Return the document with this hash, or None where the relay has it not.

        Args:
            document_hash: SHA-256, 32 bytes.
            from_store: as in `get_packet`.

        Raises:
            NetworkError: ``relay.*``, ``tls.*``, ``network.*``.
            VerificationError: ``record.hash-mismatch`` for another document, ``tls.*``.
        """
        headers = _FROM_STORE if from_store else ()
        response = self._ask(Request("GET", _document_path(document_hash), headers=headers), MAX_DOCUMENT_BYTES)
        if response.status in _NO_DOCUMENTS or (from_store and response.status == 504):
            return None
        self._expect(response, 200)
        return check_document(document_hash, response.body, self._name)

    def put_document(self, document: bytes) -> None:
        """Store a document under its hash.

        Raises:
            NetworkError: ``relay.no-documents`` from a relay that keeps none, other ``relay.*``, ``tls.*``,
                ``network.*``.
            VerificationError: ``tls.*``.
        """
        path = _document_path(hashlib.sha256(document).digest())
        response = self._ask(Request("PUT", path, document), _MAX_ANSWER_BYTES)
        if response.status in _NO_DOCUMENTS and not reason_code(response):
            raise NetworkError(
                "relay.no-documents", f"{self._name} keeps packets and no documents", "name a walletcli node as well"
            )
        self._expect(response, 200, 201, 204)

    def get_approvals(self, document_hash: bytes) -> DocumentApprovals | None:
        """Return what the relay has beside a document, or None where that is nothing; what it is worth is not checked.

        Args:
            document_hash: SHA-256, 32 bytes.

        Raises:
            NetworkError: ``relay.bad-answer`` for what are no approvals, other ``relay.*``, ``tls.*``, ``network.*``.
            VerificationError: ``tls.*``.
        """
        response = self._ask(Request("GET", _document_path(document_hash) + "/approvals"), MAX_APPROVALS_BYTES)
        if response.status in _NO_DOCUMENTS:
            return None
        self._expect(response, 200)
        try:
            return DocumentApprovals.from_bytes(response.body)
        except FormatError as error:
            raise bad_answer(self._name, f"no approvals ({error.code}: {error.message})") from error

    def put_approvals(self, document_hash: bytes, beside: DocumentApprovals) -> None:
        """Store what is beside a document, which the relay has already.

        A relay that has approvals which are worth as much to it keeps them. That ends nothing: strangers can put them
        there, and whether they suffice is told when the packet is put.

        Raises:
            NetworkError: ``relay.no-documents`` from a relay that keeps none, other ``relay.*``, ``tls.*``,
                ``network.*``.
            VerificationError: ``tls.*``.
        """
        path = _document_path(document_hash) + "/approvals"
        response = self._ask(Request("PUT", path, beside.to_bytes()), _MAX_ANSWER_BYTES)
        if response.status in _NO_DOCUMENTS and not reason_code(response):
            raise NetworkError(
                "relay.no-documents", f"{self._name} keeps packets and no documents", "name a walletcli node as well"
            )
        if response.status != 409:
            self._expect(response, 200, 201, 204)

    def _ask(self, request: Request, max_body_bytes: int) -> Response:
        """Ask, and wait as the relay wishes when it wants fewer requests and there is time."""
        deadline_s = time.monotonic() + self._timeout_s
        while True:
            response = self.link.ask(request, max_body_bytes, deadline_s)
            wait_s = retry_after_s(response) if response.status == 429 else None
            if wait_s is None or time.monotonic() + wait_s >= deadline_s:
                return response
            time.sleep(wait_s)

    def _expect(self, response: Response, *statuses: int) -> None:
        if response.status not in statuses:
            raise_for_status(response, self._name)


def decode_packet(public_key: bytes, payload: bytes, name: str) -> SignedPacket:
    """Decode and verify what the relay `name` sent as the packet of a key.

    Raises:
        NetworkError: ``relay.bad-answer`` when it is not a packet.
        VerificationError: ``signature.invalid``.
    """
    try:
        return SignedPacket.from_relay_payload(public_key, payload)
    except FormatError as error:
        raise bad_answer(name, f"not a packet ({error.code}: {error.message})") from error
    except VerificationError as error:
        raise VerificationError(
            error.code, f"{name} sent a packet that the key did not sign", "ask other relays"
        ) from error


def check_document(document_hash: bytes, document: bytes, name: str) -> bytes:
    """Return what the relay `name` sent as a document, if it is the one asked for.

    Raises:
        VerificationError: ``record.hash-mismatch``.
    """
    if hashlib.sha256(document).digest() != document_hash:
        raise VerificationError(
            "record.hash-mismatch", f"{name} sent another document than asked for", "ask other relays"
        )
    return document


def raise_for_status(response: Response, name: str) -> NoReturn:
    """Raise the error that an unwelcome HTTP status stands for.

    Raises:
        NetworkError: ``relay.conflict``, ``relay.precondition``, ``relay.limited``, ``relay.bad-answer``,
            ``relay.refused``.
        VerificationError: ``approval.missing`` from a node that knows approvers of the identity.
    """
    status, code = response.status, reason_code(response)
    said = f"status {status}, {code}" if code else f"status {status}"
    if status == 403 and code == "approval.missing":
        raise VerificationError(
            "approval.missing",
            f"{name} knows approvers of this identity, and they have not approved this",
            "approve it with a security key; without one, a change of the approvers counts there after their delay",
        )
    if status == 409:
        raise NetworkError("relay.conflict", f"{name} knows a newer packet", "resolve the identity before publishing")
    if status in (412, 428):
        raise NetworkError("relay.precondition", f"{name} has another packet than expected", "try again in a moment")
    if status == 429:
        raise NetworkError("relay.limited", f"{name} wants fewer requests", "wait a minute, or name another relay")
    if 300 <= status <= 399:
        raise bad_answer(name, f"it points elsewhere ({said}), which is not followed")
    if status < 400:
        raise bad_answer(name, said)
    raise NetworkError("relay.refused", f"{name} refused the request ({said})", "name another relay")


def reason_code(response: Response) -> str | None:
    """Return the error code that a walletcli node puts before its sentence, or None; nothing else is repeated of it."""
    match = _REASON.match(response.body) if response.status >= 400 else None
    return match[1].decode("ascii") if match else None


def _dht_nodes(response: Response) -> int | None:
    """Return the number in ``Pkarr-Dht-Stored-Nodes``; None without one, or where it is not one."""
    text = response.headers.get("pkarr-dht-stored-nodes", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 3 else None


def _document_path(document_hash: bytes) -> str:
    return f"/document/{document_hash.hex()}"
