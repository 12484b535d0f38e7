"""Makes lines for lists of allowed signers of what an identity's record names.

Spec: docs/spec/ssh.md, "Allowed signers".
"""

from __future__ import annotations

import time

from walletcli.core.document import Document
from walletcli.core.identity_id import IdentityId
from walletcli.core.ssh.keys import key_line
from walletcli.core.ssh.named_keys import check_named, named_keys
from walletcli.core.ssh.named_security_keys import named_security_keys, until_day
from walletcli.errors import VerificationError

_DAY_S = 86_400


def signer_lines(document: Document) -> list[str]:
    """Return a line for each SSH key that counts today, valid until its device's delegation ends.

    Args:
        document: the identity's newest, verified.

    Raises:
        FormatError: ``ssh-keys.malformed``, ``key.malformed``.
        VerificationError: ``ssh-keys.none`` if no key counts today.
    """
    did, today = IdentityId(document.identity).did, int(time.time()) // _DAY_S
    lines = []
    for key in named_keys(document).values():
        try:
            delegation = check_named(document, key, today)
        except VerificationError:  # its device has gone, or may not speak for the identity
            continue
        lines.append(_line(did, delegation.not_after_day, key_line(key)))
    lines += _security_key_lines(document, did, today)
    if not lines:
        raise VerificationError(
            "ssh-keys.none",
            "the identity's newest record names no SSH key that counts today",
            "its owner runs: walletcli identity ssh-key ID --in-record, and publishes",
        )
    return lines


def _security_key_lines(document: Document, did: str, today: int) -> list[str]:
    if document.retirement is not None:
        return []
    try:
        end_day = until_day(document, today)
    except VerificationError:  # no device may speak for the identity any more
        return []
    return [_line(did, end_day, item.key.to_line()) for item in named_security_keys(document)]


def _line(did: str, end_day: int, key: str) -> str:
    end = time.strftime("%Y%m%d", time.gmtime(end_day * _DAY_S))
    return f'{did} valid-before="{end}Z" {key}'
