"""Opens a vault with a security key: the factor `fido2` of an unlock slot.

Spec: docs/spec/fido2.md, "The factor".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from walletcli.core.secret import Secret
from walletcli.errors import SignerError
from walletcli.signers.devices.failures import not_enrolled
from walletcli.signers.devices.hidapi import PluggedKey, plugged_keys
from walletcli.signers.devices.opening import on_key_that_knows, only_key, opened
from walletcli.signers.devices.prompts import KeyPrompts
from walletcli.signers.devices.security_key import RELYING_PARTY
from walletcli.vault.factors import Enrolment
from walletcli.vault.keys import Entropy
from walletcli.vault.kinds import CHALLENGE_BYTES, FIDO2, Parameters
from walletcli.vault.slots import FactorRecord


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
