"""Checks a grant that has just been given against what was offered and asked for.

Spec: docs/spec/resolution.md, "Providers".
"""

from __future__ import annotations

from collections.abc import Collection

from walletcli.client.host_answers import Offer
from walletcli.client.host_failure import distrust, unreadable
from walletcli.core.document import MAX_GRANT_BYTES
from walletcli.core.grant import Grant, VerifiedGrant, check_grant
from walletcli.core.record import Record
from walletcli.core.statements import verify_statement
from walletcli.errors import FormatError, VerificationError


def check_new_grant(
    data: bytes,
    name: str,
    identity: bytes,
    offer: Offer,
    newest: Record,
    *,
    quota_bytes: int,
    today: int,
    nonces: Collection[bytes],
) -> VerifiedGrant:
    """Return the grant in `data` if it is the one that was asked for.

    Args:
        data: what the provider answered.
        name: its address, for messages.
        identity: who asked; 32 bytes.
        offer: what it had offered.
        newest: the provider's newest known record.
        quota_bytes: room that was asked for.
        today: days since 1970-01-01 (UTC), by the clock here.
        nonces: of earlier grants, 16 bytes each.

    Raises:
        NetworkError: ``host.bad-answer`` for something that is no grant.
        VerificationError: ``host.unverified``, ``host.provider``, ``host.terms``, ``host.dates``, ``host.nonce``.
    """
    try:
        grant, _ = verify_statement(data, Grant, MAX_GRANT_BYTES)
    except (FormatError, VerificationError) as error:
        raise unreadable(error, name, "a grant") from error
    if grant.provider != offer.provider:
        raise VerificationError("host.provider", f"{name} grants in the name of another provider", distrust(name))
    if grant.identity != identity:
        raise VerificationError(
            "host.identity", f"{name} grants to another identity than the one that asked", distrust(name)
        )
    _check_terms(grant, offer, quota_bytes, name)
    if grant.nonce in nonces:
        raise VerificationError("host.nonce", f"{name} gave a grant that it had given before", distrust(name))
    try:
        # its day may have begun, and ours not
        return check_grant(data, identity, today + (grant.not_before_day == today + 1), newest)
    except (FormatError, VerificationError) as error:
        if error.code in ("grant.not-yet", "grant.expired"):
            raise VerificationError(
                "host.dates", f"{name} gave a grant that does not hold today ({error.message})", distrust(name)
            ) from error
        raise unreadable(error, name, "a grant") from error


def _check_terms(grant: Grant, offer: Offer, quota_bytes: int, name: str) -> None:
    granted, offered = grant.terms, offer.terms
    for what, has, needs in (
        ("quota, in bytes", granted.quota_bytes, quota_bytes),
        ("retention, in days", granted.retention_days, offered.retention_days),
        ("largest blob, in bytes", granted.max_blob_bytes, offered.max_blob_bytes),
    ):
        if has < needs:
            raise VerificationError(
                "host.terms", f"{name} grants other terms than it offered: {what}: {has}, not {needs}", distrust(name)
            )
