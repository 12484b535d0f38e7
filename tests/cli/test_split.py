"""``record prove``, ``record verify-proof`` and ``publish --heal`` in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import MNEMONIC, Answer
from tests.cli.twin import write_twin
from tests.conftest import NodeProcess, Run

Cli = Callable[..., Run]
Password = tuple[str, str]


@pytest.fixture
def alice(answer: Answer, wallet: Path, node: NodeProcess, password: Password) -> str:
    did = str(answer("identity", "create", "alice", *password, home=wallet)["did"])
    answer("publish", "alice", "--relay", node.address, *password, home=wallet)
    return did


@pytest.fixture
def twins(answer: Answer, wallet: Path, alice: str, password: Password, tmp_path: Path) -> tuple[str, str]:
    """Record files of two states that the key of `alice` has signed with one seq."""
    own, other = tmp_path / "own.record", tmp_path / "other.record"
    answer("record", "export", "alice", str(own), *password, home=wallet)
    write_twin(own, other, MNEMONIC)
    return str(own), str(other)


def prove(answer: Answer, twins: tuple[str, str], out: Path, **settings: object) -> dict[str, object]:
    return answer("record", "prove", "--record", twins[0], "--record", twins[1], "--out", str(out), **settings)


def test_a_proof_is_written_and_verified_without_a_wallet(
    answer: Answer, cli: Cli, twins: tuple[str, str], alice: str, tmp_path: Path
) -> None:
    out, nobody = tmp_path / "alice.proof", tmp_path / "nobody"
    written = prove(answer, twins, out, home=nobody)
    assert written["did"] == alice
    checked = answer("--offline", "record", "verify-proof", str(out), home=nobody)
    assert (checked["valid"], checked["did"]) == (True, alice)
    said = [side["document"].get("profile") for side in checked["sides"]]
    assert {"name": "Eve"} in said
    assert None in said
    text = cli("record", "verify-proof", str(out), home=nobody).stdout
    assert "the key of " + alice + " has signed both packets" in text
    assert "who signed which one" in text
    assert not nobody.exists()


def test_what_is_no_proof_is_refused(answer: Answer, twins: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "alice.proof"
    prove(answer, twins, out)
    data = bytearray(out.read_bytes())
    data[100] ^= 1
    out.write_bytes(bytes(data))
    assert answer("record", "verify-proof", str(out), code=4)["error"]["code"] == "signature.invalid"
    assert answer("record", "verify-proof", twins[0], code=3)["error"]["code"] == "equivocation.file"
    assert answer("record", "verify-proof", str(tmp_path / "none"), code=3)["error"]["code"] == "file.missing"


def test_where_there_is_no_split_that_is_said_with_a_code(
    answer: Answer, twins: tuple[str, str], alice: str, node: NodeProcess, tmp_path: Path
) -> None:
    same = answer("record", "prove", "--record", twins[0], "--record", twins[0], code=3)
    assert same["error"]["code"] == "equivocation.none"
    looked = answer("record", "prove", alice, "--relay", node.address, home=tmp_path / "nobody", code=3)
    assert looked["error"]["code"] == "equivocation.none"


@pytest.mark.parametrize("args", [(), ("--record", "a"), ("did:key:z6Mk", "--record", "a", "--record", "b")])
def test_it_is_an_id_or_two_files(answer: Answer, args: tuple[str, ...]) -> None:
    assert answer("record", "prove", *args, code=2)["error"]["code"] == "record.prove"


def test_an_owner_heals_with_the_proof_in_hand_and_is_warned(
    answer: Answer, cli: Cli, wallet: Path, twins: tuple[str, str], alice: str, node: NodeProcess, password: Password,
    tmp_path: Path,
) -> None:  # fmt: skip
    out = tmp_path / "alice.proof"
    prove(answer, twins, out)
    done = cli("publish", "alice", "--heal", str(out), "--relay", node.address, *password, home=wallet)
    assert done.code == 0, done.stderr
    assert "root key is in other hands" in done.stderr
    found = answer("resolve", alice, "--relay", node.address, home=tmp_path / "nobody")
    assert len(found["document"]["healed"]) == 1
    status = answer("wallet", "status", *password, home=wallet)
    assert status["wallet"]["splits"] == []


def test_a_side_goes_with_the_proof(answer: Answer, wallet: Path, password: Password) -> None:
    done = answer("publish", "alice", "--side", "63d1e12f", *password, home=wallet, code=2)
    assert done["error"]["code"] == "publish.side"


def test_somebody_elses_proof_heals_nothing(
    answer: Answer, wallet: Path, twins: tuple[str, str], alice: str, password: Password, tmp_path: Path
) -> None:
    out = tmp_path / "alice.proof"
    prove(answer, twins, out)
    answer("identity", "create", "bob", *password, home=wallet)
    refused = answer(
        "publish", "bob", "--heal", str(out), "--relay", "http://127.0.0.1:9", *password, home=wallet, code=4
    )
    assert refused["error"]["code"] == "heal.identity"
