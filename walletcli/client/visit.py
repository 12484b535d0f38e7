"""One relay, asked for many identities over one connection.

Spec: docs/spec/resolution.md, "Many at once".
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from walletcli.client.answers import Answer
from walletcli.client.freshness import Freshness
from walletcli.client.http import Request, Response, retry_after_s
from walletcli.client.link import NodeLink
from walletcli.client.pipeline import Pipeline, UnusualAnswerError
from walletcli.client.relay import check_document, decode_packet, raise_for_status, reason_code
from walletcli.core.approvals import MAX_APPROVALS_BYTES, DocumentApprovals
from walletcli.core.document import MAX_DOCUMENT_BYTES
from walletcli.core.encodings import z32_encode
from walletcli.core.packet import MAX_RELAY_PAYLOAD_BYTES, SignedPacket
from walletcli.core.record import Record
from walletcli.errors import NetworkError, WalletError
from walletcli.net.addresses import NodeAddress
from walletcli.net.dialer import Dialer

MAX_PAUSES: Final = 100
"""How often one relay is waited for, in one visit."""

_OF_ONE_ANSWER: Final = ("relay.too-much", "relay.bad-answer")
_NO_DOCUMENTS: Final = frozenset({400, 404, 405, 501})


@dataclass(slots=True)
class Found:
    """What all relays of one scan gave that verifies: each thing is verified once.

    Attributes:
        packets: by payload, verified under the key that it was asked for with.
        documents: by SHA-256.
        wanted: hashes that packets name.
        beside: what relays have beside documents, by their SHA-256.
    """

    packets: dict[tuple[bytes, bytes], SignedPacket] = field(default_factory=dict)
    documents: dict[bytes, bytes] = field(default_factory=dict)
    wanted: set[bytes] = field(default_factory=set)
    beside: dict[bytes, tuple[DocumentApprovals, ...]] = field(default_factory=dict)

    @property
    def missing_documents(self) -> list[bytes]:
        """Hashes of documents that nobody has given yet."""
        return sorted(self.wanted - self.documents.keys())


@dataclass(frozen=True, slots=True)
class _Job:
    """A GET: of a key's packet, of a document that it names (of nobody's: None), or of what is beside one."""

    key: bytes | None
    document_hash: bytes | None = None
    is_beside: bool = False

    @property
    def path(self) -> str:
        if self.document_hash is not None:
            return f"/document/{self.document_hash.hex()}" + ("/approvals" if self.is_beside else "")
        assert self.key is not None
        return f"/{z32_encode(self.key)}"

    @property
    def max_body_bytes(self) -> int:
        if self.is_beside:
            return MAX_APPROVALS_BYTES
        return MAX_RELAY_PAYLOAD_BYTES if self.document_hash is None else MAX_DOCUMENT_BYTES


class Visit:
    """One relay in one scan; for one thread at a time.

    Args:
        address: the relay.
        dialer: opens the connection.
        for_identity: did:key of the identity on whose behalf is asked, or None.
        memory: freshness of the relay's own record.
        found: shared with the visits to other relays.
    """

    def __init__(
        self, address: NodeAddress, dialer: Dialer, for_identity: str | None, memory: Freshness | None, found: Found
    ) -> None:
        self._name = address.to_text()
        self._link = NodeLink(address, dialer, for_identity, memory)
        self._found = found
        self._answers: dict[bytes, Answer] = {}
        self._jobs: deque[_Job] = deque()
        self._pauses = 0
        self._is_plain = True
        self._failure: WalletError | None = None
        self._step: Callable[[], None] = lambda: None

    @property
    def node_record(self) -> Record | None:
        """The record with which a pinned relay has proven its key."""
        return self._link.node_record

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def answer(self, public_key: bytes) -> Answer:
        """Return what the relay said of a key (32 bytes) that was looked up, with its document, whoever gave that."""
        answer = self._answers.get(public_key)
        if answer is None:
            return Answer(self._name, error=self._failure)
        packet = answer.packet
        if packet is None or packet.document_hash is None or answer.document is not None:
            return answer
        named = packet.document_hash
        return replace(answer, document=self._found.documents.get(named), beside=self._found.beside.get(named, ()))

    def look_up(self, keys: Sequence[bytes], deadline_s: float, step: Callable[[], None]) -> None:
        """Ask for the packets of `keys` (32 bytes each) and the documents that they name; nothing is raised.

        Args:
            keys: whose.
            deadline_s: the instant of ``time.monotonic()``, in seconds, by which everything must have come.
            step: called for each key that is answered.
        """
        self._step = step
        self._failure = None
        self._run((_Job(key) for key in keys), deadline_s)

    def look_for_documents(self, hashes: Sequence[bytes], deadline_s: float) -> None:
        """Ask for documents that another relay's packets name (SHA-256, 32 bytes each); nothing is raised."""
        if self._failure is None:
            self._run((_Job(None, document_hash) for document_hash in hashes), deadline_s)

    def look_for_approvals(self, hashes: Sequence[bytes], deadline_s: float) -> None:
        """Ask for what is beside documents (SHA-256, 32 bytes each); nothing is raised."""
        if self._failure is None and hashes:
            self._run((_Job(None, document_hash, is_beside=True) for document_hash in hashes), deadline_s)

    def _run(self, jobs: Iterable[_Job], deadline_s: float) -> None:
        self._jobs.extend(jobs)
        try:
            while self._jobs:
                if self._is_plain:
                    self._ask_ahead(deadline_s)
                else:
                    self._ask_one(self._jobs.popleft(), deadline_s)
        except WalletError as error:
            self._failure = error
            self._jobs.clear()

    def _ask_ahead(self, deadline_s: float) -> None:
        """Work through the jobs ahead of their answers, until the relay wants a pause or is not plain."""
        pipeline = Pipeline(self._link.connection(deadline_s), self._name)
        asked: deque[_Job] = deque()
        pause_s = 0.0
        self._is_plain = False  # until it has given an answer this way
        try:
            while asked or (self._jobs and not pause_s):
                if not pause_s:
                    self._send_ahead(pipeline, asked, deadline_s)
                response = pipeline.read(deadline_s)
                self._is_plain = True
                job = asked.popleft()
                wanted_s = self._pause_s(response, deadline_s)
                if wanted_s:
                    self._jobs.append(job)
                    pause_s = max(pause_s, wanted_s)
                else:
                    self._take(job, response)
        except UnusualAnswerError:
            self._link.close()
            self._jobs.extendleft(reversed(asked))
            return
        except BaseException:
            self._link.close()
            raise
        if not pipeline.is_clean:
            self._link.close()
        self._pause(pause_s)

    def _send_ahead(self, pipeline: Pipeline, asked: deque[_Job], deadline_s: float) -> None:
        for _ in range(min(pipeline.room, len(self._jobs))):
            asked.append(self._jobs.popleft())
            pipeline.ask(asked[-1].path, asked[-1].max_body_bytes)
        pipeline.flush(deadline_s)

    def _ask_one(self, job: _Job, deadline_s: float) -> None:
        try:
            response = self._link.ask(Request("GET", job.path), job.max_body_bytes, deadline_s)
        except NetworkError as error:
            if error.code not in _OF_ONE_ANSWER:
                raise
            return self._note(job, error)
        wanted_s = self._pause_s(response, deadline_s)
        if not wanted_s:
            return self._take(job, response)
        self._jobs.append(job)
        self._pause(wanted_s)

    def _pause_s(self, response: Response, deadline_s: float) -> float:
        """Return how long to wait before asking this again, or 0 if the answer is to be taken."""
        wanted_s = retry_after_s(response) if response.status == 429 else None
        if wanted_s is None or self._pauses >= MAX_PAUSES or time.monotonic() + wanted_s >= deadline_s:
            return 0
        return wanted_s

    def _pause(self, seconds: float) -> None:
        if seconds:
            self._pauses += 1
            time.sleep(seconds)

    def _take(self, job: _Job, response: Response) -> None:
        """Note an answer, good or bad; what is wrong with one of them says nothing about the others."""
        try:
            if job.document_hash is not None and job.is_beside:
                self._take_beside(job.document_hash, response)
            elif job.document_hash is not None:
                self._take_document(job.document_hash, response)
            elif job.key is not None:
                self._take_packet(job.key, response)
        except WalletError as error:
            return self._note(job, error)
        if job.document_hash is None:
            self._step()

    def _note(self, job: _Job, error: WalletError) -> None:
        if job.key is not None:
            before = self._answers.get(job.key)
            self._answers[job.key] = replace(before or Answer(self._name), error=error)
        if job.document_hash is None:
            self._step()

    def _take_packet(self, key: bytes, response: Response) -> None:
        if response.status == 404:
            self._answers[key] = Answer(self._name)
            return
        if response.status != 200:
            raise_for_status(response, self._name)
        known = self._found.packets.get((key, response.body))
        packet = known or decode_packet(key, response.body, self._name)
        self._found.packets[(key, response.body)] = packet
        self._answers[key] = Answer(self._name, packet)
        document_hash = packet.document_hash
        if document_hash is not None:
            self._found.wanted.add(document_hash)
            if document_hash not in self._found.documents:
                self._jobs.appendleft(_Job(key, document_hash))

    def _take_beside(self, document_hash: bytes, response: Response) -> None:
        if response.status != 200:
            return  # without approvals the state of before stays, and that is told
        beside = DocumentApprovals.from_bytes(response.body)
        before = self._found.beside.get(document_hash, ())
        if beside not in before:
            self._found.beside[document_hash] = (*before, beside)

    def _take_document(self, document_hash: bytes, response: Response) -> None:
        if response.status in _NO_DOCUMENTS and not (response.status == 400 and reason_code(response)):
            return
        if response.status != 200:
            raise_for_status(response, self._name)
        self._found.documents[document_hash] = check_document(document_hash, response.body, self._name)
