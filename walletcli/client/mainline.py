"""The Mainline DHT as a source, which the client itself joins where the user has named it, while a command lasts.

Packets only: the documents that they name come from elsewhere, by their hash. No key is in reach.

Spec: docs/spec/resolution.md, "The DHT as a source"; docs/spec/dht.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, TypeVar

from walletcli.client.answers import Answer
from walletcli.client.fanout import for_each
from walletcli.client.link import TIMEOUT_S
from walletcli.client.relay import decode_packet
from walletcli.client.visit import Found
from walletcli.core.approvals import DocumentApprovals
from walletcli.core.packet import SignedPacket
from walletcli.errors import NetworkError, VerificationError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer

if TYPE_CHECKING:
    from walletcli.dht.mainline import Mainline
    from walletcli.dht.settings import Settings

JOIN_S: Final = 10.0
"""How long a newcomer may take to meet a first member, in seconds."""

SETTLE_S: Final = 0.5
"""After so long without meeting another member, those that were met are all there are, in seconds."""

ENOUGH: Final = 8
"""Members that a look-up wants to start from."""

PUT_S: Final = 30.0
"""How long a put and its count may take, in seconds; a look-up of the nearest nodes alone may take half of that."""

_LOOK_S: Final = 0.02
_CLOSE_S: Final = 5.0
_T = TypeVar("_T")


class DhtView:
    """A member of the DHT in a thread of its own; may be asked from several threads at once.

    Args:
        address: the DHT.
    """

    def __init__(self, address: NodeAddress) -> None:
        self._address = address
        self._name = address.to_text()
        self._is_ready = threading.Event()
        self._failure: WalletError | None = None
        self._mainline: Mainline | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ends: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="dht view", daemon=True)
        self._thread.start()

    def get(self, key: bytes, deadline_s: float) -> SignedPacket | None:
        """Return the newest packet that the nodes nearest to a key have, verified, or None if none has one.

        Args:
            key: 32 bytes.
            deadline_s: the instant of ``time.monotonic()``, in seconds, by which the answer must be there.

        Raises:
            NetworkError: ``dht.unreachable`` when no node answers, ``dht.listen``, ``relay.timeout``,
                ``relay.bad-answer`` when what is there is not a packet.
        """
        mainline = self._member(deadline_s)
        item, answered = self._wait(mainline.look_up(key), deadline_s)
        if item is not None:
            return decode_packet(key, item.signature + item.seq.to_bytes(8, "big") + item.value, self._name)
        if not answered:
            raise _unreachable(self._name)
        return None

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
        from walletcli.dht.messages import Item

        mainline = self._member(deadline_s)
        item = Item(packet.public_key, packet.seq, packet.signature, packet.value)
        return self._wait(mainline.put(item, cas_seq), deadline_s).stored

    def close(self) -> None:
        """Leave the DHT."""
        loop, ends = self._loop, self._ends
        if loop is not None and ends is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                loop.call_soon_threadsafe(ends.set)
        if threading.current_thread() is not self._thread:
            self._thread.join(_CLOSE_S)

    def _member(self, deadline_s: float) -> Mainline:
        if not self._is_ready.wait(max(deadline_s - time.monotonic(), 0.0)):
            self._late()
        if self._failure is not None:
            raise self._failure
        assert self._mainline is not None
        return self._mainline

    def _wait(self, work: Coroutine[Any, Any, _T], deadline_s: float) -> _T:
        if self._loop is None or self._loop.is_closed():
            work.close()
            raise _unreachable(self._name)
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(max(deadline_s - time.monotonic(), 0.0))
        except FutureTimeoutError:
            future.cancel()
            self._late()

    def _late(self) -> NoReturn:
        raise NetworkError("relay.timeout", f"{self._name} did not answer in time", "try again, or ask other relays")

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except WalletError as error:
            self._failure = error
        finally:
            self._is_ready.set()

    async def _live(self) -> None:
        from walletcli.dht.mainline import Mainline  # loads libtorrent, which nothing else in a client needs

        self._loop, self._ends = asyncio.get_running_loop(), asyncio.Event()
        mainline = await Mainline.join(settings_of(self._address))
        try:
            await _meet(mainline)
            self._mainline = mainline
            self._is_ready.set()
            await self._ends.wait()
        finally:
            await mainline.close()


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
        packet = view_of(self.address, self._dialer).get(public_key, time.monotonic() + self._timeout_s)
        if packet is not None and min_seq is not None and packet.seq < min_seq:
            raise VerificationError(
                "record.stale", f"{self._name} has seq {packet.seq}, older than the known {min_seq}", "ask other relays"
            )
        return packet

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
        packet = answer.packet
        if packet is None or packet.document_hash is None:
            return answer
        named = packet.document_hash
        return replace(answer, document=self._found.documents.get(named), beside=self._found.beside.get(named, ()))

    def look_up(self, keys: Sequence[bytes], deadline_s: float, step: Callable[[], None]) -> None:
        """Look for the packets of `keys` (32 bytes each), several at once; nothing is raised."""

        def ask(key: bytes) -> Answer:
            try:
                packet = view_of(self._address, self._dialer).get(key, deadline_s)
            except WalletError as error:
                return Answer(self._name, error=error)
            finally:
                step()
            return Answer(self._name, packet)

        for key, answer in zip(keys, for_each(keys, ask), strict=True):
            self._answers[key] = answer
            if answer.packet is not None and answer.packet.document_hash is not None:
                self._found.wanted.add(answer.packet.document_hash)

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


def settings_of(address: NodeAddress) -> Settings:
    """Return how a client takes part: on any port, answering nobody, entered by the members that the address names."""
    import ipaddress

    from walletcli.dht.settings import PUBLIC_BOOTSTRAP, Settings

    numeric, named = [], []
    for host, port in address.members:
        try:
            numeric.append((str(ipaddress.ip_address(host)), port))
        except ValueError:
            named.append((host, port))
    is_public = any(ipaddress.ip_address(host).is_global for host, _ in numeric)
    listen = (("127.0.0.1" if address.is_loopback else "0.0.0.0", 0),)  # noqa: S104 - strangers have to reach it
    return Settings(
        listen,
        bootstrap=tuple(named) if address.members else PUBLIC_BOOTSTRAP,
        peers=tuple(numeric),
        private=address.is_loopback or (bool(numeric) and not is_public),
        read_only=True,
    )


async def _meet(mainline: Mainline) -> None:
    """Wait until enough members are known, or those that there are."""
    loop = asyncio.get_running_loop()
    started = changed = loop.time()
    known = 0
    while known < ENOUGH and loop.time() - started < JOIN_S:
        await asyncio.sleep(_LOOK_S)
        now = mainline.session.nodes
        if now != known:
            known, changed = now, loop.time()
        elif known and loop.time() - changed > SETTLE_S:
            return


def _unreachable(name: str) -> NetworkError:
    return NetworkError(
        "dht.unreachable", f"no node of {name} answers", "check the network, and the members that it is entered by"
    )
