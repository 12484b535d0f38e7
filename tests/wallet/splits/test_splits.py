"""Two wallets from the same words sign two states with one seq: everybody stays, it is proven, and it is healed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.wallet.contacts.people import Owner, make_owner
from tests.wallet.parts import WORDS, HonestRelay, make_home, opened, restored_home
from walletcli.client.resolution import FreshnessCheck, Outcome
from walletcli.core.bip39 import Mnemonic
from walletcli.core.document import Document
from walletcli.core.equivocation import EquivocationProof, Side, content_hash
from walletcli.core.identity_id import IdentityId
from walletcli.core.keys import KeyTree, Scheme
from walletcli.core.packet import SignedPacket
from walletcli.core.record import Record, packet_value
from walletcli.errors import InputError, WalletError
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.adding import add_contact, introduction_from
from walletcli.wallet.contacts.contact import Standing
from walletcli.wallet.contacts.refreshing import refresh_contacts
from walletcli.wallet.identities import create_identity, retire_identity, set_attribute
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.relays import add_relay
from walletcli.wallet.resolve import Resolved, resolve_identity
from walletcli.wallet.sealed.sync import sync_identity
from walletcli.wallet.splits.own import own_splits
from walletcli.wallet.splits.proving import prove_from_files, prove_split, verify_split_proof
from walletcli.wallet.state import draft, kept_splits
from walletcli.wallet.state.changes import HealSplits, KeepSplits

Relays = Callable[[], HonestRelay]


@dataclass
class Twins:
    """Two open wallets with the same words, and a relay for each."""

    one: Session
    other: Session
    left: HonestRelay
    right: HonestRelay
    path: Path
    monkeypatch: pytest.MonkeyPatch

    @property
    def key(self) -> bytes:
        return self.one.snapshot().wallet.by_index(0).public_key

    @property
    def did(self) -> str:
        return IdentityId(self.key).did

    @property
    def urls(self) -> list[str]:
        return [self.left.url, self.right.url]

    def split(self, name: str = "Eve") -> int:
        """Have both wallets sign with one seq; return it."""
        seq = publish_identity(self.one, "alice", [self.left.url]).seq
        create_identity(self.other, "alice")
        set_attribute(self.other, "alice", "name", name)
        self.sign_with(self.other, seq, [self.right.url])
        return seq

    def sign_with(self, session: Session, seq: int, relays: list[str]) -> None:
        with self.monkeypatch.context() as patched:
            patched.setattr(draft, "next_seq", lambda *_: seq)
            publish_identity(session, "alice", relays)

    def file(self, name: str) -> str:
        return str(self.path / name)

    def prove(self, name: str = "alice.proof") -> str:
        prove_split(self.did, None, self.urls, out=self.file(name))
        return self.file(name)

    def heal(self) -> Record:
        return publish_identity(self.one, "alice", [self.left.url], heal=[self.prove()]).record


@pytest.fixture
def twins(tmp_path: Path, relays: Relays, monkeypatch: pytest.MonkeyPatch) -> Iterator[Twins]:
    one, other = (make_home(tmp_path / name, WORDS) for name in ("one", "other"))
    with opened(one) as first, opened(other) as second:
        create_identity(first, "alice")
        yield Twins(first, second, relays(), relays(), tmp_path, monkeypatch)


def document_of(record: Record) -> Document:
    assert record.document is not None
    return record.document


def look(session: Session | None, twins: Twins, *relays: HonestRelay) -> Resolved:
    home = twins.one.home
    return resolve_identity(twins.did, session, [relay.url for relay in relays], home=home)


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(WalletError) as raised:
        act()
    return raised.value.code


# --- everybody stays


def test_a_newcomer_takes_neither_side_and_keeps_the_proof(twins: Twins, session: Session) -> None:
    seq = twins.split()
    assert refused(lambda: look(session, twins, twins.left, twins.right)) == "record.equivocation"
    (kept,) = session.snapshot().wallet.splits
    assert (kept.identity, kept.opened.seq) == (twins.key, seq)
    assert all(side.document is not None for side in kept.opened.sides)


def test_who_followed_one_side_stays_there_though_the_other_is_shown(twins: Twins, session: Session) -> None:
    twins.split()
    first = look(session, twins, twins.left)
    then = look(session, twins, twins.left, twins.right)
    assert then.resolution.record == first.resolution.record
    assert then.resolution.freshness is FreshnessCheck.NEWEST_KNOWN
    assert len(then.resolution.open_splits) == 1


def test_a_split_stays_open_when_the_liar_stops_lying(twins: Twins, session: Session) -> None:
    twins.split()
    assert refused(lambda: look(session, twins, twins.left, twins.right)) == "record.equivocation"
    for relay in (twins.left, twins.right):
        assert refused(lambda relay=relay: look(session, twins, relay)) == "record.equivocation"


def test_a_later_state_of_one_side_is_not_followed(twins: Twins, session: Session) -> None:
    twins.split()
    before = look(session, twins, twins.left).resolution.record
    look(session, twins, twins.left, twins.right)
    set_attribute(twins.other, "alice", "name", "Eve again")
    publish_identity(twins.other, "alice", [twins.right.url])
    after = look(session, twins, twins.right).resolution
    assert after.record == before
    assert after.sources[0].outcome is Outcome.SPLIT


def test_without_memory_a_later_state_is_followed_where_no_split_shows(twins: Twins) -> None:
    twins.split()
    set_attribute(twins.other, "alice", "name", "Eve again")
    publish_identity(twins.other, "alice", [twins.right.url])
    assert document_of(look(None, twins, twins.right).resolution.record).profile == {"name": "Eve again"}


def test_one_state_at_two_relays_is_no_split(twins: Twins, session: Session) -> None:
    publish_identity(twins.one, "alice", twins.urls)
    assert look(session, twins, twins.left, twins.right).resolution.splits == ()
    assert refused(lambda: prove_split(twins.did, session, twins.urls)) == "equivocation.none"
    assert session.snapshot().wallet.splits == ()


# --- the proof


def test_the_proof_verifies_offline_and_says_what_both_states_say(twins: Twins) -> None:
    seq = twins.split("Eve")
    checked = verify_split_proof(twins.prove())
    assert (checked.did, checked.proof.seq) == (twins.did, seq)
    profiles = [side.readable.profile for side in checked.proof.sides if side.readable is not None]
    assert sorted(map(str, profiles)) == sorted(map(str, [{}, {"name": "Eve"}]))


def test_a_changed_proof_is_refused(twins: Twins) -> None:
    twins.split()
    path = Path(twins.prove())
    data = bytearray(path.read_bytes())
    for at in range(0, len(data), 17):
        data[at] ^= 1 << at % 8
        path.write_bytes(bytes(data))
        with pytest.raises(WalletError):
            verify_split_proof(str(path))
        data[at] ^= 1 << at % 8


def test_what_is_remembered_proves_it_when_nobody_shows_it_any_more(twins: Twins, session: Session) -> None:
    twins.split()
    refused(lambda: look(session, twins, twins.left, twins.right))
    proven = prove_split(twins.did, session, out=twins.file("kept.proof"), offline=True)
    assert proven.files == (twins.file("kept.proof"),)
    assert verify_split_proof(proven.files[0]).proof == proven.proofs[0]


def test_two_record_files_prove_a_split(twins: Twins) -> None:
    twins.split()
    for name, relay in (("left", twins.left), ("right", twins.right)):
        (twins.path / name).write_bytes(relay.record(twins.key).to_bytes())
    proven = prove_from_files([twins.file("left"), twins.file("right")], twins.file("out"))
    assert Path(twins.file("out")).read_bytes() == Path(twins.prove()).read_bytes() == proven.proofs[0].to_bytes()
    assert refused(lambda: prove_from_files([twins.file("left")] * 2)) == "equivocation.none"


def test_a_file_that_is_there_is_not_written_over(twins: Twins) -> None:
    twins.split()
    path = Path(twins.prove())
    before = path.read_bytes()
    assert refused(lambda: prove_split(twins.did, None, twins.urls, out=str(path))) == "file.exists"
    assert path.read_bytes() == before


def test_each_further_side_gets_a_file_of_its_own(twins: Twins, relays: Relays) -> None:
    seq, third = twins.split(), relays()
    home = make_home(twins.path / "third", WORDS)
    with opened(home) as session:
        create_identity(session, "alice")
        set_attribute(session, "alice", "name", "Mallory")
        twins.sign_with(session, seq, [third.url])
    proven = prove_split(twins.did, None, [*twins.urls, third.url], out=twins.file("s.proof"))
    assert proven.files == (twins.file("s.proof"), twins.file("s-2.proof"))
    named = {half for file in proven.files for half in verify_split_proof(file).proof.pair}
    assert named == {content_hash(relay.record(twins.key).packet) for relay in (twins.left, twins.right, third)}


# --- the owner


def test_the_owner_signs_nothing_that_leaves_it_open(twins: Twins) -> None:
    twins.split()
    set_attribute(twins.one, "alice", "name", "Alice")
    assert refused(lambda: publish_identity(twins.one, "alice", twins.urls)) == "publish.split"
    (split,) = own_splits(twins.one.snapshot().wallet)
    assert not split.is_decided
    assert refused(lambda: publish_identity(twins.one, "alice", [twins.left.url])) == "publish.split"
    retire_identity(twins.one, "alice")
    assert refused(lambda: publish_identity(twins.one, "alice", [twins.left.url])) == "publish.split"


def test_the_owner_who_only_stores_again_meets_the_other_side_and_keeps_the_proof(twins: Twins) -> None:
    twins.split()
    assert refused(lambda: publish_identity(twins.one, "alice", [twins.right.url])) == "record.equivocation"
    assert len(own_splits(twins.one.snapshot().wallet)) == 1


def test_a_synchronization_says_that_the_identity_is_split(twins: Twins) -> None:
    twins.split()
    for url in twins.urls:
        add_relay(twins.one.home, url)
    report = sync_identity(twins.one, "alice")
    assert [error.code for _, error in report.errors] == ["publish.split"]


def test_a_healing_record_is_followed_by_who_saw_the_split_and_by_newcomers(twins: Twins, session: Session) -> None:
    twins.split()
    look(session, twins, twins.left)
    look(session, twins, twins.left, twins.right)
    healed = twins.heal()
    assert own_splits(twins.one.snapshot().wallet) == ()
    followed = look(session, twins, twins.left, twins.right).resolution
    assert followed.record == healed
    assert followed.open_splits == ()
    assert look(None, twins, twins.left, twins.right).resolution.record == healed


def test_the_other_wallet_of_the_owner_goes_on_from_the_healing_record(twins: Twins, session: Session) -> None:
    twins.split()
    refused(lambda: look(session, twins, twins.left, twins.right))
    healed = twins.heal()
    twins.other.apply(KeepSplits((Path(twins.file("alice.proof")).read_bytes(),)))
    set_attribute(twins.other, "alice", "name", "Alice")
    again = publish_identity(twins.other, "alice", twins.urls, on_top=True).record
    assert document_of(again).previous == document_of(healed).hash
    assert own_splits(twins.other.snapshot().wallet) == ()
    assert look(session, twins, twins.left, twins.right).resolution.record == again


def test_later_records_go_on_naming_what_was_healed(twins: Twins, session: Session) -> None:
    twins.split()
    refused(lambda: look(session, twins, twins.left, twins.right))
    pair = document_of(twins.heal()).healed
    set_attribute(twins.one, "alice", "name", "Alice")
    later = publish_identity(twins.one, "alice", [twins.left.url]).record
    assert document_of(later).healed == pair
    assert look(session, twins, twins.left, twins.right).resolution.record == later


def test_a_third_side_after_a_heal_opens_it_for_newcomers_until_it_is_named_too(twins: Twins, relays: Relays) -> None:
    seq, third = twins.split(), relays()
    healed = twins.heal()
    home = make_home(twins.path / "third", WORDS)
    with opened(home) as session:
        create_identity(session, "alice")
        set_attribute(session, "alice", "name", "Mallory")
        twins.sign_with(session, seq, [third.url])
    every = (twins.left, twins.right, third)
    assert refused(lambda: look(None, twins, *every)) == "record.equivocation"
    assert look(None, twins, twins.left, twins.right).resolution.record == healed
    out = twins.file("more.proof")
    files = prove_split(twins.did, None, [twins.right.url, third.url], out=out).files
    again = publish_identity(twins.one, "alice", [twins.left.url], heal=list(files)).record
    assert look(None, twins, *every).resolution.record == again


def test_healing_goes_above_what_somebody_has_signed_on_one_side(twins: Twins, session: Session) -> None:
    twins.split()
    look(session, twins, twins.left)
    look(session, twins, twins.left, twins.right)
    proof = twins.prove()
    set_attribute(twins.other, "alice", "name", "Eve again")
    later = publish_identity(twins.other, "alice", [twins.right.url])
    healed = publish_identity(twins.one, "alice", twins.urls, heal=[proof]).record
    assert healed.packet.seq > later.seq
    assert look(session, twins, twins.left, twins.right).resolution.record == healed


def test_a_document_that_names_one_side_only_heals_nothing(twins: Twins, session: Session) -> None:
    twins.split()
    before = look(session, twins, twins.left).resolution.record
    look(session, twins, twins.left, twins.right)
    proof = EquivocationProof.from_bytes(Path(twins.prove()).read_bytes())
    view = twins.other.snapshot().wallet.by_index(0)
    half = (bytes(32), proof.pair[0])
    with twins.monkeypatch.context() as patched:
        patched.setattr(kept_splits, "still_to_heal", lambda *_: ())
        patched.setattr(draft, "healed_by", lambda document, _: _with_healed(document, half))
        set_attribute(twins.other, view.label, "name", "half")
        publish_identity(twins.other, view.label, [twins.right.url])
    assert look(session, twins, twins.right).resolution.record == before


def _with_healed(document: Document, pair: tuple[bytes, bytes]) -> Document:
    return replace(document, healed=(pair,))


def test_an_identity_that_is_given_up_ends_for_those_who_saw_the_split_too(twins: Twins, session: Session) -> None:
    twins.split()
    look(session, twins, twins.left)
    look(session, twins, twins.left, twins.right)
    retire_identity(twins.one, "alice", "key compromised")
    ended = twins.heal()
    assert document_of(ended).retirement is not None
    assert look(session, twins, twins.left, twins.right).resolution.record == ended


def test_an_identity_that_is_split_again_and_again_can_be_ended(twins: Twins) -> None:
    seq = publish_identity(twins.one, "alice", [twins.left.url]).seq
    root = KeyTree(Mnemonic.parse(WORDS).seed(None), Scheme.WALLETCLI).root(0)

    def forged(at: int, name: str) -> Side:
        document = Document(twins.key, at, profile={"name": name})
        return Side(SignedPacket.sign(root, at, packet_value(document)))

    proofs = [EquivocationProof.of(forged(seq - n, "one"), forged(seq - n, "other")).to_bytes() for n in range(1, 10)]
    twins.one.apply(HealSplits(0, tuple(proofs[:8])))
    twins.one.apply(KeepSplits((proofs[8],)))
    assert refused(lambda: twins.one.apply(HealSplits(0, (proofs[8],)))) == "heal.too-many"
    assert refused(lambda: publish_identity(twins.one, "alice", [twins.left.url])) == "publish.split"
    retire_identity(twins.one, "alice", "key compromised")
    ended = document_of(publish_identity(twins.one, "alice", [twins.left.url]).record)
    assert ended.retirement is not None
    assert len(ended.healed) == 8


def restored(twins: Twins) -> Session:
    """Return an open wallet of the same words that remembers nothing."""
    session = opened(restored_home(twins.path / "restored", WORDS))
    create_identity(session, "alice")
    return session


def test_a_restored_wallet_goes_on_from_the_side_that_its_owner_names(twins: Twins, session: Session) -> None:
    twins.split()
    refused(lambda: look(session, twins, twins.left, twins.right))
    proof = twins.prove()
    right = content_hash(twins.right.record(twins.key).packet).hex()
    with restored(twins) as wallet:
        assert refused(lambda: publish_identity(wallet, "alice", twins.urls)) == "publish.split"
        healed = publish_identity(wallet, "alice", twins.urls, heal=[proof], side=right[:8]).record
    assert document_of(healed).profile == {"name": "Eve"}
    assert look(session, twins, twins.left, twins.right).resolution.record == healed


@pytest.mark.parametrize("side", ["", "63d1", "zzzzzzzz", "00000000"])
def test_a_side_that_is_none_is_refused(twins: Twins, side: str) -> None:
    twins.split()
    proof = twins.prove()
    with restored(twins) as wallet:
        assert refused(lambda: publish_identity(wallet, "alice", twins.urls, heal=[proof], side=side)) == "heal.side"


def test_a_wallet_that_has_signed_one_side_does_not_go_on_from_the_other(twins: Twins) -> None:
    twins.split()
    proof = twins.prove()
    right = content_hash(twins.right.record(twins.key).packet).hex()
    assert refused(lambda: publish_identity(twins.one, "alice", twins.urls, heal=[proof], side=right)) == "heal.side"


def test_a_side_whose_document_is_not_in_the_proof_is_no_base(twins: Twins) -> None:
    twins.split()
    bare = EquivocationProof.from_bytes(Path(twins.prove()).read_bytes()).bare()
    path = twins.path / "bare.proof"
    path.write_bytes(bare.to_bytes())
    side = bare.pair[0].hex()
    with restored(twins) as wallet:
        assert (
            refused(lambda: publish_identity(wallet, "alice", twins.urls, heal=[str(path)], side=side)) == "heal.side"
        )


def test_only_the_owner_heals(twins: Twins, session: Session) -> None:
    twins.split()
    proof = twins.prove()
    create_identity(session, "alice")
    assert refused(lambda: publish_identity(session, "alice", [twins.left.url], heal=[proof])) == "heal.identity"
    with pytest.raises(InputError):
        publish_identity(session, "nobody", [twins.left.url], heal=[proof])


# --- contacts


def test_a_contact_that_is_split_is_shown_as_such_until_it_is_healed(
    twins: Twins, session: Session, relays: Relays
) -> None:
    owner = _owner_who_knows(session, relays, twins)

    def news() -> list[str]:
        return [item.kind for item in refresh_contacts(session, owner.label, relays=twins.urls).news]

    proof = twins.prove()
    (told,) = refresh_contacts(session, owner.label, relays=twins.urls).news
    assert told.kind == "split"
    assert f"walletcli record prove {twins.did} --out" in told.text
    del twins.right.shelf.packets[twins.key]
    assert news() == []
    assert _standing(owner, twins) is Standing.SPLIT
    publish_identity(twins.one, "alice", [twins.left.url], heal=[proof])
    assert news() == ["in use"]
    assert news() == []


def _owner_who_knows(session: Session, relays: Relays, twins: Twins) -> Owner:
    owner = make_owner(session, relays(), "bob")
    twins.split()
    add_contact(session, owner.inquiry(twins.left.url), introduction_from(twins.did.encode()), "Alice")
    return owner


def _standing(owner: Owner, twins: Twins) -> Standing:
    found = owner.contact(twins.did).sighting
    assert found is not None
    return found.standing
