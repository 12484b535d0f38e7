"""Opens a vault with a security key: the factor `fido2` of an unlock slot.

Spec: docs/spec/fido2.md, "The factor".
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from walletcli.core.secret import Secret
from walletcli.errors import SignerError
from walletcli.signers.devices.failures import not_enrolled
from walletcli.signers.devices.hidapi import HidConnection, PluggedKey, plugged_keys
from walletcli.signers.devices.prompts import KeyPrompts
from walletcli.signers.devices.security_key import RELYING_PARTY, SecurityKey
from walletcli.vault.factors import Enrolment
from walletcli.vault.keys import Entropy
from walletcli.vault.kinds import CHALLENGE_BYTES, FIDO2, Parameters
from walletcli.vault.slots import FactorRecord

T = TypeVar("T")

_UNUSABLE: Final = frozenset({"key.no-permission", "key.busy", "key.removed", "key.unsupported", "key.timeout"})
"""Why one key among several is passed over; told if no other one opens the slot."""


class SecurityKeyFactor:
    """Something the user holds.

    Args:
        prompts: asks them for PIN and touch.
        chosen: the one key to use, or None for whichever fits. To enrol, one must be chosen.
        verify: whether a new slot asks for the PIN of the key.
        exclude: credential ids of the vault's slots, so that no key is enrolled twice.
        keys: lists what is plugged in.
    """

    kind = FIDO2

    def __init__(
        self,
        prompts: KeyPrompts,
        chosen: PluggedKey | None = None,
        *,
        verify: bool = True,
        exclude: Sequence[bytes] = (),
        keys: Callable[[], tuple[PluggedKey, ...]] = plugged_keys,
    ) -> None:
        self._prompts = prompts
        self._chosen = chosen
        self._verify = verify
        self._exclude = tuple(exclude)
        self._keys = keys

    def enrol(self, vault_id: bytes, entropy: Entropy) -> Enrolment:
        """Make a credential, and compute its secret: two touches.

        Raises:
            SignerError: ``key.*``.
            MissingExtraError: ``key.no-hidapi``.
        """
        with opened(self._chosen or only_key(self._keys()), self._prompts) as key:
            credential_id = key.enrol(self._exclude, verify=self._verify)
            salt = entropy(CHALLENGE_BYTES)
            secret = key.secret(credential_id, salt, verify=self._verify)
        return Enrolment(FactorRecord(FIDO2, {1: credential_id, 2: salt, 3: int(self._verify)}), secret)

    def output(self, vault_id: bytes, parameters: Parameters) -> Secret:
        """Find the key that made the credential, and compute its secret: one touch.

        Raises:
            SignerError: ``key.not-enrolled`` if no key that is plugged in made it; other ``key.*``.
            MissingExtraError: ``key.no-hidapi``.
        """
        credential_id, salt, verify = parameters[1], parameters[2], parameters[3]
        assert isinstance(credential_id, bytes)
        assert isinstance(salt, bytes)
        found = on_key_that_knows(
            self._keys() if self._chosen is None else (self._chosen,), self._prompts, credential_id, RELYING_PARTY,
            lambda key: key.secret(credential_id, salt, verify=bool(verify)),
        )  # fmt: skip
        if found is None:
            raise not_enrolled()
        return found

    def knows(self, parameters: Parameters) -> bool:
        """Tell whether a key that is plugged in opens a slot with these parameters; none is touched for this.

        Raises:
            SignerError: why a key cannot be asked, if no other one fits.
            MissingExtraError: ``key.no-hidapi``.
        """
        credential_id = parameters[1]
        assert isinstance(credential_id, bytes)
        refused: SignerError | None = None
        for plugged in self._keys() if self._chosen is None else (self._chosen,):
            try:
                with opened(plugged, self._prompts) as key:
                    if key.knows(credential_id):
                        return True
            except SignerError as error:
                refused = error
        if refused is not None:
            raise refused
        return False

    def forget(self, vault_id: bytes, parameters: Parameters) -> None:
        """Do nothing: the key keeps nothing for a slot."""


def on_key_that_knows(
    keys: Sequence[PluggedKey], prompts: KeyPrompts, credential_id: bytes, party: str, act: Callable[[SecurityKey], T]
) -> T | None:
    """Do something with the first key that made a credential, and return what came of it; None if no key did.

    Args:
        keys: that are plugged in.
        prompts: asks their owner.
        credential_id: 1 to 1023 bytes.
        party: name that the credential was made under.
        act: is given the open key.

    Raises:
        SignerError: ``key.*``: what `act` ends in, or why a key cannot be asked if no other one fits.
        MissingExtraError: ``key.no-hidapi``.
    """
    refused: SignerError | None = None
    for plugged in keys:
        try:
            with opened(plugged, prompts) as key:
                if key.knows(credential_id, party):
                    return act(key)
        except SignerError as error:
            if error.code not in _UNUSABLE:
                raise
            refused = error
    if refused is not None:
        raise refused
    return None


@contextlib.contextmanager
def opened(plugged: PluggedKey, prompts: KeyPrompts) -> Iterator[SecurityKey]:
    """Open a key for a ``with`` block.

    Raises:
        SignerError: ``key.*``.
        MissingExtraError: ``key.no-hidapi``.
    """
    connection = HidConnection(plugged)
    try:
        yield SecurityKey(plugged.name, connection, prompts)
    finally:
        connection.close()


def only_key(keys: Sequence[PluggedKey]) -> PluggedKey:
    """Return the one key that is plugged in.

    Raises:
        SignerError: ``key.none``, ``key.several``.
    """
    if not keys:
        raise SignerError("key.none", "no security key is plugged in", "put one in and try again")
    if len(keys) > 1:
        names = ", ".join(f"{key.path} ({key.name})" for key in keys)
        raise SignerError("key.several", f"several security keys are plugged in: {names}", "name one with --key")
    return keys[0]
