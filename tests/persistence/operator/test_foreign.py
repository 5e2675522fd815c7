"""A question to somebody else's database: it changes nothing, starts nothing, and has an end."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from perps.journal import JournalUnavailable
from persistence.operator import foreign
from persistence.operator.foreign import ask
from tests.support.postgres import sql
from tests.support.slowness import in_time


@pytest.fixture
def anybodys() -> Iterator[Path]:
    """A directory in which the database server may write too."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        os.chmod(name, 0o777)
        yield Path(name)


@pytest.mark.parametrize(
    "query",
    [
        "copy (select 1) to program 'touch {}'",
        "copy theirs from program 'touch {}'",
        "copy (select 'x') to '{}'",
        "select 1) a; copy (select 1) to program 'touch {}'; select * from (select 1",
        "with gone as (delete from theirs returning *) select * from gone",
        "delete from theirs returning *",
        "insert into theirs values (2) returning *",
        "select * into copied from theirs",
        "select nextval('counter')",
        "select set_config('transaction_read_only', 'off', true), nextval('counter')",
        "do $$ begin delete from theirs; end $$",
        "vacuum",
        "set default_transaction_read_only = off",
        "commit",
        "select",
        "",
        "-- nothing",
    ],
)
def test_only_a_query_is_asked(query: str, database_url: str, anybodys: Path) -> None:
    sql(database_url, "create table theirs as select 1 as n")
    sql(database_url, "create sequence counter")
    made = anybodys / "made"

    with pytest.raises(JournalUnavailable, match="asking the other database: "):
        ask(database_url, query.format(made), 10)
    assert not made.exists()
    assert [tuple(row) for row in sql(database_url, "select n from theirs")] == [(1,)]
    assert sql(database_url, "select is_called from counter")[0][0] is False


@pytest.mark.parametrize(
    "query",
    [
        "select 1 as a, null as b",
        "  select 1 as a, null as b ; ",
        "select 1 as a, null as b -- so far",
        "with one as (select 1 as a) select a, null as b from one order by a limit 5",
    ],
)
def test_a_query_may_be_written_in_any_way(query: str, database_url: str) -> None:
    assert ask(database_url, query, 10) == (["a", "b"], [["1", ""]])


def test_values_are_told_with_every_digit_and_times_so_that_they_can_be_read(database_url: str) -> None:
    name = sql(database_url, "select current_database()")[0][0]
    sql(database_url, f"alter database {name} set datestyle = 'German, DMY'")
    sql(database_url, f"alter database {name} set extra_float_digits = -5")
    query = (
        "select 0.1::float8, 12345678901234567890.123456789012345678::numeric,"
        " '2026-11-22T17:40:00Z'::timestamptz, '2026-11-22'::date, array[1, 2], true"
    )

    ((*values,),) = ask(database_url, query, 10)[1]
    assert values == [
        "0.1",
        "12345678901234567890.123456789012345678",
        "2026-11-22 17:40:00+00",
        "2026-11-22",
        "{1,2}",
        "true",
    ]


def test_no_more_rows_than_asked_for_are_read_and_no_longer_values(database_url: str) -> None:
    began = monotonic()
    _, rows = ask(database_url, "select generate_series(1, 1000000000000) n, repeat('x', 100000)", 2_500)

    assert [row[0] for row in rows] == [str(n) for n in range(1, 2_501)]
    assert {len(row[1]) for row in rows} == {foreign.CELL_CHARS_MAX}
    assert in_time(monotonic() - began, 15)


def test_an_answer_of_too_much_text_is_given_up(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "CHARS_MAX", 2_000_000)
    with pytest.raises(JournalUnavailable, match="more than 2000000 characters"):
        ask(database_url, "select repeat('x', 1000) from generate_series(1, 1000000)", 1_000_000)


@pytest.mark.parametrize(
    "query", ["select pg_sleep(60)::text", "select count(*) from (select generate_series(1, 1000000000000)) n"]
)
def test_an_answer_that_does_not_come_is_given_up(
    query: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "QUERY_TIMEOUT_S", 1.0)
    began = monotonic()
    with pytest.raises(JournalUnavailable, match=r"no answer within 1 s|statement timeout"):
        ask(database_url, query, 10)
    assert in_time(monotonic() - began, 10)


def test_text_that_is_not_utf_8_is_told(database_url: str) -> None:
    sql(database_url, "create cast (bytea as text) without function")
    with pytest.raises(JournalUnavailable, match="not UTF-8"):
        ask(database_url, r"select '\xff'::bytea::text", 10)
