"""The node's configuration file: ``node.toml`` in its directory.

Every setting has a default that suits; unknown names are errors, so that a slip of the pen does not go unnoticed.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any, Final

from walletcli.core.grant import MAX_BLOB_BYTES, MAX_GRANT_DAYS, MAX_QUOTA_BYTES, MAX_RETENTION_DAYS, Terms
from walletcli.errors import InputError, StorageError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.node import log
from walletcli.node.dht import config as dht
from walletcli.node.dht.config import DhtConfig

MAX_CONFIG_BYTES: Final = 65_536
_PORT: Final = re.compile(r":[0-9]+$")

TEMPLATE: Final = f"""\
# walletcli node configuration. Everything here is optional; what is commented out shows the default.
# The node reads it when it starts; changes of [limits], [hosting] and [storage] reach it within seconds.

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
# Of hosting; logins per address, the others per address and per identity.
# logins_per_second = 5
# logins_burst = 200
# blobs_per_second = 50
# blobs_burst = 1000
# blob_bytes_per_second = 16777216
# blob_bytes_burst = 536870912

[hosting]
# Who gets a grant: "closed": whom you invite or allow (walletcli node invite, walletcli node allow); "open": anybody;
# "off": this node hosts nobody.
# policy = "closed"
# What a grant gives: room in MiB, the largest blob in KiB, for how many days, and for how many days data is kept after
# somebody has left. Grants that were given keep their terms.
# quota_mib = 256
# max_blob_kib = 2048
# grant_days = 365
# retention_days = 30
# The most that the blobs of all may take, in MiB (0: no bound but those of [storage]).
# max_mib = 0

[storage]
# Free space that is left to others on the disk, and the most that the store may take (0: no bound), in MiB.
# reserve_mib = 256
# max_mib = 0
{dht.TEMPLATE}"""


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
    logins_per_second: float = 5.0
    logins_burst: float = 200.0
    blobs_per_second: float = 50.0
    blobs_burst: float = 1000.0
    blob_bytes_per_second: float = 16_777_216.0
    blob_bytes_burst: float = 536_870_912.0


class Policy(Enum):
    """Who gets a grant."""

    OPEN = "open"
    CLOSED = "closed"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Hosting:
    """What this node gives to those that it hosts; units are in the names.

    Attributes:
        policy: who gets a grant.
        quota_mib: room.
        max_blob_kib: the largest blob.
        grant_days: how long a grant lasts.
        retention_days: how long data is kept for those who have left.
        max_mib: the most that the blobs of all may take; 0 for no bound.
    """

    policy: Policy = Policy.CLOSED
    quota_mib: int = 256
    max_blob_kib: int = 2048
    grant_days: int = 365
    retention_days: int = 30
    max_mib: int = 0

    @property
    def terms(self) -> Terms:
        """The terms of a new grant."""
        return Terms(self.quota_mib << 20, self.retention_days, self.max_blob_kib << 10)


_HOSTING_RANGES: Final = {
    "quota_mib": (0, MAX_QUOTA_BYTES >> 20),
    "max_blob_kib": (1, MAX_BLOB_BYTES >> 10),
    "grant_days": (8, MAX_GRANT_DAYS),
    "retention_days": (0, MAX_RETENTION_DAYS),
    "max_mib": (0, 1 << 40),
}


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
        hosting: what hosted identities get.
        dht: how it takes part in the DHT.
    """

    addresses: tuple[str, ...] = ()
    sources: tuple[NodeAddress, ...] = ()
    sinks: tuple[NodeAddress, ...] = ()
    operator_networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    limits: Limits = field(default_factory=Limits)
    storage: Storage = field(default_factory=Storage)
    hosting: Hosting = field(default_factory=Hosting)
    dht: DhtConfig = field(default_factory=DhtConfig)

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
        _only(data, {"addresses", "sources", "sinks", "operator", "limits", "hosting", "storage", "dht"}, "")
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
            hosting=_hosting(_table(data, "hosting")),
            dht=DhtConfig.from_table(_table(data, "dht")),
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
        except InputError as error:
            if error.hint:
                raise
            hint = f"correct {path}; what `walletcli node init` writes names every setting and its default"
            raise InputError(error.code, error.message, hint) from error


class Reread:
    """Looks whether the configuration file has changed since it was last read.

    Args:
        path: the file.
        read: reads it.
    """

    def __init__(self, path: Path, read: Callable[[], Config]) -> None:
        self._path = path
        self._read = read
        self._seen = self._mark()

    def changed(self) -> Config | None:
        """Return the configuration if the file is another one now; one that cannot be read is logged and left."""
        mark = self._mark()
        if mark == self._seen:
            return None
        self._seen = mark
        try:
            return self._read()
        except WalletError as error:
            log.error("node.config-refused", code=error.code, message=error.message)
            return None

    def _mark(self) -> tuple[int, int, int] | None:
        try:
            state = self._path.stat()
        except OSError:
            return None
        return state.st_ino, state.st_mtime_ns, state.st_size


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


def policy_of(text: object) -> Policy:
    """Return the policy that a word names; raises InputError ``config.value``."""
    try:
        return Policy(text)
    except ValueError:
        raise InputError("config.value", "hosting.policy in node.toml must be open, closed or off") from None


def _hosting(table: Mapping[str, Any]) -> Hosting:
    _only(table, {"policy", *_HOSTING_RANGES}, "hosting.")
    for name, (low, high) in _HOSTING_RANGES.items():
        value = table.get(name, low)
        if type(value) is not int or not low <= value <= high:
            raise InputError("config.value", f"hosting.{name} in node.toml must be a whole number from {low} to {high}")
    numbers = {name: value for name, value in table.items() if name != "policy"}
    return Hosting(policy_of(table.get("policy", Policy.CLOSED.value)), **numbers)


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
