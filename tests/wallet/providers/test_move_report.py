"""The report of a move: kept whole in the vault, and continued by the run that goes on."""

from __future__ import annotations

import dataclasses

import pytest

from walletcli.client.copying import Missing
from walletcli.errors import FormatError
from walletcli.wallet.providers.move_report import ItemOutcome, MoveReport, Outcome, Unusable

LOST = ItemOutcome(True, "song", 5, 100, Outcome.LOST)
MOVED = ItemOutcome(True, "letter", 4, 100, Outcome.MOVED)
THERE = dataclasses.replace(MOVED, outcome=Outcome.THERE)
OLDER = ItemOutcome(True, "diary", 9, 200, Outcome.OLDER, 150)
BACK = ItemOutcome(True, "diary", 6, 150, Outcome.THERE)
OWN = ItemOutcome(False, "settings", 9, 100, Outcome.VAULT)
GONE = Missing(b"\1" * 16, 3, 0)
CUT_OFF = MoveReport((OWN, OLDER, MOVED, LOST), 3, 1, 2, 900, (GONE,), old="dead")


def test_a_report_comes_back_as_it_was() -> None:
    bad = Unusable(b"\2" * 16, "http://127.0.0.1:1", "blob.mismatch", "other bytes")
    for report in (MoveReport(), dataclasses.replace(CUT_OFF, unusable=(bad,), old_error=bad, indexed=False)):
        assert MoveReport.from_row(report.to_row()) == report


def test_a_long_reason_is_cut_at_a_letter() -> None:
    kept = Unusable.from_row(Unusable(None, "x", "a.b", "é" * 300).to_row())
    assert kept.message == "é" * 200


@pytest.mark.parametrize("old", ["", "happy", "agreed "])
def test_an_unknown_state_of_a_provider_is_refused(old: str) -> None:
    with pytest.raises(FormatError) as caught:
        dataclasses.replace(CUT_OFF, old=old)
    assert caught.value.code == "provider-book.malformed"


def test_what_was_lost_before_is_lost_though_no_index_names_it_any_more() -> None:
    now = MoveReport((BACK, THERE), 0, 6, 0, 0)
    report = now.continuing(CUT_OFF)
    assert set(report.items) == {OWN, OLDER, MOVED, LOST}
    assert report.lost == (GONE,)
    assert (report.moved, report.there, report.kit, report.copied_bytes) == (3, 1, 2, 900)
    assert not report.is_complete
    assert report.lost_files == 2


def test_what_has_come_back_since_is_not_lost() -> None:
    newer = dataclasses.replace(LOST, outcome=Outcome.MOVED, stored_s=300)
    report = MoveReport((newer, THERE), 1, 6, 0, 5).continuing(dataclasses.replace(CUT_OFF, items=(MOVED, LOST)))
    assert set(report.items) == {MOVED, newer}
    assert report.lost == ()
    assert report.is_complete
    assert report.moved == 4


def test_a_first_run_continues_nothing() -> None:
    assert CUT_OFF.continuing(None) == CUT_OFF


@pytest.mark.parametrize(("old", "complete"), [("agreed", True), ("dead", False), ("refused", False)])
def test_without_an_index_only_a_provider_that_gave_all_it_lists_is_believed(old: str, complete: bool) -> None:
    assert MoveReport(indexed=False, old=old).is_complete is complete
