"""Cases of docs/spec/gathering.md: what approvers are asked, and what they give back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.core.approving import ONE, THREE, TWO, SoftKey, approvers
from tests.core.samples import ALICE, DAY, key
from tests.vectors.cases_request import ID
from walletcli.core import cbor
from walletcli.core.approval import Subject, in_order
from walletcli.core.approval_file import MAGIC, ApprovalFile, Offer, offer_subject
from walletcli.core.approver_items import ApproveItem, AskedKey, OfferItem
from walletcli.core.contact_export import ContactExport
from walletcli.core.cose import Sign1
from walletcli.core.document import Document
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value

DIGEST = bytes(range(32))
GROUP = approvers(ONE, TWO, threshold=2)
LAST = Document(ALICE.public_key, 1_764_000_000_000_000, approvers=GROUP)
NEXT = replace(LAST, seq=LAST.seq + 1, previous=LAST.hash, profile={"name": "Alice"})
EXPORT = Sign1.sign(
    ALICE, ContactExport.TYP, ContactExport(ALICE.public_key, DAY, bytes(16), ()).to_payload()
).to_bytes()
KEYS = tuple(AskedKey(item.public_key, b"credential") for item in GROUP.approvers)
SUBJECT = Subject.of_document(NEXT)


def record(document: Document) -> Record:
    packet = SignedPacket.sign(ALICE, document.seq, packet_value(document))
    return Record.verified(packet, document.to_bytes())


RECORD = record(LAST)
BARE = Document(ALICE.public_key, 5)
STRANGER = key("stranger").public_key


def request(*items: list[Any], days: int = 14) -> bytes:
    return b"walletcli request 1\n" + cbor.encode({1: ID, 2: DAY, 3: DAY + days, 4: list(items)})


def approve(**changes: Any) -> list[Any]:
    """Return an approve item with parts changed, by position: `_4=b""`."""
    row = ApproveItem(ALICE.public_key, RECORD, NEXT, None, KEYS).to_row()
    return [changes.get(f"_{number}", part) for number, part in enumerate(row)]


def answer(*parts: Any) -> bytes:
    return MAGIC + cbor.encode(list(parts))


def offered(key: SoftKey) -> dict[int, Any]:
    proof = key.agree(offer_subject(ALICE.public_key, DIGEST, key.approver))
    return {1: key.approver.to_cbor(), 2: b"credential", 3: proof.to_cbor()}


def _valid() -> Iterator[tuple[str, str, bytes]]:
    asked = [[item.public_key, item.credential_id] for item in KEYS]
    yield "approve, two keys", "request", request(approve())
    yield "approve, the first key", "request", request(approve(_5=asked[:1]))
    yield "approve, the second key", "request", request(approve(_5=asked[1:]))
    yield "approve, a long credential id", "request", request(approve(_5=[[KEYS[0].public_key, bytes(1023)]]))
    yield "approve, for 90 days", "request", request(approve(), days=90)
    without = replace(NEXT, approvers=None).to_bare_bytes()
    yield "approve, a document without approvers", "request", request(approve(_4=without))
    yield "approve, a contact export", "request", request(approve(_3=2, _4=EXPORT))
    yield "offer, with a PIN", "request", request(OfferItem(ALICE.public_key, verify=True).to_row())
    yield "offer, with a touch", "request", request(OfferItem(ALICE.public_key, verify=False).to_row())
    for name, keys in (("EdDSA", (ONE,)), ("ES256", (TWO,)), ("both", (ONE, TWO))):
        approvals = in_order(one.agree(SUBJECT) for one in keys)
        yield f"approvals, {name}", "approval", ApprovalFile(ID, DIGEST, approvals).to_bytes()
    for name, one in (("EdDSA", ONE), ("ES256", TWO), ("without a PIN", THREE)):
        proof = one.agree(offer_subject(ALICE.public_key, DIGEST, one.approver))
        offer = Offer(one.approver, b"credential", proof)
        yield f"offer of a key, {name}", "approval", ApprovalFile(ID, DIGEST, offer=offer).to_bytes()


def _bad_requests() -> Iterator[tuple[str, list[list[Any]], str]]:
    offer: list[Any] = [6, ALICE.public_key, True]
    one = [KEYS[0].public_key, KEYS[0].credential_id]
    yield "two items", [approve(), approve()], "request.malformed"
    yield "an approval and an offer", [approve(), offer], "request.malformed"
    yield "a part more", [[*approve(), 0]], "request.malformed"
    yield "another identity", [approve(_1=STRANGER)], "request.record"
    yield "an identity of 31 bytes", [approve(_1=bytes(31))], "request.malformed"
    yield "a record without approvers", [approve(_2=record(BARE).to_bytes())], "request.malformed"
    yield "a record that is none", [approve(_2=b"x")], "record.file"
    yield "a record in text", [approve(_2="x")], "request.malformed"
    yield "another identity's document", [approve(_4=Document(STRANGER, 9).to_bare_bytes())], "request.record"
    yield "kind 3", [approve(_3=3)], "request.malformed"
    yield "a kind that is true", [approve(_3=True)], "request.malformed"
    yield "a document as an export", [approve(_3=2)], "cose.malformed"
    yield "an altered export", [approve(_3=2, _4=EXPORT[:-1] + b"\0")], "signature.invalid"
    yield "nothing to approve", [approve(_4=None)], "request.malformed"
    yield "no keys", [approve(_5=[])], "request.malformed"
    yield "nine keys", [approve(_5=[one] * 9)], "request.malformed"
    yield "one key twice", [approve(_5=[one, one])], "request.malformed"
    yield "keys out of order", [approve(_5=[[k.public_key, b"x"] for k in KEYS[::-1]])], "request.malformed"
    yield "a key that is no approver", [approve(_5=[[bytes(32), b"x"]])], "request.malformed"
    yield "a key of 31 bytes", [approve(_5=[[bytes(31), b"x"]])], "request.malformed"
    yield "no credential id", [approve(_5=[[KEYS[0].public_key, b""]])], "request.malformed"
    yield "a credential id of 1024 bytes", [approve(_5=[[KEYS[0].public_key, bytes(1024)]])], "request.malformed"
    yield "an asked key in a map", [approve(_5=[{1: 2}])], "request.malformed"
    yield "offer, a number for the PIN", [[6, ALICE.public_key, 1]], "request.malformed"
    yield "offer, no identity", [[6, b"", True]], "request.malformed"
    yield "offer, a part more", [[*offer, 0]], "request.malformed"
    yield "an unknown kind", [[7, ALICE.public_key, True]], "request.malformed"


def _bad_answers() -> Iterator[tuple[str, bytes, str]]:
    both = [approval.to_cbor() for approval in in_order([ONE.agree(SUBJECT), TWO.agree(SUBJECT)])]
    good = answer(ID, DIGEST, both)
    yield "empty", b"", "approval-file.file"
    yield "another version", good.replace(b"1\n", b"2\n", 1), "approval-file.file"
    yield "a byte more", good + b"\0", "cbor.trailing"
    yield "too long", MAGIC + bytes(16_384), "approval-file.file"
    yield "a map", MAGIC + cbor.encode({1: 2}), "approval-file.malformed"
    yield "no answer", answer(ID, DIGEST), "approval-file.malformed"
    yield "an id of 15 bytes", answer(ID[1:], DIGEST, both), "approval-file.malformed"
    yield "an id in text", answer("x", DIGEST, both), "approval-file.malformed"
    yield "a digest of 31 bytes", answer(ID, DIGEST[1:], both), "approval-file.malformed"
    yield "no approvals", answer(ID, DIGEST, []), "approval-file.malformed"
    yield "approvals out of order", answer(ID, DIGEST, both[::-1]), "approval.malformed"
    yield "one approval twice", answer(ID, DIGEST, [both[0], both[0]]), "approval.malformed"
    yield "an approval that is none", answer(ID, DIGEST, [0]), "approval.malformed"
    yield "an empty offer", answer(ID, DIGEST, {}), "approval-file.malformed"
    yield "an offer with a field more", answer(ID, DIGEST, {**offered(ONE), 4: 0}), "approval-file.malformed"
    yield "no credential id", answer(ID, DIGEST, {**offered(ONE), 2: b""}), "approval-file.malformed"
    yield "a long credential id", answer(ID, DIGEST, {**offered(ONE), 2: bytes(1024)}), "approval-file.malformed"
    yield "a key in a list", answer(ID, DIGEST, {**offered(ONE), 1: []}), "document.approvers"
    yield "no proof", answer(ID, DIGEST, {**offered(ONE), 3: []}), "approval.malformed"


def make() -> dict[str, object]:
    """Return what gathering.json holds."""
    bad = [(f"request: {name}", "request", request(*items), error) for name, items, error in _bad_requests()]
    bad += [(f"approval file: {name}", "approval", data, error) for name, data, error in _bad_answers()]
    return {
        "spec": "docs/spec/gathering.md",
        "source": "made by tests/vectors/make_vectors.py; keys are those of tests/core/samples.py and approving.py",
        "valid": [{"name": name, "kind": kind, "hex": data.hex()} for name, kind, data in _valid()],
        "invalid": [{"name": name, "kind": kind, "hex": data.hex(), "error": error} for name, kind, data, error in bad],
    }
