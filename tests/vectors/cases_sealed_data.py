"""Vectors of an identity's sealed data: how content is laid out, indices, settings, and a sealed piece."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.fuzz.target import fixed_entropy
from walletcli.core import cbor, sealed
from walletcli.core.ed25519 import SigningKey
from walletcli.core.secret import Secret
from walletcli.core.x25519 import public_key
from walletcli.wallet.providers.book import Role
from walletcli.wallet.sealed.index import PIECE_BYTES, Item, Kind, Piece, SealedIndex, padded_bytes, piece_count
from walletcli.wallet.sealed.owner import index_context, piece_context
from walletcli.wallet.sealed.settings import DeviceSettings, ProviderSettings, Settings
from walletcli.wallet.state.view import Share

IDENTITY = SigningKey(Secret(hashlib.sha256(b"sealed data vectors").digest())).public_key
SCALAR = Secret(hashlib.sha256(b"sealed data vectors, a device").digest())
DEVICE = public_key(SCALAR)
RECOVERY = public_key(Secret(hashlib.sha256(b"sealed data vectors, recovery").digest()))
KEYS = tuple(sorted((DEVICE, RECOVERY)))
LENGTHS = (0, 1, 4094, 4095, 4096, 5000, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3_000_000, 100_000_000)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _piece(number: int, version: int = 1) -> Piece:
    return Piece(number.to_bytes(16, "big"), version, _hash(f"sealed bytes {number}"))


def _item(name: str, *pieces: Piece, kind: Kind = Kind.FILE, length: int = 9, keys: tuple[bytes, ...] = KEYS) -> Item:
    return Item(kind, name, length, _hash(name), 1_795_000_000, keys, pieces)


CONTACTS = _item("contacts", _piece(1), kind=Kind.SYSTEM)
LETTER = _item("letter.txt", _piece(2, 3))
FILM = _item("film.mkv", _piece(4), _piece(5), _piece(6, 9), length=3_000_000)
EMPTY = SealedIndex(IDENTITY)
ONE = EMPTY.with_item(LETTER)
FULL = SealedIndex(IDENTITY, epoch=2, replaces=_hash("before")).with_item(CONTACTS).with_item(LETTER).with_item(FILM)

INDICES = {
    "nothing": EMPTY,
    "one file": ONE,
    "the wallet's own item and files": FULL,
    "free ids": FULL.with_free({bytes(15) + b"\x20": 7, bytes(15) + b"\x1f": 1}),
    "a removed file's ids are free": FULL.without(Kind.FILE, "film.mkv"),
    "two sets of recipients": FULL.with_item(_item("alone", _piece(7), keys=(RECOVERY,))),
}

PROVIDER = ProviderSettings(_hash("provider"), "https://provider.example", Role.MAIN)
PHONE = DeviceSettings(_hash("phone"), "/media/stick/alice", 20_700, ("https://relay.example",))
SETTINGS = {
    "nothing": Settings(),
    "some of everything": Settings(
        ("route:tcp",),
        ("file", "https://relay.example"),
        (Share(("email", "phone"), (DEVICE,)),),
        (PROVIDER,),
        (PHONE,),
    ),
    "a device without an exit kit": Settings(devices=(DeviceSettings(_hash("phone"), "", None, ()),)),
    "a device that has not decided": Settings(devices=(DeviceSettings(_hash("phone"), None, None, ()),)),
}


def make() -> dict[str, object]:
    """Return what the file holds."""
    return {
        "spec": "docs/spec/sealed-data.md",
        "source": "ours, made by tests/vectors/make_vectors.py",
        "identity": IDENTITY.hex(),
        "valid": [*_layouts(), *_indices(), *_settings(), *_sealed()],
        "invalid": [*_bad_indices(), *_bad_padding(), *_bad_settings(), *_bad_places()],
    }


def _layouts() -> list[dict[str, Any]]:
    return [
        {
            "name": f"layout of {length} bytes",
            "kind": "layout",
            "length": length,
            "padded": padded_bytes(length),
            "pieces": piece_count(length),
        }
        for length in LENGTHS
    ]


def _indices() -> list[dict[str, Any]]:
    return [
        {
            "name": f"index: {name}",
            "kind": "index",
            "cbor": index.to_cbor().hex(),
            "padded_bytes": len(index.to_bytes()),
            "items": [item.name for item in index.items],
            "free": [blob_id.hex() for blob_id, _ in index.free],
        }
        for name, index in INDICES.items()
    ]


def _settings() -> list[dict[str, Any]]:
    return [
        {"name": f"settings: {name}", "kind": "settings", "cbor": settings.to_bytes().hex()}
        for name, settings in SETTINGS.items()
    ]


def _sealed() -> list[dict[str, Any]]:
    entropy = fixed_entropy("sealed data vectors")
    blob_id = bytes(range(16))
    content = b"Dear Bob\n".ljust(padded_bytes(9), b"\0")
    piece = sealed.seal(content, KEYS, entropy, piece_context(IDENTITY, blob_id))
    index = sealed.seal(EMPTY.to_bytes(), KEYS, entropy, index_context(IDENTITY))
    scalar = SCALAR.reveal().hex()
    return [
        {
            "name": "a sealed piece",
            "kind": "piece",
            "id": blob_id.hex(),
            "scalar": scalar,
            "sealed": piece.hex(),
            "content": b"Dear Bob\n".hex(),
        },
        {"name": "a sealed index", "kind": "sealed-index", "scalar": scalar, "sealed": index.hex(), "items": []},
    ]


def _changed(data: bytes, **fields: object) -> bytes:
    decoded = cbor.decode(data, 1 << 20)
    assert isinstance(decoded, dict)
    changed: dict[object, object] = {**decoded, **{int(key[1:]): value for key, value in fields.items()}}
    return cbor.encode({key: value for key, value in changed.items() if value != "gone"})


def _row(**changes: object) -> list[object]:
    row: list[object] = [2, "letter.txt", 9, _hash("x"), 5, 0, [[bytes(15) + b"\2", 3, _hash("y")]]]
    for key, value in changes.items():
        row[int(key[1:])] = value
    return row


def _bad_indices() -> list[dict[str, Any]]:
    data, malformed = ONE.to_cbor(), "data-index.malformed"
    piece = [bytes(15) + b"\2", 3, _hash("y")]
    cases: dict[str, tuple[bytes, str]] = {
        "of a newer version": (_changed(data, f1=2), "data-index.unknown-version"),
        "without a version": (_changed(data, f1="gone"), malformed),
        "with an unknown field": (_changed(data, f9=1), malformed),
        "without an epoch": (_changed(data, f6="gone"), malformed),
        "with a set that nothing uses": (_changed(data, f3=[list(KEYS), [RECOVERY]]), malformed),
        "with recipients out of order": (_changed(data, f3=[list(reversed(KEYS))]), malformed),
        "with a set that is not there": (_changed(data, f4=[_row(_5=1)]), malformed),
        "of an unknown kind": (_changed(data, f4=[_row(_0=3)]), malformed),
        "with a path for a name": (_changed(data, f4=[_row(_1="../x")]), malformed),
        "with a hidden name": (_changed(data, f4=[_row(_1=".profile")]), malformed),
        "with a name that turns text around": (_changed(data, f4=[_row(_1="\u202egnp.exe")]), malformed),
        "with a name twice": (_changed(data, f4=[_row(), _row(_6=[[bytes(15) + b"\3", 1, _hash("z")]])]), malformed),
        "with too few pieces": (_changed(data, f4=[_row(_2=3_000_000)]), malformed),
        "without pieces": (_changed(data, f4=[_row(_6=[])]), malformed),
        "with an id twice": (_changed(data, f4=[_row(_2=PIECE_BYTES + 1, _6=[piece, piece])]), malformed),
        "with the index's own id": (_changed(data, f4=[_row(_6=[[bytes(16), 1, _hash("y")]])]), malformed),
        "with version 0 of a piece": (_changed(data, f4=[_row(_6=[[bytes(15) + b"\2", 0, _hash("y")]])]), malformed),
        "with an id that is in use and free": (_changed(data, f5=[[bytes(15) + b"\2", 3]]), malformed),
        "with free ids out of order": (
            _changed(data, f5=[[bytes(15) + b"\7", 1], [bytes(15) + b"\6", 1]]),
            malformed,
        ),
        "with a short hash of the one before": (_changed(data, f7=bytes(31)), malformed),
        "with something behind it": (data + b"\0", "cbor.trailing"),
    }
    return [
        {"name": f"index: {name}", "kind": "index", "cbor": found.hex(), "error": code}
        for name, (found, code) in cases.items()
    ]


def _bad_padding() -> list[dict[str, Any]]:
    data = ONE.to_bytes()
    cases = {
        "one byte too long": data + b"\0",
        "one byte too short": data[:-1],
        "something in the padding": data[:-1] + b"\1",
        "a length beyond the end": b"\0\0\xff\xff" + data[4:],
    }
    return [
        {"name": f"padded index: {name}", "kind": "padded-index", "hex": found.hex(), "error": "data-index.malformed"}
        for name, found in cases.items()
    ]


def _bad_settings() -> list[dict[str, Any]]:
    data, malformed = SETTINGS["some of everything"].to_bytes(), "data-settings.malformed"
    row = [PHONE.device, PHONE.kit_path, PHONE.kit_day, list(PHONE.relays)]
    cases = {
        "of a newer version": (_changed(data, f1=2), "data-settings.unknown-version"),
        "with links out of order": (_changed(data, f2=["b", "a"]), malformed),
        "with an address that is none": (_changed(data, f5=[[PROVIDER.provider, "x", 1]]), malformed),
        "with an unknown role": (_changed(data, f5=[[PROVIDER.provider, PROVIDER.address, 3]]), malformed),
        "with a device twice": (_changed(data, f6=[row, row]), malformed),
        "with a day and no exit kit": (_changed(data, f6=[[PHONE.device, "", PHONE.kit_day, []]]), malformed),
        "with an unknown field": (_changed(data, f7=1), malformed),
    }
    return [
        {"name": f"settings: {name}", "kind": "settings", "cbor": found.hex(), "error": code}
        for name, (found, code) in cases.items()
    ]


def _bad_places() -> list[dict[str, Any]]:
    entropy = fixed_entropy("sealed data vectors, misplaced")
    blob_id, other = bytes(range(16)), bytes(range(1, 17))
    scalar = SCALAR.reveal().hex()
    moved = sealed.seal(b"\0" * 4095, KEYS, entropy, piece_context(IDENTITY, other))
    foreign = sealed.seal(b"\0" * 4095, KEYS, entropy, piece_context(KEYS[0], blob_id))
    not_ours = sealed.seal(b"\0" * 4095, (RECOVERY,), entropy, piece_context(IDENTITY, blob_id))
    as_index = sealed.seal(EMPTY.to_bytes(), KEYS, entropy, piece_context(IDENTITY, bytes(16)))
    code = "sealed.not-for-you"
    pieces = {"under another id": moved, "of another identity": foreign, "sealed to others": not_ours}
    return [
        *(
            {
                "name": f"piece {name}",
                "kind": "piece",
                "id": blob_id.hex(),
                "scalar": scalar,
                "sealed": found.hex(),
                "error": code,
            }
            for name, found in pieces.items()
        ),
        {
            "name": "an index that was sealed as a piece",
            "kind": "sealed-index",
            "scalar": scalar,
            "sealed": as_index.hex(),
            "error": code,
        },
    ]
