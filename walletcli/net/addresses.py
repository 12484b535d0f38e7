"""Addresses of nodes and relays: where to connect, and how the other side proves who it is.

Spec: docs/spec/addresses.md.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from walletcli.core.identity_id import IdentityId
from walletcli.errors import InputError

if TYPE_CHECKING:
    from walletcli.core.document_parts import Address

MAX_ADDRESS_CHARS: Final = 400
"""Longest address text, in characters: a host of 253 and a did:key fit well."""

_SCHEME_PORTS: Final = {"https": 443, "http": 80}
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\[\]:@]+)(?::(?P<port>[^:]*))?")
MAX_MEMBERS: Final = 16
"""Most members by which a DHT is entered."""

_DHT: Final = "dht"
_DHT_EXAMPLES: Final = "write dht for the public one, or dht://HOST:PORT,… to enter it, or one of your own, by members"
_EXAMPLES: Final = "write walletcli://HOST:PORT/did:key:…, https://HOST[:PORT] or http://HOST[:PORT]"

NAME_HINT: Final = "check the address and this machine's clock; a node is named as it says when it starts: walletcli://HOST:PORT/did:key:…"
"""What to do where something answers in another way than the address says."""


class Scheme(StrEnum):
    """How the other side of a connection is known."""

    PINNED = "walletcli"
    WEB = "https"
    CLEAR = "http"
    DHT = "dht"
    """Mainline: no node, but members that nobody knows; a source of packets only"""


class Transport(StrEnum):
    """What carries the connection; told by the host's name."""

    TCP = "tcp"
    TOR = "tor"
    I2P = "i2p"
    UDP = "udp"


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """Names one node or relay.

    Args:
        scheme: how the other side is known: pinned to `node`, by the web's PKI, or not at all (clear).
        host: lower-case host name, dotted IPv4 or compressed IPv6 (without brackets).
        port: 1 to 65535.
        node: the identity that the node must prove; exactly with the scheme `walletcli`.
        members: hosts and ports of members by which a DHT is entered; with the scheme `dht` only, which has no host and
            no port of its own. None: the public one, by the members that the program knows.
    """

    scheme: Scheme
    host: str
    port: int
    node: IdentityId | None = None
    members: tuple[tuple[str, int], ...] = ()
    _text: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.scheme is Scheme.DHT:
            return self._check_dht()
        if self.members:
            raise InputError("address.malformed", "only a DHT has members", _EXAMPLES)
        if (self.scheme is Scheme.PINNED) != (self.node is not None):
            raise InputError("address.malformed", "only a walletcli:// address names a node", _EXAMPLES)
        if not 1 <= self.port <= 65535:
            raise InputError("address.malformed", f"port {self.port} is not between 1 and 65535", _EXAMPLES)
        if _canonical_host(self.host, bracketed=":" in self.host) != self.host:
            raise InputError("address.malformed", f"host {self.host!r} is not in its canonical form")
        node = f"/{self.node.did}" if self.node is not None else ""
        object.__setattr__(self, "_text", f"{self.scheme.value}://{self.authority}{node}")

    def _check_dht(self) -> None:
        if self.host or self.port or self.node is not None or len(self.members) > MAX_MEMBERS:
            raise InputError("address.malformed", f"a DHT is entered by at most {MAX_MEMBERS} members", _DHT_EXAMPLES)
        for host, port in self.members:
            NodeAddress(Scheme.CLEAR, host, port)
        if len(set(self.members)) < len(self.members):
            raise InputError("address.malformed", "a member of the DHT is named twice", _DHT_EXAMPLES)
        places = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.members)
        object.__setattr__(self, "_text", f"{_DHT}://{places}" if places else _DHT)

    @classmethod
    def from_text(cls, text: str) -> NodeAddress:
        """Parse the address of a node as a user writes it.

        White space around it, capitals in the host and one slash at the end of a web address are tolerated.

        Raises:
            InputError: ``address.malformed``, ``address.no-node`` for the DHT.
        """
        address = _parsed(text)
        if address.scheme is Scheme.DHT:
            raise InputError("address.no-node", f"{address.to_text()} is no node that could be talked to", _EXAMPLES)
        return address

    @classmethod
    def from_relay_text(cls, text: str) -> NodeAddress:
        """Parse what may stand in a list of relays: the address of a node, or the DHT.

        Raises:
            InputError: ``address.malformed``.
        """
        return _parsed(text)

    @classmethod
    def _parse(cls, text: str) -> NodeAddress:
        text = text.strip()
        if len(text) > MAX_ADDRESS_CHARS:
            raise InputError("address.malformed", f"an address has at most {MAX_ADDRESS_CHARS} characters", _EXAMPLES)
        if not text.isascii():
            raise InputError(
                "address.malformed", f"{text!r} is not ASCII", "write an international name in its xn-- form"
            )
        if text.lower() == _DHT:
            return cls(Scheme.DHT, "", 0)
        name, _, rest = text.partition("://")
        try:
            scheme = Scheme(name.lower())
        except ValueError:
            raise InputError("address.malformed", f"{text!r} has no known scheme", _EXAMPLES) from None
        if scheme is Scheme.DHT:
            members = tuple(_split_authority(part, None, text) for part in rest.split(","))
            return cls(scheme, "", 0, members=members)
        authority, _, path = rest.partition("/")
        host, port = _split_authority(authority, _SCHEME_PORTS.get(scheme.value), text)
        if scheme is Scheme.PINNED:
            return cls(scheme, host, port, _node_of(path, text))
        if path:
            raise InputError("address.malformed", f"{text!r} goes on after the host and port", _EXAMPLES)
        return cls(scheme, host, port)

    @classmethod
    def from_record(cls, address: Address, node: IdentityId) -> NodeAddress:
        """Return the address that a node's own document states.

        Args:
            address: an entry of the document's addresses.
            node: the identity that the document belongs to.

        Raises:
            InputError: ``address.malformed``; a clear address never comes out of a record.
        """
        if address.transport == "https":
            return cls.from_text(f"https://{address.location}")
        return cls.from_text(f"walletcli://{address.location}/{node.did}")

    def to_text(self) -> str:
        """Return the one canonical text form."""
        return self._text

    def __str__(self) -> str:
        return self.to_text()

    @property
    def authority(self) -> str:
        """``host:port`` as in a Host header: IPv6 in brackets, the scheme's own port left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if _SCHEME_PORTS.get(self.scheme.value) == self.port else f"{host}:{self.port}"

    @property
    def location(self) -> str:
        """``host:port``, IPv6 in brackets, the port always present."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def transport(self) -> Transport:
        """What carries the connection: a host under ``.onion`` or ``.i2p`` never goes to a name server."""
        if self.scheme is Scheme.DHT:
            return Transport.UDP
        if self.host.endswith(".onion"):
            return Transport.TOR
        return Transport.I2P if self.host.endswith(".i2p") else Transport.TCP

    @property
    def shows_source(self) -> bool:
        """Whether the other side sees this machine's own address."""
        return self.transport in (Transport.TCP, Transport.UDP)

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine by its very form; of a DHT, whether all its named members are."""
        if self.scheme is Scheme.DHT:
            return bool(self.members) and all(NodeAddress(Scheme.CLEAR, *member).is_loopback for member in self.members)
        return _is_loopback(self.host)

    @property
    def notice(self) -> str | None:
        """What the user should be told about this address, or None."""
        if self.scheme is Scheme.DHT and not self.is_loopback:
            return (
                f"{self.to_text()} is asked over UDP, in clear: strangers see this machine's address and which "
                "identities are asked for"
            )
        if self.scheme is Scheme.CLEAR and not self.is_loopback and self.transport is Transport.TCP:
            return f"{self.to_text()} is in clear: everybody on the way sees which identity is asked for"
        return None


@lru_cache(maxsize=256)
def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=256)
def _parsed(text: str) -> NodeAddress:
    """Parse an address; the same few are met again and again, and a pinned one costs a check of its key."""
    return NodeAddress._parse(text)


def _split_authority(authority: str, default_port: int | None, text: str) -> tuple[str, int]:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise InputError("address.malformed", f"{text!r} has no host that can be read", _EXAMPLES)
    host, port_text = match["host"], match["port"]
    bracketed = host.startswith("[")
    if port_text is None and default_port is not None:
        return _canonical_host(host.strip("[]"), bracketed), default_port
    if port_text is None or not _PORT.fullmatch(port_text) or int(port_text) > 65535:
        raise InputError("address.malformed", f"{text!r} needs a port between 1 and 65535", _EXAMPLES)
    return _canonical_host(host.strip("[]"), bracketed), int(port_text)


def _canonical_host(host: str, bracketed: bool) -> str:
    """Return the host in its one form: lower case, addresses as RFC 5952 and dotted decimal write them."""
    if bracketed:
        try:
            return ipaddress.IPv6Address(host).compressed
        except ValueError:
            raise InputError("address.malformed", f"[{host}] is not an IPv6 address", _EXAMPLES) from None
    host = host.lower()
    labels = host.split(".")
    if labels[-1].isdigit():
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise InputError("address.malformed", f"{host!r} is not an IPv4 address", _EXAMPLES) from None
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise InputError("address.malformed", f"{host!r} is not a host name", _EXAMPLES)
    return host


def _node_of(path: str, text: str) -> IdentityId:
    if not path.startswith("did:key:"):
        raise InputError("address.malformed", f"{text!r} does not say the node's did:key", _EXAMPLES)
    try:
        node = IdentityId.from_text(path)
    except InputError as error:
        raise InputError("address.malformed", f"{text!r} does not say a valid did:key", error.hint) from error
    if node.did != path:
        raise InputError("address.malformed", f"{text!r} goes on after the did:key", _EXAMPLES)
    return node
