"""In the guest: keys on the kernel's own HID stack approve, and libfido2 takes that, as we take what it asked for."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from tests.hid.guest_peers import PIN, on_terminal, run
from tests.hid.guest_stories import LONG_S, WAYS, plug, wait_at_most
from tests.hid.in_process import Owner
from tests.hid.plugboard import ask as plugboard
from tests.wallet.parts import make_home
from tests.wallet.parts import opened as opened_wallet
from walletcli.core.approval import RELYING_PARTY, Approval, Kind, Subject, check_threshold
from walletcli.core.document_parts import Approver, Approvers
from walletcli.errors import VerificationError, WalletError
from walletcli.signers.devices.hidapi import plugged_keys
from walletcli.signers.devices.opening import opened
from walletcli.signers.devices.security_key import SecurityKey
from walletcli.wallet.approvers.asking import Question, ask
from walletcli.wallet.approvers.deciding import add_approver
from walletcli.wallet.identities import create_identity

SUBJECT = Subject.rehearsal(bytes([1]) + bytes(31), bytes(range(32)))


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    plugboard("forget")
    wait_at_most(LONG_S, monkeypatch)


def with_key(action: Callable[[SecurityKey], Any], *pins: str) -> Any:
    (key,) = plugged_keys()
    with opened(key, Owner(*pins)) as device:
        return action(device)


def approver_of_pem(pem: bytes, algorithm: int) -> Approver:
    public = load_pem_public_key(pem)
    if isinstance(public, ed25519.Ed25519PublicKey):
        return Approver(algorithm, public.public_bytes(Encoding.Raw, PublicFormat.Raw), user_verification=True)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    return Approver(algorithm, public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint), user_verification=True)


@pytest.mark.parametrize(("name", "algorithm"), [("es256", -7), ("eddsa", -8)])
def test_an_assertion_that_libfido2_asked_for_is_an_approval(tmp_path: Path, name: str, algorithm: int) -> None:
    node = plug("a", pin=PIN)
    asked, made, checked = (tmp_path / file for file in ("asked", "made", "checked"))
    asked.write_text(f"{b64(os.urandom(32))}\n{RELYING_PARTY}\nuser\n{b64(os.urandom(32))}\n")
    on_terminal("fido2-cred", "-M", "-v", "-i", str(asked), "-o", str(made), node, name, pins=1)
    run("fido2-cred", "-V", "-v", "-i", str(made), "-o", str(checked), name)
    credential, *pem = checked.read_text().splitlines(keepends=True)
    approver = approver_of_pem("".join(pem).encode(), algorithm)
    asked.write_text(f"{b64(SUBJECT.client_data_hash)}\n{RELYING_PARTY}\n{credential}")
    given = tmp_path / "given"
    on_terminal("fido2-assert", "-G", "-p", "-v", "-i", str(asked), "-o", str(given), node, pins=1)
    _, _, data, signature = (line.strip() for line in given.read_text().splitlines()[:4])
    approval = Approval(
        algorithm, approver.public_key, cbor2.loads(base64.b64decode(data)), base64.b64decode(signature)
    )
    approval.check(SUBJECT, approver)
    with pytest.raises(VerificationError):
        approval.check(replace(SUBJECT, kind=Kind.CONTACT_EXPORT), approver)


@WAYS
def test_libfido2_verifies_our_approval(tmp_path: Path, way: str) -> None:
    plug("a", way, pin=PIN)
    made = with_key(lambda key: key.new_approver((), verify=True), PIN)
    approval = with_key(lambda key: key.approve(made.credential_id, made.approver, SUBJECT), PIN)
    assert approval.algorithm == -8
    public = ed25519.Ed25519PublicKey.from_public_bytes(approval.public_key)
    pem = tmp_path / "public.pem"
    pem.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    given = tmp_path / "given"

    def verify(client_data_hash: bytes) -> int:
        data = cbor2.dumps(approval.authenticator_data)
        lines = [b64(client_data_hash), RELYING_PARTY, b64(data), b64(approval.signature)]
        given.write_text("\n".join(lines) + "\n")
        command = ["fido2-assert", "-V", "-p", "-v", "-i", str(given), str(pem), "eddsa"]
        return subprocess.run(command, capture_output=True, timeout=300, check=False).returncode

    assert verify(SUBJECT.client_data_hash) == 0
    assert verify(bytes(32)) != 0


@WAYS
def test_an_export_is_approved_with_the_key_and_not_without(tmp_path: Path, way: str) -> None:
    """Documents are in `guest_approvals`."""
    home = replace(make_home(tmp_path / "home"), keys=Owner(*[PIN] * 4))
    plug("a", way, pin=PIN)
    with opened_wallet(home) as session:
        create_identity(session, "alice")
        (approver,) = add_approver(session, "alice", name="blue").approvers
        credentials = session.snapshot().wallet.by_index(0).credentials
        export = Subject.of_export(SUBJECT.identity, b"an export", 3)
        group = Approvers(1, (approver.approver,), 30)
        plugboard("unplug", name="a")
        with pytest.raises(WalletError) as refused:
            ask(home, Question(credentials, group, export))
        assert refused.value.code == "approver.not-here"
        plug("a", way)
        check_threshold(group, export, ask(home, Question(credentials, group, export)))
        with pytest.raises(VerificationError):
            check_threshold(group, SUBJECT, ask(home, Question(credentials, group, export)))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
