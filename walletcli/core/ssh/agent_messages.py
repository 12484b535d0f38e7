"""Messages of the agent protocol, read and written.

Spec: draft-ietf-sshm-ssh-agent; OpenSSH's PROTOCOL.agent; docs/spec/ssh.md, "The agent".
"""

from __future__ import annotations

from dataclasses import dataclass

from walletcli.core.secret import Secret
from walletcli.core.ssh.encoding import SshReader, string
from walletcli.core.ssh.keys import MAX_KEY_BLOB_BYTES
from walletcli.core.ssh.signable import MAX_SESSION_BYTES, MIN_SESSION_BYTES
from walletcli.errors import FormatError

MAX_MESSAGE_BYTES = 262_144
"""Longest message, without the length before it."""

_PLAIN = "this agent has the keys of one identity, and signs with them: no others can be added"

MAX_PASSPHRASE_BYTES = 1024
"""Longest passphrase of LOCK and UNLOCK."""

FAILURE = b"\x05"
"""The answer to what is refused."""

SUCCESS = b"\x06"
"""The answer to what is done and has no other answer."""

_REQUEST_IDENTITIES, _IDENTITIES_ANSWER, _SIGN_REQUEST, _SIGN_RESPONSE = 11, 12, 13, 14
_LOCK, _UNLOCK, _EXTENSION = 22, 23, 27
_SESSION_BIND = b"session-bind@openssh.com"


@dataclass(frozen=True, slots=True)
class ListKeys:
    """Which keys does the agent have?"""


@dataclass(frozen=True, slots=True)
class SignData:
    """Sign something.

    Attributes:
        key_blob: with which key.
        data: what.
        flags: which kind of signature; only RSA has several.
    """

    key_blob: bytes
    data: bytes
    flags: int


@dataclass(frozen=True, slots=True)
class BindSession:
    """This connection speaks for a session with a server.

    Attributes:
        host_key: blob of the server's key.
        session: id of the session, 16 to 64 bytes.
        signature: blob of the server's signature of the session id.
        is_forwarding: the connection is another machine's from here on.
    """

    host_key: bytes
    session: bytes
    signature: bytes
    is_forwarding: bool


@dataclass(frozen=True, slots=True)
class LockAgent:
    """Refuse everything until the passphrase comes again."""

    passphrase: Secret


@dataclass(frozen=True, slots=True)
class UnlockAgent:
    """Serve again."""

    passphrase: Secret


Message = ListKeys | SignData | BindSession | LockAgent | UnlockAgent


def decode(data: bytes) -> Message:
    """Read a request.

    Args:
        data: type and content, without the length.

    Raises:
        FormatError: ``ssh-agent.malformed``, ``ssh-agent.unknown``.
    """
    reader = SshReader(data, _wrong)
    message = _decode(reader.raw(1)[0], reader)
    reader.end()
    return message


def _decode(kind: int, reader: SshReader) -> Message:
    match kind:
        case 11:
            return ListKeys()
        case 13:
            return SignData(reader.string(1, MAX_KEY_BLOB_BYTES), reader.string(), reader.number())
        case 22:
            return LockAgent(Secret(reader.string(1, MAX_PASSPHRASE_BYTES)))
        case 23:
            return UnlockAgent(Secret(reader.string(1, MAX_PASSPHRASE_BYTES)))
        case 27:
            if reader.string(1, 255) != _SESSION_BIND:
                raise FormatError("ssh-agent.unknown", "an extension that this agent does not have", _PLAIN)
            host_key = reader.string(1, MAX_KEY_BLOB_BYTES)
            session = reader.string(MIN_SESSION_BYTES, MAX_SESSION_BYTES)
            return BindSession(host_key, session, reader.string(1, MAX_KEY_BLOB_BYTES), reader.flag())
        case _:
            raise FormatError("ssh-agent.unknown", f"a request of type {kind}, which is not served", _PLAIN)


def encode(message: Message) -> bytes:
    """Return a request: type and content, without the length."""
    match message:
        case ListKeys():
            return bytes([_REQUEST_IDENTITIES])
        case SignData():
            content = string(message.key_blob) + string(message.data) + message.flags.to_bytes(4, "big")
            return bytes([_SIGN_REQUEST]) + content
        case LockAgent():
            return bytes([_LOCK]) + string(message.passphrase.reveal())
        case UnlockAgent():
            return bytes([_UNLOCK]) + string(message.passphrase.reveal())
        case BindSession():
            parts = (_SESSION_BIND, message.host_key, message.session, message.signature)
            return bytes([_EXTENSION]) + b"".join(map(string, parts)) + bytes([message.is_forwarding])


def keys_answer(key_blobs: tuple[bytes, ...]) -> bytes:
    """Return the answer that lists keys, with empty comments."""
    listed = b"".join(string(blob) + string(b"") for blob in key_blobs)
    return bytes([_IDENTITIES_ANSWER]) + len(key_blobs).to_bytes(4, "big") + listed


def signature_answer(signature_blob: bytes) -> bytes:
    """Return the answer that gives a signature, as SSH spells it."""
    return bytes([_SIGN_RESPONSE]) + string(signature_blob)


def _wrong(detail: str) -> FormatError:
    return FormatError("ssh-agent.malformed", f"a request that cannot be read: {detail}")
