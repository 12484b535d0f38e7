"""Record files: exports them, verifies them, shows them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from walletcli.client.resolution import statements
from walletcli.core.did_dht import is_deactivated, to_did_document
from walletcli.core.identity_id import IdentityId
from walletcli.core.record import MAX_FILE_BYTES, Record
from walletcli.errors import FormatError, InputError
from walletcli.wallet.access.session import Session
from walletcli.wallet.files import read_file, write_file
from walletcli.wallet.linkability import FILE_ROUTE, accepted_keys, find_links
from walletcli.wallet.state.changes import PlanPublish
from walletcli.wallet.state.lookup import key_of
from walletcli.wallet.state.wallet_view import WalletView


@dataclass(frozen=True, slots=True)
class RecordCheck:
    """A record that was verified.

    Attributes:
        record: packet and document.
        verified: what was established, a plain statement each.
    """

    record: Record
    verified: tuple[str, ...]

    @classmethod
    def of(cls, record: Record) -> RecordCheck:
        """Say what was verified of `record`."""
        return cls(record, statements(record, time.time()))

    @property
    def did(self) -> str:
        """The identity, as did:key."""
        return IdentityId(self.record.packet.public_key).did

    @property
    def seq(self) -> int:
        """`seq` of the packet."""
        return self.record.packet.seq

    def to_json(self) -> dict[str, object]:
        """Return did, seq, hash and statements."""
        document_hash = self.record.packet.document_hash
        return {
            "did": self.did,
            "seq": self.seq,
            "document_hash": document_hash.hex() if document_hash is not None else None,
            "verified": list(self.verified),
        }


def did_document_of(record: Record) -> dict[str, object] | None:
    """Return the W3C DID document that a did:dht resolver makes of the packet, or None if it is no such record."""
    try:
        return to_did_document(record.packet)
    except FormatError:
        return None


def did_metadata_of(record: Record) -> dict[str, object]:
    """Return what W3C's DID resolution tells beside a DID document: has the identity ended, and which state is it.

    An identity has ended if its document says so, or its packet by did:dht's own means.
    """
    document = record.document
    is_over = (document is not None and document.retirement is not None) or is_deactivated(record.packet)
    return {"deactivated": is_over, "versionId": str(record.packet.seq)}


def export_record(session: Session, who: str, path: str, accept_link: bool = False) -> RecordCheck:
    """Write the latest record of an identity to a file: of this wallet's own, or one that it remembers.

    Args:
        session: the open wallet.
        who: label or id.
        path: of the new file.
        accept_link: go ahead where this ties identities together; remembered for this identity.

    Raises:
        InputError: ``identity.unknown``, ``record.none``, ``link.would-link``, ``file.exists``.
        StorageError: ``storage.*``.
    """
    wallet = session.snapshot().wallet
    key = key_of(who, wallet)
    own = next((identity for identity in wallet.identities if identity.public_key == key), None)
    if own is None:
        data = _remembered(wallet, who, key)
    elif own.record is None:
        raise InputError("record.none", f"nothing has been signed of {own.label!r} yet", "publish it first")
    else:
        data = own.record
        accepted = accepted_keys(find_links(wallet, own, ()), accept=accept_link)
        session.apply(PlanPublish(own.index, (FILE_ROUTE,), accepted))
    check = RecordCheck.of(Record.from_bytes(data))
    write_file(path, data, replace=False)
    return check


def _remembered(wallet: WalletView, who: str, key: bytes) -> bytes:
    seen = wallet.seen.get(key)
    if seen is None or seen.record is None:
        raise InputError("record.none", f"this wallet has no record of {who}", "resolve it first")
    return seen.record


def verify_record(path: str) -> RecordCheck:
    """Read a record file and verify it: signature, hash, identity, seq, derivation.

    Raises:
        InputError: ``file.*``.
        FormatError: ``record.file``, ``packet.*``, ``document.*``, ``cbor.*``, ``dns.*``.
        VerificationError: ``signature.invalid``, ``record.*``.
    """
    return RecordCheck.of(Record.from_bytes(read_file(path, MAX_FILE_BYTES)))


def show_record(path: str) -> dict[str, object]:
    """Return what a record file says, as JSON; it is verified on the way.

    Returns:
        ``did``, ``seq``, ``document``, ``packet``, and ``did_document``: the W3C DID document that a did:dht resolver
        makes of the packet, or None if it is none of that method's.

    Raises:
        WalletError: as `verify_record`.
    """
    record = verify_record(path).record
    return {
        "did_document": did_document_of(record),
        "did_document_metadata": did_metadata_of(record),
        "did": IdentityId(record.packet.public_key).did,
        "seq": record.packet.seq,
        "document": record.document.to_json() if record.document is not None else None,
        "packet": record.packet.to_json(),
    }
