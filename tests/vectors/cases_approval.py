"""Cases for approval.json: what is beside a document, and whether somebody who knows an earlier one may follow it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.core.approving import ONE, SCREEN, THREE, TWO, ScreenKey, SoftKey, approvers
from tests.core.samples import ALICE, BOB, SEQ
from walletcli.core.approval import Subject
from walletcli.core.approvals import DocumentApprovals, Step, approvals_for
from walletcli.core.document import Document

FIRST = Document(ALICE.public_key, SEQ, approvers=approvers(ONE))
SAME = Document(ALICE.public_key, SEQ + 1, FIRST.hash, approvers=approvers(ONE), profile={"name": "Ada"})
HANDED_OVER = Document(ALICE.public_key, SEQ + 2, SAME.hash, approvers=approvers(TWO))
AFTER = Document(ALICE.public_key, SEQ + 3, HANDED_OVER.hash, approvers=approvers(TWO))
LIFTED = Document(ALICE.public_key, SEQ + 4, AFTER.hash)
FREE = Document(ALICE.public_key, SEQ + 5, LIFTED.hash, profile={"name": "Ada"})
BOTH = Document(ALICE.public_key, SEQ, approvers=approvers(ONE, TWO, threshold=2))
SHOWN = Document(ALICE.public_key, SEQ, approvers=approvers(SCREEN))
MIXED = Document(ALICE.public_key, SEQ, approvers=approvers(ONE, SCREEN, threshold=2))
TOUCH = Document(ALICE.public_key, SEQ, approvers=approvers(THREE))


def _beside(document: Document, *keys: SoftKey | ScreenKey, steps: tuple[Step, ...] = ()) -> DocumentApprovals:
    approvals = tuple(sorted((key.approve(document) for key in keys), key=lambda item: item.public_key))
    return DocumentApprovals(approvals, steps)


def _chain() -> dict[int, DocumentApprovals | None]:
    found: dict[int, DocumentApprovals | None] = {FIRST.seq: None}
    before = FIRST
    for document, keys in ((SAME, (ONE,)), (HANDED_OVER, (ONE,)), (AFTER, (TWO,)), (LIFTED, (TWO,)), (FREE, ())):
        made = tuple(key.approve(document) for key in keys)
        found[document.seq] = approvals_for(before, found[before.seq], document, made)
        before = document
    return found


CHAIN = _chain()


def _follows() -> Iterator[tuple[str, Document, Document, DocumentApprovals | None]]:
    yield "no approvers are known", replace(FIRST, approvers=None), SAME, None
    yield "the same document", FIRST, FIRST, None
    yield "approved by EdDSA", FIRST, SAME, _beside(SAME, ONE)
    yield "approved by ES256", AFTER, LIFTED, _beside(LIFTED, TWO)
    yield "approved by both of two", BOTH, SAME, _beside(SAME, ONE, TWO)
    yield "approved by one more than is needed", FIRST, SAME, _beside(SAME, ONE, TWO)
    yield "a touch without a PIN where that is enough", TOUCH, SAME, DocumentApprovals((THREE.approve(SAME, flags=1),))
    yield "a change of approvers, approved by those of before", FIRST, HANDED_OVER, CHAIN[HANDED_OVER.seq]
    yield "over a step", FIRST, AFTER, CHAIN[AFTER.seq]
    yield "over two steps", FIRST, LIFTED, CHAIN[LIFTED.seq]
    yield "over the step that ended it", FIRST, FREE, CHAIN[FREE.seq]
    yield "from between two steps", AFTER, FREE, CHAIN[FREE.seq]
    yield "approved by a signed text", SHOWN, SAME, _beside(SAME, SCREEN)
    yield "approved by an assertion and a signed text", MIXED, SAME, _beside(SAME, ONE, SCREEN)
    yield "flags of backup do not matter", FIRST, SAME, DocumentApprovals((ONE.approve(SAME, flags=0x1D),))


def _refused() -> Iterator[tuple[str, Document, Document, DocumentApprovals | None]]:
    def one(**changes: object) -> DocumentApprovals:
        return DocumentApprovals((ONE.approve(SAME, **changes),))  # type: ignore[arg-type]

    asserting = SoftKey("screen", seed="screen screen")
    yield "a signed text of another document", SHOWN, SAME, _beside(AFTER, SCREEN)
    yield "a signed text where an assertion is wanted", FIRST, SAME, _beside(SAME, ScreenKey("one", "approver one"))
    yield "an assertion where a signed text is wanted", SHOWN, SAME, _beside(SAME, asserting)
    yield "a signed text alone of two", MIXED, SAME, _beside(SAME, SCREEN)
    rehearsed = SCREEN.sign_text(Subject.rehearsal(SAME.identity, SAME.hash).text)
    yield "a rehearsal of a signed text", SHOWN, SAME, DocumentApprovals((rehearsed,))
    step = Step(HANDED_OVER, (ONE.approve(HANDED_OVER),))
    yield "nothing is beside it", FIRST, SAME, None
    yield "no approvals are beside it", FIRST, SAME, DocumentApprovals(())
    yield "approved by another key", FIRST, SAME, _beside(SAME, TWO)
    yield "approved as another document", FIRST, SAME, _beside(HANDED_OVER, ONE)
    yield "approved as an export", FIRST, SAME, one(kind=2)
    yield "approved for another identity", FIRST, SAME, one(identity=BOB.public_key)
    yield "for another relying party", FIRST, SAME, one(party=bytes(32))
    yield "not touched", FIRST, SAME, one(flags=0x04)
    yield "no PIN where it is needed", FIRST, SAME, one(flags=0x01)
    yield "one of two", BOTH, SAME, _beside(SAME, ONE)
    yield "removed by the root alone", FIRST, replace(SAME, approvers=None), None
    yield "other approvers, approved by themselves", FIRST, HANDED_OVER, _beside(HANDED_OVER, TWO)
    yield "over a step that is missing", FIRST, AFTER, _beside(AFTER, TWO)
    yield "over a step that is not approved", FIRST, AFTER, _beside(AFTER, TWO, steps=(Step(HANDED_OVER, ()),))
    yield "over a step of before", replace(FIRST, seq=SEQ + 2), AFTER, _beside(AFTER, TWO, steps=(step,))
    early = replace(AFTER, seq=SEQ + 1)
    yield "over a step of later", FIRST, early, _beside(early, TWO, steps=(step,))
    his = replace(HANDED_OVER, identity=BOB.public_key)
    yield "over a step of another identity", FIRST, AFTER, _beside(AFTER, TWO, steps=(Step(his, (ONE.approve(his),)),))


def _case(title: str, known: Document, document: Document, beside: DocumentApprovals | None) -> dict[str, object]:
    return {
        "name": title,
        "known": known.to_bare_bytes().hex(),
        "document": document.to_bare_bytes().hex(),
        "beside": beside.to_bytes().hex() if beside is not None else None,
    }


def make() -> dict[str, object]:
    """Return the content of approval.json."""
    return {
        "spec": "docs/spec/approval.md, Following",
        "source": "ours, made by tests/vectors/make_vectors.py",
        "note": "documents are without their padding; known: the newest that the verifier has followed",
        "valid": [_case(*case) for case in _follows()],
        "invalid": [{**_case(*case), "error": "approval.missing"} for case in _refused()],
    }
