"""A FIDO2 security key: what it is, and the secret that it computes for whoever holds it, knows its PIN and touches it.

The `fido2` package encodes and decodes CTAP2; the channel below it is ours. It is imported when a key is opened.

Spec: CTAP 2.1, sections 6.1, 6.2, 6.4, 6.5 and 12.5 ("hmac-secret"); docs/spec/fido2.md, "What is asked of a key".
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from walletcli.core.approval import RELYING_PARTY as APPROVING_PARTY
from walletcli.core.approval import Approval, Subject
from walletcli.core.document_parts import Approver
from walletcli.core.secret import Secret
from walletcli.errors import FormatError, SignerError, VerificationError
from walletcli.signers.devices.channel import ANSWER_LIMIT_S, TOUCH_LIMIT_S, Connection, HidChannel
from walletcli.signers.devices.ctaphid import bad_answer
from walletcli.signers.devices.failures import (
    PIN_AUTH_INVALID,
    PIN_INVALID,
    PIN_REQUIRED,
    pin_not_set,
    pin_wrong,
    told_as_ours,
    unsupported,
)
from walletcli.signers.devices.new_approver import EDDSA, ES256, NewApprover, approver_of
from walletcli.signers.devices.pins import normal_pin
from walletcli.signers.devices.prompts import KeyPrompts
from walletcli.vault.kinds import CHALLENGE_BYTES, MAX_CREDENTIAL_BYTES

if TYPE_CHECKING:
    from fido2.ctap2.base import Ctap2
    from fido2.ctap2.pin import PinProtocol

RELYING_PARTY: Final = "walletcli:vault"
"""Name that credentials for vaults are made under."""

PIN_ATTEMPTS: Final = 3
"""How often the PIN is asked for in a row: after that, keys want to be taken out first."""

_HMAC_SECRET = "hmac-secret"  # noqa: S105  # the name of the extension
_CBOR_CAPABILITY = 0x04
_TOUCH_NEEDED = 2
_PRESENT, _VERIFIED, _HAS_CREDENTIAL = 0x01, 0x04, 0x40
_MAKE, _ASSERT = 0x01, 0x02


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What a security key says about itself; all of it its own word.

    Args:
        versions: of the protocols that it speaks.
        extensions: that it knows.
        pin_set: whether it has a PIN; None: it has no use for one.
        pin_tries: how many wrong PINs until it locks itself, or None.
        always_pin: it does nothing without its PIN.
        algorithms: COSE numbers of its signatures; -7 is ES256, -8 EdDSA. Empty: it does not say.
        firmware: a number, or 0 if it does not say.
        model: AAGUID, 32 hexadecimal digits; the same for all keys of one make.
    """

    versions: tuple[str, ...]
    extensions: tuple[str, ...]
    pin_set: bool | None
    pin_tries: int | None
    always_pin: bool
    algorithms: tuple[int, ...]
    firmware: int
    model: str

    @property
    def opens_vaults(self) -> bool:
        """Whether it has what a vault needs of it."""
        return _HMAC_SECRET in self.extensions


class SecurityKey:
    """An open security key.

    Args:
        name: what its owner calls it.
        connection: to it; closed with the key.
        prompts: asks its owner.

    Raises:
        SignerError: ``key.*``.
    """

    def __init__(self, name: str, connection: Connection, prompts: KeyPrompts) -> None:
        self.name = name
        self._prompts = prompts
        self._channel = HidChannel(connection)
        if not self._channel.capabilities & _CBOR_CAPABILITY:
            raise unsupported("knows U2F only, not FIDO2")
        self._ctap = self._start()

    def _start(self) -> Ctap2:
        with told_as_ours():
            from fido2.ctap2.base import Ctap2

            channel: Any = self._channel  # it has what a CtapDevice has, and is none
            return Ctap2(channel)

    # What it is

    def facts(self) -> KeyFacts:
        """Return what it says about itself.

        Raises:
            SignerError: ``key.*``.
        """
        with told_as_ours():
            info = self._ctap.info
            pin_set = info.options.get("clientPin")
            return KeyFacts(
                tuple(str(version)[:32] for version in info.versions[:16]),
                tuple(str(name)[:32] for name in info.extensions[:32]),
                None if pin_set is None else bool(pin_set),
                self._tries_left() if pin_set else None,
                bool(info.options.get("alwaysUv", False)),
                tuple(int(entry["alg"]) for entry in info.algorithms[:16]),
                int(info.firmware_version),
                bytes(info.aaguid).hex(),
            )

    def knows(self, credential_id: bytes, party: str = RELYING_PARTY) -> bool:
        """Tell whether it made a credential; it is not touched for this.

        Args:
            credential_id: 1 to 1023 bytes.
            party: name that the credential was made under.

        Raises:
            SignerError: ``key.*``.
        """
        if party == RELYING_PARTY and _HMAC_SECRET not in self._ctap.info.extensions:
            return False
        try:
            self._assertion(credential_id, {"up": False}, party)
        except SignerError as error:
            status = _status(error)
            if status == PIN_REQUIRED:  # it does not say before it has its PIN; it may well be the one
                return True
            if error.code in ("key.not-enrolled", "key.failed", "key.unsupported"):
                return False
            raise
        return True

    # What it does

    def enrol(self, exclude: Sequence[bytes], *, verify: bool) -> bytes:
        """Make a credential that secrets can be computed with; its owner touches it once.

        Args:
            exclude: credentials of a vault; a key that made one of them is not taken again.
            verify: its secrets shall ask for the PIN.

        Returns:
            The credential id, 1 to 1023 bytes.

        Raises:
            SignerError: ``key.*``.
        """
        facts = self.facts()
        if not facts.opens_vaults:
            raise unsupported("does not know hmac-secret")
        if verify and not facts.pin_set:
            raise pin_not_set()
        client_data_hash = os.urandom(32)
        with self._waiting_for_touch():
            pin = self._proof_of_pin(client_data_hash, _MAKE) if facts.pin_set else {}
            made = self._ctap.make_credential(
                client_data_hash,
                {"id": RELYING_PARTY, "name": "walletcli"},
                {"id": os.urandom(32), "name": "vault", "displayName": "walletcli vault"},
                [{"type": "public-key", "alg": number} for number in (ES256, EDDSA)],
                exclude_list=[_descriptor(credential) for credential in exclude] or None,
                extensions={_HMAC_SECRET: True},
                options={"rk": False},
                on_keepalive=self._on_keepalive,
                **pin,
            )
            self._check(made.auth_data, _PRESENT | _HAS_CREDENTIAL)
            if (made.auth_data.extensions or {}).get(_HMAC_SECRET) is not True:
                raise unsupported("did not turn hmac-secret on")
            assert made.auth_data.credential_data is not None
            credential_id = bytes(made.auth_data.credential_data.credential_id)
            if not 1 <= len(credential_id) <= MAX_CREDENTIAL_BYTES:
                raise bad_answer(f"a credential id of {len(credential_id)} bytes")
            return credential_id

    def secret(self, credential_id: bytes, salt: bytes, *, verify: bool) -> Secret:
        """Compute the secret for a salt; its owner touches it once.

        Args:
            credential_id: as `enrol` gave it.
            salt: 32 bytes.
            verify: with the PIN; the secret without it is another one.

        Returns:
            32 bytes: HMAC-SHA-256 of the salt under a key that never leaves the device.

        Raises:
            SignerError: ``key.*``.
        """
        client_data_hash = os.urandom(32)
        with self._waiting_for_touch():
            pin = self._proof_of_pin(client_data_hash, _ASSERT) if verify else {}
            protocol, agreement, shared = self._agreement()  # after the PIN: a wrong one makes the key choose anew
            sealed_salt = protocol.encrypt(shared, salt)
            request: dict[int, Any] = {1: agreement, 2: sealed_salt, 3: protocol.authenticate(shared, sealed_salt)}
            if protocol.VERSION != 1:
                request[4] = protocol.VERSION
            answer = self._ctap.get_assertion(
                RELYING_PARTY,
                client_data_hash,
                [_descriptor(credential_id)],
                extensions={_HMAC_SECRET: request},
                on_keepalive=self._on_keepalive,
                **pin,
            )
            if bytes(answer.credential["id"]) != credential_id:
                raise bad_answer("another credential than was asked for")
            self._check(answer.auth_data, _PRESENT | (_VERIFIED if verify else 0))
            sealed = bytes((answer.auth_data.extensions or {})[_HMAC_SECRET])
            secret = Secret(bytes(protocol.decrypt(shared, sealed)))
        if len(secret) != CHALLENGE_BYTES:
            raise bad_answer(f"a secret of {len(secret)} bytes")
        return secret

    def give_up_when(self, is_over: Callable[[], bool]) -> None:
        """Have it wait for no touch any longer once `is_over` says so; ends in ``key.given-up``."""
        self._channel.given_up = is_over

    def new_approver(self, exclude: Sequence[bytes], *, verify: bool, party: str = APPROVING_PARTY) -> NewApprover:
        """Make a credential that can approve, or sign for another party; its owner touches it once.

        Args:
            exclude: credentials that the identity has for this; a key that made one of them is not taken again.
            verify: what it signs shall ask for the PIN.
            party: name that the credential is made under.

        Raises:
            SignerError: ``key.*``.
        """
        facts = self.facts()
        if verify and not facts.pin_set:
            raise pin_not_set()
        client_data_hash = os.urandom(32)
        with self._waiting_for_touch():
            pin = self._proof_of_pin(client_data_hash, _MAKE, party) if facts.pin_set else {}
            made = self._ctap.make_credential(
                client_data_hash,
                {"id": party, "name": "walletcli"},
                {"id": os.urandom(32), "name": "identity", "displayName": "walletcli identity"},
                [{"type": "public-key", "alg": number} for number in (EDDSA, ES256)],
                exclude_list=[_descriptor(credential) for credential in exclude] or None,
                options={"rk": False},
                on_keepalive=self._on_keepalive,
                **pin,
            )
            self._check(made.auth_data, _PRESENT | _HAS_CREDENTIAL, party)
            assert made.auth_data.credential_data is not None
            credential_id = bytes(made.auth_data.credential_data.credential_id)
            if not 1 <= len(credential_id) <= MAX_CREDENTIAL_BYTES:
                raise bad_answer(f"a credential id of {len(credential_id)} bytes")
            return NewApprover(
                credential_id, approver_of(dict(made.auth_data.credential_data.public_key), verify=verify)
            )

    def approve(self, credential_id: bytes, approver: Approver, subject: Subject) -> Approval:
        """Approve; its owner touches it once.

        Args:
            credential_id: as `new_approver` gave it.
            approver: what the document says of it.
            subject: what is approved.

        Raises:
            SignerError: ``key.*``; ``key.bad-answer`` for an approval that is worth nothing.
        """
        verify = approver.user_verification
        auth_data, signature = self.signed(APPROVING_PARTY, credential_id, subject.client_data_hash, verify=verify)
        try:
            made = Approval(approver.algorithm, approver.public_key, auth_data, signature)
            made.check(subject, approver)
        except (FormatError, VerificationError) as error:
            raise bad_answer(f"an approval that does not verify ({error.code})") from error
        return made

    def signed(self, party: str, credential_id: bytes, client_data_hash: bytes, *, verify: bool) -> tuple[bytes, bytes]:
        """Have something signed; its owner touches it once.

        Args:
            party: name that the credential was made under.
            credential_id: as `new_approver` gave it.
            client_data_hash: of what is signed, 32 bytes.
            verify: with the PIN.

        Returns:
            Authenticator data and signature as they came: nothing of them has been checked.

        Raises:
            SignerError: ``key.*``.
        """
        with self._waiting_for_touch():
            pin = self._proof_of_pin(client_data_hash, _ASSERT, party) if verify else {}
            answer = self._ctap.get_assertion(
                party,
                client_data_hash,
                [_descriptor(credential_id)],
                on_keepalive=self._on_keepalive,
                **pin,
            )
            return bytes(answer.auth_data), bytes(answer.signature)

    def close(self) -> None:
        """Let go of it."""
        self._channel.close()

    # How

    def _assertion(self, credential_id: bytes, options: dict[str, bool], party: str) -> None:
        with told_as_ours():
            self._ctap.get_assertion(party, os.urandom(32), [_descriptor(credential_id)], options=options)

    @contextlib.contextmanager
    def _waiting_for_touch(self) -> Iterator[None]:
        self._channel.limit_s = TOUCH_LIMIT_S
        try:
            with told_as_ours():
                yield
        finally:
            self._channel.limit_s = ANSWER_LIMIT_S

    def _on_keepalive(self, status: int) -> None:
        if status == _TOUCH_NEEDED:
            self._prompts.touch(self.name)

    def _protocol(self) -> PinProtocol:
        from fido2.ctap2.pin import PinProtocolV1, PinProtocolV2

        spoken = list(self._ctap.info.pin_uv_protocols)
        for kind in (PinProtocolV2, PinProtocolV1):
            if kind.VERSION in spoken:
                return kind()
        raise unsupported("speaks no PIN protocol that is known here")

    def _agreement(self) -> tuple[PinProtocol, dict[int, Any], bytes]:
        protocol = self._protocol()
        theirs: Any = self._ctap.client_pin(protocol.VERSION, 0x02)[1]
        ours, shared = protocol.encapsulate(theirs)
        return protocol, dict(ours), bytes(shared)

    def _tries_left(self) -> int | None:
        from fido2.ctap2.pin import ClientPin

        return int(ClientPin(self._ctap, self._protocol()).get_pin_retries()[0])

    def _proof_of_pin(self, client_data_hash: bytes, permission: int, party: str = RELYING_PARTY) -> dict[str, Any]:
        """Ask for the PIN until it is right, and return what proves it for one request."""
        from fido2.ctap import CtapError
        from fido2.ctap2.pin import ClientPin

        protocol = self._protocol()
        client = ClientPin(self._ctap, protocol)
        for attempt in range(PIN_ATTEMPTS):
            pin = normal_pin(self._prompts.pin(self.name, self._tries_left(), again=attempt > 0))
            try:
                token = client.get_pin_token(pin.reveal_text(), ClientPin.PERMISSION(permission), party)
            except CtapError as error:
                if int(error.code) not in (PIN_INVALID, PIN_AUTH_INVALID):
                    raise
                continue
            proof = protocol.authenticate(bytes(token), client_data_hash)
            return {"pin_uv_param": bytes(proof), "pin_uv_protocol": protocol.VERSION}
        raise pin_wrong(self._tries_left())

    def _check(self, auth_data: Any, flags: int, party: str = RELYING_PARTY) -> None:
        if bytes(auth_data.rp_id_hash) != hashlib.sha256(party.encode()).digest():
            raise bad_answer("one for another relying party")
        if int(auth_data.flags) & flags != flags:
            raise bad_answer("one that was neither touched nor proven by the PIN as it should be")


def _status(error: SignerError) -> int | None:
    cause = error.__cause__
    return int(code) if (code := getattr(cause, "code", None)) is not None else None


def _descriptor(credential_id: bytes) -> dict[str, Any]:
    return {"type": "public-key", "id": credential_id}
