"""Signatures of files: whose they are, for what, and what becomes of them when the device has gone."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.core.samples import key
from tests.wallet.parts import WORDS, HonestRelay, make_home, opened, restored_home
from walletcli.core.record import Record
from walletcli.core.ssh.keys import key_line
from walletcli.core.ssh.signable import FileHash
from walletcli.core.ssh.sshsig import SshSignature
from walletcli.errors import FormatError, InputError, VerificationError, WalletError
from walletcli.wallet.access.session import Session
from walletcli.wallet.identities import create_identity, retire_identity, show_identity
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.recovery.devices import revoke_device
from walletcli.wallet.resolve import resolve_identity
from walletcli.wallet.ssh import kept, verifying
from walletcli.wallet.ssh.key import ssh_key
from walletcli.wallet.ssh.signing import sign_file
from walletcli.wallet.ssh.verifying import (
    CheckedSignature,
    Evidence,
    SignedByIdentity,
    by_identity,
    by_list,
    check_signature,
)

DAY_S = 86_400
TEXT = b"a release\n" * 1000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file to sign."""
    path = tmp_path / "release"
    path.write_bytes(TEXT)
    return path


@pytest.fixture
def ada(session: Session, relay: HonestRelay) -> Session:
    """A wallet whose identity is published, and names its SSH key."""
    create_identity(session, "ada")
    ssh_key(session, "ada", named=True)
    publish_identity(session, "ada", [relay.url])
    return session


@pytest.fixture
def signature(ada: Session, file: Path) -> Path:
    """Ada's signature of the file."""
    path = file.with_suffix(".sig")
    sign_file(ada, "ada", str(file), "file", str(path))
    return path


@pytest.fixture
def bob(tmp_path: Path) -> Iterator[Session]:
    """Somebody else's wallet."""
    with opened(make_home(tmp_path / "bob")) as session:
        yield session


def evidence_of(ada: Session) -> Evidence:
    """Return Ada's newest record."""
    record = show_identity(ada, "ada").record
    assert record is not None
    return Evidence(Record.from_bytes(record), "checked")


def checked(file: Path, signature: Path, namespace: str = "file") -> CheckedSignature:
    return check_signature(str(file), str(signature), namespace)


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(WalletError) as caught:
        act()
    assert caught.value.hint
    return caught.value.code


def test_a_signature_is_its_identitys(
    ada: Session, bob: Session, file: Path, signature: Path, relay: HonestRelay
) -> None:
    did = ssh_key(ada, "ada").did
    found = resolve_identity(did, bob, [relay.url]).resolution
    good = by_identity(checked(file, signature), Evidence(found.record, found.freshness.value), bob)
    view = show_identity(ada, "ada")
    assert (good.did, good.device, good.kept_day) == (did, view.device_signing_key, None)
    assert good.until_day is not None
    assert good.until_day > time.time() // DAY_S
    assert good.to_json()["fingerprint"] == ssh_key(ada, "ada").to_json()["fingerprint"]


def test_signing_is_deterministic_and_never_replaces(ada: Session, file: Path, signature: Path) -> None:
    again = sign_file(ada, "ada", str(file), "file", None)
    assert again.signature.to_text() == signature.read_text()
    before = signature.read_bytes()
    assert refused(lambda: sign_file(ada, "ada", str(file), "git", str(signature))) == "file.exists"
    assert signature.read_bytes() == before


@pytest.mark.parametrize("namespace", ["", "a b", "ü", "x" * 129, "a\nb"])
def test_a_namespace_is_one_word(ada: Session, file: Path, namespace: str) -> None:
    assert refused(lambda: sign_file(ada, "ada", str(file), namespace, None)) == "sshsig.bad-namespace"


def test_each_flipped_bit_of_the_signature_is_refused(ada: Session, file: Path, signature: Path) -> None:
    lines = signature.read_text().splitlines()
    blob = base64.b64decode("".join(lines[1:-1]))
    evidence = evidence_of(ada)
    changed = signature.with_suffix(".changed")
    for bit in range(0, len(blob) * 8, 3):
        flipped = bytearray(blob)
        flipped[bit // 8] ^= 1 << bit % 8
        changed.write_text(
            "\n".join([lines[0], base64.b64encode(flipped).decode(), lines[-1], ""]).replace("\n\n", "\n")
        )
        with pytest.raises((FormatError, VerificationError)):
            by_identity(_wrapped(file, changed), evidence, None)


def _wrapped(file: Path, path: Path) -> CheckedSignature:
    first, text, last = path.read_text().splitlines()
    lines = [text[start : start + 70] for start in range(0, len(text), 70)]
    path.write_text("\n".join([first, *lines, last, ""]))
    return checked(file, path)


def test_each_changed_byte_of_the_file_is_refused(file: Path, signature: Path) -> None:
    for data in (TEXT + b"\0", TEXT[:-1], b"A" + TEXT[1:], b""):
        file.write_bytes(data)
        assert refused(lambda: checked(file, signature)) == "signature.invalid"


@pytest.mark.parametrize("namespace", ["git", "fil", "file ", "FILE", ""])
def test_a_signature_for_one_purpose_serves_no_other(file: Path, signature: Path, namespace: str) -> None:
    assert refused(lambda: checked(file, signature, namespace)) == "sshsig.namespace"


def test_a_namespace_that_was_put_in_afterwards_is_refused(file: Path, signature: Path) -> None:
    forged = replace(SshSignature.from_file(signature.read_bytes()), namespace="git")
    signature.write_text(forged.to_text())
    assert refused(lambda: checked(file, signature, "git")) == "signature.invalid"


def test_a_login_is_no_signature_of_a_file(ada: Session, file: Path, signature: Path) -> None:
    good = SshSignature.from_file(signature.read_bytes())
    other = ada.sign_ssh(0, FileHash("file", "sha512", bytes(64)).to_bytes())
    signature.write_text(replace(good, signature_blob=good.signature_blob[:-64] + other).to_text())
    assert refused(lambda: checked(file, signature)) == "signature.invalid"


def test_anothers_signature_is_not_the_identitys(ada: Session, bob: Session, file: Path, tmp_path: Path) -> None:
    create_identity(bob, "bob")
    sign_file(bob, "bob", str(file), "file", str(tmp_path / "bobs.sig"))
    found = checked(file, tmp_path / "bobs.sig")
    assert refused(lambda: by_identity(found, evidence_of(ada), None)) == "ssh-keys.not-named"


def test_a_key_that_the_record_does_not_name_does_not_count(session: Session, file: Path, relay: HonestRelay) -> None:
    create_identity(session, "ada")
    publish_identity(session, "ada", [relay.url])
    sign_file(session, "ada", str(file), "file", f"{file}.sig")
    found = checked(file, Path(f"{file}.sig"))
    assert refused(lambda: by_identity(found, evidence_of(session), session)) == "ssh-keys.not-named"


def _on_day(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    now_s = time.time() + days * DAY_S
    monkeypatch.setattr(verifying.time, "time", lambda: now_s)


def test_when_the_delegation_has_ended_it_does_not_count(
    ada: Session, file: Path, signature: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, evidence = checked(file, signature), evidence_of(ada)
    _on_day(monkeypatch, 91)
    assert refused(lambda: by_identity(found, evidence, ada)) == "ssh-keys.expired"


def test_a_lost_device_is_revoked_from_another_one_and_its_signatures_with_it(
    bob: Session, file: Path, relay: HonestRelay, tmp_path: Path
) -> None:
    with opened(make_home(tmp_path / "lost", WORDS)) as lost, opened(restored_home(tmp_path / "kept", WORDS)) as other:
        create_identity(lost, "ada")
        page = ssh_key(lost, "ada", named=True)
        publish_identity(lost, "ada", [relay.url])
        sign_file(lost, "ada", str(file), "file", f"{file}.sig")
        found = checked(file, Path(f"{file}.sig"))
        create_identity(other, "ada")
        publish_identity(other, "ada", [relay.url], on_top=True)
        before = resolve_identity(page.did, bob, [relay.url]).resolution
        assert by_identity(found, Evidence(before.record, "checked"), bob, keep=True).kept_day is None
        revoke_device(other, "ada", page.identity.device_signing_key.hex())
        publish_identity(other, "ada", [relay.url])
        after = Evidence(resolve_identity(page.did, bob, [relay.url]).resolution.record, "checked")
    assert refused(lambda: by_identity(found, after, None)) == "ssh-keys.not-named"
    assert by_identity(found, after, bob).kept_day is not None


def test_after_a_revocation_it_counts_for_who_had_kept_it_alone(
    ada: Session, bob: Session, file: Path, signature: Path
) -> None:
    found, evidence = checked(file, signature), evidence_of(ada)
    by_identity(found, evidence, bob, keep=True)
    document = evidence.record.document
    assert document is not None
    gone = _revoked(evidence)
    assert refused(lambda: by_identity(found, gone, None)) == "ssh-keys.not-named"
    assert refused(lambda: by_identity(found, gone, ada)) == "ssh-keys.not-named"
    later = by_identity(found, gone, bob)
    assert later.kept_day == int(time.time()) // DAY_S
    assert (later.device, later.until_day) == (None, None)


def _revoked(evidence: Evidence) -> Evidence:
    """Return a later record, in which the device and its key are not any more."""
    document = evidence.record.document
    assert document is not None
    without = replace(document, delegations=(), extensions={})
    return replace(evidence, record=replace(evidence.record, document=without))


def test_what_was_kept_is_that_signature_of_that_file_by_that_identity(
    ada: Session, bob: Session, file: Path, signature: Path, tmp_path: Path
) -> None:
    evidence = evidence_of(ada)
    by_identity(checked(file, signature), evidence, bob, keep=True)
    gone = _revoked(evidence)
    sign_file(ada, "ada", str(file), "git", str(tmp_path / "other.sig"))
    for_git = checked(file, tmp_path / "other.sig", "git")
    assert refused(lambda: by_identity(for_git, gone, bob)) == "ssh-keys.not-named"
    file.write_bytes(b"backdated")
    sign_file(ada, "ada", str(file), "file", str(tmp_path / "backdated.sig"))
    backdated = checked(file, tmp_path / "backdated.sig")
    assert refused(lambda: by_identity(backdated, gone, bob)) == "ssh-keys.not-named"


def test_the_first_day_stays(ada: Session, bob: Session, file: Path, signature: Path) -> None:
    found = checked(file, signature)
    identity = show_identity(ada, "ada").public_key
    for day in (20_000, 20_001):
        kept.keep(bob, found.signature, found.digest, identity, day)
    assert kept.kept_day(bob, found.signature, found.digest, identity) == 20_000
    assert kept.kept_day(bob, found.signature, found.digest, bytes(32)) is None


def test_no_more_are_kept_than_fit(bob: Session, file: Path, signature: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MAX_KEPT", 3)
    found = checked(file, signature)
    for number in range(5):
        kept.keep(bob, found.signature, bytes([number]), bytes(32), 20_000)
    days = [kept.kept_day(bob, found.signature, bytes([number]), bytes(32)) for number in range(5)]
    assert days == [None, None, 20_000, 20_000, 20_000]


def test_what_an_ended_identity_signed_does_not_count(
    ada: Session, file: Path, signature: Path, relay: HonestRelay
) -> None:
    found = checked(file, signature)
    retire_identity(ada, "ada")
    publish_identity(ada, "ada", [relay.url])
    assert refused(lambda: by_identity(found, evidence_of(ada), ada)) == "ssh-keys.retired"
    assert refused(lambda: sign_file(ada, "ada", str(file), "file", None)) == "identity.retired"


def test_a_record_without_its_document_decides_nothing(ada: Session, file: Path, signature: Path) -> None:
    evidence = evidence_of(ada)
    pending = replace(evidence, record=replace(evidence.record, document=None))
    assert refused(lambda: by_identity(checked(file, signature), pending, None)) == "record.pending"


def _export(session: Session, path: Path) -> bytes:
    record = show_identity(session, "ada").record
    assert record is not None
    path.write_bytes(record)
    return show_identity(session, "ada").public_key


def test_a_record_from_a_file_serves_unless_a_newer_one_is_known(
    ada: Session, bob: Session, file: Path, signature: Path, relay: HonestRelay, tmp_path: Path
) -> None:
    path = tmp_path / "ada.record"
    _export(ada, path)
    did = ssh_key(ada, "ada").did

    def from_file() -> SignedByIdentity:
        found = resolve_identity(did, bob, record_file=str(path), offline=True).resolution
        return by_identity(checked(file, signature), Evidence(found.record, found.freshness.value), bob)

    assert from_file().to_json()["freshness"] == "first-seen"
    ssh_key(ada, "ada", named=False)
    publish_identity(ada, "ada", [relay.url])
    resolve_identity(did, bob, [relay.url])
    assert refused(from_file) == "record.stale"


def test_a_list_decides_for_whom_and_what(ada: Session, file: Path, signature: Path, tmp_path: Path) -> None:
    path = tmp_path / "allowed"
    path.write_text(ssh_key(ada, "ada").signer_line("ada@example") + "\n")
    found = checked(file, signature)
    assert by_list(found, str(path), None).principals == "ada@example"
    assert by_list(found, str(path), "ada@example").to_json()["by"] == "allowed-signers"
    assert refused(lambda: by_list(found, str(path), "bob@example")) == "allowed-signers.not-listed"
    path.write_text(f"ada@example {key_line(key('somebody').public_key)}\n")
    assert refused(lambda: by_list(found, str(path), None)) == "allowed-signers.not-listed"
    path.write_text(f'ada@example valid-before="20000101" {ssh_key(ada, "ada").line()}\n')
    assert refused(lambda: by_list(found, str(path), None)) == "allowed-signers.not-listed"


def test_what_is_no_signature_is_refused(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "none"
    path.write_bytes(b"x" * 40_000)
    assert refused(lambda: checked(file, path)) == "file.too-long"
    path.write_bytes(b"-----BEGIN SSH SIGNATURE-----\n")
    assert refused(lambda: checked(file, path)) == "sshsig.armor"
    assert refused(lambda: checked(file, tmp_path / "missing")) == "file.missing"


def test_a_file_that_cannot_be_read_is_named(ada: Session, tmp_path: Path) -> None:
    with pytest.raises(InputError) as missing:
        sign_file(ada, "ada", str(tmp_path / "missing"), "file", None)
    assert missing.value.code == "file.missing"
    with pytest.raises(InputError) as directory:
        sign_file(ada, "ada", str(tmp_path), "file", None)
    assert directory.value.code == "file.unreadable"


def test_what_is_said_names_no_label(ada: Session, file: Path, signature: Path) -> None:
    good: SignedByIdentity = by_identity(checked(file, signature), evidence_of(ada), ada)
    assert "ada" not in str(good.to_json()).lower().replace(good.did.lower(), "").split("'")
