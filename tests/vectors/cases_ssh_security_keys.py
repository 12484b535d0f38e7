"""Makes the cases of ``ssh-security-key.json``: keys on security keys, what they sign, and documents that name them."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.core.samples import DAY, SEQ, device, key
from tests.vectors.cases_ssh import LOGIN, OTHER, Case, file_hash, login, signable, signature_case, signed
from walletcli.core import p256
from walletcli.core.cbor import Value
from walletcli.core.document import Document
from walletcli.core.document_parts import Approver, Approvers, Power, Retirement
from walletcli.core.ssh.encoding import mpint, string
from walletcli.core.ssh.named_keys import naming
from walletcli.core.ssh.named_security_keys import NamedSecurityKey, naming_security_keys
from walletcli.core.ssh.security_keys import APPLICATION, EDDSA, ES256, KINDS, SkKey
from walletcli.core.ssh.sshsig import SshSignature

SK = key("ssh on a security key")


def _point(number: int) -> bytes:
    """Return a multiple of P-256's base point, compressed."""
    public_key = ec.derive_private_key(number, ec.SECP256R1()).public_key()
    return public_key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


POINT = _point(7)
LONG_POINT = p256.uncompressed(POINT)
EDDSA_KIND, ES256_KIND = (KINDS[algorithm].encode() for algorithm in (EDDSA, ES256))


def sk_key(algorithm: int = EDDSA, application: str = APPLICATION) -> SkKey:
    """Return the key of a security key."""
    return SkKey(algorithm, SK.public_key if algorithm == EDDSA else POINT, application)


def sk_signed(algorithm: int = EDDSA, flags: int = 5, counter: int = 7, application: str = APPLICATION) -> SshSignature:
    """Return the signature of `MESSAGE` by a security key."""
    key_, asked = sk_key(algorithm, application), file_hash()
    tail = bytes([flags]) + counter.to_bytes(4, "big")
    made = hashlib.sha256(application.encode()).digest() + tail + hashlib.sha256(asked.to_bytes()).digest()
    value = SK.sign(made) if algorithm == EDDSA else _es256(made)
    kind = string(KINDS[algorithm].encode())
    inner = value if algorithm == EDDSA else b"".join(map(mpint, p256.from_der(value)))
    return SshSignature.of(key_.to_blob(), asked, kind + string(inner) + tail)


def _es256(message: bytes) -> bytes:
    """Sign with the private number 7 and the nonce 5: the same signature each time."""
    n = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    hashed = int.from_bytes(hashlib.sha256(message).digest(), "big")
    r = int.from_bytes(_point(5)[1:], "big") % n
    return p256.to_der(r, pow(5, -1, n) * (hashed + r * 7) % n)


def _sk_signatures() -> list[Case]:
    cases = {
        "by a security key": sk_signed(),
        "by a security key without its PIN": sk_signed(flags=1),
        "by a security key whose counter stands": sk_signed(counter=0),
        "by a security key that can be backed up": sk_signed(flags=0x1D),
        "by a security key of another application": sk_signed(application="ssh:work"),
        "by a security key with ECDSA": sk_signed(ES256),
        "by a security key with ECDSA without its PIN": sk_signed(ES256, flags=1, counter=0xFFFFFFFF),
    }
    return [signature_case(name, value.to_text().encode()) for name, value in cases.items()]


def _bad_sk_signatures() -> list[Case]:
    good, es256, plain = sk_signed(), sk_signed(ES256), sk_signed(flags=1)
    other_application = sk_key(application="ssh:other").to_blob()
    compressed = es256.key_blob.replace(string(LONG_POINT), string(POINT))
    other_curve = es256.key_blob.replace(string(b"nistp256"), string(b"nistp384"))
    no_point = es256.key_blob.replace(LONG_POINT[1:], bytes(64))
    small = good.key_blob.replace(SK.public_key, bytes(32))
    numbers = p256.from_der(_es256(b"x"))
    ec_tail = es256.signature_blob[-5:]

    def of(blob: SshSignature, **parts: bytes) -> bytes:
        return replace(blob, **parts).to_text().encode()

    def ecdsa(inner: bytes) -> bytes:
        return string(ES256_KIND) + string(inner) + ec_tail

    cases: list[tuple[str, bytes, str]] = [
        ("that nobody touched it for", sk_signed(flags=4).to_text().encode(), "signature.invalid"),
        ("that nobody touched it for, with ECDSA", sk_signed(ES256, flags=0).to_text().encode(), "signature.invalid"),
        ("with the flag of extensions", sk_signed(flags=0x81).to_text().encode(), "sshsig.malformed"),
        ("with the flag of attested data", sk_signed(flags=0x41).to_text().encode(), "sshsig.malformed"),
        ("with the PIN put in", of(plain, signature_blob=plain.signature_blob[:-5] + b"\5" + bytes(3) + b"\7"),
         "signature.invalid"),
        ("with another counter", of(good, signature_blob=good.signature_blob[:-1] + b"\0"), "signature.invalid"),
        ("without its counter", of(good, signature_blob=good.signature_blob[:-4]), "sshsig.malformed"),
        ("with something behind its counter", of(good, signature_blob=good.signature_blob + b"\0"), "sshsig.malformed"),
        ("under another application", of(good, key_blob=other_application), "signature.invalid"),
        ("without an application", of(good, key_blob=good.key_blob[:-8] + string(b"")), "ssh.key"),
        ("with a key of small order", of(good, key_blob=small), "key.malformed"),
        ("by a plain key's signature", of(good, signature_blob=signed().signature_blob), "sshsig.malformed"),
        ("by another security key", of(good, key_blob=SkKey(EDDSA, OTHER.public_key).to_blob()), "signature.invalid"),
        ("of ECDSA by an Ed25519 key", of(good, signature_blob=es256.signature_blob), "sshsig.malformed"),
        ("with a point that is none", of(es256, key_blob=no_point),
         "key.malformed"),
        ("with a compressed point", of(es256, key_blob=compressed),
         "ssh.key"),
        ("over another curve", of(es256, key_blob=other_curve), "ssh.key"),
        ("with a negative number", of(es256, signature_blob=ecdsa(string(b"\x80") + mpint(1))), "sshsig.malformed"),
        ("with a number in a longer form", of(es256, signature_blob=ecdsa(string(b"\0\1") + mpint(1))),
         "sshsig.malformed"),
        ("with a number that is too large", of(es256, signature_blob=ecdsa(mpint(1 << 256) + mpint(1))),
         "sshsig.malformed"),
        ("with three numbers", of(es256, signature_blob=ecdsa(b"".join(map(mpint, (*numbers, 1))))),
         "sshsig.malformed"),
        ("with numbers of another message", of(es256, signature_blob=ecdsa(b"".join(map(mpint, numbers)))),
         "signature.invalid"),
    ]  # fmt: skip
    return [{**signature_case(f"by a security key {name}", data), "error": error} for name, data, error in cases]


def sk_document(*keys: NamedSecurityKey, powers: tuple[Power, ...] = (Power.SHARE,)) -> Document:
    """Return a document that names the keys of security keys, and no others."""
    own = device("device 0", *powers)
    named = keys or (NamedSecurityKey(sk_key(), True), NamedSecurityKey(sk_key(ES256), False))
    extensions = naming_security_keys({}, named)
    return Document(key("alice").public_key, SEQ, delegations=(own,), extensions=extensions)


def _sk_named(name: str, found: Document, day: int = DAY, *, pin: bool = True, algorithm: int = EDDSA) -> Case:
    blob = sk_key(algorithm).to_blob().hex()
    document_hex = found.to_bare_bytes().hex()
    return {"name": name, "kind": "named-sk", "hex": document_hex, "key": blob, "day": day, "pin": pin}


def _sk_documents() -> list[Case]:
    return [
        _sk_named("a key on a security key that is named", sk_document()),
        _sk_named("a key on a security key that needs no PIN", sk_document(), pin=False, algorithm=ES256),
        _sk_named("on the last day of the last device", sk_document(), DAY + 89),
    ]


def _bad_sk_documents() -> list[Case]:
    def with_(value: Value) -> Document:
        return replace(sk_document(), extensions={"ssh-sk": value})

    own = sk_document().delegations[0].signing_key
    row: list[Value] = [EDDSA, SK.public_key, True]
    approver = Approvers(1, (Approver(EDDSA, SK.public_key, True),), 30)
    cases: list[tuple[str, Document, int, str]] = [
        ("no key is named", replace(sk_document(), extensions={}), DAY, "ssh-keys.not-named"),
        ("another key is named", sk_document(NamedSecurityKey(SkKey(EDDSA, OTHER.public_key), True)), DAY,
         "ssh-keys.not-named"),
        ("the identity has ended", replace(sk_document(), retirement=Retirement(DAY)), DAY, "ssh-keys.retired"),
        ("no device is left", replace(sk_document(), delegations=()), DAY, "ssh-keys.expired"),
        ("the last device may only grant", sk_document(powers=(Power.GRANT,)), DAY, "ssh-keys.expired"),
        ("no device may speak yet", sk_document(), DAY - 1, "ssh-keys.expired"),
        ("no device may speak any more", sk_document(), DAY + 90, "ssh-keys.expired"),
        ("the list is empty", with_([]), DAY, "ssh-keys.malformed"),
        ("the list is none", with_({1: True}), DAY, "ssh-keys.malformed"),
        ("a row of two", with_([row[:2]]), DAY, "ssh-keys.malformed"),
        ("a row of four", with_([[*row, "ssh:work"]]), DAY, "ssh-keys.malformed"),
        ("a flag that is a number", with_([[EDDSA, SK.public_key, 1]]), DAY, "ssh-keys.malformed"),
        ("another algorithm", with_([[-257, SK.public_key, True]]), DAY, "ssh.key"),
        ("an Ed25519 key as ES256", with_([[ES256, SK.public_key, True]]), DAY, "key.malformed"),
        ("a point that is none", with_([[ES256, b"\2" + bytes([255] * 32), True]]), DAY, "key.malformed"),
        ("a key of small order", with_([[EDDSA, bytes(32), True]]), DAY, "key.malformed"),
        ("one key twice", with_([row, row]), DAY, "ssh-keys.malformed"),
        ("keys out of order", with_(sorted([row, [EDDSA, OTHER.public_key, True]], reverse=True)), DAY,
         "ssh-keys.malformed"),
        ("the root key", with_([[EDDSA, key("alice").public_key, True]]), DAY, "ssh-keys.malformed"),
        ("a device's signing key", with_([[EDDSA, own, True]]), DAY, "ssh-keys.malformed"),
        ("a device's SSH key", replace(sk_document(), extensions={"ssh-sk": [row], **naming({}, {own: SK.public_key})}),
         DAY, "ssh-keys.malformed"),
        ("an approver's key", replace(sk_document(), approvers=approver), DAY, "ssh-keys.malformed"),
        ("nine keys", with_([[EDDSA, key(f"sk {number}").public_key, True] for number in range(9)]), DAY,
         "ssh-keys.malformed"),
    ]  # fmt: skip
    made = [
        {**_sk_named(f"on a security key: {name}", found, day), "error": error} for name, found, day, error in cases
    ]
    without = _sk_named("on a security key: a signature without the PIN", sk_document(), pin=False)
    return [*made, {**without, "error": "ssh-keys.not-verified"}]


def _logins() -> list[Case]:
    blobs = {kind: sk_key(algorithm).to_blob() for algorithm, kind in KINDS.items()}
    return [
        signable(f"a login with {kind}", replace(LOGIN, key_blob=blob).to_bytes(), blob) for kind, blob in blobs.items()
    ]


def _bad_logins() -> list[Case]:
    blob, es256 = sk_key().to_blob(), sk_key(ES256).to_blob()
    no_point = es256.replace(LONG_POINT[1:], bytes(64))
    cases: list[tuple[str, bytes, str]] = [
        ("that says it is with a plain key", login(key=blob), "ssh.key"),
        ("that says it is with the other kind", login(algorithm=EDDSA_KIND, key=es256), "ssh.not-signable"),
        ("whose key has something behind it", login(algorithm=EDDSA_KIND, key=blob + b"\0"), "ssh.key"),
        ("whose key is no point", login(algorithm=ES256_KIND, key=no_point), "key.malformed"),
        ("which is another", login(algorithm=EDDSA_KIND, key=blob), "ssh.other-key"),
    ]
    return [{**signable(f"a login with a security key {name}", data), "error": error} for name, data, error in cases]


def make() -> dict[str, object]:
    """Return the file."""
    return {
        "spec": "docs/spec/ssh.md",
        "note": "hex: bytes; key: blob of the key; pin: the signature was made with it; a document is written without "
        "its padding",
        "valid": [*_logins(), *_sk_signatures(), *_sk_documents()],
        "invalid": [*_bad_logins(), *_bad_sk_signatures(), *_bad_sk_documents()],
    }
