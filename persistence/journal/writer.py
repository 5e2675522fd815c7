"""The writer of one shard's journal in PostgreSQL: one connection, fenced, all rows of a batch or none.

Three fences, each enough by itself while the others fail: the shard's advisory lock belongs to the very session that
writes; the ``owner`` row holds the epoch and is locked against a take-over in every transaction; and the journal's key
lets no offset exist twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Final, Self
from uuid import uuid4

from msgspec.structs import astuple

from perps.candles import CandleMaker, CandleRow
from perps.journal import Entry, JournalRefused, JournalUnavailable, OwnershipLost
from perps.projection import QueryRows, Record, query_rows
from perps.query_rows import Candle
from persistence.connection.connect import encoding
from persistence.connection.server_checks import SETTINGS, check_server, check_settings, pin_commit
from persistence.connection.session import BlockingSession
from persistence.errors import ShardTaken
from persistence.journal.candles import OPEN_HOURS
from persistence.journal.order import check_order
from persistence.journal.partitions import PartitionMaker, settle_partition_rows
from persistence.journal.selections import LAST
from persistence.journal.shards import make_shard
from persistence.journal.tables import (
    CANDLES,
    FENCE,
    FILLS,
    FUNDING,
    JOURNAL,
    LEGS,
    ORDERS,
    POSITIONS,
    PRICES,
    QUERY_SESSION,
    Table,
    fenced_insertion,
    insertion,
)
from persistence.migrate import migrate

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg import Record as PgRecord
    from asyncpg.prepared_stmt import PreparedStatement

STATEMENT_RECORDS_MAX: Final = 2_500
"""Records, of all tables, up to which a batch is one statement in one round trip: 1,200 opens, or 800 liquidations.
By itself COPY is quicker from about 100 opens on; in a busy venue each of its ten round trips waits for the
interpreter, and the statement commits 15 % more rows per second (measured when an open had five records). A crash,
thousands of records at a time, is another matter."""

APPEND_TIMEOUT_S: Final = 10.0
"""Longest wait for a commit. Past it the outcome is unknown and the connection is given up."""

PROBE_TIMEOUT_S: Final = 8.0
"""Longest wait for the answer to a probe. A line that is cut and a server that died are known at once; this is for
silence only, which shows as "not ready" within a second anyway. Long enough for a server that stands still for 5 s (its
machine pauses, its disk is slow) to keep its venue: a new session could not write either, and costs a recovery. Shorter
than the wait for a commit, so that a dead line is not found out later because nobody writes."""

STEP_TIMEOUT_S: Final = 5.0
"""Longest wait for each answer during a take-over, the migrations excepted."""

ACQUIRE_TIMEOUT_S: Final = 120.0
"""Longest wait for a take-over, beyond the wait for the lock."""

MIGRATE_TIMEOUT_S: Final = 6 * 3600.0
"""Longest wait for a take-over that has to migrate: a large database takes 9 s for a million rows, or more."""

LOCK_POLL_S: Final = 0.05
SESSION: Final = {
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "60s",
    "plan_cache_mode": "force_generic_plan",
    "client_connection_check_interval": "2s",
    **QUERY_SESSION,
}
"""The server's settings for the session that writes."""

APPLICATION_NAME_MAX: Final = 63
"""Bytes of a session's name that the server keeps."""

LOCK_CLASS: Final = 0x70657270
""""perp": first half of the advisory lock's key; the second is the shard."""

HOLDER: Final = (
    "select pid, application_name from pg_locks join pg_stat_activity using (pid)"
    " where locktype = 'advisory' and granted and classid = $1 and objid = $2 and objsubid = 2"
    " and database = (select oid from pg_database where datname = current_database())"
)
"""Whose session keeps a shard's lock."""

PROBE: Final = f"select epoch, {SETTINGS} from owner where shard = $1"


class PostgresJournal(BlockingSession):
    """Satisfies ``actors.ports.Journal``. Blocking: runs its own event loop inside each call.

    Used by one thread at a time (not always the same one), which must not be running an event loop itself.
    After ``JournalUnavailable`` (other than ``JournalRefused``) or ``OwnershipLost`` the journal is dead: ``close`` it.
    Whether the rows in doubt are there can be known once ``acquire`` has succeeded again, not before: only then has
    the old session ended, its commit with it.
    """

    def __init__(self, url: str, taker: _Taker, append_timeout_s: float, probe_timeout_s: float) -> None:
        """Use ``acquire``."""
        self._taker, self._partitions = taker, taker.partitions
        self._append_timeout_s, self._probe_timeout_s = append_timeout_s, probe_timeout_s
        super().__init__(url, name=taker.name, doing="taking over the journal", **SESSION)

    async def _begin(self, connection: Connection[PgRecord]) -> None:
        self._session, self._epoch, self._offset = await self._taker.take(connection)

    @classmethod
    def acquire(
        cls,
        url: str,
        shard: int = 0,
        *,
        wait_s: float = 2.0,
        append_timeout_s: float = APPEND_TIMEOUT_S,
        probe_timeout_s: float = PROBE_TIMEOUT_S,
        venue: str | None = None,
        last_epoch: int = 0,
        partition_rows: int | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> Self:
        """Become the owner of a shard: migrate the database, begin a new epoch.

        ``venue`` is the caller's own name, the same each time (None: a new name). A session of that name that still
        holds the lock is an earlier one of the caller, and is ended. ``last_epoch`` is the last one the caller owned;
        when another session holds the lock and a later epoch has begun, another venue has taken over.
        ``partition_rows``: the offsets of each partition, if the database is new (None: its own number). ``say`` is
        told what is being migrated.

        Raises ``ShardTaken`` at once in that case, and when another owner is still there after ``wait_s``; other
        ``CannotServe`` when this program or this server will not do; ``JournalUnavailable`` when the server does not
        answer, or the caller's earlier session does not end.
        """
        taker = _Taker(shard, venue or uuid4().hex, last_epoch, wait_s, PartitionMaker(url), partition_rows, say)
        return cls(url, taker, append_timeout_s, probe_timeout_s)

    @property
    def epoch(self) -> int:
        """This ownership's number: higher than any before it."""
        return self._epoch

    @property
    def offset(self) -> int:
        """The last row known to be durable; 0 when there is none."""
        return self._offset

    @property
    def backend_pid(self) -> int | None:
        """The server process that serves this journal; None when it is closed or dead."""
        return self._connection.get_server_pid() if self._connection else None

    def append(self, entries: Sequence[Entry]) -> None:
        """Make rows and their query tables durable: all of them or none.

        Raises ``OwnershipLost`` (nothing written), ``JournalRefused`` (nothing written; the caller is wrong about what
        is in the journal, while the session is as good as before) or ``JournalUnavailable`` (outcome unknown).
        """
        if not entries:
            return
        connection = self._connected()
        check_order(entries, self._epoch, self._offset)
        last = entries[-1].row.offset
        doing = f"rows {entries[0].row.offset} to {last}"
        session, timeout_s = self._session, self._append_timeout_s
        try:
            if unknown := session.candles.unknown(entries):
                self._run(session.begin_candles(unknown, timeout_s), doing)
            if last > self._partitions.room:
                making = self._partitions.make_now(connection, last)
                self._run(asyncio.wait_for(making, timeout_s), doing)
            records = session.records(entries)
            with encoding(doing):
                self._run(session.append(*records, timeout_s), doing)
        except JournalRefused:
            session.candles.forget()
            raise
        except BaseException:
            self._give_up()
            raise
        self._offset = last
        self._partitions.look_ahead(last)

    def probe(self) -> None:
        """Ask the server whether this session lives, owns the shard and may trust its settings; writes nothing.

        Raises ``OwnershipLost``, ``UnsafeServer`` or ``JournalUnavailable``; the journal is dead then.
        """
        self._connected()
        try:
            self._run(self._session.probe(self._probe_timeout_s), "asking whether the journal's session lives")
        except BaseException:
            self._give_up()
            raise

    def close(self) -> None:
        """Give the shard back: the session ends, and its lock with it. Idempotent."""
        super().close()
        self._partitions.close()


class Session:
    """The connection that holds the lock, and the two ways to write on it."""

    def __init__(self, connection: Connection[PgRecord], shard: int, epoch: int) -> None:
        self.connection = connection
        self._shard, self._epoch = shard, epoch
        self.candles = CandleMaker()
        self._prepared: dict[tuple[str, ...], PreparedStatement[PgRecord]] = {}
        self._probe: PreparedStatement[PgRecord] | None = None

    async def warm_up(self) -> None:
        """Prepare the statements of the common commands, so that the first of each is as quick as the rest."""
        common = (
            (),
            (PRICES,),
            (LEGS,),
            (LEGS, PRICES),
            (FILLS,),
            (FILLS, PRICES),
            (FILLS, POSITIONS),
            (FILLS, PRICES, POSITIONS),
        )
        for tables in common:
            await self._prepare((JOURNAL, *tables))
        self._probe = await self.connection.prepare(PROBE)
        await self.connection.execute("select 1")  # asyncpg ends a prepare without a sync: the tables stay locked

    async def probe(self, timeout_s: float) -> None:
        """One round trip. Raises ``OwnershipLost``, ``UnsafeServer`` and what asyncpg raises."""
        async with asyncio.timeout(timeout_s):
            prepared = self._probe or await self.connection.prepare(PROBE)
            found = await prepared.fetchrow(self._shard)
        if found is None or found[0] != self._epoch:
            raise self._lost()
        check_settings(found[1:])

    async def begin_candles(self, streams: Iterable[str], timeout_s: float) -> None:
        """Read where the candles of these streams go on: once for each market, and again after a refused batch."""
        streams = sorted(streams)
        minutes: dict[str, list[Candle]] = {}
        for ticker, *numbers in await self.connection.fetch(OPEN_HOURS, self._shard, streams, timeout=timeout_s):
            minutes.setdefault(ticker, []).append(Candle(*map(int, numbers)))
        for stream in streams:
            self.candles.begin(stream, minutes.get(stream, ()))

    def records(self, entries: Sequence[Entry]) -> tuple[list[Record], QueryRows, list[CandleRow]]:
        """What ``append`` writes for these entries. Once each: the candles go on behind them."""
        journal = [(self._shard, *astuple(entry.row)) for entry in entries]
        return journal, query_rows(entries), self.candles.take(entries)

    async def append(
        self, journal: list[Record], queries: QueryRows, candles: list[CandleRow], timeout_s: float
    ) -> None:
        """Write a batch. Raises ``OwnershipLost`` and what asyncpg raises."""
        async with asyncio.timeout(timeout_s):
            if len(journal) + queries.count + len(candles) <= STATEMENT_RECORDS_MAX:
                await self._append_statement(journal, queries, candles)
            else:
                await self._append_copy(journal, queries, candles)

    async def _append_statement(self, journal: list[Record], queries: QueryRows, candles: list[CandleRow]) -> None:
        """One round trip. Only the tables that get records are named in it."""
        batches = (
            (JOURNAL, journal),
            (FILLS, queries.fills),
            (LEGS, queries.legs),
            (PRICES, queries.prices),
            (FUNDING, queries.funding),
            (POSITIONS, queries.opened + queries.changed),
            (ORDERS, queries.placed + queries.ordered),
            (CANDLES, candles),
        )
        prepared = await self._prepare([table for table, records in batches if records])
        arrays = [records for _, records in batches if records]
        if await prepared.fetchval(self._shard, self._epoch, *arrays) != 1:
            raise self._lost()

    async def _prepare(self, tables: Sequence[Table]) -> PreparedStatement[PgRecord]:
        key = tuple(table.name for table in tables)
        found = self._prepared.get(key)
        if found is None:
            found = self._prepared[key] = await self.connection.prepare(fenced_insertion(tables, self._shard))
        return found

    async def _append_copy(self, journal: list[Record], queries: QueryRows, candles: list[CandleRow]) -> None:
        """A transaction of binary COPYs, one per table."""
        connection = self.connection
        try:
            await connection.execute("begin")
            if not await connection.fetchval(FENCE, self._shard, self._epoch):
                raise self._lost()
            for table, records in (
                (JOURNAL, journal),
                (FILLS, queries.fills),
                (LEGS, queries.legs),
                (PRICES, queries.prices),
                (FUNDING, queries.funding),
                (POSITIONS, queries.opened),
                (ORDERS, queries.placed),
                (CANDLES, candles),
            ):
                if records:
                    await connection.copy_records_to_table(
                        table.part(self._shard), records=records, columns=table.columns
                    )
            if queries.changed:
                await connection.execute(insertion(POSITIONS, self._shard), queries.changed)
            if queries.ordered:
                await connection.execute(insertion(ORDERS, self._shard), queries.ordered)
            await connection.execute("commit")
        except Exception:
            if not connection.is_closed():
                await connection.execute("rollback")
            raise

    def _lost(self) -> OwnershipLost:
        return OwnershipLost(f"another venue has taken over: epoch {self._epoch} of shard {self._shard} is over")


class _Taker:
    """Takes a shard over, in somebody's name."""

    def __init__(
        self,
        shard: int,
        venue: str,
        last_epoch: int,
        wait_s: float,
        partitions: PartitionMaker,
        partition_rows: int | None,
        say: Callable[[str], None],
    ) -> None:
        self._shard, self._last_epoch, self._wait_s, self._say = shard, last_epoch, wait_s, say
        self.name = f"perps journal, shard {shard}, {venue}"[:APPLICATION_NAME_MAX]
        self.partitions, self._partition_rows = partitions, partition_rows

    async def take(self, connection: Connection[PgRecord]) -> tuple[Session, int, int]:
        """Make ``connection`` the shard's owner: its session, epoch and last row's offset."""
        shard = self._shard
        async with asyncio.timeout(self._wait_s + ACQUIRE_TIMEOUT_S) as limit:
            async with asyncio.timeout(STEP_TIMEOUT_S):
                await check_server(connection)
                await pin_commit(connection)
            async with asyncio.timeout(STEP_TIMEOUT_S + self._wait_s):
                await self._lock(connection)
            await migrate(
                connection,
                before=lambda: limit.reschedule(asyncio.get_running_loop().time() + MIGRATE_TIMEOUT_S),
                say=self._say,
            )
            async with asyncio.timeout(STEP_TIMEOUT_S):
                self.partitions.rows = await settle_partition_rows(connection, self._partition_rows)
                epoch = await connection.fetchval(
                    "insert into owner values ($1, 1) on conflict (shard)"
                    " do update set epoch = owner.epoch + 1 returning epoch",
                    shard,
                )
                offset = await connection.fetchval(LAST, shard)
                await make_shard(connection, shard)
                await self.partitions.make_now(connection, offset + 1)
                session = Session(connection, shard, epoch)
                await session.warm_up()
        return session, epoch, offset

    async def _lock(self, connection: Connection[PgRecord]) -> None:
        """Take the shard's lock for this session; say who has it otherwise."""
        shard, deadline = self._shard, monotonic() + self._wait_s
        while not await connection.fetchval("select pg_try_advisory_lock($1, $2)", LOCK_CLASS, shard):
            holder = await connection.fetchrow(HOLDER, LOCK_CLASS, shard)
            is_own = holder is not None and holder["application_name"] == self.name
            if holder is not None and is_own:
                await connection.execute("select pg_terminate_backend($1)", holder["pid"])
            elif holder is not None and self._last_epoch:
                epoch = await connection.fetchval("select epoch from owner where shard = $1", shard)
                if epoch > self._last_epoch:
                    raise ShardTaken(
                        f"another venue has taken over this database (shard {shard}): its epoch is {epoch}, "
                        f"this one's was {self._last_epoch}"
                    )
            if monotonic() >= deadline:
                if is_own:
                    raise JournalUnavailable("the server still winds up this venue's last session")
                raise ShardTaken(
                    f"another venue serves this database (shard {shard}): "
                    "stop it, or give this one a database of its own"
                )
            await asyncio.sleep(LOCK_POLL_S)
