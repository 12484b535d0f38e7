from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tests.client.servers import TlsFiles
from walletcli.errors import FormatError, StorageError
from walletcli.net.tls import (
    make_certificate,
    pinned_client_context,
    server_context,
    spki_pin,
    spki_pin_of_pem,
    web_client_context,
)


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str | None = None) -> tuple[str | None, bytes]:
    """Return the protocol version and certificate of a handshake over a socket pair, after a byte each way."""
    left, right = socket.socketpair()
    left.settimeout(10)
    right.settimeout(10)

    def serve() -> None:
        try:
            with server.wrap_socket(left, server_side=True) as inside:
                inside.sendall(inside.recv(1))
        except OSError:
            left.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(right, server_hostname=name) as inside:
            inside.sendall(b"x")
            assert inside.recv(1) == b"x"
            certificate = inside.getpeercert(binary_form=True)
            assert certificate
            return inside.version(), certificate
    finally:
        right.close()
        thread.join()


def test_a_certificate_is_p256_and_names_nobody() -> None:
    first, second = (x509.load_pem_x509_certificate(make_certificate()[1]) for _ in range(2))
    key = first.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert first.subject == second.subject == first.issuer
    assert [a.value for a in first.subject] == ["node"]
    assert first.not_valid_before_utc == second.not_valid_before_utc
    assert first.not_valid_after_utc == second.not_valid_after_utc
    assert {e.oid.dotted_string for e in first.extensions} == {"2.5.29.19"}
    assert first.serial_number != second.serial_number
    assert first.public_key() != second.public_key()


def test_the_private_key_does_not_print() -> None:
    key_pem, _ = make_certificate()
    assert "PRIVATE" not in repr(key_pem)
    assert b"PRIVATE KEY" in key_pem.reveal()


def test_both_sides_compute_the_same_pin(tmp_path: Path) -> None:
    files = TlsFiles.make(tmp_path)
    version, certificate = shake_hands(files.context, pinned_client_context())
    assert version == "TLSv1.3"
    assert spki_pin(certificate) == files.pin == spki_pin_of_pem(files.certificate.read_bytes())
    assert len(files.pin) == 32


@pytest.mark.parametrize("old", [ssl.TLSVersion.TLSv1_2])
def test_older_versions_of_tls_are_refused_by_both_sides(tmp_path: Path, old: ssl.TLSVersion) -> None:
    files = TlsFiles.make(tmp_path)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    client.maximum_version = old
    with pytest.raises(OSError):
        shake_hands(files.context, client)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.key)
    server.maximum_version = old
    with pytest.raises(OSError):
        shake_hands(server, pinned_client_context())


def test_the_webs_pki_does_not_vouch_for_a_nodes_certificate(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(TlsFiles.make(tmp_path).context, web_client_context(), "localhost")


def test_no_session_is_ever_resumed(tmp_path: Path) -> None:
    context, client = TlsFiles.make(tmp_path).context, pinned_client_context()
    assert context.num_tickets == 0
    assert context.options & ssl.OP_NO_TICKET
    assert client.options & ssl.OP_NO_TICKET
    shake_hands(context, client)
    assert context.session_stats()["hits"] == 0


def test_keys_are_not_logged_where_the_environment_asks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    shake_hands(TlsFiles.make(tmp_path).context, pinned_client_context())
    assert web_client_context().keylog_filename is None
    assert not log.exists()


@pytest.mark.parametrize("junk", [b"", b"\x30", b"\x30\x82" + bytes(400), bytes(20_000)])
def test_what_is_no_certificate_is_our_error(junk: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        spki_pin(junk)
    assert caught.value.code == "tls.certificate"


@pytest.mark.parametrize("junk", [b"", b"\xff", b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"])
def test_what_is_no_pem_is_our_error(junk: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        spki_pin_of_pem(junk)
    assert caught.value.code == "tls.certificate"


def test_a_missing_or_foreign_key_file_is_our_error(tmp_path: Path) -> None:
    one, other = TlsFiles.make(tmp_path, "one"), TlsFiles.make(tmp_path, "other")
    for key in (tmp_path / "absent", other.key, one.certificate):
        with pytest.raises(StorageError) as caught:
            server_context(one.certificate, key)
        assert caught.value.code == "tls.key-file"
