"""``perps restore`` of an archive and a database: one journal where they meet, or nothing at all."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from perps.journal import Entry
from persistence.journal.history import PostgresHistory
from tests.support.postgres import database_url, fresh_database, server_url, sql
from tests.tools.archive.partitioned_venue import ARCHIVED, hash_at, stored_venue
from tests.tools.archive.restored import Captured, archived, contents, is_empty, new_url, refusal, restore, stored
from tools.cli import main

__all__ = ["archived", "database_url", "new_url", "server_url", "stored"]


def test_archive_and_database_are_one_journal(
    stored: list[Entry], archived: Path, database_url: str, new_url: str, capsys: Captured
) -> None:
    answer = restore(capsys, "--database-url", database_url, "--archive", str(archived), "--into", new_url)
    assert answer["stateHash"] == hash_at(stored, stored[-1].row.offset)
    assert list(PostgresHistory(new_url).rows()) == [entry.row for entry in stored]
    assert {name: rows for name, rows in contents(new_url).items() if name != "journal"} == {
        name: rows for name, rows in contents(database_url).items() if name != "journal"
    }


def test_an_archive_alone_is_restored_to_its_end(
    stored: list[Entry], archived: Path, new_url: str, capsys: Captured
) -> None:
    answer = restore(capsys, "--archive", str(archived), "--archive-only", "--into", new_url)
    assert (answer["offset"], answer["stateHash"]) == (ARCHIVED[-1], hash_at(stored, ARCHIVED[-1]))


def test_without_the_archive_its_place_is_told(
    archived: Path, database_url: str, new_url: str, capsys: Captured
) -> None:
    line = refusal(capsys, "--database-url", database_url, "--into", new_url)
    assert f"rows up to {ARCHIVED[-1]} ({archived}/" in line
    assert is_empty(new_url)


def test_an_archive_that_ends_too_early_is_told(
    archived: Path, database_url: str, new_url: str, capsys: Captured
) -> None:
    max(archived.iterdir()).unlink()
    line = refusal(capsys, "--database-url", database_url, "--archive", str(archived), "--into", new_url)
    assert "journal row 81: it is in the archive" in line
    assert is_empty(new_url)


@pytest.fixture
def anothers(server_url: str, tmp_path: Path, capsys: Captured) -> Path:
    """The archive of another journal."""
    with fresh_database(server_url) as other:
        stored_venue(other, begin_ms=1_600_000_000_000)
        assert main(["archive", "--database-url", other, "--to", str(tmp_path)]) == 0
    return tmp_path


@pytest.mark.parametrize(
    ("left", "wanted", "meeting"),
    [(200, None, ARCHIVED[-1]), (200, 50, 50), (100, None, 100), (100, 110, 100), (100, 7, 7)],
    ids=["where the archive ends", "where the wanted end", "where the database ends", "before the wanted", "earlier"],
)
def test_an_archive_of_another_journal_is_refused_where_the_two_meet(
    left: int,
    wanted: int | None,
    meeting: int,
    stored: list[Entry],
    anothers: Path,
    database_url: str,
    new_url: str,
    capsys: Captured,
) -> None:
    sql(database_url, 'delete from journal where "offset" > $1', left)
    until = () if wanted is None else ("--to-offset", str(wanted))
    line = refusal(capsys, "--database-url", database_url, "--archive", str(anothers), "--into", new_url, *until)
    assert f"journal row {meeting}: it is in the archive and in the database, and not the same row" in line
    assert is_empty(new_url)


def test_a_header_that_claims_the_right_last_hash_vouches_for_no_row(
    stored: list[Entry], anothers: Path, database_url: str, new_url: str, capsys: Captured
) -> None:
    """The header's own checksum is no secret."""
    last = max(anothers.iterdir())
    whole, hash_place = last.read_bytes(), slice(84, 116)
    header = bytearray(whole[:148])
    header[hash_place] = stored[ARCHIVED[-1] - 1].row.hash
    last.write_bytes(bytes(header) + sha256(header).digest() + whole[180:])
    sql(database_url, 'delete from journal where "offset" > $1', ARCHIVED[-1])

    line = refusal(capsys, "--database-url", database_url, "--archive", str(anothers), "--into", new_url)

    assert f"journal row {ARCHIVED[-1]}: it is in the archive and in the database, and not the same row" in line
    assert is_empty(new_url)


def test_an_archive_goes_on_where_an_older_database_ends(
    stored: list[Entry], server_url: str, archived: Path, new_url: str, capsys: Captured
) -> None:
    with fresh_database(server_url) as older:
        stored_venue(older)
        sql(older, 'delete from journal where "offset" > 100')
        answer = restore(capsys, "--database-url", older, "--archive", str(archived), "--into", new_url)
    assert (answer["offset"], answer["stateHash"]) == (ARCHIVED[-1], hash_at(stored, ARCHIVED[-1]))
