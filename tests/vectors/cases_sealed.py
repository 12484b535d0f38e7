"""Cases for sealed.json: what docs/spec/sealed.md opens and refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.core import sealing
from tests.core.samples import digest, entropy, scalar, sealing_key
from walletcli.core import sealed

ENTROPY_LABEL = "walletcli sealed vector"
CONTEXT = b"walletcli vector 1"
PLAINTEXT = b"a plaintext"
SMALL_ORDER = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
)
"""X25519 public keys of small order, canonical (RFC 7748 section 7 speaks of them)."""

NOT_CANONICAL = (
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0900000000000000000000000000000000000000000000000000000000000080",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
)
"""X25519 public keys from 2^255 - 19 on."""


def recipients(count: int) -> list[bytes]:
    return [sealing_key(f"recipient {n}") for n in range(count)]


def _ours(plaintext: bytes, count: int, context: bytes = CONTEXT) -> bytes:
    return sealed.seal(plaintext, recipients(count), entropy(ENTROPY_LABEL), context)


def written(padded: bytes = PLAINTEXT + b"\x80" + bytes(52), **changes: Any) -> bytes:
    """Seal to the first recipient, with the specification's own steps and whatever change."""
    keys = {"ephemeral_scalar": digest("ephemeral"), "content_key": digest("content key")}
    to = changes.pop("recipients", recipients(1))
    return sealing.seal(padded, to, changes.pop("context", CONTEXT), **{**keys, **changes})


def _valid() -> Iterator[dict[str, object]]:
    for length, count in (
        *(
            (0, 1),
            (1, 1),
            (62, 1),
            (63, 1),
            (64, 1),
            (66, 2),
            (127, 3),
            (128, 4),
            (300, 5),
            (1000, 8),
            (10, 9),
            (10, 16),
        ),
        (2000, 2),
    ):
        plaintext = bytes(n % 251 for n in range(length))
        yield {
            "name": f"{length} bytes for {count}",
            "plaintext": plaintext.hex(),
            "context": CONTEXT.hex(),
            "secrets": [scalar(f"recipient {n}").reveal().hex() for n in range(count)],
            "blob": _ours(plaintext, count).hex(),
        }
    yield {
        "name": "no context",
        "plaintext": PLAINTEXT.hex(),
        "context": "",
        "secrets": [scalar("recipient 0").reveal().hex()],
        "blob": _ours(PLAINTEXT, 1, b"").hex(),
    }


def _changed() -> Iterator[tuple[str, bytes, str]]:
    """Yield what the first recipient must refuse."""
    good = _ours(PLAINTEXT, 1)
    malformed, damaged, not_for_you = "sealed.malformed", "sealed.damaged", "sealed.not-for-you"
    for length in (0, 1, 2, 33, 65, 66, 257, len(good) - 65, len(good) - 1):
        yield f"the first {length} bytes", good[:length], malformed
    yield "version 0", b"\0" + good[1:], malformed
    yield "version 2", b"\2" + good[1:], malformed
    for count in (0, 1, 3, 5, 17, 255):
        yield f"{count} wraps", good[:1] + bytes([count]) + good[2:], malformed
    yield "8 wraps where there are 4", good[:1] + b"\x08" + good[2:], malformed
    longer = _ours(bytes(1000), 1)
    yield "8 wraps where there are 4, long enough", longer[:1] + b"\x08" + longer[2:], damaged
    for text in SMALL_ORDER:
        yield (
            f"an ephemeral key of small order: {text}",
            good[:2] + bytes.fromhex(text) + good[34:],
            "key.malformed",
        )
    for text in NOT_CANONICAL:
        yield (
            f"an ephemeral key that is not canonical: {text}",
            good[:2] + bytes.fromhex(text) + good[34:],
            "key.malformed",
        )
    yield "another ephemeral key", good[:2] + sealing_key("another") + good[34:], not_for_you
    yield "another commitment", good[:34] + bytes([good[34] ^ 1]) + good[35:], damaged
    yield "a commitment to another content key", written(committed=digest("another content key")), damaged
    yield "another wrap of somebody else's", written(recipients=[sealing_key("another")]), not_for_you
    yield "another context", written(context=b"walletcli vector 2"), not_for_you
    yield "a context that begins alike", written(context=CONTEXT + b"x"), not_for_you
    yield "another first byte of the content", _flipped(good, len(good) - 80), damaged
    yield "another last byte", _flipped(good, len(good) - 1), damaged
    yield "a byte more", good + b"\0", damaged
    swapped = good[:66] + good[114:162] + good[66:114] + good[162:]
    yield "two wraps exchanged", swapped, damaged
    yield "version 2, sealed so", written(version=2), malformed
    for title, padded in (
        ("no 0x80", PLAINTEXT + bytes(53)),
        ("only zeros", bytes(64)),
        ("another byte for 0x80", PLAINTEXT + b"\x81" + bytes(52)),
        ("a byte after 0x80", PLAINTEXT + b"\x80" + bytes(51) + b"\1"),
        ("a step too far", PLAINTEXT + b"\x80" + bytes(56)),
        ("no step of Padmé", b"x" * 64 + b"\x80" + bytes(0)),
        ("64 bytes too much", PLAINTEXT + b"\x80" + bytes(116)),
    ):
        yield f"padding: {title}", written(padded), malformed
    yield "padding: less than 64 bytes", written(PLAINTEXT + b"\x80"), malformed


def _flipped(blob: bytes, at: int) -> bytes:
    return blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]


def _invalid() -> Iterator[dict[str, object]]:
    mine = scalar("recipient 0").reveal().hex()
    for title, blob, error in _changed():
        yield {"name": title, "blob": blob.hex(), "context": CONTEXT.hex(), "secret": mine, "error": error}
    good = _ours(PLAINTEXT, 2).hex()
    somebody = scalar("somebody").reveal().hex()
    for title, secret, context in (
        ("a key that it is not sealed to", somebody, CONTEXT),
        ("another context to open it", mine, b"walletcli vector 2"),
        ("no context to open it", mine, b""),
    ):
        yield {"name": title, "blob": good, "context": context.hex(), "secret": secret, "error": "sealed.not-for-you"}


def make() -> dict[str, object]:
    """Return the content of sealed.json."""
    return {
        "spec": "docs/spec/sealed.md",
        "source": "ours, made by tests/vectors/make_vectors.py",
        "entropy": f"call i, from 0, gives the start of SHA-512('{ENTROPY_LABEL} ' + i in decimal)",
        "valid": list(_valid()),
        "invalid": list(_invalid()),
        "bad_recipients": [*SMALL_ORDER, *NOT_CANONICAL, "", "00" * 31, "09" * 33],
    }
