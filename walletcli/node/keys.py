"""The node's own keys at rest: files that only their owner can read.

These are a node's keys, never a user's. Each file says in its first line what it is; the secret is base64url without
padding.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from walletcli.core.ed25519 import SigningKey
from walletcli.core.encodings import b64url_decode, b64url_encode
from walletcli.core.secret import Secret
from walletcli.core.x25519 import public_key as x25519_public_key
from walletcli.errors import FormatError, StorageError
from walletcli.node.directory import write_new

ROOT_TITLE: Final = "walletcli node root key 1"
DEVICE_TITLE: Final = "walletcli node device key 1"
SECRET_BYTES: Final = 32

_ROOT_ADVICE: Final = (
    "# The root of this node's identity. The node needs it only to renew its delegation (every 60 to 90 days) and to\n"
    "# change its addresses: keep it elsewhere if you can, and bring it back for that. Whoever has it is this node.\n"
)
_MAX_FILE_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class DeviceKeys:
    """The keys of a node's daily work.

    Attributes:
        signing: Ed25519.
        sealing: X25519 scalar, 32 bytes.
    """

    signing: SigningKey
    sealing: Secret

    @property
    def sealing_public_key(self) -> bytes:
        """X25519 public key, 32 bytes."""
        return x25519_public_key(self.sealing)

    @classmethod
    def from_file(cls, path: Path) -> DeviceKeys:
        """Read the keys; raises as `read_secrets`."""
        signing, sealing = read_secrets(path, DEVICE_TITLE, 2)
        return cls(SigningKey(signing), sealing)


def make_root_key(path: Path, entropy: Callable[[int], bytes]) -> SigningKey:
    """Make a root key, write it to `path` and return it; raises StorageError as `write_new`."""
    seed = Secret(entropy(SECRET_BYTES))
    write_new(path, f"{ROOT_TITLE}\n{_ROOT_ADVICE}{_text(seed)}\n".encode())
    return SigningKey(seed)


def make_device_keys(path: Path, entropy: Callable[[int], bytes]) -> DeviceKeys:
    """Make device keys, write them to `path` and return them; raises StorageError as `write_new`."""
    signing, sealing = Secret(entropy(SECRET_BYTES)), Secret(entropy(SECRET_BYTES))
    write_new(path, f"{DEVICE_TITLE}\n{_text(signing)}\n{_text(sealing)}\n".encode())
    return DeviceKeys(SigningKey(signing), sealing)


def read_root_key(path: Path, expected_public_key: bytes) -> SigningKey | None:
    """Return the root key if its file is there.

    Args:
        path: the file.
        expected_public_key: the node's identity, 32 bytes.

    Raises:
        StorageError: ``node.key-permissions``, ``node.key-other`` if it is another identity's, ``node.unreadable``.
        FormatError: ``node.key-file``.
    """
    if not path.exists():
        return None
    key = SigningKey(read_secrets(path, ROOT_TITLE, 1)[0])
    if key.public_key != expected_public_key:
        raise StorageError("node.key-other", f"{path} is the root of another identity than this node's")
    return key


def read_secrets(path: Path, title: str, count: int) -> list[Secret]:
    """Read a key file.

    Args:
        path: the file.
        title: its first line.
        count: how many secrets of 32 bytes it holds.

    Raises:
        StorageError: ``node.key-permissions`` if others than its owner may read it, ``node.unreadable``.
        FormatError: ``node.key-file``.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        hint = "put it back from where the node's keys are kept: a backup made --without-keys has none"
        raise StorageError("node.unreadable", f"cannot read {path}: {error.strerror}", hint) from error
    except OSError as error:
        raise StorageError("node.unreadable", f"cannot read {path}: {error.strerror}") from error
    if stat.S_IMODE(mode) & 0o077:
        raise StorageError("node.key-permissions", f"others may read {path}", f"run: chmod 600 {path}")
    malformed = FormatError("node.key-file", f"{path} is not a file '{title}'", "restore it from a backup")
    if len(data) > _MAX_FILE_BYTES or not data.isascii():
        raise malformed
    lines = data.decode("ascii").splitlines()
    texts = [line for line in lines[1:] if line and not line.startswith("#")]
    if lines[:1] != [title] or len(texts) != count:
        raise malformed
    try:
        found = [Secret(b64url_decode(text)) for text in texts]
    except FormatError:
        raise malformed from None
    if any(len(secret) != SECRET_BYTES for secret in found):
        raise malformed
    return found


def _text(secret: Secret) -> str:
    return b64url_encode(secret.reveal())
