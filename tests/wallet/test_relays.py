"""The list of relays, and the files that the wallet writes."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from walletcli.errors import FormatError, InputError, NetworkError, StorageError
from walletcli.wallet.files import read_file, write_file
from walletcli.wallet.home import Home, default_path
from walletcli.wallet.relays import FIRST_LINE, add_relay, chosen_relays, list_relays, remove_relay


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(str(tmp_path / "home"))


def test_addresses_are_kept_in_their_order(home: Home) -> None:
    assert list_relays(home) == []
    add_relay(home, "https://b.example")
    add_relay(home, " HTTPS://A.example/ ")
    assert add_relay(home, "https://b.example:443") == ["https://b.example", "https://a.example"]
    assert remove_relay(home, "https://b.example") == ["https://a.example"]
    assert list_relays(home) == ["https://a.example"]


def test_the_file_says_what_it_is_and_is_the_owners(home: Home) -> None:
    add_relay(home, "https://a.example")
    path = Path(home.relays_path)
    assert path.read_text() == f"{FIRST_LINE}\nhttps://a.example\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_is_no_address_or_not_there_is_refused(home: Home) -> None:
    with pytest.raises(InputError) as refused:
        add_relay(home, "ftp://a.example")
    assert refused.value.code == "address.malformed"
    with pytest.raises(InputError) as refused:
        remove_relay(home, "https://a.example")
    assert refused.value.code == "relay.unknown"


def test_a_hundred_is_the_most(home: Home) -> None:
    lines = [FIRST_LINE, *(f"https://r{number}.example" for number in range(100))]
    home.make()
    Path(home.relays_path).write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError) as refused:
        add_relay(home, "https://one-more.example")
    assert refused.value.code == "relay.too-many"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"https://a.example\n",
        FIRST_LINE.encode() + b"\nnonsense\n",
        FIRST_LINE.encode() + b"\n\xff\n",
        bytes(70_000),
    ],
)
def test_a_list_that_is_not_right_says_where(home: Home, content: bytes) -> None:
    home.make()
    Path(home.relays_path).write_bytes(content)
    with pytest.raises(FormatError) as refused:
        list_relays(home)
    assert refused.value.code == "relays.malformed"
    assert home.relays_path in refused.value.hint


def test_comments_and_empty_lines_are_skipped(home: Home) -> None:
    home.make()
    Path(home.relays_path).write_text(f"{FIRST_LINE}\n\n# mine\nhttps://a.example\n")
    assert list_relays(home) == ["https://a.example"]


def test_adding_at_once_loses_none(home: Home) -> None:
    names = [f"https://r{number}.example" for number in range(20)]
    threads = [threading.Thread(target=add_relay, args=(home, name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(list_relays(home)) == sorted(names)


def test_named_relays_come_before_the_list(home: Home) -> None:
    with pytest.raises(NetworkError) as refused:
        chosen_relays(home, ())
    assert refused.value.code == "relay.none"
    add_relay(home, "https://a.example")
    assert [str(address) for address in chosen_relays(home, ())] == ["https://a.example"]
    named = chosen_relays(home, ("https://b.example", "https://b.example:443"))
    assert [str(address) for address in named] == ["https://b.example"]


def test_the_default_home_is_the_platforms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import platformdirs

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_path() == platformdirs.user_data_dir("walletcli", appauthor=False)
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_path() == platformdirs.user_data_dir("walletcli", appauthor=False)
    assert Home.at(None).path == default_path()
    assert Home.at("x").path == os.path.abspath("x")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "directory" / "file"
    path.parent.mkdir()
    write_file(str(path), b"one")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(InputError) as refused:
        write_file(str(path), b"two", replace=False)
    assert refused.value.code == "file.exists"
    write_file(str(path), b"three")
    assert read_file(str(path), 5) == b"three"
    assert os.listdir(path.parent) == ["file"]


def test_files_that_cannot_be_had_are_told(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(bytes(11))
    for name, code in (("none", "file.missing"), ("", "file.unreadable"), ("long", "file.too-long")):
        with pytest.raises(InputError) as refused:
            read_file(str(tmp_path / name), 10)
        assert refused.value.code == code
    with pytest.raises(StorageError) as failed:
        write_file(str(tmp_path / "none" / "file"), b"x")
    assert failed.value.code == "storage.failed"


def test_the_dht_stands_in_the_list_once_and_goes_by_its_name(home: Home) -> None:
    add_relay(home, "https://a.example")
    own = add_relay(home, "dht://127.0.0.1:6881")
    assert own == ["https://a.example", "dht://127.0.0.1:6881"]
    assert add_relay(home, "dht://127.0.0.1:6881") == own
    with pytest.raises(InputError) as refused:
        add_relay(home, "dht")
    assert (refused.value.code, refused.value.hint) == ("relay.one-dht", "first: walletcli relay remove dht")
    with pytest.raises(InputError):
        remove_relay(home, "dht://127.0.0.1:6882")
    assert [address.to_text() for address in chosen_relays(home, ())] == own
    assert remove_relay(home, "dht") == ["https://a.example"]
    with pytest.raises(InputError):
        remove_relay(home, "dht")
