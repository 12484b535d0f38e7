"""Datagrams of strangers: bencoding and KRPC."""

from __future__ import annotations

from tests.fuzz.target import Target
from walletcli.core import bencode
from walletcli.dht import messages
from walletcli.dht.contacts import Contact, write_contacts
from walletcli.dht.messages import Answer, Item, Query
from walletcli.errors import FormatError

_ID = bytes(range(20))
_ITEM = Item(b"k" * 32, 7, b"s" * 64, b"v" * 200)


def check_bencode(data: bytes) -> bool:
    """Whatever decodes has no second form."""
    try:
        value = bencode.decode(data)
    except FormatError:
        return False
    assert bencode.encode(value) == data
    return True


def check_krpc(data: bytes) -> bool:
    """Whatever is taken keeps its bounds, and is answered with a message that is read again."""
    try:
        message = messages.read(data, ipv6=False, private=False)
    except FormatError:
        return False
    assert 1 <= len(message.transaction) <= 32
    if isinstance(message, Answer):
        assert len(message.contacts) <= 32
        assert message.item is None or len(message.item.value) <= 996
        assert all(0 < contact.address[1] < 65_536 for contact in message.contacts)
    if isinstance(message, Query):
        messages.read(messages.answer(message, _ID, [], ipv6=False), ipv6=False, private=True)
        messages.read(messages.refusal(message, 203, b"no"), ipv6=False, private=True)
    return True


def _bencode_seeds() -> list[bytes]:
    return [b"i-1e", b"0:", b"le", b"de", b"d1:ali1e1:bee", *_krpc_seeds()]


def _krpc_seeds() -> list[bytes]:
    nodes = write_contacts([Contact(_ID, ("8.8.8.8", 6881)), Contact(b"x" * 20, ("10.0.0.1", 1))], ipv6=False)
    found: dict[bytes, bencode.Encodable] = {
        b"id": _ID,
        b"k": _ITEM.key,
        b"nodes": nodes,
        b"seq": 7,
        b"sig": _ITEM.signature,
        b"token": b"tok",
    }
    query = Query(b"aa", b"get", _ID, _ID)
    return [
        messages.get(b"abcd", _ID, b"t" * 20),
        messages.get(b"abcd", _ID, b"t" * 20, 5),
        messages.put(b"abcd", _ID, _ITEM, b"token", 6),
        messages.answer(query, _ID, [Contact(_ID, ("8.8.8.8", 6881))], ipv6=False),
        messages.refusal(query, 302, b"old"),
        bencode.encode({b"r": {**found, b"v": _ITEM.value}, b"t": b"aa", b"y": b"r"}),
        bencode.encode({b"r": {**found, b"v": [1, b"two"]}, b"t": b"aa", b"y": b"r"}),
    ]


TARGETS = [
    Target("bencode", check_bencode, _bencode_seeds),
    Target("krpc", check_krpc, _krpc_seeds),
]
