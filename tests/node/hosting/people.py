"""Identities that want to be hosted, with their devices, and what they sign, as of today."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.client.records import identity, key, record
from tests.conftest import NodeProcess
from tests.node.local import Answer, ask
from walletcli.client.host import HostClient
from walletcli.client.host_answers import Token
from walletcli.client.manifests import Writers
from walletcli.client.relay import RelayClient
from walletcli.core.blob import join_blob
from walletcli.core.cose import Sign1
from walletcli.core.document_parts import Delegation, Power
from walletcli.core.encodings import b64url_encode
from walletcli.core.grant import VerifiedGrant
from walletcli.core.grant_request import GrantRequest
from walletcli.core.identity_id import IdentityId
from walletcli.core.login import Login, Purpose
from walletcli.core.manifest import Manifest
from walletcli.core.record import Record
from walletcli.core.secret import Secret
from walletcli.core.x25519 import public_key as sealing_key
from walletcli.net.addresses import NodeAddress
from walletcli.net.tcp import TcpDialer


class Asked(Protocol):
    """A node that can be asked: a `LocalNode`, or a `Remote`."""

    @property
    def key(self) -> bytes: ...

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer: ...


class Remote:
    """A node in a process of its own, asked in clear and without a client that waits and tries again."""

    def __init__(self, node: NodeProcess) -> None:
        self.port = int(node.url.rpartition(":")[2])
        self.key = IdentityId.from_text(node.did).public_key

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        return ask(self.port, method, path, body, **headers)


def today() -> int:
    return int(time.time()) // 86_400


def device(
    name: str, powers: frozenset[Power] = frozenset({Power.HOST}), start: int = -10, end: int = 60
) -> Delegation:
    """Return the delegation of the device called `name`; `start` and `end` are days from today."""
    sealing = sealing_key(Secret(hashlib.sha256(f"sealing {name}".encode()).digest()))
    return Delegation(key(name).public_key, sealing, powers, today() + start, today() + end)


def sign_as(name: str) -> Callable[[str, bytes], bytes]:
    """Return what signs with the key called `name`."""
    return lambda typ, payload: Sign1.sign(key(name), typ, payload).to_bytes()


def blob_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


@dataclass
class Person:
    """An identity called `name` with one device called `NAME phone`; a test adds others."""

    name: str = "alice"
    seq: int = 100
    bindings: tuple[bytes, ...] = ()
    devices: list[Delegation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.devices = self.devices or [device(self.phone)]

    @property
    def phone(self) -> str:
        return f"{self.name} phone"

    @property
    def key(self) -> bytes:
        return key(self.name).public_key

    @property
    def path(self) -> str:
        return f"/host/{identity(self.name).z32}"

    @property
    def writers(self) -> Writers:
        return Writers.of(self.key, [self.record()])

    def record(self) -> Record:
        ordered = tuple(sorted(self.devices, key=lambda item: item.signing_key))
        return record(self.name, self.seq, delegations=ordered, bindings=self.bindings)

    def publish(self, address: str) -> Record:
        """Put the record, with the next seq, at a node."""
        self.seq += 1
        made = self.record()
        with RelayClient(NodeAddress.from_text(address), TcpDialer()) as relay:
            assert made.document is not None
            relay.put_document(made.document.to_bytes())
            relay.put_packet(made.packet)
        return made

    def client(self, address: str, timeout_s: float = 15) -> HostClient:
        return HostClient(NodeAddress.from_text(address), TcpDialer(), identity(self.name).did, timeout_s=timeout_s)

    def bind(self, address: str, quota_bytes: int | None = None, invitation: str | None = None) -> VerifiedGrant:
        """Publish, get a grant, and publish it."""
        self.publish(address)
        with self.client(address) as client:
            grant = client.request_grant(
                sign_as(self.phone), today=today(), quota_bytes=quota_bytes, invitation=invitation
            )
        self.bindings = (*self.bindings, grant.data)
        self.publish(address)
        return grant

    def manifest(
        self,
        number: int,
        content: bytes | None,
        version: int = 1,
        *,
        signer: str | None = None,
        previous: bytes | None = None,
        length: int | None = None,
    ) -> bytes:
        """Return a signed manifest of sealed bytes; None: of a deletion."""
        digest = hashlib.sha256(content).digest() if content is not None else None
        said = Manifest(
            self.key, blob_id(number), version, digest, len(content or b"") if length is None else length, previous
        )
        return sign_as(signer or self.phone)(Manifest.TYP, said.to_payload())

    # the same without the client, so that a test can send what the client never would

    def grant_request(self, node: Asked, **changed: Any) -> bytes:
        """Return a signed request for a grant; `changed` are its fields, and `signer`."""
        signer = changed.pop("signer", self.phone)
        fields = {
            "identity": self.key,
            "provider": node.key,
            "nonce": node.ask("GET", "/host/challenge").body,
            "quota_bytes": 1 << 20,
            **changed,
        }
        return sign_as(signer)(GrantRequest.TYP, GrantRequest(**fields).to_payload())

    def login(self, node: Asked, **changed: Any) -> bytes:
        """Return a signed login; `changed` are its fields, and `signer`."""
        signer = changed.pop("signer", self.phone)
        fields = {
            "identity": self.key,
            "audience": node.key,
            "nonce": node.ask("GET", "/host/challenge").body,
            "minutes": 15,
            "purpose": Purpose.DEVICE,
            **changed,
        }
        return sign_as(signer)(Login.TYP, Login(**fields).to_payload())

    def token(self, node: Asked, **changed: Any) -> dict[str, str]:
        """Log in and return the header that shows it."""
        answer = node.ask("POST", "/host/login", self.login(node, **changed))
        assert answer.status == 200, answer.body
        return bearer(Token.from_bytes(answer.body).value)

    def ask(self, node: Asked, method: str, path: str = "", body: bytes | None = None, **headers: str) -> Answer:
        """Make a request about this identity, logged in as its phone unless `authorization` is given."""
        if "authorization" not in headers:
            headers |= self.token(node)
        return node.ask(method, f"{self.path}{path}", body, **headers)

    def put(
        self, node: Asked, number: int, content: bytes | None, version: int = 1, replaces: int = 0, **changed: Any
    ) -> Answer:
        """Put a blob; `changed` are arguments of `manifest`, and headers."""
        headers = {name: changed.pop(name) for name in ("authorization", "if_match") if name in changed}
        frame = changed.pop("frame", None) or join_blob(
            self.manifest(number, content, version, **changed), content or b""
        )
        return self.ask(
            node, "PUT", f"/blob/{blob_id(number).hex()}", frame, **{"if_match": f'"{replaces}"', **headers}
        )


def bearer(token: bytes) -> dict[str, str]:
    return {"authorization": f"Bearer {b64url_encode(token)}"}


def sealed(size: int = 1000) -> bytes:
    """Return bytes that look sealed."""
    return secrets.token_bytes(size)
