"""The main job for real, narrated: two people, two wallets, one node, on this machine, in a temporary directory.

Every line that starts with `$` is run as printed (`walletcli` is the installed command). A step that fails ends the
demonstration with a non-zero exit code. Nothing outside of the temporary directory is touched, and no other machine.
"""

from __future__ import annotations

import json
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).with_name("walletcli")
WIDTH = 100
LINK_EXIT = 3
"""Exit code of a command that would tie identities together."""


class StepFailedError(Exception):
    """A step did not do what the demonstration says it does."""


class Demo:
    """A directory in which commands are run and shown.

    Args:
        directory: temporary, ours alone.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        (directory / "run").mkdir(mode=0o700)
        self._env = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(directory),
            "XDG_RUNTIME_DIR": str(directory / "run"),
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
        }
        self._node: subprocess.Popen[str] | None = None

    def say(self, title: str, text: str) -> None:
        """Open a chapter."""
        print(f"\n── {title} {'─' * (WIDTH - len(title) - 4)}\n{text}", flush=True)

    def run(self, line: str, *, fails_with: int = 0, show: bool = True) -> str:
        """Run a command line of walletcli, show it and its output, and check its exit code; return its stdout."""
        words = shlex.split(line)
        done = subprocess.run(
            [str(COMMAND), *words[1:]], cwd=self._directory, env=self._env, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, timeout=60,
        )  # fmt: skip
        print(f"\n$ {line}")
        for text in (done.stdout, done.stderr):
            if show and text.strip():
                print(text.rstrip())
        if done.returncode != fails_with:
            detail = "" if show else f"\n{done.stdout}{done.stderr}"
            raise StepFailedError(f"exit code {done.returncode}, expected {fails_with}: {line}{detail}")
        if fails_with:
            print(f"(exit code {done.returncode}, as it should)")
        sys.stdout.flush()
        return done.stdout

    def json(self, line: str) -> Any:
        """Run a command line with --json without showing its output; return the document."""
        return json.loads(self.run(line, show=False))

    def check(self, what: str, holds: bool) -> None:
        """Say what was checked, or fail."""
        if not holds:
            raise StepFailedError(f"not so: {what}")
        print(f"✓ {what}", flush=True)

    def write(self, name: str, content: str) -> None:
        """Write a file that only its owner reads."""
        path = self._directory / name
        path.touch(mode=0o600)
        path.write_text(content)

    def path(self, name: str) -> Path:
        """Return a path in the directory."""
        return self._directory / name

    def start_node(self, listen: str) -> dict[str, Any]:
        """Start the node as a process of its own; return its ready line."""
        line = f"walletcli --json node run node --listen {listen}"
        print(f"\n$ {line} &", flush=True)
        log = self.path("node.log").open("a")
        words = [str(COMMAND), *shlex.split(line)[1:]]
        self._node = subprocess.Popen(
            words,
            cwd=self._directory,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=log,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        assert self._node.stdout is not None
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._node.poll() is None:
            if select.select([self._node.stdout], [], [], 0.2)[0]:
                ready = self._node.stdout.readline()
                if ready:
                    print(ready.rstrip(), flush=True)
                    document: dict[str, Any] = json.loads(ready)
                    return document
        raise StepFailedError(f"the node did not start:\n{self.path('node.log').read_text()}")

    def end_node(self, how: signal.Signals) -> int:
        """Send the node a signal and wait for its end; return its exit code."""
        assert self._node is not None
        self._node.send_signal(how)
        code = self._node.wait(20)
        if self._node.stdout is not None:
            self._node.stdout.close()
        self._node = None
        return code

    def close(self) -> None:
        """Leave nothing running."""
        if self._node is not None:
            self._node.kill()
            self._node.wait()
        for home in ("alice", "bob", "restored"):
            if self.path(home).exists():
                subprocess.run(
                    [str(COMMAND), "--home", home, "wallet", "lock"],
                    cwd=self._directory, env=self._env, capture_output=True, check=False, timeout=20,
                )  # fmt: skip


def play(demo: Demo) -> None:
    """Play the whole story."""
    demo.say("a node", "Somebody runs a node. It has an identity of its own and keeps what is sent to it, durably.")
    demo.run("walletcli node init node")
    ready = demo.start_node("127.0.0.1:0")
    address = next(a for a in ready["addresses"] if a.startswith("walletcli://"))
    print("Its address names its key: whoever dials it knows that they reached this node and no other.")

    demo.say(
        "Alice makes a wallet",
        "24 words are the wallet. Unattended they go to a file of their owner's; on a terminal they are shown once.",
    )
    demo.write("alice.password", "correct horse battery staple\n")
    demo.run("walletcli --home alice wallet create --words-out alice.words --password-file alice.password")
    words = demo.path("alice.words")
    demo.check("the file with the words is for its owner alone", words.stat().st_mode & 0o777 == 0o600)
    demo.run("walletcli --home alice wallet unlock --password-file alice.password")

    demo.say(
        "Alice makes two identities", "Hardened keys of one seed: nothing that is published ties the two together."
    )
    demo.run("walletcli --home alice identity create alice")
    demo.run("walletcli --home alice identity create pseudonym", show=False)
    demo.run("walletcli --home alice identity set alice name 'Alice A.' --public", show=False)
    listed = demo.json("walletcli --home alice --json identity list")["identities"]
    did = next(identity["did"] for identity in listed if identity["label"] == "alice")
    demo.run("walletcli --home alice identity list")

    demo.say(
        "Alice publishes",
        "The record is signed with the root key of that identity and stored on the node, durably.",
    )
    published = demo.run(f"walletcli --home alice publish alice --relay {address}")
    seq = int(published.partition("seq:")[2].split()[0])
    demo.check("the node acknowledged it, so it is on its disk", f"stored on:  {address}" in published)

    demo.say(
        "Bob resolves",
        "Another wallet, another process. Bob knows the id and a node. He trusts neither the node nor the wire.",
    )
    demo.write("bob.password", "another password\n")
    demo.run("walletcli --home bob wallet create --words-out bob.words --password-file bob.password", show=False)
    demo.run("walletcli --home bob wallet unlock --password-file bob.password")
    demo.run(f"walletcli --home bob relay add {address}", show=False)
    demo.run(f"walletcli --home bob resolve {did}")
    found = demo.json(f"walletcli --home bob --json resolve {did}")
    demo.check("Bob has Alice's document, verified", found["did"] == did and found["document"] is not None)
    demo.check("and in it what she said in public", "Alice A." in json.dumps(found["document"], ensure_ascii=False))

    demo.say(
        "Two names, one owner",
        "A node that one machine tells both identities can guess that they are one person. The tool says so first.",
    )
    demo.run(f"walletcli --home alice publish pseudonym --relay {address}", fails_with=LINK_EXIT)

    demo.say(
        "A copy as a file",
        "A record is packet and document in one file. Anybody verifies it, with no wallet and no network.",
    )
    demo.run("walletcli --home alice record export alice alice.record")
    demo.run("walletcli --offline record verify alice.record")
    changed = bytearray(demo.path("alice.record").read_bytes())
    changed[150] ^= 1
    demo.path("changed.record").write_bytes(changed)
    demo.run("walletcli --offline record verify changed.record", fails_with=4)

    demo.say("The node dies", "kill -9, as in a power cut. What it acknowledged it still has.")
    demo.end_node(signal.SIGKILL)
    demo.run(f"walletcli resolve {did} --relay {address}", fails_with=7)
    port = address.split("/")[2].rpartition(":")[2]
    demo.start_node(f"127.0.0.1:{port}")
    again = demo.json(f"walletcli --json resolve {did} --relay {address}")
    demo.check("the same record is there again", again["seq"] == seq and again["document"] == found["document"])

    demo.say(
        "Alice loses her computer",
        "Only the words are left. They give the same identities, and the same say over them.",
    )
    demo.run("walletcli --home alice wallet wipe --yes", show=False)
    demo.run(
        "walletcli --home restored wallet restore --mnemonic-file alice.words --password-file alice.password",
        show=False,
    )
    demo.run("walletcli --home restored wallet unlock --password-file alice.password", show=False)
    demo.run("walletcli --home restored identity list --derive 2")
    demo.run("walletcli --home restored identity create alice", show=False)
    demo.run(f"walletcli --home restored resolve alice --relay {address}", show=False)
    republished = demo.json(f"walletcli --home restored --json publish alice --relay {address}")
    demo.check(f"the same identity, with a newer record: seq {republished['seq']}", republished["did"] == did)
    demo.check("newer than the one before", republished["seq"] > seq)

    demo.say("The end", "The node stops as its operator would stop it.")
    demo.check("it stopped cleanly", demo.end_node(signal.SIGTERM) == 0)


def main() -> int:
    """Play the demonstration in a temporary directory and remove it."""
    started = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="walletcli-demo-"))
    demo = Demo(directory)
    try:
        play(demo)
    except (StepFailedError, subprocess.TimeoutExpired, KeyError, StopIteration) as error:
        reason = str(error) if isinstance(error, StepFailedError) else repr(error)
        print(f"\n✗ the demonstration failed: {reason}", flush=True)
        return 1
    finally:
        demo.close()
        shutil.rmtree(directory, ignore_errors=True)
    took_s = time.monotonic() - started
    print(f"\nEverything above was real and took {took_s:.0f} s. Nothing of it is left on this machine.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
