"""Talks to a provider on behalf of one identity: offer, grant, login, blobs.

It holds no key: what has to be signed goes to a callback. What somebody should have signed is believed only if it
verifies; all else is the provider's word.

Spec: docs/spec/hosting.md; docs/spec/resolution.md, "Providers".
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from types import TracebackType
from typing import Final, Self

from walletcli.client.approved import check_remembered
from walletcli.client.freshness import Freshness, Seen
from walletcli.client.host_answers import (
    MAX_OFFER_BYTES,
    MAX_PAGE_BYTES,
    MAX_STATUS_BYTES,
    PAGE_ITEMS,
    HostStatus,
    Offer,
    read_page,
)
from walletcli.client.host_failure import bad_answer, distrust, refusal, unreadable
from walletcli.client.host_session import HostSession, Sign
from walletcli.client.http import Request
from walletcli.client.link import TIMEOUT_S
from walletcli.client.manifests import (
    MAX_BLOBS,
    MAX_CONTENT_BYTES,
    Blob,
    ItemFault,
    Listed,
    SignedManifest,
    Writers,
    checked_blob,
    manifest_of,
    nameable,
)
from walletcli.client.new_grant import check_new_grant
from walletcli.client.splits import refuse_split
from walletcli.core.blob import MAX_MANIFEST_BYTES, join_blob, split_blob
from walletcli.core.document import MAX_GRANT_BYTES
from walletcli.core.grant import VerifiedGrant
from walletcli.core.grant_request import GrantRequest
from walletcli.core.identity_id import IdentityId
from walletcli.core.login import Purpose
from walletcli.core.record import Record
from walletcli.errors import FormatError, NetworkError, VerificationError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer

LISTING_S: Final = 600.0
"""How long a whole listing may take, in seconds."""

MAX_FAULTS: Final = 1000
"""How many entries of a listing may fail to verify before the listing is given up."""


class HostClient:
    """One provider, one identity, one kept connection; for one thread at a time.

    Args:
        address: the provider's; a ``walletcli://`` address names the only provider that is believed there.
        dialer: opens the connections.
        for_identity: the identity whose hosting it is about, or its did:key; None for `offer` alone.
        timeout_s: how long each call may take, in seconds; calls that carry a blob get more, by its size.
        memory: what is remembered of providers' records, so that none is led back.
        provider: root key (32 bytes) of the provider that must be there, for addresses that do not name it.
    """

    def __init__(
        self,
        address: NodeAddress,
        dialer: Dialer,
        for_identity: IdentityId | str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        memory: Freshness | None = None,
        provider: bytes | None = None,
    ) -> None:
        self.address = address
        self.name = address.to_text()
        identity = IdentityId.from_text(for_identity) if isinstance(for_identity, str) else for_identity
        self._session = HostSession(address, dialer, identity, timeout_s, memory)
        self._memory = memory
        self._provider = address.node.public_key if address.node is not None else provider

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and forget the token; the client can be used again."""
        self._session.close()

    def offer(self) -> Offer:
        """Ask for the provider's offer: who it is and what it grants.

        Returns:
            The offer; its record is verified, and of the provider that the address names, if it names one.

        Raises:
            NetworkError: ``host.*``, ``tls.*``, ``network.*``.
            VerificationError: ``host.provider`` for another provider, ``host.unverified``, ``record.stale``,
                ``record.equivocation``, ``tls.*``.
        """
        response = self._session.call(Request("GET", "/host"), MAX_OFFER_BYTES)
        if response.status != 200:
            raise refusal(response, self.name)
        try:
            offer = Offer.from_bytes(response.body)
        except (FormatError, VerificationError) as error:
            raise unreadable(error, self.name, "an offer") from error
        if self._provider is not None and offer.provider != self._provider:
            wanted = IdentityId(self._provider).did
            raise VerificationError(
                "host.provider",
                f"{self.name} is {IdentityId(offer.provider).did}, not {wanted}",
                distrust(self.name),
            )
        self._check_fresh(offer.record)
        self._provider = offer.provider
        return offer

    def request_grant(
        self,
        sign: Sign,
        *,
        today: int,
        quota_bytes: int | None = None,
        invitation: str | None = None,
        nonces: Collection[bytes] = (),
    ) -> VerifiedGrant:
        """Ask the provider for its half of a binding, and check that it is what was offered and asked for.

        Args:
            sign: signs the request as a device with the power ``host``, or as the root.
            today: days since 1970-01-01 (UTC).
            quota_bytes: room that is wanted; None: all that is offered.
            invitation: token of a closed provider, or None.
            nonces: of the grants that are known already, 16 bytes each; a new grant has a new one.

        Raises:
            NetworkError: ``host.unknown-identity``, ``host.invitation``, ``host.quota`` when less is offered than is
                wanted, other ``host.*``, ``tls.*``, ``network.*``.
            VerificationError: ``host.provider``, ``host.terms``, ``host.dates``, ``host.nonce``, ``host.unverified``,
                ``grant.*``, ``tls.*``.
        """
        offer = self.offer()
        wanted = offer.terms.quota_bytes if quota_bytes is None else quota_bytes
        if wanted > offer.terms.quota_bytes:
            raise NetworkError(
                "host.quota",
                f"{self.name} offers {offer.terms.quota_bytes} bytes, {wanted} are wanted",
                f"ask {self.name} for less, or choose another provider",
            )
        identity = self._session.identity.public_key
        request = GrantRequest(identity, offer.provider, self._session.challenge(), wanted, invitation)
        body = sign(GrantRequest.TYP, request.to_payload())
        response = self._session.call(Request("POST", "/host/grant", body), MAX_GRANT_BYTES)
        if response.status != 200:
            raise refusal(response, self.name)
        newest = self._newest_record(offer)
        return check_new_grant(
            response.body, self.name, identity, offer, newest, quota_bytes=wanted, today=today, nonces=nonces
        )

    def login(self, sign: Sign, *, by_root: bool = False) -> None:
        """Prove that a key of the identity is asking; what is asked then is answered to it alone.

        Args:
            sign: signs the login; kept, so that a token that has expired is renewed once per call.
            by_root: as the root, which may read only; otherwise as a device with the power ``host``.

        Raises:
            NetworkError: ``host.login`` when the provider does not let the key in, other ``host.*``, ``tls.*``.
            VerificationError: ``host.provider``, ``tls.*``.
        """
        provider = self._provider if self._provider is not None else self.offer().provider
        self._session.login(sign, provider, Purpose.ROOT if by_root else Purpose.DEVICE)

    def status(self) -> HostStatus:
        """Ask what the provider keeps for the identity; it is the provider's word and nothing more.

        Raises:
            NetworkError: ``host.*``, ``tls.*``, ``network.*``.
        """
        response = self._session.ask("GET", "", max_body_bytes=MAX_STATUS_BYTES)
        if response.status != 200:
            raise refusal(response, self.name)
        try:
            return HostStatus.from_bytes(response.body)
        except FormatError as error:
            raise unreadable(error, self.name, "a state of the identity") from error

    def blobs(self, writers: Writers) -> Iterator[SignedManifest]:
        """Go through the manifests of all blobs, ascending by id, and stop at the first that does not verify.

        Raises:
            As `listed`; VerificationError: ``signature.invalid``, ``blob.*``; FormatError: ``manifest.*``, ``cose.*``.
        """
        for item in self.listed(writers):
            if isinstance(item, ItemFault):
                raise item.error
            yield item

    def listed(self, writers: Writers) -> Iterator[Listed]:
        """Go through the manifests of all blobs, ascending by id; what does not verify comes as a fault.

        What a provider leaves out cannot be seen here: the sealed index says what there should be.

        Args:
            writers: who may sign manifests, and which versions are known.

        Raises:
            NetworkError: ``host.bad-answer``, ``host.too-much`` over 65,536 blobs or 1000 faults, ``host.timeout`` over
                `LISTING_S`, other ``host.*``, ``tls.*``.
        """
        ends_s = time.monotonic() + LISTING_S
        last: bytes | None = None
        count = faults = 0
        while page := self._page(last, PAGE_ITEMS):
            for data in page:
                item = self._listed(data, writers)
                if item.blob_id is None or (last is not None and item.blob_id <= last):
                    raise bad_answer(self.name, "a list of blobs that is not in order")
                last = item.blob_id
                count += 1
                faults += isinstance(item, ItemFault)
                if count > MAX_BLOBS or faults > MAX_FAULTS:
                    raise NetworkError(
                        "host.too-much", f"{self.name} lists more blobs than can be", f"do not rely on {self.name}"
                    )
                yield item
            if len(page) < PAGE_ITEMS:
                return
            if time.monotonic() > ends_s:
                raise NetworkError("host.timeout", f"{self.name} lists without end", f"do not rely on {self.name}")

    def get_blob(
        self,
        blob_id: bytes,
        writers: Writers,
        expected: SignedManifest | None = None,
        *,
        max_content_bytes: int = MAX_CONTENT_BYTES,
    ) -> Blob | None:
        """Fetch a blob and check it against its manifest.

        Args:
            blob_id: 16 bytes.
            writers: who may sign its manifest, and which version is known.
            expected: what was listed or is named by the index: this version or a newer one is taken.
            max_content_bytes: longest sealed content to take.

        Returns:
            The blob, or None where the provider does not have it.

        Raises:
            NetworkError: ``host.too-much``, other ``host.*``, ``tls.*``.
            VerificationError: ``blob.*``, ``signature.invalid``, ``tls.*``.
            FormatError: ``blob.malformed``, ``manifest.*``, ``cose.*``, ``cbor.*``.
        """
        limit = 2 + MAX_MANIFEST_BYTES + max_content_bytes
        response = self._session.ask("GET", f"/blob/{blob_id.hex()}", max_body_bytes=limit, carried_bytes=limit)
        if response.status == 404:
            return None
        if response.status != 200:
            raise refusal(response, self.name)
        data, content = split_blob(response.body)
        manifest = writers.verified(data, self.name, blob_id)
        if expected is not None and (
            manifest.version < expected.version
            or (manifest.version == expected.version and not manifest.is_same(expected))
        ):
            raise VerificationError(
                "blob.other", f"{self.name} gave blob {blob_id.hex()} in another state than listed", distrust(self.name)
            )
        return checked_blob(manifest, content, self.name)

    def put_blob(self, manifest: bytes, content: bytes, replaces_version: int) -> None:
        """Store a blob in place of the version that it replaces.

        The same blob again is fine: whoever does not know whether it arrived repeats the call.

        Args:
            manifest: COSE_Sign1 of the identity's device.
            content: the sealed bytes that it names; empty for a deletion.
            replaces_version: what the provider must have now; 0 for nothing.

        Raises:
            NetworkError: ``blob.version`` when it has another version, ``blob.quota``, ``blob.too-long``,
                ``host.not-bound``, other ``host.*``, ``tls.*``.
            FormatError: ``blob.malformed``, ``cose.*``, ``manifest.*``.
        """
        blob_id = manifest_of(manifest).blob_id
        body = join_blob(manifest, content)
        response = self._session.ask(
            "PUT",
            f"/blob/{blob_id.hex()}",
            body,
            (("If-Match", f'"{replaces_version}"'),),
            carried_bytes=len(body),
        )
        if response.status == 412 and self._has(blob_id, manifest):
            return
        if response.status not in (200, 201, 204):
            raise refusal(response, self.name)

    def forget(self) -> None:
        """Have the provider delete everything that it keeps of the identity, at once.

        Raises:
            NetworkError: ``host.*``, ``tls.*``, ``network.*``.
        """
        response = self._session.ask("DELETE", "")
        if response.status not in (200, 204):
            raise refusal(response, self.name)

    def _has(self, blob_id: bytes, manifest: bytes) -> bool:
        """Tell whether the provider holds exactly this manifest."""
        number = int.from_bytes(blob_id, "big")
        return self._page((number - 1).to_bytes(16, "big") if number else None, 1) == [manifest]

    def _page(self, after: bytes | None, items: int) -> list[bytes]:
        query = f"?limit={items}" if after is None else f"?after={after.hex()}&limit={items}"
        response = self._session.ask("GET", f"/blobs{query}", max_body_bytes=MAX_PAGE_BYTES)
        if response.status != 200:
            raise refusal(response, self.name)
        try:
            page = read_page(response.body)
        except FormatError as error:
            raise unreadable(error, self.name, "a list of blobs") from error
        if len(page) > items:
            raise bad_answer(self.name, "more blobs than asked for")
        return page

    def _listed(self, data: bytes, writers: Writers) -> Listed:
        try:
            return writers.verified(data, self.name)
        except (FormatError, VerificationError) as error:
            return ItemFault(nameable(data), error, self.name)

    def _check_fresh(self, record: Record) -> None:
        """Refuse a provider's record below the newest one that is known, or split; remember it otherwise."""
        known = [self._session.node_record.packet.seq] if self._session.node_record is not None else []
        seen = self._memory.get(record.packet.public_key) if self._memory is not None else None
        if seen is not None:
            known.append(seen.seq)
        if known and record.packet.seq < max(known):
            raise VerificationError(
                "record.stale",
                f"{self.name} offers with a record of its own that is older than the known one",
                f"do not rely on {self.name}: ask its operator",
            )
        refuse_split(record, self._memory, f"the provider at {self.name}")
        if self._memory is not None:
            check_remembered(self._memory, record, int(time.time()) // 86_400)
            self._memory.put(record.packet.public_key, Seen.of(record))

    def _newest_record(self, offer: Offer) -> Record:
        seen = self._memory.get(offer.provider) if self._memory is not None else None
        known = [offer.record, self._session.node_record, seen.record if seen is not None else None]
        return max((record for record in known if record is not None), key=lambda record: record.packet.seq)
