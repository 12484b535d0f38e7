from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from walletcli.core import bip39, dice
from walletcli.core.secret import Secret
from walletcli.errors import InputError

OS_ENTROPY = Secret(bytes(range(64)))
DICE = "163452" * 20
COINS = "0110100110010110" * 20


@pytest.mark.parametrize(
    ("kind", "length_bytes", "count"),
    [("dice", 16, 50), ("dice", 20, 62), ("dice", 24, 75), ("dice", 28, 87), ("dice", 32, 100), ("coin", 16, 128),
     ("coin", 20, 160), ("coin", 24, 192), ("coin", 28, 224), ("coin", 32, 256)],
)  # fmt: skip
def test_so_many_rolls_hold_the_whole_entropy(kind: str, length_bytes: int, count: int) -> None:
    sides = {"dice": 6, "coin": 2}[kind]
    assert dice.needed(kind, length_bytes) == count
    assert sides**count >= 256**length_bytes > sides ** (count - 1)


@pytest.mark.parametrize("kind", ["dice", "coin"])
@pytest.mark.parametrize("length_bytes", [16, 20, 24, 28, 32])
def test_one_roll_too_few_is_refused(kind: str, length_bytes: int) -> None:
    rolls = (DICE if kind == "dice" else COINS)[: dice.needed(kind, length_bytes)]
    assert len(dice.mix(OS_ENTROPY, rolls, kind, length_bytes)) == length_bytes
    with pytest.raises(InputError) as raised:
        dice.mix(OS_ENTROPY, rolls[:-1], kind, length_bytes)
    assert raised.value.code == "dice.too-few"
    assert rolls[:10] not in f"{raised.value.message}{raised.value.hint}"


def test_the_result_is_the_stated_hash() -> None:
    expected = hashlib.sha512(OS_ENTROPY.reveal() + DICE.encode()).digest()[:16]
    assert dice.mix(OS_ENTROPY, DICE, "dice", 16) == Secret(expected)


@pytest.mark.parametrize(
    "written", [" ".join(DICE), "\n".join(DICE), DICE.replace("1", "１"), "-".join(DICE), ", ".join(DICE)]
)
def test_how_rolls_are_written_down_makes_no_difference(written: str) -> None:
    assert dice.mix(OS_ENTROPY, written, "dice", 32) == dice.mix(OS_ENTROPY, DICE, "dice", 32)


def test_heads_and_tails_are_ones_and_zeros() -> None:
    letters = COINS.replace("1", "H").replace("0", "t")
    assert dice.canonical_rolls(letters, "coin") == COINS
    assert dice.mix(OS_ENTROPY, letters, "coin", 16) == dice.mix(OS_ENTROPY, COINS, "coin", 16)


@pytest.mark.parametrize(
    ("kind", "rolls"),
    [("dice", "0"), ("dice", "7"), ("dice", "12a"), ("dice", "٣"), ("dice", "²x"), ("coin", "2"), ("coin", "HT1"),
     ("coin", "01H"), ("coin", "heads"), ("dice", "1" * 5000), ("dice", "1\x00")],
)  # fmt: skip
def test_what_cannot_be_thrown_is_refused_without_repeating_it(kind: str, rolls: str) -> None:
    with pytest.raises(InputError) as raised:
        dice.canonical_rolls(rolls, kind)
    assert raised.value.code == "dice.malformed"
    assert "12a" not in raised.value.message


def test_every_roll_counts_and_so_does_their_order() -> None:
    rolls = DICE[:50]
    results = {dice.mix(OS_ENTROPY, rolls, "dice", 16).reveal()}
    for at in range(50):
        changed = rolls[:at] + str(int(rolls[at]) % 6 + 1) + rolls[at + 1 :]
        results.add(dice.mix(OS_ENTROPY, changed, "dice", 16).reveal())
    assert len(results) == 51
    assert dice.mix(OS_ENTROPY, rolls + "1", "dice", 16) != dice.mix(OS_ENTROPY, rolls, "dice", 16)


def test_every_bit_of_system_entropy_counts() -> None:
    base = int.from_bytes(OS_ENTROPY.reveal(), "big")
    results = {
        dice.mix(Secret((base ^ (1 << bit)).to_bytes(64, "big")), DICE, "dice", 16).reveal() for bit in range(512)
    }
    assert len(results) == 512


@pytest.mark.parametrize("length_bytes", [0, 16, 32, 63, 65])
def test_mixing_takes_64_bytes_of_system_entropy(length_bytes: int) -> None:
    with pytest.raises(InputError) as raised:
        dice.mix(Secret(bytes(length_bytes)), DICE, "dice", 16)
    assert raised.value.code == "entropy.length"


@pytest.mark.parametrize("length_bytes", [0, 8, 17, 64])
def test_no_mnemonic_has_entropy_of_another_length(length_bytes: int) -> None:
    for call in (
        lambda: dice.needed("dice", length_bytes),
        lambda: dice.recipe("dice", length_bytes),
        lambda: dice.mix(OS_ENTROPY, DICE, "dice", length_bytes),
    ):
        with pytest.raises(InputError) as raised:
            call()
        assert raised.value.code == "entropy.length"


def test_only_dice_and_coins_are_thrown() -> None:
    with pytest.raises(InputError) as raised:
        dice.needed("cards", 16)
    assert raised.value.code == "dice.kind"


def _run_recipe(directory: Path, script: str, os_entropy: Secret, rolls: str, language: str) -> list[str]:
    """Fill in the recipe, run it in a shell, and return what it prints."""
    words = "".join(f"{word}\n" for word in bip39.complete("", language))
    (directory / "english.txt").write_text(words, encoding="utf-8")
    script = script.replace("os='...'", f"os='{os_entropy.reveal().hex()}'")
    script = script.replace("rolls='...'", f"rolls='{rolls}'")
    (directory / "recompute.sh").write_text(script)
    run = subprocess.run(
        ["bash", "-eu", "recompute.sh"], cwd=directory, capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stderr == ""
    return run.stdout.splitlines()


@pytest.mark.parametrize("kind", ["dice", "coin"])
@pytest.mark.parametrize("length_bytes", [16, 20, 24, 28, 32])
def test_the_recipe_gives_the_same_entropy_and_words_in_a_shell(tmp_path: Path, kind: str, length_bytes: int) -> None:
    rolls = DICE if kind == "dice" else COINS
    entropy = dice.mix(OS_ENTROPY, rolls, kind, length_bytes)
    printed = _run_recipe(tmp_path, dice.recipe(kind, length_bytes), OS_ENTROPY, rolls, "english")
    assert printed[0] == f"entropy: {entropy.reveal().hex()}"
    assert printed[1:] == bip39.Mnemonic.from_entropy(entropy).words.reveal_text().split()


@pytest.mark.parametrize("text", ["%d%s%n\\x41\\0", "\0" * 8, "`id`$(id)'\"", "\n\r\t\\\\"])
def test_the_recipe_copes_with_every_byte(tmp_path: Path, text: str) -> None:
    os_entropy = Secret((text.encode() * 64)[:64])
    entropy = dice.mix(os_entropy, DICE, "dice", 32)
    printed = _run_recipe(tmp_path, dice.recipe("dice", 32), os_entropy, DICE, "english")
    assert printed[0] == f"entropy: {entropy.reveal().hex()}"


def test_the_recipe_works_with_a_list_of_another_language(tmp_path: Path) -> None:
    entropy = dice.mix(OS_ENTROPY, DICE, "dice", 16)
    printed = _run_recipe(tmp_path, dice.recipe("dice", 16), OS_ENTROPY, DICE, "french")
    assert printed[1:] == bip39.Mnemonic.from_entropy(entropy, "french").text().reveal_text().split()


def test_the_recipe_in_the_documentation_is_the_one_that_is_printed() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "spec" / "entropy.md"
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert dice.recipe("dice", 16) in blocks
