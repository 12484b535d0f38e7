"""What providers answer, and what lies in an exit kit."""

from __future__ import annotations

import h11

from tests.fuzz.target import Target
from walletcli.client.host_answers import HostState, HostStatus, Offer, Token, read_page
from walletcli.client.plain import read_head
from walletcli.core import cbor
from walletcli.core.document import Document
from walletcli.core.ed25519 import SigningKey
from walletcli.core.exit_kit import ExitKitHead, blob_file, read_blob_file
from walletcli.core.grant import Terms
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.core.secret import Secret
from walletcli.core.short_record import to_short
from walletcli.errors import WalletError

KEY = SigningKey(Secret(bytes(range(32))))
TERMS = Terms(1 << 30, 30, 1 << 21)
HEAD = 'HTTP/1.1 200 OK\r\nContent-Length: 12\r\nETag: "3"\r\nCache-Control: public, max-age=60\r\n'


def check_head(data: bytes) -> bool:
    """One encoding per head of a kit."""
    try:
        head = ExitKitHead.from_bytes(data)
    except WalletError:
        return False
    assert head.to_bytes() == data
    return True


def check_blob(data: bytes) -> bool:
    """One encoding per blob file."""
    try:
        manifest, content = read_blob_file(data)
    except WalletError:
        return False
    assert blob_file(manifest, content) == data
    return True


def check_offer(data: bytes) -> bool:
    """An offer that is read is of the provider that signed the record in it."""
    try:
        offer = Offer.from_bytes(data)
    except WalletError:
        return False
    assert offer.record.document is not None
    assert offer.provider == offer.record.document.identity
    return True


def check_status(data: bytes) -> bool:
    """A state that is read has its numbers in range."""
    try:
        status = HostStatus.from_bytes(data)
    except WalletError:
        return False
    assert status.state in HostState
    assert min(status.used_bytes, status.blobs) >= 0
    return True


def check_token(data: bytes) -> bool:
    """A token that is read has 32 bytes."""
    try:
        token = Token.from_bytes(data)
    except WalletError:
        return False
    assert len(token.value) == 32
    return True


def check_page(data: bytes) -> bool:
    """A page that is read has one encoding, and nothing longer than a manifest in it."""
    try:
        page = read_page(data)
    except WalletError:
        return False
    assert cbor.encode(page) == data
    assert all(1 <= len(item) <= 512 for item in page)
    return True


def check_plain_head(data: bytes) -> bool:
    """What counts as a plain head means the same to h11."""
    head = read_head(data)
    if head is None:
        return False
    protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=len(data) + 2)
    protocol.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    protocol.send(h11.EndOfMessage())
    protocol.receive_data(data + b"\r\n" + bytes(min(head.length_bytes, 4096)))
    event = protocol.next_event()
    assert isinstance(event, h11.Response)
    assert event.http_version == b"1.1"
    assert event.status_code == head.status
    assert {name.decode(): value.decode("latin-1") for name, value in event.headers} == head.headers
    if head.length_bytes <= 4096:
        body = b""
        while isinstance(part := protocol.next_event(), h11.Data):
            body += part.data
        assert len(body) == head.length_bytes
        assert isinstance(part, h11.EndOfMessage)
        assert protocol.their_state is h11.DONE
        assert not protocol.trailing_data[0]
    return True


def _record() -> Record:
    document = Document(KEY.public_key, 7)
    packet = SignedPacket.sign(KEY, 7, packet_value(document))
    return Record.verified(packet, document.to_bytes())


def _offer() -> bytes:
    short = to_short(_record())
    return cbor.encode({1: 1, 2: KEY.public_key, 3: short, 4: TERMS.to_cbor(), 5: "closed", 6: 1 << 31})


TARGETS = [
    Target(
        "exit-kit", check_head, lambda: [ExitKitHead(_record(), grants, 20_000).to_bytes() for grants in ((), (b"g",))]
    ),
    Target("blob-file", check_blob, lambda: [blob_file(b"manifest", b"sealed"), blob_file(b"manifest", b"")]),
    Target("host-offer", check_offer, lambda: [_offer()]),
    Target(
        "host-status",
        check_status,
        lambda: [
            cbor.encode({1: 1, 2: TERMS.to_cbor(), 3: 1, 4: 1, 6: bytes(32)}),
            cbor.encode({1: 2, 3: 1, 4: 1, 5: 20_000}),
        ],
        600,
    ),
    Target("host-token", check_token, lambda: [cbor.encode([bytes(32), 1 << 31])], 80),
    Target("host-page", check_page, lambda: [cbor.encode([]), cbor.encode([b"one", b"two"])]),
    Target(
        "plain-head",
        check_plain_head,
        lambda: [
            HEAD.encode(),
            b"HTTP/1.1 204\r\nconnection:keep-alive\r\n",
            b"HTTP/1.1 404 \r\nX:\r\nx: y\r\nContent-Length:0\r\n",
        ],
    ),
]
