"""The writer of one shard's journal in PostgreSQL: one connection, fenced, all rows of a batch or none.

Three fences, each enough by itself while the others fail: the shard's advisory lock belongs to the very session that
writes; the ``owner`` row holds the epoch and is locked against a take-over in every transaction; and the journal's key
lets no offset exist twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, Final, Self
from uuid import uuid4

import uvloop
from msgspec.structs import astuple

from perps.journal import Entry, JournalRefused, JournalUnavailable, OwnershipLost
from persistence.connection.connect import connect, database_errors, encoding, end
from persistence.connection.server_checks import SETTINGS, check_server, check_settings, pin_commit
from persistence.connection.session import finish
from persistence.errors import ShardTaken
from persistence.journal.order import check_order
from persistence.journal.partitions import PartitionMaker, settle_partition_rows
from persistence.journal.query_rows import QueryRows, query_rows
from persistence.journal.selections import LAST
from persistence.journal.tables import (
    FENCE,
    FILLS,
    JOURNAL,
    LEGS,
    POSITIONS,
    PRICES,
    Record,
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
"""Records, of all tables, up to which a batch is one statement in one round trip: about 500 opens, or 300 liquidations.
By itself COPY is quicker from about 100 opens on; in a busy venue each of its ten round trips waits for the
interpreter, and the statement commits 15 % more rows per second. A crash, thousands of records at a time, is another
matter."""

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
"""Longest wait for a take-over, beyond the wait for the lock: it may have to migrate a large database."""

LOCK_POLL_S: Final = 0.05
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


class PostgresJournal:
    """Satisfies ``actors.ports.Journal``. Blocking: runs its own event loop inside each call.

    Used by one thread at a time (not always the same one), which must not be running an event loop itself.
    After ``JournalUnavailable`` (other than ``JournalRefused``) or ``OwnershipLost`` the journal is dead: ``close`` it.
    Whether the rows in doubt are there can be known once ``acquire`` has succeeded again, not before: only then has
    the old session ended, its commit with it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        session: Session,
        epoch: int,
        offset: int,
        partitions: PartitionMaker,
        append_timeout_s: float,
        probe_timeout_s: float,
    ) -> None:
        """Use ``acquire``."""
        self._loop = loop
        self._partitions = partitions
        self._session: Session | None = session
        self._epoch = epoch
        self._offset = offset
        self._append_timeout_s, self._probe_timeout_s = append_timeout_s, probe_timeout_s

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
    ) -> Self:
        """Become the owner of a shard: migrate the database, begin a new epoch.

        ``venue`` names whoever asks, the same each time and nobody else's (None: a new name). A session of that name
        that still keeps the lock is an earlier one of his, given up: it is ended. ``last_epoch`` is the last that he
        owned; when the lock is another's and a later epoch has begun, the other has taken over. ``partition_rows``: the
        offsets of each partition, if the database is new (None: its own number).

        Raises ``ShardTaken`` at once in that case, and when another owner is still there after ``wait_s``; other
        ``CannotServe`` when this program or this server will not do; ``JournalUnavailable`` when the server does not
        answer, or his own earlier session does not end.
        """
        loop = uvloop.new_event_loop()
        try:
            with database_errors("taking over the journal"):
                partitions = PartitionMaker(url)
                taker = _Taker(shard, venue or uuid4().hex, last_epoch, partitions, partition_rows)
                taking = asyncio.wait_for(taker.acquire(url, wait_s), wait_s + ACQUIRE_TIMEOUT_S)
                session, epoch, offset = loop.run_until_complete(taking)
        except BaseException:
            loop.close()
            raise
        return cls(loop, session, epoch, offset, partitions, append_timeout_s, probe_timeout_s)

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
        return self._session.connection.get_server_pid() if self._session else None

    def append(self, entries: Sequence[Entry]) -> None:
        """Make rows and their query tables durable: all of them or none.

        Raises ``OwnershipLost`` (nothing written), ``JournalRefused`` (nothing written; the caller is wrong about what
        is in the journal, while the session is as good as before) or ``JournalUnavailable`` (outcome unknown).
        """
        if not entries:
            return
        session = self._session
        if session is None:
            raise JournalUnavailable("the journal is closed")
        check_order(entries, self._epoch, self._offset)
        journal, queries = session.records(entries)
        last = entries[-1].row.offset
        try:
            doing = f"rows {entries[0].row.offset} to {last}"
            with database_errors(doing):
                if last > self._partitions.room:
                    making = self._partitions.make_now(session.connection, last)
                    self._loop.run_until_complete(asyncio.wait_for(making, self._append_timeout_s))
                with encoding(doing):
                    self._loop.run_until_complete(session.append(journal, queries, self._append_timeout_s))
        except JournalRefused:
            raise
        except BaseException:
            self._give_up(session)
            raise
        self._offset = last
        self._partitions.look_ahead(last)

    def probe(self) -> None:
        """Ask the server whether this session lives, owns the shard and may trust its settings; writes nothing.

        Raises ``OwnershipLost``, ``UnsafeServer`` or ``JournalUnavailable``; the journal is dead then.
        """
        session = self._session
        if session is None:
            raise JournalUnavailable("the journal is closed")
        try:
            with database_errors("asking whether the journal's session lives"):
                self._loop.run_until_complete(session.probe(self._probe_timeout_s))
        except BaseException:
            self._give_up(session)
            raise

    def close(self) -> None:
        """Give the shard back: the session ends, and its lock with it. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            self._loop.run_until_complete(end(session.connection))
            finish(self._loop)
            self._partitions.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _give_up(self, session: Session) -> None:
        self._session = None
        session.connection.terminate()
        finish(self._loop)


class Session:
    """The connection that holds the lock, and the two ways to write on it."""

    def __init__(self, connection: Connection[PgRecord], shard: int, epoch: int) -> None:
        self.connection = connection
        self._shard, self._epoch = shard, epoch
        self._prepared: dict[tuple[str, ...], PreparedStatement[PgRecord]] = {}
        self._probe: PreparedStatement[PgRecord] | None = None

    async def warm_up(self) -> None:
        """Prepare the statements of the common commands, so that the first of each is as quick as the rest."""
        common = ((), (PRICES,), (LEGS,), (LEGS, PRICES), (FILLS, LEGS, POSITIONS), (FILLS, LEGS, PRICES, POSITIONS))
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

    def records(self, entries: Sequence[Entry]) -> tuple[list[Record], QueryRows]:
        """What ``append`` writes for these entries."""
        return [(self._shard, *astuple(entry.row)) for entry in entries], query_rows(entries)

    async def append(self, journal: list[Record], queries: QueryRows, timeout_s: float) -> None:
        """Write a batch. Raises ``OwnershipLost`` and what asyncpg raises."""
        async with asyncio.timeout(timeout_s):
            if len(journal) + queries.count <= STATEMENT_RECORDS_MAX:
                await self._append_statement(journal, queries)
            else:
                await self._append_copy(journal, queries)

    async def _append_statement(self, journal: list[Record], queries: QueryRows) -> None:
        """One round trip. Only the tables that get records are named in it."""
        batches = (
            (JOURNAL, journal),
            (FILLS, queries.fills),
            (LEGS, queries.legs),
            (PRICES, queries.prices),
            (POSITIONS, queries.opened + queries.changed),
        )
        prepared = await self._prepare([table for table, records in batches if records])
        arrays = [records for _, records in batches if records]
        if await prepared.fetchval(self._shard, self._epoch, *arrays) != 1:
            raise self._lost()

    async def _prepare(self, tables: Sequence[Table]) -> PreparedStatement[PgRecord]:
        key = tuple(table.name for table in tables)
        found = self._prepared.get(key)
        if found is None:
            found = self._prepared[key] = await self.connection.prepare(fenced_insertion(tables))
        return found

    async def _append_copy(self, journal: list[Record], queries: QueryRows) -> None:
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
                (POSITIONS, queries.opened),
            ):
                if records:
                    await connection.copy_records_to_table(table.name, records=records, columns=table.columns)
            if queries.changed:
                await connection.execute(insertion(POSITIONS), queries.changed)
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
        self, shard: int, venue: str, last_epoch: int, partitions: PartitionMaker, partition_rows: int | None
    ) -> None:
        self._shard, self._last_epoch = shard, last_epoch
        self._partitions, self._partition_rows = partitions, partition_rows
        self._name = f"perps journal, shard {shard}, {venue}"[:APPLICATION_NAME_MAX]

    async def acquire(self, url: str, wait_s: float) -> tuple[Session, int, int]:
        """The session, its epoch and the last row's offset."""
        shard = self._shard
        connection = await connect(
            url,
            name=self._name,
            statement_timeout="60s",
            idle_in_transaction_session_timeout="60s",
            plan_cache_mode="force_generic_plan",
            client_connection_check_interval="2s",
        )
        try:
            async with asyncio.timeout(STEP_TIMEOUT_S):
                await check_server(connection)
                await pin_commit(connection)
            async with asyncio.timeout(STEP_TIMEOUT_S + wait_s):
                await self._lock(connection, wait_s)
            await migrate(connection)
            async with asyncio.timeout(STEP_TIMEOUT_S):
                self._partitions.rows = await settle_partition_rows(connection, self._partition_rows)
                epoch = await connection.fetchval(
                    "insert into owner values ($1, 1) on conflict (shard)"
                    " do update set epoch = owner.epoch + 1 returning epoch",
                    shard,
                )
                offset = await connection.fetchval(LAST, shard)
                await self._partitions.make_now(connection, offset + 1)
                session = Session(connection, shard, epoch)
                await session.warm_up()
            return session, epoch, offset
        except BaseException:
            await end(connection)
            raise

    async def _lock(self, connection: Connection[PgRecord], wait_s: float) -> None:
        """Take the shard's lock for this session; say who has it otherwise."""
        shard, deadline = self._shard, monotonic() + wait_s
        while not await connection.fetchval("select pg_try_advisory_lock($1, $2)", LOCK_CLASS, shard):
            holder = await connection.fetchrow(HOLDER, LOCK_CLASS, shard)
            is_own = holder is not None and holder["application_name"] == self._name
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
