"""A data directory serves one venue, and says which."""

from __future__ import annotations

import fcntl
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from web.process import data_directory
from web.process.data_directory import CannotStart, DataDirectory, without_venue


def test_a_second_venue_learns_which_process_has_the_directory(tmp_path: Path) -> None:
    first = DataDirectory(tmp_path)

    for _ in range(2):
        with pytest.raises(CannotStart, match=f"another venue \\(process {os.getpid()}\\) runs on the data directory"):
            DataDirectory(tmp_path)

    first.close()
    DataDirectory(tmp_path).close()


def test_a_new_directory_is_no_matter_of_git(tmp_path: Path) -> None:
    """It holds the administrator's key, and may lie in a clone of something."""
    DataDirectory(tmp_path / "first").close()

    assert (tmp_path / "first" / ".gitignore").read_text() == "*\n"


def test_what_lies_in_a_directory_already_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    DataDirectory(tmp_path).close()

    assert not (tmp_path / ".gitignore").exists()


def test_a_lock_without_a_process_id_is_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_directory, "NAMELESS_WAIT_S", 0.2)
    first = DataDirectory(tmp_path)
    (tmp_path / "venue.lock").write_text("")

    with pytest.raises(CannotStart, match="another venue runs on the data directory"):
        DataDirectory(tmp_path)

    first.close()


def test_a_venue_waits_for_who_keeps_venues_away_for_a_moment_and_kills_nobody(tmp_path: Path) -> None:
    (tmp_path / "venue.lock").write_text("1\n")  # as a venue that was killed leaves it
    kept, done = threading.Event(), threading.Event()

    def keep() -> bool:
        with without_venue(tmp_path) as alone:
            kept.set()
            assert done.wait(10)
            return alone

    with ThreadPoolExecutor() as pool:
        keeping = pool.submit(keep)
        assert kept.wait(10)
        starting = pool.submit(DataDirectory, tmp_path)
        with pytest.raises(TimeoutError):
            starting.result(timeout=0.2)
        done.set()
        assert keeping.result(10)
        starting.result(10).close()


def test_a_venue_waits_for_a_command_that_looks_whether_one_runs(tmp_path: Path) -> None:
    """Such a command shares the lock for an instant, and the process that is named there was killed before."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    (tmp_path / "venue.lock").write_text(f"{dead.pid}\n")
    with ThreadPoolExecutor() as pool, (tmp_path / "venue.lock").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        starting = pool.submit(DataDirectory, tmp_path)
        with pytest.raises(TimeoutError):
            starting.result(timeout=0.2)
        fcntl.flock(looking, fcntl.LOCK_UN)
        starting.result(10).close()


def test_a_venue_that_runs_is_not_kept_away(tmp_path: Path) -> None:
    venue = DataDirectory(tmp_path)
    with without_venue(tmp_path) as alone:
        assert not alone
    assert (tmp_path / "venue.lock").read_text() == f"{os.getpid()}\n"
    venue.close()


@pytest.mark.parametrize("key", ["", "fifteen-letters"])
def test_an_admin_key_that_could_be_guessed_is_refused(key: str, tmp_path: Path) -> None:
    (tmp_path / "admin.key").write_text(f"{key}\n")
    directory = DataDirectory(tmp_path)

    with pytest.raises(CannotStart, match=r"admin\.key is shorter than 16 characters: delete the file"):
        directory.admin_key()
    directory.close()


def test_an_admin_key_of_sixteen_characters_is_taken(tmp_path: Path) -> None:
    (tmp_path / "admin.key").write_text("sixteen-letters!\n")
    directory = DataDirectory(tmp_path)

    assert directory.admin_key() == "sixteen-letters!"
    directory.close()
