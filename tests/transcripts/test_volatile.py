"""The comparison that transcripts rest on notices what it should."""

from __future__ import annotations

from tests.transcripts.volatile import Bindings

ALICE = "did:key:z6Mkq2qwJdYKxcyJbb9WHp5SvdtWPRAbhyN3ydpZ4jDqry6n"
OTHER = "did:key:z6Mkw5rA2wcjtGMH5rfHo7mNeY84CtX4FssWLJMoTFug1rQ6"
THIRD = "did:key:z6Mkj9ndtS8orKGqorFS6nAgZz5gBf9JaBvYLR5ND77FFtBG"


def test_ids_may_differ_and_stay_the_same() -> None:
    bindings = Bindings()
    assert bindings.compare(f"a {ALICE}", f"a {OTHER}") is None
    assert bindings.compare(ALICE, OTHER) is None
    assert bindings.compare(ALICE, THIRD) is not None
    assert bindings.substitute(f"show {ALICE} {THIRD}") == f"show {OTHER} {THIRD}"


def test_other_text_must_be_the_same() -> None:
    for written, actual in (
        ("published", "not published"),
        ("a", "a\nb"),
        ("a\nb", "a"),
        (ALICE, "alice"),
        ("12 words", "24 words"),
        (f"{ALICE} {ALICE}", ALICE),
    ):
        assert Bindings().compare(written, actual) is not None


def test_numbers_of_one_kind_may_differ() -> None:
    assert Bindings().compare("seq: 1795277098868007", "seq: 1795233864569403") is None
    assert Bindings().compare("for 15 minutes", "for 14 minutes") is None
    assert Bindings().compare("|  .  .           |", "|E..  .         S |") is None
    assert Bindings().compare("|  .  .           |", "|  .  .   ab      |") is not None
