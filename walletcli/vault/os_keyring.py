"""The keyring of the operating system, and none that would keep a secret in clear.

The `keyring` library is loaded on first use: it costs more than the rest of a command. Which keyring it takes can be
set by a file or the environment, so what it took is checked by name: only keyrings that belong to an operating system
or desktop are used.

Spec: docs/spec/vault.md, "Kinds of factor".
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from walletcli.core.secret import Secret
from walletcli.errors import VaultError

SERVICE: Final = "walletcli"
"""The service that all entries are stored under."""

PROMPT_TIMEOUT_S: Final = 120.0
"""How long a keyring may take; it may be asking its owner for a password."""

TRUSTED_BACKENDS: Final = frozenset({
    "keyring.backends.SecretService.Keyring",
    "keyring.backends.libsecret.Keyring",
    "keyring.backends.kwallet.DBusKeyring",
    "keyring.backends.kwallet.DBusKeyringKWallet4",
    "keyring.backends.macOS.Keyring",
    "keyring.backends.Windows.WinVaultKeyring",
})  # fmt: skip
"""Keyrings that keep secrets sealed, or in the hands of the operating system."""

_FAIL: Final = "keyring.backends.fail.Keyring"
_CHAINER: Final = "keyring.backends.chainer.ChainerBackend"
_HINT: Final = "use a password; a keyring needs a desktop session, or a Secret Service on the session bus"

_T = TypeVar("_T")


class _Backend(Protocol):
    def get_password(self, service: str, username: str) -> str | None: ...
    def set_password(self, service: str, username: str, password: str) -> None: ...
    def delete_password(self, service: str, username: str) -> None: ...


class OsKeyring:
    """The keyring of the user who runs this.

    Args:
        timeout_s: how long one operation may take.
    """

    def __init__(self, timeout_s: float = PROMPT_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._backend: _Backend | None = None

    def store(self, name: str, value: Secret) -> None:
        """Store `value` (ASCII) under `name`, and read it back.

        Raises:
            VaultError: ``keyring.unavailable``, ``keyring.insecure-backend``, ``keyring.locked``, ``keyring.failed``,
                ``keyring.timeout``; ``keyring.not-kept`` if it reads back otherwise.
        """
        self._call(lambda backend: backend.set_password(SERVICE, name, value.reveal_text()))
        if self.load(name) != value:
            with contextlib.suppress(VaultError):
                self.delete(name)
            raise VaultError("keyring.not-kept", "the keyring did not keep what was stored", _HINT)

    def load(self, name: str) -> Secret | None:
        """Return what is stored under `name`, or None.

        Raises:
            VaultError: ``keyring.unavailable``, ``keyring.insecure-backend``, ``keyring.locked``, ``keyring.failed``,
                ``keyring.timeout``.
        """
        text = self._call(lambda backend: backend.get_password(SERVICE, name))
        return None if text is None else Secret.from_text(text)

    def delete(self, name: str) -> None:
        """Delete what is stored under `name`, if anything is.

        Raises:
            VaultError: ``keyring.unavailable``, ``keyring.insecure-backend``, ``keyring.locked``, ``keyring.failed``,
                ``keyring.timeout``.
        """
        if self.load(name) is not None:
            self._call(lambda backend: backend.delete_password(SERVICE, name))

    def _call(self, action: Callable[[_Backend], _T]) -> _T:
        return _in_time(lambda: action(self._secure_backend()), self._timeout_s)

    def _secure_backend(self) -> _Backend:
        if self._backend is None:
            import keyring

            self._backend = choose_backend(keyring.get_keyring())
        return self._backend


def backend_name(backend: object) -> str:
    """Return module and class of a keyring."""
    kind = type(backend)
    return f"{kind.__module__}.{kind.__qualname__}"


def check_backend(backend: object) -> None:
    """Refuse a keyring that is none, or that is not known to seal what it keeps.

    Raises:
        VaultError: ``keyring.unavailable``, ``keyring.insecure-backend``.
    """
    name = backend_name(backend)
    if name == _FAIL:
        raise _unavailable()
    if name not in TRUSTED_BACKENDS:
        message = f"the keyring is set to {name}, which is not known to keep secrets sealed"
        hint = "use the desktop's own keyring (keyring --list-backends), or a password"
        raise VaultError("keyring.insecure-backend", message, hint)


def choose_backend(backend: _Backend) -> _Backend:
    """Return the keyring to use: `backend` itself, or the first member if it stands for several.

    Raises:
        VaultError: ``keyring.unavailable``, ``keyring.insecure-backend``.
    """
    members = [backend]
    if backend_name(backend) == _CHAINER:
        # It writes to the first member that accepts and reads from all, so one that is not trusted spoils it.
        members = list(getattr(backend, "backends", ()))
    for member in members:
        check_backend(member)
    if not members:
        raise _unavailable()
    return members[0]


def _unavailable() -> VaultError:
    return VaultError("keyring.unavailable", "no keyring of the operating system can be reached", _HINT)


def _in_time(action: Callable[[], _T], timeout_s: float) -> _T:
    """Run `action` in a thread, for a keyring may wait for an answer that nobody gives."""
    results: list[_T] = []
    errors: list[VaultError] = []

    def run() -> None:
        try:
            results.append(action())
        except VaultError as error:
            errors.append(error)
        except Exception as error:  # noqa: BLE001  # each backend has exceptions of its own; all of them end here
            errors.append(_keyring_error(error))

    thread = threading.Thread(target=run, name="keyring", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if errors:
        raise errors[0]
    if not results:
        raise VaultError("keyring.timeout", f"the keyring did not answer within {timeout_s:.0f} seconds", _HINT)
    return results[0]


def _keyring_error(error: Exception) -> VaultError:
    # By name, so that a failure to import the library is told as well. The foreign message may hold anything: it stays
    # in the cause.
    name = type(error).__name__
    if name == "KeyringLocked":
        hint = "unlock it in your desktop session, or use the password"
        wrapped = VaultError("keyring.locked", "the keyring is locked", hint)
    elif name in ("NoKeyringError", "InitError", "ImportError", "ModuleNotFoundError"):
        wrapped = _unavailable()
    else:
        wrapped = VaultError("keyring.failed", f"the keyring refused ({name})", _HINT)
    wrapped.__cause__ = error
    return wrapped
