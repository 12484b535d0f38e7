"""The state's format: one encoding, strict both ways, and no secret in its public half."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.core import samples
from walletcli.core import cbor
from walletcli.core.secret import Secret
from walletcli.errors import FormatError, WalletError
from walletcli.wallet.state.approvers import ApproverPlan, Credential
from walletcli.wallet.state.kept_splits import Healing, KeptSplit
from walletcli.wallet.state.view import IdentityView, Retired, Share, Stored
from walletcli.wallet.state.wallet_state import DeviceSecrets, WalletState
from walletcli.wallet.state.wallet_view import Seen, WalletView

IDENTITY = IdentityView(
    index=3,
    public_key=b"\1" * 32,
    label="Zoë",
    created_day=20_000,
    device_signing_key=b"\2" * 32,
    device_sealing_key=b"\3" * 32,
    recovery_key=b"\4" * 32,
    recovery_generation=0,
    profile={"name": "Zoë"},
    sealed_profile={"phone": "1"},
    retired=Retired(20_001, 2),
    changed=True,
    unseen=False,
    record=b"record",
    stored=Stored(5, ("https://relay.example",), 20_002),
    contacted=("file", "https://relay.example"),
    accepted_links=("route:tcp",),
    path="m/9791'/3'",
)
DECIDED = replace(
    IDENTITY, index=4, retired=None, record=None, stored=None,
    bindings=(b"grant",), shares=(Share(("phone",), (b"\x08" * 32,)),), revoked=(b"\x09" * 32,),
    healing=(Healing(7, b"\x01" * 32, b"\x02" * 32),),
    approvers=ApproverPlan(samples.approvers(3, 2), lost=True), credentials=(Credential(b"\x02" * 33, b"id", "blue"),),
)  # fmt: skip
PUBLIC = WalletView(
    scheme="walletcli",
    language="english",
    word_count=24,
    check=b"\5" * 16,
    created_day=20_000,
    restored=False,
    identities=(IDENTITY, DECIDED),
    seen={b"\6" * 32: Seen(9, b"\7" * 32, b"record"), b"\5" * 32: Seen(0, None, None)},
    splits=(KeptSplit(b"\6" * 32, b"proof"), KeptSplit(b"\5" * 32, b"")),
)
DEVICE = DeviceSecrets(Secret(b"\x0a" * 32), Secret(b"\x0b" * 32))
DEVICE_ROWS = [[index, b"\x0a" * 32, b"\x0b" * 32] for index in (3, 4)]
DRAWERS = {(-1, "drill"): b"passed", (3, "contacts"): b"book", (4, "contacts"): b""}
STATE = WalletState(Secret(b"\x0c" * 64), {3: DEVICE, 4: DEVICE}, PUBLIC, DRAWERS)


def decoded() -> dict[int, Any]:
    value = cbor.decode(STATE.to_bytes(), 1 << 20)
    assert isinstance(value, dict)
    return value  # type: ignore[return-value]  # test data


def test_what_is_written_is_read() -> None:
    assert WalletState.from_bytes(STATE.to_bytes()) == STATE
    assert WalletState.from_bytes(STATE.to_bytes()).to_bytes() == STATE.to_bytes()


WATCH = WalletState(
    None,
    {3: DEVICE},
    replace(PUBLIC, language="", word_count=0, check=b"", identities=(IDENTITY,), watch=True),
    {},
    {b"\x0d" * 32: DEVICE},
)


def test_a_watch_wallet_is_written_and_read_without_a_seed() -> None:
    assert WalletState.from_bytes(WATCH.to_bytes()) == WATCH
    assert 2 not in cbor.decode(WATCH.to_bytes(), 1 << 20)  # type: ignore[operator]  # test data
    known = replace(WATCH, public=replace(WATCH.public, check=b"\5" * 16))
    assert WalletState.from_bytes(known.to_bytes()) == known


@pytest.mark.parametrize(
    "make",
    [
        lambda: replace(WATCH, seed=STATE.seed),
        lambda: replace(STATE, seed=None),
        lambda: replace(WATCH.public, language="english"),
        lambda: replace(WATCH.public, word_count=12),
        lambda: replace(WATCH.public, check=b"\5" * 15),
        lambda: replace(PUBLIC, language=""),
        lambda: replace(PUBLIC, word_count=0),
        lambda: replace(PUBLIC, check=b""),
        lambda: replace(PUBLIC, watch=True),
    ],
)
def test_a_wallet_has_words_or_watches(make: Callable[[], object]) -> None:
    with pytest.raises(FormatError) as refused:
        make()
    assert refused.value.code in ("wallet-state.malformed", "wallet-view.malformed")


@pytest.mark.parametrize(
    "change",
    [
        {6: []},
        {6: [[b"\x0d" * 31, b"\x0a" * 32, b"\x0b" * 32]]},
        {6: [[b"\x0d" * 32, b"\x0a" * 32]]},
        {6: [[b"\x0d" * 32, b"\x0a" * 32, b"\x0b" * 32]] * 2},
        {2: None},
    ],
)
def test_devices_that_wait_stand_there_once_and_whole(change: dict[int, Any]) -> None:
    value = cbor.decode(WATCH.to_bytes(), 1 << 20)
    assert isinstance(value, dict)
    with pytest.raises(WalletError) as refused:
        WalletState.from_bytes(cbor.encode({**value, **change}))
    assert refused.value.code == "wallet-state.malformed"


def test_the_public_half_holds_no_secret() -> None:
    public = cbor.encode(PUBLIC.to_cbor())
    assert STATE.seed is not None
    for secret in (STATE.seed, DEVICE.signing, DEVICE.sealing):
        assert secret.reveal()[:8] not in public


def test_a_repr_shows_no_secret() -> None:
    text = repr(STATE)
    for secret in (b"\x0a", b"\x0b", b"\x0c"):
        assert repr(secret * 32)[2:-1] not in text
        assert (secret * 32).hex() not in text


def set_at(*path: object) -> Callable[[dict[int, Any]], None]:
    *steps, last, value = path

    def change(root: dict[int, Any]) -> None:
        place: Any = root
        for step in steps:
            place = place[step]
        if value is KeyError:
            del place[last]
        else:
            place[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        set_at(1, KeyError),
        set_at(1, True),
        set_at(2, KeyError),
        set_at(2, b"\x0c" * 63),
        set_at(2, "seed"),
        set_at(3, KeyError),
        set_at(3, []),
        set_at(3, {}),
        set_at(3, 0, [3, b"\x0a" * 32]),
        set_at(3, 0, [3, b"\x0a" * 32, b"\x0b" * 32, 1]),
        set_at(3, 0, [3, b"\x0a" * 31, b"\x0b" * 32]),
        set_at(3, 0, [5, b"\x0a" * 32, b"\x0b" * 32]),
        set_at(4, KeyError),
        set_at(4, []),
        set_at(5, 0),
        set_at(4, 3, 11),
        set_at(4, 4, b""),
        set_at(4, 6, 1),
        set_at(4, 9, 1),
        set_at(4, 7, 0, 2, b"\1" * 31),
        set_at(4, 7, 0, 3, "x" * 8193),
        set_at(4, 7, 0, 1, -1),
        set_at(4, 7, 0, 1, 2**31 - 1),
        set_at(4, 7, 0, 9, {1: "x"}),
        set_at(4, 7, 0, 9, {"x": 1}),
        set_at(4, 7, 0, 16, "file"),
        set_at(4, 7, 0, 16, [1]),
        set_at(4, 7, 0, 11, {1: 1}),
        set_at(4, 7, 0, 15, {1: 1, 2: [], 3: 1, 4: 1}),
        set_at(4, 7, 0, 19, 1),
        set_at(4, 7, 0, 1, 4),
        set_at(4, 8, 0, [b"\6" * 32, 9, b"\7" * 32]),
        set_at(3, [DEVICE_ROWS[1], DEVICE_ROWS[0]]),
        set_at(3, [DEVICE_ROWS[0], DEVICE_ROWS[0], DEVICE_ROWS[1]]),
        set_at(4, 8, [[b"\6" * 32, 9, None, None], [b"\5" * 32, 0, None, None]]),
        set_at(4, 8, [[b"\5" * 32, 9, None, None], [b"\5" * 32, 0, None, None]]),
        set_at(4, 8, 0, [b"\6" * 31, 9, b"\7" * 32, None]),
        set_at(4, 8, 0, [b"\6" * 32, 9, b"\7" * 32, bytes(10_001)]),
    ],
)
def test_a_state_that_is_not_exactly_right_is_refused(change: Callable[[dict[int, Any]], None]) -> None:
    value = decoded()
    change(value)
    with pytest.raises(FormatError) as refused:
        WalletState.from_bytes(cbor.encode(value))
    assert refused.value.code in ("wallet-state.malformed", "wallet-view.malformed")


def test_a_state_of_a_later_version_says_so() -> None:
    with pytest.raises(FormatError) as refused:
        WalletState.from_bytes(cbor.encode({**decoded(), 1: 2}))
    assert refused.value.code == "wallet-state.unknown-version"


def test_every_truncation_and_every_flipped_byte_ends_in_our_error_or_another_state() -> None:
    data = STATE.to_bytes()
    for end in range(0, len(data), 7):
        with pytest.raises(WalletError):
            WalletState.from_bytes(data[:end])
    for at in range(0, len(data), 3):
        spoiled = bytearray(data)
        spoiled[at] ^= 0x41
        try:
            WalletState.from_bytes(bytes(spoiled))
        except WalletError:
            continue
