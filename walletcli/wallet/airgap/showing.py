"""Looks at a request file, and has the root sign what its owner approved.

Spec: docs/spec/request.md, "On the cold side".
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from walletcli.core.request_file import MAX_FILE_BYTES, RequestFile, digest_words
from walletcli.core.response import MAGIC as RESPONSE_MAGIC
from walletcli.errors import FormatError, SignerError, UsageError
from walletcli.wallet.access.session import Session
from walletcli.wallet.airgap.review import Review
from walletcli.wallet.approvers.at_root import approve_here
from walletcli.wallet.files import read_file, refuse_existing, write_file


def review_file(session: Session, path: str) -> Review:
    """Say what a request file would do.

    Args:
        session: the open wallet; without root keys the request is only read.
        path: of the file.

    Raises:
        InputError: ``file.*``.
        FormatError: ``request.is-response`` for an answer, ``request.file``, ``request.malformed`` and others of
            docs/spec/request.md.
        VerificationError: ``signature.invalid``, ``request.record``.
    """
    data = read_file(path, MAX_FILE_BYTES)
    if data.startswith(RESPONSE_MAGIC):
        raise FormatError(
            "request.is-response",
            f"{path} is the answer to a request, not a request",
            "take it to the machine that asked: walletcli request apply FILE",
        )
    request = RequestFile.from_bytes(data)
    return Review.from_row(request, session.review_request(request.to_bytes()))


def check_digest(review: Review, given: str) -> None:
    """Check that a digest that somebody typed is the request's.

    Args:
        review: of the request.
        given: 64 hexadecimal digits, or the 8 words.

    Raises:
        SignerError: ``request.digest``.
    """
    text = given.lower().replace("-", " ").split()
    digest = review.request.digest
    if text not in ([digest.hex()], list(digest_words(digest))):
        raise SignerError(
            "request.digest",
            "the request is not the one whose digest was given",
            "look at it with `walletcli request show FILE`, and compare both machines",
        )


@dataclass(frozen=True, slots=True)
class Approved:
    """What was approved.

    Attributes:
        review: what it does.
        items: numbers of the approved items.
        path: of the response file.
    """

    review: Review
    items: tuple[int, ...]
    path: str

    def to_json(self) -> dict[str, object]:
        """Return the request, the approved items, and where the response is."""
        return {"request": self.review.to_json(), "approved": list(self.items), "response": self.path}


def approve_request(
    session: Session,
    review: Review,
    items: Sequence[int],
    accepted: Sequence[str],
    path: str,
    *,
    is_patient: bool = True,
) -> Approved:
    """Have the root sign items of a request, and write the response.

    Args:
        session: a wallet that was opened in this process.
        review: of the request, which its owner has seen.
        items: numbers of the approved items.
        accepted: names of the alarms that its owner accepts.
        path: of the new response file.
        is_patient: whether further keys of approvers are waited for, once one has approved here.

    Raises:
        UsageError: ``request.declined`` if no item was approved.
        InputError: ``file.exists``, ``request.item``.
        SignerError: ``request.*``, ``statement.*``, ``wallet.watch-only``.
        VerificationError: ``request.expired``.
        StorageError: ``storage.*``; what was signed by then is signed, and approving again gives the same response.
    """
    refuse_existing(path)
    if not items:
        raise UsageError("request.declined", "no item was approved: nothing was signed", "approve at least one")
    request = review.request
    approve_here(session, request, items, is_patient=is_patient)
    data = session.approve_request(request.to_bytes(), request.digest, tuple(items), tuple(accepted))
    write_file(path, data, replace=False)
    return Approved(review, tuple(sorted(items)), os.path.abspath(path))
