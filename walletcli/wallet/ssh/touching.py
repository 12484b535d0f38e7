"""Signs with SSH keys that live in security keys, each time with a touch.

Spec: docs/spec/ssh.md, "On a security key".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from walletcli.core.ssh.keys import fingerprint
from walletcli.core.ssh.security_keys import APPLICATION
from walletcli.core.ssh.signable import FileHash, Login, parse_for
from walletcli.errors import SignerError, VaultError
from walletcli.wallet.access.agent_session import AgentSession, live_agent
from walletcli.wallet.access.session import Session
from walletcli.wallet.home import Home, Progress, silent
from walletcli.wallet.ssh.holder import IsOver, never
from walletcli.wallet.state.ssh_credentials import SshCredential
from walletcli.wallet.state.view import IdentityView

if TYPE_CHECKING:
    from walletcli.signers.devices.security_key import SecurityKey


class SecurityKeyHolder:
    """A key in a security key, which is looked for anew each time.

    Args:
        home: whose prompts ask for PIN and touch.
        credential: how it is asked.
        check: raises if nothing is to be signed any more.
        tell: takes a line for each signature that a touch is asked for.
    """

    def __init__(
        self, home: Home, credential: SshCredential, check: Callable[[], None] = lambda: None, tell: Progress = silent
    ) -> None:
        self.key_blob = credential.key.to_blob()
        self._home = home
        self._credential = credential
        self._check = check
        self._tell = tell

    def sign(self, data: bytes, is_over: IsOver = never) -> bytes:
        """Sign a login or a file's hash; somebody touches the security key.

        Raises:
            VaultError: ``wallet.locked``, ``wallet.missing``.
            FormatError: ``ssh.not-signable``, ``ssh.key``, ``key.malformed``.
            SignerError: ``ssh.other-key``, ``ssh.key-not-here``, ``ssh.no-key``, ``key.*``.
            MissingExtraError: ``key.no-hidapi``.
        """
        from walletcli.signers.devices.hidapi import plugged_keys
        from walletcli.signers.devices.opening import on_key_that_knows
        from walletcli.signers.devices.ssh_signer import sign_ssh
        from walletcli.wallet.security_keys import prompts_of

        self._check()
        asked, credential = parse_for(self.key_blob, data), self._credential

        def signed(device: SecurityKey) -> bytes:
            self._tell(f"{described(asked)} asks for the security key {credential.name!r}")
            device.give_up_when(is_over)
            id_, message = credential.credential_id, asked.to_bytes()
            return sign_ssh(device, credential.key, id_, message, verify=credential.verify).to_blob()

        id_ = credential.credential_id
        found = on_key_that_knows(plugged_keys(), prompts_of(self._home), id_, APPLICATION, signed)
        if found is None:
            raise _not_here((credential,))
        return found


def described(asked: Login | FileHash) -> str:
    """Return what is to be signed, for whoever touches the key."""
    if isinstance(asked, FileHash):
        return f"a signature for {asked.namespace!r}"
    at = f" at the server {fingerprint(asked.host_key)}" if asked.host_key is not None else ""
    return f"a login as {asked.user!r}{at}"


def touched_holders(session: Session, identity: IdentityView, tell: Progress) -> list[SecurityKeyHolder]:
    """Return who signs with the security keys of an identity for as long as an agent serves.

    Where the wallet's agent holds the wallet, that is asked each time whether it still does, and whether the key is
    still one of the identity's.
    """
    home, index = session.home, identity.index

    def check(credential: SshCredential) -> None:
        if not isinstance(session, AgentSession):
            home.require()
            return
        live = live_agent(home)
        if live is None:
            raise VaultError("wallet.locked", "the wallet has been locked", "walletcli wallet unlock")
        with live:
            kept = live.snapshot().wallet.by_index(index)
        if kept.retired is not None or credential.key not in [item.key for item in kept.ssh_credentials]:
            raise SignerError("ssh.no-key", "the identity does not have this SSH key any more", "start the agent anew")

    return [
        SecurityKeyHolder(home, item, lambda item=item: check(item), tell)  # type: ignore[misc]
        for item in identity.ssh_credentials
        if item.can_be_asked
    ]


def at_hand(home: Home, credentials: Sequence[SshCredential]) -> SshCredential:
    """Return the first of an identity's keys whose security key is plugged in; none is touched for this.

    Raises:
        SignerError: ``ssh.key-not-here``, or why a key cannot be asked if no other one fits.
        MissingExtraError: ``key.no-hidapi``.
    """
    from walletcli.signers.devices.hidapi import plugged_keys
    from walletcli.signers.devices.opening import on_key_that_knows
    from walletcli.wallet.security_keys import prompts_of

    refused: SignerError | None = None
    for item in credentials:
        try:
            id_ = item.credential_id
            if on_key_that_knows(plugged_keys(), prompts_of(home), id_, APPLICATION, lambda _device: True):
                return item
        except SignerError as error:
            refused = error
    raise refused or _not_here(credentials)


def _not_here(credentials: Sequence[SshCredential]) -> SignerError:
    names = ", ".join(repr(item.name) for item in credentials)
    return SignerError(
        "ssh.key-not-here",
        f"no security key that is plugged in holds this SSH key of the identity ({names})",
        "plug it in and try again",
    )
