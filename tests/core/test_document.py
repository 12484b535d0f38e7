"""docs/spec/record.md, "Document": every field, right and wrong."""

from __future__ import annotations

import hashlib
from dataclasses import FrozenInstanceError, replace
from typing import Any

import cbor2
import pytest

from tests.core.samples import (
    ALICE,
    BOB,
    DAY,
    P256_G,
    P256_P,
    SEQ,
    approvers,
    device,
    devices,
    documents,
    everything,
    fields_of,
    key,
    padded,
    written,
)
from tests.core.vectors import load, name
from walletcli.core import cbor
from walletcli.core.document import MAX_DOCUMENT_BYTES, STEPS, Document, check_attribute
from walletcli.core.document_parts import (
    Address,
    Approver,
    Approvers,
    Delegation,
    Power,
    Retirement,
    Succession,
    Transport,
)
from walletcli.errors import FormatError

DOCUMENTS = documents()


def refused(data: bytes) -> str:
    with pytest.raises(FormatError) as raised:
        Document.from_bytes(data)
    return raised.value.code


def not_made(code: str, **fields: Any) -> None:
    with pytest.raises(FormatError) as raised:
        Document(**{"identity": ALICE.public_key, "seq": SEQ, **fields})
    assert raised.value.code == code


def data_of(case: dict[str, Any]) -> bytes:
    return bytes.fromhex(case["hex"]).ljust(case["length"], b"\0")


@pytest.mark.parametrize("case", load("document.json"), ids=name)
def test_a_document_reads_as_its_vector_says(case: dict[str, Any]) -> None:
    document = Document.from_bytes(data_of(case))
    assert document == DOCUMENTS[case["name"]]
    assert document.to_bytes() == data_of(case)
    assert document.to_json() == case["json"]
    assert document.hash.hex() == case["sha256"] == hashlib.sha256(data_of(case)).hexdigest()


@pytest.mark.parametrize("case", load("document.json", "invalid"), ids=name)
def test_what_must_be_refused_is_refused(case: dict[str, Any]) -> None:
    assert refused(data_of(case)) == case["error"]


@pytest.mark.parametrize("title", DOCUMENTS)
def test_a_document_cut_short_anywhere_is_refused(title: str) -> None:
    data = DOCUMENTS[title].to_bytes()
    for length in range(len(data)):
        assert refused(data[:length]) == "cbor.truncated"


@pytest.mark.parametrize("title", DOCUMENTS)
@pytest.mark.parametrize("number", range(1, 16))
def test_a_field_in_another_place_is_refused(title: str, number: int) -> None:
    fields = fields_of(DOCUMENTS[title])
    if number not in fields:
        assert "document." in refused(written({**fields, number: []}))
        return
    pairs = [cbor.encode(k) + cbor.encode(v) for k, v in fields.items()]
    at = list(fields).index(number)
    moved = [*pairs[:at], *pairs[at + 1 :], pairs[at]] if at + 1 < len(pairs) else [pairs[at], *pairs[:at]]
    assert refused(padded(bytes([0xA0 | len(pairs)]) + b"".join(moved))) == "cbor.not-canonical"
    twice = [*pairs[: at + 1], *pairs[at:]]
    assert refused(padded(bytes([0xA0 | len(twice)]) + b"".join(twice))) == "cbor.not-canonical"


@pytest.mark.parametrize("number", [2, 3, 16])
def test_a_field_that_is_needed_cannot_be_left_out(number: int) -> None:
    fields: Any = cbor.decode(everything().to_bytes(), MAX_DOCUMENT_BYTES)
    del fields[number]
    assert refused(written(fields) if number != 16 else cbor.encode(fields)) == "document.form"


@pytest.mark.parametrize("number", [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15])
@pytest.mark.parametrize("value", [None, 0, 2**64 - 1, -1, True, b"", "", [], {}, cbor.Tagged(18, [])], ids=repr)
def test_a_field_of_no_meaning_is_refused_not_taken_for_absent(number: int, value: Any) -> None:
    fields = fields_of(DOCUMENTS["no optional field"])
    assert refused(written({**fields, number: value})).startswith("document.")


def test_every_bit_of_a_document_changes_it_or_breaks_it() -> None:
    data = DOCUMENTS["two devices and a profile"].to_bytes()
    hashes = {hashlib.sha256(data).digest()}
    for at in range(420):
        for bit in range(8):
            changed = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            try:
                document = Document.from_bytes(changed)
            except FormatError:
                continue
            assert document.to_bytes() == changed
            assert document.hash not in hashes
            hashes.add(document.hash)


@pytest.mark.parametrize("title", DOCUMENTS)
def test_a_codec_that_is_not_ours_writes_the_same_bytes(title: str) -> None:
    data = DOCUMENTS[title].to_bytes()
    if title not in ("extensions", "everything"):  # cbor2 sorts shorter keys first; only extensions have such keys
        assert cbor2.dumps(cbor2.loads(data), canonical=True) == data


# --- padding


def sized_document(bare_bytes: int) -> Document | None:
    """Return a document whose encoding without padding, but with the padding's key, has that many bytes.

    There is none of a few sizes: the head of the extension that fills it jumps over them.
    """
    rest = bare_bytes - len(cbor.encode(fields_of(Document(ALICE.public_key, SEQ, extensions={0: None}))))
    for size in (rest - 1, rest - 2, rest - 3):
        if size >= 0 and len(cbor.encode(bytes(size))) == rest:
            return Document(ALICE.public_key, SEQ, extensions={0: bytes(size)})
    return None


@pytest.mark.parametrize(
    ("bare_bytes", "total", "padding"),
    [
        (1023, 1024, 0),
        (1000, 1024, 23),
        (999, 2048, 1046),  # 24 bytes of padding need a second byte of head, 23 are too few: the next step
        (998, 1024, 24),
        (767, 1024, 255),
        (766, 2048, 1279),
        (765, 1024, 256),
        (1024, 2048, 1021),
        (2047, 2048, 0),
        (2048, 4096, 2045),
    ],
)
def test_padding_reaches_the_smallest_step_that_can_be_reached(bare_bytes: int, total: int, padding: int) -> None:
    document = sized_document(bare_bytes)
    assert document is not None
    data = document.to_bytes()
    fields: Any = cbor.decode(data, MAX_DOCUMENT_BYTES)
    assert (len(data), len(fields[16])) == (total, padding)
    assert Document.from_bytes(data) == document


def test_every_size_lands_on_a_step_and_comes_back() -> None:
    found = 0
    for bare_bytes in (*range(100, 1030), *range(1790, 2050), *range(3800, 4100)):
        document = sized_document(bare_bytes)
        if document is not None:
            data = document.to_bytes()
            assert len(data) in STEPS
            assert Document.from_bytes(data).to_bytes() == data
            found += 1
    assert found > 1480


def test_a_document_is_longer_than_its_step_only_where_no_padding_fits() -> None:
    small = fields_of(DOCUMENTS["no optional field"])
    for step in STEPS[1:4]:
        bare = len(cbor.encode(small)) + 1
        for rest in range(step - bare - 3, step - bare + 1):
            data = cbor.encode({**small, 16: bytes(rest)})
            if len(data) == step:
                assert refused(data) == "document.padding"


# --- what can be constructed can be encoded


def test_what_is_too_long_cannot_be_constructed() -> None:
    sections = tuple(bytes([n]) * 16_384 for n in range(4))
    assert len(Document(ALICE.public_key, SEQ, sections=sections[:3]).to_bytes()) == 65_536
    not_made("document.too-long", sections=sections)
    not_made("document.too-long", profile={f"a{n}": "x" * 1024 for n in range(64)})
    not_made("document.too-long", bindings=tuple(bytes([n]) * 4096 for n in range(16)))
    not_made("document.too-long", profile={f"a{n}": "☿" * 341 for n in range(40)}, sections=sections[:2])


def test_the_longest_document() -> None:
    bare = len(cbor.encode(fields_of(Document(ALICE.public_key, SEQ, sections=(b"\1", b"\2", b"\3", b"\4")))))
    rest = 65_536 - bare - 2 + 4 - 4 * 2 - 3 * 16_384
    sections = (*(bytes([n]) * 16_384 for n in range(3)), b"\xff" * rest)
    document = Document(ALICE.public_key, SEQ, sections=sections)
    data = document.to_bytes()
    assert len(data) == 65_536
    assert Document.from_bytes(data) == document
    not_made("document.too-long", sections=(*sections[:3], b"\xff" * (rest + 1)))


def test_many_small_parts_at_once_fit() -> None:
    full = replace(
        everything(),
        delegations=devices(32),
        approvers=approvers(8, 8),
        profile={f"{n:032}": "x" * 200 for n in range(64)},
        addresses=tuple(Address(Transport.TCP, f"{n:0255}", bytes(32)) for n in range(16)),
        healed=tuple((bytes([n]) * 32, b"\xff" * 32) for n in range(8)),
        extensions={n: bytes(240) for n in range(32)},
    )
    assert Document.from_bytes(full.to_bytes()) == full


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("key.malformed", {"identity": bytes(32)}),
        ("key.malformed", {"identity": b"short"}),
        ("document.seq", {"seq": -1}),
        ("document.seq", {"seq": 2**63}),
        ("document.seq", {"seq": True}),
        ("document.previous", {"previous": bytes(31)}),
        ("document.bindings", {"bindings": (b"",)}),
        ("document.bindings", {"bindings": (b"x", b"x")}),
        ("document.bindings", {"bindings": tuple(bytes([n]) for n in range(17))}),
        ("document.delegations", {"delegations": devices(2)[::-1]}),
        ("document.delegations", {"delegations": devices(1) * 2}),
        ("document.delegations", {"delegations": devices(33)}),
        ("document.delegations", {"delegations": (replace(device("x"), signing_key=ALICE.public_key),)}),
        ("document.approvers", {"approvers": Approvers(1, (Approver(-8, ALICE.public_key, True),), 30)}),
        ("document.succession", {"succession": Succession(bytes(32), 30, ALICE.public_key)}),
        ("document.profile", {"profile": {"Name": "x"}}),
        ("document.profile", {"profile": {"name": ""}}),
        ("document.profile", {"profile": {"name": "\ud800"}}),
        ("document.profile", {"profile": {f"a{n}": "x" for n in range(65)}}),
        ("document.sections", {"sections": (b"b", b"a")}),
        ("document.sections", {"sections": (b"a", b"a")}),
        ("document.sections", {"sections": (b"",)}),
        ("document.sections", {"sections": (bytes(16_385),)}),
        ("document.addresses", {"addresses": (Address(Transport.TCP, "h:1"),) * 2}),
        ("document.addresses", {"addresses": tuple(Address(Transport.TCP, f"h:{n}") for n in range(17))}),
        ("document.healed", {"healed": ((b"\1" * 32, bytes(32)),)}),
        ("document.healed", {"healed": ((bytes(32), b"\1" * 32),) * 2}),
        ("document.healed", {"healed": ((bytes(32), b"\1" * 32, b"\2" * 32),)}),
        ("document.extensions", {"extensions": dict.fromkeys(range(33), 0)}),
        ("document.extensions", {"extensions": {0: bytes(8192)}}),
        ("cbor.unsupported", {"extensions": {0: 1.5}}),
        ("cbor.unsupported", {"extensions": {True: 1}}),
        ("cbor.text", {"extensions": {"\ud800": 1}}),
    ],
)
def test_a_wrong_document_cannot_be_constructed(code: str, fields: dict[str, Any]) -> None:
    not_made(code, **fields)


def test_extensions_that_would_be_too_deep_cannot_be_constructed() -> None:
    deep: Any = []
    for _ in range(13):
        deep = [deep]
    document = Document(ALICE.public_key, SEQ, extensions={0: deep})
    assert Document.from_bytes(document.to_bytes()) == document
    not_made("cbor.too-deep", extensions={0: [deep]})


def test_a_document_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        everything().seq = 1  # type: ignore[misc]  # that it cannot be set is the test


# --- parts


@pytest.mark.parametrize(
    "change",
    [
        {"powers": frozenset()},
        {"powers": frozenset({"rule"})},
        {"not_after_day": DAY},
        {"not_after_day": DAY + 91},
        {"not_before_day": -1, "not_after_day": 5},
        {"not_before_day": 47_482, "not_after_day": 47_483},
        {"not_before_day": True},
    ],
)
def test_a_wrong_delegation_cannot_be_constructed(change: dict[str, Any]) -> None:
    with pytest.raises(FormatError) as raised:
        replace(device("x"), **change)
    assert raised.value.code == "document.delegation"


@pytest.mark.parametrize("mask", range(1, 16))
def test_powers_and_their_number_say_the_same(mask: int) -> None:
    powers = [
        power for bit, power in enumerate((Power.HOST, Power.MESSAGE, Power.SHARE, Power.GRANT)) if mask >> bit & 1
    ]
    made = device("x", *powers)
    assert made.to_cbor()[3] == mask
    assert Delegation.from_cbor(made.to_cbor()) == made


def test_a_delegation_holds_from_its_first_day_to_the_day_before_its_end() -> None:
    made = device("x")
    assert [made.holds_on(day) for day in (DAY - 1, DAY, DAY + 89, DAY + 90)] == [False, True, True, False]


@pytest.mark.parametrize("days", [1, 90])
def test_a_delegation_lasts_one_to_ninety_days(days: int) -> None:
    assert replace(device("x"), not_after_day=DAY + days).not_after_day == DAY + days


@pytest.mark.parametrize(
    "public_key",
    [P256_G[:32], P256_G + b"\0", b"\4" + P256_G[1:], b"\0" + P256_G[1:], b"\2" + P256_P.to_bytes(32, "big"), b""],
)
def test_a_wrong_p256_key_cannot_approve(public_key: bytes) -> None:
    with pytest.raises(FormatError) as raised:
        Approver(-7, public_key, True)
    assert raised.value.code == "document.approvers"


def test_the_highest_x_of_p256_is_below_the_prime() -> None:
    assert Approver(-7, b"\2" + (P256_P - 1).to_bytes(32, "big"), True)


@pytest.mark.parametrize("algorithm", [0, -6, -9, -257])
def test_other_algorithms_cannot_approve(algorithm: int) -> None:
    with pytest.raises(FormatError):
        Approver(algorithm, key("x").public_key, True)


@pytest.mark.parametrize("threshold", [0, 4, -1])
def test_a_threshold_needs_as_many_approvers(threshold: int) -> None:
    with pytest.raises(FormatError) as raised:
        approvers(3, threshold)
    assert raised.value.code == "document.approvers"


@pytest.mark.parametrize(("day", "reason"), [(-1, 0), (47_483, 0), (0, -1), (0, 4)])
def test_a_wrong_retirement_cannot_be_constructed(day: int, reason: int) -> None:
    with pytest.raises(FormatError) as raised:
        Retirement(day, reason)
    assert raised.value.code == "document.retirement"


# --- text


@pytest.mark.parametrize(
    "value", ["a\nb", "é", "e\u0301", "水銀", "👩\u200d🚀", "ن\u200cم", "❤️", "\U000e0100", "x" * 1024, "é" * 512]
)
def test_what_people_write_is_taken(value: str) -> None:
    check_attribute("name", value)


def test_characters_that_came_later_are_taken() -> None:
    # Not assigned in the Unicode of the oldest Python that this runs on: verifiers must not differ by their tables.
    for code in (0x1FADF, 0x10D40, 0x11BC0, 0x378):
        check_attribute("name", chr(code))


def test_every_character_is_judged_by_the_fixed_list() -> None:
    ranges = (
        "0-9 b-1f 7f-9f ad 61c 180e 200b 200e-200f 2028-202e 2060-206f d800-dfff e000-f8ff fdd0-fdef feff fff9-fffb"
    )
    ranges += " fffe-ffff e0000-e00ff f0000-10ffff"
    forbidden: set[int] = set()
    for text in ranges.split():
        first, _, last = text.partition("-")
        forbidden.update(range(int(first, 16), int(last or first, 16) + 1))
    for code in (*range(0x11000), *range(0xDFF00, 0xE0200), *range(0x10FFF0, 0x110000), 0xF0000, 0xEFFFF):
        try:
            check_attribute("name", f"a{chr(code)}")
            taken = True
        except FormatError:
            taken = False
        assert taken is (code not in forbidden), f"U+{code:04X}"


def test_the_root_key_of_another_may_be_a_device() -> None:
    other = Document(ALICE.public_key, SEQ, delegations=(replace(device("x"), signing_key=BOB.public_key),))
    assert Document.from_bytes(other.to_bytes()) == other


def test_the_last_day_is_the_first_of_2100() -> None:
    retired = Document(ALICE.public_key, SEQ, retirement=Retirement(47_482))
    assert Document.from_bytes(retired.to_bytes()) == retired
