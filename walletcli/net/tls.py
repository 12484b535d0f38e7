"""TLS as nodes and clients use it: 1.3 only, no resumption, keys pinned by a hash.

A node's certificate is a container for its P-256 key and says nothing else: one fixed name, fixed dates, a random
serial number. Trust comes from the node's own record, which pins the SHA-256 of the key (docs/spec/addresses.md).
"""

from __future__ import annotations

import datetime
import hashlib
import ssl
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from walletcli.core.secret import Secret
from walletcli.errors import FormatError, StorageError

PIN_BYTES: Final = 32
"""Length of a pin: SHA-256 of the DER SubjectPublicKeyInfo, in bytes."""

MAX_CERTIFICATE_BYTES: Final = 16_384
"""Longest certificate that is looked into, in bytes."""

_COMMON_NAME: Final = "node"
_NOT_BEFORE: Final = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_NOT_AFTER: Final = datetime.datetime(2099, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)


def make_certificate() -> tuple[Secret, bytes]:
    """Make a P-256 key and a self-signed certificate that names nobody.

    The dates are the same in every certificate, so that they do not tell when a node was set up.

    Returns:
        The private key (PEM, PKCS #8, not encrypted) and the certificate (PEM).
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _COMMON_NAME)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Secret(key_pem), certificate.public_bytes(serialization.Encoding.PEM)


@lru_cache(maxsize=64)
def spki_pin(certificate_der: bytes) -> bytes:
    """Return the pin of a certificate: SHA-256 of its SubjectPublicKeyInfo (DER), 32 bytes.

    Args:
        certificate_der: an X.509 certificate in DER, at most `MAX_CERTIFICATE_BYTES`.

    Raises:
        FormatError: ``tls.certificate`` when it is too long or not a certificate.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    if len(certificate_der) > MAX_CERTIFICATE_BYTES:
        raise FormatError("tls.certificate", f"the certificate is longer than {MAX_CERTIFICATE_BYTES} bytes")
    try:
        spki = (
            x509.load_der_x509_certificate(certificate_der)
            .public_key()
            .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm) as error:
        raise FormatError("tls.certificate", "the certificate cannot be read") from error
    return hashlib.sha256(spki).digest()


def spki_pin_of_pem(certificate_pem: bytes) -> bytes:
    """Return the pin (32 bytes) of a certificate in PEM, such as `make_certificate` gives.

    Raises:
        FormatError: ``tls.certificate`` when it is not a certificate.
    """
    try:
        der = ssl.PEM_cert_to_DER_cert(certificate_pem.decode("ascii"))
    except ValueError as error:
        raise FormatError("tls.certificate", "the certificate is not PEM") from error
    return spki_pin(der)


def server_context(certificate_file: Path, key_file: Path) -> ssl.SSLContext:
    """Return a node's listening context: TLS 1.3 only, no session tickets.

    Args:
        certificate_file: the certificate, PEM.
        key_file: its private key, PEM, readable by its owner only.

    Raises:
        StorageError: ``tls.key-file`` when the files cannot be read or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _only_tls13(context)
    context.num_tickets = 0
    try:
        context.load_cert_chain(certificate_file, key_file)
    except (OSError, ValueError) as error:
        raise StorageError(
            "tls.key-file",
            f"cannot use {certificate_file} with {key_file}",
            "restore both files from a backup of the node's directory",
        ) from error
    return context


@cache
def pinned_client_context() -> ssl.SSLContext:
    """Return the context for a pinned node: the certificate is taken as it is and checked afterwards by its pin.

    It holds settings and nothing else: no ticket, no session, no key of any connection.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _only_tls13(context)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def web_client_context() -> ssl.SSLContext:
    """Return the context for an ``https`` address: the web's PKI, with the system's trusted roots.

    The environment's SSLKEYLOGFILE is not followed.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _only_tls13(context)
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


def _only_tls13(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION
