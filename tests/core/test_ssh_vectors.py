"""docs/spec/ssh.md: what an SSH key signs, signature files, and the keys that a document names."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.core.vectors import load, name
from walletcli.core import ed25519
from walletcli.core.document import Document
from walletcli.core.ssh.encoding import SshReader, string
from walletcli.core.ssh.keys import from_key_blob
from walletcli.core.ssh.named_keys import check_named
from walletcli.core.ssh.named_security_keys import (
    check_named_security_key,
    named_security_keys,
    naming_security_keys,
)
from walletcli.core.ssh.security_keys import SkKey
from walletcli.core.ssh.signable import MAX_SIGNABLE_BYTES, parse, parse_for
from walletcli.core.ssh.sshsig import MAX_FILE_BYTES, SshSignature
from walletcli.errors import FormatError, VerificationError, WalletError
from walletcli.wallet.ssh.foreign_keys import verify

ALL = [case for name_ in ("ssh.json", "ssh-security-key.json") for case in load(name_)]
ALL_INVALID = [case for name_ in ("ssh.json", "ssh-security-key.json") for case in load(name_, "invalid")]


def _read(case: dict[str, Any]) -> None:
    """Read a case as the specification says; what is read is written the same."""
    if case["kind"] == "signable":
        data = bytes.fromhex(case["hex"])
        assert parse_for(bytes.fromhex(case["key"]), data).to_bytes() == data
    elif case["kind"] == "signature":
        signature = SshSignature.from_file(case["text"].encode())
        signature.check_namespace(case["namespace"])
        signed = signature.signed(hashlib.new(signature.algorithm, bytes.fromhex(case["message_hex"])).digest())
        verify(signature.key_blob, signature.signature_blob, signed)
        if signature.touch is not None:
            assert signature.touch.to_blob() == signature.signature_blob
            assert SkKey.from_blob(signature.key_blob).to_blob() == signature.key_blob
        else:
            ed25519.verify(from_key_blob(signature.key_blob), signed, signature.signature_blob[-64:])
        assert signature.to_text() == case["text"]
    elif case["kind"] == "named-sk":
        document = Document.from_bare_bytes(bytes.fromhex(case["hex"]))
        found = SkKey.from_blob(bytes.fromhex(case["key"]))
        assert check_named_security_key(document, found, case["day"], is_verified=case["pin"]) > case["day"]
        assert naming_security_keys(document.extensions, named_security_keys(document)) == document.extensions
    else:
        document = Document.from_bare_bytes(bytes.fromhex(case["hex"]))
        check_named(document, bytes.fromhex(case["key"]), case["day"])


@pytest.mark.parametrize("case", ALL, ids=name)
def test_valid_ones_are_read_and_written_the_same(case: dict[str, Any]) -> None:
    _read(case)


@pytest.mark.parametrize("case", ALL_INVALID, ids=name)
def test_invalid_ones_end_in_their_error(case: dict[str, Any]) -> None:
    with pytest.raises(WalletError) as raised:
        _read(case)
    assert raised.value.code == case["error"]
    assert raised.value.hint or isinstance(raised.value, VerificationError)


@pytest.mark.parametrize("case", [case for case in ALL if case["kind"] == "signature"], ids=name)
def test_each_flipped_bit_of_a_signature_is_refused(case: dict[str, Any]) -> None:
    blob, message = SshSignature.from_file(case["text"].encode()).to_blob(), bytes.fromhex(case["message_hex"])
    for bit in range(len(blob) * 8):
        flipped = bytearray(blob)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(WalletError):
            _verify(bytes(flipped), message, case["namespace"])
    _verify(blob, message, case["namespace"])


def _verify(blob: bytes, message: bytes, namespace: str) -> None:
    signature = SshSignature.from_blob(blob)
    signature.check_namespace(namespace)
    signed = signature.signed(hashlib.new(signature.algorithm, message).digest())
    verify(signature.key_blob, signature.signature_blob, signed)


@pytest.mark.parametrize("case", [case for case in ALL if case["kind"] == "signable"], ids=name)
def test_no_beginning_of_what_is_signed_is_signed(case: dict[str, Any]) -> None:
    data, key = bytes.fromhex(case["hex"]), bytes.fromhex(case["key"])
    for length in range(len(data)):
        with pytest.raises(WalletError):
            parse_for(key, data[:length])


@pytest.mark.parametrize("size", [-1, 0, 1])
def test_sizes_are_looked_at_before_what_is_in_them(size: int) -> None:
    signable, file = bytes(MAX_SIGNABLE_BYTES + size), b"-" * (MAX_FILE_BYTES + size)
    too_long = r"at most|more than" if size > 0 else r"ends|begin|neither|line|is no"
    with pytest.raises(WalletError, match=too_long):
        parse(signable)
    with pytest.raises(WalletError, match=too_long):
        SshSignature.from_file(file)


@pytest.mark.parametrize("data", [b"\x80", b"\xff\x01", b"\x00", b"\x00\x7f"])
def test_an_integer_is_positive_and_in_its_shortest_form(data: bytes) -> None:
    with pytest.raises(FormatError):
        SshReader(string(data), lambda why: FormatError("ssh.key", why)).integer(8)
