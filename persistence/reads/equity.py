"""What users had, hour by hour, in PostgreSQL. Not journaled: no row says what a position was worth on the hour."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec.structs import astuple

from perps.candles import HOUR_MS
from perps.query_rows import EquityRecord
from persistence.connection.connect import connect, database_errors, end

if TYPE_CHECKING:
    from asyncpg import Connection, Record

QUERY_TIMEOUT_S: Final = 60.0
"""Longest wait for one answer. Nobody's command waits meanwhile."""

RECORDS_AT_ONCE: Final = 2_000
"""Records of one statement: 0.2 s of the database at most, and 2 ms of the event loop."""

DAY_MS: Final = 24 * HOUR_MS

THINNED_DAYS: Final = 32
"""How many days are looked at: a venue that was down for longer keeps the hours of what is older."""

T = TypeVar("T")

COLUMNS: Final = ", ".join(EquityRecord.__struct_fields__)

_INSERT: Final = f"""
    insert into equity (shard, {COLUMNS})
    select $1, * from unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::numeric[], $7::numeric[])
        on conflict do nothing
"""
_ROUND: Final = """
    select coalesce(
        (select max(at) from equity where shard = $1 and user_id = '' and at <= $2),
        (select min(at) from equity where shard = $1 and user_id = '')
    )
"""
_BEFORE: Final = f"""
    select had.* from unnest($2::text[]) users(name), lateral (
        select {COLUMNS} from equity where shard = $1 and user_id = users.name and at <= $3 order by at desc limit 1
    ) had
"""
_THIN: Final = f"""
    delete from equity hour using equity later
     where hour.shard = $1 and hour.at < $2 and hour.at >= $2 - {THINNED_DAYS * DAY_MS}
       and later.shard = $1 and later.user_id = hour.user_id and later.at > hour.at
       and later.at < hour.at - hour.at % {DAY_MS} + {DAY_MS}
"""
_VOLUMES: Final = """
    select user_id, sum(abs(cost)) from fills where shard = $1 and "offset" <= $2 group by user_id
"""


class PostgresEquity:
    """Rounds of observations: rare, so each call has a short connection of its own.

    Every method raises ``JournalUnavailable`` when the database does not answer.
    """

    def __init__(self, url: str, shard: int = 0) -> None:
        self._url, self._shard = url, shard

    async def round_at(self, at: int) -> int | None:
        """When the last round at or before ``at`` was, or the first of all; None: there was none."""
        return await self._run(lambda connection: connection.fetchval(_ROUND, self._shard, at))

    async def add(self, records: Sequence[EquityRecord]) -> None:
        """Keep a round. Of a user and a moment that are known already nothing changes."""

        async def insert(connection: Connection[Record]) -> None:
            for first in range(0, len(records), RECORDS_AT_ONCE):
                some = records[first : first + RECORDS_AT_ONCE]
                await connection.execute(_INSERT, self._shard, *zip(*map(astuple, some), strict=True))

        if records:
            await self._run(insert)

    async def before(self, users: Sequence[str], at: int) -> dict[str, EquityRecord]:
        """What these users had when they were last observed, at or before ``at``; nothing of who was not."""
        found = await self._run(lambda connection: connection.fetch(_BEFORE, self._shard, users, at))
        return {record[0]: equity_record(record) for record in found}

    async def thin(self, before: int) -> None:
        """Of each day keep only what was observed last, of all that is older than ``before``."""
        await self._run(lambda connection: connection.execute(_THIN, self._shard, before))

    async def volumes(self, offset: int) -> dict[str, int]:
        """Σ |cost| of each user's fills up to a row, micros. Reads all fills."""
        found = await self._run(lambda connection: connection.fetch(_VOLUMES, self._shard, offset))
        return {user: int(volume) for user, volume in found}

    async def _run(self, ask: Callable[[Connection[Record]], Awaitable[T]]) -> T:
        with database_errors("equity"):
            connection = await connect(self._url, name="perps equity", statement_timeout=f"{QUERY_TIMEOUT_S:.0f}s")
            try:
                return await ask(connection)
            finally:
                await end(connection)


def equity_record(record: Iterable[Any]) -> EquityRecord:
    """A record as the table has it: its sums without bound come as decimals."""
    user, at, equity, paid_in, pnl, volume = record
    return EquityRecord(user, at, equity, paid_in, int(pnl), int(volume))
