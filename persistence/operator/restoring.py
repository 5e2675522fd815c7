"""A database made anew from journal rows: the same rows, and the query tables that follow from them.

All in one transaction. Cut off anywhere it leaves a database as empty as it was, so that nothing half restored is ever
served, and it can simply be done again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import astuple

from perps.candles import CandleMaker
from perps.journal import Entry, Row
from perps.projection import query_rows
from perps.venue import JournalCorrupt
from persistence.connection.server_checks import check_server
from persistence.connection.session import ANSWER_TIMEOUT_S, BlockingSession, ask
from persistence.errors import CannotServe
from persistence.journal.history import PostgresHistory
from persistence.journal.partitions import make_partitions, settle_partition_rows
from persistence.journal.shards import make_shard
from persistence.journal.tables import (
    CANDLES,
    FILLS,
    FUNDING,
    JOURNAL,
    LEGS,
    POSITIONS,
    PRICES,
    QUERY_SESSION,
    insertion,
)
from persistence.journal.writer import LOCK_CLASS
from persistence.migrate import migrate
from persistence.operator.archive import ArchiveReader

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg.transaction import Transaction

KEYS: Final = "api_keys"
_TABLES: Final = """
    select relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace
     where relkind in ('r', 'p') and nspname not in ('pg_catalog', 'information_schema') and nspname !~ '^pg_toast'
     limit 1
"""
_LAST_UNTIL: Final = 'select coalesce(max("offset"), 0) from journal where shard = $1 and at <= $2'


class NotEmpty(CannotServe):
    """The database to restore into holds something."""


def joined_rows(
    archive: ArchiveReader | None, history: PostgresHistory | None, until: int | None = None
) -> Iterator[Row]:
    """All rows from the first on: the archived ones, then those of the database; either may be all there is.

    Where the two meet they must be one journal: the last row that is wanted (at most ``until``) and that both hold has
    one hash. That suffices for all before it, because whoever takes the rows in (``VenueState.apply``) makes each hash
    anew from the row's fields and the hash before: what another row anywhere would change is that last hash. Compared
    is what the row says, not the file's header, which nobody has made anew. Rows that have left the database are
    vouched for by the first behind them, if that is wanted too; without it only by the files' own checksums.

    Raises ``JournalCorrupt``, ``ArchiveBroken``, ``JournalUnavailable``.
    """
    after = 0
    if archive is not None:
        meeting, known = 0, None
        if history is not None:
            meeting = min(archive.last, history.last(), archive.last if until is None else until)
            known = history.epoch_and_hash_at(meeting)
        for row in archive.rows():
            if row.offset == meeting and known is not None and known[1] != row.hash:
                raise JournalCorrupt(meeting, "it is in the archive and in the database, and not the same row")
            yield row
        after = archive.last
    if history is not None:
        yield from history.rows(after)


def last_until(url: str, at: int, shard: int = 0) -> int:
    """Offset of the last row in a database whose time is not after ``at``; 0 if there is none."""

    async def search(connection: Connection[Any]) -> int:
        return int(await connection.fetchval(_LAST_UNTIL, shard, at, timeout=ANSWER_TIMEOUT_S))

    return ask(url, search, name="perps restore", doing="looking for the last row until then")


def read_keys(url: str) -> list[tuple[Any, ...]]:
    """All API keys of a database, as they are stored: digests, not keys."""

    async def read(connection: Connection[Any]) -> list[tuple[Any, ...]]:
        return [tuple(key) for key in await connection.fetch(f"select * from {KEYS}", timeout=ANSWER_TIMEOUT_S)]

    return ask(url, read, name="perps restore", doing="reading the API keys")


def read_partition_rows(url: str) -> int | None:
    """The offsets of each partition in a database; None if it is of a version that had no choice."""

    async def read(connection: Connection[Any]) -> int | None:
        if await connection.fetchval("select to_regclass('journal_layout')") is None:
            return None
        rows: int = await connection.fetchval("select partition_rows from journal_layout", timeout=ANSWER_TIMEOUT_S)
        return rows

    return ask(url, read, name="perps restore", doing="reading how the journal is laid out")


class NewDatabase(BlockingSession):
    """An empty database that becomes a venue's. Blocking; used by one thread, which runs no event loop itself.

    Nothing of it is seen by others, and nothing stays, until ``commit``. No venue can begin to serve it meanwhile.
    Every method raises ``JournalUnavailable`` when the server does not answer.
    """

    def __init__(self, url: str, shard: int = 0, *, partition_rows: int | None = None) -> None:
        """Connects, and makes the tables. Raises ``NotEmpty`` and other ``CannotServe``.

        ``partition_rows``: the offsets of each partition; None: the usual number.
        """
        self._shard, self._partition_rows = shard, partition_rows
        self._room = 0
        self._candles = CandleMaker(from_first=True)
        super().__init__(
            url,
            name="perps restore",
            doing="restoring",
            idle_in_transaction_session_timeout="0",
            statement_timeout="0",
            **QUERY_SESSION,
        )

    async def _begin(self, connection: Connection[Any]) -> None:
        await check_server(connection)
        if not await connection.fetchval("select pg_try_advisory_lock($1, $2)", LOCK_CLASS, self._shard):
            raise NotEmpty("a venue serves the database to restore into, or another restore fills it")
        self._transaction: Transaction = connection.transaction()
        await self._transaction.start()
        table = await connection.fetchval(_TABLES)
        if table is not None:
            raise NotEmpty(f"the database to restore into is not empty: it has a table {table}; give a new one")
        await migrate(connection)
        await make_shard(connection, self._shard)
        self._rows = await settle_partition_rows(connection, self._partition_rows)

    def write(self, entries: Sequence[Entry]) -> None:
        """Add rows, in order, and what follows from them in the query tables."""
        if entries:
            self._run(self._write(self._connected(), entries))

    async def _write(self, connection: Connection[Any], entries: Sequence[Entry]) -> None:
        last = entries[-1].row.offset
        if last > self._room:
            self._room = await make_partitions(connection, last, self._rows)
        queries = query_rows(entries)
        for table, records in (
            (JOURNAL, [(self._shard, *astuple(entry.row)) for entry in entries]),
            (FILLS, queries.fills),
            (LEGS, queries.legs),
            (PRICES, queries.prices),
            (FUNDING, queries.funding),
            (POSITIONS, queries.opened),
            (CANDLES, self._candles.take(entries)),
        ):
            if records:
                await connection.copy_records_to_table(
                    table.part(self._shard), records=records, columns=table.columns, timeout=ANSWER_TIMEOUT_S
                )
        if queries.changed:
            statement = insertion(POSITIONS, self._shard)
            await connection.execute(statement, queries.changed, timeout=ANSWER_TIMEOUT_S)

    def commit(self, epoch: int, keys: Sequence[tuple[Any, ...]] = ()) -> None:
        """All of it, and the keys, become true. ``epoch``: the last row's; the next owner begins a newer one."""
        self._run(self._commit(self._connected(), epoch, keys))

    async def _commit(self, connection: Connection[Any], epoch: int, keys: Sequence[tuple[Any, ...]]) -> None:
        await connection.execute("insert into owner values ($1, $2)", self._shard, epoch)
        if keys:
            await connection.copy_records_to_table(KEYS, records=keys, timeout=ANSWER_TIMEOUT_S)
        await self._transaction.commit()
        await connection.execute("analyze", timeout=ANSWER_TIMEOUT_S)
