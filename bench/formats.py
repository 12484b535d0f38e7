"""Keys, packets and records against bare libsodium."""

from __future__ import annotations

import hmac

from nacl import bindings

from bench.measure import Row, at_least, in_turn
from bench.records import signed_record
from walletcli.core.bep44 import signable
from walletcli.core.identity_id import IdentityId
from walletcli.core.keys import KeyTree, Scheme
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record
from walletcli.core.secret import Secret

IDENTITIES = 1000
VERIFICATIONS = 2000
ROUNDS = 15


def _bare_derivation(chain_code: bytes, key: bytes) -> None:
    for index in range(IDENTITIES):
        step = b"\0" + key + (index | 0x80000000).to_bytes(4, "big")
        bindings.crypto_sign_seed_keypair(hmac.digest(chain_code, step, "sha512")[:32])


def derive() -> list[Row]:
    """1,000 identities with their ids, against HMAC-SHA512 and libsodium's key generation in a loop."""
    tree = KeyTree(Secret(bytes(range(64))), Scheme.WALLETCLI)

    def ours() -> None:
        for key in tree.root_public_keys(0, IDENTITIES):
            identity = IdentityId(key)
            _ = identity.did, identity.did_dht

    ours_s, bare_s = in_turn(ours, lambda: _bare_derivation(bytes(32), bytes(32)), ROUNDS)
    detail = f"{IDENTITIES / ours_s:,.0f} identities/s; bare {IDENTITIES / bare_s:,.0f}/s"
    return [
        at_least(
            "1,000 identities derived, ids included, against bare HMAC-SHA512 + libsodium", bare_s / ours_s, 0.7, detail
        )
    ]


def verify() -> list[Row]:
    """A packet, and a record with two delegations, verified and decoded, against bare verification."""
    record = signed_record(number=1, devices=2)
    packet = record.packet
    assert record.document is not None
    payload, document, key = packet.to_relay_payload(), record.document.to_bytes(), packet.public_key
    signed = packet.signature + signable(packet.seq, packet.value)

    def bare() -> None:
        for _ in range(VERIFICATIONS):
            bindings.crypto_sign_open(signed, key)

    def packets() -> None:
        for _ in range(VERIFICATIONS):
            _ = SignedPacket.from_relay_payload(key, payload).records

    def records() -> None:
        for _ in range(VERIFICATIONS):
            Record.from_payload(key, payload, document)

    packet_s, bare_s = in_turn(packets, bare, ROUNDS)
    record_s, bare_again_s = in_turn(records, bare, ROUNDS)
    rate = VERIFICATIONS / bare_s
    return [
        at_least(
            "a packet verified and decoded, against bare libsodium verify on the same bytes",
            bare_s / packet_s,
            0.6,
            f"{VERIFICATIONS / packet_s:,.0f}/s of {len(packet.value)} bytes; bare {rate:,.0f}/s",
        ),
        at_least(
            "a record (packet and document with two delegations) verified and decoded, against bare verify",
            bare_again_s / record_s,
            0.45,
            f"{VERIFICATIONS / record_s:,.0f}/s, document of {len(document)} bytes; bare {rate:,.0f}/s",
        ),
    ]
