"""The SSH keys of a record as lines of a list of signers."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from tests.core.samples import DAY, device, key
from tests.vectors.cases_ssh import SSH, document
from walletcli.core.document import Document
from walletcli.core.document_parts import Power
from walletcli.core.identity_id import IdentityId
from walletcli.core.ssh.allowed_signers import Now, parse
from walletcli.core.ssh.keys import key_blob, key_line
from walletcli.core.ssh.named_keys import naming
from walletcli.errors import FormatError, VerificationError
from walletcli.wallet.ssh import listing
from walletcli.wallet.ssh.listing import signer_lines

DID = IdentityId(key("alice").public_key).did


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be the second day of the samples' delegations."""
    monkeypatch.setattr(listing.time, "time", lambda: (DAY + 1) * 86_400.0)


def instant(day: int) -> Now:
    text = time.strftime("%Y%m%d%H%M%S", time.gmtime(day * 86_400))
    return Now(text, text)


def test_a_line_holds_until_the_delegation_ends() -> None:
    (line,) = signer_lines(document())
    assert line.split()[0] == DID
    assert line.endswith(key_line(SSH.public_key))
    (signer,) = parse(line.encode())
    blob = key_blob(SSH.public_key)
    assert signer.allows(blob, DID, "git", instant(DAY + 89))
    assert not signer.allows(blob, DID, "git", instant(DAY + 90))
    assert not signer.allows(blob, "did:key:z6MkSomebody", "git", instant(DAY))


def test_a_line_is_made_for_each_key_that_counts_and_for_no_other() -> None:
    devices = [device("one", Power.SHARE), device("two", Power.GRANT), device("three", Power.SHARE)]
    keys = {item.signing_key: key(f"ssh of {number}").public_key for number, item in enumerate(devices)}
    gone = {key("gone").public_key: key("ssh of gone").public_key}
    found = Document(
        key("alice").public_key, 1,
        delegations=tuple(sorted(devices, key=lambda item: item.signing_key)), extensions=naming({}, {**keys, **gone}),
    )  # fmt: skip
    shown = {line.split()[-1] for line in signer_lines(found)}
    assert shown == {key_line(keys[devices[number].signing_key]).split()[-1] for number in (0, 2)}


@pytest.mark.parametrize(
    "found",
    [
        replace(document(), extensions={}),
        replace(document(), delegations=()),
        document(Power.GRANT),
        replace(document(), delegations=(replace(document().delegations[0], not_before_day=DAY + 2),)),
    ],
)
def test_where_no_key_counts_there_is_no_list(found: Document) -> None:
    with pytest.raises(VerificationError) as refused:
        signer_lines(found)
    assert refused.value.code == "ssh-keys.none"


def test_keys_in_no_form_give_no_list() -> None:
    with pytest.raises(FormatError):
        signer_lines(replace(document(), extensions={"ssh": 1}))
