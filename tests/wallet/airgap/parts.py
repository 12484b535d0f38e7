"""Two machines and a stick: a wallet with the root keys, an online one without, and files that go between them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.wallet.parts import SLOTS, WORDS, make_home, password, restored_home
from walletcli.core.bip39 import Mnemonic
from walletcli.core.document import Document
from walletcli.core.keys import KeyTree, Scheme
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.core.request_file import RequestFile
from walletcli.core.request_items import Item, PublishItem
from walletcli.core.response import Response, ResponseFile
from walletcli.errors import WalletError
from walletcli.signers.statements import sign_statement
from walletcli.wallet.access.local_session import LocalSession
from walletcli.wallet.access.opening import open_here
from walletcli.wallet.airgap.alarms import NAMES
from walletcli.wallet.airgap.applying import Applied, apply_response
from walletcli.wallet.airgap.making import Made, NewIdentity, Wish, make_request
from walletcli.wallet.airgap.review import Review
from walletcli.wallet.airgap.showing import review_file
from walletcli.wallet.create import create_watch_wallet
from walletcli.wallet.home import Home
from walletcli.wallet.state.view import IdentityView

TREE = KeyTree(Mnemonic.parse(WORDS).seed(None), Scheme.WALLETCLI)
"""The root keys of the cold machine."""

OTHER_WORDS = "abandon " * 11 + "about"


@dataclass
class Machines:
    """A cold machine, an online one, and the directory that stands for the stick.

    Args:
        directory: an empty directory.
    """

    directory: Path
    _names: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.cold = make_home(self.directory / "cold", WORDS)
        self.online = self.new_watch("online")

    def new_watch(self, name: str) -> Home:
        home = Home(str(self.directory / name))
        create_watch_wallet(home, SLOTS)
        return home

    def restored_cold(self, words: str = WORDS) -> Home:
        """Return another home with the words of the cold machine, or others, that remembers nothing."""
        return restored_home(self.directory / f"restored-{next(self._names)}", words)

    def path(self) -> str:
        """Return the path of a file that does not exist yet."""
        return str(self.directory / f"file-{next(self._names)}")

    def ask(self, wish: Wish | None = None, home: Home | None = None) -> Made:
        """Make a request on the online machine, without asking relays."""
        with here(home or self.online) as session:
            return make_request(session, wish or Wish(), self.path(), offline=True)

    def review(self, path: str, home: Home | None = None) -> Review:
        with here(home or self.cold) as session:
            return review_file(session, path)

    def approve(
        self,
        path: str,
        home: Home | None = None,
        *,
        items: Sequence[int] | None = None,
        accept: Sequence[str] = (),
    ) -> str:
        """Approve a request on the cold machine; return the path of the response."""
        request = RequestFile.from_bytes(Path(path).read_bytes())
        with here(home or self.cold) as session:
            data = session.approve_request(
                request.to_bytes(), request.digest, items or range(1, len(request.items) + 1), accept
            )
        out = self.path()
        Path(out).write_bytes(data)
        return out

    def apply(self, path: str, home: Home | None = None, out: str | None = None) -> Applied:
        with here(home or self.online) as session:
            return apply_response(session, path, out)

    def trip(self, wish: Wish | None = None, *, accept: Sequence[str] = (), home: Home | None = None) -> Applied:
        """Ask, approve and apply."""
        return self.apply(self.approve(self.ask(wish, home).path, accept=accept), home)

    def create(self, label: str, home: Home | None = None, **attributes: str) -> IdentityView:
        """Have an identity made in one trip."""
        self.trip(Wish(new=(NewIdentity(label, attributes),)), home=home)
        return self.view(label, home)

    def view(self, label: str, home: Home | None = None) -> IdentityView:
        with here(home or self.online) as session:
            found = [item for item in session.snapshot().wallet.identities if item.label == label]
        assert len(found) == 1, label
        return found[0]

    def tampered(self, path: str, change: Callable[[RequestFile], RequestFile]) -> str:
        """Write what a hostile online machine makes of a request."""
        request = change(RequestFile.from_bytes(Path(path).read_bytes()))
        out = self.path()
        Path(out).write_bytes(request.to_bytes())
        return out


def here(home: Home) -> LocalSession:
    """Open a wallet in this process."""
    return open_here(home, password)


def with_item(change: Callable[[PublishItem], Item], position: int = 0) -> Callable[[RequestFile], RequestFile]:
    """Return what changes one item of a request."""

    def changed(request: RequestFile) -> RequestFile:
        items = list(request.items)
        items[position] = change(items[position])  # type: ignore[arg-type]  # the tests know what they change
        return replace(request, items=tuple(items))

    return changed


def with_document(change: Callable[[Document], Document]) -> Callable[[RequestFile], RequestFile]:
    """Return what changes the document of the first item of a request."""
    return with_item(lambda item: replace(item, document=change(item.document)))


def forged(path: str, change: Callable[[Response], Response], index: int = 0) -> bytes:
    """Return a response file whose first response says something else, signed by the real root."""
    file = ResponseFile.from_bytes(Path(path).read_bytes())
    response = change(file.responses[0])
    signed = sign_statement(TREE.root(index), Response.TYP, response.to_payload())
    return ResponseFile((signed, *file.signed[1:]), (response, *file.responses[1:])).to_bytes()


def document_of(record: bytes | None) -> Document:
    assert record is not None
    document = Record.from_bytes(record).document
    assert document is not None
    return document


def refusal(action: Callable[[], object]) -> WalletError:
    """Return the error that something ends in."""
    try:
        action()
    except WalletError as error:
        return error
    raise AssertionError("nothing was refused")


ALL_ALARMS = NAMES
"""Everything that can be accepted."""


def forged_record(document: Document, index: int = 0) -> Record:
    """Sign a document with the real root, as another copy of the words would."""
    packet = SignedPacket.sign(TREE.root(index), document.seq, packet_value(document))
    return Record.verified(packet, document.to_bytes())
