"""The real commands, traced: no secret in arguments, environment, output, logs, temporary files, network or a core.

One shell script runs the whole life of a wallet under strace. What every process executed and wrote, and every file
that is left, is searched for everything secret in every encoding that somebody might have used. Controls show that the
search finds.
"""

from __future__ import annotations

import base64
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import FAST_KDF, NodeProcess, Run, clean_environment, start_node
from walletcli.core.bip39 import Mnemonic
from walletcli.core.keys import KeyTree, Scheme
from walletcli.core.secret import Secret

PASSWORD = "Zebrafinken-Passwort 7319"
NEW_PASSWORD = "Regenpfeifer-Passwort 2846"
WRONG_PASSWORD = "Falsch-geratenes Passwort 5550"
PASSPHRASE = "Grünspecht-Zusatz 9057"
LABEL = "Heimlicher Arbeitsname 4471"
NOTE = "Versiegelte Notiz nur fuer mich 8820"

SCRIPT_TIMEOUT_S = 150
WINDOW_WORDS = 3
"""Fewer words of a mnemonic in a row than these may stand anywhere by chance: word lists are part of the program."""

# strace -y decorates descriptors with what they are; -xx writes every string as \xNN.
_CALL = re.compile(r"^\d+\s+(?P<name>[a-z0-9]+)\((?P<rest>.*)$")
_TARGET = re.compile(r"^\d+<(?P<what>[^>]*)>")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass(frozen=True, slots=True)
class Life:
    """What the life of a wallet left behind.

    Args:
        root: everything that it wrote is below.
        given: files that hold secrets because the user made them or asked for them.
        executed: arguments and environment of each program, joined.
        writes: (what was written to, the bytes), in order.
        secrets: what nobody may learn, by name.
        did: the published identity.
        z32: its key on the network.
    """

    root: Path
    given: set[Path]
    executed: list[bytes]
    writes: list[tuple[str, bytes]]
    secrets: dict[str, bytes]
    did: str
    z32: str
    outputs: list[Path] = field(default_factory=list)


def _encodings(secret: bytes) -> list[bytes]:
    """Return the forms in which a secret might be written: as it is, UTF-16, hex, base64 at each alignment."""
    forms = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    try:
        text = secret.decode()
    except UnicodeDecodeError:
        pass
    else:
        forms += [text.encode("utf-16-le"), text.encode("utf-16-be")]
    for lead in range(3):
        whole = base64.b64encode(bytes(lead) + secret)
        inside = whole[4 if lead else 0 : -4]  # what neighbours cannot change
        forms += [inside, inside.replace(b"+", b"-").replace(b"/", b"_")]
    return [form for form in forms if len(form) >= 8]


def _found(secrets: dict[str, bytes], data: bytes) -> list[str]:
    return [name for name, secret in secrets.items() if any(form in data for form in _encodings(secret))]


def _secrets(words: str) -> dict[str, bytes]:
    mnemonic = Mnemonic.parse(words)
    seed = mnemonic.seed(Secret.from_text(PASSPHRASE))
    tree = KeyTree(seed, Scheme.WALLETCLI)
    split = words.split()
    windows = {
        f"words {at + 1} to {at + WINDOW_WORDS}": " ".join(split[at : at + WINDOW_WORDS]).encode()
        for at in range(len(split) - WINDOW_WORDS + 1)
    }
    return {
        **windows,
        "entropy": mnemonic.entropy().reveal(),
        "first half of the seed": seed.reveal()[:32],
        "second half of the seed": seed.reveal()[32:],
        "root key": tree.root(0).seed.reveal(),
        "recovery secret": tree.recovery_secret(0, 0).reveal(),
        "password": PASSWORD.encode(),
        "new password": NEW_PASSWORD.encode(),
        "wrong password": WRONG_PASSWORD.encode(),
        "passphrase": PASSPHRASE.encode(),
        "sealed note": NOTE.encode(),
        "label": LABEL.encode(),
    }


def _ssh_key(home: Path) -> bytes:
    """Return the private half of the SSH key that the vault holds."""
    from walletcli.wallet.access.opening import open_vault
    from walletcli.wallet.home import Home
    from walletcli.wallet.state.wallet_state import WalletState

    vault = open_vault(Home(str(home)), lambda: Secret.from_text(NEW_PASSWORD))
    return WalletState.from_bytes(vault.read()).ssh[0].reveal()


def _script(node: NodeProcess) -> str:
    command = shlex.join([sys.executable, "-m", "walletcli"])
    fast = shlex.join(FAST_KDF)
    label = shlex.quote(LABEL)
    old = "--password-file given/password"
    lines = [
        f'w() {{ {command} --home home "$@" >>out/stdout 2>>out/stderr; }}',
        f"w wallet create --words-out given/words --passphrase-file given/passphrase {old} {fast}",
        "w --json wallet status --password-file given/password",
        "w wallet unlock --password-file given/wrong && exit 90",
        "w wallet unlock --password-file given/password",
        f"w identity create {label}",
        f"w identity set {label} note --value-file given/note --sealed",
        f"w identity set {label} name Ada --public",
        f"w --json identity ssh-key {label} --in-record",
        f"w publish {label} --relay {node.url}",
        f"w --json sign given/note --as {label} --out out/note.sig",
        f"w resolve {label} --relay {node.url}",
        f"w --json --debug identity show {label}",
        f"w record export {label} out/alice.record",
        "w wallet verify-backup --mnemonic-file given/words --passphrase-file given/passphrase",
        "w wallet verify-backup --mnemonic-file given/wrong-words --passphrase-file given/passphrase && exit 91",
        "w wallet lock",
        "w slot password --password-file given/password --new-password-file given/new-password",
        "w identity list --derive 3 --password-file given/new-password",
        "w wallet export out/copy.vault",
        f"{command} --home home2 wallet restore --mnemonic-file given/words --passphrase-file given/passphrase"
        f" {old} {fast} >>out/stdout 2>>out/stderr",
        f"{command} --json --home home2 identity list --derive 2 {old} >out/restored 2>>out/stderr",
        "exit 0",
    ]
    return "set -e\n" + "\n".join(lines) + "\n"


def _decode(quoted: str) -> bytes:
    return bytes.fromhex(quoted.replace("\\x", ""))


def _read_trace(path: Path) -> tuple[list[bytes], list[tuple[str, bytes]]]:
    executed, writes = [], []
    for line in path.read_text().splitlines():
        call = _CALL.match(line)
        if call is None:
            continue
        strings = [_decode(quoted) for quoted in _STRING.findall(call["rest"])]
        if call["name"] == "execve":
            executed.append(b"\n".join(strings))
            continue
        target = _TARGET.match(call["rest"])
        assert target is not None, line[:200]
        what = target["what"]
        writes.append((_decode(what).decode() if what.startswith("\\x") else what, b"".join(strings)))
    return executed, writes


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """Run the whole life of a wallet under strace."""
    assert shutil.which("strace"), "strace is missing: run scripts/setup-system.sh"
    outside = tmp_path_factory.mktemp("outside")
    root = tmp_path_factory.mktemp("life")
    for name, mode in (("given", 0o700), ("out", 0o700), ("run", 0o700), ("tmp", 0o700), ("user", 0o700)):
        (root / name).mkdir(mode=mode)
    given = {
        "password": PASSWORD, "new-password": NEW_PASSWORD, "wrong": WRONG_PASSWORD,
        "passphrase": PASSPHRASE, "note": NOTE, "wrong-words": "abandon " * 11 + "ability",
    }  # fmt: skip
    for name, text in given.items():
        (root / "given" / name).write_text(text + "\n")
        (root / "given" / name).chmod(0o600)
    environment = clean_environment(
        HOME=str(root / "user"),
        XDG_RUNTIME_DIR=str(root / "run"),
        TMPDIR=str(root / "tmp"),
        PYTHONDONTWRITEBYTECODE="1",
    )
    node_directory = root / "node"
    subprocess.run(
        [sys.executable, "-m", "walletcli", "node", "init", str(node_directory)], check=True, env=environment
    )
    node = start_node(node_directory, "--no-limits")
    trace = outside / "trace"
    script = outside / "script.sh"
    script.write_text(_script(node))
    calls = "execve,execveat,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendmmsg"
    strace = ["strace", "-f", "--seccomp-bpf", "-yy", "-xx", "-s", "65535", "-e", f"trace={calls}", "-e", "signal=none"]
    try:
        done = subprocess.run(
            [*strace, "-o", str(trace), "bash", str(script)],
            cwd=root, env=environment, stdin=subprocess.DEVNULL, timeout=SCRIPT_TIMEOUT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (root / "out" / "stderr").read_text()[-3000:]
        executed, writes = _read_trace(trace)
        words = (root / "given" / "words").read_text().strip()
        tree = KeyTree(Mnemonic.parse(words).seed(Secret.from_text(PASSPHRASE)), Scheme.WALLETCLI)
        from walletcli.core.identity_id import IdentityId

        identity = IdentityId(tree.root(0).public_key)
        secrets = {**_secrets(words), "SSH key": _ssh_key(root / "home")}
        yield Life(root, set((root / "given").iterdir()), executed, writes, secrets, identity.did, identity.z32)
    finally:
        node.kill()
        if node.process.stdout is not None:
            node.process.stdout.close()


def _without(secrets: dict[str, bytes], *names: str) -> dict[str, bytes]:
    return {name: secret for name, secret in secrets.items() if name not in names}


def _is_kept_inside(what: str) -> bool:
    """Tell whether a write stays between processes of the wallet (pipes, the agent's socket); outputs are files."""
    return what.startswith(("pipe:", "UNIX-STREAM:", "UNIX:", "anon_inode:"))


def test_the_search_finds_every_encoding() -> None:
    secret = "Grünspecht".encode()
    for written in (
        secret, secret.hex().encode(), secret.hex().upper().encode(), secret.decode().encode("utf-16-le"),
        base64.b64encode(b"ab" + secret + b"c"), base64.urlsafe_b64encode(b"xyzw" + secret + b"qq"),
    ):  # fmt: skip
        assert _found({"it": secret}, b"before" + written + b"after") == ["it"], written


def test_the_trace_saw_the_words_written_to_the_file_that_was_asked_for(life: Life) -> None:
    to_words = b"".join(data for what, data in life.writes if "given/" in what or "words" in Path(what).name)
    assert "words 1 to 3" in _found(life.secrets, to_words)


def test_the_trace_saw_what_went_to_the_network(life: Life) -> None:
    assert any(what.startswith("TCP") and life.z32.encode() in data for what, data in life.writes)


def test_the_commands_did_what_they_were_for(life: Life) -> None:
    output = (life.root / "out" / "stdout").read_text()
    assert life.did in output
    assert life.did in (life.root / "out" / "restored").read_text()
    assert LABEL in output


def test_no_secret_in_arguments_or_environment(life: Life) -> None:
    assert len(life.executed) > 15
    secrets = _without(life.secrets, "label")  # the user names it as an argument
    assert [found for data in life.executed if (found := _found(secrets, data))] == []


def test_no_label_in_the_arguments_or_environment_of_the_agent(life: Life) -> None:
    agents = [data for data in life.executed if b"agent" in data]
    assert agents
    assert [found for data in agents if (found := _found(life.secrets, data))] == []


def test_no_secret_is_written_anywhere_but_where_the_user_asked(life: Life) -> None:
    for what, data in life.writes:
        if _is_kept_inside(what) or Path(what).parent == life.root / "given":
            continue
        shown = ("label", "sealed note") if what == str(life.root / "out" / "stdout") else ()
        assert _found(_without(life.secrets, *shown), data) == [], what


def test_no_secret_crosses_the_network(life: Life) -> None:
    sent = b"".join(data for what, data in life.writes if what.startswith(("TCP", "UDP")))
    assert sent
    assert _found(life.secrets, sent) == []


def test_no_words_or_password_pass_between_processes(life: Life) -> None:
    inside = b"".join(data for what, data in life.writes if _is_kept_inside(what))
    allowed = ("label", "sealed note")
    assert _found(_without(life.secrets, *allowed), inside) == []


def test_no_secret_is_left_in_any_file(life: Life) -> None:
    looked_at = 0
    for path in sorted(life.root.rglob("*")):
        if path.is_file() and path not in life.given:
            looked_at += 1
            shown = ("label", "sealed note") if path == life.root / "out" / "stdout" else ()
            assert _found(_without(life.secrets, *shown), path.read_bytes()) == [], path
    assert looked_at > 5


def test_errors_name_no_secret(life: Life) -> None:
    errors = (life.root / "out" / "stderr").read_bytes()
    assert b"error" in errors.lower()
    assert _found(life.secrets, errors) == []


def test_a_core_dump_of_the_node_holds_no_secret_of_its_users(
    tmp_path: Path, cli: Callable[..., Run], node: NodeProcess, home: Path
) -> None:
    assert shutil.which("gcore"), "gdb is missing: run scripts/setup-system.sh"
    for name, text in (("password", PASSWORD), ("passphrase", PASSPHRASE), ("note", NOTE)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    words, opened = tmp_path / "words", ("--password-file", str(tmp_path / "password"))
    steps: list[tuple[str, ...]] = [
        (
            "wallet",
            "create",
            "--words-out",
            str(words),
            "--passphrase-file",
            str(tmp_path / "passphrase"),
            *opened,
            *FAST_KDF,
        ),
        ("identity", "create", LABEL, *opened),
        ("identity", "set", LABEL, "note", "--value-file", str(tmp_path / "note"), "--sealed", *opened),
        ("publish", LABEL, "--relay", node.url, *opened),
        ("publish", LABEL, "--relay", node.address, *opened),
        ("resolve", LABEL, "--relay", node.address, *opened),
    ]
    for step in steps:
        done = cli(*step, home=home)
        assert done.code == 0, done.stderr
    secrets = _secrets(words.read_text().strip())
    subprocess.run(
        ["gcore", "-o", str(tmp_path / "core"), str(node.process.pid)], check=True, capture_output=True, timeout=120
    )
    core = (tmp_path / f"core.{node.process.pid}").read_bytes()
    public_key = (
        KeyTree(Mnemonic.parse(words.read_text().strip()).seed(Secret.from_text(PASSPHRASE))).root(0).public_key
    )
    assert public_key in core, "the dump does not even hold what the node was sent"
    assert _found(secrets, core) == []
