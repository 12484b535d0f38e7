"""Makes the cases of ``ssh.json``: what an SSH key signs, signature files, and the keys that a document names."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from tests.core.samples import DAY, SEQ, device, digest, key
from walletcli.core.cbor import Value
from walletcli.core.document import Document
from walletcli.core.document_parts import Power, Retirement
from walletcli.core.ssh.encoding import string
from walletcli.core.ssh.keys import key_blob, signature_blob
from walletcli.core.ssh.named_keys import naming
from walletcli.core.ssh.signable import FileHash, Login
from walletcli.core.ssh.sshsig import SshSignature

SSH = key("ssh")
OTHER = key("another ssh")
SESSION = digest("session")
HOST_KEY = key_blob(key("host").public_key)
MESSAGE = b"a file\n"

LOGIN = Login(SESSION, "git", key_blob(SSH.public_key), HOST_KEY)
FILE = FileHash("file", "sha512", hashlib.sha512(MESSAGE).digest())

Case = dict[str, object]


def file_hash(namespace: str = "file", algorithm: str = "sha512") -> FileHash:
    return FileHash(namespace, algorithm, hashlib.new(algorithm, MESSAGE).digest())


def signed(namespace: str = "file", algorithm: str = "sha512") -> SshSignature:
    """Return the signature of `MESSAGE` by `SSH`."""
    asked = file_hash(namespace, algorithm)
    return SshSignature.of(key_blob(SSH.public_key), asked, signature_blob(SSH.sign(asked.to_bytes())))


def _signables() -> list[Case]:
    cases: dict[str, Login | FileHash] = {
        "a login bound to a host": LOGIN,
        "a login that names no host": replace(LOGIN, host_key=None),
        "the shortest session id": replace(LOGIN, session=SESSION[:16]),
        "the longest session id": replace(LOGIN, session=SESSION * 2),
        "an account in another script": replace(LOGIN, user="Ada Ж"),
        "a file": FILE,
        "a commit of git": file_hash("git"),
        "a namespace of somebody's own": file_hash("release@walletcli.example"),
        "a hash of SHA-256": file_hash(algorithm="sha256"),
        "the longest namespace": file_hash("n" * 128),
    }
    return [signable(name, value.to_bytes()) for name, value in cases.items()]


def signable(name: str, data: bytes, blob: bytes | None = None) -> Case:
    """Return a case of what the key with this blob, or `SSH`, is to sign."""
    return {"name": name, "kind": "signable", "hex": data.hex(), "key": (blob or key_blob(SSH.public_key)).hex()}


def login(**parts: bytes) -> bytes:
    """Return a login of which parts are others than they should be."""
    fields = {
        "session": SESSION,
        "kind": b"\x32",
        "user": b"git",
        "service": b"ssh-connection",
        "method": b"publickey",
        "flag": b"\x01",
        "algorithm": b"ssh-ed25519",
        "key": key_blob(SSH.public_key),
        **parts,
    }
    return b"".join(value if name in ("kind", "flag") else string(value) for name, value in fields.items())


def _preimage(namespace: bytes = b"file", reserved: bytes = b"", algorithm: bytes = b"sha512", size: int = 64) -> bytes:
    return b"SSHSIG" + b"".join(map(string, (namespace, reserved, algorithm, bytes(size))))


def _bad_signables() -> list[Case]:
    plain = login()
    cases: list[tuple[str, bytes, str]] = [
        ("nothing", b"", "ssh.not-signable"),
        ("a bare hash", digest("anything"), "ssh.not-signable"),
        ("a record's signable", b"3:seqi1e1:v4:abcd", "ssh.not-signable"),
        ("a COSE Sig_structure", bytes.fromhex("846a5369676e617475726531"), "ssh.not-signable"),
        ("a session id of 15 bytes", login(session=bytes(15)), "ssh.not-signable"),
        ("a session id of 65 bytes", login(session=bytes(65)), "ssh.not-signable"),
        ("another message than an authentication request", login(kind=b"\x33"), "ssh.not-signable"),
        ("no user", login(user=b""), "ssh.not-signable"),
        ("a user with a line feed", login(user=b"git\n"), "ssh.not-signable"),
        ("another service", login(service=b"ssh-userauth"), "ssh.not-signable"),
        ("host-based authentication", login(method=b"hostbased"), "ssh.not-signable"),
        ("a question whether the key would do", login(flag=b"\x00"), "ssh.not-signable"),
        ("a boolean of 2", login(flag=b"\x02"), "ssh.not-signable"),
        ("another algorithm", login(algorithm=b"ssh-rsa"), "ssh.not-signable"),
        ("a key of another kind", login(key=string(b"ssh-dss") + string(bytes(32))), "ssh.key"),
        ("a key with something behind it", login(key=key_blob(SSH.public_key) + b"\0"), "ssh.key"),
        ("a login with a key of small order", login(key=key_blob(bytes(32))), "key.malformed"),
        ("another key", login(key=key_blob(OTHER.public_key)), "ssh.other-key"),
        ("a login cut short", plain[:-1], "ssh.not-signable"),
        ("a login with something behind it", plain + b"\0", "ssh.not-signable"),
        ("a login that says it names a host and does not", login(method=b"publickey-hostbound-v00@openssh.com"),
         "ssh.not-signable"),
        ("a file without a namespace", _preimage(namespace=b""), "ssh.not-signable"),
        ("a namespace with a space", _preimage(namespace=b"a file"), "ssh.not-signable"),
        ("a namespace that is too long", _preimage(namespace=b"n" * 129), "ssh.not-signable"),
        ("something in the reserved place", _preimage(reserved=b"x"), "ssh.not-signable"),
        ("a hash of SHA-1", _preimage(algorithm=b"sha1", size=20), "ssh.not-signable"),
        ("a hash of another length", _preimage(size=32), "ssh.not-signable"),
        ("a file with something behind it", _preimage() + b"\0", "ssh.not-signable"),
        ("too long", login(session=SESSION, user=b"u" * 70_000), "ssh.not-signable"),
    ]  # fmt: skip
    return [{**signable(name, data), "error": error} for name, data, error in cases]


def _signatures() -> list[Case]:
    cases = {
        "of a file": signed(),
        "for git": signed("git"),
        "over SHA-256": signed(algorithm="sha256"),
    }
    return [signature_case(name, value.to_text().encode(), value.namespace) for name, value in cases.items()]


def signature_case(name: str, data: bytes, namespace: str = "file") -> Case:
    """Return a case of a signature file."""
    text = data.decode("ascii")
    return {"name": f"signature {name}", "kind": "signature", "text": text, "namespace": namespace,
            "message_hex": MESSAGE.hex()}  # fmt: skip


def _armored(blob: bytes) -> bytes:
    from base64 import b64encode

    text = b64encode(blob).decode()
    lines = [text[start : start + 70] for start in range(0, len(text), 70)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""]).encode()


def _bad_signatures() -> list[Case]:
    good = signed()
    text, blob = good.to_text().encode(), good.to_blob()
    cases: list[tuple[str, bytes, str]] = [
        ("without its first line", text.split(b"\n", 1)[1], "sshsig.armor"),
        ("without its last line", text.rsplit(b"\n", 2)[0] + b"\n", "sshsig.armor"),
        ("with a line behind it", text + b"more\n", "sshsig.armor"),
        ("of a message of PGP", text.replace(b"SSH", b"PGP"), "sshsig.armor"),
        ("on one line", text.replace(b"\n", b""), "sshsig.armor"),
        ("with padding too much", text.replace(b"\n-----END", b"=\n-----END"), "sshsig.armor"),
        ("with a letter that is none of base64", text.replace(b"U1NI", b"U1N!"), "sshsig.armor"),
        ("without anything", b"", "sshsig.armor"),
        ("with another beginning", _armored(b"SSHSIX" + blob[6:]), "sshsig.malformed"),
        ("of version 2", _armored(blob.replace(b"SSHSIG\0\0\0\1", b"SSHSIG\0\0\0\2")), "sshsig.unknown-version"),
        ("cut short", _armored(blob[:-1]), "sshsig.malformed"),
        ("with something behind it", _armored(blob + b"\0"), "sshsig.malformed"),
        ("over SHA-1", _armored(blob.replace(string(b"sha512"), string(b"sha1"))), "sshsig.malformed"),
        ("without a namespace", _armored(blob.replace(string(b"file"), string(b""))), "sshsig.malformed"),
        ("for git", signed("git").to_text().encode(), "sshsig.namespace"),
        ("over another hash than it says", _armored(blob.replace(string(b"sha512"), string(b"sha256"))),
         "signature.invalid"),
        ("by another key than it says", replace(good, key_blob=key_blob(OTHER.public_key)).to_text().encode(),
         "signature.invalid"),
    ]  # fmt: skip
    return [{**signature_case(name, data), "error": error} for name, data, error in cases]


def document(*powers: Power) -> Document:
    """Return a document that names `SSH` for its one device."""
    own = device("device 0", *(powers or (Power.SHARE,)))
    return Document(
        key("alice").public_key, SEQ, delegations=(own,), extensions=naming({}, {own.signing_key: SSH.public_key})
    )


def _documents() -> list[Case]:
    return [_named("a key that is named", document())]


def _named(name: str, found: Document, day: int = DAY) -> Case:
    return {"name": name, "kind": "named", "hex": found.to_bare_bytes().hex(), "key": SSH.public_key.hex(), "day": day}


def _with(value: Value) -> Document:
    return replace(document(), extensions={"ssh": value})


def _bad_documents() -> list[Case]:
    own = document().delegations[0].signing_key
    other = key("another device").public_key
    two = naming({}, {own: SSH.public_key, other: OTHER.public_key})["ssh"]
    assert isinstance(two, list)
    cases: list[tuple[str, Document, int, str]] = [
        ("no key is named", replace(document(), extensions={}), DAY, "ssh-keys.not-named"),
        ("another key is named", replace(document(), extensions=naming({}, {own: OTHER.public_key})), DAY,
         "ssh-keys.not-named"),
        ("the device has gone", replace(document(), delegations=()), DAY, "ssh-keys.device-gone"),
        ("the device may only grant", document(Power.GRANT), DAY, "ssh-keys.power"),
        ("the delegation has not begun", document(), DAY - 1, "ssh-keys.expired"),
        ("the delegation has ended", document(), DAY + 90, "ssh-keys.expired"),
        ("the identity has ended", replace(document(), retirement=Retirement(DAY)), DAY, "ssh-keys.retired"),
        ("the list is empty", _with([]), DAY, "ssh-keys.malformed"),
        ("the list is none", _with({1: SSH.public_key}), DAY, "ssh-keys.malformed"),
        ("a row of three", _with([[own, SSH.public_key, 1]]), DAY, "ssh-keys.malformed"),
        ("a key that is text", _with([[own, "ssh-ed25519"]]), DAY, "ssh-keys.malformed"),
        ("a key of small order", _with([[own, bytes(32)]]), DAY, "key.malformed"),
        ("rows out of order", _with(two[::-1]), DAY, "ssh-keys.malformed"),
        ("one key for two devices", _with([[row[0], SSH.public_key] for row in two if isinstance(row, list)]), DAY,
         "ssh-keys.malformed"),
        ("the root key", _with([[own, key("alice").public_key]]), DAY, "ssh-keys.malformed"),
        ("a device's signing key", _with([[own, own]]), DAY, "ssh-keys.malformed"),
    ]  # fmt: skip
    return [{**_named(name, found, day), "error": error} for name, found, day, error in cases]


def make() -> dict[str, object]:
    """Return the file."""
    return {
        "spec": "docs/spec/ssh.md",
        "note": "hex: bytes; key: blob of the SSH key that signs, and the 32 bytes of one that is named; a document is "
        "written without its padding",
        "valid": [*_signables(), *_signatures(), *_documents()],
        "invalid": [*_bad_signables(), *_bad_signatures(), *_bad_documents()],
    }
