"""What a provider's refusals and failures mean to the person who asked.

Spec: docs/spec/hosting.md, "Errors"; docs/spec/resolution.md, "Providers".
"""

from __future__ import annotations

from typing import Final

from walletcli.client.http import Response
from walletcli.client.relay import reason_code
from walletcli.errors import FormatError, NetworkError, VerificationError, WalletError

_BY_STATUS: Final = {412: "blob.version", 413: "blob.too-long", 429: "limits.requests", 507: "storage.full"}
"""What a status means that comes without a code."""


def refusal(response: Response, name: str) -> NetworkError:
    """Return the error that an unwelcome answer stands for.

    Args:
        response: not what was hoped for.
        name: the provider's address.
    """
    code, status = reason_code(response), response.status
    said = f"status {status}, {code}" if code else f"status {status}"
    known = _refusal(code or "", name, said) or _refusal(_BY_STATUS.get(status, ""), name, said)
    return known or _by_status(status, name, said)


def _refusal(code: str, name: str, said: str) -> NetworkError | None:
    """Return the error for a code of docs/spec/hosting.md, or None for another one."""
    match code:
        case "host.unknown-identity" | "host.invitation" | "host.not-bound":
            return _not_hosted(code, name, said)
        case "blob.version":
            return NetworkError(
                "blob.version",
                f"{name} has another version of this blob: another device has written ({said})",
                f"fetch it from {name}, then try again",
            )
        case "blob.too-long":
            return NetworkError(
                "blob.too-long",
                f"{name} takes no blob of this size ({said})",
                f"bind to a provider whose terms allow larger blobs than {name}",
            )
        case "blob.quota":
            return NetworkError(
                "blob.quota",
                f"{name} has no room left under the terms that it granted ({said})",
                f"delete data at {name}, or bind with more quota",
            )
        case "storage.full":
            return NetworkError(
                "host.full",
                f"{name} is out of space ({said})",
                f"ask the operator of {name}, or move to another provider",
            )
        case "limits.requests" | "limits.bytes" | "limits.connections":
            return NetworkError(
                "host.limited", f"{name} wants less at once ({said})", f"wait a minute, then ask {name} again"
            )
    return None


def _not_hosted(code: str, name: str, said: str) -> NetworkError:
    match code:
        case "host.unknown-identity":
            return NetworkError(
                "host.unknown-identity",
                f"{name} does not know this identity's record ({said})",
                f"publish the identity to {name} first",
            )
        case "host.invitation":
            return NetworkError(
                "host.invitation",
                f"{name} grants only to whom it has invited ({said})",
                f"ask the operator of {name} for an invitation, or for a new one; give it with --invitation-prompt",
            )
    return NetworkError(
        "host.not-bound",
        f"{name} does not host this identity: the record there holds no valid grant of this provider ({said})",
        f"publish the identity to {name}, or bind it again",
    )


def _by_status(status: int, name: str, said: str) -> NetworkError:
    if status == 401:
        return NetworkError(
            "host.login",
            f"{name} does not let this key in ({said})",
            f"publish the identity's record, which names this device, to {name} first",
        )
    if status in (404, 405):
        return NetworkError(
            "host.not-offered", f"{name} hosts no identities ({said})", f"name another provider than {name}"
        )
    if 500 <= status <= 599:
        return NetworkError("host.failed", f"{name} failed ({said})", f"try again later, or ask the operator of {name}")
    if 400 <= status <= 499:
        return NetworkError("host.refused", f"{name} refuses ({said})", f"ask the operator of {name}")
    return bad_answer(name, said)


def transport_failure(error: NetworkError, name: str) -> NetworkError:
    """Return a failed exchange as what it means for a provider; other errors as they are."""
    match error.code:
        case "relay.timeout":
            return NetworkError(
                "host.timeout", f"{name} did not answer in time", f"try again; if {name} stays like that, move away"
            )
        case "relay.unreachable":
            return NetworkError(
                "host.unreachable", error.message, f"try again; if {name} stays away, move to another provider"
            )
        case "relay.too-much":
            return NetworkError(
                "host.too-much", error.message, f"do not rely on {name}: ask its operator, or move away"
            )
        case "relay.bad-answer":
            return NetworkError(
                "host.bad-answer", error.message, f"do not rely on {name}: ask its operator, or move away"
            )
    return error


def bad_answer(name: str, why: str) -> NetworkError:
    """Return the error for an answer that makes no sense."""
    return NetworkError("host.bad-answer", f"{name} answered badly: {why}", f"ask the operator of {name}, or leave it")


def unreadable(error: WalletError, name: str, what: str) -> WalletError:
    """Return the error for an answer of `name` that cannot be read, or must not be believed."""
    why = f"{what} that does not pass ({error.code}: {error.message})"
    if isinstance(error, FormatError):
        return bad_answer(name, why)
    return VerificationError("host.unverified", f"{name} gave {why}", distrust(name))


def distrust(name: str) -> str:
    """Return the hint for a provider that has lied."""
    return f"do not rely on {name}: choose another provider"
