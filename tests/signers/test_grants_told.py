"""What a record does to an identity's bindings is told in full: who, which terms, until when, and whether it holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.test_provider_statements import NEXT_DEVICE, ROOT, TODAY, USER, grant, signed
from walletcli.core.document import Document
from walletcli.core.grant import Terms
from walletcli.core.identity_id import IdentityId
from walletcli.signers.requests import MAX_LINE_CHARS, PacketRequest

ME = USER.public_key
PROVIDER = f"provider {IdentityId(ROOT.public_key).did}"
GRANT = signed(grant())
BEFORE = Document(ME, 5)


def told(now: tuple[bytes, ...], then: tuple[bytes, ...] = (), today: int | None = TODAY) -> list[str]:
    before = replace(BEFORE, bindings=then)
    request = PacketRequest(ME, Document(ME, 6, before.hash, bindings=now), before)
    lines = request.describe(today)
    assert all(line.isascii() and line.isprintable() and len(line) <= MAX_LINE_CHARS for line in lines)
    return lines


def test_a_new_binding_is_told_with_its_terms_and_days() -> None:
    lines = told((GRANT,))
    at = lines.index(f"ADDS the binding with {PROVIDER}")
    assert lines[at + 1 : at + 5] == [
        "  room for 1 GiB of sealed data, in blobs of at most 1 MiB",
        "  kept for 30 days after leaving",
        "  holds 2026-11-20 to 2027-09-19",
        "  the provider's grant verifies today",
    ]


def test_a_binding_that_stays_takes_one_line() -> None:
    lines = told((GRANT,), (GRANT,))
    assert f"keeps the binding with {PROVIDER}" in lines
    assert not any(line.startswith("  ") for line in lines)


def test_a_grant_in_the_place_of_another_one_of_the_provider_renews_it() -> None:
    renewed = signed(grant(terms=Terms(5 << 20, 0, 1 << 10)))
    lines = told((renewed,), (GRANT,))
    assert f"RENEWS the binding with {PROVIDER}" in lines
    assert "  room for 5 MiB of sealed data, in blobs of at most 1 KiB" in lines
    assert not any(line.startswith("REMOVES") for line in lines)


def test_a_binding_that_goes_is_told_loudly() -> None:
    assert f"REMOVES the binding with {PROVIDER}" in told((), (GRANT,))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"grant", ""),
        (signed(grant(), NEXT_DEVICE), "does not grant for the provider today"),
        (signed(grant(not_before_day=TODAY - 300, not_after_day=TODAY)), "the grant has expired"),
        (signed(grant(not_before_day=TODAY + 2)), "the grant does not hold yet"),
        (GRANT[:-1] + bytes([GRANT[-1] ^ 1]), "signature"),
    ],
)
def test_a_grant_that_does_not_hold_is_told_so(data: bytes, why: str) -> None:
    lines = "\n".join(told((data,)))
    assert "the provider's grant DOES NOT VERIFY today: " in lines
    assert why in lines


def test_without_a_day_nothing_is_said_of_whether_it_verifies() -> None:
    assert not any("erif" in line.lower() for line in told((GRANT,), (), None))


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (1 << 20, "1 MiB"), ((1 << 30) + 1, "1073741825 bytes"),
     (1 << 50, "1024 TiB")],
)  # fmt: skip
def test_sizes_are_exact(size: int, text: str) -> None:
    assert any(line.startswith(f"  room for {text} of") for line in told((signed(grant(terms=Terms(size, 0, 1))),)))
