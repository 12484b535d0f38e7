"""Verifies signatures by SSH keys of every kind: servers' keys, and other people's.

`cryptography` is loaded only where a key is not Ed25519.

Spec: RFC 4253, 5656, 8332, 8709; OpenSSH's PROTOCOL.u2f and PROTOCOL.certkeys; docs/spec/ssh.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from walletcli.core import ed25519
from walletcli.core.ssh.encoding import SshReader
from walletcli.core.ssh.keys import key_type
from walletcli.core.ssh.security_keys import SkKey, SkSignature
from walletcli.errors import FormatError, VerificationError

MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192
"""Shortest and longest RSA modulus."""

_CERTIFICATE: Final = "-cert-v01@openssh.com"
_CURVES: Final = {"nistp256": 32, "nistp384": 48, "nistp521": 66}
_MAX_INTEGER_BYTES: Final = 1025


def verify_host(key_blob: bytes, signature_blob: bytes, message: bytes) -> None:
    """Check a server's signature; its key may be a certificate's, which itself is for `ssh` to verify.

    Raises:
        FormatError: ``ssh.key``, ``sshsig.key-type``, ``sshsig.malformed``, ``key.malformed``.
        VerificationError: ``signature.invalid``.
    """
    _verify(key_blob, signature_blob, message, allow_certificate=True)


def verify(key_blob: bytes, signature_blob: bytes, message: bytes) -> None:
    """Check a signature by a key: Ed25519 and ECDSA, also on a security key; RSA with SHA-2.

    Args:
        key_blob: the key as SSH spells it.
        signature_blob: the signature as SSH spells it.
        message: what was signed.

    Raises:
        FormatError: ``ssh.key``, ``sshsig.key-type``, ``sshsig.malformed``, ``key.malformed``.
        VerificationError: ``signature.invalid``.
    """
    _verify(key_blob, signature_blob, message, allow_certificate=False)


def _verify(key_blob: bytes, signature_blob: bytes, message: bytes, *, allow_certificate: bool) -> None:
    kind = key_type(key_blob)
    plain = kind.removesuffix(_CERTIFICATE)
    check = _CHECKS.get(plain)
    if check is None or (plain != kind and not allow_certificate):
        raise _other_kind(kind)
    key = SshReader(key_blob, _malformed_key)
    key.string()
    if plain != kind:
        key.string(1, 64)  # the certificate's nonce
    signature = SshReader(signature_blob, _malformed)
    algorithm = signature.text(64)
    check(plain, key, algorithm, signature, message)
    if plain == kind:
        key.end()
    else:
        _finish_certificate(key)


def _finish_certificate(key: SshReader) -> None:
    """Read what follows the key in a certificate, so that it is read whole."""
    key.raw(8)
    key.number()
    for _ in range(2):
        key.string()
    key.raw(16)
    for _ in range(5):
        key.string()
    key.end()


def _check_ed25519(kind: str, key: SshReader, algorithm: str, signature: SshReader, message: bytes) -> None:
    _same(algorithm, kind)
    public_key, value = key.string(32, 32), signature.string(64, 64)
    signature.end()
    ed25519.check_encoding(public_key)
    ed25519.verify(public_key, message, value)


def _check_security_key(kind: str, key: SshReader, algorithm: str, signature: SshReader, message: bytes) -> None:
    """Check what a FIDO2 key signed; somebody has touched it."""
    _same(algorithm, kind)
    public_key, made = SkKey.read(kind, key), SkSignature.read(algorithm, signature)
    signature.end()
    made.check(public_key, message)


def _check_ecdsa(kind: str, key: SshReader, algorithm: str, signature: SshReader, message: bytes) -> None:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    _same(algorithm, kind)
    name = key.text(16)
    size_bytes = _CURVES.get(name)
    if size_bytes is None or not kind.endswith(name):
        raise _malformed_key("its curve is another one than its type says")
    point = key.string(1 + 2 * size_bytes, 1 + 2 * size_bytes)
    inner = SshReader(signature.string(), _malformed)
    signature.end()
    r, s = inner.integer(size_bytes + 1), inner.integer(size_bytes + 1)
    inner.end()
    curves: dict[str, tuple[type[ec.EllipticCurve], hashes.HashAlgorithm]] = {
        "nistp256": (ec.SECP256R1, hashes.SHA256()),
        "nistp384": (ec.SECP384R1, hashes.SHA384()),
        "nistp521": (ec.SECP521R1, hashes.SHA512()),
    }
    curve, digest = curves[name]
    try:
        public_key = ec.EllipticCurvePublicKey.from_encoded_point(curve(), point)
        public_key.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(digest))
    except ValueError as error:
        raise _malformed_key("it is no point of its curve") from error
    except (InvalidSignature, UnsupportedAlgorithm) as error:
        raise _invalid() from error


def _check_rsa(_kind: str, key: SshReader, algorithm: str, signature: SshReader, message: bytes) -> None:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    digests: dict[str, hashes.HashAlgorithm] = {"rsa-sha2-256": hashes.SHA256(), "rsa-sha2-512": hashes.SHA512()}
    digest = digests.get(algorithm)
    if digest is None:
        raise _other_kind(algorithm)
    exponent, modulus = key.integer(9), key.integer(_MAX_INTEGER_BYTES)
    if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
        raise _other_kind(f"RSA of {modulus.bit_length()} bits")
    value = signature.string(1, _MAX_INTEGER_BYTES)
    signature.end()
    try:
        public_key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
        public_key.verify(value, message, padding.PKCS1v15(), digest)
    except ValueError as error:
        raise _malformed_key("its numbers are none of RSA") from error
    except (InvalidSignature, UnsupportedAlgorithm) as error:
        raise _invalid() from error


_CHECKS: Final[dict[str, Callable[[str, SshReader, str, SshReader, bytes], None]]] = {
    "ssh-ed25519": _check_ed25519,
    "sk-ssh-ed25519@openssh.com": _check_security_key,
    "sk-ecdsa-sha2-nistp256@openssh.com": _check_security_key,
    "ecdsa-sha2-nistp256": _check_ecdsa,
    "ecdsa-sha2-nistp384": _check_ecdsa,
    "ecdsa-sha2-nistp521": _check_ecdsa,
    "ssh-rsa": _check_rsa,
}


def _same(algorithm: str, kind: str) -> None:
    if algorithm != kind:
        raise _malformed("it is of another kind than the key")


def _invalid() -> VerificationError:
    return VerificationError("signature.invalid", "the signature does not verify")


def _other_kind(kind: str) -> FormatError:
    return FormatError(
        "sshsig.key-type",
        f"signatures of the kind {kind} are not verified here",
        "Ed25519, ECDSA, and RSA of 2048 bits or more with SHA-2 are",
    )


def _malformed(detail: str) -> FormatError:
    return FormatError("sshsig.malformed", f"malformed signature: {detail}")


def _malformed_key(detail: str) -> FormatError:
    return FormatError("ssh.key", f"not a key as SSH spells it: {detail}")
