"""vCards: what is written is read again, in both versions, and nothing that is read ends in a foreign exception."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from walletcli.core.document import attribute_fault
from walletcli.core.vcard import VCard
from walletcli.errors import FormatError
from walletcli.wallet.vcards import Version, read_vcards, write_vcards

ATTRIBUTES = st.one_of(
    st.sampled_from(
        [
            *(
                "email",
                "email.2",
                "email.3",
                "email.home",
                "email.work.2",
                "tel",
                "tel.cell",
                "tel.work.fax.2",
                "url.2",
            ),
            *("url", "impp", "org", "org.unit", "org.unit.2", "org.unit.3", "bday", "title", "role", "nickname.2"),
            *("name.given", "name.family", "name.suffix", "adr.street", "adr.code", "adr.2.street", "adr.home.street"),
            *("adr", "adr.work.2.country", "mastodon", "x.y", "0"),
        ]
    ),
    st.from_regex(r"[a-z0-9][a-z0-9._-]{0,31}", fullmatch=True),
)
TEXT = st.one_of(
    st.text(max_size=60),
    st.text(alphabet='a ,;:\\\n"=é水😀', max_size=80),
    st.sampled_from(["https://example.org/a,b;c?d=1", "1985-04-12", "--04-12", "did:key:z6Mk", "Ada", " ", "x" * 1024]),
)


@st.composite
def cards(draw: st.DrawFn) -> VCard:
    attributes = draw(st.dictionaries(ATTRIBUTES, TEXT, max_size=12))
    kept = {name: value for name, value in attributes.items() if name != "name" and not attribute_fault(name, value)}
    try:
        return VCard(draw(TEXT), draw(st.none() | TEXT), None, draw(st.none() | TEXT), kept)
    except FormatError:
        return VCard("Ada", attributes=kept)


@given(st.lists(cards(), min_size=1, max_size=3), st.sampled_from(Version))
def test_what_is_written_is_read_again(written: list[VCard], version: Version) -> None:
    found = read_vcards(write_vcards(written, version))
    assert not found.refused
    assert [item.card for item in found.cards] == written
    assert not any(item.left_out for item in found.cards)


LINES = st.lists(
    st.text(alphabet='abTELURNFO;:,="\\ .-xé\t0', max_size=40).map(str.encode)
    | st.sampled_from([b"N:a;b,c;;;", b"FN:x", b"ADR;TYPE=home:;;s;;;;", b"ORG:a\\;b;c,d", b"FN:x\\", b" folded", b""]),
    max_size=12,
)


@given(LINES, st.sampled_from([b"3.0", b"4.0"]))
def test_any_lines_are_taken_or_refused(lines: list[bytes], version: bytes) -> None:
    data = b"\r\n".join([b"BEGIN:VCARD", b"VERSION:" + version, *lines, b"END:VCARD", b""])
    found = read_vcards(data)
    assert len(found.cards) + len(found.refused) == 1
    for item in found.cards:
        for again in Version:
            assert read_vcards(write_vcards([item.card], again)).cards[0].card == item.card
