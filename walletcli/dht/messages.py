"""KRPC messages: what is sent, and what others send, as values.

Spec: docs/spec/dht.md, "Messages"; BEP5, BEP43, BEP44.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from walletcli.core import bencode
from walletcli.core.bep44 import MAX_SEQ, MAX_VALUE_BYTES, signable, target
from walletcli.core.ed25519 import verify
from walletcli.dht.contacts import ID_BYTES, Contact, read_contacts, write_contacts
from walletcli.errors import FormatError

MAX_TRANSACTION_BYTES: Final = 32
MAX_TOKEN_BYTES: Final = 64
_METHOD_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Item:
    """A BEP44 mutable item without salt.

    Attributes:
        key: Ed25519 public key, 32 bytes.
        seq: sequence number, 0 to 2^63 - 1.
        signature: 64 bytes.
        value: 0 to 996 bytes; bencoded as a string.
    """

    key: bytes
    seq: int
    signature: bytes
    value: bytes

    @property
    def target(self) -> bytes:
        """Where it is found: 20 bytes."""
        return target(self.key)

    def check(self) -> None:
        """Verify the signature; raises VerificationError ``signature.invalid``."""
        verify(self.key, signable(self.seq, self.value), self.signature)


@dataclass(frozen=True, slots=True)
class Query:
    """What another node asks.

    Attributes:
        transaction: to be repeated in the answer.
        method: such as ``b"ping"``.
        node_id: of who asks, 20 bytes.
        target: 20 bytes, or None where there is none.
    """

    transaction: bytes
    method: bytes
    node_id: bytes
    target: bytes | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A positive answer.

    Attributes:
        transaction: of the question.
        node_id: of who answers, 20 bytes.
        contacts: nodes that it names.
        token: for a put, or None.
        seq: of the item that it says it has, or None.
        item: the item itself, not verified, or None.
    """

    transaction: bytes
    node_id: bytes
    contacts: tuple[Contact, ...] = ()
    token: bytes | None = None
    seq: int | None = None
    item: Item | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error answer.

    Attributes:
        transaction: of the question.
        code: of BEP5 or BEP44; the text beside it is not kept.
    """

    transaction: bytes
    code: int


Message = Query | Answer | Refusal


def read(data: bytes, *, ipv6: bool, private: bool) -> Message:
    """Decode a datagram.

    Args:
        data: the datagram.
        ipv6: whether it came over IPv6, and so which nodes in it are of use.
        private: whether addresses count that are not public.

    Raises:
        FormatError: ``bencode.*``, ``krpc.malformed``.
    """
    message = bencode.decode(data)
    if not isinstance(message, dict):
        raise _malformed("not a dictionary")
    transaction = message.get(b"t")
    if not isinstance(transaction, bytes) or not 1 <= len(transaction) <= MAX_TRANSACTION_BYTES:
        raise _malformed(f"a transaction has 1 to {MAX_TRANSACTION_BYTES} bytes")
    kind = message.get(b"y")
    if kind == b"r":
        return _answer(transaction, message.get(b"r"), ipv6, private)
    if kind == b"q":
        return _query(transaction, message.get(b"q"), message.get(b"a"))
    if kind == b"e":
        return _refusal(transaction, message.get(b"e"))
    raise _malformed("neither question, answer nor error")


def _query(transaction: bytes, method: bencode.Value | None, arguments: bencode.Value | None) -> Query:
    if not isinstance(method, bytes) or len(method) > _METHOD_BYTES or not isinstance(arguments, dict):
        raise _malformed("a question without its name or arguments")
    wanted = arguments.get(b"target", arguments.get(b"info_hash"))
    if wanted is not None and not _is_id(wanted):
        raise _malformed("a target has 20 bytes")
    return Query(transaction, method, _id_of(arguments), wanted if isinstance(wanted, bytes) else None)


def _answer(transaction: bytes, values: bencode.Value | None, ipv6: bool, private: bool) -> Answer:
    if not isinstance(values, dict):
        raise _malformed("an answer without values")
    node_id = _id_of(values)
    nodes = values.get(b"nodes6" if ipv6 else b"nodes", b"")
    if not isinstance(nodes, bytes) or len(nodes) % (38 if ipv6 else 26):
        raise _malformed("nodes are not whole")
    token = values.get(b"token")
    if token is not None and not (isinstance(token, bytes) and 1 <= len(token) <= MAX_TOKEN_BYTES):
        raise _malformed(f"a token has 1 to {MAX_TOKEN_BYTES} bytes")
    seq = values.get(b"seq")
    if seq is not None and not (isinstance(seq, int) and 0 <= seq <= MAX_SEQ):
        raise _malformed("seq is not between 0 and 2^63 - 1")
    contacts = tuple(read_contacts(nodes, ipv6=ipv6, private=private)) if nodes else ()
    return Answer(transaction, node_id, contacts, token, seq, _item(values, seq))


def _item(values: dict[bytes, bencode.Value], seq: int | None) -> Item | None:
    """Return the mutable item in an answer; None where there is none, or none that could be a packet."""
    value, key, signature = values.get(b"v"), values.get(b"k"), values.get(b"sig")
    if seq is None or not isinstance(value, bytes) or len(value) > MAX_VALUE_BYTES:
        return None
    if not (isinstance(key, bytes) and len(key) == 32 and isinstance(signature, bytes) and len(signature) == 64):
        return None
    return Item(key, seq, signature, value)


def _refusal(transaction: bytes, parts: bencode.Value | None) -> Refusal:
    if not isinstance(parts, list) or not parts or not isinstance(parts[0], int):
        raise _malformed("an error without its number")
    return Refusal(transaction, parts[0])


def _id_of(values: dict[bytes, bencode.Value]) -> bytes:
    node_id = values.get(b"id")
    if not isinstance(node_id, bytes) or len(node_id) != ID_BYTES:
        raise _malformed("a node's id has 20 bytes")
    return node_id


def _is_id(value: bencode.Value) -> bool:
    return isinstance(value, bytes) and len(value) == ID_BYTES


def _malformed(what: str) -> FormatError:
    return FormatError("krpc.malformed", f"not a KRPC message: {what}")


def get(transaction: bytes, node_id: bytes, wanted: bytes, newer_than: int | None = None) -> bytes:
    """Return a ``get``; with `newer_than`, an item is sent back only if its `seq` is higher."""
    seq = b"" if newer_than is None else b"3:seqi%de" % newer_than
    return b"d1:ad2:id20:%b%b6:target20:%be1:q3:get2:roi1e1:t%d:%b1:y1:qe" % (
        node_id,
        seq,
        wanted,
        len(transaction),
        transaction,
    )


def put(transaction: bytes, node_id: bytes, item: Item, token: bytes, cas: int | None = None) -> bytes:
    """Return a ``put`` of an item; with `cas`, only in place of an item with that `seq`."""
    expected = b"" if cas is None else b"3:casi%de" % cas
    return (b"d1:ad%b2:id20:%b1:k32:%b3:seqi%de3:sig64:%b5:token%d:%b1:v%d:%be1:q3:put2:roi1e1:t%d:%b1:y1:qe") % (
        expected,
        node_id,
        item.key,
        item.seq,
        item.signature,
        len(token),
        token,
        len(item.value),
        item.value,
        len(transaction),
        transaction,
    )


def answer(query: Query, node_id: bytes, contacts: list[Contact], *, ipv6: bool) -> bytes:
    """Return the answer to a query, without token or value."""
    values: dict[bytes, bencode.Encodable] = {b"id": node_id}
    if query.method != b"ping":
        values[b"nodes6" if ipv6 else b"nodes"] = write_contacts(contacts, ipv6=ipv6)
    return bencode.encode({b"r": values, b"t": query.transaction, b"y": b"r"})


def refusal(query: Query, code: int, text: bytes) -> bytes:
    """Return an error answer."""
    return bencode.encode({b"e": [code, text], b"t": query.transaction, b"y": b"e"})
