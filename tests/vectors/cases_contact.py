"""Cases for contact.json: cards, relations, exports and their files, links, and safety words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.core.samples import ALICE, BOB, DAY, digest, entropy, key, scalar, sealing_key
from walletcli.core import cbor
from walletcli.core.card import Card, to_link
from walletcli.core.contact_export import ContactExport, Entry
from walletcli.core.cose import Sign1
from walletcli.core.ed25519 import SigningKey
from walletcli.core.export_file import OpenExport
from walletcli.core.relation import Relation
from walletcli.core.safety import safety_picture, safety_words

NONCE = bytes(range(16))
ENTROPY_LABEL = "contact export"
CARD_MAGIC = b"walletcli card 1\n"
RELATION_MAGIC = b"walletcli relation 1\n"
EXPORT_MAGIC = b"walletcli contact export 1\n"
LOW, HIGH = sorted((ALICE, BOB), key=lambda item: item.public_key)
CAROL = key("carol")


def signed(signer: SigningKey, typ: str, payload: bytes) -> bytes:
    """Sign whatever it is."""
    return Sign1.sign(signer, typ, payload).to_bytes()


def card_fields(**changes: Any) -> dict[int, Any]:
    """Return the fields of a card, changed by number: ``card_fields(_4=…)``."""
    fields: dict[int, Any] = {1: 1, 2: ALICE.public_key, 3: {"name": "Alice"}, 4: DAY, 5: DAY + 365, 6: []}
    return changed(fields, changes)


def relation_fields(**changes: Any) -> dict[int, Any]:
    """Return the fields of a relation of Alice and Bob, changed by number."""
    fields: dict[int, Any] = {1: 1, 2: [LOW.public_key, HIGH.public_key], 3: NONCE, 4: DAY, 5: DAY + 3653}
    return changed(fields, changes)


def export_fields(**changes: Any) -> dict[int, Any]:
    """Return the fields of an export of Alice's with Bob in it, changed by number."""
    fields: dict[int, Any] = {1: 1, 2: ALICE.public_key, 3: DAY, 4: NONCE, 5: [{1: BOB.public_key, 2: "Bob"}]}
    return changed(fields, changes)


def changed(fields: dict[int, Any], changes: dict[str, Any]) -> dict[int, Any]:
    """Replace fields, or leave out those that are `...`."""
    merged = {**fields, **{int(name[1:]): value for name, value in changes.items()}}
    return {number: value for number, value in merged.items() if value is not ...}


def card(fields: dict[int, Any], signer: SigningKey = ALICE) -> bytes:
    """Sign the fields of a card."""
    return signed(signer, Card.TYP, cbor.encode(fields))


def relation(fields: dict[int, Any], signer: SigningKey) -> bytes:
    """Sign the fields of a relation."""
    return signed(signer, Relation.TYP, cbor.encode(fields))


def export(fields: dict[int, Any], signer: SigningKey = ALICE) -> bytes:
    """Sign the fields of an export."""
    return signed(signer, ContactExport.TYP, cbor.encode(fields))


def relation_file(lower: object, higher: object, *records: object) -> bytes:
    """Write a relation file of whatever it is."""
    return RELATION_MAGIC + cbor.encode([lower, higher, *(records or (None, None))])


def bobs_entry() -> Entry:
    """Return a contact with everything."""
    fields = relation_fields()
    sides = (relation(fields, LOW), relation(fields, HIGH))
    bobs = card(card_fields(_2=BOB.public_key, _3={"name": "Bob"}), BOB)
    return Entry(BOB.public_key, "Bob at work", bobs, sides, {"email": "bob@example.org"}, "met in Vienna\nowes lunch")


def _case(name: str, kind: str, data: bytes | str, **more: object) -> dict[str, object]:
    return {"name": name, "kind": kind, "text" if isinstance(data, str) else "hex": _shown(data), **more}


def _shown(data: bytes | str) -> str:
    return data if isinstance(data, str) else data.hex()


def _valid_cards() -> Iterator[tuple[str, dict[int, Any], SigningKey]]:
    yield "a card with a name", card_fields(), ALICE
    yield "a card that a device signed", card_fields(), key("device 0")
    yield "a card without attributes", card_fields(_3={}), ALICE
    yield "a card of one day", card_fields(_5=DAY + 1), ALICE
    yield "a card of ten years", card_fields(_5=DAY + 3653), ALICE
    yield "a card of the last day", card_fields(_4=47_481, _5=47_482), ALICE
    yield "a card with four addresses", card_fields(_6=["a", "https://relay.example", "x" * 255, "d"]), ALICE
    many = {f"{n}": "é☿" for n in range(10)} | {"name": "Zoë\n☿", "about": "x" * 1024, "a.b-c_d": " ", "z" * 32: "z"}
    yield "a card with many attributes", card_fields(_3=many), ALICE


def _valid() -> Iterator[dict[str, object]]:
    for name, fields, signer in _valid_cards():
        data = card(fields, signer)
        yield _case(name, "card", data, attributes=fields[3], signer=signer.public_key.hex())
    data = card(card_fields())
    yield _case("a card file without a record", "card-file", CARD_MAGIC + cbor.encode([data, None]))
    yield _case("a card file with a record", "card-file", CARD_MAGIC + cbor.encode([data, b"record"]))
    yield _case("a link", "card-link", to_link(data), card=data.hex())
    yield _case("a link in upper case", "card-link", to_link(data).upper(), card=data.hex())
    yield _case("a link in lower case", "card-link", to_link(data).lower(), card=data.hex())
    fields = relation_fields()
    low, high = relation(fields, LOW), relation(fields, HIGH)
    yield _case("a whole relation", "relation", relation_file(low, high))
    yield _case("an offer of the lower", "relation", relation_file(low, None))
    yield _case("an offer of the higher, with a record", "relation", relation_file(None, high, None, b"record"))
    device = relation(fields, key("device 0"))
    yield _case("a relation that a device signed", "relation", relation_file(low, device, b"r", b"r"))
    for name, entries in (
        ("an export of nobody", []),
        ("an export of a name", [Entry(BOB.public_key, "Bob").to_cbor()]),
        ("an export of a contact with everything", [bobs_entry().to_cbor()]),
        (
            "an export of a contact with whom words were compared",
            [Entry(BOB.public_key, "Bob", compared_day=20_000).to_cbor()],
        ),
        ("an export of two", [Entry(who.public_key, "☿").to_cbor() for who in _ascending(BOB, CAROL)]),
    ):
        yield _case(name, "export", export(export_fields(_5=entries)))
    data = export(export_fields(_5=[bobs_entry().to_cbor()]))
    yield _case("an open export file", "export-file", OpenExport(data, b"record").to_bytes(), export=data.hex())
    sealed = OpenExport(data).seal([sealing_key("alice"), sealing_key("device")], entropy(ENTROPY_LABEL))
    yield _case(
        "a sealed export file",
        "export-file",
        sealed.to_bytes(),
        export=data.hex(),
        scalar=scalar("alice").reveal().hex(),
    )


def _ascending(*keys: SigningKey) -> list[SigningKey]:
    return sorted(keys, key=lambda item: item.public_key)


def _bad_cards() -> Iterator[tuple[str, bytes, str]]:
    good = card(card_fields())
    changes: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("version 2", {"_1": 2}, "card.unknown-version"),
        ("version true", {"_1": True}, "card.unknown-version"),
        ("no version", {"_1": ...}, "card.unknown-version"),
        ("no identity", {"_2": ...}, "card.malformed"),
        ("a key of 31 bytes", {"_2": bytes(31)}, "key.malformed"),
        ("a key of small order", {"_2": bytes(32)}, "key.malformed"),
        ("a key that is text", {"_2": "k" * 32}, "card.malformed"),
        ("an unknown field", {"_7": 0}, "card.malformed"),
        ("no attributes at all", {"_3": ...}, "card.malformed"),
        ("attributes in a list", {"_3": []}, "card.attributes"),
        ("an attribute's name in capitals", {"_3": {"Name": "x"}}, "card.attributes"),
        ("an attribute by number", {"_3": {1: "x"}}, "card.attributes"),
        ("an attribute in bytes", {"_3": {"name": b"x"}}, "card.attributes"),
        ("an empty attribute", {"_3": {"name": ""}}, "card.attributes"),
        ("an attribute of 1025 bytes", {"_3": {"name": "x" * 1025}}, "card.attributes"),
        ("an escape code in a name", {"_3": {"name": "Al\x1b[31mice"}}, "card.attributes"),
        ("a name that turns around", {"_3": {"name": "Al\u202eice"}}, "card.attributes"),
        ("a name with an invisible character", {"_3": {"name": "Al\u200bice"}}, "card.attributes"),
        ("17 attributes", {"_3": {f"a{n}": "x" for n in range(17)}}, "card.attributes"),
        ("no life", {"_5": DAY}, "card.dates"),
        ("an end before its start", {"_5": DAY - 1}, "card.dates"),
        ("over ten years", {"_5": DAY + 3654}, "card.dates"),
        ("an end after 2100", {"_4": 47_482, "_5": 47_483}, "card.dates"),
        ("a day before 1970", {"_4": -1}, "card.dates"),
        ("a day that is true", {"_4": True}, "card.malformed"),
        ("a day in text", {"_4": "today"}, "card.malformed"),
        ("five addresses", {"_6": ["a", "b", "c", "d", "e"]}, "card.malformed"),
        ("one address twice", {"_6": ["a", "a"]}, "card.malformed"),
        ("an address with a space", {"_6": ["a b"]}, "card.malformed"),
        ("an address of 256 letters", {"_6": ["x" * 256]}, "card.malformed"),
        ("an empty address", {"_6": [""]}, "card.malformed"),
        ("an address in bytes", {"_6": [b"a"]}, "card.malformed"),
        ("addresses in a map", {"_6": {}}, "card.malformed"),
    )
    for name, change, error in changes:
        yield name, card(card_fields(**change)), error
    yield "another type", signed(ALICE, Relation.TYP, cbor.encode(card_fields())), "cose.type"
    yield "an altered signature", good[:-1] + bytes([good[-1] ^ 1]), "signature.invalid"
    yield "an altered name", good.replace(b"Alice", b"Alicf"), "signature.invalid"
    yield "over 4096 bytes", card(card_fields(_3={f"a{n}": "x" * 1000 for n in range(4)})), "cose.too-long"
    yield "a payload that is text", signed(ALICE, Card.TYP, b"\x61x"), "card.unknown-version"
    yield "a payload with a byte more", signed(ALICE, Card.TYP, cbor.encode(card_fields()) + b"\0"), "cbor.trailing"


def _bad_containers() -> Iterator[tuple[str, str, bytes | str, str]]:
    data = card(card_fields())
    for name, raw, error in (
        ("empty", b"", "card.file"),
        ("the magic alone", CARD_MAGIC, "cbor.truncated"),
        ("another version", CARD_MAGIC.replace(b"1", b"2") + cbor.encode([data, None]), "card.file"),
        ("a card alone", CARD_MAGIC + cbor.encode([data]), "card.file"),
        ("an empty card", CARD_MAGIC + cbor.encode([b"", None]), "card.file"),
        ("a card of 4097 bytes", CARD_MAGIC + cbor.encode([bytes(4097), None]), "card.file"),
        ("an empty record", CARD_MAGIC + cbor.encode([data, b""]), "card.file"),
        ("a record in text", CARD_MAGIC + cbor.encode([data, "r"]), "card.file"),
        ("a byte more", CARD_MAGIC + cbor.encode([data, None]) + b"\0", "cbor.trailing"),
    ):
        yield f"card file: {name}", "card-file", raw, error
    link = to_link(data)
    for name, text in (
        ("empty", ""),
        ("the prefix alone", "walletcli:card:"),
        ("another prefix", link.replace("card", "cart")),
        ("with padding", link + "="),
        ("a space inside", link[:40] + " " + link[40:]),
        ("a letter outside the alphabet", link[:40] + "1" + link[41:]),
        ("an impossible length", "walletcli:card:A"),
        ("unused bits", "walletcli:card:AB"),
        ("too long", "walletcli:card:" + "A" * 4288),
        ("letters of another script", "walletcli:card:АААА"),
    ):
        yield f"link: {name}", "card-link", text, "card.link"


def _bad_relations() -> Iterator[tuple[str, bytes, str]]:
    fields = relation_fields()
    low, high = relation(fields, LOW), relation(fields, HIGH)
    changes: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("version 2", {"_1": 2}, "relation.unknown-version"),
        ("no nonce", {"_3": ...}, "relation.malformed"),
        ("an unknown field", {"_6": 0}, "relation.malformed"),
        ("a nonce of 15 bytes", {"_3": bytes(15)}, "relation.malformed"),
        ("parties out of order", {"_2": [HIGH.public_key, LOW.public_key]}, "relation.malformed"),
        ("one party twice", {"_2": [LOW.public_key, LOW.public_key]}, "relation.malformed"),
        ("three parties", {"_2": [LOW.public_key, HIGH.public_key, digest("x")]}, "relation.malformed"),
        ("a party in text", {"_2": ["a", HIGH.public_key]}, "relation.malformed"),
        ("a party of small order", {"_2": [bytes(32), HIGH.public_key]}, "key.malformed"),
        ("over ten years", {"_5": DAY + 3654}, "relation.dates"),
        ("no life", {"_5": DAY}, "relation.dates"),
        ("a day in text", {"_4": "x"}, "relation.malformed"),
    )
    for name, change, error in changes:
        yield name, relation_file(relation(relation_fields(**change), LOW), None), error
    other = relation(relation_fields(_3=bytes(16)), HIGH)
    yield "the sides differ", relation_file(low, other), "relation.differs"
    yield "one key signed both", relation_file(low, relation(fields, LOW)), "relation.same-signer"
    yield "an altered side", relation_file(low, high[:-1] + bytes([high[-1] ^ 1])), "signature.invalid"
    yield "a card in its place", relation_file(card(card_fields()), high), "cose.type"
    yield "nobody signed", relation_file(None, None), "relation.file"
    yield "an empty side", relation_file(b"", high), "relation.file"
    yield "a side of 513 bytes", relation_file(bytes(513), high), "relation.file"
    yield "three parts", RELATION_MAGIC + cbor.encode([low, high, None]), "relation.file"
    yield "a record in text", relation_file(low, high, "r", None), "relation.file"
    yield "no magic", cbor.encode([low, high, None, None]), "relation.file"


def _bad_exports() -> Iterator[tuple[str, bytes, str]]:
    bob: dict[int, Any] = {1: BOB.public_key, 2: "Bob"}
    changes: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("version 2", {"_1": 2}, "contact-export.unknown-version"),
        ("no nonce", {"_4": ...}, "contact-export.malformed"),
        ("a nonce of 17 bytes", {"_4": bytes(17)}, "contact-export.malformed"),
        ("an unknown field", {"_6": []}, "contact-export.malformed"),
        ("a day of 2101", {"_3": 47_848}, "contact-export.malformed"),
        ("contacts in a map", {"_5": {}}, "contact-export.malformed"),
        ("a contact twice", {"_5": [bob, bob]}, "contact-export.malformed"),
    )
    for name, change, error in changes:
        yield name, export(export_fields(**change)), error
    ordered = [{1: who.public_key, 2: "x"} for who in _ascending(BOB, CAROL)]
    entries: tuple[tuple[str, Any, str], ...] = (
        ("contacts out of order", ordered[::-1], "contact-export.malformed"),
        ("a contact in a list", [[BOB.public_key, "Bob"]], "contact-export.malformed"),
        ("a contact without a name", [{1: BOB.public_key}], "contact-export.malformed"),
        ("a contact with an empty name", [{**bob, 2: ""}], "contact-export.malformed"),
        ("a contact of two lines", [{**bob, 2: "a\nb"}], "contact-export.malformed"),
        ("a contact with an unknown field", [{**bob, 8: 0}], "contact-export.malformed"),
        ("words compared on no day", [{**bob, 7: None}], "contact-export.malformed"),
        ("words compared on a day as a text", [{**bob, 7: "1"}], "contact-export.malformed"),
        ("words compared in 2101", [{**bob, 7: 47_848}], "contact-export.malformed"),
        ("words compared before 1970", [{**bob, 7: -1}], "contact-export.malformed"),
        ("a contact of small order", [{**bob, 1: bytes(32)}], "key.malformed"),
        ("a card that is null", [{**bob, 3: None}], "contact-export.malformed"),
        ("an empty card", [{**bob, 3: b""}], "contact-export.malformed"),
        ("a relation of one side", [{**bob, 4: [b"x"]}], "contact-export.malformed"),
        ("a relation with an empty side", [{**bob, 4: [b"x", b""]}], "contact-export.malformed"),
        ("attributes that are empty", [{**bob, 5: {}}], "contact-export.malformed"),
        ("an attribute in bytes", [{**bob, 5: {"a": b"x"}}], "card.attributes"),
        ("65 attributes", [{**bob, 5: {f"a{n}": "x" for n in range(65)}}], "card.attributes"),
        ("empty notes", [{**bob, 6: ""}], "contact-export.malformed"),
        ("notes of 8193 bytes", [{**bob, 6: "x" * 8193}], "contact-export.malformed"),
        ("notes with an escape code", [{**bob, 6: "\x1b]0;x"}], "contact-export.malformed"),
    )
    for name, contacts, error in entries:
        yield name, export(export_fields(_5=contacts)), error
    good = export(export_fields())
    yield "an altered name", good.replace(b"Bob", b"Bop"), "signature.invalid"
    yield "another type", signed(ALICE, Card.TYP, cbor.encode(export_fields())), "cose.type"


def _bad_export_files() -> Iterator[tuple[str, bytes, str]]:
    good = export(export_fields())
    for name, parts, error in (
        ("another kind", [2, good, None], "contact-export.file"),
        ("kind false", [False, good, None], "contact-export.file"),
        ("open without a record", [0, good], "contact-export.file"),
        ("open with an empty export", [0, b"", None], "contact-export.file"),
        ("open with an empty record", [0, good, b""], "contact-export.file"),
        ("sealed with nothing in it", [1, b""], "contact-export.file"),
        ("sealed with three parts", [1, good, None], "contact-export.file"),
        ("sealed text", [1, "x"], "contact-export.file"),
        ("nothing", [], "contact-export.file"),
    ):
        yield name, EXPORT_MAGIC + cbor.encode(parts), error
    yield "another version", EXPORT_MAGIC.replace(b"1", b"2") + cbor.encode([0, good, None]), "contact-export.file"
    yield "a byte more", EXPORT_MAGIC + cbor.encode([0, good, None]) + b"\0", "cbor.trailing"


def _invalid() -> Iterator[dict[str, object]]:
    for name, data, error in _bad_cards():
        yield _case(f"card: {name}", "card", data, error=error)
    for name, kind, raw, error in _bad_containers():
        yield _case(name, kind, raw, error=error)
    groups: tuple[tuple[str, Callable[[], Iterator[tuple[str, bytes, str]]]], ...] = (
        ("relation", _bad_relations),
        ("export", _bad_exports),
        ("export-file", _bad_export_files),
    )
    for kind, cases in groups:
        for name, data, error in cases():
            yield _case(f"{kind}: {name}", kind, data, error=error)


def _safety() -> Iterator[dict[str, object]]:
    pairs = (("alice and bob", ALICE, BOB), ("alice and carol", ALICE, CAROL), ("bob and carol", BOB, CAROL))
    for name, one, other in pairs:
        yield {
            "name": name,
            "keys": [one.public_key.hex(), other.public_key.hex()],
            "words": " ".join(safety_words(one.public_key, other.public_key)),
            "picture": safety_picture(one.public_key, other.public_key),
        }


def make() -> dict[str, object]:
    """Return the content of contact.json."""
    return {
        "spec": "docs/spec/contact.md, Card, Relation, Contact export, Safety words",
        "source": "ours, made by tests/vectors/make_vectors.py",
        "valid": list(_valid()),
        "invalid": list(_invalid()),
        "safety": list(_safety()),
    }
