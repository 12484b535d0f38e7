"""COSE_Sign1 in one form: what else a COSE library might take is refused, and the fast way in is no other way in."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.samples import ALICE, BOB
from walletcli.core import cbor, cose
from walletcli.core.cose import Sign1, sig_structure
from walletcli.errors import FormatError, VerificationError

TYP = "application/walletcli-card+cose"
SIZES = [0, 1, 22, 23, 24, 255, 256, 257, 4000, 65_535, 65_536, 70_000]


def signed(payload: bytes, typ: str = TYP) -> bytes:
    return Sign1.sign(ALICE, typ, payload).to_bytes()


def parts_of(data: bytes) -> list[Any]:
    return list(cbor2.loads(data).value)


def put_together(parts: object, tag: int = 18) -> bytes:
    return cbor2.dumps(cbor2.CBORTag(tag, parts), canonical=True)


def header(**changes: Any) -> bytes:
    fields: dict[int, Any] = {1: -8, 4: ALICE.public_key, 16: TYP}
    for name, value in changes.items():
        fields[int(name[1:])] = value
    return cbor2.dumps({key: value for key, value in fields.items() if value is not ...}, canonical=True)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("typ", [TYP, "application/walletcli-response+cose", "x"])
def test_what_is_signed_is_read_and_verifies(size: int, typ: str) -> None:
    data = signed(bytes(size), typ)
    found = Sign1.from_bytes(data, 100_000)
    found.verify()
    assert (found.typ, found.signer, found.payload) == (typ, ALICE.public_key, bytes(size))
    assert found.to_bytes() == data


@pytest.mark.parametrize("size", SIZES)
def test_the_structure_that_is_signed_is_the_standards(size: int) -> None:
    protected = parts_of(signed(b""))[0]
    assert cbor2.loads(protected) == {1: -8, 4: ALICE.public_key, 16: TYP}
    assert sig_structure(TYP, ALICE.public_key, bytes(size)) == cbor2.dumps(["Signature1", protected, b"", bytes(size)])


PARTS = parts_of(signed(b"payload"))
OTHERS: dict[str, tuple[bytes, str]] = {
    "no tag": (cbor2.dumps(PARTS), "cose.malformed"),
    "another tag": (put_together(PARTS, 98), "cbor.unsupported"),
    "three parts": (put_together(PARTS[:3]), "cose.malformed"),
    "five parts": (put_together([*PARTS, b""]), "cose.malformed"),
    "a map": (put_together({}), "cose.malformed"),
    "nothing": (b"", "cbor.truncated"),
    "a detached payload": (put_together([PARTS[0], {}, None, PARTS[3]]), "cose.malformed"),
    "a payload that is text": (put_together([PARTS[0], {}, "payload", PARTS[3]]), "cose.malformed"),
    "an unprotected key id": (put_together([PARTS[0], {4: b"x"}, *PARTS[2:]]), "cose.unsupported"),
    "an unprotected header that is a list": (put_together([PARTS[0], [], *PARTS[2:]]), "cose.unsupported"),
    "a signature of 63 bytes": (put_together([*PARTS[:3], bytes(63)]), "cose.malformed"),
    "a signature of 65 bytes": (put_together([*PARTS[:3], bytes(65)]), "cose.malformed"),
    "a signature that is null": (put_together([*PARTS[:3], None]), "cose.malformed"),
    "an empty header": (put_together([b"", *PARTS[1:]]), "cbor.truncated"),
    "a header that is a map": (put_together([{1: -8}, *PARTS[1:]]), "cose.malformed"),
    "ES256": (put_together([header(_1=-7), *PARTS[1:]]), "cose.unsupported"),
    "no algorithm": (put_together([header(_1=...), *PARTS[1:]]), "cose.unsupported"),
    "no key id": (put_together([header(_4=...), *PARTS[1:]]), "cose.unsupported"),
    "no type": (put_together([header(_16=...), *PARTS[1:]]), "cose.unsupported"),
    "a critical header": (put_together([header(_2=[16]), *PARTS[1:]]), "cose.unsupported"),
    "a content type": (put_together([header(_3=0), *PARTS[1:]]), "cose.unsupported"),
    "a type by number": (put_together([header(_16=50), *PARTS[1:]]), "cose.malformed"),
    "an empty type": (put_together([header(_16=""), *PARTS[1:]]), "cose.malformed"),
    "a type that is not ASCII": (put_together([header(_16="é"), *PARTS[1:]]), "cose.malformed"),
    "a type of 129 letters": (put_together([header(_16="x" * 129), *PARTS[1:]]), "cose.malformed"),
    "a key id of 31 bytes": (put_together([header(_4=bytes(31)), *PARTS[1:]]), "key.malformed"),
    "a key of small order": (put_together([header(_4=bytes(32)), *PARTS[1:]]), "key.malformed"),
    "a key id in text": (put_together([header(_4="k" * 32), *PARTS[1:]]), "cose.malformed"),
    "a byte more": (signed(b"payload") + b"\0", "cbor.trailing"),
    "a byte less": (signed(b"payload")[:-1], "cbor.truncated"),
    "too long": (signed(bytes(1000)), "cose.too-long"),
    "a long head": (signed(b"payload").replace(b"\x47payload", b"\x58\x07payload"), "cbor.not-canonical"),
    "a longer head": (
        signed(bytes(24)).replace(b"\x58\x18" + bytes(24), b"\x59\0\x18" + bytes(24)),
        "cbor.not-canonical",
    ),
    "a header in another order": (
        put_together([b"\xa3\x04\x58\x20" + ALICE.public_key + b"\x01\x27" + header()[-34:], *PARTS[1:]]),
        "cbor.not-canonical",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_form_is_refused(name: str) -> None:
    data, code = OTHERS[name]
    with pytest.raises(FormatError) as raised:
        Sign1.from_bytes(data, 1000)
    assert raised.value.code == code


@pytest.mark.parametrize("part", ["typ", "signer", "payload", "signature"])
def test_a_signature_is_of_all_parts(part: str) -> None:
    good = Sign1.from_bytes(signed(b"payload"), 1000)
    values = {"typ": good.typ, "signer": good.signer, "payload": good.payload, "signature": good.signature}
    other = {"typ": TYP + "x", "signer": BOB.public_key, "payload": b"Payload", "signature": bytes(64)}
    with pytest.raises(VerificationError) as raised:
        Sign1(**{**values, part: other[part]}).verify()  # type: ignore[arg-type]  # all four are of their own type
    assert raised.value.code == "signature.invalid"


@st.composite
def nearly(draw: st.DrawFn) -> bytes:
    data = bytearray(signed(bytes(draw(st.sampled_from(SIZES[:-3])))))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, min(len(data), 140) - 1) | st.integers(max(0, len(data) - 70), len(data) - 1))
        data[at] = draw(st.integers(0, 255) | st.sampled_from([0x58, 0x59, 0x5A, 0x40, 0xA0]))
    cut = draw(st.integers(0, 3))
    return bytes(data[: len(data) - cut]) + draw(st.binary(max_size=2))


@settings(max_examples=500)
@given(nearly())
def test_the_fast_way_takes_nothing_that_the_slow_one_does_not(data: bytes) -> None:
    fast = cose._usual(data)
    if fast is not None:
        tagged = cbor.decode(data, len(data))
        assert isinstance(tagged, cbor.Tagged) and isinstance(tagged.value, list)
        protected, unprotected, payload, signature = tagged.value
        assert isinstance(protected, bytes) and unprotected == {}
        assert cbor.decode(protected, 256) == {1: -8, 4: fast[1], 16: fast[0]}
        assert (payload, signature) == fast[2:]
