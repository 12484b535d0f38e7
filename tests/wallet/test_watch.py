"""A wallet without root keys: what it does alone, and where it stops."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wallet.parts import SLOTS, WORDS, opened, password
from walletcli.core.secret import Secret
from walletcli.errors import SignerError
from walletcli.wallet.access.session import Session
from walletcli.wallet.access.unlock import lock, unlock
from walletcli.wallet.create import create_watch_wallet
from walletcli.wallet.home import Home
from walletcli.wallet.identities import create_identity, derive_identities
from walletcli.wallet.restore import verify_backup
from walletcli.wallet.state.wallet_state import WalletState


@pytest.fixture
def watch_home(tmp_path: Path) -> Home:
    home = Home(str(tmp_path / "watch"))
    create_watch_wallet(home, SLOTS)
    return home


def refused(session: Session, label: str) -> SignerError:
    with pytest.raises(SignerError) as error:
        create_identity(session, label)
    return error.value


def test_it_has_no_seed_and_says_so(watch_home: Home) -> None:
    with opened(watch_home) as session:
        facts = session.facts()
        wallet = session.snapshot().wallet
    assert (facts.watch, wallet.watch, facts.check, facts.word_count) == (True, True, b"", 0)
    assert facts.to_json()["check"] is None


def test_its_vault_holds_no_seed(watch_home: Home) -> None:
    from walletcli.wallet.access.opening import open_vault

    assert WalletState.from_bytes(open_vault(watch_home, password).read()).seed is None


def test_no_identity_is_made_without_the_root_and_the_hint_says_how(watch_home: Home) -> None:
    with opened(watch_home) as session:
        error = refused(session, "my work")
        assert session.summaries() == []
    assert error.code == "wallet.watch-only"
    assert error.hint.startswith("walletcli request make --new 'my work' --out FILE")


def test_the_agent_of_a_watch_wallet_refuses_alike(watch_home: Home) -> None:
    unlock(watch_home, password)
    with opened(watch_home) as session:
        assert refused(session, "alice").code == "wallet.watch-only"
        assert session.facts().watch
    lock(watch_home)


def test_there_is_nothing_to_derive(watch_home: Home) -> None:
    with opened(watch_home) as session, pytest.raises(SignerError) as error:
        derive_identities(session, 2)
    assert error.value.code == "wallet.watch-only"


def test_words_are_not_asked_for_on_the_online_machine(watch_home: Home) -> None:
    with opened(watch_home) as session, pytest.raises(SignerError) as error:
        verify_backup(session, Secret.from_text(WORDS))
    assert error.value.code == "wallet.watch-only"
