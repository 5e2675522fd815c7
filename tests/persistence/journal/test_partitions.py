"""The journal in partitions: what every journal must do, across many of them; how they come to be; what they cost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import monotonic, sleep

import asyncpg
import msgspec
import pytest

from perps.journal import Entry, JournalRefused, JournalUnavailable
from persistence.errors import OtherPartitions
from persistence.journal import history as postgres_history
from persistence.journal import look_ups, selections
from persistence.journal.history import PostgresHistory
from persistence.journal.partitions import PARTITION_ROWS, Partition, make_partitions, partitions
from persistence.journal.writer import STATEMENT_RECORDS_MAX, PostgresJournal
from persistence.migrate import migrate, migrations
from tests.persistence.journal.test_journal_contract import (
    test_a_client_id_finds_the_row_that_answered_it,
    test_a_gap_in_the_offsets_is_refused,
    test_a_stream_has_its_own_rows_in_order,
    test_an_iterator_left_half_way_leaves_the_store_usable,
    test_an_owner_after_a_take_over_writes_nothing_more,
    test_every_ownership_has_a_higher_epoch_and_goes_on_where_the_last_one_ended,
    test_one_row_reads_back_as_it_was_written,
    test_rows_after_an_offset_are_the_rest,
    test_rows_of_any_batch_read_back_byte_for_byte_and_replay,
    test_the_hash_of_a_row_is_found_by_its_offset,
)
from tests.persistence.partitioned import TinyPartitions, shrink, stored_day
from tests.persistence.stores import Store, looked_up
from tests.support.entries import Scribe
from tests.support.postgres import fresh_database, sql

__all__ = [
    "test_a_client_id_finds_the_row_that_answered_it",
    "test_a_gap_in_the_offsets_is_refused",
    "test_a_stream_has_its_own_rows_in_order",
    "test_an_iterator_left_half_way_leaves_the_store_usable",
    "test_an_owner_after_a_take_over_writes_nothing_more",
    "test_every_ownership_has_a_higher_epoch_and_goes_on_where_the_last_one_ended",
    "test_one_row_reads_back_as_it_was_written",
    "test_rows_after_an_offset_are_the_rest",
    "test_rows_of_any_batch_read_back_byte_for_byte_and_replay",
    "test_the_hash_of_a_row_is_found_by_its_offset",
]

TINY = 40
WAIT_S = 10.0

both_ways = pytest.mark.parametrize("size", [100, STATEMENT_RECORDS_MAX + 1], ids=["statement", "copy"])


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """For the contract: PostgreSQL in tiny partitions."""
    tiny = TinyPartitions(database_url, TINY)
    yield tiny
    tiny.end()


@pytest.fixture
def tiny(database_url: str) -> Iterator[TinyPartitions]:
    """A store of tiny partitions, empty."""
    made = TinyPartitions(database_url, TINY)
    yield made
    made.end()


def partitions_of(url: str) -> list[Partition]:
    async def ask() -> list[Partition]:
        connection = await asyncpg.connect(url)
        try:
            return await partitions(connection)
        finally:
            await connection.close()

    return asyncio.run(ask())


def make(url: str, offset: int, rows: int) -> int:
    async def work() -> int:
        connection = await asyncpg.connect(url)
        try:
            return await make_partitions(connection, offset, rows)
        finally:
            await connection.close()

    return asyncio.run(work())


def wait_for_partitions(url: str, count: int) -> list[Partition]:
    deadline = monotonic() + WAIT_S
    while len(found := partitions_of(url)) < count:
        assert monotonic() < deadline, found
        sleep(0.01)
    return found


def apply_first(url: str, count: int) -> None:
    """Migrate a database with the first migrations only."""

    async def work() -> None:
        connection = await asyncpg.connect(url)
        await migrate(connection, migrations()[:count])
        await connection.close()

    asyncio.run(work())


def test_a_fresh_database_has_one_partition(database_url: str) -> None:
    with PostgresJournal.acquire(database_url) as journal:
        journal.append([Scribe().add_user("ann")])
    assert partitions_of(database_url) == [Partition(1, PARTITION_ROWS, "journal_1")]


def test_a_journal_of_the_version_before_becomes_the_first_partition_untouched(database_url: str) -> None:
    apply_first(database_url, 2)
    scribe = Scribe()
    entries = list(scribe.live(60))
    for entry in entries:
        insertion = f"insert into journal values (0, {', '.join(f'${n}' for n in range(1, 14))})"
        sql(database_url, insertion, *msgspec.structs.astuple(entry.row))
    sql(database_url, "insert into owner values (0, 1)")
    before = [file_of(database_url, name) for name in ("journal", "journal_offset")]

    with PostgresJournal.acquire(database_url) as journal:
        assert (journal.epoch, journal.offset) == (2, len(entries))
        scribe.epoch = 2
        journal.append([scribe.deposit("user1", 1)])

    names = ("journal_1", "journal_1_offset")
    assert [file_of(database_url, name) for name in names] == before, "rows were written anew"
    assert partitions_of(database_url) == [Partition(1, PARTITION_ROWS, "journal_1")]
    assert list(PostgresHistory(database_url).rows()) == [entry.row for entry in scribe.entries]


def file_of(url: str, name: str) -> int:
    return int(sql(url, f"select pg_relation_filenode('{name}')")[0][0])


@pytest.mark.parametrize(
    ("last", "room"), [(1, PARTITION_ROWS), (PARTITION_ROWS, PARTITION_ROWS), (PARTITION_ROWS + 1, 2 * PARTITION_ROWS)]
)
def test_the_first_partition_of_a_longer_journal_ends_where_a_partition_would(
    database_url: str, last: int, room: int
) -> None:
    apply_first(database_url, 2)
    row = msgspec.structs.replace(Scribe().add_user("ann").row, offset=last)
    insertion = f"insert into journal values (0, {', '.join(f'${n}' for n in range(1, 14))})"
    sql(database_url, insertion, *msgspec.structs.astuple(row))
    sql(database_url, "insert into owner values (0, 1)")
    PostgresJournal.acquire(database_url).close()
    assert partitions_of(database_url)[0] == Partition(1, room, "journal_1")


def test_a_partition_that_was_made_has_the_constraints_of_the_first(database_url: str, tiny: TinyPartitions) -> None:
    make(database_url, TINY + 1, TINY)

    def shape(name: str) -> list[str]:
        found = sql(database_url, "select indexdef from pg_indexes where tablename = $1 order by 1", name)
        columns = sql(
            database_url,
            "select attname, atttypid, attnotnull, attstorage from pg_attribute"
            " where attrelid = $1::text::regclass and attnum > 0 order by attnum",
            name,
        )
        return [definition.replace(name, "") for (definition,) in found] + [str(tuple(column)) for column in columns]

    assert shape(f"journal_{TINY + 1}") == shape("journal_1")


@both_ways
def test_a_batch_may_span_several_partitions(database_url: str, tiny: TinyPartitions, size: int) -> None:
    scribe, journal = Scribe(), tiny.acquire()
    scribe.live(size)
    journal.append(scribe.entries)
    found = partitions_of(database_url)
    assert [partition.first for partition in found] == list(range(1, found[-1].last, TINY))
    assert len(found) >= len(scribe.entries) // TINY
    for partition in found[:-2]:
        assert sql(database_url, f"select count(*) from {partition.name}")[0][0] == TINY
    assert list(tiny.history.rows()) == [entry.row for entry in scribe.entries]


@both_ways
def test_a_refused_batch_across_partitions_leaves_no_row_in_any(tiny: TinyPartitions, size: int) -> None:
    scribe, journal = Scribe(), tiny.acquire()
    scribe.add_user("ann")
    entries = [scribe.deposit("ann", 1, client_order_id=f"id-{n}") for n in range(size)]
    twice = msgspec.structs.replace(entries[-1].row, client_order_id=entries[-2].row.client_order_id)
    bad = [scribe.entries[0], *entries[:-1], msgspec.structs.replace(entries[-1], row=twice)]
    with pytest.raises(JournalRefused):
        journal.append(bad)
    assert list(tiny.history.rows()) == []
    journal.append(scribe.entries)
    assert len(list(tiny.history.rows())) == len(scribe.entries)


@pytest.mark.parametrize("rows", [TINY - 1, TINY, TINY + 1, 2 * TINY])
def test_a_take_over_at_a_boundary_goes_on(database_url: str, rows: int) -> None:
    shrink(database_url, TINY)
    scribe = Scribe()
    scribe.add_user("ann")
    for _ in range(rows - 1):
        scribe.deposit("ann", 1)
    with PostgresJournal.acquire(database_url, partition_rows=TINY) as first:
        first.append(scribe.entries)
    with PostgresJournal.acquire(database_url, partition_rows=TINY) as second:
        assert second.offset == rows
        scribe.epoch = second.epoch
        for _ in range(3):
            second.append([scribe.deposit("ann", 1)])
    assert [row.offset for row in PostgresHistory(database_url).rows()] == list(range(1, rows + 4))


def test_the_next_partition_is_there_before_it_is_needed(database_url: str, tiny: TinyPartitions) -> None:
    scribe, journal = Scribe(), tiny.acquire()
    scribe.add_user("ann")
    for _ in range(TINY // 2):
        scribe.deposit("ann", 1)
    journal.append(scribe.since(0)[: TINY // 2])
    assert partitions_of(database_url) == [Partition(1, TINY, "journal_1")]
    journal.append(scribe.since(TINY // 2))
    found = wait_for_partitions(database_url, 2)
    assert found[1] == Partition(TINY + 1, 2 * TINY, f"journal_{TINY + 1}")


def test_readers_and_writers_of_the_journal_do_not_wait_for_a_partition_and_it_not_for_them(
    database_url: str, tiny: TinyPartitions
) -> None:
    scribe, journal = Scribe(), tiny.acquire()
    scribe.live(20)
    journal.append(scribe.entries[:10])

    async def together() -> None:
        reader, writer, maker = [await asyncpg.connect(database_url) for _ in range(3)]
        async with reader.transaction(), writer.transaction():
            await reader.fetch("select * from journal")
            fields = msgspec.structs.astuple(msgspec.structs.replace(scribe.entries[0].row, client_order_id="else"))
            insertion = f"insert into journal values (1, {', '.join(f'${n}' for n in range(1, 14))})"
            await writer.execute(insertion, *fields)
            async with maker.transaction():
                await make_partitions(maker, 3 * TINY, TINY)
                await asyncio.to_thread(journal.append, scribe.entries[10:15])
                assert len(await reader.fetch("select * from journal where shard = 0", timeout=5)) == 15
        for connection in (reader, writer, maker):
            await connection.close()

    asyncio.run(together())
    assert len(partitions_of(database_url)) == 3
    journal.append(scribe.entries[15:])
    assert list(tiny.history.rows()) == [entry.row for entry in scribe.entries]


def test_a_partition_that_cannot_be_made_stops_nothing_until_there_is_no_room(
    database_url: str, tiny: TinyPartitions
) -> None:
    scribe, journal = Scribe(), tiny.acquire()
    scribe.add_user("ann")
    for _ in range(TINY):
        scribe.deposit("ann", 1)

    async def under_a_lock() -> None:
        locker = await asyncpg.connect(database_url)
        async with locker.transaction():
            await locker.execute("lock table journal in share update exclusive mode")
            for entry in scribe.entries[:TINY]:
                await asyncio.to_thread(journal.append, [entry])
            with pytest.raises(JournalUnavailable, match="lock timeout"):
                await asyncio.to_thread(journal.append, scribe.entries[TINY:])
        await locker.close()

    asyncio.run(under_a_lock())
    again = tiny.acquire()
    assert again.offset == TINY
    scribe.epoch = again.epoch
    again.append([with_epoch(scribe, TINY, again.epoch)])
    assert len(list(tiny.history.rows())) == TINY + 1


def with_epoch(scribe: Scribe, index: int, epoch: int) -> Entry:
    entry = scribe.entries[index]
    return msgspec.structs.replace(entry, row=msgspec.structs.replace(entry.row, epoch=epoch))


def test_two_who_make_the_same_partition_make_it_once(database_url: str, tiny: TinyPartitions) -> None:
    async def both() -> list[int]:
        connections = [await asyncpg.connect(database_url) for _ in range(4)]
        made = await asyncio.gather(*(make_partitions(connection, 5 * TINY, TINY) for connection in connections))
        for connection in connections:
            await connection.close()
        return list(made)

    assert asyncio.run(both()) == [5 * TINY] * 4
    assert len(partitions_of(database_url)) == 5


def test_a_client_id_in_two_partitions_is_not_seen_by_the_database_and_its_first_answer_is_the_one(
    tiny: TinyPartitions,
) -> None:
    scribe, journal = Scribe(), tiny.acquire()
    scribe.add_user("ann")
    first = scribe.deposit("ann", 1, client_order_id="twice")
    for _ in range(TINY):
        scribe.deposit("ann", 1)
    scribe.deposit("ann", 1, client_order_id="twice")
    journal.append(scribe.entries)
    assert looked_up(tiny.history, [("ann", "twice")])["ann", "twice"][0] == first.row.offset


EXPLAINED = {
    "rows": (selections.ROWS_AFTER, (0, 0, postgres_history.BATCH_ROWS), "_offset"),
    "a stream": (postgres_history._ROWS_OF, (0, 0, postgres_history.BATCH_ROWS, "BTC-PERP"), "_stream_sequence"),
    "a hash": (selections.EPOCH_AND_HASH_AT, (0, 3 * TINY), "_offset"),
    "one answer": (look_ups.ANSWERS, (0, ["user1"], ["cl-7"]), "_client_order_id"),
    "many answers": (
        look_ups.ANSWERS,
        (0, ["user1"] * 1000, [f"cl-{n}" for n in range(1000)]),
        "_client_order_id",
    ),
}


@pytest.fixture(scope="module")
def day_url(server_url: str) -> Iterator[str]:
    """A day in partitions, one of them without statistics, like the one that is being written."""
    with fresh_database(server_url) as url:
        stored_day(url, 12 * TINY * 10, TINY * 10)
        for partition in partitions_of(url)[:-2]:
            sql(url, f"analyze {partition.name}")
        yield url


@pytest.mark.parametrize("what", EXPLAINED)
def test_look_ups_use_the_index_of_each_partition(day_url: str, what: str) -> None:
    query, values, index = EXPLAINED[what]
    plan = [line for (line,) in explained(day_url, query, *values)]
    scans = [line for line in plan if " on journal" in line]
    assert scans
    assert [line for line in scans if "Index" not in line or f"{index} on" not in line] == [], "\n".join(plan)
    assert [line for line in plan if "Sort  (" in line or "Hash Join" in line] == [], "\n".join(plan)


def explained(url: str, query: str, *values: object) -> list[asyncpg.Record]:
    async def ask(connection: asyncpg.Connection[asyncpg.Record]) -> list[asyncpg.Record]:
        return await connection.fetch(f"explain {query}", *values)

    return PostgresHistory(url)._run(ask)


def test_a_new_database_keeps_the_partitions_that_were_chosen_for_it(database_url: str) -> None:
    scribe = Scribe()
    scribe.add_user("ann")
    for _ in range(TINY):
        scribe.deposit("ann", 1)
    with PostgresJournal.acquire(database_url, partition_rows=TINY) as first:
        assert partitions_of(database_url) == [Partition(1, TINY, "journal_1")]
        first.append(scribe.entries)
    with PostgresJournal.acquire(database_url) as second:
        scribe.epoch = second.epoch
        second.append([scribe.deposit("ann", 1) for _ in range(TINY)])
    PostgresJournal.acquire(database_url, partition_rows=TINY).close()
    ends = [(found.first, found.last) for found in partitions_of(database_url)]
    assert ends[:3] == [(1, TINY), (TINY + 1, 2 * TINY), (2 * TINY + 1, 3 * TINY)]


@pytest.mark.parametrize("made_with", [None, TINY])
def test_another_number_is_refused_later_and_nothing_changes(database_url: str, made_with: int | None) -> None:
    PostgresJournal.acquire(database_url, partition_rows=made_with).close()
    before = partitions_of(database_url)
    has = made_with or PARTITION_ROWS
    with pytest.raises(OtherPartitions, match=f"made with --partition-rows {has}, which cannot be changed to 1000"):
        PostgresJournal.acquire(database_url, partition_rows=1000)
    assert partitions_of(database_url) == before
    with PostgresJournal.acquire(database_url) as journal:
        assert journal.epoch == 2


def test_a_journal_from_before_the_choice_has_the_usual_partitions(database_url: str) -> None:
    apply_first(database_url, 3)
    sql(database_url, "insert into owner values (0, 1)")
    with pytest.raises(OtherPartitions):
        PostgresJournal.acquire(database_url, partition_rows=TINY)
    with PostgresJournal.acquire(database_url, partition_rows=PARTITION_ROWS) as journal:
        assert journal.epoch == 2
