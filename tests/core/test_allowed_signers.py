"""Lists of allowed signers: read as ssh-keygen reads them, strictly."""

from __future__ import annotations

import pytest

from tests.core.samples import key
from walletcli.core.ssh.allowed_signers import Now, check_allowed, matches, parse
from walletcli.core.ssh.keys import key_blob, key_line
from walletcli.errors import FormatError, VerificationError

ADA = key("ada").public_key
LINE = key_line(ADA)
LINE_ENDS_OF_OTHERS = "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
"""What ends a line for some programs and for OpenSSH does not: in a comment they add nobody."""

NOW = Now("20240229120000", "20240229140000")
"""Noon in UTC, two o'clock in the machine's own time zone."""


def allows(line: str, principal: str | None = "ada", namespace: str = "file") -> bool:
    try:
        check_allowed(parse(line.encode()), key_blob(ADA), principal, namespace, NOW)
    except VerificationError:
        return False
    return True


@pytest.mark.parametrize(
    "line",
    [
        f"ada {LINE}",
        f"ada {LINE} a comment of several words",
        f"  ada\t{LINE}\r\n",
        f"# nobody\n\nbob,ada {LINE}",
        f'"ada" {LINE}',
        f"a?a {LINE}",
        f"*,!bob {LINE}",
        f'ada namespaces="git,file" {LINE}',
        f'ada NAMESPACES="f*" {LINE}',
        f'ada valid-after="20240229" {LINE}',
        f'ada valid-after="20240229120000Z",valid-before="202402291201Z" {LINE}',
        f'ada valid-before="20240229140001" {LINE}',
        f"bob {key_line(key('bob').public_key)}\nada {LINE}",
    ],
)
def test_a_line_allows(line: str) -> None:
    assert allows(line)


@pytest.mark.parametrize(
    "line",
    [
        f"bob {LINE}",
        f"adam {LINE}",
        f"Ada {LINE}",
        f"ada {key_line(key('bob').public_key)}",
        f"*,!a* {LINE}",
        f"!ada,* {LINE}",
        f"# ada {LINE}",
        f'ada namespaces="git" {LINE}',
        f'ada namespaces="*,!file" {LINE}',
        f'ada valid-after="20240301" {LINE}',
        f'ada valid-after="20240229120001Z" {LINE}',
        f'ada valid-before="20240229120000Z" {LINE}',
        f'ada valid-before="20240229135959" {LINE}',
        f"ada cert-authority {LINE}",
        *(f"bob {key_line(key('bob').public_key)} work{end}* {LINE}" for end in LINE_ENDS_OF_OTHERS),
        *(f"# work{end}* {LINE}" for end in LINE_ENDS_OF_OTHERS),
        f"bob\u00a0ada {LINE}",
        "",
    ],
)
def test_a_line_does_not_allow(line: str) -> None:
    assert not allows(line)


@pytest.mark.parametrize(
    "line",
    [
        "ada",
        "ada ssh-ed25519",
        "ada ssh-ed25519 AAAA!",
        f"ada ssh-rsa {LINE.split()[1]}",
        f"ada unknown-option {LINE}",
        f'ada namespaces="file {LINE}',
        f'ada namespaces="file"{LINE}',
        f'ada namespaces="file",namespaces="git" {LINE}',
        f'ada valid-after="yesterday" {LINE}',
        f'ada valid-after="20241301" {LINE}',
        f'ada valid-after="2024022924" {LINE}',
        f'ada valid-after="202402292460" {LINE}',
        f'"ada {LINE}',
        f'"" {LINE}',
        f"{','.join(['a'] * 65)} {LINE}",
        f"ada {LINE} {'x' * 16_384}",
        f"ada {LINE}\n" * 10_001,
        f"ada {LINE} {'x' * 16_000}\n" * 70,
    ],
)
def test_a_list_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(FormatError) as refused:
        parse(line.encode())
    assert refused.value.code == "allowed-signers.malformed"


def test_a_list_that_is_not_text_is_refused() -> None:
    with pytest.raises(FormatError):
        parse(b"\xff\xfe")


def test_a_pattern_of_many_stars_is_matched_soon() -> None:
    assert not matches("a" * 255, "*a" * 100 + "b")
    assert matches("a" * 255, "*a" * 100)


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [("", False), ("*", True), ("a*c", True), ("a*b", False), ("??c", True), ("**abc**", True), ("?", False)],
)
def test_patterns(pattern: str, fits: bool) -> None:
    assert matches("abc", pattern) is fits
