"""What SSH programs and other people send: requests to the agent, what is to be signed, signatures, lists, keys."""

from __future__ import annotations

from dataclasses import replace

from tests.core.samples import key
from tests.fuzz.target import Target, fixed_entropy
from tests.vectors.cases_ssh import FILE, LOGIN, SSH, document, signed
from tests.vectors.cases_ssh_security_keys import sk_document, sk_key, sk_signed
from walletcli.core.document import Document
from walletcli.core.secret import Secret
from walletcli.core.ssh import agent_messages, allowed_signers
from walletcli.core.ssh.agent_messages import BindSession, ListKeys, LockAgent, SignData, UnlockAgent
from walletcli.core.ssh.encoding import string
from walletcli.core.ssh.keys import key_blob, key_line, signature_blob
from walletcli.core.ssh.named_keys import named_keys, naming
from walletcli.core.ssh.named_security_keys import named_security_keys, naming_security_keys
from walletcli.core.ssh.security_keys import ES256, KINDS, SkKey, SkSignature
from walletcli.core.ssh.signable import parse
from walletcli.core.ssh.sshsig import SshSignature
from walletcli.errors import WalletError
from walletcli.wallet.ssh import kept
from walletcli.wallet.ssh.foreign_keys import verify_host

SESSION = LOGIN.session
HOST = key("host")


def check_signable(data: bytes) -> bool:
    """What is signed has one encoding."""
    try:
        asked = parse(data)
    except WalletError:
        return False
    assert asked.to_bytes() == data
    return True


def check_signature(data: bytes) -> bool:
    """A signature file gives the same blob whatever its lines are."""
    try:
        signature = SshSignature.from_file(data)
    except WalletError:
        return False
    assert SshSignature.from_blob(signature.to_blob()) == signature
    assert SshSignature.from_file(signature.to_text().encode()) == signature
    return True


def check_message(data: bytes) -> bool:
    """A request has one encoding."""
    try:
        message = agent_messages.decode(data)
    except WalletError:
        return False
    assert agent_messages.encode(message) == data
    return True


def check_list(data: bytes) -> bool:
    """A list is read, and asked, without ado."""
    try:
        signers = allowed_signers.parse(data)
    except WalletError:
        return False
    now = allowed_signers.Now("20240229120000", "20240229140000")
    for signer in signers:
        signer.allows(signer.key_blob, "ada", "file", now)
    return True


def check_named(data: bytes) -> bool:
    """Keys that a document names are named again the same way."""
    try:
        found = Document.from_bare_bytes(data)
        keys = named_keys(found)
    except WalletError:
        return False
    assert naming(found.extensions, keys) == found.extensions
    return True


def check_named_security(data: bytes) -> bool:
    """Keys on security keys that a document names are named again the same way."""
    try:
        found = Document.from_bare_bytes(data)
        keys = named_security_keys(found)
    except WalletError:
        return False
    assert naming_security_keys(found.extensions, keys) == found.extensions
    return True


def check_security_key(data: bytes) -> bool:
    """A security key's key and signature have one encoding each, and are verified or refused with one of our errors."""
    length = int.from_bytes(data[:2], "big")
    try:
        public_key, made = SkKey.from_blob(data[2 : 2 + length]), SkSignature.from_blob(data[2 + length :])
    except WalletError:
        return False
    assert public_key.to_blob() == data[2 : 2 + length]
    assert made.to_blob() == data[2 + length :]
    try:
        made.check(public_key, FILE.to_bytes())
    except WalletError:
        return False
    return True


def security_keys() -> list[bytes]:
    """Return keys of both kinds, each with a signature."""
    made = [sk_signed(), sk_signed(ES256), sk_signed(flags=1, application="ssh:work")]
    return [len(one.key_blob).to_bytes(2, "big") + one.key_blob + one.signature_blob for one in made]


def check_host_signature(data: bytes) -> bool:
    """A host's key and signature of any kind are verified, or refused with one of our errors."""
    length = int.from_bytes(data[:2], "big")
    try:
        verify_host(data[2 : 2 + length], data[2 + length :], SESSION)
    except WalletError:
        return False
    return True


def check_kept(data: bytes) -> bool:
    """One encoding per drawer."""
    try:
        found = kept.from_bytes(data)
    except WalletError:
        return False
    assert kept.to_bytes(found) == data
    return True


def host_signatures() -> list[bytes]:
    """Return an Ed25519 key with its signature of the session, and the same key in a certificate."""
    signature = signature_blob(HOST.sign(SESSION))
    nonce, public_key = string(bytes(32)), string(HOST.public_key)
    rest = (
        bytes(8)
        + bytes(4)
        + string(b"id")
        + string(b"")
        + bytes(16)
        + b"".join(map(string, [b"", b"", b"", key_blob(HOST.public_key), signature]))
    )
    certificate = string(b"ssh-ed25519-cert-v01@openssh.com") + nonce + public_key + rest
    return [len(blob).to_bytes(2, "big") + blob + signature for blob in (key_blob(HOST.public_key), certificate)]


def messages() -> list[bytes]:
    """Return one request of each kind."""
    bind = BindSession(key_blob(HOST.public_key), SESSION, signature_blob(HOST.sign(SESSION)), False)
    passphrase = Secret(b"secret")
    sign = SignData(key_blob(SSH.public_key), LOGIN.to_bytes(), 0)
    kinds = (ListKeys(), sign, bind, LockAgent(passphrase), UnlockAgent(passphrase))
    return [agent_messages.encode(message) for message in kinds]


def lists() -> list[bytes]:
    """Return lists with every option."""
    line = key_line(SSH.public_key, "comment")
    options = 'namespaces="git,file",valid-after="20240101",valid-before="20300101120000Z"'
    return [f"# list\nada,b* {options} {line}\n".encode(), f'"!x,*" cert-authority {line}\n\n'.encode()]


def signables() -> list[bytes]:
    """Return a file's hash, and logins with a key of each kind."""
    touched = [replace(LOGIN, key_blob=sk_key(algorithm).to_blob()) for algorithm in KINDS]
    return [FILE.to_bytes(), *(login.to_bytes() for login in (LOGIN, *touched))]


def drawers() -> list[bytes]:
    """Return an empty drawer, and one with two signatures."""
    entropy = fixed_entropy("kept")
    two = [kept.KeptSignature(entropy(32), entropy(32), day) for day in (20_000, 20_001)]
    return [kept.to_bytes([]), kept.to_bytes(two)]


TARGETS = [
    Target("ssh-signable", check_signable, signables),
    Target("ssh-signature", check_signature, lambda: [signed().to_text().encode(), signed("git").to_text().encode()]),
    Target("ssh-agent-request", check_message, messages),
    Target("ssh-allowed-signers", check_list, lists),
    Target("ssh-named-keys", check_named, lambda: [document().to_bare_bytes()]),
    Target("ssh-named-security-keys", check_named_security, lambda: [sk_document().to_bare_bytes()]),
    Target("ssh-security-key", check_security_key, security_keys),
    Target("ssh-host-signature", check_host_signature, host_signatures),
    Target("kept-signatures", check_kept, drawers),
]
