"""docs/spec/record.md, "Packet": DNS answers within bounds."""

from __future__ import annotations

import dnslib
import pytest

from tests.core.dns_wire import message, name, pointer, rr, text
from tests.core.samples import ALICE, documents
from tests.vectors.cases_packet import HELLO, invalid_values, valid_values
from walletcli.core import dns
from walletcli.core.encodings import z32_encode
from walletcli.core.record import packet_value
from walletcli.errors import FormatError

Z = z32_encode(ALICE.public_key)
VALUES = valid_values()
INVALID = list(invalid_values())
READ_BY_DNSLIB = sorted(
    VALUES.keys()
    - {"the root name", "a label that is no text", "a type that nobody knows"}
    - {"a dot and a backslash inside labels", "_w and the key in one label"}  # which it shows as they are
    - {"1024 labels and pointers"}  # dnslib takes no record without data
)


def refused(value: bytes) -> str:
    with pytest.raises(FormatError) as raised:
        dns.decode(value)
    return raised.value.code


@pytest.mark.parametrize(("value", "error"), [case[1:] for case in INVALID], ids=[case[0] for case in INVALID])
def test_what_breaks_a_rule_is_refused(value: bytes, error: str) -> None:
    assert refused(value) == error


@pytest.mark.parametrize("title", VALUES)
def test_a_message_cut_short_anywhere_is_refused(title: str) -> None:
    value = VALUES[title]
    for length in range(len(value)):
        assert refused(value[:length]) == "dns.truncated"


@pytest.mark.parametrize("title", VALUES)
def test_a_byte_more_is_refused(title: str) -> None:
    assert refused(VALUES[title] + b"\0") == "dns.trailing"


@pytest.mark.parametrize("title", READ_BY_DNSLIB)
def test_a_library_that_is_not_ours_reads_the_same(title: str) -> None:
    compare_with_dnslib(VALUES[title])


@pytest.mark.parametrize("title", documents())
def test_a_library_that_is_not_ours_reads_our_packets(title: str) -> None:
    value = packet_value(documents()[title])
    compare_with_dnslib(value)
    header = dnslib.DNSRecord.parse(value).header
    assert (header.id, header.bitmap, header.q, header.auth, header.ar) == (0, 0x8400, 0, 0, 0)


def compare_with_dnslib(value: bytes) -> None:
    theirs = dnslib.DNSRecord.parse(value).rr
    ours = dns.decode(value)
    assert len(ours) == len(theirs)
    for our, their in zip(ours, theirs, strict=True):
        assert our.name == b".".join(their.rname.label)
        assert (our.type, our.ttl_s, their.rclass) == (their.rtype, their.ttl, dns.CLASS_IN)
        if our.type == dns.TYPE_TXT:
            assert our.data == b"".join(their.rdata.data)
        elif our.type in (dns.TYPE_NS, dns.TYPE_CNAME):
            assert our.data == b".".join(their.rdata.label.label)
        elif our.type in (dns.TYPE_A, dns.TYPE_AAAA):
            assert our.data == bytes(their.rdata.data)


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("a TXT", {"name": f"_foo.{Z}", "type": "TXT", "ttl": 300, "data": "hello"}),
        ("a TXT of several strings", {"name": f"_foo.{Z}", "type": "TXT", "ttl": 300, "data": "onetwo"}),
        ("an address", {"name": Z, "type": "A", "ttl": 300, "data": "192.0.2.1"}),
        ("an address of version 6", {"name": Z, "type": "AAAA", "ttl": 300, "data": "::1"}),
        ("a name server", {"name": Z, "type": "NS", "ttl": 300, "data": "ns.example"}),
        ("HTTPS", {"name": Z, "type": "HTTPS", "ttl": 300, "data": "000100"}),
        ("a type that nobody knows", {"name": Z, "type": "TYPE65280", "ttl": 300, "data": "010203"}),
        ("the root name", {"name": "", "type": "TXT", "ttl": 300, "data": "x"}),
        (
            "a dot and a backslash inside labels",
            {"name": f"a\\046b.c\\092d.{Z}", "type": "TXT", "ttl": 300, "data": "x"},
        ),
        ("a label that is no text", {"name": f"\\000\\255.{Z}", "type": "TXT", "ttl": 300, "data": "x"}),
    ],
)
def test_a_record_is_shown_in_printable_text(title: str, shown: dict[str, object]) -> None:
    assert dns.decode(VALUES[title])[0].to_json() == shown


def test_no_byte_of_a_text_reaches_the_terminal_as_it_is() -> None:
    raw = bytes(range(32)) + b'\\"' + bytes(range(127, 256))
    for shown in (
        dns.decode(message(rr(name("x"), text(raw))))[0].to_json()["data"],
        dns.decode(message(rr(name(raw[:63]), text("x"))))[0].to_json()["name"],
        dns.decode(message(rr(name("x"), name(raw[:63]), kind=2)))[0].to_json()["data"],
    ):
        assert isinstance(shown, str) and shown.isascii() and shown.isprintable()


def test_two_names_that_read_alike_stay_apart() -> None:
    names = [
        dns.decode(message(rr(owner, text("x"))))[0].name
        for owner in (
            name("a", "b"),
            name("a.b"),
            name("a\\046b"),
            name("a\\", "b"),
            name("a\\.b"),
            name("a.b", "c"),
        )
    ]
    assert len(set(names)) == len(names)


def test_dots_elsewhere_in_a_message_change_no_name() -> None:
    plain = dns.decode(message(rr(name("a", "b"), text("x"))))[0].name
    assert dns.decode(message(rr(name("a", "b"), text("x.y\\z"))))[0].name == plain == b"a.b"


def test_a_pointer_may_lead_into_the_middle_of_a_label() -> None:
    # Legal by RFC 1035, if odd: what it points at is read as labels.
    value = message(rr(name(b"\1a\0bc"), text("x")), rr(pointer(13), text("y")))
    assert [record.name for record in dns.decode(value)] == [b"\1a\0bc", b"a"]


def test_names_that_share_their_ends_cost_no_more_than_is_allowed() -> None:
    long = name(*["a"] * 126)
    records = [rr(long, b"", kind=65_280)]
    while len(message(*records)) < 980:
        records.append(rr(pointer(12), pointer(12), kind=2))
    assert refused(message(*records)) == "dns.name"


def test_pointers_in_a_long_row_cost_no_more_than_is_allowed() -> None:
    chain = b"\0" + b"".join(pointer(23 if n == 0 else 22 + 2 * n) for n in range(200))
    last = pointer(22 + 2 * 199)
    once = message(rr(name(), chain, kind=65_280), rr(last, text("x")))
    assert dns.decode(once)[1].name == b""
    often = message(rr(name(), chain, kind=65_280), *[rr(last, text("x"))] * 6)
    assert refused(often) == "dns.name"


def test_only_the_flags_of_a_plain_response_are_taken() -> None:
    for flags in range(0x10000):
        value = message(HELLO, flags=flags)
        if flags & 0x8000 and not flags & 0x7A7F:
            assert dns.decode(value)
        else:
            assert refused(value) == "dns.header"
