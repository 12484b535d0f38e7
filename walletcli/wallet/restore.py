"""Brings a wallet back from its words, and checks words against a wallet."""

from __future__ import annotations

import hmac
from dataclasses import replace

from walletcli.core.bip39 import Mnemonic
from walletcli.core.keys import KeyTree, Scheme, scheme_seed
from walletcli.core.secret import Secret
from walletcli.errors import SignerError, UsageError, VerificationError
from walletcli.wallet.access.local_session import LocalSession
from walletcli.wallet.access.session import Session
from walletcli.wallet.create import NewSlots, first_state, make_vault, make_wallet
from walletcli.wallet.home import Home
from walletcli.wallet.recovery.journal import DRAWER, Journal
from walletcli.wallet.recovery.plan import Plan
from walletcli.wallet.state.wallet_state import WALLET_DRAWER
from walletcli.wallet.status import WalletStatus


def restore_wallet(
    home: Home,
    words: Secret,
    slots: NewSlots,
    scheme: str = Scheme.WALLETCLI.value,
    language: str | None = None,
    passphrase: Secret | None = None,
) -> WalletStatus:
    """Make a wallet from words that were in use before.

    Its identities are looked up on the network before anything is signed for them.

    Args:
        home: where; the directory is made if it is not there.
        words: the mnemonic's text.
        slots: what opens it.
        scheme: ``walletcli``, ``mercury``, ``morpheus`` or ``slip13``.
        language: of the word list, or None to recognise it.
        passphrase: BIP39's extra input, or None.

    Raises:
        InputError: ``mnemonic.*``.
        UsageError: ``scheme.unknown``, ``scheme.passphrase``.
        VaultError: ``vault.exists``, ``vault.busy``, ``keyring.*``.
        StorageError: ``home.unusable``, ``storage.*``.
    """
    mnemonic = Mnemonic.parse(words.reveal_text(), language)
    return make_wallet(home, first_state(mnemonic, passphrase, _scheme(scheme), restored=True), slots)


def begin_restore(
    home: Home,
    words: Secret,
    slots: NewSlots,
    plan: Plan,
    scheme: str = Scheme.WALLETCLI.value,
    language: str | None = None,
    passphrase: Secret | None = None,
) -> LocalSession:
    """Make a wallet from words that were in use before, in which a restore is under way.

    Args:
        home: where; the directory is made if it is not there.
        words: the mnemonic's text.
        slots: what opens it.
        plan: whom to ask for its identities; it is in the vault from the first instant on.
        scheme: ``walletcli``, ``mercury``, ``morpheus`` or ``slip13``.
        language: of the word list, or None to recognise it.
        passphrase: BIP39's extra input, or None.

    Returns:
        The wallet, open.

    Raises:
        As `restore_wallet`.
    """
    from walletcli.wallet.access.keeper import Keeper

    mnemonic = Mnemonic.parse(words.reveal_text(), language)
    state = first_state(mnemonic, passphrase, _scheme(scheme), restored=True)
    journal = {(WALLET_DRAWER, DRAWER): Journal(plan).to_bytes()}
    vault = make_vault(home, replace(state, drawers=journal), slots)
    return LocalSession(home, Keeper(vault, home.vault_path))


def require_words(session: Session) -> None:
    """Check that this wallet was made from words, before anybody types them.

    Raises:
        SignerError: ``wallet.watch-only``.
    """
    if session.facts().watch:
        raise SignerError(
            "wallet.watch-only",
            "this wallet was made without words, and words do not belong on this machine",
            "check them on the machine that holds the root keys",
        )


def verify_backup(
    session: Session, words: Secret, passphrase: Secret | None = None, language: str | None = None
) -> None:
    """Check that words (and passphrase) are those that the wallet was made from.

    Raises:
        InputError: ``mnemonic.*``.
        SignerError: ``wallet.watch-only``.
        VerificationError: ``backup.mismatch``.
    """
    require_words(session)
    facts = session.facts()
    mnemonic = Mnemonic.parse(words.reveal_text(), language)
    scheme = _scheme(facts.scheme)
    check = KeyTree(scheme_seed(scheme, mnemonic, passphrase), scheme).wallet_check()
    if not hmac.compare_digest(check, facts.check):
        hint = "compare word by word"
        if scheme is not Scheme.MERCURY:
            hint += "; and is the passphrase right, or was one used that is missing here?"
        raise VerificationError("backup.mismatch", "these words are valid, but they are not those of this wallet", hint)


def _scheme(name: str) -> Scheme:
    try:
        return Scheme(name)
    except ValueError as error:
        known = ", ".join(scheme.value for scheme in Scheme)
        raise UsageError("scheme.unknown", f"there is no scheme {name!r}", f"one of: {known}") from error
