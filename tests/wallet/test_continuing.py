"""Two devices of one identity decide at once: what one of them changed stays, whoever publishes first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.samples import ALICE, BOB, DAY, devices
from walletcli.core.document import Document
from walletcli.core.document_parts import Retirement
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.errors import VerificationError
from walletcli.wallet.state.continuing import Found, continued, label_wanted
from walletcli.wallet.state.sections import OwnerSection
from walletcli.wallet.state.view import IdentityView

BASE = {"name": "Alice", "city": "Vienna", "url": "https://a.example"}
BASE_SECTION = OwnerSection("alice", {"phone": "1", "mail": "a", "note": "n"})


def record(seq: int, **fields: object) -> Record:
    document = Document(ALICE.public_key, seq, delegations=devices(1), **fields)  # type: ignore[arg-type]  # test data
    packet = SignedPacket.sign(ALICE, seq, packet_value(document))
    return Record.verified(packet, document.to_bytes())


def identity(changed: bool = False, **fields: object) -> IdentityView:
    view = IdentityView(
        index=0, public_key=ALICE.public_key, label="alice", created_day=DAY, device_signing_key=bytes(32),
        device_sealing_key=bytes(32), recovery_key=bytes(32), recovery_generation=0, profile=dict(BASE),
        sealed_profile=dict(BASE_SECTION.attributes), retired=None, changed=changed, unseen=False,
        record=record(5, profile=BASE).to_bytes(), stored=None, contacted=(), accepted_links=(), path="m/9791'/0'",
    )  # fmt: skip
    return replace(view, **fields)  # type: ignore[arg-type]  # test data


def found(profile: dict[str, str], section: OwnerSection | None, base: OwnerSection | None = BASE_SECTION) -> Found:
    return Found(record(9, profile=profile), section, base)


def test_who_has_decided_nothing_takes_everything_over_and_signs_nothing() -> None:
    section = OwnerSection("alice", {"phone": "2", "new": "x"})
    view = continued(identity(), found({"name": "Alice B.", "motto": "m"}, section))
    assert view.profile == {"name": "Alice B.", "motto": "m"}
    assert view.sealed_profile == {"phone": "2", "new": "x"}
    assert (view.changed, view.record) == (False, record(9, profile={"name": "Alice B.", "motto": "m"}).to_bytes())


def test_what_each_side_changed_stays() -> None:
    mine = {**BASE, "city": "Graz"}
    del mine["url"]
    sealed = {"phone": "3", "mail": "a", "note": "n"}
    view = continued(
        identity(True, profile=mine, sealed_profile=sealed),
        found({**BASE, "name": "Alice B."}, OwnerSection("alice", {"phone": "1", "mail": "b"})),
    )
    assert view.profile == {"name": "Alice B.", "city": "Graz"}
    assert view.sealed_profile == {"phone": "3", "mail": "b"}
    assert view.changed


def test_where_both_changed_the_same_this_wallet_counts() -> None:
    view = continued(identity(True, profile={**BASE, "name": "mine"}), found({**BASE, "name": "theirs"}, BASE_SECTION))
    assert view.profile["name"] == "mine"


def test_an_attribute_that_was_sealed_there_does_not_become_public_again() -> None:
    theirs = {name: value for name, value in BASE.items() if name != "city"}
    section = OwnerSection("alice", {**BASE_SECTION.attributes, "city": "Vienna"})
    view = continued(identity(True), found(theirs, section))
    assert "city" not in view.profile
    assert view.sealed_profile["city"] == "Vienna"


def test_an_attribute_stands_in_one_half_only_after_both_moved_others() -> None:
    mine = {**BASE, "phone": "1"}
    sealed = {"mail": "a", "note": "n"}
    view = continued(identity(True, profile=mine, sealed_profile=sealed), found(BASE, BASE_SECTION))
    assert view.profile["phone"] == "1"
    assert not view.profile.keys() & view.sealed_profile.keys()


def test_without_a_section_that_opens_nothing_sealed_is_lost_and_something_is_to_be_signed() -> None:
    view = continued(identity(), found({"name": "Alice B."}, None))
    assert view.sealed_profile == BASE_SECTION.attributes
    assert view.changed


def test_without_a_known_base_nothing_of_this_wallet_is_lost() -> None:
    view = continued(
        identity(True, record=None, profile={"name": "mine"}, sealed_profile={"phone": "mine"}),
        found({"name": "theirs", "city": "x"}, OwnerSection("alice", {"phone": "theirs", "mail": "x"}), None),
    )
    assert view.profile == {"name": "mine", "city": "x"}
    assert view.sealed_profile == {"phone": "mine", "mail": "x"}


def test_an_end_is_taken_over_and_nothing_follows() -> None:
    ended = Found(record(9, retirement=Retirement(DAY, 1)), BASE_SECTION, BASE_SECTION)
    view = continued(identity(True), ended)
    assert view.retired is not None
    assert not view.changed


@pytest.mark.parametrize(
    ("label", "base", "theirs", "wanted"),
    [
        ("alice", "alice", "work", "work"),
        ("mine", "alice", "work", None),
        ("alice", "alice", "alice", None),
        ("mine", "alice", "alice", None),
    ],
)
def test_a_label_follows_unless_this_wallet_changed_it(label: str, base: str, theirs: str, wanted: str | None) -> None:
    pair = Found(record(9), OwnerSection(theirs, {}), OwnerSection(base, {}))
    assert label_wanted(identity(label=label), pair) == wanted


def test_no_record_of_somebody_else_and_none_without_its_document_is_gone_on_from() -> None:
    for view, newer, code in (
        (identity(public_key=BOB.public_key), record(9), "record.identity-mismatch"),
        (identity(), Record(record(9).packet, None), "record.pending"),
    ):
        with pytest.raises(VerificationError) as refused:
            continued(view, Found(newer, None))
        assert refused.value.code == code
