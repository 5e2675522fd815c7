"""Stored candles are what the fills and prices beside them make, whatever happened on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import pytest

from perps.journal import Entry, JournalRefused
from perps.query_rows import CandleRecord
from persistence.journal.selections import columns
from persistence.journal.tables import CANDLES
from persistence.journal.writer import STATEMENT_RECORDS_MAX, PostgresJournal
from persistence.reads.queries import PostgresQueries
from tests.support.candles import HOUR, MINUTE, TICKERS, restless, slow_records
from tests.support.memory import MemoryQueries, MemoryStore
from tests.support.postgres import sql

BEFORE_CANDLES = 5
"""The migrations before the one that makes them."""


def stored(url: str, shard: int = 0) -> list[CandleRecord]:
    query = f'select {columns(CANDLES.columns)} from candles where shard = $1 order by "offset", n'
    records = [CandleRecord(*found) for found in sql(url, query, shard)]
    return [msgspec.structs.replace(record, volume=int(record.volume)) for record in records]


def write_at_once(url: str, entries: Sequence[Entry]) -> None:
    with PostgresJournal.acquire(url) as journal:
        journal.append(entries)


def refuse(journal: PostgresJournal, entries: Sequence[Entry]) -> None:
    """Have the server refuse these rows: the last one has the place of the first."""
    *good, last = entries
    twin = msgspec.structs.replace(last.row, stream=entries[0].row.stream, market_seq=entries[0].row.market_seq)
    with pytest.raises(JournalRefused):
        journal.append([*good, msgspec.structs.replace(last, row=twin)])


@pytest.mark.parametrize("seed", range(4))
def test_they_are_exact_through_batches_of_any_size_and_restarts_and_refusals(database_url: str, seed: int) -> None:
    random, scribe, start = Random(seed), restless(500, seed), 0
    journal = PostgresJournal.acquire(database_url)
    scribe.epoch = journal.epoch
    while start < len(scribe.entries):
        batch = scribe.entries[start : start + random.choice([1, 1, 1, 2, 5, 40])]
        if random.random() < 0.3 and len(batch) > 1:
            refuse(journal, batch)
        journal.append(batch)
        start += len(batch)
        if random.random() < 0.1:
            journal.close()
            sql(database_url, "update owner set epoch = 0")  # the same epoch again: the rows have been made already
            journal = PostgresJournal.acquire(database_url)
    journal.close()

    assert stored(database_url) == slow_records(scribe.entries)


def test_a_batch_that_travels_by_copy_writes_them_too(database_url: str) -> None:
    scribe = restless(STATEMENT_RECORDS_MAX, seed=9)
    write_at_once(database_url, scribe.entries)

    assert stored(database_url) == slow_records(scribe.entries)


@pytest.mark.parametrize("ticker", TICKERS)
async def test_those_of_every_length_and_span_are_made_of_them_as_of_all_events(database_url: str, ticker: str) -> None:
    scribe, memory = restless(700, seed=5), MemoryStore()
    await asyncio.to_thread(write_at_once, database_url, scribe.entries)
    memory.acquire().append(scribe.entries)
    queries, slow, random = PostgresQueries(database_url), MemoryQueries(memory), Random(7)
    await queries.open()
    first, last = scribe.entries[0].row.at, scribe.entries[-1].row.at
    for number in range(250):
        ends = sorted(random.randrange(first - HOUR, last + HOUR) for _ in range(2))
        asked: dict[str, Any] = {
            "interval_ms": random.choice([1, 5, 15, 60, 240, 1440]) * MINUTE,
            "start_ms": random.choice([0, ends[0]]),
            "end_ms": random.choice([ends[1], 2 * last, random.choice(scribe.entries).row.at + 1]),
            "limit": random.choice([0, 1, 2, 7, 500]),
            "newest": bool(number % 2),
        }
        assert await queries.candles(ticker, **asked) == await slow.candles(ticker, **asked), asked
    await queries.close()


def test_a_database_of_before_gets_them_of_its_fills_and_prices_and_says_how_far_it_is(database_url: str) -> None:
    shards = {0: restless(600, seed=3), 7: restless(300, seed=4)}
    for shard, scribe in shards.items():
        with PostgresJournal.acquire(database_url, shard=shard) as journal:
            journal.append(scribe.entries[:-100])
    sql(database_url, "drop table candles")
    sql(database_url, "drop type candles_record")
    sql(database_url, "delete from schema_migrations where version = $1", BEFORE_CANDLES + 1)
    said: list[str] = []

    for shard, scribe in shards.items():
        scribe.epoch = 2
        with PostgresJournal.acquire(database_url, shard=shard, say=said.append) as journal:
            assert stored(database_url, shard) == slow_records(scribe.entries[:-100])
            journal.append([replaced(entry) for entry in scribe.entries[-100:]])

    assert {shard: stored(database_url, shard) for shard in shards} == {
        shard: slow_records(scribe.entries) for shard, scribe in shards.items()
    }
    assert said[:2] == ["migration 0006_candles", "making the candles of BTC-PERP: market 1 of 2"]


def replaced(entry: Entry) -> Entry:
    """The entry in the epoch of the second owner."""
    return msgspec.structs.replace(entry, row=msgspec.structs.replace(entry.row, epoch=2))
