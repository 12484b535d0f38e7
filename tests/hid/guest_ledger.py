"""In the guest: a Ledger on the kernel's own HID stack, with Ledger's ids, approves what moves an identity.

What stands behind it follows what the maker publishes; it is not the maker's firmware.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.hid.guest_approvals import Knows, host, plug, refused
from tests.hid.ledger_device import LIES
from tests.hid.plugboard import ask
from tests.wallet.parts import make_home, opened
from tests.wallet.providers.parts import Host, bind, record_of
from walletcli.core.approval import Subject
from walletcli.core.approvals import DocumentApprovals
from walletcli.core.contact_export import verify_export
from walletcli.core.document_parts import Form
from walletcli.core.export_file import OpenExport, read_export_file
from walletcli.errors import SignerError
from walletcli.signers.devices import channel, ledger, security_key
from walletcli.signers.devices.hidapi import plugged_keys
from walletcli.wallet.access.session import Session
from walletcli.wallet.approvers.deciding import add_approver
from walletcli.wallet.contacts.evidence import Inquiry
from walletcli.wallet.contacts.exporting import Wanted, export_contacts
from walletcli.wallet.identities import create_identity
from walletcli.wallet.ledgers import ledger_info, list_ledgers
from walletcli.wallet.publish import publish_identity

__all__ = ["host"]  # a fixture

LONG_S, SHORT_S = 120.0, 3.0
SPECIAL = {"silent": "ledger.not-pressed", "no-header": "ledger.old"}
"""What some lies end in; the others are found to be lies."""

OTHER_WORDS = "legal winner thank year wave sausage worth useful legal winner thank yellow"


def wait_at_most(limit_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, names in (
        (ledger, ("ANSWER_LIMIT_S", "OWNER_LIMIT_S")),
        (security_key, ("ANSWER_LIMIT_S", "TOUCH_LIMIT_S")),
        (channel, ("ANSWER_LIMIT_S", "TOUCH_LIMIT_S")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, limit_s)


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is plugged in, and an honest device has long to answer: this machine is imagined."""
    ask("forget")
    wait_at_most(LONG_S, monkeypatch)
    yield
    ask("forget")


@pytest.fixture
def alice(tmp_path: Path, host: Host) -> Iterator[Session]:
    """A wallet whose identity is published with a Ledger as its approver, which is plugged in."""
    ask("plug_ledger", name="l")
    with opened(replace(make_home(tmp_path / "home"), keys=Knows())) as session:
        create_identity(session, "alice")
        publish_identity(session, "alice", [host.url])
        add_approver(session, "alice", name="nano")
        publish_identity(session, "alice", [host.url])
        yield session


def test_it_is_found_by_its_ids_and_says_what_is_in_the_way() -> None:
    assert list_ledgers() == ()
    node = str(ask("plug_ledger", name="l"))
    (view,) = list_ledgers()
    assert (view.device.path, view.device.vendor_id, view.state) == (node, 0x2C97, "ready")
    assert plugged_keys() == (), "it is no security key"
    for settings, code in (({"locked": True}, "ledger.locked"), ({"status": 0x6511}, "ledger.wrong-app")):
        ask("tell", name="l", **settings)
        with pytest.raises(SignerError) as told:
            ledger_info(None)
        assert told.value.code == code
    ask("unplug", name="l")
    ask("plug_ledger", name="l", mode=0o600)
    with pytest.raises(SignerError) as told:
        ledger_info(None)
    assert told.value.code == "key.no-permission"


def test_it_approves_a_binding_and_shows_what_the_document_says(host: Host, alice: Session) -> None:
    bind(alice, host.address)
    record = record_of(alice)
    assert record.document is not None and record.beside is not None
    assert len(record.document.bindings) == 1
    assert ask("shown", name="l")[-1] == Subject.of_document(record.document).text
    (approval,) = DocumentApprovals.from_bytes(record.beside.to_bytes()).approvals
    assert approval.form is Form.SIGNED_TEXT
    assert isinstance(alice.home.keys, Knows)
    assert alice.home.keys.texts == ask("shown", name="l")


def test_it_approves_an_export_and_nothing_is_written_without(host: Host, alice: Session, tmp_path: Path) -> None:
    file = tmp_path / "contacts"
    identity = alice.snapshot().wallet.by_index(0)

    def write() -> None:
        export_contacts(alice, Inquiry(alice, identity, [host.url]), Wanted(is_open=True), str(file))

    ask("tell", name="l", refuses=True)
    with pytest.raises(SignerError) as told:
        write()
    assert told.value.code == "ledger.denied"
    assert not file.exists()
    ask("tell", name="l", refuses=False)
    write()
    found = read_export_file(file.read_bytes())
    assert isinstance(found, OpenExport)
    export, _ = verify_export(found.export)
    subject = Subject.of_export(export.identity, found.export, len(export.entries))
    document = record_of(alice).document
    assert document is not None and document.approvers is not None
    found.approvals[0].check(subject, document.approvers.approvers[0])
    assert ask("shown", name="l")[-1] == subject.text


def test_one_that_is_refused_pulled_out_or_another_binds_nothing(host: Host, alice: Session) -> None:
    ask("tell", name="l", refuses=True)
    assert refused(alice, host) == "ledger.denied"
    ask("tell", name="l", refuses=False, never_pressed=True)
    ask("pull_when_touched", name="l")
    assert refused(alice, host) == "key.removed"
    ask("settle")
    assert refused(alice, host) == "approver.not-here"
    ask("plug_ledger", name="other", words=OTHER_WORDS)
    assert refused(alice, host) == "approver.not-here"
    ask("unplug", name="other")
    ask("plug_ledger", name="l")
    bind(alice, host.address)


def test_a_lying_one_binds_nothing(host: Host, alice: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = {}
    for lie in LIES:
        ask("unplug", name="l")
        ask("plug_ledger", name="l", lie=lie)
        wait_at_most(SHORT_S if lie == "silent" else LONG_S, monkeypatch)
        codes[lie] = refused(alice, host)
    assert codes == {lie: SPECIAL.get(lie, "ledger.bad-answer") for lie in LIES}
    ask("unplug", name="l")
    ask("plug_ledger", name="l")
    bind(alice, host.address)


def test_a_security_key_and_a_ledger_bind_together_one_after_the_other_and_neither_alone(
    host: Host, alice: Session
) -> None:
    node = str(plug_path("a"))
    add_approver(alice, "alice", which=node, name="blue", threshold=2)
    publish_identity(alice, "alice", [host.url])
    ask("unplug", name="a")
    assert refused(alice, host) == "approver.not-here"
    ask("unplug", name="l")  # what it has approved is kept
    assert refused(alice, host) == "approver.not-here"
    plug("uhid")
    bind(alice, host.address)
    beside = record_of(alice).beside
    assert beside is not None
    forms = {approval.form for approval in DocumentApprovals.from_bytes(beside.to_bytes()).approvals}
    assert forms == {Form.ASSERTION, Form.SIGNED_TEXT}


def plug_path(name: str) -> str:
    """Plug a security key in; return its path."""
    plug("uhid", name)
    (key,) = plugged_keys()
    return key.path
