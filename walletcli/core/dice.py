"""Dice rolls and coin flips mixed into the operating system's entropy.

The result is a hash of 64 bytes from the operating system and of the rolls. The rolls can only add: whatever they are,
the result is as good as 64 random bytes hashed to at most 32; and if those bytes were known or chosen by somebody
beforehand, it is as good as the rolls.

Spec: docs/spec/entropy.md, which also says how to recompute a result by hand.
"""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Final

from walletcli.core.secret import Secret
from walletcli.errors import InputError

OS_ENTROPY_BYTES: Final = 64
"""Bytes to take from the operating system: twice the longest result, so that hashing loses nothing that counts."""

MAX_ROLLS: Final = 4096
"""Most rolls that are taken."""

_LENGTHS_BYTES: Final = (16, 20, 24, 28, 32)
_SYMBOLS: Final = {"dice": "123456", "coin": "01"}
_NAMES: Final = {"dice": "die", "coin": "coin"}
_PLURALS: Final = {"dice": "dice rolls", "coin": "coin flips"}
_HINTS: Final = {"dice": "a die gives 1 to 6", "coin": "write 1 for heads and 0 for tails, or H and T"}
_COIN_LETTERS: Final = str.maketrans("HT", "10")

_RECIPE: Final = """\
# {title}: {length_bytes} bytes, {word_count} words.
# Needs bash, coreutils and sed (macOS: shasum -a 512 for sha512sum, shasum -a 256 for sha256sum) and english.txt, the
# word list of BIP39 in your language, 2048 lines. Both values below together are the wallet: fill them in on a machine
# that is offline and that you trust, run the file with bash, and destroy it.
os='...'     # the {os_digits} hexadecimal digits that were shown
rolls='...'  # your {throws}, as shown: {symbols}, nothing between them
hex=$({{ printf "$(printf %s "$os" | sed 's/../\\\\x&/g')"; printf %s "$rolls"; }} | sha512sum | cut -c 1-{hex_digits})
sum=$(printf "$(printf %s "$hex" | sed 's/../\\\\x&/g')" | sha256sum | cut -c 1-2)
bits=
for digit in $(printf %s "$hex$sum" | sed 's/./& /g'); do
  value=$((16#$digit))
  bits=$bits$((value >> 3 & 1))$((value >> 2 & 1))$((value >> 1 & 1))$((value & 1))
done
echo "entropy: $hex"
for ((word = 0; word < {word_count}; word++)); do
  sed -n "$((2#${{bits:11 * word:11}} + 1))p" english.txt
done
"""


def needed(kind: str, length_bytes: int) -> int:
    """Return how many fair rolls hold at least `length_bytes` bytes of entropy: 50 dice for 16, 100 for 32.

    Raises:
        InputError: `entropy.length`: not 16, 20, 24, 28 or 32; `dice.kind`.
    """
    _check(kind, length_bytes)
    sides = len(_SYMBOLS[kind])
    enough = 1 << (8 * length_bytes)
    count, reach = 0, 1
    while reach < enough:
        count, reach = count + 1, reach * sides
    return count


def canonical_rolls(rolls: str, kind: str) -> str:
    """Return the rolls as they are hashed: digits 1 to 6, or 1 for heads and 0 for tails, nothing between.

    Args:
        rolls: digits 1 to 6; for coins 1 and 0, or the letters H and T for the same; any case and Unicode form, with
            white space, commas or hyphens anywhere.
        kind: ``dice`` or ``coin``.

    Raises:
        InputError: `dice.malformed`: another character, or too many; the rolls are secret and not repeated.
    """
    text = "".join(letter for letter in unicodedata.normalize("NFKC", rolls).upper() if letter not in " \t\r\n,-")
    if kind == "coin" and not set(text) & set("01"):
        text = text.translate(_COIN_LETTERS)
    allowed = _SYMBOLS[kind]
    for at, letter in enumerate(text, start=1):
        if letter not in allowed:
            raise InputError("dice.malformed", f"roll {at} is not a result of a {_NAMES[kind]}", _HINTS[kind])
    if len(text) > MAX_ROLLS:
        raise InputError("dice.malformed", f"at most {MAX_ROLLS} rolls are taken, found {len(text)}")
    return text


def mix(os_entropy: Secret, rolls: str, kind: str, length_bytes: int) -> Secret:
    """Return the first `length_bytes` bytes of SHA-512(os_entropy ‖ rolls).

    Args:
        os_entropy: `OS_ENTROPY_BYTES` bytes from the operating system.
        rolls: what was thrown, as `canonical_rolls` takes it.
        kind: ``dice`` or ``coin``.
        length_bytes: length of the result: 16, 20, 24, 28 or 32.

    Raises:
        InputError: `entropy.length`, `dice.malformed`, or `dice.too-few`: fewer rolls than `needed` says; `dice.kind`.
    """
    if len(os_entropy) != OS_ENTROPY_BYTES:
        raise InputError(
            "entropy.length", f"mixing takes {OS_ENTROPY_BYTES} bytes of system entropy, found {len(os_entropy)}"
        )
    enough = needed(kind, length_bytes)
    text = canonical_rolls(rolls, kind)
    if len(text) < enough:
        raise InputError(
            "dice.too-few", f"{enough} rolls needed, found {len(text)}", f"{enough - len(text)} are missing"
        )
    return Secret(hashlib.sha512(os_entropy.reveal() + text.encode("ascii")).digest()[:length_bytes])


def recipe(kind: str, length_bytes: int) -> str:
    """Return a bash script, with two values to fill in, that recomputes the entropy and the words by other means.

    Raises:
        InputError: `entropy.length`, `dice.kind`.
    """
    _check(kind, length_bytes)
    return _RECIPE.format(
        title=f"Recompute the words from system entropy and {_PLURALS[kind]}",
        throws=_PLURALS[kind],
        symbols="digits 1 to 6" if kind == "dice" else "1 for heads, 0 for tails",
        os_digits=2 * OS_ENTROPY_BYTES,
        length_bytes=length_bytes,
        hex_digits=2 * length_bytes,
        word_count=3 * length_bytes // 4,
    )


def _check(kind: str, length_bytes: int) -> None:
    if kind not in _SYMBOLS:
        raise InputError("dice.kind", "dice and coins can be thrown, nothing else", "choose dice or coin")
    if length_bytes not in _LENGTHS_BYTES:
        raise InputError("entropy.length", f"entropy has 16, 20, 24, 28 or 32 bytes, {length_bytes} asked for")
