"""The node's configuration file: ``node.toml`` in its directory.

Every setting has a default that suits; unknown names are errors, so that a slip of the pen does not go unnoticed.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from walletcli.errors import InputError, StorageError
from walletcli.net.addresses import NodeAddress

MAX_CONFIG_BYTES: Final = 65_536
_PORT: Final = re.compile(r":[0-9]+$")

TEMPLATE: Final = """\
# walletcli node configuration. Everything here is optional; what is commented out shows the default.
# The node reads it when it starts.

# Where the world reaches this node, as it stands in its signed record: HOST:PORT, at most 8.
# Empty: the address of --listen, if that names one machine.
addresses = []

# Nodes and relays that are asked for what this node does not have, and that are sent what it newly accepts:
# walletcli://HOST:PORT/did:key:..., https://HOST or http://HOST:PORT.
sources = []
sinks = []

[operator]
# Addresses or networks, beside this machine's own, that may see the status page and the metrics.
addresses = []
# Web servers of yours in front of --http: their X-Forwarded-For says whom limits count. Believe only what you run.
proxies = []

[limits]
# connections = 1024
# connections_per_address = 64
# requests_per_second = 100
# requests_burst = 400
# writes_per_second = 10
# writes_burst = 100
# writes_per_key_per_second = 0.5
# writes_per_key_burst = 20
# document_bytes_per_second = 262144
# document_bytes_burst = 8388608

[storage]
# Free space that is left to others on the disk, and the most that the store may take (0: no bound), in MiB.
# reserve_mib = 256
# max_mib = 0
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what clients may ask for; units are in the names."""

    connections: int = 1024
    connections_per_address: int = 64
    requests_per_second: float = 100.0
    requests_burst: float = 400.0
    writes_per_second: float = 10.0
    writes_burst: float = 100.0
    writes_per_key_per_second: float = 0.5
    writes_per_key_burst: float = 20.0
    document_bytes_per_second: float = 262_144.0
    document_bytes_burst: float = 8_388_608.0


@dataclass(frozen=True, slots=True)
class Storage:
    """Bounds on disk space, in MiB."""

    reserve_mib: int = 256
    max_mib: int = 0


@dataclass(frozen=True, slots=True)
class Config:
    """What an operator sets.

    Attributes:
        addresses: ``HOST:PORT`` of the node's record.
        sources: who is asked on a miss.
        sinks: who is sent what is new.
        operator_networks: who sees the operator's pages.
        proxies: whose X-Forwarded-For is believed.
        limits: bounds for clients.
        storage: bounds for the disk.
    """

    addresses: tuple[str, ...] = ()
    sources: tuple[NodeAddress, ...] = ()
    sinks: tuple[NodeAddress, ...] = ()
    operator_networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    limits: Limits = field(default_factory=Limits)
    storage: Storage = field(default_factory=Storage)

    @classmethod
    def from_text(cls, text: str) -> Config:
        """Read the file's text.

        Raises:
            InputError: ``config.malformed``, ``config.unknown``, ``config.value``, ``address.malformed``.
        """
        try:
            data = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise InputError("config.malformed", f"node.toml is not TOML: {error}") from error
        _only(data, {"addresses", "sources", "sinks", "operator", "limits", "storage"}, "")
        operator = _table(data, "operator")
        _only(operator, {"addresses", "proxies"}, "operator.")
        return cls(
            addresses=tuple(location_of(item) for item in _texts(data, "addresses", 8)),
            sources=tuple(NodeAddress.from_text(item) for item in _texts(data, "sources", 16)),
            sinks=tuple(NodeAddress.from_text(item) for item in _texts(data, "sinks", 16)),
            operator_networks=tuple(_network(item) for item in _texts(operator, "addresses", 64)),
            proxies=tuple(_network(item) for item in _texts(operator, "proxies", 64)),
            limits=Limits(**_numbers(_table(data, "limits"), Limits(), "limits.", 1e-6)),
            storage=Storage(**_numbers(_table(data, "storage"), Storage(), "storage.", 0)),
        )

    @classmethod
    def from_file(cls, path: Path) -> Config:
        """Read the file; raises as `from_text`, and StorageError ``node.unreadable``."""
        try:
            with path.open("rb") as file:
                data = file.read(MAX_CONFIG_BYTES + 1)
        except OSError as error:
            raise StorageError("node.unreadable", f"cannot read {path}: {error.strerror}") from error
        if len(data) > MAX_CONFIG_BYTES:
            raise InputError("config.malformed", f"{path} is longer than {MAX_CONFIG_BYTES} bytes")
        try:
            return cls.from_text(data.decode())
        except UnicodeDecodeError as error:
            raise InputError("config.malformed", f"{path} is not UTF-8") from error


def location_of(text: str) -> str:
    """Return ``HOST:PORT`` in its one form; raises InputError ``address.malformed``."""
    if "/" in text or not _PORT.search(text):
        hint = "write it like 192.0.2.1:7411 or [2001:db8::1]:7411"
        raise InputError("address.malformed", f"{text!r} is not HOST:PORT", hint)
    return NodeAddress.from_text(f"http://{text}").location


def _only(table: Mapping[str, Any], known: set[str], prefix: str) -> None:
    unknown = sorted(table.keys() - known)
    if unknown:
        hint = f"known here: {', '.join(sorted(known))}"
        raise InputError("config.unknown", f"node.toml sets {prefix}{unknown[0]}, which does not exist", hint)


def _table(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name, {})
    if not isinstance(value, dict):
        raise InputError("config.value", f"{name} in node.toml must be a table: [{name}]")
    return value


def _texts(data: Mapping[str, Any], name: str, most: int) -> list[str]:
    value = data.get(name, [])
    if not isinstance(value, list) or len(value) > most or not all(isinstance(item, str) for item in value):
        raise InputError("config.value", f"{name} in node.toml must be a list of at most {most} texts")
    return value


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise InputError("config.value", f"{text!r} in node.toml is not an address or network") from error


def _numbers(table: Mapping[str, Any], defaults: Limits | Storage, prefix: str, least: float) -> dict[str, Any]:
    known = {item.name: type(getattr(defaults, item.name)) for item in fields(defaults)}
    _only(table, set(known), prefix)
    values: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= 1e12:
            raise InputError("config.value", f"{prefix}{name} in node.toml must be a number from {least:g}")
        if known[name] is int and (value != int(value) or (prefix == "limits." and value < 1)):
            raise InputError("config.value", f"{prefix}{name} in node.toml must be a whole number above 0")
        if name.endswith("_burst") and value < 1:
            raise InputError("config.value", f"{prefix}{name} in node.toml must be at least 1")
        values[name] = known[name](value)
    return values
