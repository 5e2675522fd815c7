"""A data directory serves one venue, and says which."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from web.data_directory import CannotStart, DataDirectory


def test_a_second_venue_learns_which_process_has_the_directory(tmp_path: Path) -> None:
    first = DataDirectory(tmp_path)

    for _ in range(2):
        with pytest.raises(CannotStart, match=f"another venue \\(process {os.getpid()}\\) runs on the data directory"):
            DataDirectory(tmp_path)

    first.close()
    DataDirectory(tmp_path).close()


def test_a_lock_without_a_process_id_is_a_lock(tmp_path: Path) -> None:
    first = DataDirectory(tmp_path)
    (tmp_path / "venue.lock").write_text("")

    with pytest.raises(CannotStart, match="another venue runs on the data directory"):
        DataDirectory(tmp_path)

    first.close()
