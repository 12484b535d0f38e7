"""A FIDO2 authenticator in software: a peer to test against, not part of the program.

It follows CTAP 2.1 for what the tests need: ES256 and EdDSA, hmac-secret, PIN protocols one and two with retries and
both kinds of lock-out, non-resident credentials whose ids hold the sealed private key, and user presence that somebody
has to give. Its CBOR is `cbor2`'s and its cryptography `cryptography`'s: nothing of the code under test is used.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MAX_PIN_TRIES = 8
MAX_PIN_TRIES_IN_A_ROW = 3
ES256, EDDSA = -7, -8
AAGUID = bytes.fromhex("77616c6c6574636c692d746573742d31")

INVALID_COMMAND, INVALID_CBOR, MISSING_PARAMETER = 0x01, 0x12, 0x14
CREDENTIAL_EXCLUDED, UNSUPPORTED_ALGORITHM, UNSUPPORTED_OPTION, INVALID_OPTION = 0x19, 0x26, 0x2B, 0x2C
NO_CREDENTIALS, USER_ACTION_TIMEOUT, NOT_ALLOWED = 0x2E, 0x2F, 0x30
PIN_INVALID, PIN_BLOCKED, PIN_AUTH_INVALID, PIN_AUTH_BLOCKED = 0x31, 0x32, 0x33, 0x34
PIN_NOT_SET, PIN_REQUIRED, PIN_POLICY_VIOLATION, INVALID_SUBCOMMAND = 0x35, 0x36, 0x37, 0x3E

Touch = Callable[[], bool]
"""Waits for the user; tells whether they touched it."""


class Refusal(Exception):
    """Ends a command with a status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status:#04x}")
        self.status = status


class Protocol:
    """PIN/UV auth protocol one or two, the authenticator's side."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.renew()

    def renew(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.token = os.urandom(32)

    def public(self) -> dict[int, Any]:
        numbers = self.private.public_key().public_numbers()
        return {1: 2, 3: -25, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}

    def shared(self, theirs: dict[int, Any]) -> bytes:
        x, y = (int.from_bytes(theirs[part], "big") for part in (-2, -3))
        secret = self.private.exchange(ec.ECDH(), ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key())
        if self.version == 1:
            return hashlib.sha256(secret).digest()
        parts = (b"CTAP2 HMAC key", b"CTAP2 AES key")
        return b"".join(HKDF(hashes.SHA256(), 32, bytes(32), info).derive(secret) for info in parts)

    def encrypt(self, shared: bytes, plain: bytes) -> bytes:
        iv = bytes(16) if self.version == 1 else os.urandom(16)
        cipher = Cipher(algorithms.AES(shared[-32:]), modes.CBC(iv)).encryptor()
        return (b"" if self.version == 1 else iv) + cipher.update(plain) + cipher.finalize()

    def decrypt(self, shared: bytes, sealed: bytes) -> bytes:
        iv, rest = (bytes(16), sealed) if self.version == 1 else (sealed[:16], sealed[16:])
        cipher = Cipher(algorithms.AES(shared[-32:]), modes.CBC(iv)).decryptor()
        return cipher.update(rest) + cipher.finalize()

    def check(self, key: bytes, message: bytes, mac: bytes) -> None:
        made = hmac.new(key[:32], message, hashlib.sha256).digest()
        if not hmac.compare_digest(made[: 16 if self.version == 1 else 32], mac):
            raise Refusal(PIN_AUTH_INVALID)


@dataclass
class Authenticator:
    """One key.

    Args:
        touch: asks for the user's presence.
        seed: what its secrets come from; the same seed is the same key after it was plugged in again.
        hmac_secret: whether it knows that extension.
        protocols: of PIN, that it speaks.
        always_pin: does nothing without its PIN.
        algorithms: that it signs with.
    """

    touch: Touch
    seed: bytes = field(default_factory=lambda: os.urandom(32))
    hmac_secret: bool = True
    protocols: tuple[int, ...] = (2, 1)
    always_pin: bool = False
    algorithms: tuple[int, ...] = (ES256, EDDSA)
    pin: bytes | None = None
    tries: int = MAX_PIN_TRIES

    def __post_init__(self) -> None:
        self.counter = 0
        self.plug_in()

    def plug_in(self) -> None:
        """Begin as after power came on."""
        self.wrong_in_a_row = 0
        self.pin_protocols = {version: Protocol(version) for version in self.protocols}

    def call(self, request: bytes) -> bytes:
        """Run one command; return status and CBOR."""
        commands = {1: self._make, 2: self._assert, 4: self._info, 6: self._pin, 7: self._reset, 11: self._select}
        run = commands.get(request[0]) if request else None
        if run is None:
            return bytes([INVALID_COMMAND])
        try:
            asked = cbor2.loads(request[1:]) if len(request) > 1 else {}
            answer = run(asked)
        except Refusal as refusal:
            return bytes([refusal.status])
        except KeyError:
            return bytes([MISSING_PARAMETER])
        except (ValueError, TypeError, cbor2.CBORDecodeError):
            return bytes([INVALID_CBOR])
        return b"\0" + (cbor2.dumps(answer, canonical=True) if answer else b"")

    # Commands

    def _info(self, _asked: Any) -> dict[int, Any]:
        options: dict[str, bool] = {"rk": False, "up": True, "clientPin": self.pin is not None, "pinUvAuthToken": True}
        if self.always_pin:
            options["alwaysUv"] = True
        return {
            1: ["FIDO_2_0", "FIDO_2_1"],
            2: ["hmac-secret"] if self.hmac_secret else [],
            3: AAGUID,
            4: options,
            5: 1200,
            6: list(self.protocols),
            7: 8,
            8: 256,
            9: ["usb"],
            10: [{"alg": alg, "type": "public-key"} for alg in self.algorithms],
            14: 7,
        }

    def _select(self, _asked: Any) -> dict[int, Any]:
        self._present()
        return {}

    def _reset(self, _asked: Any) -> dict[int, Any]:
        self._present()
        self.seed, self.pin, self.tries = os.urandom(32), None, MAX_PIN_TRIES
        self.plug_in()
        return {}

    def _make(self, asked: dict[int, Any]) -> dict[int, Any]:
        client_data_hash, relying_party, wanted = asked[1], asked[2]["id"], asked[4]
        algorithm = next((item["alg"] for item in wanted if item["alg"] in self.algorithms), None)
        if algorithm is None:
            raise Refusal(UNSUPPORTED_ALGORITHM)
        options = asked.get(7, {})
        if options.get("rk") or options.get("uv"):
            raise Refusal(UNSUPPORTED_OPTION)
        verified = self._verified(asked, 8, 9, client_data_hash, 0x01, relying_party)
        if not verified and (self.pin is not None or self.always_pin):
            raise Refusal(PIN_REQUIRED)
        if any(self._open(item["id"], relying_party) for item in asked.get(5, [])):
            self._present()
            raise Refusal(CREDENTIAL_EXCLUDED)
        self._present()
        secret = os.urandom(32)
        credential_id = self._seal(algorithm, secret, relying_party)
        extensions = {"hmac-secret": True} if self.hmac_secret and asked.get(6, {}).get("hmac-secret") else {}
        public = cbor2.dumps(_public_key(algorithm, secret), canonical=True)
        attested = AAGUID + struct.pack(">H", len(credential_id)) + credential_id + public
        data = self._auth_data(relying_party, 0x40 | 0x01 | (0x04 if verified else 0), attested, extensions)
        signature = _sign(algorithm, secret, data + client_data_hash)
        return {1: "packed", 2: data, 3: {"alg": algorithm, "sig": signature}}

    def _assert(self, asked: dict[int, Any]) -> dict[int, Any]:
        relying_party, client_data_hash = asked[1], asked[2]
        presence = asked.get(5, {}).get("up", True)
        verified = self._verified(asked, 6, 7, client_data_hash, 0x02, relying_party)
        if self.always_pin and presence and not verified:
            raise Refusal(PIN_REQUIRED)
        opened = None
        for item in asked.get(3, []):
            opened = self._open(item["id"], relying_party)
            if opened is not None:
                credential_id = item["id"]
                break
        if opened is None:
            if presence:
                self._present()
            raise Refusal(NO_CREDENTIALS)
        algorithm, secret = opened
        if presence:
            self._present()
        extensions = {}
        if self.hmac_secret and "hmac-secret" in asked.get(4, {}):
            if not presence:
                raise Refusal(UNSUPPORTED_OPTION)
            extensions["hmac-secret"] = self._hmac(asked[4]["hmac-secret"], credential_id, verified)
        flags = (0x01 if presence else 0) | (0x04 if verified else 0)
        data = self._auth_data(relying_party, flags, b"", extensions)
        descriptor = {"id": credential_id, "type": "public-key"}
        return {1: descriptor, 2: data, 3: _sign(algorithm, secret, data + client_data_hash)}

    def _pin(self, asked: dict[int, Any]) -> dict[int, Any]:
        command = asked[2]
        if command == 0x01:
            return {3: self.tries, 4: self.wrong_in_a_row >= MAX_PIN_TRIES_IN_A_ROW}
        protocol = self.pin_protocols.get(asked[1])
        if protocol is None:
            raise Refusal(0x02)
        if command == 0x02:
            return {1: protocol.public()}
        if command not in (0x03, 0x04, 0x05, 0x09):
            raise Refusal(INVALID_SUBCOMMAND)
        shared = protocol.shared(asked[3])
        if command in (0x03, 0x04):
            self._choose_pin(protocol, shared, asked, is_change=command == 0x04)
            return {}
        self._check_pin(protocol, shared, asked[6])
        protocol.token = os.urandom(32)
        permissions = (0x03, None) if command == 0x05 else (asked[9], asked.get(10))
        self.permitted = permissions
        return {2: protocol.encrypt(shared, protocol.token)}

    # How

    def _present(self) -> None:
        if not self.touch():
            raise Refusal(USER_ACTION_TIMEOUT)

    def _choose_pin(self, protocol: Protocol, shared: bytes, asked: dict[int, Any], *, is_change: bool) -> None:
        if is_change == (self.pin is None):
            raise Refusal(PIN_NOT_SET if is_change else PIN_AUTH_INVALID)
        protocol.check(shared, asked[5] + (asked[6] if is_change else b""), asked[4])
        if is_change:
            self._check_pin(protocol, shared, asked[6])
        pin = protocol.decrypt(shared, asked[5]).rstrip(b"\0")
        if not 4 <= len(pin) <= 63:
            raise Refusal(PIN_POLICY_VIOLATION)
        self.pin, self.tries = hashlib.sha256(pin).digest()[:16], MAX_PIN_TRIES

    def _check_pin(self, protocol: Protocol, shared: bytes, sealed_hash: bytes) -> None:
        if self.pin is None:
            raise Refusal(PIN_NOT_SET)
        if self.tries == 0:
            raise Refusal(PIN_BLOCKED)
        if self.wrong_in_a_row >= MAX_PIN_TRIES_IN_A_ROW:
            raise Refusal(PIN_AUTH_BLOCKED)
        self.tries -= 1
        if not hmac.compare_digest(protocol.decrypt(shared, sealed_hash), self.pin):
            protocol.renew()
            self.wrong_in_a_row += 1
            if self.tries == 0:
                raise Refusal(PIN_BLOCKED)
            raise Refusal(PIN_AUTH_BLOCKED if self.wrong_in_a_row >= MAX_PIN_TRIES_IN_A_ROW else PIN_INVALID)
        self.tries, self.wrong_in_a_row = MAX_PIN_TRIES, 0

    def _verified(
        self, asked: dict[int, Any], mac: int, version: int, message: bytes, permission: int, relying_party: str
    ) -> bool:
        if mac not in asked:
            return False
        if asked[mac] == b"":  # how platforms ask for a touch to choose a key
            self._present()
            raise Refusal(PIN_INVALID if self.pin is not None else PIN_NOT_SET)
        protocol = self.pin_protocols.get(asked[version])
        if protocol is None:
            raise Refusal(0x02)
        protocol.check(protocol.token, message, asked[mac])
        permissions, for_whom = self.permitted
        if not permissions & permission or for_whom not in (None, relying_party):
            raise Refusal(PIN_AUTH_INVALID)
        return True

    def _hmac(self, asked: dict[int, Any], credential_id: bytes, verified: bool) -> bytes:
        protocol = self.pin_protocols[asked.get(4, 1)]
        shared = protocol.shared(asked[1])
        protocol.check(shared, asked[2], asked[3])
        salts = protocol.decrypt(shared, asked[2])
        if len(salts) not in (32, 64):
            raise Refusal(0x03)
        label = b"with PIN" if verified else b"without"
        key = hmac.new(self.seed, label + credential_id, hashlib.sha256).digest()
        outputs = (hmac.new(key, salts[at : at + 32], hashlib.sha256).digest() for at in range(0, len(salts), 32))
        return protocol.encrypt(shared, b"".join(outputs))

    def _auth_data(self, relying_party: str, flags: int, attested: bytes, extensions: dict[str, Any]) -> bytes:
        self.counter += 1
        more = cbor2.dumps(extensions, canonical=True) if extensions else b""
        head = hashlib.sha256(relying_party.encode()).digest()
        return head + struct.pack(">BI", flags | (0x80 if extensions else 0), self.counter) + attested + more

    def _sealing_key(self) -> AESGCM:
        return AESGCM(hashlib.sha256(b"credentials" + self.seed).digest())

    def _seal(self, algorithm: int, secret: bytes, relying_party: str) -> bytes:
        nonce = os.urandom(12)
        plain = struct.pack(">b", algorithm) + secret
        return nonce + self._sealing_key().encrypt(nonce, plain, relying_party.encode())

    def _open(self, credential_id: bytes, relying_party: str) -> tuple[int, bytes] | None:
        try:
            plain = self._sealing_key().decrypt(credential_id[:12], credential_id[12:], relying_party.encode())
        except (InvalidTag, ValueError):
            return None
        return struct.unpack(">b", plain[:1])[0], plain[1:]


def _ecdsa(secret: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(secret, "big") >> 1 or 1, ec.SECP256R1())


def _public_key(algorithm: int, secret: bytes) -> dict[int, Any]:
    if algorithm == EDDSA:
        public = ed25519.Ed25519PrivateKey.from_private_bytes(secret).public_key()
        return {1: 1, 3: EDDSA, -1: 6, -2: public.public_bytes(Encoding.Raw, PublicFormat.Raw)}
    numbers = _ecdsa(secret).public_key().public_numbers()
    return {1: 2, 3: ES256, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}


def _sign(algorithm: int, secret: bytes, message: bytes) -> bytes:
    if algorithm == EDDSA:
        return ed25519.Ed25519PrivateKey.from_private_bytes(secret).sign(message)
    return _ecdsa(secret).sign(message, ec.ECDSA(hashes.SHA256()))
