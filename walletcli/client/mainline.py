"""The Mainline DHT as a source, which the client itself joins where the user has named it, while a command lasts.

Packets only: the documents that they name come from elsewhere, by their hash. What speaks to strangers is a process of
its own (`walletcli.client.dht_process`), which has no secret in its memory; what it says is verified here.

Spec: docs/spec/resolution.md, "The DHT as a source"; docs/spec/dht.md.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, NoReturn, Self

from walletcli.client.answers import Answer
from walletcli.client.fanout import for_each
from walletcli.client.link import TIMEOUT_S
from walletcli.client.relay import decode_packet
from walletcli.client.visit import Found
from walletcli.core.approvals import DocumentApprovals
from walletcli.core.packet import MAX_RELAY_PAYLOAD_BYTES, SignedPacket
from walletcli.errors import NetworkError, VerificationError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer

PROCESS: Final = "walletcli.client.dht_process"
"""The module that is run."""

MAX_LINE_BYTES: Final = 16_384
"""Longest answer: one line of JSON, with a packet in hexadecimal, and four more where something was signed twice."""

MAX_TWICE: Final = 4
"""Most packets in an answer that were signed twice."""

PUT_S: Final = 30.0
"""How long a put and its count may take, in seconds; a look-up of the nearest nodes alone may take half of that."""

_CLOSE_S: Final = 2.0


class DhtView:
    """A member of the DHT in a process of its own; may be asked from several threads at once.

    Args:
        address: the DHT.

    Attributes:
        process: the member.

    Raises:
        NetworkError: ``dht.unreachable`` if no process can be started.
    """

    def __init__(self, address: NodeAddress) -> None:
        self._name = address.to_text()
        self._lock = threading.Lock()
        self._waiting: dict[int, queue.SimpleQueue[Mapping[str, Any] | None]] = {}
        self._asked = 0
        self._has_ended = False
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", PROCESS, self._name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # it ends with its input, and not by a key that is meant for the command
            )
        except OSError as error:
            raise _unreachable(self._name) from error
        threading.Thread(target=self._read, name="dht view", daemon=True).start()

    def get(self, key: bytes, deadline_s: float) -> tuple[SignedPacket, ...]:
        """Return the newest packet that the nodes nearest to a key have, verified, and any that were signed twice.

        Args:
            key: 32 bytes.
            deadline_s: the instant of ``time.monotonic()``, in seconds, by which the answer must be there.

        Raises:
            NetworkError: ``dht.unreachable`` when no node answers, ``dht.listen``, ``dht.busy``, ``relay.timeout``,
                ``relay.bad-answer`` when what is there is not a packet.
            VerificationError: ``signature.invalid``.
        """
        answer = self._ask({"get": key.hex()}, deadline_s)
        payload = _bytes_of(answer.get("payload"))
        if payload is not None:
            newest = decode_packet(key, payload, self._name)
            return tuple(dict.fromkeys((newest, *self._signed_twice(key, answer.get("twice")))))
        if not answer.get("answered"):
            raise _unreachable(self._name)
        return ()

    def _signed_twice(self, key: bytes, payloads: object) -> Iterator[SignedPacket]:
        """Yield what else was met, as far as it is a packet: verified here, whatever the process says."""
        for text in payloads[:MAX_TWICE] if isinstance(payloads, list) else ():
            payload = _bytes_of(text)
            if payload is not None:
                with contextlib.suppress(WalletError):
                    yield decode_packet(key, payload, self._name)

    def put(self, packet: SignedPacket, cas_seq: int | None, deadline_s: float) -> int:
        """Put a packet, and return on how many nodes it is, by asking them again.

        Args:
            packet: what to put.
            cas_seq: the `seq` that it may replace; None for any.
            deadline_s: as in `get`.

        Raises:
            NetworkError: ``dht.*``, ``relay.timeout``.
            VerificationError: ``dht.newer-exists``.
        """
        payload = packet.to_relay_payload().hex()
        answer = self._ask({"put": packet.public_key.hex(), "payload": payload, "cas": cas_seq}, deadline_s)
        stored = answer.get("stored")
        return stored if type(stored) is int and 0 <= stored <= 999 else 0

    def close(self) -> None:
        """Leave the DHT."""
        with contextlib.suppress(OSError, ValueError), self._lock:
            if self.process.stdin is not None:
                self.process.stdin.close()
        try:
            self.process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _ask(self, question: dict[str, object], deadline_s: float) -> Mapping[str, Any]:
        answers: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
        with self._lock:
            self._asked += 1
            number = self._asked
            if self._has_ended or self.process.stdin is None:
                raise _unreachable(self._name)
            self._waiting[number] = answers
            try:
                self.process.stdin.write(json.dumps({"id": number, **question}).encode("ascii") + b"\n")
                self.process.stdin.flush()
            except (OSError, ValueError) as error:
                del self._waiting[number]
                raise _unreachable(self._name) from error
        try:
            answer = answers.get(timeout=max(deadline_s - time.monotonic(), 0.0))
        except queue.Empty:
            raise NetworkError(
                "relay.timeout", f"{self._name} did not answer in time", "try again, or ask other relays"
            ) from None
        finally:
            self._waiting.pop(number, None)
        if answer is None:
            raise _unreachable(self._name)
        if "error" in answer:
            raise _error(self._name, answer["error"])
        return answer

    def _read(self) -> None:
        """Hand answers on until there are no more, or one makes no sense."""
        output = self.process.stdout
        assert output is not None
        with contextlib.suppress(OSError, ValueError), output:
            while (line := output.readline(MAX_LINE_BYTES + 1)).endswith(b"\n"):
                answer = json.loads(line)
                number = answer.get("id") if isinstance(answer, dict) else None
                waiting = self._waiting.get(number) if type(number) is int else None
                if waiting is not None:
                    waiting.put(answer)
        with self._lock:
            self._has_ended = True
            for waiting in list(self._waiting.values()):
                waiting.put(None)


class DhtSource:
    """The DHT as a source of packets, as a `Source`; the view of the DHT belongs to the dialer and lives as long.

    Args:
        address: the DHT.
        dialer: must allow datagrams.
        timeout_s: how long each call may take, in seconds.
    """

    node_record: Final = None

    def __init__(self, address: NodeAddress, dialer: Dialer, *, timeout_s: float = TIMEOUT_S) -> None:
        self.address = address
        self._name = address.to_text()
        self._dialer = dialer
        self._timeout_s = timeout_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: others may be asking."""

    def get_packet(
        self, public_key: bytes, min_seq: int | None = None, *, from_store: bool = False
    ) -> SignedPacket | None:
        """Return the newest packet that the DHT has for a key (32 bytes), or None.

        Raises:
            NetworkError: ``dht.*``, ``network.*``, ``relay.timeout``, ``relay.bad-answer``.
            VerificationError: ``record.stale`` below `min_seq`.
        """
        packet = next(iter(self.get_packets(public_key)), None)
        if packet is not None and min_seq is not None and packet.seq < min_seq:
            raise VerificationError(
                "record.stale", f"{self._name} has seq {packet.seq}, older than the known {min_seq}", "ask other relays"
            )
        return packet

    def get_packets(self, public_key: bytes, *, from_store: bool = False) -> tuple[SignedPacket, ...]:
        """Return the newest packet of a key (32 bytes), and those that its nodes have with one `seq` and two values.

        Raises:
            NetworkError: ``dht.*``, ``network.*``, ``relay.timeout``, ``relay.bad-answer``.
        """
        return view_of(self.address, self._dialer).get(public_key, time.monotonic() + self._timeout_s)

    def put_packet(self, packet: SignedPacket, cas_seq: int | None = None, *, dht_wait_s: int = 0) -> int:
        """Put a packet, and return on how many nodes it is.

        Raises:
            NetworkError: ``relay.conflict`` when the DHT has a newer one, ``relay.precondition`` when `cas_seq` is not
                what it has, ``relay.lost`` when no node has it afterwards, ``dht.*``, ``network.*``, ``relay.timeout``.
        """
        try:
            stored = view_of(self.address, self._dialer).put(packet, cas_seq, time.monotonic() + PUT_S)
        except VerificationError as error:
            raise NetworkError(
                "relay.conflict", f"{self._name} knows a newer packet", "resolve the identity before publishing"
            ) from error
        except NetworkError as error:
            if error.code != "dht.precondition":
                raise
            raise NetworkError("relay.precondition", f"{self._name} has another packet than expected") from error
        if not stored:
            raise NetworkError("relay.lost", f"no node of {self._name} has the packet", "try again in a moment")
        return stored

    def get_document(self, document_hash: bytes, *, from_store: bool = False) -> None:
        """Return None: the DHT keeps no documents."""

    def get_approvals(self, document_hash: bytes) -> None:
        """Return None: the DHT keeps no approvals."""

    def put_document(self, document: bytes) -> NoReturn:
        """Refuse.

        Raises:
            NetworkError: ``relay.no-documents``, always.
        """
        raise self._no_documents()

    def put_approvals(self, document_hash: bytes, beside: DocumentApprovals) -> NoReturn:
        """Refuse.

        Raises:
            NetworkError: ``relay.no-documents``, always.
        """
        raise self._no_documents()

    def _no_documents(self) -> NetworkError:
        return NetworkError(
            "relay.no-documents", f"{self._name} keeps packets and no documents", "name a walletcli node as well"
        )


class DhtVisit:
    """The DHT in a scan of many identities, as an `Asking`.

    Args:
        address: the DHT.
        dialer: must allow datagrams.
        found: shared with the visits to other sources.
    """

    node_record: Final = None

    def __init__(self, address: NodeAddress, dialer: Dialer, found: Found) -> None:
        self._address = address
        self._name = address.to_text()
        self._dialer = dialer
        self._found = found
        self._answers: dict[bytes, Answer] = {}

    def close(self) -> None:
        """Do nothing: others may be asking."""

    def answer(self, public_key: bytes) -> Answer:
        """Return what the DHT has of a key (32 bytes), with its document, whoever gave that."""
        answer = self._answers.get(public_key, Answer(self._name))
        return replace(self._with_document(answer), others=tuple(map(self._with_document, answer.others)))

    def _with_document(self, answer: Answer) -> Answer:
        named = answer.packet.document_hash if answer.packet is not None else None
        if named is None:
            return answer
        return replace(answer, document=self._found.documents.get(named), beside=self._found.beside.get(named, ()))

    def look_up(self, keys: Sequence[bytes], deadline_s: float, step: Callable[[], None]) -> None:
        """Look for the packets of `keys` (32 bytes each), several at once; nothing is raised."""

        def ask(key: bytes) -> Answer:
            try:
                packets = view_of(self._address, self._dialer).get(key, deadline_s)
            except WalletError as error:
                return Answer(self._name, error=error)
            finally:
                step()
            return Answer.of_packets(self._name, packets)

        for key, answer in zip(keys, for_each(keys, ask), strict=True):
            self._answers[key] = answer
            packets = [item.packet for item in (answer, *answer.others) if item.packet is not None]
            self._found.wanted.update(packet.document_hash for packet in packets if packet.document_hash is not None)

    def look_for_documents(self, hashes: Sequence[bytes], deadline_s: float) -> None:
        """Do nothing: the DHT keeps no documents."""

    def look_for_approvals(self, hashes: Sequence[bytes], deadline_s: float) -> None:
        """Do nothing: the DHT keeps no approvals."""


_views: weakref.WeakKeyDictionary[Dialer, dict[NodeAddress, DhtView]] = weakref.WeakKeyDictionary()
_lock: Final = threading.Lock()


def view_of(address: NodeAddress, dialer: Dialer) -> DhtView:
    """Return the view that a dialer's owner has of a DHT; the DHT is left when the dialer is gone.

    One view serves all identities that are asked for: over UDP from one address a second one would hide nothing.

    Raises:
        NetworkError: ``network.transport``, ``network.offline`` where the dialer allows no datagrams.
    """
    dialer.allow_datagrams(address)
    with _lock:
        views = _views.setdefault(dialer, {})
        if address not in views:
            views[address] = view = DhtView(address)
            weakref.finalize(dialer, view.close)
        return views[address]


def _bytes_of(text: object) -> bytes | None:
    if not isinstance(text, str) or len(text) > 2 * MAX_RELAY_PAYLOAD_BYTES:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def _error(name: str, code: object) -> WalletError:
    """Return the error that the process has named; nothing else of what it says is repeated."""
    if code == "dht.newer-exists":
        return VerificationError("dht.newer-exists", f"{name} has a newer packet of this key")
    if code == "dht.precondition":
        return NetworkError("dht.precondition", f"{name} has another packet than the one to be replaced")
    if code == "dht.busy":
        return NetworkError("dht.busy", "too many look-ups are waiting", "ask again later")
    if code == "dht.listen":
        return NetworkError("dht.listen", f"no UDP port could be had to enter {name}", "check the network")
    return _unreachable(name)


def _unreachable(name: str) -> NetworkError:
    return NetworkError(
        "dht.unreachable", f"no node of {name} answers", "check the network, and the members that it is entered by"
    )
