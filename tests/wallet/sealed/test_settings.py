"""Settings: one encoding, a merge that loses nothing and brings nothing back, and what a wallet takes over."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wallet.parts import Session
from tests.wallet.providers.parts import view_of
from walletcli.core import cbor
from walletcli.errors import FormatError
from walletcli.wallet.providers.book import KitChoice, ProviderEntry, Role, change_book, read_book
from walletcli.wallet.relays import add_relay
from walletcli.wallet.sealed.settings import (
    DeviceSettings,
    ProviderSettings,
    Settings,
    merge_settings,
    own_settings,
    take_over,
)
from walletcli.wallet.state.changes import PlanPublish
from walletcli.wallet.state.view import IdentityView, Share

KEYS = tuple(bytes([number]) * 32 for number in range(1, 6))
SHARES = tuple(Share((name,), (KEYS[0],)) for name in ("email", "phone", "street"))
SETTINGS = Settings(
    ("route:tcp",),
    ("file", "https://relay.example"),
    SHARES[:2],
    (ProviderSettings(KEYS[0], "https://provider.example", Role.MAIN),),
    (DeviceSettings(KEYS[1], "/media/stick", 20_000, ("https://relay.example",)),),
)


@pytest.mark.parametrize("settings", [Settings(), SETTINGS, replace(SETTINGS, devices=())])
def test_settings_come_back_as_they_were(settings: Settings) -> None:
    assert Settings.from_bytes(settings.to_bytes()) == settings


def changed(**fields: object) -> bytes:
    decoded = cbor.decode(SETTINGS.to_bytes(), 10_000)
    assert isinstance(decoded, dict)
    return cbor.encode({**decoded, **{int(key[1:]): value for key, value in fields.items()}})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xa0",
        changed(f2=["b", "a"]),
        changed(f2=["a", "a"]),
        changed(f3=[1]),
        changed(f4=[SHARES[1].to_row(), SHARES[0].to_row()]),
        changed(f4=[[["email"], [bytes(31)]]]),
        changed(f5=[[KEYS[0], "no address", 1]]),
        changed(f5=[[KEYS[0], "https://PROVIDER.example", 1]]),
        changed(f5=[[KEYS[0], "https://provider.example", 3]]),
        changed(f5=[[KEYS[0], "https://provider.example", 1]] * 2),
        changed(f6=[[KEYS[0], "x\0", None, []]]),
        changed(f6=[[KEYS[0], "x", 99_999, []]]),
        changed(f6=[[KEYS[0], "x", None, [1]]]),
        changed(f6=[[KEYS[1], "", None, []], [KEYS[0], "", None, []]]),
        changed(f7=1),
    ],
)
def test_what_are_no_settings_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        Settings.from_bytes(data)


def test_settings_of_a_newer_version_say_so() -> None:
    with pytest.raises(FormatError) as error:
        Settings.from_bytes(changed(f1=2))
    assert error.value.code == "data-settings.unknown-version"


def with_shares(*shares: Share) -> Settings:
    return Settings(shares=tuple(sorted(shares, key=lambda share: share.names)))


def test_what_either_side_added_is_there_and_what_either_removed_is_not() -> None:
    base = with_shares(*SHARES[:2])
    mine, theirs = with_shares(*SHARES), with_shares(SHARES[1])
    assert merge_settings(base, mine, theirs).shares == SHARES[1:]


def test_without_a_base_nothing_is_removed() -> None:
    assert merge_settings(Settings(), with_shares(SHARES[0]), with_shares(SHARES[1])).shares == SHARES[:2]


def test_contacted_relays_and_accepted_links_only_grow() -> None:
    merged = merge_settings(SETTINGS, Settings(), Settings(("other",)))
    assert merged.accepted_links == ("other",)
    assert merge_settings(SETTINGS, SETTINGS, Settings()).contacted == SETTINGS.contacted


def test_of_two_addresses_of_a_provider_one_stays_the_same_on_both_sides() -> None:
    one = Settings(providers=(ProviderSettings(KEYS[0], "https://a.example", Role.MAIN),))
    other = Settings(providers=(ProviderSettings(KEYS[0], "https://b.example", Role.MAIN),))
    assert merge_settings(Settings(), one, other) == merge_settings(Settings(), other, one)
    assert len(merge_settings(Settings(), one, other).providers) == 1


def test_each_device_writes_its_own_row_and_rows_of_gone_devices_go() -> None:
    mine = Settings(devices=(DeviceSettings(KEYS[0], "/new", None, ()),))
    theirs = Settings(devices=tuple(DeviceSettings(key, "/old", None, ()) for key in KEYS[:3]))
    merged = merge_settings(theirs, mine, theirs, KEYS[:2])
    assert [(item.device, item.kit_path) for item in merged.devices] == [(KEYS[0], "/new"), (KEYS[1], "/old")]


_texts = st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True).map(lambda found: tuple(sorted(found)))
_shares = st.lists(st.sampled_from(SHARES), unique=True).map(
    lambda found: tuple(sorted(found, key=lambda share: share.names))
)
_settings = st.builds(Settings, accepted_links=_texts, contacted=_texts, shares=_shares)


@given(_settings, _settings, _settings)
def test_a_merge_does_not_depend_on_the_side_and_is_done_when_it_is_done(
    base: Settings, mine: Settings, theirs: Settings
) -> None:
    merged = merge_settings(base, mine, theirs)
    assert merged == merge_settings(base, theirs, mine)
    assert Settings.from_bytes(merged.to_bytes()) == merged
    assert merge_settings(merged, merged, merged) == merged
    assert merge_settings(theirs, merged, theirs).shares == merged.shares


def test_a_wallet_tells_what_stands_nowhere_else(session: Session, alice: IdentityView) -> None:
    add_relay(session.home, "https://relay.example")
    session.apply(PlanPublish(alice.index, ("https://other.example",), ("route:tcp",)))
    entry = ProviderEntry(KEYS[0], "https://provider.example", Role.KIT)
    change_book(session, alice.index, lambda book: book.with_entry(entry))
    found = own_settings(session, view_of(session))
    assert found.contacted == ("https://other.example",)
    assert found.accepted_links == ("route:tcp",)
    assert found.providers == (ProviderSettings(KEYS[0], "https://provider.example", Role.KIT),)
    assert found.devices == (DeviceSettings(alice.device_signing_key, None, None, ("https://relay.example",)),)
    change_book(session, alice.index, lambda book: replace(book, kit=KitChoice()))
    assert [row.kit_path for row in own_settings(session, view_of(session)).devices] == [""]


def test_a_wallet_takes_over_what_another_device_decided(session: Session, alice: IdentityView) -> None:
    take_over(session, alice, replace(SETTINGS, shares=SHARES))
    after = view_of(session)
    assert after.accepted_links == SETTINGS.accepted_links
    assert after.contacted == SETTINGS.contacted
    assert after.shares == SHARES
    entry = read_book(session, alice.index).get(KEYS[0])
    assert entry is not None
    assert entry.address == "https://provider.example"
    assert read_book(session, alice.index).kit is None  # a path means nothing on another machine
    before = session.snapshot().generation
    take_over(session, after, replace(SETTINGS, shares=SHARES))
    assert session.snapshot().generation == before


def test_where_a_provider_was_reached_here_is_not_overwritten(session: Session, alice: IdentityView) -> None:
    entry = ProviderEntry(KEYS[0], "https://here.example", Role.MAIN)
    change_book(session, alice.index, lambda book: book.with_entry(entry))
    take_over(session, alice, SETTINGS)
    assert read_book(session, alice.index).get(KEYS[0]) == entry
