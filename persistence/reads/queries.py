"""The read side in PostgreSQL, for the web layer: lists by user and market, candles, rows. Never in a mailbox."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from perps.candles import WIDTHS
from perps.folding import legs_of
from perps.journal import JournalUnavailable, Row
from perps.money.accounts import user_account
from perps.query_rows import (
    LIQUIDATION,
    STATUS_OPEN,
    Candle,
    EquityRecord,
    FillRecord,
    FundingRecord,
    LegRecord,
    OrderRecord,
    PositionRecord,
    PriceRecord,
    StoredFill,
)
from persistence.connection.connect import BY_INDEX, CONNECT_TIMEOUT_S, SESSION, database_errors, reaching
from persistence.journal.candles import candles_query
from persistence.journal.selections import ROW_COLUMNS, ROWS_AFTER, columns
from persistence.reads.equity import COLUMNS as EQUITY_COLUMNS
from persistence.reads.equity import equity_record

if TYPE_CHECKING:
    from asyncpg import Pool, Record
    from msgspec import Struct

CONNECTIONS_MAX: Final = 4
"""Of the pool; further queries wait their turn."""

QUERY_TIMEOUT_S: Final = 10.0
"""Longest wait for one answer, by the client and by the server."""

CLOSE_S: Final = 3.0
"""How long an orderly end of the connections may take: a server that stands still does not answer a goodbye."""

IN_ORDER: Final = {
    **BY_INDEX,
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "max_parallel_workers_per_gather": "0",
}
"""Every list is read in the order of an index, and what belongs to a record is looked up: a page costs what is on it. A
hash join would first read all records of the user, and a parallel scan starts a process for each page."""

Place = tuple[int, int]
"""Offset and n of a record: a list's cursor."""

_NUMBER: Final = "substring(id from '[0-9]+$')::bigint"
"""Of a position: what its id ends with."""

NEWEST: Final[Place] = (2**63 - 1, 2**31 - 1)
"""Before this lies everything."""


def _columns(record: type[Struct]) -> str:
    return columns(record.__struct_fields__)


_ROW: Final = f'select {ROW_COLUMNS} from journal where shard = $1 and "offset" = $2'


def _in_market(table: str) -> str:
    """Records of a market before a place; in index order because within a market ``at`` never falls.

    The time of the place is its row's; where that has been archived, the record's own is looked for from the oldest on.
    """
    return f"""
        shard = $1 and ticker = $2 and ($3::bigint = 9223372036854775807 or (at, "offset", n) < (
            coalesce(
                (select at from journal where journal.shard = $1 and journal."offset" = $3),
                (select own.at from {table} own
                  where own.shard = $1 and own.ticker = $2 and own."offset" = $3 order by own.at limit 1)
            ), $3::bigint, $4::int))
    """


_TRANSACTIONS: Final = f"""
    select * from (
        (select {_columns(LegRecord)} from legs
          where shard = $1 and source = $2 and source like 'user:%' and ("offset", n) < ($3, $4)
          order by "offset" desc, n desc limit $5)
        union all
        (select {_columns(LegRecord)} from legs
          where shard = $1 and target = $2 and target like 'user:%' and source <> $2 and ("offset", n) < ($3, $4)
          order by "offset" desc, n desc limit $5)
    ) leg full join (
        (select {_columns(StoredFill)} from fills
          where shard = $1 and user_id = $6 and "offset" <= $3
            and wallet_balance is not null and ("offset", leg) < ($3, $4)
          order by "offset" desc, n desc limit $7)
        union all
        (select {_columns(StoredFill)} from fills
          where shard = $1 and referrer = $6 and "offset" <= $3 and ("offset", leg) < ($3, $4)
          order by "offset" desc, n desc limit $5 + 1)
    ) fill on false
"""
"""A wallet's last stored legs, and the last fills that have legs of it: its owner's trades, and those that brought a
referral. One statement, so that both are of one moment. Of the newest fill all legs of the wallet may come after the
place: so one more is read.

$7: how many of the owner's trades. Each has two legs or more, unless it was free of fees: so half as many as legs."""

_EQUITY: Final = f"""
    select {EQUITY_COLUMNS} from equity
     where shard = $1 and user_id = $2 and at < $4 and at >= coalesce(
           (select at from equity where shard = $1 and user_id = $2 and at <= $3 order by at desc limit 1), $3)
     order by at desc limit $5
"""

_LEG: Final = StoredFill.__struct_fields__.index("leg")
_USER: Final = StoredFill.__struct_fields__.index("user_id")

_CANDLES: Final = {(width, newest): candles_query(width, newest=newest) for width in WIDTHS for newest in (False, True)}


class PostgresQueries:
    """Queries on a small pool of connections. Between ``open`` and ``close``, on one event loop.

    Every method raises ``JournalUnavailable`` when the database does not answer. A ``limit`` below 1 asks for nothing.
    """

    def __init__(self, url: str, shard: int = 0) -> None:
        self._url, self._shard = url, shard
        self._pool: Pool[Record] | None = None

    async def open(self) -> None:
        """Connect. Raises ``JournalUnavailable``."""
        settings = {
            **SESSION,
            "application_name": "perps queries",
            "statement_timeout": f"{QUERY_TIMEOUT_S:.0f}s",
            "default_transaction_read_only": "on",
            **IN_ORDER,
        }
        with database_errors("opening the read side"), reaching(self._url):
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=1,
                max_size=CONNECTIONS_MAX,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=QUERY_TIMEOUT_S,
                server_settings=settings,
                reset=_keep,
            )

    async def close(self) -> None:
        """Disconnect: in order within ``CLOSE_S``, else by force, as nothing is lost. Idempotent, raises nothing."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        with contextlib.suppress(JournalUnavailable), database_errors("closing the read side"):
            async with asyncio.timeout(CLOSE_S):  # asyncpg terminates what it could not close
                await pool.close()

    async def row(self, offset: int) -> Row | None:
        """One journal row."""
        found = await self._fetch(_ROW, self._shard, offset)
        return Row(*found[0]) if found else None

    async def rows_after(self, offset: int, limit: int) -> list[Row]:
        """At most ``limit`` rows after ``offset``, in order."""
        return [Row(*record) for record in await self._fetch(ROWS_AFTER, self._shard, offset, max(limit, 0))]

    async def fills(
        self,
        *,
        user: str | None = None,
        ticker: str | None = None,
        kinds: Sequence[str] | None = None,
        before: Place | None = None,
        limit: int,
    ) -> list[FillRecord]:
        """Fills of a user, a market or both, of these kinds, newest first.

        Raises ``ValueError`` without user and market: no index has all fills in one order.
        """
        values: list[Any] = [self._shard, user or ticker, *(before or NEWEST), max(limit, 0)]
        if user is not None:
            where, order = 'shard = $1 and user_id = $2 and ("offset", n) < ($3, $4)', '"offset" desc, n desc'
            if ticker is not None:
                values.append(ticker)
                where += f" and ticker = ${len(values)}"
        elif ticker is not None:
            where, order = _in_market("fills"), 'at desc, "offset" desc, n desc'
        else:
            raise ValueError("fills of which user or market?")
        if kinds is not None and list(kinds) == [LIQUIDATION]:
            where += f" and kind = '{LIQUIDATION}'"  # spelt out: it has an index of its own
        elif kinds is not None:
            values.append(list(kinds))
            where += f" and kind = any(${len(values)}::text[])"
        query = f"select {_columns(FillRecord)} from fills where {where} order by {order} limit $5"
        return [FillRecord(*record) for record in await self._fetch(query, *values)]

    async def transactions(self, user: str, *, before: Place | None = None, limit: int) -> list[LegRecord]:
        """Transfers from or to a user's wallet, newest first."""
        limit = max(limit, 0)
        values, fewer = (self._shard, user_account(user), *(before or NEWEST), limit, user), limit // 2 + 2
        found = _legs(await self._fetch(_TRANSACTIONS, *values, fewer), *values[1:4], limit, user, fewer)
        if found is None:
            found = _legs(await self._fetch(_TRANSACTIONS, *values, limit + 1), *values[1:4], limit, user, limit + 1)
        return found or []

    async def prices(self, ticker: str, *, before: Place | None = None, limit: int) -> list[PriceRecord]:
        """Prices a market took, newest first."""
        query = (
            f"select {_columns(PriceRecord)} from prices where {_in_market('prices')}"
            ' order by at desc, "offset" desc, n desc limit $5'
        )
        found = await self._fetch(query, self._shard, ticker, *(before or NEWEST), max(limit, 0))
        return [PriceRecord(*record) for record in found]

    async def funding(self, ticker: str, *, before: Place | None = None, limit: int) -> list[FundingRecord]:
        """Hours of a market's funding, newest first."""
        query = (
            f"select {_columns(FundingRecord)} from funding where {_in_market('funding')}"
            ' order by at desc, "offset" desc, n desc limit $5'
        )
        found = await self._fetch(query, self._shard, ticker, *(before or NEWEST), max(limit, 0))
        return [FundingRecord(*record) for record in found]

    async def equity(self, user: str, *, since: int, before: int | None = None, limit: int) -> list[EquityRecord]:
        """What a user had, newest first: from the last observation at or before ``since`` on, and before ``before``."""
        values = (self._shard, user, since, NEWEST[0] if before is None else before, max(limit, 0))
        return [equity_record(record) for record in await self._fetch(_EQUITY, *values)]

    async def positions(
        self, user: str, *, status: str, ticker: str | None = None, before: Place | None = None, limit: int
    ) -> list[PositionRecord]:
        """A user's positions, those opened last first; of one row, in which several orders may fill, by their numbers.

        ``status``: ``open``, ``closed`` (by whomever) or ``all``. ``before``: the ``opened_offset`` of the last one
        seen, and its number.
        """
        values: list[Any] = [self._shard, user, *(before or NEWEST), max(limit, 0)]
        where = f"shard = $1 and user_id = $2 and opened_offset <= $3 and (opened_offset < $3 or {_NUMBER} < $4)"
        if status != "all":
            where += f" and status {'=' if status == STATUS_OPEN else '<>'} '{STATUS_OPEN}'"
        if ticker is not None:
            values.append(ticker)
            where += f" and ticker = ${len(values)}"
        table = "all_positions" if status in ("all", STATUS_OPEN) else "positions"
        order = f"opened_offset desc, {_NUMBER} desc"
        query = f"select {_columns(PositionRecord)} from {table} where {where} order by {order} limit $5"
        return [PositionRecord(*record) for record in await self._fetch(query, *values)]

    async def orders(
        self, user: str, *, status: str, ticker: str | None = None, before: Place | None = None, limit: int
    ) -> list[OrderRecord]:
        """A user's orders, those placed last first.

        ``status``: ``open``, ``closed`` (however they ended) or ``all``. ``before``: the ``placed_offset`` of the last
        one seen, and any n: a row places one order at most.
        """
        values: list[Any] = [self._shard, user, (before or NEWEST)[0], max(limit, 0)]
        where = "shard = $1 and user_id = $2 and placed_offset < $3"
        if status != "all":
            where += f" and status {'=' if status == STATUS_OPEN else '<>'} '{STATUS_OPEN}'"
        if ticker is not None:
            values.append(ticker)
            where += f" and ticker = ${len(values)}"
        query = f"select {_columns(OrderRecord)} from orders where {where} order by placed_offset desc limit $4"
        return [OrderRecord(*record) for record in await self._fetch(query, *values)]

    async def order(self, order_id: str) -> OrderRecord | None:
        """One order; None if there never was one."""
        query = f"select {_columns(OrderRecord)} from orders where shard = $1 and id = $2"
        found = await self._fetch(query, self._shard, order_id)
        return OrderRecord(*found[0]) if found else None

    async def fills_of_order(self, ticker: str, number: int, *, limit: int) -> list[FillRecord]:
        """The fills that an order made, newest first. Of a database older than their ``order_number`` none."""
        query = (
            f"select {_columns(FillRecord)} from fills where shard = $1 and ticker = $2 and order_number = $3"
            ' order by "offset" desc, n desc limit $4'
        )
        return [FillRecord(*record) for record in await self._fetch(query, self._shard, ticker, number, max(limit, 0))]

    async def owner(self, position_id: str) -> str | None:
        """Whose a position was that has been closed, or changed since its open; None of any other."""
        query = "select user_id from positions where shard = $1 and id = $2"
        found = await self._fetch(query, self._shard, position_id)
        return str(found[0]["user_id"]) if found else None

    async def candles(
        self, ticker: str, *, interval_ms: int, start_ms: int, end_ms: int, limit: int, newest: bool = True
    ) -> list[Candle]:
        """The newest or oldest ``limit`` candles that begin in [start, end), oldest first. No events, no candle.

        A candle begins at a multiple of ``interval_ms``, a number of minutes, and is whole. However long the span, this
        reads no more ended candles than the answer is made of, and the fills of one minute: the open one.
        """
        start_ms += -start_ms % interval_ms
        end_ms += -end_ms % interval_ms
        width = max(width for width in WIDTHS if interval_ms % width == 0)
        limit = max(limit, 0)
        found = await self._fetch(
            _CANDLES[width, newest],
            self._shard,
            ticker,
            start_ms,
            end_ms,
            interval_ms,
            limit,
            limit * (interval_ms // width),
        )
        candles = [Candle(*map(int, record)) for record in found]
        return candles[::-1] if newest else candles

    async def _fetch(self, query: str, *values: Any) -> list[Record]:
        if self._pool is None:
            raise JournalUnavailable("the read side is not open")
        with database_errors("reading"):
            async with self._pool.acquire(timeout=QUERY_TIMEOUT_S) as connection:
                return await connection.fetch(query, *values)


async def _keep(_: object) -> None:
    """What is done to a connection that goes back to the pool: nothing, as no query leaves anything behind.

    By default asyncpg asks the server to forget all, in a round trip of its own: a fifth of a small query's time.
    """


def _legs(
    records: Sequence[Record], wallet: str, offset: int, n: int, limit: int, user: str, fills_max: int
) -> list[LegRecord] | None:
    """The newest ``limit`` legs of a wallet that come before a place, out of ``_TRANSACTIONS``.

    None if fills that were not read, because there were ``fills_max`` newer ones, may have some of them.
    """
    width = len(LegRecord.__struct_fields__)
    legs = [((record[0], record[1]), record) for record in records if record[0] is not None]
    fills = [((record[width], record[width + _LEG]), record) for record in records if record[0] is None]
    own = sum(record[width + _USER] == user for _, record in fills)
    is_cut = own == fills_max and fills_max <= limit
    found: list[LegRecord] = []
    for _, record in sorted(legs + fills, key=itemgetter(0), reverse=True):
        if record[0] is not None:
            found.append(LegRecord(*record[:width]))
        else:
            fill = StoredFill(*record[width:])
            found += [
                leg
                for leg in reversed(legs_of(fill))
                if (leg.source == wallet or leg.target == wallet) and (leg.offset, leg.n) < (offset, n)
            ]
            own -= fill.user_id == user
        if len(found) >= limit:
            return found[:limit]
        if is_cut and not own:
            return None
    return found
