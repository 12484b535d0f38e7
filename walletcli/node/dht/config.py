"""The table ``[dht]`` of node.toml.

Spec: docs/spec/dht.md, "Keeping alive" and "Limits"; docs/decisions/0017-dht.md says who joins by default.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from walletcli.core.identity_id import IdentityId
from walletcli.dht.contacts import Address
from walletcli.dht.settings import DEFAULT_COPIES, MAX_COPIES, PUBLIC_BOOTSTRAP, Settings
from walletcli.errors import InputError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_PORT: Final = 6881
DEFAULT_WRITER_PORT: Final = 6882

TEMPLATE: Final = """
[dht]
# Whether records are put on the Mainline DHT, looked for there, and kept alive there.
# "auto": unless --listen is a loopback address; "yes"; "no".
# join = "auto"
# IP addresses and UDP ports; at most one for each IP version. Empty: the address of --listen, port 6881.
# listen = []
# UDP port from which records are put, on the same addresses.
# writer_port = 6882
# Where a newcomer finds its first nodes (HOST:PORT), and members that you know (IP:PORT).
# bootstrap = ["dht.libtorrent.org:25401", "router.bittorrent.com:6881", "dht.transmissionbt.com:6881"]
# peers = []
# A DHT of your own, on addresses that are not public.
# private = false
# On how many nodes a record is put, how often what is kept alive is put again at first, whose records are kept alive
# beside this node's own and those that it hosts, and how many others, chosen at random from the store.
# copies = 8
# republish_minutes = 60
# pins = []
# sample = 1000
# Whether a document that a record kept alive here names, and that no source has, is asked for at the nodes that the
# record itself names (pinned to their keys), and at other nodes that records name. Only public addresses are asked, and
# those of the networks here (192.168.0.0/16, say).
# named_nodes = true
# named_networks = []
"""

_HOST_PORT: Final = re.compile(r"\[([0-9a-fA-F:.]+)\]:([0-9]{1,5})|([A-Za-z0-9.-]{1,253}):([0-9]{1,5})")
_NUMBERS: Final = {
    "writer_port": (0, 65_535),
    "copies": (1, MAX_COPIES),
    "republish_minutes": (15, 360),
    "sample": (0, 1_000_000),
}
_LISTS: Final = {"listen": 2, "bootstrap": 16, "peers": 256, "pins": 100_000, "named_networks": 64}
_FLAGS: Final = ("private", "named_nodes")


class Join(Enum):
    """Whether to take part."""

    AUTO = "auto"
    YES = "yes"
    NO = "no"


@dataclass(frozen=True, slots=True)
class DhtConfig:
    """What an operator sets about the DHT.

    Attributes:
        join: whether to take part.
        listen: IP addresses and UDP ports; empty for the listener's address.
        writer_port: UDP port of the writer.
        bootstrap: for newcomers.
        peers: members that are known.
        private: a DHT of one's own.
        copies: on how many nodes a record is put.
        republish_minutes: length of the first round.
        pins: public keys (32 bytes) that are kept alive.
        sample: how many packets of the store are kept alive in each round.
        named_nodes: whether nodes are asked for documents because records name them.
        named_networks: where those may be, beside public addresses.
    """

    join: Join = Join.AUTO
    listen: tuple[Address, ...] = ()
    writer_port: int = DEFAULT_WRITER_PORT
    bootstrap: tuple[Address, ...] = PUBLIC_BOOTSTRAP
    peers: tuple[Address, ...] = ()
    private: bool = False
    copies: int = DEFAULT_COPIES
    republish_minutes: int = 60
    pins: tuple[bytes, ...] = ()
    sample: int = 1000
    named_nodes: bool = True
    named_networks: tuple[Network, ...] = ()

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> DhtConfig:
        """Read the table.

        Raises:
            InputError: ``config.unknown``, ``config.value``, ``id.*``, ``encoding.*``.
        """
        known = {"join", *_FLAGS, *_LISTS, *_NUMBERS}
        unknown = sorted(table.keys() - known)
        if unknown:
            hint = f"known here: {', '.join(sorted(known))}"
            raise InputError("config.unknown", f"node.toml sets dht.{unknown[0]}, which does not exist", hint)
        values: dict[str, Any] = {}
        if "join" in table:
            values["join"] = _join(table["join"])
        for name in _FLAGS:
            if name in table:
                values[name] = _flag(name, table[name])
        for name, (low, high) in _NUMBERS.items():
            if name in table:
                values[name] = _number(name, table[name], low, high)
        for name, most in _LISTS.items():
            if name in table:
                texts = _texts(name, table[name], most)
                values[name] = tuple(_READERS[name](name, text) for text in texts)
        if len({":" in host for host, _ in values.get("listen", ())}) < len(values.get("listen", ())):
            raise InputError("config.value", "dht.listen in node.toml has two addresses of one IP version")
        return cls(**values)

    def settings_for(self, listener: str) -> Settings | None:
        """Return how to join, or None if this node does not.

        Args:
            listener: the numeric address that the node's own listener is bound to.
        """
        is_loopback = ipaddress.ip_address(listener.partition("%")[0]).is_loopback
        if self.join is Join.NO or (self.join is Join.AUTO and is_loopback):
            return None
        listen = self.listen or ((listener, DEFAULT_PORT),)
        return Settings(listen, self.writer_port, self.bootstrap, self.peers, self.copies, self.private)


def _join(value: object) -> Join:
    try:
        return Join(value)
    except ValueError:
        raise InputError("config.value", "dht.join in node.toml must be auto, yes or no") from None


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InputError("config.value", f"dht.{name} in node.toml must be true or false")
    return value


def _number(name: str, value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise InputError("config.value", f"dht.{name} in node.toml must be a whole number from {low} to {high}")
    return value


def _texts(name: str, value: object, most: int) -> list[str]:
    if not isinstance(value, list) or len(value) > most or not all(isinstance(item, str) for item in value):
        raise InputError("config.value", f"dht.{name} in node.toml must be a list of at most {most} texts")
    return value


def _place(name: str, text: str) -> Address:
    found = _HOST_PORT.fullmatch(text)
    port = int(found[2] or found[4]) if found is not None else 65_536
    if found is None or port > 65_535 or (port == 0 and name != "listen"):
        raise InputError("config.value", f"{text!r} in dht.{name} of node.toml is not HOST:PORT")
    return found[1] or found[3], port


def _numeric_place(name: str, text: str) -> Address:
    host, port = _place(name, text)
    try:
        return str(ipaddress.ip_address(host)), port
    except ValueError:
        raise InputError("config.value", f"{text!r} in dht.{name} of node.toml is not an IP address") from None


def _pin(name: str, text: str) -> bytes:
    return IdentityId.from_text(text).public_key


def _network(name: str, text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise InputError("config.value", f"{text!r} in dht.{name} of node.toml is not a network") from None


_READERS: Final[Mapping[str, Any]] = {
    "listen": _numeric_place,
    "peers": _numeric_place,
    "bootstrap": _place,
    "pins": _pin,
    "named_networks": _network,
}
