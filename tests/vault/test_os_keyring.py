"""The keyring of the operating system: a real gnome-keyring on a session bus of its own, and those that are refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from walletcli.core.secret import Secret
from walletcli.errors import VaultError
from walletcli.vault.os_keyring import OsKeyring, check_backend, choose_backend

DAEMON = "gnome-keyring-daemon --unlock --components=secrets >/dev/null"

PRELUDE = """
import json, sys
from pathlib import Path
from walletcli.core.secret import Secret
from walletcli.errors import WalletError
from walletcli.vault.factors import KeyringFactor, PasswordFactor
from walletcli.vault.file import Vault
from walletcli.vault.kdf import KdfParameters
from walletcli.vault.os_keyring import OsKeyring
from walletcli.vault.unopened import wipe
path = Path(sys.argv[1])
ring = KeyringFactor(OsKeyring(timeout_s=30))
word = PasswordFactor(Secret(b"password"), KdfParameters(8, 1))
def told(action):
    try:
        result = action()
    except WalletError as error:
        return error.code
    return result.decode() if isinstance(result, bytes) else "done"
"""


class Desktop:
    """A user's session: a home, a session bus, and a keyring that was unlocked with a password."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.home.mkdir()
        self.runtime = home / "run"
        self.runtime.mkdir(mode=0o700)

    def run(self, script: str, *, keyring_password: str | None = "login", then: str = "", **environment: str) -> Any:
        """Run a script, in the session if there is a keyring password; return the JSON that it prints."""
        python = f'{sys.executable} -W error -c "$SCRIPT" {self.home}/wallet.vault'
        session = f"printf '%s' '{keyring_password}' | {DAEMON}; {python}; {then}"
        command = ["dbus-run-session", "--", "bash", "-c", session]
        if keyring_password is None:
            command = ["bash", "-c", python]
        done = subprocess.run(
            command,
            env={
                "PATH": os.environ["PATH"], "HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.runtime),
                "PYTHONPATH": str(Path(__file__).parents[2]), "SCRIPT": PRELUDE + script, "LANG": "C.UTF-8",
                **environment,
            },
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.stdout, done.stderr
        return json.loads(done.stdout.splitlines()[0]), done.stdout.splitlines()[1:]


@pytest.fixture
def desktop(tmp_path: Path) -> Desktop:
    return Desktop(tmp_path / "user")


def test_a_real_keyring_opens_a_vault_and_forgets_it(desktop: Desktop) -> None:
    result, _ = desktop.run("""
vault = Vault.create(path, b"payload", [ring])
vault.add_slot([word, ring])
results = [told(lambda: Vault.unlock(path, [ring]).read()), told(lambda: Vault.unlock(path, [word]).read())]
vault.remove_slot(1, [ring])
results += [told(lambda: Vault.unlock(path, [ring]).read()), told(lambda: Vault.unlock(path, [word, ring]).read())]
results.append(list(wipe(path, [ring])))
print(json.dumps(results))
""", then="secret-tool search --all service walletcli")  # fmt: skip
    assert result == ["payload", "slot.no-match", "slot.no-match", "payload", []]


def test_another_program_finds_the_entry_in_the_keyring(desktop: Desktop) -> None:
    result, found = desktop.run(
        'vault = Vault.create(path, b"payload", [ring])\n'
        'name = vault._state.slots[0].factors[0].parameters[1].hex()\n'
        'print(json.dumps(f"vault {vault.vault_id.hex()} {name}"))',
        then="secret-tool search --all service walletcli 2>&1",
    )  # fmt: skip
    assert any(line.startswith("secret = ") and len(line) == len("secret = ") + 64 for line in found)
    assert f"attribute.username = {result}" in found


def test_a_later_session_opens_with_what_an_earlier_one_stored(desktop: Desktop) -> None:
    assert desktop.run('Vault.create(path, b"payload", [ring]); print(json.dumps("made"))')[0] == "made"
    assert desktop.run("print(json.dumps(told(lambda: Vault.unlock(path, [ring]).read())))")[0] == "payload"


def test_a_locked_keyring_says_so_and_the_password_still_opens(desktop: Desktop) -> None:
    desktop.run('Vault.create(path, b"payload", [ring]).add_slot([word]); print(json.dumps("made"))')
    result, _ = desktop.run("""
results = [told(lambda: Vault.unlock(path, [ring]).read()), told(lambda: Vault.unlock(path, [ring, word]).read())]
vault = Vault.unlock(path, [word])
results.append(told(lambda: vault.add_slot([ring])))
vault.remove_slot(1, [ring])
results += [len(vault.slots), [notice.code for notice in vault.notices]]
print(json.dumps(results))
""", keyring_password="not the one")  # fmt: skip
    assert result == ["keyring.locked", "payload", "keyring.locked", 1, ["keyring.locked"]]


def test_without_a_session_there_is_no_keyring_and_the_password_still_opens(desktop: Desktop) -> None:
    result, _ = desktop.run("""
vault = Vault.create(path, b"payload", [word])
results = [told(lambda: vault.add_slot([ring])), told(lambda: Vault.create(path.with_name("b"), b"", [ring]))]
results += [told(lambda: Vault.unlock(path, [ring, word]).read()), path.with_name("b").exists()]
print(json.dumps(results))
""", keyring_password=None)  # fmt: skip
    assert result == ["keyring.unavailable", "keyring.unavailable", "payload", False]


@pytest.mark.parametrize(
    ("backend", "code"),
    [
        ("keyring.backends.null.Keyring", "keyring.insecure-backend"),
        ("keyring.backends.fail.Keyring", "keyring.unavailable"),
        ("keyring.backends.chainer.ChainerBackend", "keyring.unavailable"),
        ("keyring.backends.missing.Keyring", "keyring.unavailable"),
        ("plaintext.Keyring", "keyring.insecure-backend"),
    ],
)
def test_a_keyring_that_seals_nothing_is_refused(desktop: Desktop, backend: str, code: str) -> None:
    module = """
from keyring.backend import KeyringBackend
class Keyring(KeyringBackend):
    priority = 1
    def get_password(self, service, username): return None
    def set_password(self, service, username, password): open(__file__ + ".leak", "w").write(password)
    def delete_password(self, service, username): pass
"""
    (desktop.home / "plaintext.py").write_text(module)
    script = 'print(json.dumps(told(lambda: Vault.create(path, b"", [ring]))))'
    paths = f"{Path(__file__).parents[2]}:{desktop.home}"
    assert desktop.run(script, keyring_password=None, PYTHON_KEYRING_BACKEND=backend, PYTHONPATH=paths)[0] == code
    assert not (desktop.home / "plaintext.py.leak").exists()
    assert not (desktop.home / "wallet.vault").exists()


class Answering:
    """A backend whose answers a test decides."""

    def __init__(self, get: Callable[[], str | None], put: Callable[[], None] = lambda: None) -> None:
        self.get, self.put = get, put
        self.deleted = 0

    def get_password(self, service: str, username: str) -> str | None:
        return self.get()

    def set_password(self, service: str, username: str, password: str) -> None:
        self.put()

    def delete_password(self, service: str, username: str) -> None:
        self.deleted += 1


def ring_with(backend: Answering, timeout_s: float = 5) -> OsKeyring:
    ring = OsKeyring(timeout_s)
    ring._backend = backend
    return ring


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(VaultError) as caught:
        action()
    assert caught.value.hint
    return caught.value.code


def test_a_keyring_that_keeps_something_else_is_told_and_cleaned() -> None:
    backend = Answering(lambda: "other")
    assert code_of(lambda: ring_with(backend).store("n", Secret(b"aa"))) == "keyring.not-kept"
    assert backend.deleted == 1
    assert code_of(lambda: ring_with(Answering(lambda: None)).store("n", Secret(b"aa"))) == "keyring.not-kept"


def test_a_keyring_that_never_answers_is_given_up() -> None:
    never = threading.Event()

    def wait() -> None:
        never.wait(10)

    assert code_of(lambda: ring_with(Answering(wait), timeout_s=0.1).load("n")) == "keyring.timeout"
    never.set()


def test_the_error_of_a_keyring_does_not_hold_what_was_stored() -> None:
    def refuse() -> None:
        raise RuntimeError("could not store 'deadbeef'")

    with pytest.raises(VaultError) as caught:
        ring_with(Answering(lambda: None, refuse)).store("n", Secret(b"deadbeef"))
    assert caught.value.code == "keyring.failed"
    assert "deadbeef" not in str(caught.value)


def test_deleting_what_is_not_there_is_no_error() -> None:
    backend = Answering(lambda: None)
    ring_with(backend).delete("n")
    assert backend.deleted == 0


def named(name: str, **members: object) -> Any:
    module, kind = name.rsplit(".", 1)
    return type(kind, (), {"__module__": module, "__qualname__": kind, **members})()


def test_several_keyrings_are_taken_only_if_all_are_trusted() -> None:
    good = named("keyring.backends.SecretService.Keyring")
    bad = named("keyrings.alt.file.PlaintextKeyring")
    both = named("keyring.backends.chainer.ChainerBackend", backends=[good, bad])
    assert code_of(lambda: choose_backend(both)) == "keyring.insecure-backend"
    only = named("keyring.backends.chainer.ChainerBackend", backends=[good])
    assert choose_backend(only) is good
    assert choose_backend(good) is good


def test_encrypted_files_of_third_parties_are_not_known_to_be_sealed() -> None:
    for name in ("keyrings.alt.file.EncryptedKeyring", "keyring.backends.null.Keyring", "some.other.Keyring"):
        assert code_of(lambda name=name: check_backend(named(name))) == "keyring.insecure-backend"  # type: ignore[misc]
