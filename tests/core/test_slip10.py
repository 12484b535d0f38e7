from __future__ import annotations

import pytest
from nacl import bindings

from tests.core.vectors import load, name
from walletcli.core.secret import Secret
from walletcli.core.slip10 import MAX_STEP, Node, derive, path_from_text, path_to_text
from walletcli.errors import FormatError, InputError

SEED = Secret(bytes(range(64)))


@pytest.mark.parametrize("case", load("slip10.json"), ids=name)
def test_published_vectors(case: dict[str, str]) -> None:
    node = derive(Secret(bytes.fromhex(case["seed_hex"])), path_from_text(case["path"]))
    assert node.key == Secret(bytes.fromhex(case["key_hex"]))
    assert node.chain_code == Secret(bytes.fromhex(case["chain_code_hex"]))
    public_key, _ = bindings.crypto_sign_seed_keypair(node.key.reveal())
    assert public_key.hex() == case["public_key_hex"]


@pytest.mark.parametrize("length_bytes", [0, 15, 65, 128])
def test_a_seed_has_16_to_64_bytes(length_bytes: int) -> None:
    with pytest.raises(FormatError) as raised:
        Node.master(Secret(bytes(length_bytes)))
    assert raised.value.code == "seed.length"


def test_child_keys_are_the_keys_of_children() -> None:
    node = derive(SEED, (9791,))
    assert list(node.child_keys(3, 4)) == [node.child(index).key for index in range(3, 7)]
    assert list(node.child_keys(MAX_STEP, 1)) == [node.child(MAX_STEP).key]
    assert list(node.child_keys(5, 0)) == []


@pytest.mark.parametrize(("start", "count"), [(-1, 1), (MAX_STEP, 2), (MAX_STEP + 1, 1)])
def test_children_end_where_indices_end(start: int, count: int) -> None:
    with pytest.raises(InputError) as raised:
        list(Node.master(SEED).child_keys(start, count))
    assert raised.value.code == "path.index"


@pytest.mark.parametrize("index", [-1, MAX_STEP + 1, 2**32, 10**30])
def test_an_index_out_of_range_is_refused(index: int) -> None:
    with pytest.raises(InputError) as raised:
        Node.master(SEED).child(index)
    assert raised.value.code == "path.index"


def test_a_node_does_not_show_its_key() -> None:
    node = Node.master(SEED)
    assert node.key.reveal().hex() not in repr(node)
    assert "Secret" in repr(node)


@pytest.mark.parametrize("path", [(), (0,), (9791, 0), (9791, MAX_STEP), (1,) * 255])
def test_a_path_and_its_text_go_together(path: tuple[int, ...]) -> None:
    assert path_from_text(path_to_text(path)) == path


def test_a_path_is_written_with_an_apostrophe_for_each_step() -> None:
    assert path_to_text((9791, 0)) == "m/9791'/0'"


@pytest.mark.parametrize(
    "text",
    [
        "", "M", "/0'", "0'", "m/", "m//0'", "m/0'/", "m/0", "m/0h", "m/0H", "m/0''", "m/'", "m/00'", "m/01'", "m/+1'",
        "m/-1'", "m/ 1'", "m/1 '", "m/1_0'", "m/0x1'", "m/٣'", "m/²'", "m/0’", "m/1.0'", " m/0'", "m/0'\n",
        "m/99999999999'", "m" + "/0'" * 256,
    ],
)  # fmt: skip
def test_a_path_has_one_text(text: str) -> None:
    with pytest.raises(InputError) as raised:
        path_from_text(text)
    assert raised.value.code == "path.malformed"


def test_a_step_above_the_highest_is_refused() -> None:
    with pytest.raises(InputError) as raised:
        path_from_text("m/2147483648'")
    assert raised.value.code == "path.index"
