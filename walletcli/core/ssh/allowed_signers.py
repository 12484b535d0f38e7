"""Lists of allowed signers, as ssh-keygen and git read them.

Spec: ssh-keygen(1), "ALLOWED SIGNERS"; docs/spec/ssh.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from walletcli.core.encodings import b64_decode
from walletcli.core.ssh.keys import key_type
from walletcli.errors import FormatError, VerificationError

MAX_FILE_BYTES = 1 << 20
"""Longest list."""

MAX_LINES = 10_000
"""Most lines of a list."""

MAX_LINE_CHARS = 16_384
"""Longest line of a list."""

MAX_PATTERNS = 64
"""Most patterns of a list of patterns."""

_BLANK = " \t"
_SPACE = re.compile(r"[ \t]+")
_OPTION = re.compile(r'(?i)(cert-authority)|(namespaces|valid-after|valid-before)="([^"]*)"')
_TIME = re.compile(r"([0-9]{8})(?:([0-9]{4})([0-9]{2})?)?(Z?)")
_KEY_TYPE = re.compile(r"(ssh|ecdsa|sk-ssh|sk-ecdsa)-[A-Za-z0-9@.-]{1,60}")


@dataclass(frozen=True, slots=True)
class Now:
    """The present, as lists write it: ``YYYYMMDDHHMMSS``.

    Attributes:
        utc: in UTC.
        local: in the machine's time zone.
    """

    utc: str
    local: str


@dataclass(frozen=True, slots=True)
class Instant:
    """An instant of a list.

    Attributes:
        digits: ``YYYYMMDDHHMMSS``.
        is_utc: in UTC; otherwise in the machine's time zone.
    """

    digits: str
    is_utc: bool

    def of(self, now: Now) -> str:
        """Return the present in the time zone of this instant."""
        return now.utc if self.is_utc else now.local


@dataclass(frozen=True, slots=True)
class AllowedSigner:
    """One line of a list.

    Attributes:
        principals: patterns of who signs with the key.
        namespaces: patterns of what for; None: for anything.
        valid_after: from when on, or None.
        valid_before: until when, or None.
        key_blob: the key, of any kind.
        is_authority: the key signs certificates, not files.
    """

    principals: str
    namespaces: str | None
    valid_after: Instant | None
    valid_before: Instant | None
    key_blob: bytes
    is_authority: bool

    def allows(self, key_blob: bytes, principal: str | None, namespace: str, now: Now) -> bool:
        """Tell whether a signature with this key is allowed, for this principal (None: any)."""
        after, before = self.valid_after, self.valid_before
        return (
            not self.is_authority
            and self.key_blob == key_blob
            and (principal is None or matches(principal, self.principals))
            and (self.namespaces is None or matches(namespace, self.namespaces))
            and (after is None or after.digits <= after.of(now))
            and (before is None or before.of(now) < before.digits)
        )


def check_allowed(
    signers: list[AllowedSigner], key_blob: bytes, principal: str | None, namespace: str, now: Now
) -> AllowedSigner:
    """Return the first line that allows a signature.

    Raises:
        VerificationError: ``allowed-signers.not-listed``.
    """
    found = next((one for one in signers if one.allows(key_blob, principal, namespace, now)), None)
    if found is None:
        who = f" for {principal!r}" if principal is not None else ""
        raise VerificationError(
            "allowed-signers.not-listed",
            f"no line of the list allows this key{who}, for this purpose and today",
            "if you trust the key, put it into the list",
        )
    return found


def parse(data: bytes) -> list[AllowedSigner]:
    """Read a list.

    Raises:
        FormatError: ``allowed-signers.malformed``.
    """
    if len(data) > MAX_FILE_BYTES:
        raise FormatError("allowed-signers.malformed", f"a list of signers has at most {MAX_FILE_BYTES} bytes")
    try:
        lines = data.decode("utf-8").split("\n")  # nothing else ends a line for OpenSSH
    except UnicodeDecodeError as error:
        raise FormatError("allowed-signers.malformed", "the list of signers is not UTF-8") from error
    if len(lines) > MAX_LINES:
        raise FormatError("allowed-signers.malformed", f"a list of signers has at most {MAX_LINES} lines")
    wanted = ((number, line.removesuffix("\r").strip(_BLANK)) for number, line in enumerate(lines, 1))
    return [_line(number, line) for number, line in wanted if line and not line.startswith("#")]


def _line(number: int, line: str) -> AllowedSigner:
    if len(line) > MAX_LINE_CHARS:
        raise _wrong(number, f"it has more than {MAX_LINE_CHARS} characters")
    principals, rest = _principals(number, line)
    options: dict[str, str] = {}
    while not _KEY_TYPE.match(rest):
        found = _OPTION.match(rest)
        if found is None:
            raise _wrong(number, "an option or a type of key that is not known")
        name = (found[1] or found[2]).lower()
        if name in options:
            raise _wrong(number, f"the option {name} stands there twice")
        options[name] = found[3] or ""
        rest = rest[found.end() :]
        if rest[:1] == ",":
            rest = rest[1:]
        elif rest[:1] and rest[:1] in _BLANK:
            rest = rest.lstrip(_BLANK)
        else:
            raise _wrong(number, "nothing follows its options")
    return AllowedSigner(
        principals,
        options.get("namespaces"),
        _instant(number, options["valid-after"]) if "valid-after" in options else None,
        _instant(number, options["valid-before"]) if "valid-before" in options else None,
        _key(number, rest),
        "cert-authority" in options,
    )


def _principals(number: int, line: str) -> tuple[str, str]:
    """Return the principals, which may stand in quotes, and what follows them."""
    if line.startswith('"'):
        principals, quote, rest = line[1:].partition('"')
        if not quote or not rest[:1] or rest[:1] not in _BLANK:
            raise _wrong(number, "a quote is not closed")
    else:
        principals, rest = (*_SPACE.split(line, 1), "")[:2]
    if not principals or principals.count(",") >= MAX_PATTERNS:
        raise _wrong(number, f"1 to {MAX_PATTERNS} principals are needed")
    return principals, rest.strip(_BLANK)


def _key(number: int, text: str) -> bytes:
    kind, *rest = _SPACE.split(text, 2)
    if not rest:
        raise _wrong(number, "the key is missing")
    try:
        blob = b64_decode(rest[0])
        if key_type(blob) != kind:
            raise _wrong(number, "the key is of another type than the line says")
    except FormatError as error:
        raise _wrong(number, "the key cannot be read") from error
    return blob


def _instant(number: int, text: str) -> Instant:
    found = _TIME.fullmatch(text)
    digits = found[1] + (found[2] or "0000") + (found[3] or "00") if found else "0" * 14
    month, day, hour, minute, second = (int(digits[start : start + 2]) for start in range(4, 14, 2))
    if found is None or not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 60):
        raise _wrong(number, "a time is not YYYYMMDD or YYYYMMDDHHMM[SS], with or without Z")
    return Instant(digits, found[4] == "Z")


def matches(text: str, patterns: str) -> bool:
    """Tell whether `text` fits a list of patterns, separated by commas: one fits, and none after ``!`` does."""
    fits = False
    for pattern in patterns.split(","):
        refused = pattern.startswith("!")
        if _fits(text, pattern.removeprefix("!")):
            if refused:
                return False
            fits = True
    return fits


def _fits(text: str, pattern: str) -> bool:
    """Match ``*`` and ``?`` in time that grows with the product of the lengths at most."""
    at = back = 0
    star = -1
    index = 0
    while at < len(text):
        letter = pattern[index] if index < len(pattern) else ""
        if letter == "*":
            star, back = index, at
            index += 1
        elif letter in ("?", text[at]) and letter:
            index += 1
            at += 1
        elif star >= 0:
            back += 1
            at, index = back, star + 1
        else:
            return False
    return not pattern[index:].strip("*")


def _wrong(number: int, detail: str) -> FormatError:
    return FormatError("allowed-signers.malformed", f"line {number} of the list of signers: {detail}")
