"""A file that is written part by part: there whole or not at all, and never in another one's place unasked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from walletcli.errors import InputError, StorageError
from walletcli.wallet.files import NewFile


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with nothing in it."""
    path = tmp_path / "empty"
    path.mkdir()
    return path


def test_a_file_appears_when_it_is_whole(place: Path) -> None:
    path = place / "file"
    with NewFile(str(path)) as file:
        file.write(b"one ")
        file.write(b"two")
        assert not path.exists()
        file.commit()
    assert path.read_bytes() == b"one two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(place) == ["file"]


def test_what_is_not_finished_leaves_nothing(place: Path) -> None:
    with NewFile(str(place / "file")) as file:
        file.write(b"half")
    assert os.listdir(place) == []


def test_a_restart_forgets_what_was_written(place: Path) -> None:
    path = place / "file"
    with NewFile(str(path)) as file:
        file.write(b"something long")
        file.restart()
        file.write(b"new")
        file.commit()
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("kind", ["file", "directory", "dangling link"])
def test_what_is_there_stays(place: Path, kind: str) -> None:
    path = place / "thing"
    if kind == "file":
        path.write_bytes(b"mine")
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(place / "nowhere")
    with pytest.raises(InputError) as error:
        NewFile(str(path))
    assert error.value.code == "file.exists"
    assert os.listdir(place) == ["thing"]


def test_what_came_meanwhile_stays(place: Path) -> None:
    path = place / "file"
    with NewFile(str(path)) as file:
        file.write(b"ours")
        path.write_bytes(b"somebody else's")
        with pytest.raises(InputError) as error:
            file.commit()
    assert error.value.code == "file.exists"
    assert path.read_bytes() == b"somebody else's"
    assert os.listdir(place) == ["file"]


def test_a_file_is_replaced_when_told(place: Path) -> None:
    path = place / "file"
    path.write_bytes(b"old")
    with NewFile(str(path), replace=True) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
        file.commit()
    assert path.read_bytes() == b"new"


def test_a_directory_that_is_not_there_is_named(place: Path) -> None:
    with pytest.raises(StorageError) as error:
        NewFile(str(place / "nowhere" / "file"))
    assert error.value.code == "storage.failed"
