"""The byte formats of core: CBOR, COSE, DNS, packets, documents, records, sealed blobs."""

from __future__ import annotations

from tests.core.vectors import load
from tests.fuzz.target import Target, fixed_entropy
from walletcli.core import cbor, dns, ed25519, sealed, x25519
from walletcli.core.approval import Approval
from walletcli.core.approvals import DocumentApprovals
from walletcli.core.cose import Sign1
from walletcli.core.did_dht import to_did_document
from walletcli.core.document import STEPS, Document
from walletcli.core.document_parts import (
    Address,
    Approver,
    Approvers,
    Delegation,
    Power,
    Retirement,
    Succession,
    Transport,
)
from walletcli.core.equivocation import EquivocationProof, Side
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.core.secret import Secret
from walletcli.errors import WalletError

KEY = ed25519.SigningKey(Secret(bytes(range(32))))
RECIPIENT = Secret(bytes(range(32, 64)))
DAY = 20_000


def device(number: int) -> Delegation:
    """Return the delegation of a device whose keys follow from `number`."""
    signing = ed25519.SigningKey(Secret(bytes([number]) * 32)).public_key
    sealing = x25519.public_key(Secret(bytes([number + 100]) * 32))
    return Delegation(signing, sealing, frozenset({Power.HOST, Power.SHARE}), DAY, DAY + 90)


def devices(count: int) -> tuple[Delegation, ...]:
    """Return delegations in the order that documents keep."""
    return tuple(sorted((device(number + 1) for number in range(count)), key=lambda item: item.signing_key))


def documents() -> list[Document]:
    """Return documents that between them use every field."""
    key = KEY.public_key
    approvers = Approvers(1, (Approver(-8, device(9).signing_key, True),), 30)
    return [
        Document(key, 1),
        Document(
            key, 2, previous=bytes(range(32)), delegations=devices(2), profile={"name": "Ada", "url": "https://x"}
        ),
        Document(key, 3, delegations=devices(9), addresses=(Address(Transport.TCP, "[::1]:7000", bytes(32)),)),
        Document(key, 4, approvers=approvers, succession=Succession(bytes(32), 30, None), bindings=(b"\xd2",)),
        Document(key, 5, retirement=Retirement(DAY, 2), sections=(b"a", b"b")),
        Document(key, 6, healed=((bytes(32), bytes([1]) * 32),), extensions={"x": [1, {"y": None}], 5: True}),
    ]


def packets() -> list[SignedPacket]:
    """Return the packets of `documents`."""
    return [SignedPacket.sign(KEY, document.seq, packet_value(document)) for document in documents()]


def check_cbor(data: bytes) -> bool:
    """One encoding per value: what decodes encodes to the same bytes."""
    try:
        value = cbor.decode(data, 65536)
    except WalletError:
        return False
    assert cbor.encode(value) == data
    return True


def check_cose(data: bytes) -> bool:
    """One encoding per statement, whichever way it is decoded."""
    try:
        sign1 = Sign1.from_bytes(data, 65536)
    except WalletError:
        return False
    assert sign1.to_bytes() == data
    try:
        sign1.verify()
    except WalletError:
        return False
    return True


def check_dns(data: bytes) -> bool:
    """Every record of a message that decodes can be shown."""
    try:
        records = dns.decode(data)
    except WalletError:
        return False
    for record in records:
        record.to_json()
    return True


def check_packet(data: bytes) -> bool:
    """A relay payload that verifies is given back as it came."""
    try:
        packet = SignedPacket.from_relay_payload(KEY.public_key, data)
    except WalletError:
        return False
    assert packet.to_relay_payload() == data
    return True


def check_signed_value(data: bytes) -> bool:
    """Any value that its owner may sign is taken, shown, and seen as a DID document or refused with our error."""
    try:
        packet = SignedPacket.sign(KEY, 7, data)
    except WalletError:
        return False
    again = SignedPacket.from_relay_payload(KEY.public_key, packet.to_relay_payload())
    assert again == packet
    again.to_json()
    try:
        to_did_document(again)
    except WalletError:
        return False
    return True


def check_document(data: bytes) -> bool:
    """One encoding per document."""
    try:
        document = Document.from_bytes(data)
    except WalletError:
        return False
    assert document.to_bytes() == data
    document.to_json()
    return True


def check_approvals(data: bytes) -> bool:
    """One encoding per approval and per what is beside a document."""
    for cls in (Approval, DocumentApprovals):
        try:
            found = cls.from_bytes(data)
        except WalletError:
            continue
        assert found.to_bytes() == data
        return True
    return False


def approval_seeds() -> list[bytes]:
    """Return what is beside documents, and approvals alone."""
    beside = [case["beside"] for case in load("approval.json") if case["beside"] is not None]
    kept = [DocumentApprovals.from_bytes(bytes.fromhex(text)) for text in beside]
    return [item.to_bytes() for item in kept] + [item.approvals[0].to_bytes() for item in kept if item.approvals]


def check_padded_document(data: bytes) -> bool:
    """Fields in any state, correctly padded: what decodes can be published, and verifies as a record."""
    try:
        fields = cbor.decode(data, 65536)
    except WalletError:
        return False
    if type(fields) is not dict:
        return False
    for step in STEPS:
        bare = len(cbor.encode({**fields, 16: b""}))
        for head in (0, 1, 2, 4):
            padding = step - bare - head
            if padding >= 0 and len(encoded := cbor.encode({**fields, 16: bytes(padding)})) == step:
                return _check_publishable(encoded)
    return False


def _check_publishable(encoded: bytes) -> bool:
    try:
        document = Document.from_bytes(encoded)
    except WalletError:
        return False
    assert document.to_bytes() == encoded
    if document.identity != KEY.public_key:
        return True
    packet = SignedPacket.sign(KEY, document.seq, packet_value(document))
    record = Record.verified(packet, encoded)
    assert Record.from_bytes(record.to_bytes()) == record
    return True


def check_equivocation(data: bytes) -> bool:
    """One encoding per proof, and what is taken is a split of one key."""
    try:
        proof = EquivocationProof.from_bytes(data)
    except WalletError:
        return False
    assert proof.to_bytes() == data
    low, high = proof.pair
    assert low < high
    assert proof.joined(proof.bare()) == proof
    return True


def proof_seeds() -> list[bytes]:
    """Return proofs with both documents, one, and none."""
    first, second = Document(KEY.public_key, 1), Document(KEY.public_key, 1, profile={"name": "Ada"})
    sides = [Side(SignedPacket.sign(KEY, 1, packet_value(item)), item.to_bytes()) for item in (first, second)]
    whole = EquivocationProof.of(*sides)
    half = EquivocationProof.of(sides[0], Side(sides[1].packet))
    return [whole.to_bytes(), half.to_bytes(), whole.bare().to_bytes()]


def check_record(data: bytes) -> bool:
    """One encoding per record file."""
    try:
        record = Record.from_bytes(data)
    except WalletError:
        return False
    assert record.to_bytes() == data
    return True


def check_sealed(data: bytes) -> bool:
    """A blob opens or is refused."""
    try:
        sealed.unseal(data, RECIPIENT, b"context")
    except WalletError:
        return False
    return True


def sealed_seeds() -> list[bytes]:
    """Return blobs for one and for five recipients."""
    entropy = fixed_entropy("sealed")
    ours = x25519.public_key(RECIPIENT)
    others = [x25519.public_key(Secret(entropy(32))) for _ in range(4)]
    return [
        sealed.seal(b"", [ours], entropy, b"context"),
        sealed.seal(b"a" * 100, [ours, *others], entropy, b"context"),
    ]


TARGETS = [
    Target(
        "cbor",
        check_cbor,
        lambda: [
            cbor.encode([1, -1, b"x", "é", {"a": None, 5: True}, 2**64 - 1]),
            *[d.to_bytes() for d in documents()],
        ],
    ),
    Target(
        "cose",
        check_cose,
        lambda: [
            Sign1.sign(KEY, "application/walletcli-card+cose", b"payload").to_bytes(),
            Sign1.sign(KEY, "application/walletcli-grant+cose", bytes(300)).to_bytes(),
            Sign1.sign(KEY, "another", bytes(30)).to_bytes(),
        ],
    ),
    Target("dns", check_dns, lambda: [packet.value for packet in packets()], 1024),
    Target("packet", check_packet, lambda: [packet.to_relay_payload() for packet in packets()], 1100),
    Target("signed-value", check_signed_value, lambda: [packet.value for packet in packets()], 1000),
    Target("document", check_document, lambda: [document.to_bytes() for document in documents()]),
    Target(
        "padded-document",
        check_padded_document,
        lambda: _bare_documents(),
        2048,
    ),
    Target(
        "record",
        check_record,
        lambda: (
            [
                Record.verified(packet, document.to_bytes()).to_bytes()
                for packet, document in zip(packets(), documents(), strict=True)
            ]
            + [Record(packets()[0], None).to_bytes()]
        ),
    ),
    Target("approvals", check_approvals, approval_seeds, 8192),
    Target("equivocation", check_equivocation, proof_seeds),
    Target("sealed", check_sealed, sealed_seeds, 2048),
]


def _bare_documents() -> list[bytes]:
    bare = []
    for document in documents():
        fields = cbor.decode(document.to_bytes(), 65536)
        assert type(fields) is dict
        bare.append(cbor.encode({key: value for key, value in fields.items() if key != 16}))
    return bare
