"""What only a real server can show: locks, races, dead connections, settings, and data it will not take."""

import asyncio
import re
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from time import monotonic
from typing import Any

import asyncpg
import msgspec
import pytest

from perps.journal import Entry, JournalRefused, JournalUnavailable, OwnershipLost, Row
from perps.rules.users import DEPOSITS_MAX
from persistence.errors import ShardTaken
from persistence.journal import history as postgres_history
from persistence.journal import look_ups
from persistence.journal.history import PostgresHistory
from persistence.journal.tables import FILLS, JOURNAL, LEGS, POSITIONS, PRICES
from persistence.journal.writer import STATEMENT_RECORDS_MAX, PostgresJournal
from persistence.reads.keys import PostgresKeys
from persistence.reads.queries import PostgresQueries
from tests.persistence.stores import PostgresBackend, looked_up, write
from tests.support.entries import Scribe
from tests.support.postgres import sql
from tests.support.slowness import in_time

both_ways = pytest.mark.parametrize("size", [3, STATEMENT_RECORDS_MAX + 1], ids=["statement", "copy"])

NOBODY = "postgresql://perps@/perps?host=/nowhere&port=1"
"""Where no server is."""


def deposits(scribe: Scribe, count: int) -> list[Entry]:
    if "ann" not in scribe.ledger.referrers:
        return [scribe.add_user("ann"), *(scribe.deposit("ann", 1) for _ in range(count - 1))]
    return [scribe.deposit("ann", 1) for _ in range(count)]


def test_a_second_owner_is_refused_within_two_seconds_and_told_why(
    postgres: PostgresBackend, database_url: str
) -> None:
    first = postgres.acquire()
    began = monotonic()
    with pytest.raises(ShardTaken, match="another venue serves this database"):
        PostgresJournal.acquire(database_url, wait_s=1.0)
    took = monotonic() - began
    assert took >= 1.0
    assert in_time(took, 2.0)
    first.append([Scribe().add_user("ann")])


def test_a_refused_owner_leaves_epoch_and_schema_alone(postgres: PostgresBackend, database_url: str) -> None:
    first = postgres.acquire()
    with pytest.raises(ShardTaken):
        PostgresJournal.acquire(database_url, wait_s=0)
    assert sql(database_url, "select epoch from owner")[0]["epoch"] == first.epoch


def test_shards_have_owners_of_their_own(postgres: PostgresBackend, database_url: str) -> None:
    first = postgres.acquire()
    with PostgresJournal.acquire(database_url, shard=1) as second:
        first.append([Scribe().add_user("ann")])
        scribe = Scribe()
        scribe.entries.clear()
        second.append([scribe.add_user("bob")])
    assert [row.user_id for row in PostgresHistory(database_url, shard=0).rows()] == ["ann"]
    assert [row.user_id for row in PostgresHistory(database_url, shard=1).rows()] == ["bob"]


def test_the_lock_is_free_when_the_owners_connection_dies(postgres: PostgresBackend, database_url: str) -> None:
    scribe, first = Scribe(), postgres.acquire()
    first.append(deposits(scribe, 2))
    sql(database_url, "select pg_terminate_backend($1, 5000)", first.backend_pid)
    second = postgres.acquire()
    assert (second.epoch, second.offset) == (2, 2)
    late = deposits(scribe, 1)
    with pytest.raises(JournalUnavailable):
        first.append(late)
    with pytest.raises(JournalUnavailable, match="closed"):
        first.append(late)
    assert len(list(postgres.history.rows())) == 2


def test_an_owner_at_rest_locks_no_table(postgres: PostgresBackend, database_url: str) -> None:
    scribe, journal = Scribe(), postgres.acquire()
    held = "select relation::regclass::text from pg_locks where pid = $1 and locktype = 'relation'"
    assert sql(database_url, held, journal.backend_pid) == []
    for size in (1, STATEMENT_RECORDS_MAX + 1):
        batch = deposits(scribe, size)
        journal.append(batch)
        with pytest.raises(JournalRefused):
            journal.append(batch)
        taken = [msgspec.structs.replace(entry, row=altered_offset(entry, size)) for entry in batch]
        with pytest.raises(JournalRefused):
            journal.append(taken)
        assert sql(database_url, held, journal.backend_pid) == []


def altered_offset(entry: Entry, by: int) -> Row:
    """The entry's row, further on: the server will find its client id and stream place taken."""
    return msgspec.structs.replace(entry.row, offset=entry.row.offset + by)


def wait_until_blocked(url: str, pid: int | None) -> None:
    """Return once the server process waits for a lock."""
    query = "select wait_event_type = 'Lock' as blocked from pg_stat_activity where pid = $1"
    deadline = monotonic() + 10
    while not sql(url, query, pid)[0]["blocked"]:
        assert monotonic() < deadline, "it never waited"


@both_ways
def test_an_append_that_meets_a_take_over_not_committed_yet_waits_for_it_and_writes_nothing(
    postgres: PostgresBackend, database_url: str, size: int
) -> None:
    scribe, journal = Scribe(), postgres.acquire()
    journal.append(deposits(scribe, 1))
    before = postgres.query_rows()
    batch = deposits(scribe, size)

    def race(pool: ThreadPoolExecutor) -> Future[None]:
        async def take_over() -> Future[None]:
            connection = await asyncpg.connect(database_url)
            async with connection.transaction():
                await connection.execute("update owner set epoch = epoch + 1")
                append = pool.submit(journal.append, batch)
                await asyncio.to_thread(wait_until_blocked, database_url, journal.backend_pid)
                assert not append.done()
            await connection.close()
            return append

        return asyncio.run(take_over())

    with ThreadPoolExecutor(max_workers=1) as pool, pytest.raises(OwnershipLost):
        race(pool).result(timeout=10)
    assert len(list(postgres.history.rows())) == 1
    assert postgres.query_rows() == before


@both_ways
def test_a_take_over_undone_lets_the_append_through(postgres: PostgresBackend, database_url: str, size: int) -> None:
    scribe, journal = Scribe(), postgres.acquire()
    batch = deposits(scribe, size)

    async def start_and_undo(pool: ThreadPoolExecutor) -> Future[None]:
        connection = await asyncpg.connect(database_url)
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("update owner set epoch = epoch + 1")
        append = pool.submit(journal.append, batch)
        await asyncio.to_thread(wait_until_blocked, database_url, journal.backend_pid)
        await transaction.rollback()
        await connection.close()
        return append

    with ThreadPoolExecutor(max_workers=1) as pool:
        asyncio.run(start_and_undo(pool)).result(timeout=10)
    assert len(list(postgres.history.rows())) == size


@both_ways
def test_an_append_that_takes_too_long_is_in_doubt_and_ends_the_journal(database_url: str, size: int) -> None:
    scribe = Scribe()
    journal = PostgresJournal.acquire(database_url, append_timeout_s=0.2)
    batch = deposits(scribe, size)

    async def hold_the_table() -> None:
        connection = await asyncpg.connect(database_url)
        async with connection.transaction():
            await connection.execute("lock table journal in exclusive mode")
            began = monotonic()
            with pytest.raises(JournalUnavailable) as raised:
                await asyncio.to_thread(journal.append, batch)
            assert not isinstance(raised.value, JournalRefused)
            assert in_time(monotonic() - began, 2.0)
        await connection.close()

    asyncio.run(hold_the_table())
    with pytest.raises(JournalUnavailable, match="closed"):
        journal.append(batch)
    with PostgresJournal.acquire(database_url) as again:
        assert again.offset == len(list(PostgresHistory(database_url).rows()))
        assert again.offset in (0, size)


@both_ways
def test_a_number_no_column_holds_is_refused_before_anything_is_written(postgres: PostgresBackend, size: int) -> None:
    scribe, journal = Scribe(), postgres.acquire()
    good = deposits(scribe, size)
    poisoned = msgspec.structs.replace(good[-1], row=msgspec.structs.replace(good[-1].row, market_seq=2**63))
    with pytest.raises(JournalRefused):
        journal.append([*good[:-1], poisoned])
    assert list(postgres.history.rows()) == []
    journal.append(good)
    assert len(list(postgres.history.rows())) == size


def test_a_price_with_a_reason_that_text_cannot_hold_is_stored_all_the_same(postgres: PostgresBackend) -> None:
    scribe, journal = Scribe(), postgres.acquire()
    scribe.list_market()
    scribe.price(5_000_100, reason="a\x00b")
    journal.append(scribe.entries)
    assert [row.payload for row in postgres.history.rows()] == [entry.row.payload for entry in scribe.entries]


@both_ways
def test_amounts_at_the_edge_of_64_bits_are_stored_exactly(
    postgres: PostgresBackend, database_url: str, size: int
) -> None:
    scribe, journal = Scribe(), postgres.acquire()
    scribe.add_user("ann", deposit=DEPOSITS_MAX - 2 * size)
    for _ in range(size):
        scribe.deposit("ann", 1)
    journal.append(scribe.entries)
    balance = DEPOSITS_MAX - size
    last = sql(database_url, 'select * from legs order by "offset" desc limit 1')[0]
    assert (last["source_balance"], last["target_balance"]) == (-balance, balance)


def test_history_is_read_page_by_page_to_its_end(
    postgres: PostgresBackend, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = Scribe().live(100)
    write(postgres.acquire(), entries)
    monkeypatch.setattr(postgres_history, "BATCH_ROWS", 7)
    monkeypatch.setattr(look_ups, "KEYS_MAX", 7)
    history = PostgresHistory(database_url)
    assert list(history.rows(after=3)) == [entry.row for entry in entries[3:]]
    assert list(history.rows_of("BTC-PERP")) == [entry.row for entry in entries if entry.row.stream == "BTC-PERP"]
    keys = [(entry.row.user_id, entry.row.client_order_id) for entry in entries]
    asked = [(user, which) for user, which in keys if user is not None and which is not None]
    assert {which: offset for (_, which), (offset, _) in looked_up(history, asked).items()} == {
        entry.row.client_order_id: entry.row.offset for entry in entries if entry.row.client_order_id is not None
    }


def test_the_next_page_is_read_while_the_last_is_taken_in_and_its_error_comes_in_its_place(
    postgres: PostgresBackend, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = Scribe().live(30)
    write(postgres.acquire(), entries)
    monkeypatch.setattr(postgres_history, "BATCH_ROWS", 10)
    history, asked, second = PostgresHistory(database_url), list[int](), Event()
    fetch = history._fetch

    def counted(query: str, *values: Any) -> list[Any]:
        asked.append(values[1])
        if len(asked) == 2:
            second.set()
        if len(asked) == 3:
            raise JournalUnavailable("gone")
        return fetch(query, *values)

    monkeypatch.setattr(history, "_fetch", counted)
    rows = history.rows()
    assert next(rows) == entries[0].row
    assert second.wait(10)
    assert [next(rows) for _ in range(19)] == [entry.row for entry in entries[1:20]]
    with pytest.raises(JournalUnavailable, match="gone"):
        next(rows)
    assert asked == [0, 10, 20]


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(JournalUnavailable):
        PostgresJournal.acquire(NOBODY)
    with pytest.raises(JournalUnavailable):
        list(PostgresHistory(NOBODY).rows())
    with pytest.raises(JournalUnavailable):
        looked_up(PostgresHistory(NOBODY), [("ann", "id")])
    with pytest.raises(JournalUnavailable):
        asyncio.run(PostgresQueries(NOBODY).open())
    with pytest.raises(JournalUnavailable):
        asyncio.run(PostgresKeys(NOBODY).load())


async def test_a_closed_read_side_is_unavailable(postgres: PostgresBackend) -> None:
    queries = postgres.queries()
    with pytest.raises(JournalUnavailable):
        await queries.row(1)


def test_records_have_the_columns_of_their_tables(postgres: PostgresBackend, database_url: str) -> None:
    postgres.acquire()
    query = "select attname from pg_attribute where attrelid = $1::text::regclass and attnum > 0 order by attnum"
    for table in (JOURNAL, FILLS, LEGS, PRICES, POSITIONS):
        assert tuple(name for (name,) in sql(database_url, query, table.record_type)) == table.columns
        stored = {*table.columns, "shard"}
        assert {name for (name,) in sql(database_url, query, table.part(0))} == stored


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The plan of each query asked, as text."""
    found: list[str] = []
    fetch = PostgresQueries._fetch

    async def explained(self: PostgresQueries, query: str, *values: object) -> list[asyncpg.Record]:
        found.append("\n".join(line[0] for line in await fetch(self, f"explain {query}", *values)))
        return await fetch(self, query, *values)

    monkeypatch.setattr(PostgresQueries, "_fetch", explained)
    return found


@pytest.fixture
def a_long_day(postgres: PostgresBackend, database_url: str) -> None:
    write(postgres.acquire(), Scribe().live(6000, users=40), sizes=[1000])
    sql(database_url, "analyze")


async def test_every_list_is_read_from_an_index(postgres: PostgresBackend, a_long_day: None, plans: list[str]) -> None:
    queries, place = postgres.queries(), (5000, 0)
    await queries.open()
    for before in (None, place):
        await queries.fills(user="user3", before=before, limit=5)
        await queries.fills(ticker="ETH-PERP", before=before, limit=5)
        await queries.fills(ticker="ETH-PERP", kinds=["liquidation"], before=before, limit=5)
        await queries.transactions("user3", before=before, limit=5)
        await queries.prices("ETH-PERP", before=before, limit=5)
        for status in ("open", "closed", "all"):
            await queries.positions("user3", status=status, before=before, limit=5)
    await queries.rows_after(3000, 5)
    await queries.row(3000)
    newest = (await queries.prices("ETH-PERP", limit=1))[0].at
    await queries.candles("ETH-PERP", interval_ms=60_000, start_ms=0, end_ms=newest, limit=5)
    await queries.close()
    assert len(plans) >= 15
    sorts = re.compile(r"-> {2}Sort .*\n *Sort Key: (fill|leg|changed|positions)|Hash Join")
    assert [plan for plan in plans if "Seq Scan" in plan or sorts.search(plan)] == []
    assert sum("using fills_0_liquidations on" in plan for plan in plans) == 2


@pytest.mark.parametrize("size", [1, STATEMENT_RECORDS_MAX + 1])
def test_a_value_that_cannot_be_encoded_refuses_its_batch_and_the_session_is_as_good_as_before(
    postgres: PostgresBackend, size: int
) -> None:
    scribe, journal = Scribe(), postgres.acquire()
    scribe.add_user("ann")
    for _ in range(size):
        scribe.deposit("ann", 1)
    first = scribe.entries[0]
    bad = msgspec.structs.replace(first, row=msgspec.structs.replace(first.row, at=2**70))
    with pytest.raises(JournalRefused):
        journal.append([bad, *scribe.entries[1:]])
    journal.append(scribe.entries)
