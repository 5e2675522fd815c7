"""``perps verify`` where the first rows are in the archive, and in a journal of several partitions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import astuple

from perps.journal import Row
from persistence.journal.tables import JOURNAL
from persistence.operator.archive import ArchiveReader
from persistence.operator.archiving import Archiver, Rule
from tests.persistence.partitioned import save_snapshot, stored_day
from tests.support.postgres import sql
from tests.tools.audit.conftest import Stored, run_json
from tools.cli import main

Captured = pytest.CaptureFixture[str]
ROWS, PARTITION_ROWS, SNAPSHOT = 200, 40, 130
ARCHIVED = 120
"""Three partitions end before the snapshot."""


@pytest.fixture
def archived(database_url: str, tmp_path: Path) -> Path:
    """The directory of an archive that has the first partitions of a market day."""
    save_snapshot(database_url, stored_day(database_url, ROWS, PARTITION_ROWS), SNAPSHOT)
    directory = tmp_path / "archive"
    with Archiver(database_url, directory) as archiver:
        leaving, _ = archiver.plan(Rule(not_after=2**62))
        assert [archiver.archive(partition).last for partition in leaving][-1] == ARCHIVED
    return directory


def problems(url: str, directory: Path, capsys: Captured) -> list[dict[str, Any]]:
    code, answer = run_json(capsys, "verify", "--database-url", url, "--archive", str(directory), "--json")
    assert (code == 0) is answer["ok"]
    found: list[dict[str, Any]] = answer["problems"]
    return found


def test_archived_rows_and_those_behind_them_are_verified_as_one_journal(
    archived: Path, database_url: str, capsys: Captured
) -> None:
    arguments = ("verify", "--database-url", database_url, "--archive", str(archived), "--json")
    assert run_json(capsys, *arguments) == (0, {"ok": True, "offset": ROWS, "problems": []})


def test_without_the_archive_it_is_said_where_the_rows_went(
    archived: Path, database_url: str, capsys: Captured
) -> None:
    assert main(["verify", "--database-url", database_url]) == 1
    said = capsys.readouterr().err
    assert f"rows 1 to {ARCHIVED} are in the archive ({archived}" in said


def test_a_query_table_altered_behind_an_archived_row_is_found(
    archived: Path, database_url: str, capsys: Captured
) -> None:
    sql(database_url, 'update legs set amount = amount + 1 where "offset" = 5 and n = 0')

    (problem,) = problems(database_url, archived, capsys)
    assert (problem["offset"], "legs: record 5-0" in problem["problem"]) == (5, True)


def test_a_row_altered_behind_the_archive_is_found(archived: Path, database_url: str, capsys: Captured) -> None:
    sql(database_url, "update journal set kind = 'x' where \"offset\" = $1", ARCHIVED + 1)

    (problem,) = problems(database_url, archived, capsys)
    assert (problem["offset"], "its hash" in problem["problem"]) == (ARCHIVED + 1, True)


def test_a_file_of_the_archive_with_a_bit_flipped_is_found(archived: Path, database_url: str, capsys: Captured) -> None:
    path = sorted(archived.iterdir())[1]
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))

    found = problems(database_url, archived, capsys)
    assert any(str(path) in problem["problem"] for problem in found)
    assert any(problem.get("offset") == PARTITION_ROWS + 1 for problem in found)


@pytest.fixture
def kept(archived: Path, database_url: str) -> list[Row]:
    """Archived rows that have not left the database, as after a restore of its older backup."""
    rows = [row for row in ArchiveReader(archived).rows() if row.offset > 2 * PARTITION_ROWS]
    first, end = rows[0].offset, rows[-1].offset + 1
    sql(database_url, f"create table journal_{first} (like journal including all)")
    sql(database_url, f"alter table journal attach partition journal_{first} for values from ({first}) to ({end})")
    values = ", ".join(f"${number}" for number in range(1, len(JOURNAL.columns) + 1))
    for row in rows:
        sql(database_url, f"insert into journal values ({values})", 0, *astuple(row))
    return rows


def test_rows_that_are_in_the_archive_and_in_the_database_may_be_in_both(
    archived: Path, kept: list[Row], database_url: str, capsys: Captured
) -> None:
    assert len(kept) == PARTITION_ROWS
    assert problems(database_url, archived, capsys) == []


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ("payload = payload || '\\x00'", "payload"),
        ("kind = 'x', user_id = null", "kind and user_id"),
        ("hash = ''", "hash"),
    ],
)
def test_a_row_that_is_not_the_same_in_the_archive_and_in_the_database_is_named(
    change: str, fields: str, archived: Path, kept: list[Row], database_url: str, capsys: Captured
) -> None:
    row = next(row for row in kept[5:] if row.user_id is not None and row.stream == "BTC-PERP")
    sql(database_url, f'update journal set {change} where "offset" = $1', row.offset)

    (problem,) = problems(database_url, archived, capsys)
    assert problem == {
        "problem": f"database and archive have different rows here: {fields} differ",
        "offset": row.offset,
        "ticker": "BTC-PERP",
    }


def test_the_last_row_of_the_archive_is_compared_too(
    archived: Path, kept: list[Row], database_url: str, capsys: Captured
) -> None:
    sql(database_url, 'update journal set epoch = 99 where "offset" = $1', kept[-1].offset)

    (problem,) = problems(database_url, archived, capsys)
    assert problem["offset"] == ARCHIVED


def test_an_archive_that_is_not_there_is_one_line(
    archived: Path, database_url: str, tmp_path: Path, capsys: Captured
) -> None:
    assert main(["verify", "--database-url", database_url, "--archive", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("perps: error: there are no archived rows in ")


def test_a_client_order_id_in_two_partitions_is_found(database_url: str, capsys: Captured) -> None:
    stored_day(database_url, ROWS, PARTITION_ROWS)
    stored = Stored(database_url, None)  # type: ignore[arg-type]
    rows = stored.rows()
    first = next(row for row in rows if row.kind == "open" and row.user_id == "user1")
    later = next(row for row in rows[PARTITION_ROWS * 3 :] if row.kind == "open" and row.user_id == "user1")
    stored.change(later.offset, client_order_id=first.client_order_id)
    stored.chain(later.offset)

    code, answer = run_json(capsys, "verify", "--database-url", database_url, "--json")
    assert code == 1
    (problem,) = answer["problems"]
    assert problem["offset"] == later.offset
    assert (
        f"user1 used the client order id {first.client_order_id} more than once: rows {first.offset} and"
        in problem["problem"]
    )


def test_a_streams_number_in_two_partitions_is_found(database_url: str, capsys: Captured) -> None:
    stored_day(database_url, ROWS, PARTITION_ROWS)
    stored = Stored(database_url, None)  # type: ignore[arg-type]
    rows = stored.rows()
    later = next(row for row in rows[PARTITION_ROWS * 3 :] if row.stream == "BTC-PERP")
    stored.change(later.offset, market_seq=1)
    stored.chain(later.offset)

    _, answer = run_json(capsys, "verify", "--database-url", database_url, "--json")
    assert answer["problems"][0]["offset"] == later.offset
    assert "BTC-PERP sequence 1 where" in answer["problems"][0]["problem"]
