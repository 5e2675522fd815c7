"""Two shards in one database, with markets, users, client ids and positions of the same names: each sees its own."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from itertools import pairwise

import asyncpg
import pytest

from perps.journal import Entry, JournalUnavailable
from perps.money.accounts import user_account
from perps.snapshot.verification import Findings
from perps.venue import VenueState
from persistence.journal.history import PostgresHistory
from persistence.journal.rows import Pick, PostgresRows
from persistence.journal.writer import PostgresJournal
from persistence.migrate import migrate, migrations
from persistence.operator.audit import Audit
from persistence.operator.restoring import NewDatabase
from persistence.reads.queries import PostgresQueries
from tests.persistence.stores import Queries, write
from tests.support.entries import START_MS, Scribe
from tests.support.memory import MemoryQueries, MemoryStore
from tests.support.postgres import fresh_database, sql
from tools.audit.verify import check_database

BTC = "BTC-PERP"
SHARDS = (0, 7)
ROWS = 1200

Question = Callable[[Queries], Awaitable[object]]
QUESTIONS: dict[str, Question] = {
    "a user's trades": lambda queries: queries.fills(user="user1", limit=1000),
    "a user's trades, a later page": lambda queries: queries.fills(user="user1", before=(200, 0), limit=10),
    "a user's trades in a market": lambda queries: queries.fills(user="user1", ticker=BTC, limit=1000),
    "a market's trades": lambda queries: queries.fills(ticker=BTC, limit=1000),
    "a market's trades, a later page": lambda queries: queries.fills(ticker=BTC, before=(200, 0), limit=10),
    "a market's liquidations": lambda queries: queries.fills(ticker=BTC, kinds=["liquidation"], limit=1000),
    "a wallet's transactions": lambda queries: queries.transactions("user1", limit=5000),
    "a wallet's transactions, a later page": lambda queries: queries.transactions("user1", before=(200, 1), limit=10),
    "a market's prices": lambda queries: queries.prices(BTC, limit=1000),
    "a market's prices, a later page": lambda queries: queries.prices(BTC, before=(200, 0), limit=10),
    "a user's positions": lambda queries: queries.positions("user1", status="all", limit=1000),
    "a user's open positions": lambda queries: queries.positions("user1", status="open", ticker=BTC, limit=1000),
    "a position's owner": lambda queries: queries.owner("BTC-PERP-1"),
    "a market's candles": lambda queries: queries.candles(
        BTC, interval_ms=60_000, start_ms=0, end_ms=2 * START_MS, limit=1000
    ),
    "a row": lambda queries: queries.row(100),
    "rows after a row": lambda queries: queries.rows_after(100, 1000),
}


@pytest.fixture(scope="module")
def scribes() -> dict[int, Scribe]:
    """What happened in each shard."""
    found = {shard: Scribe() for shard in SHARDS}
    for shard, scribe in found.items():
        scribe.live(ROWS + shard, seed=3 + shard)
    return found


@pytest.fixture(scope="module")
def url(server_url: str, scribes: dict[int, Scribe]) -> Iterator[str]:
    """A database that both have written to, in turn: single rows, statements and a COPY."""
    with fresh_database(server_url) as url:
        journals = {shard: PostgresJournal.acquire(url, shard=shard) for shard in SHARDS}
        for start, end in pairwise((0, 1, 2, 10, 200, 2 * ROWS)):
            for shard, journal in journals.items():
                journal.append(scribes[shard].entries[start:end])
        for journal in journals.values():
            journal.close()
        yield url


@pytest.mark.parametrize("asked", QUESTIONS)
@pytest.mark.parametrize("shard", SHARDS)
async def test_the_read_side_answers_as_if_the_shard_were_alone(
    url: str, scribes: dict[int, Scribe], shard: int, asked: str
) -> None:
    alone = MemoryStore()
    write(alone.acquire(), scribes[shard].entries, sizes=[100])
    queries = PostgresQueries(url, shard)
    await queries.open()

    answer = await QUESTIONS[asked](queries)

    await queries.close()
    assert answer
    assert answer == await QUESTIONS[asked](MemoryQueries(alone))


async def test_a_question_reads_the_tables_of_its_shard_only(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[str] = []
    fetch = PostgresQueries._fetch

    async def explained(self: PostgresQueries, query: str, *values: object) -> list[asyncpg.Record]:
        plans.append("\n".join(line for (line,) in await fetch(self, f"explain {query}", *values)))
        return await fetch(self, query, *values)

    monkeypatch.setattr(PostgresQueries, "_fetch", explained)
    queries = PostgresQueries(url, 7)
    await queries.open()
    for _ in range(8):  # the server plans a statement anew five times, then considers to keep a plan for all shards
        for ask in QUESTIONS.values():
            await ask(queries)
    await queries.close()

    tables = [table for plan in plans for table in re.findall(r" on (\w+)", plan)]
    assert {"fills_7", "legs_7", "prices_7", "positions_7"} <= set(tables)
    assert [name for name in tables if name.partition("_")[2].startswith("0")] == []


def test_the_two_have_the_same_names_and_not_the_same_past(scribes: dict[int, Scribe]) -> None:
    """Otherwise nothing is shown here."""
    first, second = ({row_id(entry) for entry in scribe.entries} for scribe in scribes.values())
    assert len(first & second) > 100
    assert [set(scribe.markets) for scribe in scribes.values()] == [{BTC, "ETH-PERP"}] * 2
    assert len({scribe.last_hash for scribe in scribes.values()}) == 2


def row_id(entry: Entry) -> tuple[str | None, str | None]:
    return entry.row.user_id, entry.row.client_order_id


def in_silence(done: float, note: str = "") -> None:
    """Nobody is told how far it has come."""


@pytest.mark.parametrize("shard", SHARDS)
def test_an_audit_of_one_finds_nothing_of_the_other(url: str, scribes: dict[int, Scribe], shard: int) -> None:
    findings = Findings()
    with Audit(url, shard) as audit:
        walker = check_database(audit, findings, in_silence)

        newest = audit.newest_price(BTC), audit.newest_fill(BTC)
    assert findings.count == 0, findings.told()
    assert walker.state.last_hash == scribes[shard].last_hash
    assert [record and record.offset <= scribes[shard].offset for record in newest] == [True, True]


@pytest.mark.parametrize("shard", SHARDS)
def test_client_ids_are_answered_by_their_shard(url: str, scribes: dict[int, Scribe], shard: int) -> None:
    entries = scribes[shard].entries[10:50]
    keys = [(user, order) for user, order in map(row_id, entries) if user is not None and order is not None]
    with closing(PostgresHistory(url, shard).look_ups(10)) as look_ups:
        found = look_ups.answers(keys)
        beyond = look_ups.answers([("user1", "cl-999999")])
    assert {key: offset for key, (offset, _) in found.items()} == {row_id(entry): entry.row.offset for entry in entries}
    assert beyond == {}


@pytest.mark.parametrize("shard", SHARDS)
def test_the_rows_of_a_user_are_those_of_the_shard(url: str, scribes: dict[int, Scribe], shard: int) -> None:
    found = [row for page in PostgresRows(url, shard).pages(Pick(user="user1")) for row in page]
    account = user_account("user1")
    touched = [
        entry.row
        for entry in scribes[shard].entries
        if entry.row.user_id == "user1"
        or any(event.subject == "user1" for event in entry.events)
        or any(account in (leg.transfer.source, leg.transfer.target) for leg in entry.legs)
    ]
    assert found == touched


def test_one_of_them_can_be_restored_into_a_database_of_its_own(
    url: str, server_url: str, scribes: dict[int, Scribe]
) -> None:
    shard, findings, state = SHARDS[1], Findings(), VenueState()
    with fresh_database(server_url) as empty:
        with NewDatabase(empty, shard) as made:
            entries = [state.apply(row) for row in PostgresHistory(url, shard).rows()]
            made.write(entries[:300])
            made.write(entries[300:])
            made.commit(epoch=state.epoch)
        with Audit(empty, shard) as audit:
            check_database(audit, findings, in_silence)
        assert [owner for (owner,) in sql(empty, "select distinct shard from fills")] == [shard]
    assert findings.count == 0, findings.told()


def test_records_of_several_shards_that_do_not_say_whose_they_are_are_not_guessed_at(database_url: str) -> None:
    async def before_shards() -> None:
        connection = await asyncpg.connect(database_url)
        await migrate(connection, migrations()[:3])
        await connection.execute("insert into owner values (0, 1), (1, 1)")
        await connection.execute("insert into legs values (1, 0, 1, 'deposit', 'world', 'user:ann', 5, -5, 5, null)")
        await connection.close()

    asyncio.run(before_shards())
    with pytest.raises(JournalUnavailable, match=r"records of the shards \{0,1\} and do not say which is whose"):
        PostgresJournal.acquire(database_url)


def test_a_tool_says_of_tables_without_shards_what_brings_them_up_to_date(database_url: str) -> None:
    async def before_shards() -> None:
        connection = await asyncpg.connect(database_url)
        await migrate(connection, migrations()[:3])
        await connection.close()

    asyncio.run(before_shards())
    with pytest.raises(JournalUnavailable, match="the table fills is of an older version: a venue of this version"):
        Audit(database_url)
