"""The client of Ledger's maker asks a device as ours does, and an independent reader verifies what was signed."""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import Any

import pytest

from tests.core.samples import ALICE, SEQ, devices, key
from tests.core.test_approval_text import grant
from tests.hid.in_process import InProcessLedger, Owner
from tests.hid.ledger_device import LedgerDevice
from tests.peers.conftest import HERE
from walletcli.core.approval import Approval, Subject
from walletcli.core.document import Document
from walletcli.core.document_parts import Approver, Form
from walletcli.signers.devices.ledger import Ledger, approver_path

NUMBER = 1_234_567
DOMAIN = hashlib.sha256(b"walletcli:approver").hexdigest()
SUBJECTS = {
    "a short one": Subject.of_document(Document(ALICE.public_key, SEQ)),
    "the longest": Subject.of_document(
        Document(
            ALICE.public_key,
            2**63 - 1,
            bindings=tuple(grant(key(f"provider {number}").public_key) for number in range(16)),
            delegations=devices(32),
            profile={"name": "Alice"},
        )
    ),
    "an export": Subject.of_export(ALICE.public_key, b"an export", 12),
}


def asked_by_the_makers_client(device: LedgerDevice, text: str, signature: bytes) -> dict[str, Any]:
    """Let the maker's client have a text signed; `signature` is one of ours, to be verified by the reader."""
    answers: list[bytes] = []
    device._reply = lambda answer, status: answers.append(answer + status.to_bytes(2, "big"))  # type: ignore[method-assign]
    arguments = [f"44'/501'/{NUMBER}'", DOMAIN, text, signature.hex()]
    client = subprocess.Popen(
        ["node", "ledger.mjs", *arguments], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert client.stdin is not None and client.stdout is not None
    with client:
        for line in client.stdout:
            said = dict(json.loads(line))
            if "apdu" not in said:
                return said
            device._take(bytes.fromhex(said["apdu"]))
            client.stdin.write(answers.pop().hex() + "\n")
            client.stdin.flush()
    raise AssertionError("the client ended without a result")


@pytest.mark.parametrize("name", SUBJECTS)
def test_both_clients_ask_the_same_and_the_reader_takes_both_signatures(name: str) -> None:
    subject, wire = SUBJECTS[name], InProcessLedger()
    ours, path = Ledger("Nano", wire), approver_path(NUMBER)
    approver = Approver(-8, ours.public_key(path), False, Form.SIGNED_TEXT)
    approval = ours.approve(path, approver, subject, Owner())
    device = LedgerDevice(lambda packet: None)
    found = asked_by_the_makers_client(device, subject.text, approval.signature)
    assert found["key"] == approver.public_key.hex()
    assert found["content"] == subject.message_for(approver.public_key).hex()
    assert (found["same"], found["text"], found["version"]) == (True, subject.text, "1.9.2")
    assert (found["holds"], found["foreign"], found["flipped"]) == (True, True, False)
    assert device.shown == wire.device.shown == [subject.text]
    Approval(-8, approver.public_key, None, bytes.fromhex(found["signature"])).check(subject, approver)
    signing = [[request for request in one.requests if request[1] == 7] for one in (device, wire.device)]
    assert signing[0] == signing[1] != []
    keys = [{request for request in one.requests if request[1] == 5} for one in (device, wire.device)]
    assert keys[0] == keys[1]


def test_the_reader_refuses_what_we_refuse() -> None:
    subject, other = SUBJECTS["a short one"], SUBJECTS["an export"]
    wire = InProcessLedger()
    ours, path = Ledger("Nano", wire), approver_path(NUMBER)
    approver = Approver(-8, ours.public_key(path), False, Form.SIGNED_TEXT)
    signature = ours.approve(path, approver, other, Owner()).signature
    found = asked_by_the_makers_client(LedgerDevice(lambda packet: None), subject.text, signature)
    assert (found["holds"], found["foreign"]) == (True, False)
