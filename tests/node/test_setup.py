"""``node init``, configuration, keys at rest, and the node's own record."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from tests.conftest import NodeProcess, Run
from tests.node.local import LocalNode, eventually
from walletcli.core.document_parts import Power
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import Record
from walletcli.errors import FormatError, InputError, StorageError, UsageError, WalletError
from walletcli.net.tls import spki_pin_of_pem
from walletcli.node import directory, setup
from walletcli.node.config import TEMPLATE, Config, Hosting, Limits, Storage
from walletcli.node.dht.config import DhtConfig
from walletcli.node.directory import NodeDirectory
from walletcli.node.identity import NodeIdentity
from walletcli.node.keys import read_root_key
from walletcli.node.status import status

DAY_S = 86_400
_SETTING = re.compile(r"\w+ = |\[\w+\]$")


@pytest.fixture
def files(tmp_path: Path) -> NodeDirectory:
    setup.init(tmp_path / "node", ["192.0.2.1:7411"])
    return NodeDirectory(tmp_path / "node")


def test_new_node_has_everything_and_only_its_owner_reads_it(files: NodeDirectory) -> None:
    assert stat.S_IMODE(files.path.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in files.path.iterdir()}
    assert modes == {
        "root.key": 0o600,
        "device.key": 0o600,
        "tls.key": 0o600,
        "tls.crt": 0o644,
        "node.record": 0o644,
        "node.toml": 0o644,
    }


def test_files_say_what_they_are(files: NodeDirectory) -> None:
    first_lines = {name: (files.path / name).read_bytes().split(b"\n")[0] for name in ("root.key", "device.key")}
    assert first_lines == {"root.key": b"walletcli node root key 1", "device.key": b"walletcli node device key 1"}
    assert files.record.read_bytes().startswith(b"walletcli record 1\n")
    assert files.config.read_text().startswith("# walletcli node configuration")


def test_record_delegates_to_the_device_and_pins_the_tls_key(files: NodeDirectory) -> None:
    identity = NodeIdentity(files)
    document = identity.record.document
    assert document is not None
    (delegation,) = document.delegations
    assert delegation.signing_key == identity.device.signing.public_key
    assert delegation.sealing_key == identity.device.sealing_public_key
    assert delegation.powers == {Power.GRANT}
    assert delegation.not_after_day - delegation.not_before_day == 90
    assert identity.days_left() == 89
    (address,) = document.addresses
    assert (address.transport, address.location) == ("tcp", "192.0.2.1:7411")
    assert address.pin == spki_pin_of_pem(files.tls_certificate.read_bytes())


def test_two_nodes_share_nothing(tmp_path: Path) -> None:
    first, second = setup.init(tmp_path / "a"), setup.init(tmp_path / "b")
    assert first.did != second.did
    for name in ("root.key", "device.key", "tls.key", "tls.crt", "node.record"):
        assert (tmp_path / "a" / name).read_bytes() != (tmp_path / "b" / name).read_bytes()


def test_existing_directory_is_left_alone(tmp_path: Path, files: NodeDirectory) -> None:
    before = {path.name: path.read_bytes() for path in files.path.iterdir()}
    with pytest.raises(InputError) as caught:
        setup.init(files.path)
    assert caught.value.code == "node.exists"
    assert {path.name: path.read_bytes() for path in files.path.iterdir()} == before
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(InputError):
            setup.init(tmp_path / name)
    (tmp_path / "empty").mkdir()
    assert setup.init(tmp_path / "empty").did


def test_init_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes, mode: int = 0o600) -> None:
        if path.name == "node.record":
            raise StorageError("storage.full", "no room")
        directory.write_new(path, data, mode)

    monkeypatch.setattr(setup, "write_new", full)
    with pytest.raises(StorageError):
        setup.init(tmp_path / "node")
    assert list(tmp_path.iterdir()) == []


def test_init_where_nothing_may_be_written(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        setup.init(tmp_path / "nowhere" / "node")
    assert caught.value.code == "node.unwritable"


@pytest.mark.parametrize("text", ["192.0.2.1", "192.0.2.1:0", "http://x:1", "x:1/y", "", "bad host:1"])
def test_address_that_nobody_could_dial_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError):
        setup.init(tmp_path / "node", [text])
    assert list(tmp_path.iterdir()) == []


# configuration


def test_template_means_the_defaults() -> None:
    assert Config.from_text(TEMPLATE) == Config()
    lines = TEMPLATE.split("\n[limits]\n")[1].replace("\n# ", "\n").splitlines()
    assert Config.from_text("\n".join(["[limits]", *(line for line in lines if _SETTING.match(line))])) == Config()


def test_commented_defaults_are_the_defaults() -> None:
    text, names = "", []
    for line in TEMPLATE.split("proxies = []")[1].splitlines():
        if _SETTING.match(line.removeprefix("# ")):
            text += line.removeprefix("# ") + "\n"
            names.append(line.removeprefix("# ").partition(" ")[0])
    kept = [*fields(Limits), *fields(Hosting), *fields(Storage), *fields(DhtConfig)]
    assert sorted(name for name in names if name[0] != "[") == sorted(item.name for item in kept)
    assert Config.from_text(text) == Config()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("adresses = []", "config.unknown"),
        ("[limits]\nconnection = 1", "config.unknown"),
        ("[operator]\nnetworks = []", "config.unknown"),
        ("[storage]\nx = 1", "config.unknown"),
        ("addresses = 'x:1'", "config.value"),
        ("addresses = [1]", "config.value"),
        ("addresses = ['x']", "address.malformed"),
        ("sources = ['ftp://x']", "address.malformed"),
        (f"sinks = {['http://x'] * 17}", "config.value"),
        ("limits = 3", "config.value"),
        ("[limits]\nconnections = 0", "config.value"),
        ("[limits]\nconnections = 1.5", "config.value"),
        ("[limits]\nconnections = true", "config.value"),
        ("[limits]\nrequests_per_second = 0", "config.value"),
        ("[limits]\nrequests_per_second = nan", "config.value"),
        ("[limits]\nrequests_per_second = inf", "config.value"),
        ("[limits]\nrequests_burst = 0.5", "config.value"),
        ("[storage]\nmax_mib = -1", "config.value"),
        ("[operator]\naddresses = ['10.0.0.0/33']", "config.value"),
        ("addresses = [", "config.malformed"),
    ],
)
def test_configuration_that_cannot_be_meant_is_refused(text: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        Config.from_text(text)
    assert caught.value.code == code


def test_configuration_file_is_bounded_and_utf_8(tmp_path: Path) -> None:
    for content in (b"# " + b"x" * 70_000, b"# \xff"):
        (tmp_path / "node.toml").write_bytes(content)
        with pytest.raises(InputError):
            Config.from_file(tmp_path / "node.toml")
    with pytest.raises(StorageError):
        Config.from_file(tmp_path / "missing")


@pytest.mark.parametrize("text", ["addresses = [", "[hosting]\npolicy = 'opne'", "[storage]\nx = 1", "sinks = ['x']"])
def test_whoever_mistypes_the_configuration_is_told_how_to_go_on(tmp_path: Path, text: str) -> None:
    (tmp_path / "node.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        Config.from_file(tmp_path / "node.toml")
    assert caught.value.hint


# keys


@pytest.mark.parametrize("name", ["root.key", "device.key"])
def test_key_that_others_may_read_is_refused(files: NodeDirectory, name: str) -> None:
    (files.path / name).chmod(0o640)
    with pytest.raises(StorageError) as caught:
        read(files, name)
    assert caught.value.code == "node.key-permissions"


def read(files: NodeDirectory, name: str) -> None:
    identity = NodeIdentity(files)
    if name == "root.key":
        read_root_key(files.root_key, identity.record.packet.public_key)


@pytest.mark.parametrize("name", ["root.key", "device.key"])
@pytest.mark.parametrize("change", ["title", "cut", "letter", "twice", "long", "binary", "empty"])
def test_damaged_key_file_is_refused_without_showing_it(files: NodeDirectory, name: str, change: str) -> None:
    path = files.path / name
    text = path.read_text()
    secret = text.splitlines()[-1]
    changed = {
        "title": text.replace("key 1", "key 2"),
        "cut": text.replace(secret, secret[:-1]),
        "letter": text.replace(secret, "!" + secret[1:]),
        "twice": text + secret + "\n",
        "long": text + "#" * 5000,
        "binary": text + "\xff",
        "empty": "",
    }[change]
    path.write_text(changed, encoding="latin-1")
    with pytest.raises(FormatError) as caught:
        read(files, name)
    assert caught.value.code == "node.key-file"
    assert secret[1:-1] not in str(caught.value) + repr(caught.value.__cause__)


def test_root_of_another_node_is_refused(files: NodeDirectory, tmp_path: Path) -> None:
    other = setup.init(tmp_path / "other")
    files.root_key.write_bytes(other.root_key.read_bytes())
    with pytest.raises(StorageError) as caught:
        read(files, "root.key")
    assert caught.value.code == "node.key-other"


# the record, renewed


def test_delegation_is_renewed_in_time(files: NodeDirectory) -> None:
    identity = NodeIdentity(files)
    first = identity.record
    now_s = time.time()
    assert identity.renewed(now_s + 58 * DAY_S) is None
    renewed = identity.renewed(now_s + 60 * DAY_S)
    assert renewed is not None and renewed.document is not None and first.document is not None
    assert renewed.packet.seq > first.packet.seq
    assert renewed.document.previous == first.document.hash
    assert renewed.document.addresses == first.document.addresses
    assert Record.from_bytes(files.record.read_bytes()) == renewed
    assert identity.renewed(now_s + 60 * DAY_S) is None


def test_without_the_root_nothing_is_signed_and_the_operator_is_told(
    files: NodeDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.root_key.unlink()
    identity = NodeIdentity(files)
    assert identity.notices() == []
    monkeypatch.setattr("walletcli.node.identity.time.time", lambda: real + 70 * DAY_S)
    assert identity.renewed(real + 70 * DAY_S) is None
    assert "19 days" in identity.notices()[0]
    identity.set_addresses(["192.0.2.9:1"], None, real)
    assert len(identity.notices()) == 2


real = time.time()


def test_record_follows_the_address_listened_on(tmp_path: Path) -> None:
    setup.init(tmp_path / "node")
    files = NodeDirectory(tmp_path / "node")
    identity = NodeIdentity(files)
    with pytest.raises(UsageError) as caught:
        identity.set_addresses([], None, time.time())
    assert caught.value.code == "node.no-address"
    identity.set_addresses([], "198.51.100.1:7411", time.time())
    assert [address.location for address in NodeIdentity(files).addresses] == ["198.51.100.1:7411"]
    identity.set_addresses([], None, time.time())  # a wildcard keeps what the record says
    identity.set_addresses(["node.example:7411", "x.onion:80", "y.b32.i2p:1"], None, time.time())
    assert [address.transport for address in identity.addresses] == ["tcp", "tor", "i2p"]


def test_running_node_publishes_its_renewed_record(
    local: Callable[..., LocalNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = local()
    before = node.ask("GET", f"/{IdentityId.from_text(node.ask('GET', '/identity').body.decode()).z32}")
    later = time.time() + 65 * DAY_S
    monkeypatch.setattr("walletcli.node.service.time.time", lambda: later)
    node.run(node.service._renew)
    after = node.ask("GET", f"/{IdentityId.from_text(node.ask('GET', '/identity').body.decode()).z32}")
    assert int(after.headers["etag"].strip('"')) > int(before.headers["etag"].strip('"'))
    assert node.call(node.service.pages.reading).counts.pending == 0


# status


def test_status_tells_the_same_of_a_node_that_runs_and_one_that_does_not(
    node_factory: Callable[..., NodeProcess], cli: Callable[..., Run]
) -> None:
    node = node_factory()
    running = status(node.directory)
    assert (running["running"], running["pid"], running["did"]) == (True, node.process.pid, node.did)
    assert (running["listen"], running["packets"], running["documents"]) == (node.address, 1, 1)
    node.kill()
    stopped = status(node.directory)
    assert (stopped["running"], stopped["pid"], stopped["uptime_s"]) == (False, None, None)
    assert {name: stopped[name] for name in ("did", "packets", "documents", "addresses", "seq")} == {
        name: running[name] for name in ("did", "packets", "documents", "addresses", "seq")
    }
    shown = cli("--json", "node", "status", str(node.directory))
    assert shown.json["did"] == node.did


def test_status_of_a_node_that_never_ran(files: NodeDirectory) -> None:
    found = status(files.path)
    assert (found["running"], found["packets"], found["root_present"]) == (False, 0, True)
    with pytest.raises(WalletError):
        status(files.path.parent)


def test_disk_without_room_takes_nothing_new(local: Callable[..., LocalNode], monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.client.records import foreign_packet, identity

    node = local()
    real_statvfs = os.statvfs

    def full(path: object) -> os.statvfs_result:
        values = list(real_statvfs(str(path)))
        values[4] = 10
        return os.statvfs_result(values)

    monkeypatch.setattr("walletcli.node.gate.os.statvfs", full)
    eventually(lambda: node.service.gate.is_full, "the look at the disk")
    answer = node.ask("PUT", f"/{identity('x').z32}", foreign_packet("x").to_relay_payload())
    assert (answer.status, answer.code) == (507, "storage.full")
    assert node.ask("GET", "/healthz").status == 200
    monkeypatch.undo()
    eventually(lambda: not node.service.gate.is_full, "another look")
    assert node.ask("PUT", f"/{identity('x').z32}", foreign_packet("x").to_relay_payload()).status == 204


def test_share_of_the_disk_can_be_bounded(local: Callable[..., LocalNode]) -> None:
    from tests.client.records import foreign_packet, identity

    node = local("node", "[storage]\nmax_mib = 1\n", limits=False)

    def put(number: int) -> int:
        name = f"fill-{number}"
        return node.ask("PUT", f"/{identity(name).z32}", foreign_packet(name).to_relay_payload()).status

    statuses = []
    while len(statuses) < 20_000 and (not statuses or statuses[-1] == 204):
        statuses.append(put(len(statuses)))
    assert statuses[-1] == 507
