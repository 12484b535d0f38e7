"""`walletcli contact` between two wallets over a real node: what each verb answers, and what it refuses."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect
import pytest
from PIL import Image

from tests.cli.conftest import Answer
from tests.conftest import FAST_KDF, NodeProcess, Run
from tests.peers.qr_reader import drawn_code, read_image, read_png, terminal_image
from walletcli.core.card import CardFile, from_link
from walletcli.core.identity_id import IdentityId
from walletcli.core.safety import safety_words


@dataclass
class Side:
    """One of two people, with an unlocked wallet that holds one published identity."""

    name: str
    home: Path
    did: str
    answer: Answer
    cli: Callable[..., Run]

    def says(self, *args: str, **settings: Any) -> dict[str, Any]:
        return self.answer("contact", *args, home=self.home, **settings)

    def refuses(self, *args: str, code: int, **settings: Any) -> str:
        error = self.answer("contact", *args, home=self.home, code=code, **settings)["error"]
        assert error["hint"]
        return str(error["code"])

    def shows(self, *args: str) -> Run:
        return self.cli("contact", *args, home=self.home)

    def publish(self) -> None:
        self.answer("publish", self.name, home=self.home)


@pytest.fixture
def pair(
    answer: Answer, cli: Callable[..., Run], tmp_path: Path, node: NodeProcess,
    password: tuple[str, str],
) -> Iterator[tuple[Side, Side]]:  # fmt: skip
    """Alice and Bob, who do not know each other yet."""
    sides = []
    for name in ("alice", "bob"):
        home = tmp_path / f"home of {name}"
        words = str(tmp_path / f"words of {name}")
        answer("wallet", "create", "--words-out", words, *password, *FAST_KDF, home=home)
        answer("wallet", "unlock", *password, home=home)
        answer("relay", "add", node.address, home=home)
        did = answer("identity", "create", name, home=home)["did"]
        answer("identity", "set", name, "name", name.title(), "--public", home=home)
        side = Side(name, home, did, answer, cli)
        side.publish()
        sides.append(side)
    yield sides[0], sides[1]
    for side in sides:
        cli("wallet", "lock", home=side.home)


@pytest.fixture
def acquainted(pair: tuple[Side, Side], tmp_path: Path) -> tuple[Side, Side]:
    """The two, each a contact of the other's."""
    alice, bob = pair
    for one, other in ((alice, bob), (bob, alice)):
        path = str(tmp_path / f"{one.name}.card")
        one.says("card", "--out", path)
        other.says("add", path)
    return pair


def test_a_card_goes_as_file_link_code_and_image_and_each_adds_the_contact(
    pair: tuple[Side, Side], tmp_path: Path
) -> None:
    alice, bob = pair
    file, image = tmp_path / "alice.card", tmp_path / "alice.png"
    made = alice.says("card", "--out", str(file), "--png", str(image))
    assert (made["file"], made["png"]) == (str(file), str(image))
    assert made["card"]["did"] == alice.did
    assert made["card"]["attributes"] == {"name": "Alice"}
    assert len(made["card"]["hints"]) == 1
    drawn = drawn_code(alice.shows("card", "--qr").stdout)
    for source in (str(file), made["link"], read_png(image.read_bytes()), read_image(terminal_image(drawn))):
        added = bob.says("add", source)
        assert (added["contact"]["did"], added["contact"]["name"]) == (alice.did, "Alice")
        assert added["contact"]["card"]["verified"]
    assert [item["did"] for item in bob.says("list")["contacts"]] == [alice.did]
    with Image.open(io.BytesIO(image.read_bytes())) as opened:
        assert opened.format == "PNG"


def test_a_code_that_the_terminal_cannot_show_as_a_whole_is_said_to_be_too_tall(
    pair: tuple[Side, Side], on_terminal: Callable[..., pexpect.spawn]
) -> None:
    alice, _ = pair
    for rows, is_said in ((24, True), (200, False)):
        child = on_terminal("--home", str(alice.home), "contact", "card", "--qr", rows=rows)
        child.expect(pexpect.EOF)
        assert ("--png FILE" in child.before) is is_said
    assert "--png" not in alice.shows("card", "--qr").stderr


def test_a_link_or_a_file_may_come_from_a_pipe(pair: tuple[Side, Side], tmp_path: Path) -> None:
    alice, bob = pair
    link = alice.says("card", "--link")["link"]
    assert bob.says("add", "-", stdin=f"{link}\n".encode())["new"]
    alice.says("card", "--out", str(tmp_path / "x"))
    assert not bob.says("add", "-", stdin=(tmp_path / "x").read_bytes())["new"]


def test_what_comes_after_adding_is_named_for_the_identity_that_was_meant(
    pair: tuple[Side, Side], tmp_path: Path
) -> None:
    alice, bob = pair
    card = str(tmp_path / "bob.card")
    bob.says("card", "--out", card)
    alice.answer("identity", "create", "my work", home=alice.home)
    added = alice.shows("add", card, "--as", "alice", "--name", "Bob B.")
    assert added.stderr.splitlines()[-1] == "Next: walletcli contact verify 'Bob B.' --as alice"
    assert alice.shows("verify", "Bob B.", "--as", "alice", "--yes").code == 0


def test_what_is_shown_of_an_identity_as_a_code_adds_it(pair: tuple[Side, Side]) -> None:
    alice, bob = pair
    drawn = drawn_code(alice.cli("identity", "show", "alice", "--qr", home=alice.home).stdout)
    text = read_image(terminal_image(drawn))
    assert text == alice.did
    assert bob.says("add", text)["contact"]["name"] == "Alice"


def test_a_card_has_the_attributes_that_were_chosen_and_no_others(pair: tuple[Side, Side], tmp_path: Path) -> None:
    alice, _ = pair
    alice.answer("identity", "set", "alice", "phone", "+1 555 0100", home=alice.home)
    alice.answer("identity", "set", "alice", "city", "Turin", home=alice.home)
    made = alice.says("card", "--attribute", "phone", "--name", "A.", "--days", "7")
    assert made["card"]["attributes"] == {"name": "A.", "phone": "+1 555 0100"}
    assert made["card"]["not_after_day"] == made["card"]["day"] + 7
    assert alice.says("card", "--name", "")["card"]["attributes"] == {}
    assert alice.refuses("card", "--attribute", "shoe-size", code=3) == "attribute.unknown"


def test_a_card_of_an_identity_that_was_never_published_is_not_made(pair: tuple[Side, Side]) -> None:
    alice, _ = pair
    alice.answer("identity", "create", "work", home=alice.home)
    assert alice.refuses("card", "--as", "work", code=3) == "record.none"
    assert alice.shows("--as", "work", "list").stdout == "no contacts\n"
    assert alice.shows("--as", "nobody", "list", "--as", "work").stdout == "no contacts\n"
    assert alice.refuses("card", code=2) == "contact.which-identity"


def test_a_card_that_says_what_another_identity_says_needs_consent(pair: tuple[Side, Side]) -> None:
    alice, _ = pair
    alice.answer("identity", "create", "work", home=alice.home)
    alice.answer("identity", "set", "work", "phone", "+1 555 0100", home=alice.home)
    alice.answer("identity", "set", "alice", "tel", "+1 555 0100", home=alice.home)
    asked = ("card", "--as", "alice", "--attribute", "tel")
    assert alice.refuses(*asked, code=3) == "link.would-link"
    alice.says(*asked, "--accept-link")
    alice.says(*asked)
    work = alice.answer("identity", "show", "work", home=alice.home)["did"]
    assert alice.refuses("card", "--as", "alice", "--name", f"see {work}", code=3) == "link.would-link"


def test_no_file_is_replaced(pair: tuple[Side, Side], tmp_path: Path) -> None:
    alice, _ = pair
    for option in ("--out", "--png"):
        path = tmp_path / option
        path.write_bytes(b"mine")
        assert alice.refuses("card", option, str(path), code=3) == "file.exists"
        assert path.read_bytes() == b"mine"


def test_both_sides_see_the_same_words_and_record_that_they_are_alike(acquainted: tuple[Side, Side]) -> None:
    alice, bob = acquainted
    words = alice.says("show", "Bob")["safety"]["words"]
    assert words == bob.says("show", "Alice")["safety"]["words"]
    assert alice.says("show", "Bob")["safety"]["picture"] == bob.says("show", "Alice")["safety"]["picture"]
    assert not alice.says("show", "Bob")["contact"]["verified"]
    found = alice.says("verify", "Bob", "--words", " ".join(words).upper())["contact"]
    assert (found["verified"], found["why"][:27]) == (True, "safety words were compared ")
    assert bob.says("verify", "Alice", "--words", "-", stdin="\n".join(words).encode())["contact"]["verified"]
    assert not alice.says("verify", "Bob", "--undo")["contact"]["verified"]
    assert alice.says("verify", "Bob", "--yes")["contact"]["verified"]


def test_words_that_differ_are_an_error_of_verification(acquainted: tuple[Side, Side]) -> None:
    alice, _ = acquainted
    key = IdentityId.from_text(alice.did).public_key
    other = " ".join(
        safety_words(key, bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"))
    )
    assert alice.refuses("verify", "Bob", "--words", other, code=4) == "safety.differs"
    assert alice.refuses("verify", "Bob", "--words", "one two", code=3) == "safety.words"
    assert alice.refuses("verify", "Bob", "--words", "x", "--yes", code=2) == "verify.choice"
    assert not alice.says("show", "Bob")["contact"]["verified"]


def test_without_a_terminal_nobody_is_asked(acquainted: tuple[Side, Side]) -> None:
    assert acquainted[0].refuses("verify", "Bob", code=2) in ("terminal.missing",)
    assert acquainted[0].refuses("remove", "Bob", code=2) == "terminal.missing"


@pytest.mark.parametrize(("typed", "verified"), [("y", True), ("n", False)])
def test_at_a_terminal_the_words_are_shown_and_the_answer_counts(
    acquainted: tuple[Side, Side], on_terminal: Callable[..., pexpect.spawn], typed: str, verified: bool
) -> None:
    alice, _ = acquainted
    child = on_terminal("--home", str(alice.home), "contact", "verify", "Bob")
    child.expect(r"Does the other side see the same twelve words.*\[y/N\] ")
    words = alice.says("show", "Bob")["safety"]["words"]
    assert all(re.search(rf"\b{word}\b", child.before) for word in words)
    child.sendline(typed)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == (0 if verified else 2)
    assert alice.says("show", "Bob")["contact"]["verified"] is verified


def test_a_relation_is_signed_by_both_and_stored_on_both_sides(acquainted: tuple[Side, Side], tmp_path: Path) -> None:
    alice, bob = acquainted
    offer, answer = str(tmp_path / "offer"), str(tmp_path / "answer")
    offered = alice.says("relate", "Bob", "--out", offer, "--link", "--days", "30")
    assert (offered["whole"], offered["file"], offered["contact"]["offered"]) == (False, offer, True)
    accepted = bob.says("relate", "Alice", "--accept", offer, "--out", answer, "--link")
    assert accepted["whole"]
    assert bob.says("relate", "Alice", "--accept", offered["link"], "--link")["link"] == accepted["link"]
    completed = alice.says("relate", "Bob", "--complete", answer)
    assert (completed["file"], completed["link"], completed["contact"]["offered"]) == (None, None, False)
    one = completed["contact"]["relation"]
    other = bob.says("show", "Alice")["contact"]["relation"]
    assert one == other
    assert one["not_after_day"] == one["day"] + 30
    assert not completed["contact"]["verified"]
    assert "signed by both sides" in completed["contact"]["why"]


def test_a_relation_that_does_not_fit_is_refused(acquainted: tuple[Side, Side], tmp_path: Path) -> None:
    alice, bob = acquainted
    offer = str(tmp_path / "offer")
    alice.says("relate", "Bob", "--out", offer)
    assert alice.refuses("relate", "Bob", "--accept", offer, "--link", code=4) == "relation.unsigned"
    assert bob.refuses("relate", "Alice", "--complete", offer, code=4) == "relation.not-offered"
    assert bob.refuses("relate", "Alice", "--accept", offer, code=2) == "relate.nowhere"
    assert bob.refuses("relate", "Alice", "--accept", offer, "--days", "3", "--link", code=2) == "relate.choice"
    assert bob.refuses("relate", "Alice", "--accept", str(tmp_path / "none"), "--link", code=3) == "file.missing"
    assert bob.refuses("relate", "Alice", "--accept", "walletcli:relation:AA", "--link", code=3) == "relation.link"


def test_shared_attributes_are_read_by_the_contact_until_they_are_withdrawn(acquainted: tuple[Side, Side]) -> None:
    alice, bob = acquainted
    alice.answer("identity", "set", "alice", "phone", "+1 555 0100", home=alice.home)
    shared = alice.says("share", "Bob", "phone", "name")
    assert (shared["devices"], shared["public"], shared["to_publish"]) == (1, ["name"], True)
    assert "walletcli publish alice" in alice.shows("share", "Bob", "phone").stderr
    alice.publish()
    told = bob.says("refresh")["refresh"]
    assert [(item["name"], item["kind"]) for item in told["news"]] == [("Alice", "shared")]
    assert bob.says("show", "Alice")["contact"]["received"] == {"name": "Alice", "phone": "+1 555 0100"}
    assert "+1 555 0100" in bob.shows("show", "Alice").stdout
    assert alice.says("unshare", "Bob")["contact"]["shared"] == []
    alice.publish()
    assert "withdrawn name, phone" in bob.says("refresh")["refresh"]["news"][0]["text"]
    assert bob.says("show", "Alice")["contact"]["received"] == {}
    assert alice.refuses("unshare", "Bob", "phone", code=3) == "share.unknown"


def test_notes_and_attributes_are_ones_own(acquainted: tuple[Side, Side], tmp_path: Path) -> None:
    alice, _ = acquainted
    note = tmp_path / "note"
    note.write_text("owes me\na book\n")
    assert alice.says("set", "Bob", "note", "--value-file", str(note))["contact"]["notes"] == ["owes me\na book"]
    assert alice.says("set", "Bob", "note", "--value-file", "-", stdin=b"paid")["contact"]["notes"] == ["paid"]
    assert alice.says("set", "Bob", "city", "Turin")["contact"]["attributes"] == {"city": "Turin"}
    assert alice.says("set", "Bob", "name", "Robert")["contact"]["name"] == "Robert"
    assert alice.says("unset", "Robert", "note")["contact"]["notes"] == []
    assert alice.refuses("set", "Robert", "city", code=2) == "usage.one-value"
    note.write_bytes(b"\xff")
    assert alice.refuses("set", "Robert", "note", "--value-file", str(note), code=3) == "file.not-text"


def test_what_a_contact_wrote_cannot_reach_the_terminal_raw(acquainted: tuple[Side, Side]) -> None:
    alice, bob = acquainted
    bob.says("card", "--name", "Bob\n\tis  here", code=3)
    link = bob.says("card", "--name", "Bob\nverified: yes")["link"]
    shown = alice.shows("add", link).stdout
    assert "\nverified: yes" not in shown
    assert alice.says("show", "Bob")["contact"]["card"]["attributes"] == {"name": "Bob\nverified: yes"}


def test_blocking_and_removing(acquainted: tuple[Side, Side], tmp_path: Path) -> None:
    alice, bob = acquainted
    assert alice.says("block", "Bob")["contact"]["blocked"]
    assert alice.refuses("share", "Bob", "name", code=3) == "contact.blocked"
    assert alice.refuses("relate", "Bob", "--link", code=3) == "contact.blocked"
    assert alice.says("refresh")["refresh"] == {
        "asked": 0, "changed": 0, "skipped": 1, "news": [], "failures": [], "to_publish": False,
        "relays": 0, "stood_in": 0,
    }  # fmt: skip
    assert alice.says("export", str(tmp_path / "x"))["left_out"] == {"blocked": 1, "without_identity": 0}
    assert not alice.says("block", "Bob", "--undo")["contact"]["blocked"]
    assert alice.says("remove", "Bob", "--yes") == {"removed": bob.did}
    assert alice.says("list") == {"contacts": []}
    assert alice.shows("list").stdout == "no contacts\n"
    assert alice.refuses("show", "Bob", code=3) == "contact.unknown"


def test_a_contact_list_travels_to_oneself_and_to_somebody_else(acquainted: tuple[Side, Side], tmp_path: Path) -> None:
    alice, bob = acquainted
    mine, hers, open_, vcf = (str(tmp_path / name) for name in ("mine", "hers", "open", "vcf"))
    alice.says("set", "Bob", "note", "a secret note")
    assert alice.says("export", mine)["readers"] == "self"
    assert alice.says("export", hers, "--to", "Bob")["readers"] == "other"
    assert alice.says("export", open_, "--open")["readers"] == "all"
    assert alice.says("export", vcf, "Bob", "--vcard", "3.0")["contacts"] == 1
    for path in (mine, hers, open_, vcf):
        assert b"a secret note" not in Path(path).read_bytes()
    assert bob.refuses("import", mine, code=4) == "sealed.not-for-you"
    assert bob.says("import", hers)["import"]["skipped"] == 1
    assert bob.says("import", open_)["import"]["signer"] == alice.did
    alice.says("remove", "Bob", "--yes")
    found = alice.says("import", mine)["import"]
    assert (found["own"], found["added"], found["dropped"]) == (True, 1, [])
    assert alice.says("show", "Bob")["contact"]["notes"] == ["a secret note"]
    assert alice.refuses("export", mine, code=3) == "file.exists"
    assert alice.refuses("export", mine + "2", "--open", "--to", "Bob", code=3) == "contact-export.choice"


def test_vcards_of_another_program_come_in_with_a_word_on_each_that_does_not(
    pair: tuple[Side, Side], tmp_path: Path
) -> None:
    alice, _ = pair
    cards = tmp_path / "x.vcf"
    cards.write_bytes(
        b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ada\r\nN:;Ada;;;\r\nPHOTO:x\r\nEND:VCARD\r\n"
        b"BEGIN:VCARD\r\nVERSION:2.1\r\nN:Old\r\nEND:VCARD\r\n"
    )
    found = alice.says("import", str(cards))["import"]
    assert (found["added"], found["signer"], found["left_out"]) == (1, None, {"PHOTO": 1})
    assert [(item["number"], item["error"]["code"]) for item in found["refused"]] == [(2, "vcard.version")]
    text = alice.shows("import", str(cards)).stdout
    assert "refused:    card 2:" in text
    assert alice.says("show", "Ada")["safety"] is None
    assert alice.refuses("verify", "Ada", "--yes", code=3) == "contact.no-identity"


def test_a_file_of_which_nothing_can_be_taken_is_no_success(pair: tuple[Side, Side], tmp_path: Path) -> None:
    alice, _ = pair
    cards = tmp_path / "x.vcf"
    cards.write_bytes(b"BEGIN:VCARD\r\nVERSION:2.1\r\nN:Old\r\nEND:VCARD\r\n")
    done = alice.shows("import", str(cards))
    assert done.code == 11
    assert "refused:    card 1:" in done.stdout
    assert "no contact was taken: 1 of 1 cards were refused" in done.stderr


def test_offline_nothing_is_asked_and_the_file_is_enough(pair: tuple[Side, Side], tmp_path: Path) -> None:
    alice, bob = pair
    path = str(tmp_path / "alice.card")
    link = alice.says("card", "--out", path, "--link")["link"]
    assert bob.refuses("add", link, "--offline", code=4) == "card.evidence"
    assert bob.says("add", path, "--offline")["asked"] == []
    assert bob.says("add", link, "--offline")["asked"] == []  # the record is known now
    assert bob.refuses("refresh", "--offline", code=7) == "network.offline"


def test_bad_cards_are_refused_with_a_reason(pair: tuple[Side, Side], tmp_path: Path) -> None:
    alice, bob = pair
    link = alice.says("card", "--link")["link"]
    card = bytearray(from_link(link))
    card[-1] ^= 1
    path = tmp_path / "x.card"
    path.write_bytes(CardFile(bytes(card)).to_bytes())
    assert bob.refuses("add", str(path), code=4) == "signature.invalid"
    assert bob.refuses("add", link[:-3] + "!!!", code=3) == "card.link"
    for cut in ("walletcli:card:AAAA", link[: len(link) // 2 // 8 * 8 + 15], link[:-8]):
        assert bob.refuses("add", cut, code=3) == "card.link"
    assert bob.refuses("add", "no such file", code=3) == "contact.source"
    assert bob.refuses("add", "did:key:z6Mk", code=3) == "identity.malformed"
    assert bob.refuses("add", "-", stdin=b"\x00" * 100_000, code=3) == "file.too-long"
    assert bob.says("list")["contacts"] == []


def test_a_locked_wallet_tells_nothing(acquainted: tuple[Side, Side]) -> None:
    alice, _ = acquainted
    alice.cli("wallet", "lock", home=alice.home)
    for verb in (("list",), ("show", "Bob"), ("card",), ("refresh",), ("set", "Bob", "note", "x")):
        assert alice.refuses(*verb, code=2) == "terminal.missing"
    assert alice.cli("contact", "list", home=alice.home).stdout == ""


def test_the_stranger_is_found_at_the_node_that_the_card_names(
    pair: tuple[Side, Side], node: NodeProcess, node_factory: Callable[..., NodeProcess]
) -> None:
    alice, bob = pair
    other = node_factory("other", "--no-limits")
    bob.answer("relay", "remove", node.address, home=bob.home)
    bob.answer("relay", "add", other.address, home=bob.home)
    link = alice.says("card", "--link")["link"]
    added = bob.says("add", link)
    assert added["asked"] == [node.address]
    assert added["contact"]["places"] == [node.address]


def test_a_contact_is_followed_to_where_its_record_is_and_not_only_to_ones_own_relays(
    pair: tuple[Side, Side], node: NodeProcess, node_factory: Callable[..., NodeProcess]
) -> None:
    alice, bob = pair
    other = node_factory("other", "--no-limits")
    alice.answer("publish", "alice", "--relay", other.address, home=alice.home)
    bob.answer("relay", "remove", node.address, home=bob.home)
    bob.answer("relay", "add", other.address, home=bob.home)
    before = bob.says("add", alice.says("card", "--link")["link"])["contact"]["seq"]
    alice.answer("identity", "set", "alice", "city", "Turin", "--public", home=alice.home)
    newer = alice.answer("publish", "alice", "--relay", node.address, home=alice.home)["seq"]
    told = bob.says("refresh")["refresh"]
    assert (told["asked"], told["changed"], told["failures"]) == (1, 1, [])
    assert bob.says("show", "Alice")["contact"]["seq"] == newer > before
    offer = bob.says("relate", "Alice", "--link")["link"]
    alice.says("add", bob.did, "--name", "Bob")
    alice.says("relate", "Bob", "--accept", offer, "--link")
