"""Cases for wallet-index.json: what docs/spec/wallet-index.md opens and refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt

from tests.core.samples import digest, entropy
from walletcli.core import cbor, dns
from walletcli.core.ed25519 import SigningKey
from walletcli.core.encodings import z32_encode
from walletcli.core.hkdf import hkdf_sha512
from walletcli.core.keys import KeyTree, Scheme
from walletcli.core.packet import SignedPacket
from walletcli.core.secret import Secret
from walletcli.core.wallet_index import SCHEMES, Ranges, ShardContent, seal_shard

SEED = digest("walletcli wallet index vector")
SEQ = 1_700_000_000_000_000


def key(number: int) -> SigningKey:
    return KeyTree(Secret(SEED)).index_key(number)


def _ours(number: int, content: ShardContent) -> str:
    return seal_shard(key(number), number, content, SEQ, entropy("wallet index")).to_relay_payload().hex()


def written(
    content: bytes, number: int = 0, *, context: bytes = b"walletcli wallet index 1", label: bytes | None = None,
    ttl_s: int = 3600, flags: int = 0x8000, size: int = 876, name: bytes | None = None, answers: int = 1,
    signer: int | None = None, seq: int = SEQ, sealed_seq: int = SEQ,
) -> str:  # fmt: skip
    """Seal and sign with the specification's own steps and whatever change."""
    own = key(number)
    nonce = digest("nonce")[:24]
    sealing = hkdf_sha512(own.seed, label or b"walletcli/wallet-index/seal/1", 32).reveal()
    associated = context + own.public_key + sealed_seq.to_bytes(8, "big")
    sealed = nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(content.ljust(size, b"\0"), associated, nonce, sealing)
    owner = name if name is not None else z32_encode(own.public_key).encode()
    record = dns.txt_record(bytes([len(owner)]) + owner + b"\0", sealed, ttl_s)
    header = bytes.fromhex("0000") + flags.to_bytes(2, "big") + bytes.fromhex("0000000100000000")
    value = (header[:6] + bytes([0, answers]) + header[8:]) + record * answers
    return SignedPacket.sign(key(signer) if signer is not None else own, seq, value).to_relay_payload().hex()


def encoded(value: object) -> bytes:
    return cbor.encode(value) + b"\x80"


def _valid() -> Iterator[dict[str, object]]:
    contents = {
        "nothing": (0, ShardContent({}, 1)),
        "the first identity": (0, ShardContent({Scheme.WALLETCLI: Ranges.of([0])}, 1)),
        "a thousand identities": (0, ShardContent({Scheme.WALLETCLI: Ranges.of(range(1000))}, 1)),
        "two ranges": (0, ShardContent({Scheme.WALLETCLI: Ranges.of([0, 1, 2, 7])}, 2)),
        "the last identity": (0, ShardContent({Scheme.WALLETCLI: Ranges.of([2147483646])}, 1)),
        "mercury": (0, ShardContent({Scheme.MERCURY: Ranges.of([3])}, 1)),
        "all schemes": (0, ShardContent({scheme: Ranges.of([n]) for n, scheme in enumerate(SCHEMES)}, 4)),
        "as many shards as there can be": (0, ShardContent({}, 64)),
        "another shard": (1, ShardContent({Scheme.WALLETCLI: Ranges.of([9])}, None)),
        "the last shard": (63, ShardContent({}, None)),
        "every other identity": (2, ShardContent({Scheme.WALLETCLI: Ranges.of(range(0, 860, 2))}, None)),
    }
    for name, (number, content) in contents.items():
        yield {
            "name": name,
            "shard": number,
            "packet_hex": _ours(number, content),
            "shards": content.shards,
            "identities": {scheme.value: content.of(scheme).to_row() for scheme in SCHEMES if content.of(scheme)},
        }


def _invalid() -> Iterator[dict[str, object]]:
    fine = {1: 1, 2: 1, 3: {0: [0, 1]}}
    malformed: dict[str, tuple[bytes, dict[str, Any]]] = {
        "no padding": (cbor.encode(fine), {}),
        "too short": (encoded(fine), {"size": 875}),
        "two TXT": (encoded(fine), {"size": 100, "answers": 2}),
        "another label": (encoded(fine), {"label": b"walletcli/wallet-index/seal/2"}),
        "another time to live": (encoded(fine), {"ttl_s": 7200}),
        "authoritative": (encoded(fine), {"flags": 0x8400}),
        "another name": (encoded(fine), {"name": b"_w"}),
        "no map": (encoded([1, 1, {}]), {}),
        "no version": (encoded({2: 1, 3: {}}), {}),
        "a version that is no number": (encoded({1: b"1", 2: 1, 3: {}}), {}),
        "no number of shards": (encoded({1: 1, 3: {}}), {}),
        "a number of shards in another shard": (encoded(fine), {"number": 1}),
        "an unknown field": (encoded({**fine, 4: 1}), {}),
        "no lists": (encoded({1: 1, 2: 1}), {}),
        "no shards": (encoded({1: 1, 2: 0, 3: {}}), {}),
        "three shards": (encoded({1: 1, 2: 3, 3: {}}), {}),
        "too many shards": (encoded({1: 1, 2: 128, 3: {}}), {}),
        "shards that are no number": (encoded({1: 1, 2: True, 3: {}}), {}),
        "an unknown scheme": (encoded({1: 1, 2: 1, 3: {4: [0, 1]}}), {}),
        "lists that are no map": (encoded({1: 1, 2: 1, 3: [[0, 1]]}), {}),
        "an empty list": (encoded({1: 1, 2: 1, 3: {0: []}}), {}),
        "half a range": (encoded({1: 1, 2: 1, 3: {0: [0, 1, 2]}}), {}),
        "an empty range": (encoded({1: 1, 2: 1, 3: {0: [0, 0]}}), {}),
        "ranges that touch": (encoded({1: 1, 2: 1, 3: {0: [0, 1, 0, 1]}}), {}),
        "a range backwards": (encoded({1: 1, 2: 1, 3: {0: [5, 1, -3, 1]}}), {}),
        "a range that is no number": (encoded({1: 1, 2: 1, 3: {0: ["0", 1]}}), {}),
        "an index beyond the last": (encoded({1: 1, 2: 1, 3: {0: [2147483647, 1]}}), {}),
        "a range beyond the last": (encoded({1: 1, 2: 1, 3: {0: [2147483646, 2]}}), {}),
        "too many identities": (encoded({1: 1, 2: 1, 3: {0: [0, 100_001]}}), {}),
        "not the one encoding": (bytes.fromhex("a3011801020103a0") + b"\x80", {}),
        "something behind": (cbor.encode(fine) + b"\0\x80", {}),
        "garbage": (b"\xff" * 875 + b"\x80", {}),
        "another context": (encoded(fine), {"context": b"walletcli wallet index 2"}),
        "sealed for another seq": (encoded(fine), {"sealed_seq": SEQ + 1}),
        "a version that is not known": (encoded({1: 2, 2: 1, 3: {}}), {}),
        "a newer version with more": (encoded({1: 2, 5: {}}), {}),
        "signed by another shard": (encoded(fine), {"signer": 1}),
    }
    codes = {
        "another label": "wallet-index.damaged",
        "another context": "wallet-index.damaged",
        "sealed for another seq": "wallet-index.damaged",
        "a version that is not known": "wallet-index.unknown-version",
        "a newer version with more": "wallet-index.unknown-version",
        "not the one encoding": "cbor.not-canonical",
        "something behind": "cbor.trailing",
        "garbage": "cbor.unsupported",
        "signed by another shard": "signature.invalid",
    }
    for name, (content, change) in malformed.items():
        code = codes.get(name, "wallet-index.malformed")
        number = change.get("number", 0)
        yield {"name": name, "shard": number, "packet_hex": written(content, **change), "error": code}


def make() -> dict[str, object]:
    return {
        "spec": "docs/spec/wallet-index.md",
        "source": "tests/vectors/cases_wallet_index.py",
        "seed_hex": SEED.hex(),
        "seq": SEQ,
        "valid": list(_valid()),
        "invalid": list(_invalid()),
    }
