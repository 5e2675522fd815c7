"""A journal with every event there is can be verified and restored; wrong records of its funding are named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from perps.params import Mode
from perps.venue import VenueState
from persistence.journal.writer import PostgresJournal
from tests.golden.files import load_rows, versions
from tests.support.postgres import database_url, fresh_database, server_url, sql
from tests.tools.audit.conftest import run_json
from tools.cli import main

__all__ = ["database_url", "server_url"]

Captured = pytest.CaptureFixture[str]

TABLES = ("journal", "fills", "legs", "prices", "positions", "funding", "candles")
_NEWEST = '"offset" = (select max("offset") from funding)'
DAMAGES = {
    "update funding set paid = paid + 1 where " + _NEWEST: "paid is",
    "update funding set rate = -rate where " + _NEWEST: "rate is",
    "update funding set index_price = 1 where " + _NEWEST: "index_price is",
    "delete from funding where " + _NEWEST: "is missing",
    'insert into funding select "offset", n + 9, at, ticker, hour_at, funding_index, paid, rate, index_price, shard'
    " from funding where " + _NEWEST: "no row implies it",
}


@pytest.fixture
def stored(database_url: str) -> str:
    """The database of the recorded session of the present version."""
    state = VenueState()
    entries = [state.apply(row) for row in load_rows(versions()[-1])]
    with PostgresJournal.acquire(database_url) as journal:
        journal.append(entries)
    assert Mode.SETTLED in {market.mode for market in state.markets.values()}
    return database_url


@pytest.fixture
def new_url(server_url: str) -> Iterator[str]:
    """A new, empty database."""
    with fresh_database(server_url) as url:
        yield url


def test_it_is_in_order_and_the_same_again_when_it_is_restored(stored: str, new_url: str, capsys: Captured) -> None:
    code, _ = run_json(capsys, "verify", "--json", "--database-url", stored)
    assert code == 0
    assert main(["restore", "--database-url", stored, "--into", new_url]) == 0

    for table in TABLES:
        found, restored = (sorted(sql(url, f"select * from {table}"), key=repr) for url in (stored, new_url))
        assert found == restored, table
        assert found, table
    code, _ = run_json(capsys, "verify", "--json", "--database-url", new_url)
    assert code == 0


@pytest.mark.parametrize(("damage", "words"), DAMAGES.items(), ids=DAMAGES.values())
def test_a_record_of_funding_that_is_not_its_rows_is_named(
    stored: str, capsys: Captured, damage: str, words: str
) -> None:
    ((offset,),) = sql(stored, 'select max("offset") from funding')
    sql(stored, damage)
    code, told = run_json(capsys, "verify", "--json", "--database-url", stored)

    assert code == 1
    (finding,) = told["problems"]
    assert finding["offset"] == offset
    assert finding["problem"].startswith(f"funding: record {offset}-")
    assert words in finding["problem"]
