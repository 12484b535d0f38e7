"""What a wallet keeps and says to itself: the vault's header, the state inside, the agent's requests and answers."""

from __future__ import annotations

from dataclasses import replace

from tests.core import samples
from tests.fuzz.target import Target, fixed_entropy
from tests.vectors.cases_ssh_security_keys import sk_key
from walletcli.core import x25519
from walletcli.core.ed25519 import SigningKey
from walletcli.core.secret import Secret
from walletcli.core.wallet_index import CONTENT_BYTES
from walletcli.errors import InputError, WalletError
from walletcli.vault.header import Header
from walletcli.vault.padding import SMALLEST_STEP_BYTES
from walletcli.vault.slots import FactorRecord, Slot
from walletcli.wallet.access import messages, wire
from walletcli.wallet.recovery.drill_log import DrillLog, Mark
from walletcli.wallet.recovery.index_found import IndexFound
from walletcli.wallet.recovery.journal import Entry, FormerDevice, Item, Journal, Missing
from walletcli.wallet.recovery.plan import Plan
from walletcli.wallet.state import changes
from walletcli.wallet.state.approvers import ApproverPlan, Credential
from walletcli.wallet.state.kept_splits import Healing, KeptSplit
from walletcli.wallet.state.ssh_credentials import SshCredential
from walletcli.wallet.state.view import IdentityView, Retired, Stored
from walletcli.wallet.state.wallet_state import DeviceSecrets, WalletState
from walletcli.wallet.state.wallet_view import Seen, WalletView


def check_vault_header(data: bytes) -> bool:
    """One encoding per header."""
    try:
        header, end = Header.from_bytes(data)
    except WalletError:
        return False
    assert header.to_bytes() == data[:end]
    return True


def check_wallet_state(data: bytes) -> bool:
    """One encoding per state."""
    try:
        state = WalletState.from_bytes(data)
    except WalletError:
        return False
    assert state.to_bytes() == data
    return True


def check_agent_request(data: bytes) -> bool:
    """One encoding per request."""
    try:
        request = messages.decode_request(data)
    except WalletError:
        return False
    assert messages.encode_request(request) == data
    return True


def check_agent_answer(data: bytes) -> bool:
    """An answer is a value, or one of our errors."""
    try:
        value = wire.decode_answer(data)
    except WalletError:
        return False
    assert wire.encode_answer(value) == data
    return True


def check_recovery_journal(data: bytes) -> bool:
    """One encoding per journal."""
    try:
        journal = Journal.from_bytes(data)
    except WalletError:
        return False
    assert journal.to_bytes() == data
    return True


def check_drill_log(data: bytes) -> bool:
    """One encoding per log."""
    try:
        log = DrillLog.from_bytes(data)
    except WalletError:
        return False
    assert log.to_bytes() == data
    return True


def drill_logs() -> list[bytes]:
    """Return the log of a drill that found something, and of one that passed."""
    entropy = fixed_entropy("drill")
    marks = tuple(Mark(index, entropy(16), entropy(16), entropy(16), entropy(16), index) for index in (0, 3))
    return [DrillLog(1_700_000_000, 2).to_bytes(), DrillLog(1_700_000_100, 1, 1_700_000_000, marks).to_bytes()]


def recovery_journals() -> list[bytes]:
    """Return the journal of a restore that begins, and of one that has found something and missed something."""
    entropy = fixed_entropy("journal")
    items = (Item("record", "", "https://a.example", None, 7), Item("contacts", "", "/kit", 20, 3, 20_000))
    missing = (Missing("provider", "did:key:x", "https://b.example", "host.unreachable", "it does not answer"),)
    devices = (FormerDevice(entropy(32), 20_090, False), FormerDevice(entropy(32), 20_090, True))
    entries = [
        Entry(0, ("https://a.example",), "", devices, True, items),
        Entry(4, (), "record.pending", (), False, (), missing, ("record.pending", "wait")),
    ]
    plan = Plan(("https://a.example",), 7, True, ("/kit",), 2, 60, True, True, True, 0, 7)
    index = IndexFound(("https://a.example",), 4, (1, 3), 7, 300, ("morpheus",), (0, 4))
    return [
        Journal().to_bytes(),
        Journal(plan, 24, 4, {1, 2}, {entry.index: entry for entry in entries}, list(missing), True).to_bytes(),
        Journal(plan, 301, 300, {1}, index=index).to_bytes(),
    ]


def vault_headers() -> list[bytes]:
    """Return headers with one password slot, and with four slots of which one is of a kind that nobody knows."""
    entropy = fixed_entropy("vault")
    password = FactorRecord("password", {1: 8, 2: 1, 3: entropy(16)})
    keyring = FactorRecord("keyring", {1: entropy(16)})
    later = FactorRecord("later", {1: entropy(32), 2: "name"})
    security_key = FactorRecord("fido2", {1: entropy(48), 2: entropy(32), 3: 1})
    slots = [
        Slot(number, 20_000, factors, entropy(72), entropy(80))
        for number, factors in ((1, (password,)), (2, (keyring,)), (7, (later, password)), (8, (security_key,)))
    ]
    return [
        Header(entropy(16), 1, entropy(16), entropy(24), SMALLEST_STEP_BYTES + 16, (slots[0],)).to_bytes(),
        Header(entropy(16), 9, entropy(16), entropy(24), 4 * SMALLEST_STEP_BYTES + 16, tuple(slots)).to_bytes(),
    ]


def _identity(index: int) -> IdentityView:
    entropy = fixed_entropy(f"identity {index}")
    return IdentityView(
        index=index,
        public_key=SigningKey(Secret(entropy(32))).public_key,
        path=f"m/9791'/{index}'",
        label=f"label {index}",
        created_day=20_000,
        device_signing_key=SigningKey(Secret(entropy(32))).public_key,
        device_sealing_key=x25519.public_key(Secret(entropy(32))),
        recovery_key=x25519.public_key(Secret(entropy(32))),
        recovery_generation=0,
        profile={"name": "Ada"},
        sealed_profile={"note": "x"} if index else {},
        retired=Retired(20_000, 1) if index else None,
        changed=True,
        unseen=False,
        record=b"walletcli record 1\n" if index else None,
        stored=Stored(5, ("http://127.0.0.1:1",), 20_000) if index else None,
        contacted=("http://127.0.0.1:1",),
        accepted_links=(),
    )


SSH_CREDENTIAL = SshCredential(sk_key(), True, b"credential", "blue key", True)
CREDENTIAL = Credential(b"\2" + bytes(32), b"credential", "blue key")


def wallet_states() -> list[bytes]:
    """Return the states of an empty wallet and of one with two identities and somebody else's record."""
    entropy = fixed_entropy("state")
    seen = {entropy(32): Seen(5, entropy(32), b"record"), entropy(32): Seen(6, None, None, (entropy(32), 20_000))}
    empty = WalletView("walletcli", "english", 24, entropy(16), 20_000, False, (), {})
    splits = (KeptSplit(entropy(32), b"proof"),)
    healing = replace(_identity(3), healing=(Healing(7, bytes(32), b"\1" * 32),))
    approving = replace(_identity(4), approvers=ApproverPlan(samples.approvers(2, 2)), credentials=(CREDENTIAL,))
    identities = (_identity(0), healing, approving)
    full = WalletView("mercury", "french", 12, entropy(16), 20_000, True, identities, seen, splits=splits)
    devices = {index: DeviceSecrets(Secret(entropy(32)), Secret(entropy(32))) for index in (0, 3, 4)}
    seed = Secret(entropy(64))
    watch = WalletView("walletcli", "", 0, b"", 20_000, False, (_identity(2),), {}, watch=True)
    asked = {entropy(32): devices[0]}
    named = replace(_identity(2), ssh_key=entropy(32), names_ssh_key=True, ssh_credentials=(SSH_CREDENTIAL,))
    with_ssh = replace(watch, identities=(named,))
    return [
        WalletState(seed, {}, empty).to_bytes(),
        WalletState(seed, devices, full).to_bytes(),
        WalletState(None, {2: devices[3]}, watch, {(-1, "requests"): b""}, asked).to_bytes(),
        WalletState(None, {2: devices[3]}, with_ssh, ssh={2: Secret(entropy(32))}).to_bytes(),
    ]


def _take_identity(wanted: tuple[str, tuple[tuple[str, str], ...]] | None) -> changes.TakeIdentity:
    asked = ("https://relay.example",)
    return changes.TakeIdentity(wanted, bytes(32), b"record", "walletcli", 7, bytes(32), 0, bytes(16), 20_000, asked)


def agent_requests() -> list[bytes]:
    """Return one request of most kinds."""
    requests: list[messages.Request] = [
        messages.GetView(),
        messages.DeriveSummaries(0, 20),
        messages.Sign(3, b"document", 7),
        messages.Sign(3, b"document", 7, b"beside"),
        messages.Apply(changes.SetApprovers(3, ApproverPlan(None, True), ())),
        messages.Apply(changes.SetSshCredentials(3, (SSH_CREDENTIAL,))),
        messages.Apply(changes.SetSshCredentials(3, ())),
        messages.Apply(changes.SetApprovers(3, ApproverPlan(samples.approvers(2, 1)), (CREDENTIAL,))),
        messages.Unseal(3, b"sealed", b"context"),
        messages.Apply(changes.AddIdentity("label", None, 20_000)),
        messages.Apply(changes.SetAttribute(1, "name", "value", True)),
        messages.Apply(changes.Retire(1, 20_000, 2)),
        messages.Apply(changes.TakeFound(1, 20_000, b"record", True, ("https://relay.example",))),
        messages.DeriveKeys(0, 20),
        messages.UnsealAsRoot(3, b"sealed", b"context"),
        messages.OpenShard(0, None),
        messages.OpenShard(63, b"packet"),
        messages.SignShard(1, bytes(CONTENT_BYTES), 7),
        messages.NewDevices(3),
        messages.ReviewRequest(b"request"),
        messages.ApproveRequest(b"request", bytes(32), (1, 3), ("device", "seq")),
        messages.Apply(changes.TakeSigned(3, b"record", bytes(32))),
        messages.Apply(changes.Several((_take_identity(None), changes.KeepDevices((bytes(32),))))),
        messages.Apply(changes.KeepSplits((b"proof",))),
        messages.Apply(changes.HealSplits(3, (b"proof", b"other"), 7)),
        messages.Apply(_take_identity(("work", (("phone", "1"),)))),
        messages.SignSsh(3, b"SSHSIG"),
        messages.Apply(changes.KeepSshKey(3, named=True)),
        messages.Apply(changes.KeepSshKey(3)),
        messages.Lock(),
    ]
    return [messages.encode_request(request) for request in requests]


def agent_answers() -> list[bytes]:
    """Return answers with values; answers with errors are refused inputs, and found by mutation."""
    return [wire.encode_answer(value) for value in (None, [1, "two", b"three"], {1: True})]


def agent_errors() -> list[bytes]:
    """Return answers that hold errors."""
    return [wire.encode_error(InputError("label.taken", "there is one already", "choose another"))]


def check_agent_error(data: bytes) -> bool:
    """An answer that holds an error raises one of ours, whatever family it claims."""
    try:
        wire.decode_answer(data)
    except InputError:
        return True
    except WalletError:
        return False
    return False


TARGETS = [
    Target("vault-header", check_vault_header, vault_headers, 2048),
    Target("wallet-state", check_wallet_state, wallet_states),
    Target("drill-log", check_drill_log, drill_logs),
    Target("recovery-journal", check_recovery_journal, recovery_journals, 2048),
    Target("agent-request", check_agent_request, agent_requests, 1024),
    Target("agent-answer", check_agent_answer, agent_answers, 1024),
    Target("agent-error", check_agent_error, agent_errors, 1024),
]
