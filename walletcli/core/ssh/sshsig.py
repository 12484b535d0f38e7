"""Signature files as OpenSSH makes them.

Spec: OpenSSH's PROTOCOL.sshsig; docs/spec/ssh.md, "Signature files".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from walletcli.core.encodings import b64_decode, b64_encode
from walletcli.core.ssh.encoding import SshReader, string
from walletcli.core.ssh.keys import MAX_KEY_BLOB_BYTES, key_type
from walletcli.core.ssh.security_keys import SkSignature, is_security_key
from walletcli.core.ssh.signable import HASH_BYTES, MAGIC, FileHash
from walletcli.errors import FormatError, VerificationError

MAX_FILE_BYTES = 32_768
"""Longest signature file."""

LINE_CHARS = 70
"""Length of a line of base64 that is written."""

MAX_LINE_CHARS = 76
"""Longest line of base64 that is read."""

_VERSION = 1
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_LINE = re.compile(rf"[A-Za-z0-9+/=]{{1,{MAX_LINE_CHARS}}}")


@dataclass(frozen=True, slots=True)
class SshSignature:
    """A signature of a file.

    Attributes:
        key_blob: who signed, a key of any kind.
        namespace: what the signature is for.
        algorithm: hash of the file.
        signature_blob: the signature as SSH spells it.
    """

    key_blob: bytes
    namespace: str
    algorithm: str
    signature_blob: bytes

    @classmethod
    def of(cls, key_blob: bytes, signed: FileHash, signature_blob: bytes) -> SshSignature:
        """Put a key, what it signed, and its signature together, both as SSH spells them."""
        return cls(key_blob, signed.namespace, signed.algorithm, signature_blob)

    def signed(self, digest: bytes) -> bytes:
        """Return what was signed if the file has this digest."""
        return FileHash(self.namespace, self.algorithm, digest).to_bytes()

    def check_namespace(self, wanted: str) -> None:
        """Check that the signature is for what it is wanted for.

        Raises:
            VerificationError: ``sshsig.namespace``.
        """
        if self.namespace != wanted:
            raise VerificationError(
                "sshsig.namespace",
                f"the signature is for {self.namespace!r}, and one for {wanted!r} is needed",
                "if that is what it is for, say so with --namespace",
            )

    @property
    def touch(self) -> SkSignature | None:
        """What a security key has put into the signature; None if the key lives in none.

        Raises:
            FormatError: ``ssh.key``, ``sshsig.malformed``.
        """
        in_key = is_security_key(key_type(self.key_blob))
        return SkSignature.from_blob(self.signature_blob) if in_key else None

    def to_blob(self) -> bytes:
        """Return the signature's bytes."""
        parts = (self.key_blob, self.namespace.encode(), b"", self.algorithm.encode(), self.signature_blob)
        return MAGIC + _VERSION.to_bytes(4, "big") + b"".join(map(string, parts))

    @classmethod
    def from_blob(cls, blob: bytes) -> SshSignature:
        """Read the signature's bytes.

        Raises:
            FormatError: ``sshsig.malformed``, ``sshsig.unknown-version``.
        """
        reader = SshReader(blob, _malformed)
        if reader.raw(len(MAGIC)) != MAGIC:
            raise _malformed("it does not begin as one")
        if reader.number() != _VERSION:
            raise FormatError("sshsig.unknown-version", "the signature is of another version of its format")
        public_key = reader.string(1, MAX_KEY_BLOB_BYTES)
        namespace = reader.text(255)
        reader.string(0, 0)
        algorithm = reader.text(16)
        if algorithm not in HASH_BYTES:
            raise _malformed("it is over another hash than SHA-256 or SHA-512")
        signature = reader.string(1, MAX_KEY_BLOB_BYTES)
        reader.end()
        return cls(public_key, namespace, algorithm, signature)

    def to_text(self) -> str:
        """Return the signature file."""
        text = b64_encode(self.to_blob())
        lines = [text[start : start + LINE_CHARS] for start in range(0, len(text), LINE_CHARS)]
        return "\n".join([_BEGIN, *lines, _END, ""])

    @classmethod
    def from_file(cls, data: bytes) -> SshSignature:
        """Read a signature file.

        Raises:
            FormatError: ``sshsig.armor``, ``sshsig.malformed``, ``sshsig.unknown-version``.
        """
        if len(data) > MAX_FILE_BYTES:
            raise _armor(f"it has more than {MAX_FILE_BYTES} bytes")
        try:
            lines = data.decode("ascii").replace("\r\n", "\n").removesuffix("\n").split("\n")
        except UnicodeDecodeError:
            raise _armor("it is not ASCII") from None
        if len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
            raise _armor("its first or last line is another one")
        if not all(_LINE.fullmatch(line) for line in lines[1:-1]):
            raise _armor("a line is too long, or not base64")
        try:
            blob = b64_decode("".join(lines[1:-1]))
        except FormatError as error:
            raise _armor("it is not base64 in its one form") from error
        return cls.from_blob(blob)


def _armor(detail: str) -> FormatError:
    return FormatError("sshsig.armor", f"not a signature file of OpenSSH: {detail}")


def _malformed(detail: str) -> FormatError:
    return FormatError("sshsig.malformed", f"malformed signature: {detail}")
