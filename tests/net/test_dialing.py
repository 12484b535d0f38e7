from __future__ import annotations

import datetime
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.client.records import identity
from tests.client.servers import Conversation, Server, TlsFiles
from walletcli.errors import NetworkError, VerificationError
from walletcli.net import tcp
from walletcli.net.addresses import NodeAddress
from walletcli.net.offline import OfflineDialer
from walletcli.net.tcp import TcpDialer
from walletcli.net.tls import server_context

DID = identity("node").did


def soon(seconds: float = 2.0) -> float:
    return time.monotonic() + seconds


def dial(text: str, seconds: float = 2.0) -> None:
    TcpDialer().dial(NodeAddress.from_text(text), None, soon(seconds)).close()


def test_bytes_go_both_ways(serve: Callable[..., Server]) -> None:
    server = serve(lambda c: c.send(c.sock.recv(10).upper()))
    stream = TcpDialer().dial(server.address, "did:key:x", soon())
    assert stream.is_quiet()
    stream.send(b"hello", soon())
    assert stream.recv(soon()) == b"HELLO"
    assert stream.recv(soon()) == b""
    assert not stream.is_quiet()
    assert stream.peer_pin is None
    stream.close()
    stream.close()


def test_every_dial_is_a_new_connection(serve: Callable[..., Server]) -> None:
    server = serve(Conversation.hang)
    for _ in range(3):
        TcpDialer().dial(server.address, "did:key:x", soon()).close()
    deadline = soon()
    while server.connections < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.connections == 3


def test_a_pinned_stream_shows_the_pin_of_the_other_side(tmp_path: Path) -> None:
    files = TlsFiles.make(tmp_path)
    server = Server(lambda c: c.send(c.sock.recv(10)), files.context)
    try:
        stream = TcpDialer().dial(NodeAddress.from_text(f"walletcli://127.0.0.1:{server.port}/{DID}"), None, soon())
        assert stream.peer_pin == files.pin
        stream.send(b"hello", soon())
        assert stream.recv(soon()) == b"hello"
        stream.close()
    finally:
        server.close()


def test_nobody_listening_is_unreachable(free_port: Callable[[], int]) -> None:
    with pytest.raises(NetworkError) as caught:
        dial(f"http://127.0.0.1:{free_port()}")
    assert caught.value.code == "relay.unreachable"
    assert caught.value.hint


@pytest.mark.parametrize("host", ["a" * 56 + ".onion", "a" * 52 + ".b32.i2p"])
def test_hidden_names_are_never_shown_to_a_name_server(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: pytest.fail("asked a name server"))
    with pytest.raises(NetworkError) as caught:
        dial(f"http://{host}:80")
    assert caught.value.code == "network.transport"


def test_localhost_is_this_machine_and_needs_no_name_server(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: pytest.fail("asked a name server"))
    dial(f"http://localhost:{serve(Conversation.hang).port}")


def test_an_unknown_name_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(NetworkError) as caught:
        dial("http://relay.example")
    assert caught.value.code == "relay.unreachable"


def test_a_silent_name_server_does_not_outlast_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def stuck(*_: object, **__: object) -> None:
        release.wait(120)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", stuck)
    with pytest.raises(NetworkError) as caught:
        dial("http://relay.example", 0.2)
    assert not release.is_set()
    release.set()
    assert caught.value.code == "relay.timeout"


def test_a_dead_address_leaves_time_for_a_living_one(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first address is a listener whose queue is full: connecting to it hangs."""
    server = serve(Conversation.hang)
    with socket.socket() as full:
        full.bind(("127.0.0.2", server.port))
        full.listen(0)
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.2", server.port))
        two = [(socket.AF_INET, "127.0.0.2"), (socket.AF_INET, "127.0.0.1")]
        monkeypatch.setattr(tcp, "_targets", lambda *_: two)
        dial(server.address.to_text(), 2.0)
        for filler in fillers:
            filler.close()


def test_a_handshake_that_stalls_ends_with_the_deadline(serve: Callable[..., Server]) -> None:
    server = serve(Conversation.hang)
    with pytest.raises(NetworkError) as caught:
        dial(f"walletcli://127.0.0.1:{server.port}/{DID}", 0.2)
    assert caught.value.code == "relay.timeout"


@pytest.mark.parametrize("scheme", ["walletcli", "https"])
def test_an_answer_that_is_not_tls_is_our_error(serve: Callable[..., Server], scheme: str) -> None:
    server = serve(lambda c: c.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    rest = f"/{DID}" if scheme == "walletcli" else ""
    with pytest.raises(NetworkError) as caught:
        dial(f"{scheme}://127.0.0.1:{server.port}{rest}")
    assert caught.value.code == "tls.handshake"


def test_a_self_signed_web_address_is_not_trusted(tmp_path: Path) -> None:
    server = Server(Conversation.hang, TlsFiles.make(tmp_path).context)
    try:
        with pytest.raises(VerificationError) as caught:
            dial(f"https://127.0.0.1:{server.port}")
        assert caught.value.code == "tls.untrusted"
    finally:
        server.close()


def test_offline_opens_nothing(serve: Callable[..., Server]) -> None:
    server = serve(Conversation.hang)
    with pytest.raises(NetworkError) as caught:
        OfflineDialer().dial(server.address, None, soon())
    assert caught.value.code == "network.offline"
    assert server.connections == 0


def test_a_passed_deadline_is_a_timeout_before_anything_is_sent(serve: Callable[..., Server]) -> None:
    stream = TcpDialer().dial(serve(Conversation.hang).address, None, soon())
    for call in (lambda: stream.send(b"x", soon(-1)), lambda: stream.recv(soon(-1))):
        with pytest.raises(NetworkError) as caught:
            call()
        assert caught.value.code == "relay.timeout"
    stream.close()


@pytest.fixture
def web_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server for ``localhost`` whose certificate comes from an authority that this machine trusts."""
    authority_key, authority = _certified("authority", None, None)
    key, certificate = _certified("localhost", authority_key, authority)
    trusted, chain, private = tmp_path / "trusted", tmp_path / "chain", tmp_path / "key"
    trusted.write_bytes(authority.public_bytes(Encoding.PEM))
    chain.write_bytes(certificate.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    server = Server(lambda c: c.send(c.sock.recv(10)), server_context(chain, private))
    yield server
    server.close()


def _certified(
    name: str, issuer_key: ec.EllipticCurvePrivateKey | None, issuer: x509.Certificate | None
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(issuer_key or key, hashes.SHA256())
    )
    return key, made


def test_a_web_address_is_known_by_the_webs_pki(web_server: Server) -> None:
    stream = TcpDialer().dial(NodeAddress.from_text(f"https://localhost:{web_server.port}"), None, soon())
    stream.send(b"hello", soon())
    assert stream.recv(soon()) == b"hello"
    stream.close()


def test_a_web_certificate_for_another_host_is_not_trusted(web_server: Server) -> None:
    with pytest.raises(VerificationError) as caught:
        dial(f"https://127.0.0.1:{web_server.port}")
    assert caught.value.code == "tls.untrusted"
