"""A venue's database as one reader sees it: everything as of one moment, without a lock, also while the venue runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from perps.journal import JournalUnavailable, Row
from perps.projection import Record
from perps.query_rows import STATUS_OPEN, FillRecord, PositionRecord, PriceRecord
from persistence.connection.session import ANSWER_TIMEOUT_S, BlockingSession
from persistence.journal.selections import (
    LAST,
    NEWEST_ARCHIVE,
    OFFSET_MAX,
    ROW_COLUMNS,
    SNAPSHOT_PARTS,
    SNAPSHOTS_UNTIL,
    columns,
)
from persistence.journal.tables import CANDLES, FUNDING, JOURNAL, POSITIONS, PRICES, Table
from persistence.operator.comparison import IN_STEP, RecordStream

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg.cursor import Cursor

PAGE_ROWS: Final = 1_000
"""Journal rows read at a time: one holds a few hundred events at most."""

PAGE_RECORDS: Final = 5_000
"""Records of other tables read at a time."""

_HEAP_ONLY: Final = "set local enable_indexscan = off; set local enable_indexonlyscan = off"
_ANY_SCAN: Final = "set local enable_indexscan = on; set local enable_indexonlyscan = on"
_HAS_COLUMNS: Final = (
    "select array_agg(attname::text) @> $2::text[] from pg_attribute"
    " where attrelid = to_regclass($1) and attnum > 0 and not attisdropped"
)
_OWNER: Final = "select epoch from owner where shard = $1"
_DOUBLED: Final = (
    'select user_id, client_order_id, array_agg("offset" order by "offset") as offsets from journal'
    " where shard = $1 and user_id is not null and client_order_id is not null"
    ' group by user_id, client_order_id having count(*) > 1 order by min("offset") limit $2'
)
_NEWEST: Final = 'where shard = $1 and ticker = $2 order by at desc, "offset" desc, n desc limit 1'


class NoVenue(JournalUnavailable):
    """The database answers, and holds no venue's tables."""


class Audit(BlockingSession):
    """One read-only transaction on a venue's database. Blocking; used by one thread, which runs no event loop itself.

    Every method raises ``JournalUnavailable`` when the database does not answer, or not as it should.
    """

    def __init__(self, url: str, shard: int = 0) -> None:
        """Connects. Raises ``NoVenue`` and ``JournalUnavailable``."""
        self._shard = shard
        super().__init__(url, name="perps audit", doing="reading the venue's database")

    async def _begin(self, connection: Connection[Any]) -> None:
        await connection.execute("begin isolation level repeatable read read only")
        for table in (JOURNAL, *IN_STEP, POSITIONS):
            is_there = await connection.fetchval("select to_regclass($1)", table.name) is not None
            if not is_there and table not in (CANDLES, FUNDING):
                raise NoVenue(f"this database has no table {table.name}: no venue has been served from it")
            if not is_there or not await connection.fetchval(_HAS_COLUMNS, table.name, ("shard", *table.columns)):
                raise JournalUnavailable(
                    f"the table {table.name} is of an older version: a venue of this version that is started on the"
                    " database brings it up to date"
                )

    def last_offset(self) -> int:
        """Offset of the last row; 0 when there is none."""
        return int(self._fetch(LAST, self._shard)[0][0])

    def archived(self) -> tuple[int, str] | None:
        """The last row that has left for the archive, and the file it was written to; None when all are here."""
        if self._fetch("select to_regclass('archives')")[0][0] is None:
            return None
        found = self._fetch(NEWEST_ARCHIVE, self._shard)
        return (int(found[0][0]), str(found[0][1])) if found else None

    def pages(self, after: int = 0, until: int = OFFSET_MAX) -> Iterator[list[Row]]:
        """Every row with ``after < offset <= until``, in order."""
        query = (
            f'select {ROW_COLUMNS} from journal where shard = $1 and "offset" > $2 and "offset" <= $3 order by "offset"'
        )
        cursor = self._cursor(query, self._shard, after, until)
        while page := [Row(*record) for record in self._run(cursor.fetch(PAGE_ROWS, timeout=ANSWER_TIMEOUT_S))]:
            yield page

    def records(self, table: Table) -> RecordStream:
        """All records of ``fills``, ``legs``, ``prices``, ``funding`` or ``candles`` in the order of (offset, n)."""
        query = f'select {columns(table.columns)} from {table.name} where shard = $1 order by "offset", n'
        cursor = self._cursor(query, self._shard)
        return RecordStream(lambda: self._run(cursor.fetch(PAGE_RECORDS, timeout=ANSWER_TIMEOUT_S)))

    def positions(self, ids: Sequence[str]) -> list[Record]:
        """The records of these positions, those that are there."""
        query = f"select {columns(POSITIONS.columns)} from positions where shard = $1 and id = any($2::text[])"
        return [tuple(record) for record in self._fetch(query, self._shard, ids)]

    def beyond(self, offset: int) -> Mapping[str, int]:
        """By table the highest row after row ``offset`` that it has records of, if it has any."""
        found: dict[str, int] = {}
        for table in (*IN_STEP, POSITIONS):
            query = f'select max("offset") from {table.name} where shard = $1 and "offset" > $2'
            highest = self._fetch(query, self._shard, offset)[0][0]
            if highest is not None:
                found[table.name] = highest
        return found

    def open_positions(self) -> Iterator[PositionRecord]:
        """Every position that the tables say is open, in no order: the records, and what only fills say."""
        names = columns(POSITIONS.columns)
        query = (
            f"select {names} from positions where shard = $1 and status = $2"
            f" union all select {names} from all_positions where shard = $1 and status = $2 and not exists"
            " (select from positions known where known.shard = $1 and known.id = all_positions.id)"
        )
        cursor = self._cursor(query, self._shard, STATUS_OPEN)
        while page := self._run(cursor.fetch(PAGE_RECORDS, timeout=ANSWER_TIMEOUT_S)):
            for found in page:
                yield PositionRecord(*found)

    def newest_price(self, ticker: str) -> PriceRecord | None:
        """The last price of a market."""
        found = self._fetch(f"select {columns(PRICES.columns)} from prices {_NEWEST}", self._shard, ticker)
        return PriceRecord(*found[0]) if found else None

    def newest_fill(self, ticker: str) -> FillRecord | None:
        """The last trade of a market."""
        names = columns(FillRecord.__struct_fields__)
        found = self._fetch(f"select {names} from fills {_NEWEST}", self._shard, ticker)
        return FillRecord(*found[0]) if found else None

    def position_ids(self) -> Iterator[tuple[str, int, int]]:
        """Id, opening row and last row of every record of ``positions``, in no order."""
        cursor = self._cursor('select id, opened_offset, "offset" from positions where shard = $1', self._shard)
        while page := self._run(cursor.fetch(PAGE_RECORDS, timeout=ANSWER_TIMEOUT_S)):
            for found in page:
                yield found[0], found[1], found[2]

    def doubled_orders(self, limit: int) -> list[tuple[str, str, list[int]]]:
        """Client order ids that a sender has more than once, and the rows that have it; no index is believed."""
        self._run(self._connected().execute(_HEAP_ONLY))
        found = self._fetch(_DOUBLED, self._shard, limit)
        self._run(self._connected().execute(_ANY_SCAN))
        return [(user, order, list(offsets)) for user, order, offsets in found]

    def owner_epoch(self) -> int | None:
        """The epoch of the last take-over; None when nobody ever took the shard."""
        found = self._fetch(_OWNER, self._shard)
        return int(found[0][0]) if found else None

    def snapshot_offsets(self) -> list[int]:
        """Where the stored snapshots stand, oldest first; none in a database that has no table for them."""
        if self._fetch("select to_regclass('snapshots')")[0][0] is None:
            return []
        return [int(offset) for (offset,) in self._fetch(SNAPSHOTS_UNTIL, self._shard, OFFSET_MAX)][::-1]

    def snapshot(self, offset: int) -> bytes:
        """The bytes of a snapshot."""
        return b"".join(part for (part,) in self._fetch(SNAPSHOT_PARTS, self._shard, offset))

    def _cursor(self, query: str, *values: Any) -> Cursor[Any]:
        async def declare() -> Cursor[Any]:
            return await self._connected().cursor(query, *values, timeout=ANSWER_TIMEOUT_S)

        return self._run(declare())
