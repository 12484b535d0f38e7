"""``walletcli node invite, allow, block, list, remove``: beside a running node, and without one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.cli.conftest import Answer
from tests.conftest import NodeProcess

ALICE = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"
BOB = "did:key:z6MkvqRVxrHzLYhvDTrBwFGVYmUyVqcRcKMYTdHcxRgQYJZs"


@pytest.fixture
def stopped(answer: Answer, tmp_path: Path) -> str:
    """A node that has never run: there is no store yet."""
    return str(answer("node", "init", str(tmp_path / "stopped"))["directory"])


def code(answered: dict[str, dict[str, str]]) -> str:
    assert answered["error"]["hint"]
    return answered["error"]["code"]


def test_invitation_is_listed_and_its_token_is_nowhere(answer: Answer, stopped: str) -> None:
    made = answer("node", "invite", stopped, "--uses", "3", "--days", "2")
    token = made.pop("token")
    assert (made["uses"], made["used"]) == (3, 0)
    assert 0 <= made["expires_s"] - time.time() - 2 * 86_400 + 60 <= 60
    assert answer("node", "list", stopped)["invitations"] == [made]
    for file in Path(stopped).iterdir():
        assert token.encode() not in file.read_bytes(), file


def test_listing_says_what_is_given_and_to_whom(answer: Answer, stopped: str) -> None:
    empty = answer("node", "list", stopped)
    assert empty == {
        "policy": "closed",
        "terms": {"quota_bytes": 256 << 20, "retention_days": 30, "max_blob_bytes": 2 << 20},
        "invitations": [],
        "allowed": [],
        "blocked": [],
    }
    assert answer("node", "allow", stopped, ALICE) == {"allowed": [ALICE]}
    assert answer("node", "list", stopped)["allowed"] == [ALICE]
    assert answer("node", "block", stopped, ALICE) == {"blocked": [ALICE]}
    listed = answer("node", "list", stopped)
    assert (listed["allowed"], listed["blocked"]) == ([], [ALICE])
    assert answer("node", "remove", stopped, ALICE) == {"removed": [ALICE]}
    assert answer("node", "list", stopped)["blocked"] == []


@pytest.mark.parametrize(
    "options", [("--uses", "0"), ("--uses", "100001"), ("--days", "0"), ("--days", "3651"), ("--uses", "-1")]
)
def test_invitation_out_of_range_is_refused(answer: Answer, stopped: str, options: tuple[str, str]) -> None:
    assert code(answer("node", "invite", stopped, *options, code=3)) == "hosting.range"
    assert answer("node", "list", stopped)["invitations"] == []


def test_several_are_removed_or_none(answer: Answer, stopped: str) -> None:
    name = answer("node", "invite", stopped)["name"]
    answer("node", "allow", stopped, ALICE)
    assert code(answer("node", "remove", stopped, name, "0" * 12, code=3)) == "hosting.unknown"
    assert code(answer("node", "remove", stopped, ALICE, "nobody", code=3)) == "hosting.unknown"
    listed = answer("node", "list", stopped)
    assert (len(listed["invitations"]), listed["allowed"]) == (1, [ALICE])
    answer("node", "remove", stopped, name, ALICE)
    listed = answer("node", "list", stopped)
    assert (listed["invitations"], listed["allowed"]) == ([], [])


def test_one_that_is_no_identity_spoils_the_whole_command(answer: Answer, stopped: str) -> None:
    assert code(answer("node", "allow", stopped, ALICE, "alice", code=3)) == "identity.malformed"
    assert answer("node", "list", stopped)["allowed"] == []


@pytest.mark.parametrize("verb", ["invite", "list", "allow", "block", "remove"])
def test_directory_of_no_node_is_refused(answer: Answer, tmp_path: Path, verb: str) -> None:
    more = () if verb in ("invite", "list") else (ALICE,)
    assert code(answer("node", verb, str(tmp_path), *more, code=8)) == "node.missing"


def test_running_node_says_what_it_hosts(answer: Answer, node: NodeProcess) -> None:
    status = answer("node", "status", str(node.directory))
    assert status["hosting"] == "open"
    assert (status["hosted"], status["leaving"], status["blobs"], status["blob_bytes"]) == (0, 0, 0, 0)
    assert answer("node", "list", str(node.directory))["policy"] == "open"
    node.stop()
    assert answer("node", "list", str(node.directory))["policy"] == "closed"  # what node.toml says
