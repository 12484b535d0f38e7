"""The operator's pages: the status page in a real browser, metrics, health, and who may see them."""

from __future__ import annotations

import html
import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.client.records import foreign_packet, identity, record
from tests.node.local import LocalNode, eventually
from walletcli.errors import StorageError
from walletcli.node import metrics
from walletcli.node.page import duration, number, size
from walletcli.node.request import Client

BROWSER = shutil.which("chromium") or "chromium"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--allow-file-access-from-files",
)
DARK = ("--blink-settings=preferredColorScheme=0",)


def browse(tmp_path: Path, url: str, *flags: str) -> str:
    """Open a page in Chromium with a profile of its own and return what it printed."""
    profile = tmp_path / "profile"
    try:
        done = subprocess.run(
            [BROWSER, *FLAGS, f"--user-data-dir={profile}", *flags, url], capture_output=True, timeout=90, check=False
        )
    finally:
        shutil.rmtree(profile, ignore_errors=True)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return done.stdout.decode()


def pixels(png: bytes) -> tuple[int, int, list[bytes]]:
    """Decode an 8-bit RGB or RGBA picture into its rows, without a library for pictures."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, data, width, height, channels = 8, b"", 0, 0, 0
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        chunk = png[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", chunk[:10])
            assert depth == 8
            channels = {2: 3, 6: 4}[colour]
        if kind == b"IDAT":
            data += chunk
        at += 12 + length
    return width, height, _unfiltered(zlib.decompress(data), width * channels, height, channels)


def _unfiltered(raw: bytes, stride: int, height: int, channels: int) -> list[bytes]:
    rows: list[bytes] = []
    above = bytearray(stride)
    for y in range(height):
        kind, line = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1 : (y + 1) * (stride + 1)])
        for x in range(stride):
            left = line[x - channels] if x >= channels else 0
            corner = above[x - channels] if x >= channels else 0
            if kind == 1:
                line[x] = (line[x] + left) & 255
            elif kind == 2:
                line[x] = (line[x] + above[x]) & 255
            elif kind == 3:
                line[x] = (line[x] + (left + above[x]) // 2) & 255
            elif kind == 4:
                estimate = left + above[x] - corner
                distances = (abs(estimate - left), abs(estimate - above[x]), abs(estimate - corner))
                line[x] = (line[x] + (left, above[x], corner)[distances.index(min(distances))]) & 255
        above = line
        rows.append(bytes(line))
    return rows


@pytest.fixture(scope="module")
def busy(shared: LocalNode) -> LocalNode:
    """A node that holds something and has a history."""
    for number_ in range(12):
        name = f"page-{number_}"
        shared.ask("PUT", f"/{identity(name).z32}", foreign_packet(name).to_relay_payload())
    pending = record("page-pending", 3)
    shared.ask("PUT", f"/{identity('page-pending').z32}", pending.packet.to_relay_payload())
    shared.call(shared.service.metrics.close_minute)
    shared.ask("GET", f"/{identity('page-1').z32}")
    shared.call(shared.service.metrics.close_minute)
    return shared


def text_of(dom: str) -> str:
    without_style = re.sub(r"<style>.*?</style>", "", dom, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", without_style))


def test_browser_shows_what_the_node_is_and_holds(busy: LocalNode, tmp_path: Path) -> None:
    dom = browse(tmp_path, f"{busy.url}/", "--dump-dom")
    text = " ".join(text_of(dom).split())
    did = busy.ask("GET", "/identity").body.decode().strip()
    for expected in (did, busy.address, busy.url, "healthy", "14 packets", "1 without their document", "version 0.1.0"):
        assert expected in text
    assert "89 days left" in text
    assert len(re.findall(r"<rect ", dom)) == 2
    assert "<script" not in dom
    assert not re.search(r'(src|href|action)="', dom)


@pytest.mark.parametrize(("flags", "is_dark"), [((), False), (DARK, True)], ids=["light", "dark"])
def test_browser_paints_it_in_light_and_dark(
    busy: LocalNode, tmp_path: Path, flags: tuple[str, ...], is_dark: bool
) -> None:
    picture = tmp_path / "page.png"
    browse(tmp_path, f"{busy.url}/", f"--screenshot={picture}", "--window-size=600,500", *flags)
    width, height, rows = pixels(picture.read_bytes())
    assert (width, height) == (600, 500)
    step = len(rows[0]) // width
    ground = rows[height - 3][: step * 3]
    assert (sum(ground[:3]) < 150) is is_dark
    colours = {row[x : x + step] for row in rows[::3] for x in range(0, len(row), step * 3)}
    assert len(colours) > 30  # text, cards, state and ground: a page, not a blank or an error
    green = [row[x : x + 3] for row in rows[20:80] for x in range(0, len(row), step)]
    assert any(pixel[1] > pixel[0] + 40 and pixel[1] > pixel[2] + 20 for pixel in green)  # the word "healthy"


@pytest.mark.parametrize("width", [320, 390, 768, 1400])
def test_page_fits_every_width(busy: LocalNode, tmp_path: Path, width: int) -> None:
    """A frame of that width must have nothing to scroll sideways for."""
    (tmp_path / "page.html").write_bytes(busy.ask("GET", "/").body)
    (tmp_path / "frame.html").write_text(
        f'<iframe src="page.html" width="{width}" height="900" onload="document.title = '
        "[contentDocument.documentElement.scrollWidth, contentDocument.body.innerText.length].join(' ')\"></iframe>"
    )
    dom = browse(tmp_path, (tmp_path / "frame.html").as_uri(), "--dump-dom", "--window-size=1600,1000")
    found = re.search(r"<title>(\d+) (\d+)</title>", dom)
    assert found is not None, dom[:500]
    assert int(found[1]) <= width
    assert int(found[2]) > 300


def test_policy_lets_nothing_in(busy: LocalNode) -> None:
    headers = busy.ask("GET", "/").headers
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"


def test_page_says_what_is_wrong(local: Callable[..., LocalNode], monkeypatch: pytest.MonkeyPatch) -> None:
    node = local()
    assert node.ask("GET", "/healthz").status == 200

    def fail() -> None:
        node.service.gate.store._roll_back()  # type: ignore[attr-defined]  # as the real one does
        raise StorageError("storage.full", "the disk is full", "make room on the disk")

    monkeypatch.setattr(node.service.gate.store, "commit", fail)
    answer = node.ask("PUT", f"/{identity('x').z32}", foreign_packet("x").to_relay_payload())
    assert (answer.status, answer.code) == (507, "storage.full")
    health = node.ask("GET", "/healthz")
    assert (health.status, health.code) == (503, "storage.failed")
    page = node.ask("GET", "/").body.decode()
    assert "cannot store" in page and "the disk is full" in page and "Make room" in page
    monkeypatch.undo()
    eventually(lambda: node.ask("GET", "/healthz").status == 200, "recovery")


@pytest.mark.parametrize("path", ["/", "/metrics"])
@pytest.mark.parametrize("header", ["forwarded", "x_forwarded_for", "x_real_ip", "via"])
def test_request_that_came_through_a_proxy_sees_nothing(shared: LocalNode, path: str, header: str) -> None:
    answer = shared.ask("GET", path, **{header: "for=127.0.0.1"})
    assert (answer.status, answer.code) == (404, "request.path")


@pytest.mark.parametrize("path", ["/", "/metrics"])
def test_a_site_that_the_operator_visits_reads_nothing(busy: LocalNode, tmp_path: Path, path: str) -> None:
    """The site's page asks the node on the operator's machine, from their browser: here of a file, as of no site."""
    script = (
        "fetch(url).then(a => a.text()).then(t => document.title = 'read ' + t.length, () => document.title = 'no')"
    )
    (tmp_path / "site.html").write_text(f"<script>const url = '{busy.url}{path}'; {script}</script>")
    (tmp_path / "open.html").write_text(f"<script>const url = '{busy.url}/identity'; {script}</script>")
    wait = "--virtual-time-budget=20000"
    assert "<title>no</title>" in browse(tmp_path, (tmp_path / "site.html").as_uri(), "--dump-dom", wait)
    assert "<title>read " in browse(tmp_path, (tmp_path / "open.html").as_uri(), "--dump-dom", wait)


@pytest.mark.parametrize("path", ["/", "/metrics"])
def test_a_name_that_somebody_had_point_to_this_machine_shows_nothing(shared: LocalNode, path: str) -> None:
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "[::2]:1"):
        assert shared.ask("GET", path, host=host).status == 404
        assert shared.ask("GET", "/identity", host=host).status == 200
    for host in ("localhost", "LOCALHOST:7410", "127.0.0.1:7410", "[::1]:7410"):
        assert shared.ask("GET", path, host=host).status == 200


@pytest.mark.parametrize("path", ["/", "/metrics"])
def test_others_than_the_operator_see_nothing(shared: LocalNode, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shared.ask("GET", path).status == 200
    monkeypatch.setattr(shared.service.server, "_client", lambda host: Client(b"other", False))
    assert shared.ask("GET", path).status == 404
    for open_path in ("/healthz", "/identity"):
        assert shared.ask("GET", open_path).status == 200


def test_metrics_can_be_read_by_prometheus_and_tell_nobody_apart(busy: LocalNode) -> None:
    answer = busy.ask("GET", "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}
    values = {name: family.samples[0].value for name, family in families.items()}
    assert values["walletcli_node_packets"] == 14
    assert values["walletcli_node_packets_pending"] == 1
    assert values["walletcli_node_healthy"] == 1
    assert values["walletcli_node_store_bytes"] > 4096
    assert values["walletcli_node_disk_free_bytes"] > 0
    labels = {label for family in families.values() for sample in family.samples for label in sample.labels}
    assert labels == {"method", "status"}
    counted = {tuple(sample.labels.values()): sample.value for sample in families["walletcli_node_answers"].samples}
    assert counted["PUT", "204"] >= 13
    assert all(family.documentation for family in families.values())


def test_unknown_methods_share_a_label(shared: LocalNode) -> None:
    for method in ("PROPFIND", "MKCOL", "BREW", "GET"):
        shared.ask(method, "/identity")
    methods = set(re.findall(r'method="(\w+)"', shared.ask("GET", "/metrics").body.decode()))
    assert methods <= {"GET", "HEAD", "PUT", "OPTIONS", "other"}
    assert "other" in methods


def test_pages_take_no_other_method(shared: LocalNode) -> None:
    for path in ("/", "/metrics", "/healthz", "/identity"):
        assert shared.ask("DELETE", path).status == 405
        assert shared.ask("OPTIONS", path).status == 204
        head = shared.ask("HEAD", path)
        assert (head.status, head.body) == (200, b"")


def test_history_counts_requests_by_minute() -> None:
    counted = metrics.Metrics()
    for requests in (3, 0, 5):
        for _ in range(requests):
            counted.answered(b"GET", b"200")
        counted.close_minute()
    assert list(counted.minutes) == [3, 0, 5]
    counted.answered(b"PUT", b"204")
    counted.answered(b"PUT", b"429")
    assert counted.by_kind() == {"reads": 8, "writes": 1, "refused": 1}
    for _ in range(100):
        counted.close_minute()
    assert len(counted.minutes) == 60


def test_numbers_are_written_for_people() -> None:
    assert [number(value) for value in (0, 999, 1000, 1234567)] == ["0", "999", "1\u2009000", "1\u2009234\u2009567"]
    assert [size(value) for value in (0, 1023, 1536, 150 << 20, 3 << 40)] == [
        "0 bytes",
        "1023 bytes",
        "1.5 KiB",
        "150 MiB",
        "3.0 TiB",
    ]
    assert [duration(value) for value in (5, 65, 3700, 90_000)] == ["5 s", "1 min", "1 h 1 min", "1 d 1 h"]
