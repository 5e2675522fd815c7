"""A running venue is found, and no key follows an address that somebody else could have written or that is old."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.conftest import Event
from web.process import running_venues as places
from web.process.data_directory import DataDirectory
from web.process.running_venues import NotTrusted, RunningVenue, announce, running_venues, venue_on

KEY = "an-admin-key-of-the-tests"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's running venues are named."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "perps" / "venues"


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory that this process holds, as a venue does."""
    directory = DataDirectory(tmp_path / "data")
    (directory.path / "admin.key").write_text(KEY)
    yield directory.path
    directory.close()


def here(data_dir: Path) -> RunningVenue:
    return RunningVenue("127.0.0.1", 8001, os.getpid(), data_dir)


def test_a_venue_is_found_while_it_runs(data_dir: Path, cache: Path) -> None:
    assert (running_venues(), venue_on(data_dir)) == ([], None)
    take_back = announce(data_dir, "127.0.0.1", 8001)
    assert running_venues() == [here(data_dir)]
    assert venue_on(data_dir) == here(data_dir)

    take_back()
    assert (running_venues(), venue_on(data_dir)) == ([], None)
    assert list(cache.iterdir()) == []


def test_it_is_found_by_a_link_to_its_directory(data_dir: Path, tmp_path: Path) -> None:
    announce(data_dir, "127.0.0.1", 8001)
    (tmp_path / "link").symlink_to(data_dir)
    assert venue_on(tmp_path / "link") == here(data_dir)


def test_no_file_holds_the_key_and_others_read_none(data_dir: Path, cache: Path) -> None:
    announce(data_dir, "127.0.0.1", 8001)
    files = [data_dir / "venue.address", *cache.iterdir()]
    assert len(files) == 2
    for file in files:
        assert KEY not in file.read_text()
        assert file.stat().st_mode & 0o077 == 0
    assert cache.stat().st_mode & 0o077 == 0


def test_the_address_of_a_venue_that_was_killed_is_not_believed(tmp_path: Path) -> None:
    """Its process id may be another's by now, and its port too."""
    directory = DataDirectory(tmp_path / "data")
    announce(directory.path, "127.0.0.1", 8001)
    directory.close()
    assert (running_venues(), venue_on(directory.path)) == ([], None)


def test_what_killed_venues_have_left_goes_when_the_next_one_starts(
    data_dir: Path, tmp_path: Path, cache: Path
) -> None:
    directory = DataDirectory(tmp_path / "killed")
    announce(directory.path, "127.0.0.1", 8001)
    directory.close()
    announce(data_dir, "127.0.0.1", 8001)
    assert [Path(file.read_text()) for file in cache.iterdir()] == [data_dir]


@pytest.mark.parametrize("wrong", [{"pid": 1}, {"machine": "another"}, {"port": "x"}, {"port": None}])
def test_an_address_of_another_process_or_machine_is_not_believed(data_dir: Path, wrong: dict[str, Any]) -> None:
    announce(data_dir, "127.0.0.1", 8001)
    right = {"host": "127.0.0.1", "port": 8001, "pid": os.getpid(), "machine": socket.gethostname()}
    (data_dir / "venue.address").write_bytes(msgspec.json.encode(right))
    assert venue_on(data_dir) == here(data_dir)
    (data_dir / "venue.address").write_bytes(msgspec.json.encode(right | wrong))
    assert (running_venues(), venue_on(data_dir)) == ([], None)


def writable_address(data_dir: Path) -> None:
    (data_dir / "venue.address").chmod(0o622)


def writable_data_directory(data_dir: Path) -> None:
    data_dir.chmod(0o770)


def address_that_is_a_pipe(data_dir: Path) -> None:
    (data_dir / "venue.address").unlink()
    os.mkfifo(data_dir / "venue.address")


def writable_cache(cache: Path) -> None:
    cache.chmod(0o777)


def writable_pointer(cache: Path) -> None:
    next(cache.iterdir()).chmod(0o666)


@pytest.mark.parametrize("plant", [writable_address, writable_data_directory, address_that_is_a_pipe])
def test_an_address_that_others_could_have_written_is_not_believed(
    data_dir: Path, plant: Callable[[Path], None]
) -> None:
    announce(data_dir, "127.0.0.1", 8001)
    plant(data_dir)
    assert running_venues() == []
    with pytest.raises(NotTrusted, match=r"other users can write to|is not a file"):
        venue_on(data_dir)


def test_a_link_in_place_of_an_address_is_not_followed(data_dir: Path, tmp_path: Path) -> None:
    announce(data_dir, "127.0.0.1", 8001)
    moved = (data_dir / "venue.address").rename(tmp_path / "moved")
    (data_dir / "venue.address").symlink_to(moved)
    assert (running_venues(), venue_on(data_dir)) == ([], None)


@pytest.mark.parametrize("plant", [writable_cache, writable_pointer])
def test_nobody_else_can_add_a_venue_to_those_that_run(
    data_dir: Path, cache: Path, plant: Callable[[Path], None]
) -> None:
    announce(data_dir, "127.0.0.1", 8001)
    plant(cache)
    assert running_venues() == []
    assert venue_on(data_dir) == here(data_dir)


def test_files_of_another_user_are_not_believed(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    announce(data_dir, "127.0.0.1", 8001)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert running_venues() == []
    with pytest.raises(NotTrusted, match="belongs to another user"):
        venue_on(data_dir)


def test_a_venue_in_a_directory_that_others_write_to_runs_and_says_why_it_is_not_found(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Event] = []
    monkeypatch.setattr(places.log, "warning", lambda event, **fields: said.append({"event": event, **fields}))
    data_dir.chmod(0o777)
    announce(data_dir, "127.0.0.1", 8001)()
    (line,) = said
    assert line["event"] == "venue.not_announced"
    assert line["reason"] == f"other users can write to {data_dir}: chmod go-w {data_dir}"
    assert not (data_dir / "venue.address").exists()


def test_a_user_without_a_place_for_files_finds_the_venue_by_its_directory(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    take_back = announce(data_dir, "127.0.0.1", 8001)
    assert (running_venues(), venue_on(data_dir)) == ([], here(data_dir))
    take_back()
