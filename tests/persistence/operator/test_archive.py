"""Files of archived rows: whole, or known to be broken before one of their rows is believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from perps.journal import GENESIS, JournalUnavailable, Row
from persistence.operator import archive
from persistence.operator.archive import ArchiveBroken, ArchiveReader, check_file, read_rows, write_file
from tests.support.entries import Scribe


@pytest.fixture(scope="module")
def day() -> list[Row]:
    """The rows of a day, and not of a database."""
    return [entry.row for entry in Scribe().live(100)]


@pytest.fixture
def small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of several frames."""
    monkeypatch.setattr(archive, "FRAME_ROWS", 7)


def test_rows_come_back_from_a_file_byte_for_byte(day: list[Row], tmp_path: Path, small_frames: None) -> None:
    found = write_file(tmp_path, 3, iter(day), GENESIS)
    assert list(read_rows(found)) == day
    assert check_file(found.path) == found
    assert (found.shard, found.first, found.last, found.rows) == (3, 1, day[-1].offset, len(day))
    assert (found.at_min, found.at_max) == (min(row.at for row in day), max(row.at for row in day))
    assert (found.previous_hash, found.last_hash) == (GENESIS, day[-1].hash)


def test_a_file_is_smaller_than_its_rows(day: list[Row], tmp_path: Path) -> None:
    found = write_file(tmp_path, 0, iter(day), GENESIS)
    assert found.path.stat().st_size < len(msgspec.msgpack.encode(day)) * 2 // 3
    assert found.path.stat().st_mode & 0o077 == 0


def test_one_bit_turned_anywhere_is_noticed_and_the_file_is_named(
    day: list[Row], tmp_path: Path, small_frames: None
) -> None:
    found = write_file(tmp_path, 0, iter(day), GENESIS)
    whole = found.path.read_bytes()
    for place in (*range(0, 250, 3), *range(250, len(whole), len(whole) // 60), len(whole) - 1):
        broken = bytearray(whole)
        broken[place] ^= 1
        found.path.write_bytes(broken)
        with pytest.raises(ArchiveBroken, match=found.path.name):
            check_file(found.path)
    found.path.write_bytes(whole)
    assert check_file(found.path) == found


@pytest.mark.parametrize("size", [0, 5, 100, 250, -1, -500])
def test_a_file_cut_short_is_noticed(day: list[Row], tmp_path: Path, size: int) -> None:
    found = write_file(tmp_path, 0, iter(day), GENESIS)
    found.path.write_bytes(found.path.read_bytes()[:size])
    with pytest.raises(ArchiveBroken, match=found.path.name):
        check_file(found.path)


def test_a_file_with_something_behind_it_is_noticed(day: list[Row], tmp_path: Path) -> None:
    found = write_file(tmp_path, 0, iter(day), GENESIS)
    found.path.write_bytes(found.path.read_bytes() + b"x")
    with pytest.raises(ArchiveBroken, match="bytes where"):
        check_file(found.path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda rows: rows[:50] + rows[51:], "row 52 where row 51 must follow"),
        (lambda rows: [*rows[:50], rows[49], *rows[50:]], "row 50 where row 51 must follow"),
        (lambda rows: [*rows[:50], msgspec.structs.replace(rows[50], at=1), *rows[51:]], "hash of row 51"),
    ],
    ids=["lost", "doubled", "altered"],
)
def test_a_whole_file_of_wrong_rows_is_noticed(
    day: list[Row], tmp_path: Path, change: Callable[[list[Row]], list[Row]], problem: str
) -> None:
    found = write_file(tmp_path, 0, change(day), GENESIS)
    with pytest.raises(ArchiveBroken, match=problem):
        check_file(found.path)


def test_a_file_that_begins_behind_another_row_than_it_says_is_noticed(day: list[Row], tmp_path: Path) -> None:
    found = write_file(tmp_path, 0, day[10:], day[8].hash)
    with pytest.raises(ArchiveBroken, match="hash of row 11"):
        check_file(found.path)


def test_a_file_that_is_broken_at_its_end_does_not_give_its_first_row(
    day: list[Row], tmp_path: Path, small_frames: None
) -> None:
    found = write_file(tmp_path, 0, iter(day), GENESIS)
    whole = bytearray(found.path.read_bytes())
    whole[-1] ^= 1
    found.path.write_bytes(whole)
    with pytest.raises(ArchiveBroken, match="checksum"):
        next(ArchiveReader(tmp_path).rows())


def test_a_write_that_is_cut_off_leaves_nothing_under_the_name(day: list[Row], tmp_path: Path) -> None:
    def cut_off() -> Iterator[Row]:
        yield from day[:30]
        raise JournalUnavailable("x")

    with pytest.raises(JournalUnavailable):
        write_file(tmp_path, 0, cut_off(), GENESIS)
    assert list(tmp_path.glob("*.rows")) == []
    assert check_file(write_file(tmp_path, 0, day, GENESIS).path).rows == len(day)
    assert [path.suffix for path in tmp_path.iterdir()] == [".rows"]


@pytest.fixture
def three(day: list[Row], tmp_path: Path) -> ArchiveReader:
    """Three files of one journal."""
    for start, end in ((0, 30), (30, 60), (60, 90)):
        write_file(tmp_path, 0, day[start:end], day[start - 1].hash if start else GENESIS)
    return ArchiveReader(tmp_path)


def test_all_files_read_as_one_journal(three: ArchiveReader, day: list[Row]) -> None:
    assert (three.first, three.last, three.last_hash) == (1, 90, day[89].hash)
    for after in (0, 1, 29, 30, 31, 89, 90, 1000):
        assert list(three.rows(after)) == day[after:90]


def test_the_last_row_until_a_time_is_found(three: ArchiveReader, day: list[Row]) -> None:
    for row in (day[0], day[29], day[30], day[45], day[89]):
        assert three.last_until(row.at) == max(other.offset for other in day[:90] if other.at <= row.at)
    assert three.last_until(day[0].at - 1) == 0
    assert three.last_until(2**62) == 90


def test_a_missing_file_is_noticed(three: ArchiveReader, tmp_path: Path) -> None:
    three.files[1].path.unlink()
    with pytest.raises(ArchiveBroken, match="does not follow row 30"):
        ArchiveReader(tmp_path)


def test_a_file_of_another_journal_is_noticed(three: ArchiveReader, tmp_path: Path) -> None:
    others = [entry.row for entry in Scribe().live(100, seed=5)]
    write_file(tmp_path, 0, others[30:60], others[29].hash)
    with pytest.raises(ArchiveBroken, match="does not follow row 30"):
        ArchiveReader(tmp_path)


def test_a_file_under_another_name_is_noticed(three: ArchiveReader, tmp_path: Path) -> None:
    three.files[2].path.rename(tmp_path / archive.file_name(0, 91, 120))
    with pytest.raises(ArchiveBroken, match="other rows than its name says: 61 to 90"):
        ArchiveReader(tmp_path)


def test_a_directory_without_files_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(ArchiveBroken, match="no archived rows"):
        ArchiveReader(tmp_path)
    with pytest.raises(ArchiveBroken, match="no archived rows"):
        ArchiveReader(tmp_path / "nowhere")
