"""What an SSH key signs: a login and a file, each parsed whole.

Spec: docs/spec/ssh.md, "What is signed".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from walletcli.core.ssh.encoding import SshReader, string
from walletcli.core.ssh.keys import ED25519, MAX_KEY_BLOB_BYTES, from_key_blob, key_type
from walletcli.core.ssh.security_keys import SkKey, is_security_key
from walletcli.errors import FormatError, InputError, SignerError

MAGIC = b"SSHSIG"
"""First bytes of what is signed for a file."""

MAX_SIGNABLE_BYTES = 66_000
"""Longest that is looked at."""

HASH_BYTES = {"sha256": 32, "sha512": 64}
"""Hashes of files, and their lengths."""

NAMESPACE = re.compile(r"[!-~]{1,128}")
"""Namespaces that are signed for."""

MIN_SESSION_BYTES, MAX_SESSION_BYTES = 16, 64
"""Shortest and longest session id: a hash."""

_AUTH_REQUEST = 50
_SERVICE = b"ssh-connection"
_PLAIN, _HOST_BOUND = b"publickey", b"publickey-hostbound-v00@openssh.com"


@dataclass(frozen=True, slots=True)
class Login:
    """Proof of a key to one server in one session (RFC 4252 section 7).

    Attributes:
        session: id of the session, 16 to 64 bytes.
        user: name of the account.
        key_blob: the key, Ed25519 or on a security key.
        host_key: blob of the server's key if it is named (`publickey-hostbound-v00@openssh.com`), or None.
    """

    session: bytes
    user: str
    key_blob: bytes
    host_key: bytes | None = None

    def to_bytes(self) -> bytes:
        """Return what is signed."""
        method = _PLAIN if self.host_key is None else _HOST_BOUND
        parts = [string(self.session), bytes([_AUTH_REQUEST]), string(self.user.encode()), string(_SERVICE)]
        parts += [string(method), b"\x01", string(key_type(self.key_blob).encode()), string(self.key_blob)]
        parts += [string(self.host_key)] if self.host_key is not None else []
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Login:
        """Read what is to be signed.

        Raises:
            FormatError: ``ssh.not-signable``, ``ssh.key`` or ``key.malformed``.
        """
        reader = SshReader(data, _wrong)
        session = reader.string(MIN_SESSION_BYTES, MAX_SESSION_BYTES)
        if reader.raw(1)[0] != _AUTH_REQUEST:
            raise _wrong("it is no authentication request")
        user = reader.text(255)
        service, method = reader.string(), reader.string()
        if service != _SERVICE or method not in (_PLAIN, _HOST_BOUND) or not reader.flag():
            raise _wrong("it is another kind of authentication")
        kind = reader.text(64)
        key_blob = reader.string(1, MAX_KEY_BLOB_BYTES)
        _check_key(kind, key_blob)
        host_key = reader.string(1, MAX_KEY_BLOB_BYTES) if method == _HOST_BOUND else None
        reader.end()
        return cls(session, user, key_blob, host_key)


@dataclass(frozen=True, slots=True)
class FileHash:
    """A file's hash in a namespace (OpenSSH's PROTOCOL.sshsig).

    Attributes:
        namespace: what the signature is for.
        algorithm: of `HASH_BYTES`.
        digest: of the file.
    """

    namespace: str
    algorithm: str
    digest: bytes

    def to_bytes(self) -> bytes:
        """Return what is signed."""
        parts = (self.namespace.encode(), b"", self.algorithm.encode(), self.digest)
        return MAGIC + b"".join(map(string, parts))

    @classmethod
    def from_bytes(cls, data: bytes) -> FileHash:
        """Read what is to be signed.

        Raises:
            FormatError: ``ssh.not-signable``.
        """
        reader = SshReader(data, _wrong)
        if reader.raw(len(MAGIC)) != MAGIC:
            raise _wrong("it is neither a login nor a file's hash")
        namespace = reader.text(128)
        reader.string(0, 0)
        algorithm = reader.text(16)
        if algorithm not in HASH_BYTES or not NAMESPACE.fullmatch(namespace):
            raise _wrong("its namespace or its hash is another one than this wallet signs for")
        digest = reader.string(HASH_BYTES[algorithm], HASH_BYTES[algorithm])
        reader.end()
        return cls(namespace, algorithm, digest)


def parse(data: bytes) -> Login | FileHash:
    """Read what is to be signed, whichever of the two it is.

    Raises:
        FormatError: ``ssh.not-signable``, ``ssh.key`` or ``key.malformed``.
    """
    if len(data) > MAX_SIGNABLE_BYTES:
        raise _wrong(f"it has more than {MAX_SIGNABLE_BYTES} bytes")
    return FileHash.from_bytes(data) if data.startswith(MAGIC) else Login.from_bytes(data)


def parse_for(key_blob: bytes, data: bytes) -> Login | FileHash:
    """Read what the holder of the key with this blob is to sign.

    Raises:
        FormatError: as `parse`.
        SignerError: ``ssh.other-key`` for a login with another key.
    """
    asked = parse(data)
    if isinstance(asked, Login) and asked.key_blob != key_blob:
        raise SignerError(
            "ssh.other-key",
            "the login is with another key than the one that is to sign",
            "ask the agent for its keys again",
        )
    return asked


def check_namespace(text: str) -> str:
    """Return a namespace that may be signed for.

    Raises:
        InputError: ``sshsig.bad-namespace``.
    """
    if not NAMESPACE.fullmatch(text):
        raise InputError(
            "sshsig.bad-namespace",
            "a namespace has 1 to 128 printable ASCII characters and no spaces",
            "say what the signature is for, such as file, git, or NAME@DOMAIN",
        )
    return text


def _check_key(kind: str, key_blob: bytes) -> None:
    """Check the key of a login: one of the kinds that identities have, in its one encoding."""
    if kind == ED25519.decode():
        from_key_blob(key_blob)
    elif not is_security_key(kind):
        raise _wrong("it is for another kind of key")
    elif SkKey.from_blob(key_blob).kind != kind:
        raise _wrong("its key is of another kind than it says")


def _wrong(detail: str) -> FormatError:
    return FormatError(
        "ssh.not-signable",
        f"an SSH key signs logins and hashes of files, and this is neither: {detail}",
        "ask for what a server's login or ssh-keygen -Y sign asks for",
    )
