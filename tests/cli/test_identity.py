"""Identities from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Answer
from tests.conftest import Run
from walletcli.cli import qr
from walletcli.core.fingerprint import fingerprint
from walletcli.core.identity_id import IdentityId

Cli = Callable[..., Run]
Password = tuple[str, str]


@pytest.fixture
def alice(answer: Answer, wallet: Path, password: Password) -> str:
    """An identity `alice` in the test wallet; its did."""
    return str(answer("identity", "create", "alice", *password, home=wallet)["did"])


def test_identities_are_numbered_and_listed(answer: Answer, wallet: Path, alice: str, password: Password) -> None:
    work = answer("identity", "create", "work", *password, home=wallet)
    assert work["path"] == "m/9791'/1'"
    assert work["published"] is False
    listed = answer("identity", "list", *password, home=wallet)["identities"]
    assert [identity["label"] for identity in listed] == ["alice", "work"]
    assert listed[0]["did"] == alice


def test_derived_identities_are_listed_stored_or_not(
    answer: Answer, wallet: Path, alice: str, password: Password
) -> None:
    found = answer("identity", "list", "--derive", "300", *password, home=wallet)["identities"]
    assert len({identity["did"] for identity in found}) == 300
    assert (found[0]["did"], found[0]["label"]) == (alice, "alice")
    assert found[299]["label"] is None
    assert found[299]["path"] == "m/9791'/299'"


def test_an_index_can_be_chosen_once(answer: Answer, wallet: Path, password: Password) -> None:
    assert answer("identity", "create", "far", "--index", "7", *password, home=wallet)["path"] == "m/9791'/7'"
    error = answer("identity", "create", "again", "--index", "7", *password, home=wallet, code=3)["error"]
    assert error["code"] == "identity.exists"


def test_every_form_of_the_id_finds_it(answer: Answer, wallet: Path, alice: str, password: Password) -> None:
    shown = answer("identity", "show", "alice", *password, home=wallet)
    for form in (alice, shown["did_dht"], f"pk:{shown['z32']}", shown["z32"], " alice ", "ALICE"):
        assert answer("identity", "show", form, *password, home=wallet)["did"] == alice


def test_fingerprint_and_qr_are_of_the_key(
    answer: Answer, cli: Cli, wallet: Path, alice: str, password: Password
) -> None:
    picture = list(fingerprint(IdentityId.from_text(alice).public_key))
    assert answer("identity", "show", "alice", *password, home=wallet)["fingerprint"] == picture
    text = cli("identity", "show", "alice", "--qr", *password, home=wallet).stdout
    assert "\n".join(picture) in text
    assert text.endswith("\n".join(qr.lines(alice)) + "\n")


def test_a_qr_code_is_drawn_module_by_module() -> None:
    import qrcode

    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=4)
    code.add_data("did:key:z6Mk")
    code.make()
    dark: list[list[bool]] = []
    for line in qr.lines("did:key:z6Mk"):
        dark.append([letter in " ▄" for letter in line])
        dark.append([letter in " ▀" for letter in line])
    assert dark[: len(code.get_matrix())] == code.get_matrix()


def test_the_profile_is_sealed_unless_public(answer: Answer, wallet: Path, alice: str, password: Password) -> None:
    answer("identity", "set", "alice", "name", "Alice A.", "--public", *password, home=wallet)
    shown = answer("identity", "set", "alice", "phone", "+36 1 234", *password, home=wallet)
    assert shown["profile"] == {"name": "Alice A."}
    assert shown["sealed_profile"] == {"phone": "+36 1 234"}
    moved = answer("identity", "set", "alice", "name", "A.", "--sealed", *password, home=wallet)
    assert (moved["profile"], moved["sealed_profile"]) == ({}, {"name": "A.", "phone": "+36 1 234"})
    assert answer("identity", "unset", "alice", "phone", *password, home=wallet)["sealed_profile"] == {"name": "A."}
    answer("identity", "unset", "alice", "phone", *password, home=wallet, code=3)


def test_a_value_may_come_from_a_pipe(answer: Answer, wallet: Path, alice: str, password: Password) -> None:
    set_name = ["identity", "set", "alice", "name"]
    shown = answer(*set_name, "--value-file", "-", *password, home=wallet, stdin="Ünï\n".encode())
    assert shown["sealed_profile"] == {"name": "Ünï"}
    answer(*set_name, *password, home=wallet, code=2)
    answer(*set_name, "x", "--value-file", "-", *password, home=wallet, code=2)


def test_labels_are_changed_and_kept_apart(answer: Answer, wallet: Path, alice: str, password: Password) -> None:
    assert answer("identity", "rename", "alice", "home", *password, home=wallet)["label"] == "home"
    answer("identity", "create", "work", *password, home=wallet)
    error = answer("identity", "rename", "work", "Home", *password, home=wallet, code=3)["error"]
    assert error["code"] == "label.exists"


@pytest.mark.parametrize("label", ["", " ", "a" * 65, "did:key:z6Mk", "a\x1bb", "a\u202eb", "a\nb"])
def test_labels_that_mislead_are_refused(answer: Answer, wallet: Path, password: Password, label: str) -> None:
    assert answer("identity", "create", label, *password, home=wallet, code=3)["error"]["code"] == "label.malformed"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"),
        ("Name", "x"),
        ("a" * 33, "x"),
        ("name", ""),
        ("name", "x" * 1025),
        ("name", "\u202ex"),
        ("name", "\x1b"),
    ],
)
def test_attributes_that_mislead_are_refused(
    answer: Answer, wallet: Path, alice: str, password: Password, name: str, value: str
) -> None:
    answer("identity", "set", "alice", name, value, *password, home=wallet, code=3)


def test_an_unknown_identity_is_named_and_escaped(cli: Cli, wallet: Path, password: Password) -> None:
    done = cli("identity", "show", "nobody\x1b[2J", *password, home=wallet)
    assert done.code == 3
    assert "\x1b" not in done.stderr
    assert "nobody" in done.stderr


def test_retiring_asks_and_ends(answer: Answer, wallet: Path, alice: str, password: Password) -> None:
    answer("identity", "retire", "alice", "--reason", "because", "--yes", *password, home=wallet, code=2)
    shown = answer("identity", "retire", "alice", "--reason", "replaced", "--yes", *password, home=wallet)
    assert shown["retired"] is True
    error = answer("identity", "set", "alice", "name", "x", *password, home=wallet, code=3)["error"]
    assert error["code"] == "identity.retired"


def test_lists_are_for_people_without_json(cli: Cli, wallet: Path, alice: str, password: Password) -> None:
    done = cli("identity", "list", *password, home=wallet)
    assert done.stdout == f"LABEL  ID{' ' * 54}  STATE\nalice  {alice}  not published\n"
    assert done.stderr == ""
