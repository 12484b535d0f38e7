"""The response: what the machine with the root keys answers to a request, signed by the root of each item's identity.

Spec: docs/spec/request.md, "Response file".
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Final

from walletcli.core import cbor, ed25519
from walletcli.core.approvals import MAX_APPROVALS_BYTES, DocumentApprovals
from walletcli.core.cbor import Map, Value
from walletcli.core.item_parts import MAX_INDEX
from walletcli.core.keys import WALLET_CHECK_BYTES, Scheme
from walletcli.core.payload import VERSION, Payload, malformed
from walletcli.core.request_file import ID_BYTES, MAX_ITEMS
from walletcli.core.short_record import MAX_SHORT_BYTES
from walletcli.core.statements import verify_statement
from walletcli.errors import FormatError, VerificationError

MAGIC: Final = b"walletcli response 1\n"
"""First bytes of a response file."""

MAX_RESPONSE_BYTES: Final = 66_500 + MAX_APPROVALS_BYTES
"""Longest signed response to one item."""

MAX_FILE_BYTES: Final = 2_200_000 + 32 * MAX_APPROVALS_BYTES
"""Longest response file."""

DIGEST_BYTES: Final = 32
"""Length of a request's digest."""

_MAX_GENERATION: Final = 2**31 - 1
_WHAT = "response"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an identity comes from, for a wallet that does not have its seed.

    Attributes:
        index: in the key tree.
        scheme: of the key tree.
        recovery_key: the recovery recipient, X25519, 32 bytes.
        recovery_generation: its generation.
        check: 16 bytes that the same words and passphrase always give.
    """

    index: int
    scheme: Scheme
    recovery_key: bytes
    recovery_generation: int
    check: bytes

    def to_cbor(self) -> Map:
        """Return the map of the CDDL."""
        return {1: self.index, 2: self.scheme.value, 3: self.recovery_key, 4: self.recovery_generation, 5: self.check}

    @classmethod
    def from_cbor(cls, value: Value) -> Origin:
        """Read the map of the CDDL; raises FormatError ``response.malformed``."""
        if type(value) is not dict or value.keys() != {1, 2, 3, 4, 5}:
            raise malformed(_WHAT, "an origin has five parts")
        index, scheme, key, generation, check = value.values()  # in the order of the keys
        if type(index) is not int or not 0 <= index <= MAX_INDEX:
            raise malformed(_WHAT, "an index is out of range")
        if type(scheme) is not str or scheme not in Scheme.__members__.values():
            raise malformed(_WHAT, "an unknown scheme")
        if type(key) is not bytes or len(key) != 32 or type(check) is not bytes or len(check) != WALLET_CHECK_BYTES:
            raise malformed(_WHAT, "an origin needs a recovery recipient and a wallet check")
        if type(generation) is not int or not 0 <= generation <= _MAX_GENERATION:
            raise malformed(_WHAT, "a generation is out of range")
        return cls(index, Scheme(scheme), key, generation, check)


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to one item of a request.

    Attributes:
        identity: root key, 32 bytes; the signer.
        request_id: 16 bytes.
        digest: of the request, 32 bytes.
        item: its number, 1 to 32.
        signature: of the packet or statement that was asked for, 64 bytes, or None.
        record: the new record, short form, where the cold wallet drafted it; not looked at yet.
        origin: where its identity comes from; goes with `record`.
        beside: what goes beside the document of the record (docs/spec/approval.md), or None.

    Raises:
        FormatError: ``response.malformed``, ``key.malformed``.
    """

    TYP: ClassVar[str] = "application/walletcli-response+cose"

    identity: bytes
    request_id: bytes
    digest: bytes
    item: int
    signature: bytes | None = None
    record: bytes | None = None
    origin: Origin | None = None
    beside: DocumentApprovals | None = None

    def __post_init__(self) -> None:
        ed25519.check_encoding(self.identity)
        if len(self.request_id) != ID_BYTES or len(self.digest) != DIGEST_BYTES or not 1 <= self.item <= MAX_ITEMS:
            raise malformed(_WHAT, "it does not say what it answers")
        parts = (self.signature is not None, self.record is not None, self.origin is not None)
        if parts not in ((True, False, False), (False, True, True)):
            raise malformed(_WHAT, "it has a signature, or a record and its origin")

    def to_payload(self) -> bytes:
        """Encode what is signed."""
        fields: dict[int, object] = {
            1: VERSION,
            2: self.identity,
            3: self.request_id,
            4: self.digest,
            5: self.item,
        }
        if self.signature is not None:
            fields[6] = self.signature
        if self.record is not None:
            fields[7] = self.record
        if self.origin is not None:
            fields[8] = self.origin.to_cbor()
        if self.beside is not None:
            fields[9] = self.beside.to_bytes()
        return cbor.encode(fields)

    @classmethod
    def from_payload(cls, data: bytes) -> Response:
        """Decode what is signed; exactly one encoding is accepted.

        Raises:
            FormatError: ``response.malformed``, ``response.unknown-version``, ``key.malformed``, ``cbor.*``,
                ``approval.*``.
        """
        fields = Payload(data, _WHAT, (2, 3, 4, 5), (6, 7, 8, 9), MAX_RESPONSE_BYTES)
        return cls(
            fields.raw(2, 32, 32),
            fields.raw(3, ID_BYTES, ID_BYTES),
            fields.raw(4, DIGEST_BYTES, DIGEST_BYTES),
            fields.integer(5, 1, MAX_ITEMS),
            fields.raw(6, 64, 64) if fields.has(6) else None,
            fields.raw(7, 1, MAX_SHORT_BYTES) if fields.has(7) else None,
            Origin.from_cbor(fields.value(8)) if fields.has(8) else None,
            DocumentApprovals.from_bytes(fields.raw(9, 1, MAX_APPROVALS_BYTES)) if fields.has(9) else None,
        )


def verify_response(data: bytes) -> Response:
    """Decode a signed response and check that the identity's root signed it.

    Raises:
        FormatError: ``cose.*``, ``response.malformed``, ``response.unknown-version``, ``key.malformed``, ``cbor.*``.
        VerificationError: ``signature.invalid``, ``response.signer``.
    """
    response, sign1 = verify_statement(data, Response, MAX_RESPONSE_BYTES)
    if sign1.signer != response.identity:
        raise VerificationError("response.signer", "the response is not signed by the root of its identity")
    return response


@dataclass(frozen=True, slots=True)
class ResponseFile:
    """Responses to items of one request, ascending by item, each verified.

    Attributes:
        signed: the COSE_Sign1 of each.
        responses: what they say.
    """

    signed: tuple[bytes, ...]
    responses: tuple[Response, ...]

    def to_bytes(self) -> bytes:
        """Encode the file."""
        return MAGIC + cbor.encode(list(self.signed))

    @classmethod
    def of(cls, signed: tuple[bytes, ...]) -> ResponseFile:
        """Verify signed responses and put them into one file.

        Raises:
            FormatError: ``response.file`` if they do not belong together; as `verify_response`.
            VerificationError: as `verify_response`.
        """
        if not 1 <= len(signed) <= MAX_ITEMS:
            raise _file(f"1 to {MAX_ITEMS} responses")
        responses = tuple(map(verify_response, signed))
        if len({(one.request_id, one.digest) for one in responses}) > 1:
            raise _file("responses to several requests")
        if any(one.item >= other.item for one, other in pairwise(responses)):
            raise _file("items are repeated or out of order")
        return cls(signed, responses)

    @classmethod
    def from_bytes(cls, data: bytes) -> ResponseFile:
        """Decode a file and verify what is in it.

        Raises:
            FormatError: ``response.file``, ``cbor.*``; as `verify_response`.
            VerificationError: as `verify_response`.
        """
        if len(data) > MAX_FILE_BYTES or not data.startswith(MAGIC):
            raise _file("it starts with 'walletcli response 1'")
        rows = cbor.decode(data[len(MAGIC) :], MAX_FILE_BYTES)
        if type(rows) is not list or len(rows) > MAX_ITEMS:
            raise _file("needs a list of responses")
        signed: list[bytes] = []
        for row in rows:
            if type(row) is not bytes:
                raise _file("a response is a byte string")
            signed.append(row)
        return cls.of(tuple(signed))

    @property
    def request_id(self) -> bytes:
        """Id of the request that is answered, 16 bytes."""
        return self.responses[0].request_id

    @property
    def digest(self) -> bytes:
        """Digest of the request that is answered, 32 bytes."""
        return self.responses[0].digest


def _file(detail: str) -> FormatError:
    return FormatError("response.file", f"not a response of a known version: {detail}")
