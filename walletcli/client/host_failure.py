"""What a provider's refusals and failures mean to the person who asked.

Spec: docs/spec/hosting.md, "Errors"; docs/spec/resolution.md, "Providers".
"""

from __future__ import annotations

from typing import Final

from walletcli.client.http import Response
from walletcli.client.relay import reason_code
from walletcli.errors import FormatError, NetworkError, VerificationError, WalletError

_TRANSPORT: Final = {
    "relay.timeout": "host.timeout",
    "relay.unreachable": "host.unreachable",
    "relay.too-much": "host.too-much",
    "relay.bad-answer": "host.bad-answer",
}

_REFUSALS: Final = {
    "host.unknown-identity": ("does not know this identity's record", "publish the identity to {name} first"),
    "host.invitation": (
        "grants only to whom it has invited",
        "ask the operator of {name} for an invitation, or for a new one",
    ),
    "host.not-bound": (
        "does not host this identity: its record there holds no valid grant of this provider",
        "publish the identity to {name}, or bind it again",
    ),
    "blob.quota": ("has no room left under the terms it granted", "delete data at {name}, or bind with more quota"),
    "blob.too-long": ("takes no blob of this size", "bind to a provider whose terms allow larger blobs than {name}"),
    "blob.version": (
        "has another version of this blob: another device has written",
        "fetch it from {name}, then retry",
    ),
    "storage.full": ("is out of space", "ask the operator of {name}, or move to another provider"),
    "storage.failed": ("cannot write now", "try again later, or ask the operator of {name}"),
    "limits.requests": ("wants fewer requests", "wait a minute, then ask {name} again"),
    "limits.bytes": ("wants fewer bytes at once", "wait a minute, then ask {name} again"),
}

_STATUSES: Final = {
    401: ("host.login", "does not let this key in", "publish this device's delegation to {name} first"),
    403: ("host.refused", "refuses", "ask the operator of {name}"),
    404: ("host.not-offered", "hosts no identities", "name another provider than {name}"),
    405: ("host.not-offered", "hosts no identities", "name another provider than {name}"),
    412: ("blob.version", *_REFUSALS["blob.version"]),
    413: ("blob.too-long", *_REFUSALS["blob.too-long"]),
    429: ("host.limited", "wants fewer requests", "wait a minute, then ask {name} again"),
    507: ("host.full", *_REFUSALS["storage.full"]),
}

_RENAMED: Final = {
    "limits.requests": "host.limited",
    "limits.bytes": "host.limited",
    "storage.full": "host.full",
    "storage.failed": "host.failed",
}


def refusal(response: Response, name: str) -> NetworkError:
    """Return the error that an unwelcome answer stands for.

    Args:
        response: not what was hoped for.
        name: the provider's address.
    """
    code, status = reason_code(response), response.status
    said = f"status {status}, {code}" if code else f"status {status}"
    if code in _REFUSALS:
        what, hint = _REFUSALS[code]
        return NetworkError(_RENAMED.get(code, code), f"{name} {what} ({said})", hint.format(name=name))
    if status in _STATUSES:
        own, what, hint = _STATUSES[status]
        return NetworkError(own, f"{name} {what} ({said})", hint.format(name=name))
    if 500 <= status <= 599:
        return NetworkError("host.failed", f"{name} failed ({said})", f"try again later, or ask the operator of {name}")
    if 400 <= status <= 499:
        return NetworkError("host.refused", f"{name} refuses ({said})", f"ask the operator of {name}")
    return bad_answer(name, said)


def transport_failure(error: NetworkError, name: str) -> NetworkError:
    """Return a failed exchange as what it means for a provider; other errors as they are."""
    code = _TRANSPORT.get(error.code)
    if code is None:
        return error
    return NetworkError(
        code,
        error.message,
        f"try again; if {name} stays like that, move to another provider: the exit kit has your data",
    )


def bad_answer(name: str, why: str) -> NetworkError:
    """Return the error for an answer that makes no sense."""
    return NetworkError("host.bad-answer", f"{name} answered badly: {why}", f"ask the operator of {name}, or leave it")


def unreadable(error: WalletError, name: str, what: str) -> WalletError:
    """Return the error for an answer of `name` that cannot be read, or must not be believed."""
    why = f"{what} that does not pass ({error.code}: {error.message})"
    if isinstance(error, FormatError):
        return bad_answer(name, why)
    return VerificationError("host.unverified", f"{name} gave {why}", f"do not rely on {name}: choose another provider")


def lie(code: str, name: str, what: str) -> VerificationError:
    """Return the error for an answer of `name` that is well made and not what was asked or agreed.

    Args:
        code: what kind, such as ``host.terms``.
        name: the provider's address.
        what: what it did, as the end of a sentence that begins with its name.
    """
    return VerificationError(code, f"{name} {what}", f"do not rely on {name}: choose another provider")


def retry_after_s(response: Response) -> float | None:
    """Return the seconds that an answer asks to wait, at least a tenth, or None where it names none to be read."""
    text = response.headers.get("retry-after", "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        return None
    return max(float(text), 0.1)
