"""SSH keys that live in a FIDO2 security key, and their signatures, as OpenSSH spells them.

Spec: OpenSSH's PROTOCOL.u2f; docs/spec/ssh.md, "On a security key".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from walletcli.core import ed25519, p256
from walletcli.core.ssh.encoding import SshReader, mpint, string
from walletcli.core.ssh.keys import blob_line
from walletcli.errors import FormatError, VerificationError

EDDSA: Final = -8
ES256: Final = -7
"""COSE numbers of the two kinds of signatures."""

KINDS: Final = {EDDSA: "sk-ssh-ed25519@openssh.com", ES256: "sk-ecdsa-sha2-nistp256@openssh.com"}
"""Names of the key types, and of their signatures."""

APPLICATION: Final = "ssh:"
"""The relying party that keys of identities are made under: that of everybody's, so it tells nothing."""

MAX_APPLICATION_BYTES: Final = 255
"""Longest name of a relying party that is looked at, UTF-8."""

_ALGORITHMS: Final = {kind: algorithm for algorithm, kind in KINDS.items()}
_CURVE: Final = b"nistp256"
_PRESENT, _VERIFIED, _MORE_FOLLOWS = 0x01, 0x04, 0xC0


@dataclass(frozen=True, slots=True)
class SkKey:
    """The public half of a key that lives in a security key.

    Attributes:
        algorithm: `EDDSA` or `ES256`.
        public_key: 32 bytes (Ed25519), or 33 bytes (compressed point of P-256).
        application: relying party that it was made under, 1 to 255 bytes of UTF-8.

    Raises:
        FormatError: ``key.malformed``, ``ssh.key``.
    """

    algorithm: int
    public_key: bytes
    application: str = APPLICATION

    def __post_init__(self) -> None:
        if self.algorithm == EDDSA:
            ed25519.check_encoding(self.public_key)
        elif self.algorithm == ES256:
            p256.uncompressed(self.public_key)
        else:
            raise _wrong_key("its algorithm is none of those that security keys have")

    @property
    def kind(self) -> str:
        """Name of its type."""
        return KINDS[self.algorithm]

    def to_blob(self) -> bytes:
        """Return the key blob."""
        own = [self.public_key] if self.algorithm == EDDSA else [_CURVE, p256.uncompressed(self.public_key)]
        return b"".join(map(string, (self.kind.encode(), *own, self.application.encode())))

    @classmethod
    def from_blob(cls, blob: bytes) -> SkKey:
        """Read a key blob.

        Raises:
            FormatError: ``ssh.key``, ``key.malformed``.
        """
        reader = SshReader(blob, _wrong_key)
        found = cls.read(reader.text(64), reader)
        reader.end()
        return found

    @classmethod
    def read(cls, kind: str, reader: SshReader) -> SkKey:
        """Read what follows the type in a key blob.

        Raises:
            FormatError: ``ssh.key``, ``key.malformed``, or that of the reader.
        """
        algorithm = _ALGORITHMS.get(kind)
        if algorithm is None:
            raise _wrong_key("it does not live in a security key")
        if algorithm == EDDSA:
            return cls(algorithm, reader.string(32, 32), reader.text(MAX_APPLICATION_BYTES))
        if reader.string() != _CURVE:
            raise _wrong_key("its curve is another one than its type says")
        return cls(algorithm, p256.compressed(reader.string(65, 65)), reader.text(MAX_APPLICATION_BYTES))

    def to_line(self, comment: str = "") -> str:
        """Return the line that stands for the key in ``authorized_keys``, without options."""
        line = blob_line(self.to_blob())
        return f"{line} {comment}" if comment else line


@dataclass(frozen=True, slots=True)
class SkSignature:
    """What a security key made for an SSH program.

    Attributes:
        algorithm: `EDDSA` or `ES256`.
        value: 64 bytes (Ed25519), or DER of r and s, as FIDO2 gives it.
        flags: of the authenticator data, without attested data and extensions.
        counter: how often the security key has signed, if it counts at all; nobody relies on it.
    """

    algorithm: int
    value: bytes
    flags: int
    counter: int

    @property
    def is_verified(self) -> bool:
        """Whether the security key had checked a PIN or the like."""
        return bool(self.flags & _VERIFIED)

    def to_json(self) -> dict[str, object]:
        """Return what it shows: that somebody was there, and whether they gave the PIN."""
        return {"pin": self.is_verified}

    def to_blob(self) -> bytes:
        """Return the signature as SSH spells it."""
        value = self.value if self.algorithm == EDDSA else b"".join(map(mpint, p256.from_der(self.value)))
        return string(KINDS[self.algorithm].encode()) + string(value) + self._tail()

    @classmethod
    def from_blob(cls, blob: bytes) -> SkSignature:
        """Read a signature.

        Raises:
            FormatError: ``sshsig.malformed``.
        """
        reader = SshReader(blob, _malformed)
        found = cls.read(reader.text(64), reader)
        reader.end()
        return found

    @classmethod
    def read(cls, kind: str, reader: SshReader) -> SkSignature:
        """Read what follows the name of the algorithm in a signature.

        Raises:
            FormatError: ``sshsig.malformed``, or that of the reader.
        """
        algorithm = _ALGORITHMS.get(kind)
        if algorithm is None:
            raise _malformed("it was not made by a security key")
        if algorithm == EDDSA:
            value = reader.string(64, 64)
        else:
            inner = SshReader(reader.string(), _malformed)
            r, s = inner.integer(33), inner.integer(33)
            inner.end()
            if max(r, s).bit_length() > 256:
                raise _malformed("a number is too large")
            value = p256.to_der(r, s)
        flags, counter = reader.raw(1)[0], reader.number()
        if flags & _MORE_FOLLOWS:
            raise _malformed("its flags tell of data that SSH has no place for")
        return cls(algorithm, value, flags, counter)

    def check(self, key: SkKey, message: bytes) -> None:
        """Check the signature of a message, and that somebody touched the security key for it.

        Raises:
            VerificationError: ``signature.invalid``.
        """
        if self.algorithm != key.algorithm:
            raise VerificationError("signature.invalid", "the signature is of another kind than the key")
        if not self.flags & _PRESENT:
            raise VerificationError("signature.invalid", "nobody touched the security key for this signature")
        head = hashlib.sha256(key.application.encode()).digest()
        signed = head + self._tail() + hashlib.sha256(message).digest()
        verify = ed25519.verify if self.algorithm == EDDSA else p256.verify
        verify(key.public_key, signed, self.value)

    def _tail(self) -> bytes:
        return bytes([self.flags]) + self.counter.to_bytes(4, "big")


def is_security_key(kind: str) -> bool:
    """Tell whether this is the name of a type of keys that live in security keys."""
    return kind in _ALGORITHMS


def _wrong_key(detail: str) -> FormatError:
    return FormatError("ssh.key", f"not a key as SSH spells it: {detail}")


def _malformed(detail: str) -> FormatError:
    return FormatError("sshsig.malformed", f"malformed signature: {detail}")
