"""Has a security key sign for SSH programs, and checks what it gives.

Spec: OpenSSH's PROTOCOL.u2f; docs/spec/ssh.md, "On a security key".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from walletcli.core.ssh.security_keys import APPLICATION, SkKey, SkSignature
from walletcli.errors import FormatError, VerificationError
from walletcli.signers.devices.ctaphid import bad_answer
from walletcli.signers.devices.security_key import SecurityKey

_PARTY_HASH: Final = hashlib.sha256(APPLICATION.encode()).digest()
_AUTH_DATA_BYTES: Final = 37


def new_ssh_key(device: SecurityKey, exclude: Sequence[bytes], *, verify: bool) -> tuple[SkKey, bytes]:
    """Make an SSH key that never leaves the device; its owner touches it once.

    Args:
        device: the open security key.
        exclude: credentials of the identity's SSH keys; a device that made one of them is not taken again.
        verify: it shall sign with its PIN.

    Returns:
        The key, and its credential id (1 to 1023 bytes), without which the device cannot sign.

    Raises:
        SignerError: ``key.*``.
    """
    made = device.new_approver(exclude, verify=verify, party=APPLICATION)
    try:
        return SkKey(made.approver.algorithm, made.approver.public_key), made.credential_id
    except FormatError as error:
        raise bad_answer("a public key that is none") from error


def sign_ssh(device: SecurityKey, key: SkKey, credential_id: bytes, message: bytes, *, verify: bool) -> SkSignature:
    """Sign what an SSH program asked for; its owner touches the device once.

    Args:
        device: the open security key.
        key: that is to sign.
        credential_id: as `new_ssh_key` gave it.
        message: what is signed, parsed by the caller.
        verify: with the PIN.

    Raises:
        SignerError: ``key.*``; ``key.bad-answer`` for a signature that no verifier would take.
    """
    digest = hashlib.sha256(message).digest()
    auth_data, value = device.signed(APPLICATION, credential_id, digest, verify=verify)
    if len(auth_data) != _AUTH_DATA_BYTES or auth_data[:32] != _PARTY_HASH:
        raise bad_answer("one for another relying party, or with more than SSH has a place for")
    made = SkSignature(key.algorithm, value, auth_data[32], int.from_bytes(auth_data[33:], "big"))
    try:
        SkSignature.from_blob(made.to_blob()).check(key, message)
    except (FormatError, VerificationError) as error:
        raise bad_answer(f"a signature that does not verify ({error.code})") from error
    if verify and not made.is_verified:
        raise bad_answer("a signature without the PIN that was given")
    return made
