from __future__ import annotations

import pytest

from tests.client.records import foreign_packet, key, record
from walletcli.core import cbor, sealed
from walletcli.core.blob import MAX_MANIFEST_BYTES, join_blob, split_blob
from walletcli.core.exit_kit import MAGIC, MAX_HEAD_BYTES, ExitKitHead, blob_file, blob_id_of, read_blob_file
from walletcli.core.record import Record
from walletcli.errors import WalletError

ALICE = record("alice")
HEAD = ExitKitHead(ALICE, (b"one", b"two"), 20_000)


def refused(code: str, data: bytes) -> None:
    with pytest.raises(WalletError) as caught:
        ExitKitHead.from_bytes(data)
    assert caught.value.code == code, caught.value.message


def fields(**changed: object) -> bytes:
    said: dict[int, object] = {1: 1, 2: key("alice").public_key, 3: ALICE.to_bytes(), 4: [b"one"], 5: 20_000}
    said.update({int(name.removeprefix("f")): value for name, value in changed.items()})
    return MAGIC + cbor.encode({number: value for number, value in said.items() if value is not ...})


def test_a_head_has_one_encoding() -> None:
    assert ExitKitHead.from_bytes(HEAD.to_bytes()) == HEAD
    assert HEAD.to_bytes().startswith(b"walletcli exit kit 1\n")


def test_the_longest_head_fits() -> None:
    grants = tuple(bytes([number]) * 4096 for number in range(16))
    assert len(ExitKitHead(ALICE, grants, 0).to_bytes()) < MAX_HEAD_BYTES


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("exit-kit.malformed", b""),
        ("exit-kit.malformed", MAGIC + cbor.encode([1])),
        ("exit-kit.malformed", b"x" * (MAX_HEAD_BYTES + 1)),
        ("exit-kit.unknown-version", fields(f1=2)),
        ("exit-kit.unknown-version", fields(f1=True)),
        ("exit-kit.malformed", fields(f6=1)),
        ("exit-kit.malformed", fields(f5=...)),
        ("exit-kit.malformed", fields(f2=1)),
        ("exit-kit.malformed", fields(f3="record")),
        ("exit-kit.malformed", fields(f4=[1])),
        ("exit-kit.malformed", fields(f4=[b""])),
        ("exit-kit.malformed", fields(f4=[b"x" * 4097])),
        ("exit-kit.malformed", fields(f4=[b"x"] * 17)),
        ("exit-kit.malformed", fields(f4=b"x")),
        ("exit-kit.malformed", fields(f5=-1)),
        ("exit-kit.malformed", fields(f5=50_000)),
        ("exit-kit.identity", fields(f2=key("bob").public_key)),
        ("record.file", fields(f3=b"record")),
        ("exit-kit.malformed", fields(f3=Record(ALICE.packet, None).to_bytes())),
        ("exit-kit.malformed", fields(f3=Record(foreign_packet("alice"), None).to_bytes())),
        ("cbor.trailing", fields() + b"\0"),
        ("cbor.truncated", fields()[:-1]),
    ],
)
def test_what_is_no_head_is_refused(code: str, data: bytes) -> None:
    refused(code, data)


def test_a_forged_record_is_refused() -> None:
    forged = bytearray(ALICE.to_bytes())
    forged[60] ^= 1
    refused("signature.invalid", fields(f3=bytes(forged)))


def test_a_blob_file_has_one_encoding() -> None:
    data = blob_file(b"manifest", b"sealed")
    assert data == b"walletcli blob 1\n\0\x08manifestsealed"
    assert read_blob_file(data) == (b"manifest", b"sealed")
    assert split_blob(join_blob(b"m", b"")) == (b"m", b"")


@pytest.mark.parametrize("frame", [b"", b"\0", b"\0\0", b"\0\5four", b"\2\1" + bytes(600)])
def test_what_is_no_frame_is_refused(frame: bytes) -> None:
    with pytest.raises(WalletError) as caught:
        split_blob(frame)
    assert caught.value.code == "blob.malformed"


@pytest.mark.parametrize(("manifest", "content"), [(b"", b"x"), (bytes(MAX_MANIFEST_BYTES + 1), b"x")])
def test_parts_that_do_not_fit_are_refused(manifest: bytes, content: bytes) -> None:
    with pytest.raises(WalletError):
        join_blob(manifest, content)


def test_content_that_does_not_fit_is_refused() -> None:
    with pytest.raises(WalletError):
        join_blob(b"m", bytes(sealed.MAX_BYTES + 1))


@pytest.mark.parametrize("name", ["", "0" * 31, "0" * 33, "A" * 32, "g" * 32, "0" * 32 + "\n", "../" + "0" * 29])
def test_names_that_are_no_blobs(name: str) -> None:
    assert blob_id_of(name) is None
