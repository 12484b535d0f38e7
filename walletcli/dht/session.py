"""libtorrent as a member of the DHT: routing, storage for others, and reads.

Spec: docs/spec/dht.md, "Reading". The only module that imports libtorrent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import libtorrent

from walletcli.core import bencode
from walletcli.dht.contacts import Address, Contact
from walletcli.dht.messages import Item
from walletcli.dht.settings import MAX_ITEMS, Settings
from walletcli.errors import FormatError, NetworkError

MAX_STATE_BYTES: Final = 262_144
"""Longest saved routing state that is read."""

READS_AT_ONCE: Final = 8
"""More than that at once, and libtorrent misses items that are there (measured: 83 of 100)."""

MAX_LOOK_UPS: Final = 256
"""Most look-ups of libtorrent under way: one may take seconds longer than the read that it was begun for.

With thousands (half of the nodes gone, 1,000 reads) reads took three times as long as with the writer beside it.
"""

SHARED_S: Final = 1.0
"""How old a look-up may be for a second read to share it, in seconds: it may find what lay there when it began."""

LOST_S: Final = 120.0
"""After so many seconds a look-up is no longer waited for: libtorrent has dropped its end."""

_FAMILIES: Final = {6: socket.AF_INET, 18: socket.AF_INET6}
"""By the length of an address and port in saved state."""

_LISTEN_S: Final = 10.0
_STATE: Final = libtorrent.save_state_flags_t.save_dht_state

Heard = Callable[[Item | None, bool], None]
"""Told about an item (not verified) or None, and whether the read is over."""


@dataclass(slots=True)
class _LookUp:
    began_s: float
    waiting: list[Heard]


class Session:
    """One libtorrent session; make it with `open`, on the event loop's thread.

    Args:
        session: libtorrent's.
        loop: the running event loop.

    Attributes:
        addresses: where it listens.
    """

    def __init__(self, session: libtorrent.session, loop: asyncio.AbstractEventLoop) -> None:
        self._session: libtorrent.session | None = session
        self._loop = loop
        self._look_ups: dict[bytes, _LookUp] = {}  # by key; the oldest first
        self._own_ids: frozenset[bytes] = frozenset()
        self._failure: str | None = None
        self._listening = asyncio.Event()
        self.addresses: list[Address] = []
        self._wanted_addresses = 0
        # A pipe, and not a call: libtorrent would wait for Python's lock with a lock of its own held.
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        loop.add_reader(self._wake, self._take_alerts)
        session.set_alert_fd(self._waker)

    @classmethod
    async def open(cls, settings: Settings, state: bytes | None = None) -> Session:
        """Start a member.

        Args:
            settings: how.
            state: what `save` returned in an earlier life; of another version or damaged, it is not used.

        Raises:
            NetworkError: ``dht.listen``.
        """
        parameters = libtorrent.session_params()
        parameters.settings = cast(Any, _pack(settings))  # a dictionary is taken as well as a settings_pack
        member = cls(libtorrent.session(parameters), asyncio.get_running_loop())
        member._wanted_addresses = len(settings.listen)
        try:
            async with asyncio.timeout(_LISTEN_S):
                await member._listening.wait()
        except TimeoutError:
            member._failure = "libtorrent does not say that it listens"
        if member._failure is not None:
            await member.close()
            hint = "choose another port in dht.listen, or stop what uses it"
            raise NetworkError("dht.listen", f"cannot join the DHT: {member._failure}", hint)
        for host, port in (*settings.peers, *_addresses(state or b"")):
            member.add(host, port)
        return member

    def add(self, host: str, port: int) -> None:
        """Name a node that is a member; numeric address."""
        if self._session is not None:
            self._session.add_dht_node((host, port))

    @property
    def nodes(self) -> int:
        """How many nodes its routing table holds."""
        return len(self.contacts())

    def is_own(self, node_id: bytes) -> bool:
        """Tell whether an id is this member's own, as of the last `save`."""
        return node_id in self._own_ids

    def save(self) -> bytes:
        """Return the routing state, for `open`; bencoded by libtorrent."""
        if self._session is None:
            return b""
        saved = libtorrent.write_session_params_buf(self._session.session_state(int(_STATE)), int(_STATE))
        self._own_ids = frozenset(entry[:20] for entry in _saved(saved, b"node-id") if len(entry) >= 20)
        return saved

    def contacts(self) -> list[Contact]:
        """Return the addresses in its routing table, as of now; their ids are not told."""
        return [Contact(None, address) for address in _addresses(self.save())]

    def read(self, key: bytes, heard: Heard) -> bool:
        """Look for the item of a key (32 bytes); `heard` is told about what comes, until the read is over.

        Libtorrent tells of a key what it finds, and not by which look-up. So none is begun beside another of the same
        key, whose late answers may be older than what was put since.

        Returns:
            Whether it looks. If not, `heard` is told nothing.
        """
        now_s = self._loop.time()
        self._forget_lost(now_s)
        known = self._look_ups.get(key)
        if known is not None and known.waiting and now_s < known.began_s + SHARED_S:
            known.waiting.append(heard)
            return True
        if self._session is None or known is not None or len(self._look_ups) >= MAX_LOOK_UPS:
            return False
        self._look_ups[key] = _LookUp(now_s, [heard])
        self._session.dht_get_mutable_item(key, b"")
        return True

    def _forget_lost(self, now_s: float) -> None:
        while self._look_ups:
            oldest = next(iter(self._look_ups))
            if now_s < self._look_ups[oldest].began_s + LOST_S:
                return
            del self._look_ups[oldest]

    def give_up(self, key: bytes, heard: Heard) -> None:
        """Tell `heard` nothing more."""
        look_up = self._look_ups.get(key)
        if look_up is not None and heard in look_up.waiting:
            look_up.waiting.remove(heard)

    async def close(self) -> None:
        """Leave; libtorrent's threads end before this returns."""
        session, self._session = self._session, None
        if session is None:
            return
        for look_up in self._look_ups.values():
            for heard in look_up.waiting:
                heard(None, True)
        self._look_ups.clear()
        self._loop.remove_reader(self._wake)
        held = [session]
        del session
        await asyncio.to_thread(held.clear)
        os.close(self._wake)
        os.close(self._waker)

    def _take_alerts(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 4096)
        if self._session is None:
            return
        for alert in self._session.pop_alerts():
            if isinstance(alert, libtorrent.dht_mutable_item_alert):
                self._take_item(alert)
            elif isinstance(alert, libtorrent.listen_succeeded_alert):
                self._listens(alert)
            elif isinstance(alert, libtorrent.listen_failed_alert):
                self._failure = str(alert.error.message())
                self._listening.set()

    def _listens(self, alert: libtorrent.listen_succeeded_alert) -> None:
        if alert.socket_type != libtorrent.socket_type_t.utp:
            return
        address = (str(alert.address), int(alert.port))
        if address not in self.addresses:
            self.addresses.append(address)
        if len(self.addresses) >= self._wanted_addresses:
            self._listening.set()

    def _take_item(self, alert: libtorrent.dht_mutable_item_alert) -> None:
        key, value, is_over = bytes(alert.key), alert.item, bool(alert.authoritative)
        if alert.salt:
            return
        item = None
        if isinstance(value, bytes) and value and alert.seq >= 0:
            item = Item(key, int(alert.seq), bytes(alert.signature), value)
        look_up = self._look_ups.pop(key, None) if is_over else self._look_ups.get(key)
        for heard in list(look_up.waiting) if look_up is not None else ():
            heard(item, is_over)


def _saved(saved: bytes, name: bytes) -> list[bytes]:
    """Return a list of strings out of libtorrent's saved state."""
    try:
        top = bencode.decode(saved, MAX_STATE_BYTES)
    except FormatError:
        return []
    state = top.get(b"dht state") if isinstance(top, dict) else None
    entries = state.get(name) if isinstance(state, dict) else None
    return [entry for entry in entries if isinstance(entry, bytes)] if isinstance(entries, list) else []


def _addresses(saved: bytes) -> list[Address]:
    """Return the members in a saved state; libtorrent has those of both IP versions in one list, or in two."""
    return [
        (socket.inet_ntop(_FAMILIES[len(entry)], entry[:-2]), port)
        for name in (b"nodes", b"nodes6")
        for entry in _saved(saved, name)
        if len(entry) in _FAMILIES and (port := int.from_bytes(entry[-2:], "big"))
    ]


def _places(addresses: Sequence[Address]) -> str:
    return ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in addresses)


def _pack(settings: Settings) -> dict[str, Any]:
    """Return libtorrent's settings: a DHT node, and nothing of the rest of BitTorrent."""
    public = not settings.private
    categories = libtorrent.alert.category_t
    return {
        "alert_mask": int(
            categories.dht_notification
            | categories.dht_operation_notification
            | categories.error_notification
            | categories.status_notification
        ),
        "alert_queue_size": 10_000,
        "listen_interfaces": _places(settings.listen),
        "max_retry_port_bind": 0,
        "listen_system_port_fallback": False,
        "enable_dht": True,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_incoming_tcp": False,
        "enable_outgoing_tcp": False,
        "enable_incoming_utp": False,
        "enable_outgoing_utp": False,
        "connections_limit": 2,
        "dht_bootstrap_nodes": _places(settings.bootstrap),
        "dht_read_only": settings.read_only,
        "dht_max_dht_items": MAX_ITEMS,
        "dht_upload_rate_limit": 1_000_000,
        "dht_ignore_dark_internet": public,
        "dht_prefer_verified_node_ids": public,
        "dht_restrict_routing_ips": public,
        "dht_restrict_search_ips": public,
        "dht_block_ratelimit": 100 if public else 1_000_000,
        "dht_max_fail_count": 3,
    }
