"""What the tests of sealed data share: devices of one identity, and places that hold its data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tests.client.provider import TODAY, device, with_devices
from tests.client.records import key
from tests.fuzz.target import fixed_entropy
from walletcli.client.kit import DirectoryPlace
from walletcli.client.manifests import Blob, Listed, SignedManifest, Writers
from walletcli.client.places import Place
from walletcli.core import sealed
from walletcli.core.cose import Sign1
from walletcli.core.document_parts import Power
from walletcli.core.exit_kit import ExitKitHead
from walletcli.core.manifest import Manifest
from walletcli.core.record import Record
from walletcli.core.secret import Secret
from walletcli.core.x25519 import public_key as sealing_key
from walletcli.errors import VerificationError
from walletcli.wallet.sealed.owner import Owner, Unseal

IDENTITY = key("alice").public_key
RECOVERY = Secret(hashlib.sha256(b"recovery").digest())
DEVICES = ("phone", "laptop")


def record_of(*devices: str, seq: int = 100) -> Record:
    """Return alice's record with these devices."""
    return with_devices("alice", *(device(name, frozenset({Power.HOST})) for name in devices), seq=seq)


RECORD = record_of(*DEVICES)
WRITERS = Writers.of(IDENTITY, [RECORD])


def sealing_secret(name: str) -> Secret:
    """Return the scalar of the device called `name`."""
    return Secret(hashlib.sha256(f"sealing {name}".encode()).digest())


def unseal_as(*secrets: Secret) -> Unseal:
    """Return what opens with the first of these keys that fits."""

    def unseal(blob: bytes, context: bytes) -> bytes:
        for secret in secrets:
            try:
                return sealed.unseal(blob, secret, context)
            except VerificationError as error:
                if error.code != "sealed.not-for-you":
                    raise
        raise VerificationError("sealed.not-for-you", "for nobody here")

    return unseal


def owner(name: str = "phone", devices: tuple[str, ...] = DEVICES) -> Owner:
    """Return the device called `name` as owner, when the record has these devices."""
    keys = sorted({*(sealing_key(sealing_secret(item)) for item in devices), sealing_key(RECOVERY)})
    return Owner(
        IDENTITY,
        key(name).public_key,
        frozenset(key(item).public_key for item in devices),
        tuple(keys),
        unseal_as(sealing_secret(name)),
        lambda payload: Sign1.sign(key(name), Manifest.TYP, payload).to_bytes(),
        fixed_entropy(f"{name} of {len(devices)}"),
    )


def kit(path: Path, writers: Writers = WRITERS) -> DirectoryPlace:
    """Return an empty place in a new directory."""
    place = DirectoryPlace(str(path), writers)
    place.write_head(ExitKitHead(RECORD, (), TODAY))
    return place


def names(place: Place) -> set[str]:
    """Return the ids of what is live there, in hexadecimal."""
    return {
        item.blob_id.hex() for item in place.manifests() if isinstance(item, SignedManifest) and not item.is_deletion
    }


class Through:
    """A place that hands everything on; a test overrides what lies or fails."""

    def __init__(self, place: Place) -> None:
        self.place = place

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def writers(self) -> Writers:
        return self.place.writers

    def believing(self, writers: Writers) -> Place:
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.place = self.place.believing(writers)
        return other

    def manifests(self) -> Iterator[Listed]:
        return self.place.manifests()

    def get(self, blob_id: bytes, expected: SignedManifest | None = None) -> Blob | None:
        return self.place.get(blob_id, expected)

    def put(self, manifest: bytes, content: bytes, replaces_version: int) -> None:
        self.place.put(manifest, content, replaces_version)
