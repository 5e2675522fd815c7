"""A journal that is not what was written: the venue does not start, and names the row that cannot be believed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from persistence.journal.writer import PostgresJournal
from tests.endtoend.conftest import Venues
from tests.persistence.stores import write
from tests.support.entries import Scribe
from tests.support.faults import fault
from tests.support.postgres import fill, sql

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

ROWS: Final = 200
ROW: Final = 100
"""The one that is harmed."""
FAR: Final = 500_000
"""Beyond the last row, and in the same partition."""


@pytest.fixture
def copy(database_url: str) -> str:
    """A database with a market day in its journal, for this test alone."""

    def day(url: str) -> None:
        with PostgresJournal.acquire(url) as journal:
            write(journal, Scribe(epoch=journal.epoch).live(ROWS))

    fill(database_url, "day", day)
    return database_url


HARM: Final = {
    "payload": "payload = set_byte(payload, length(payload) / 2, get_byte(payload, length(payload) / 2) # 1)",
    "balance": "user_balance = coalesce(user_balance, 0) + 1",
    "sender": "user_id = 'mallory'",
    "time": "at = at + 1",
    "epoch": "epoch = epoch - 1",
    "hash": "hash = set_byte(hash, 31, get_byte(hash, 31) # 1)",
    "version": "schema_version = schema_version + 1",
}
"""One change of a row each; of bits, one bit."""

EXCHANGE: Final = """
    with taken as (delete from journal where "offset" in ($1::bigint, $1 + 1) returning *),
        whole as (select * from taken order by "offset"),
        moved as (select to_jsonb(whole) || jsonb_build_object('offset', 2 * $1 + 1 - "offset") as fields from whole)
    insert into journal select (jsonb_populate_record(null::journal, fields)).* from moved
"""


@fault("journal row altered", "I1", "I5", "I6")
@pytest.mark.parametrize("change", HARM.values(), ids=HARM.keys())
def test_a_venue_does_not_start_on_a_journal_with_an_altered_row(venues: Venues, copy: str, change: str) -> None:
    sql(copy, f'update journal set {change} where "offset" = $1', ROW)
    assert_refused(venues, copy, ROW)


@fault("journal row missing", "I1", "I5", "I6")
@pytest.mark.parametrize("row", [1, ROW])
def test_a_venue_does_not_start_on_a_journal_with_a_missing_row(venues: Venues, copy: str, row: int) -> None:
    sql(copy, 'delete from journal where "offset" = $1', row)
    assert_refused(venues, copy, row)


@fault("journal row missing, those after it moved up", "I1", "I5", "I6")
def test_a_venue_does_not_start_on_a_journal_that_was_closed_up_over_a_gap(venues: Venues, copy: str) -> None:
    """Numbers without a gap do not make a chain."""
    sql(copy, 'delete from journal where "offset" = $1', ROW)
    sql(copy, 'update journal set "offset" = "offset" + $1 where "offset" > $2', FAR, ROW)  # in whatever order they lie
    sql(copy, 'update journal set "offset" = "offset" - $1 - 1 where "offset" > $1', FAR)
    assert_refused(venues, copy, ROW)


@fault("journal rows exchanged", "I1", "I5", "I6")
def test_a_venue_does_not_start_on_a_journal_with_two_rows_exchanged(venues: Venues, copy: str) -> None:
    sql(copy, EXCHANGE, ROW)
    assert_refused(venues, copy, ROW)


def assert_refused(venues: Venues, database: str, row: int) -> None:
    """One line that names the row, exit code 1, and the journal is as it was."""
    before = rows_of(database)
    venue = venues(database_url=database)
    venue.spawn()
    assert venue.wait_exit() == 1, venue.tail()
    said = [line for line in lines_of(venue.log) if not line.startswith("{")]
    assert len(said) == 1, said
    assert said[0].startswith(f"perps: error: journal row {row}: ")
    assert rows_of(database) == before


def rows_of(database: str) -> list[object]:
    """How many rows, and what they are."""
    return list(
        sql(
            database, "select count(*), sha256(string_agg(journal::text, ',' order by \"offset\")::bytea) from journal"
        )[0]
    )


def lines_of(log: Path) -> list[str]:
    """What was logged."""
    return log.read_text().splitlines()
