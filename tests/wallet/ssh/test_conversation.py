"""Which requests an SSH agent grants: logins of the session that its connection is bound to, and files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from tests.core.samples import digest, key
from walletcli.core import ed25519
from walletcli.core.secret import Secret
from walletcli.core.ssh.agent_messages import (
    FAILURE,
    SUCCESS,
    BindSession,
    ListKeys,
    LockAgent,
    Message,
    SignData,
    UnlockAgent,
    encode,
    keys_answer,
)
from walletcli.core.ssh.encoding import string
from walletcli.core.ssh.keys import key_blob, signature_blob
from walletcli.core.ssh.signable import FileHash, Login
from walletcli.errors import VaultError, WalletError
from walletcli.wallet.ssh.conversation import Conversation, Policy, SharedLock
from walletcli.wallet.ssh.holder import IsOver, never

KEY = key("ssh")
HOST = key("host")
OTHER_HOST = key("another host")
SESSION = digest("session")
LOGIN = Login(SESSION, "git", key_blob(KEY.public_key), key_blob(HOST.public_key))
FILE = FileHash("file", "sha512", bytes(64))
PASSPHRASE = Secret(b"passphrase")


def bind(session: bytes = SESSION, host: ed25519.SigningKey = HOST, *, forwarding: bool = False) -> BindSession:
    return BindSession(key_blob(host.public_key), session, signature_blob(host.sign(session)), forwarding)


def sign(asked: Login | FileHash) -> SignData:
    return SignData(key_blob(KEY.public_key), asked.to_bytes(), 0)


class Holder:
    """Signs with `KEY` in memory."""

    key_blob = key_blob(KEY.public_key)

    def sign(self, data: bytes, is_over: IsOver = never) -> bytes:
        return signature_blob(KEY.sign(data))


@dataclass
class Talk:
    """A conversation, and why it refused what it refused."""

    policy: Policy = field(default_factory=Policy)
    lock: SharedLock = field(default_factory=SharedLock)
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._conversation = Conversation([Holder()], self.lock, self.policy, self._note)

    def _note(self, error: WalletError) -> None:
        assert error.message
        assert error.hint
        self.refused.append(error.code)

    def ask(self, message: Message | bytes) -> bytes:
        return self._conversation.answer(message if isinstance(message, bytes) else encode(message))

    def refuses(self, message: Message | bytes) -> str:
        assert self.ask(message) == FAILURE
        return self.refused[-1]


def grants(answer: bytes, asked: Login | FileHash) -> bool:
    """Tell whether an answer is the signature of what was asked for, and verify it."""
    if answer == FAILURE:
        return False
    assert answer[:1] == b"\x0e"
    assert answer[1:] == string(signature_blob(answer[-64:]))
    ed25519.verify(KEY.public_key, asked.to_bytes(), answer[-64:])
    return True


def test_it_has_one_key_without_a_comment() -> None:
    blob = key_blob(KEY.public_key)
    assert Talk().ask(ListKeys()) == b"\x0c\0\0\0\1" + string(blob) + string(b"")


@pytest.mark.parametrize("asked", [LOGIN, replace(LOGIN, host_key=None), FILE, replace(FILE, namespace="git")])
def test_a_bound_connection_is_granted_logins_and_files(asked: Login | FileHash) -> None:
    talk = Talk()
    assert talk.ask(bind()) == SUCCESS
    assert grants(talk.ask(sign(asked)), asked)
    assert grants(talk.ask(sign(asked)), asked)
    assert talk.refused == []


def test_a_connection_that_is_not_bound_is_granted_files_alone() -> None:
    talk = Talk()
    assert grants(talk.ask(sign(FILE)), FILE)
    assert talk.refuses(sign(LOGIN)) == "ssh-agent.unbound"
    assert talk.refuses(sign(replace(LOGIN, host_key=None))) == "ssh-agent.unbound"
    assert grants(talk.ask(sign(FILE)), FILE)


def test_logins_without_a_binding_are_granted_where_that_was_asked_for() -> None:
    talk = Talk(Policy(allow_unbound=True))
    assert grants(talk.ask(sign(LOGIN)), LOGIN)


@pytest.mark.parametrize(
    ("login", "code"),
    [
        (replace(LOGIN, session=digest("another session")), "ssh-agent.session"),
        (replace(LOGIN, session=digest("another session"), host_key=None), "ssh-agent.session"),
        (replace(LOGIN, session=SESSION[:20]), "ssh-agent.session"),
        (replace(LOGIN, host_key=key_blob(OTHER_HOST.public_key)), "ssh-agent.host-key"),
        (replace(LOGIN, host_key=key_blob(HOST.public_key)[:-1]), "ssh-agent.host-key"),
    ],
)
@pytest.mark.parametrize("policy", [Policy(), Policy(allow_unbound=True)])
def test_a_login_of_another_session_or_host_is_refused(login: Login, code: str, policy: Policy) -> None:
    talk = Talk(policy)
    assert talk.ask(bind()) == SUCCESS
    assert talk.refuses(sign(login)) == code
    assert grants(talk.ask(sign(LOGIN)), LOGIN)


@pytest.mark.parametrize("policy", [Policy(), Policy(allow_unbound=True)])
def test_a_forwarded_connection_is_refused_everything(policy: Policy) -> None:
    talk = Talk(policy)
    assert talk.refuses(bind(forwarding=True)) == "ssh-agent.forwarded"
    for message in (
        ListKeys(), sign(FILE), sign(LOGIN), bind(), LockAgent(PASSPHRASE), UnlockAgent(PASSPHRASE),
    ):  # fmt: skip
        assert talk.ask(message) == FAILURE
    assert set(talk.refused) == {"ssh-agent.forwarded", "ssh-agent.bound-twice"}
    assert not talk.lock.is_closed


@pytest.mark.parametrize("again", [bind(), bind(digest("another session")), bind(forwarding=True)])
def test_a_connection_is_bound_once(again: BindSession) -> None:
    talk = Talk()
    assert talk.ask(bind()) == SUCCESS
    assert talk.refuses(again) == "ssh-agent.bound-twice"
    assert talk.refuses(sign(LOGIN)) == "ssh-agent.bound-twice"
    assert talk.refuses(ListKeys()) == "ssh-agent.bound-twice"


def _flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_each_flipped_bit_of_a_hosts_signature_is_refused() -> None:
    good = bind()
    for name, start in (("signature", 4 + 11 + 4), ("session", 0), ("host_key", 4 + 11 + 4)):
        data: bytes = getattr(good, name)
        for bit in range(start * 8, len(data) * 8, 7):
            talk = Talk()
            assert talk.refuses(replace(good, **{name: _flipped(data, bit)})) == "ssh-agent.host-signature"
            assert talk.ask(sign(LOGIN)) == FAILURE


@pytest.mark.parametrize(
    "host_key",
    [
        b"x",
        string(b"ssh-dss") + string(bytes(32)),
        key_blob(HOST.public_key) + b"\0",
        string(b"ssh-rsa") + string(b"\x03") + string(b"\0" + b"\xff" * 128),
        string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(bytes(65)),
        string(b"ecdsa-sha2-nistp256") + string(b"nistp384") + string(bytes(97)),
        string(b"ssh-ed25519-cert-v01@openssh.com") + string(bytes(32)) + string(HOST.public_key),
    ],
)
def test_a_host_key_that_is_none_is_refused(host_key: bytes) -> None:
    assert Talk().refuses(replace(bind(), host_key=host_key)) == "ssh-agent.host-signature"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda m: replace(m, key_blob=key_blob(HOST.public_key)), "ssh-agent.other-key"),
        (lambda m: replace(m, key_blob=m.key_blob + b"\0"), "ssh-agent.other-key"),
        (lambda m: replace(m, flags=2), "ssh-agent.flags"),
        (lambda m: replace(m, flags=1 << 31), "ssh-agent.flags"),
        (lambda m: replace(m, data=b""), "ssh.not-signable"),
        (lambda m: replace(m, data=bytes(32)), "ssh.not-signable"),
        (lambda m: replace(m, data=b"3:seqi1e1:v4:abcd"), "ssh.not-signable"),
        (lambda m: replace(m, data=m.data + b"\0"), "ssh.not-signable"),
        (lambda m: replace(m, data=m.data[:-1]), "ssh.not-signable"),
        (lambda m: replace(m, data=replace(LOGIN, key_blob=key_blob(HOST.public_key)).to_bytes()), "ssh.other-key"),
    ],
)
def test_what_is_not_exactly_right_is_not_signed(change: Callable[[SignData], SignData], code: str) -> None:
    talk = Talk(Policy(allow_unbound=True))
    assert talk.refuses(change(sign(LOGIN))) == code


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"", "ssh-agent.malformed"),
        (b"\x0b\0", "ssh-agent.malformed"),
        (b"\x01", "ssh-agent.unknown"),
        (b"\x11" + bytes(64), "ssh-agent.unknown"),
        (b"\x12" + string(key_blob(KEY.public_key)), "ssh-agent.unknown"),
        (b"\x13", "ssh-agent.unknown"),
        (b"\x14", "ssh-agent.unknown"),
        (b"\x19" + bytes(64), "ssh-agent.unknown"),
        (b"\xff", "ssh-agent.unknown"),
        (b"\x1b" + string(b"query"), "ssh-agent.unknown"),
        (b"\x1b" + string(b"restrict-destination-v00@openssh.com"), "ssh-agent.unknown"),
        (encode(bind())[:-1], "ssh-agent.malformed"),
        (encode(bind())[:-1] + b"\x02", "ssh-agent.malformed"),
        (encode(bind()) + b"\0", "ssh-agent.malformed"),
        (encode(bind(b"short")), "ssh-agent.malformed"),
        (encode(sign(FILE))[:-1], "ssh-agent.malformed"),
        (encode(sign(FILE)) + b"\0", "ssh-agent.malformed"),
        (encode(LockAgent(Secret(b""))), "ssh-agent.malformed"),
        (encode(LockAgent(Secret(b"x" * 1025))), "ssh-agent.malformed"),
    ],
)
def test_everything_else_fails_and_changes_nothing(message: bytes, code: str) -> None:
    talk = Talk()
    assert talk.refuses(message) == code
    assert talk.ask(ListKeys()) == keys_answer((key_blob(KEY.public_key),))
    assert talk.ask(bind()) == SUCCESS
    assert grants(talk.ask(sign(LOGIN)), LOGIN)


def test_locked_it_has_no_key_and_signs_nothing_on_any_connection() -> None:
    one = Talk()
    other = Talk(lock=one.lock)
    assert one.ask(LockAgent(PASSPHRASE)) == SUCCESS
    for talk in (one, other):
        assert talk.ask(ListKeys()) == keys_answer(())
        assert talk.refuses(sign(FILE)) == "ssh-agent.locked"
        assert talk.refuses(LockAgent(Secret(b"again"))) == "ssh-agent.locked"
    assert other.refuses(UnlockAgent(Secret(b"wrong"))) == "ssh-agent.wrong-passphrase"
    assert other.ask(UnlockAgent(PASSPHRASE)) == SUCCESS
    assert grants(one.ask(sign(FILE)), FILE)


def test_what_is_not_locked_cannot_be_unlocked() -> None:
    assert Talk().refuses(UnlockAgent(PASSPHRASE)) == "ssh-agent.wrong-passphrase"


def test_the_passphrase_is_not_kept() -> None:
    talk = Talk()
    talk.ask(LockAgent(PASSPHRASE))
    kept = talk.lock._locked
    assert kept is not None
    assert PASSPHRASE.reveal() not in kept[0] + kept[1].reveal()


def test_why_the_holder_refuses_is_told_here_and_not_to_the_other_side() -> None:
    def locked(data: bytes, is_over: IsOver) -> bytes:
        raise VaultError("wallet.locked", "the wallet has been locked", "unlock it")

    talk = Talk()
    talk._conversation._holders[key_blob(KEY.public_key)].sign = locked  # type: ignore[method-assign]
    assert talk.refuses(sign(FILE)) == "wallet.locked"
