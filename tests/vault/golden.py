"""Makes tests/vectors/vault.json: ``python -m tests.vault.golden``.

The vaults in it prove that what was written once stays readable. Making them anew with the same entropy gives the same
bytes; when a later version of the format changes what is written, the old vaults stay in the file and new ones come.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.vault.parts import CHEAP, fixed_entropy
from walletcli.core import cbor
from walletcli.core.secret import Secret
from walletcli.vault.factors import Enrolment, Factor, KeyringFactor, PasswordFactor
from walletcli.vault.header import MAGIC, Header
from walletcli.vault.keys import KEY_BYTES
from walletcli.vault.sealing import VaultState
from walletcli.vault.slots import FactorRecord

VECTORS = Path(__file__).parents[1] / "vectors" / "vault.json"
PASSWORD = "Zürich, naïve café"
DAY = 20_000
PAYLOAD = b"what the wallet keeps"

Fields = dict[Any, Any]


class _Recording:
    """A keyring that remembers what it was given."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}

    def store(self, name: str, value: Secret) -> None:
        self.entries[name] = value.reveal_text()

    def load(self, name: str) -> Secret | None:
        return Secret.from_text(self.entries[name]) if name in self.entries else None

    def delete(self, name: str) -> None:
        del self.entries[name]


def _future(vault_id: bytes, entropy: Callable[[int], bytes]) -> Enrolment:
    """Return a factor of a kind that version 1 of this program does not know."""
    record = FactorRecord("later", {1: b"credential", 2: entropy(32), 3: "walletcli"})
    return Enrolment(record, Secret(entropy(KEY_BYTES)))


def golden_vault() -> tuple[bytes, VaultState, dict[str, str]]:
    """Return a vault with a slot of each sort, its state, and what its keyring holds."""
    entropy = fixed_entropy("walletcli vault vector")
    state = VaultState.new(PAYLOAD, entropy)
    store = _Recording()
    word, ring = PasswordFactor(Secret.from_text(PASSWORD), CHEAP), KeyringFactor(store)
    several: list[list[Factor]] = [[word], [ring], [word, ring]]
    for factors in several:
        state = state.with_slot([factor.enrol(state.vault_id, entropy) for factor in factors], DAY, entropy)
    future = [word.enrol(state.vault_id, entropy), _future(state.vault_id, entropy)]
    state = state.with_slot(future, DAY + 1, entropy).with_payload(PAYLOAD)
    return state.to_bytes(entropy), state, store.entries


def _opens() -> Fields:
    data, state, entries = golden_vault()
    return {
        "name": "one slot of each sort, and one that this version cannot open",
        "entropy": "call i, from 0, gives the start of SHA-512('walletcli vault vector ' + i in decimal)",
        "file_b64": base64.b64encode(data).decode(),
        "password": PASSWORD,
        "keyring": entries,
        "data_key_hex": state.data_key.reveal().hex(),
        "vault_id_hex": state.vault_id.hex(),
        "generation": state.generation,
        "slots": [[slot.slot_id, list(slot.kinds), slot.created_day] for slot in state.slots],
        "payload_hex": state.payload.hex(),
    }


def _header() -> Fields:
    """Return the header of the golden vault, with two of its slots."""
    header, end = Header.from_bytes(golden_vault()[0])
    value = cbor.decode(header.to_bytes()[len(MAGIC) + 4 : end], 65_536)
    assert isinstance(value, dict)
    slots = value[6]
    assert isinstance(slots, list)
    return {**value, 6: slots[:2]}


def _slot(**changes: Any) -> Callable[[Fields], None]:
    def change(header: Fields) -> None:
        header[6][0].update({int(key[1:]): value for key, value in changes.items()})

    return change


def _field(number: int, value: object) -> Callable[[Fields], None]:
    def change(header: Fields) -> None:
        header[number] = value

    return change


def _factors(value: object) -> Callable[[Fields], None]:
    return _slot(k3=value)


def _parameters(kind: str, parameters: object) -> Callable[[Fields], None]:
    return _factors([[kind, parameters]])


def _word(memory: object = 8, passes: object = 1, salt: object = bytes(16)) -> Callable[[Fields], None]:
    return _parameters("password", {1: memory, 2: passes, 3: salt})


def _drop(number: int) -> Callable[[Fields], None]:
    return lambda header: header.pop(number)


def _drop_in_slot(number: int) -> Callable[[Fields], None]:
    return lambda header: header[6][0].pop(number)


def _swap(header: Fields) -> None:
    header[6][0], header[6][1] = header[6][1], header[6][0]


def _seventeen(header: Fields) -> None:
    header[6] = [{**header[6][0], 1: number} for number in range(1, 18)]


MALFORMED: list[tuple[str, Callable[[Fields], object], str]] = [
    ("a field too many", _field(7, 0), "vault.malformed"),
    ("a field with a text key", lambda header: header.update({"x": 0}), "vault.malformed"),
    *((f"field {number} is missing", _drop(number), "vault.malformed") for number in range(1, 7)),
    ("vault id too short", _field(1, bytes(15)), "vault.malformed"),
    ("vault id too long", _field(1, bytes(17)), "vault.malformed"),
    ("vault id is text", _field(1, "0123456789abcdef"), "vault.malformed"),
    ("generation zero", _field(2, 0), "vault.malformed"),
    ("generation below zero", _field(2, -1), "vault.malformed"),
    ("generation too high", _field(2, 2**63), "vault.malformed"),
    ("generation is true", _field(2, True), "vault.malformed"),
    ("generation is null", _field(2, None), "vault.malformed"),
    ("key id too short", _field(3, bytes(15)), "vault.malformed"),
    ("nonce too short", _field(4, bytes(23)), "vault.malformed"),
    ("nonce too long", _field(4, bytes(25)), "vault.malformed"),
    ("sealed length is no step", _field(5, 65_551), "vault.malformed"),
    ("sealed length zero", _field(5, 0), "vault.malformed"),
    ("sealed length over the limit", _field(5, (128 << 20) + 16), "vault.malformed"),
    ("no slots", _field(6, []), "vault.malformed"),
    ("slots are a map", _field(6, {1: 1}), "vault.malformed"),
    ("seventeen slots", _seventeen, "vault.malformed"),
    ("slots out of order", _swap, "vault.malformed"),
    ("a slot id twice", _slot(k1=2), "slot.duplicate"),
    ("a slot is a number", _field(6, [7]), "slot.malformed"),
    ("a slot field too many", _slot(k6=0), "slot.malformed"),
    *((f"slot field {number} is missing", _drop_in_slot(number), "slot.malformed") for number in range(1, 6)),
    ("slot id zero", _slot(k1=0), "slot.malformed"),
    ("slot id too high", _slot(k1=65_536), "slot.malformed"),
    ("slot day below zero", _slot(k2=-1), "slot.malformed"),
    ("slot day too late", _slot(k2=65_536), "slot.malformed"),
    ("no factors", _factors([]), "slot.malformed"),
    ("five factors", _factors([[f"x{i}", {}] for i in range(5)]), "slot.malformed"),
    ("a factor twice", _factors([["x", {1: 1}], ["x", {1: 1}]]), "slot.malformed"),
    ("a factor without parameters", _factors([["x"]]), "slot.malformed"),
    ("a factor is a text", _factors(["x"]), "slot.malformed"),
    ("a kind in capitals", _parameters("Password", {}), "slot.malformed"),
    ("an empty kind", _parameters("", {}), "slot.malformed"),
    ("a kind that begins with a digit", _parameters("2fa", {}), "slot.malformed"),
    ("a kind that ends with a line end", _parameters("x\n", {}), "slot.malformed"),
    ("a kind of 33 characters", _parameters("x" * 33, {}), "slot.malformed"),
    ("a kind that is a number", _factors([[1, {}]]), "slot.malformed"),
    ("parameters are a list", _parameters("x", [1]), "slot.malformed"),
    ("parameter zero", _parameters("x", {0: 1}), "slot.malformed"),
    ("parameter 65", _parameters("x", {65: 1}), "slot.malformed"),
    ("a parameter with a text key", _parameters("x", {"a": 1}), "slot.malformed"),
    ("nine parameters", _parameters("x", dict.fromkeys(range(1, 10), 0)), "slot.malformed"),
    ("a parameter below zero", _parameters("x", {1: -1}), "slot.malformed"),
    ("a parameter that is true", _parameters("x", {1: True}), "slot.malformed"),
    ("a parameter that is null", _parameters("x", {1: None}), "slot.malformed"),
    ("a parameter that is a list", _parameters("x", {1: []}), "slot.malformed"),
    ("a parameter of 1025 bytes", _parameters("x", {1: bytes(1025)}), "slot.malformed"),
    ("a parameter of 1025 characters", _parameters("x", {1: "a" * 1025}), "slot.malformed"),
    ("a wrapped key too short", _slot(k4=bytes(71)), "slot.malformed"),
    ("a wrapped key too long", _slot(k4=bytes(73)), "slot.malformed"),
    ("a sealed data key too short", _slot(k5=bytes(79)), "slot.malformed"),
    ("a sealed data key too long", _slot(k5=bytes(81)), "slot.malformed"),
    ("password memory too small", _word(memory=7), "kdf.out-of-range"),
    ("password memory too large", _word(memory=2049), "kdf.out-of-range"),
    ("password memory as large as a number can be", _word(memory=2**64 - 1), "kdf.out-of-range"),
    ("password memory is bytes", _word(memory=b"\x08"), "kdf.out-of-range"),
    ("password without passes", _word(passes=0), "kdf.out-of-range"),
    ("password with seventeen passes", _word(passes=17), "kdf.out-of-range"),
    ("password salt too short", _word(salt=bytes(15)), "slot.malformed"),
    ("password salt too long", _word(salt=bytes(17)), "slot.malformed"),
    ("password salt is text", _word(salt="0123456789abcdef"), "slot.malformed"),
    ("password with a parameter too many", _parameters("password", {1: 8, 2: 1, 3: bytes(16), 4: 0}), "slot.malformed"),
    ("password without parameters", _parameters("password", {}), "slot.malformed"),
    ("security key without parameters", _parameters("fido2", {}), "slot.malformed"),
    ("security key with an empty credential", _parameters("fido2", {1: b"", 2: bytes(32), 3: 1}), "slot.malformed"),
    (
        "security key with a long credential",
        _parameters("fido2", {1: bytes(1024), 2: bytes(32), 3: 1}),
        "slot.malformed",
    ),
    ("security key with a credential of text", _parameters("fido2", {1: "x", 2: bytes(32), 3: 1}), "slot.malformed"),
    ("security key with a short salt", _parameters("fido2", {1: b"x", 2: bytes(31), 3: 1}), "slot.malformed"),
    ("security key with two for the PIN", _parameters("fido2", {1: b"x", 2: bytes(32), 3: 2}), "slot.malformed"),
    ("security key that does not say about the PIN", _parameters("fido2", {1: b"x", 2: bytes(32)}), "slot.malformed"),
    (
        "security key with a parameter too many",
        _parameters("fido2", {1: b"x", 2: bytes(32), 3: 1, 4: "walletcli:vault"}),
        "slot.malformed",
    ),
    ("keyring entry too short", _parameters("keyring", {1: bytes(15)}), "slot.malformed"),
    ("keyring with a parameter too many", _parameters("keyring", {1: bytes(16), 2: 0}), "slot.malformed"),
]
"""Name, what is done to the header of the golden vault, and the error."""


def _framed(body: bytes) -> bytes:
    return MAGIC + len(body).to_bytes(4, "big") + body


def _refused() -> list[Fields]:
    cases: list[tuple[str, bytes, str]] = []
    for name, change, error in MALFORMED:
        header = _header()
        change(header)
        cases.append((name, _framed(cbor.encode(header)), error))
    good = cbor.encode(_header())
    long_head = good[:1] + b"\x18\x01" + good[2:]
    unsorted = good[:1] + cbor.encode(2) + cbor.encode(_header()[2]) + good[1:19] + good[21:]
    repeated = b"\xa7" + good[1:19] + good[1:]
    framed = _framed(good)
    cases += [
        ("a key with a long head", _framed(long_head), "vault.malformed"),
        ("keys out of order", _framed(unsorted), "vault.malformed"),
        ("a key twice", _framed(repeated), "vault.malformed"),
        ("indefinite length", _framed(b"\xbf" + good[1:] + b"\xff"), "vault.malformed"),
        ("a byte after the header's map", _framed(good + b"\0"), "vault.malformed"),
        ("a header that is a list", _framed(b"\x80"), "vault.malformed"),
        ("a header that ends early", _framed(good[:-1]), "vault.malformed"),
        ("a header of no bytes", _framed(b""), "vault.malformed"),
        ("a header length over the limit", MAGIC + (65_537).to_bytes(4, "big") + good, "vault.malformed"),
        ("the longest header length", MAGIC + b"\xff" * 4 + good, "vault.malformed"),
        ("the file ends in its header", framed[:-1], "vault.truncated"),
        ("the file ends in the header's length", framed[:20], "vault.truncated"),
        ("the file ends in the magic", framed[:10], "vault.truncated"),
        ("an empty file", b"", "vault.truncated"),
        ("nothing after the header", framed, "vault.truncated"),
        ("version 2", framed.replace(b"vault 1", b"vault 2", 1), "vault.version"),
        ("version 10", framed.replace(b"vault 1", b"vault 10", 1), "vault.version"),
        ("version 01", framed.replace(b"vault 1", b"vault 01", 1), "vault.version"),
        ("another line end", framed.replace(b"1\n", b"1\r\n", 1), "vault.not-a-vault"),
        ("capitals in the magic", framed.replace(b"walletcli", b"Walletcli", 1), "vault.not-a-vault"),
        ("another file", b"-----BEGIN OPENSSH PRIVATE KEY-----\n", "vault.not-a-vault"),
    ]
    return [{"name": name, "file_hex": data.hex(), "error": error} for name, data, error in cases]


def make() -> Fields:
    """Return the vectors."""
    source = "ours, made by tests/vault/golden.py"
    return {"spec": "docs/spec/vault.md", "source": source, "opens": [_opens()], "refused": _refused()}


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(make(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
