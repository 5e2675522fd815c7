"""What the journal holds, read from PostgreSQL without owning it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import uvloop

from perps.journal import Row
from perps.venue import JournalCorrupt
from persistence.connect import READ_TIMEOUT_S, connect, database_errors, end

if TYPE_CHECKING:
    from asyncpg import Connection, Record

BATCH_ROWS: Final = 10_000
"""Rows fetched at a time, each time on a short connection: an abandoned iterator leaves nothing behind."""

OFFSET_MAX: Final = 2**63 - 1

KEYS_MAX: Final = 5_000
"""Client ids looked up by one statement."""

T = TypeVar("T")

_COLUMNS: Final = ", ".join(f'"{column}"' for column in Row.__struct_fields__)
_ROWS: Final = f'select {_COLUMNS} from journal where shard = $1 and "offset" > $2 order by "offset" limit $3'
_ROWS_OF: Final = (
    f"select {_COLUMNS} from journal where shard = $1 and stream = $4 and market_seq > $2 order by market_seq limit $3"
)
_HASH: Final = 'select hash from journal where shard = $1 and "offset" = $2'
_SNAPSHOTS: Final = 'select "offset" from snapshots where shard = $1 and "offset" <= $2 order by "offset" desc'
_PARTS: Final = 'select body from snapshot_parts where shard = $1 and "offset" = $2 order by n'
_ANSWERS: Final = (
    'select user_id, client_order_id, "offset", fingerprint from unnest($2::text[], $3::text[]) as asked (who, which),'
    ' lateral (select shard, user_id, client_order_id, "offset", fingerprint from journal'
    " where user_id = who and client_order_id = which offset 0) found"
    " where shard = $1"
)
"""``offset 0`` keeps the planner from joining the whole journal instead: each id is asked for in the index of each
partition."""

_ARCHIVED: Final = "select last_offset, file from archives where shard = $1 order by last_offset desc limit 1"


class PostgresHistory:
    """Satisfies ``actors.ports.History``. Blocking; safe from any thread that is not running an event loop itself."""

    def __init__(self, url: str, shard: int = 0) -> None:
        self._url, self._shard = url, shard

    def rows(self, after: int = 0) -> Iterator[Row]:
        """Every durable row with ``offset > after``, in order. Raises ``JournalUnavailable``.

        Raises ``JournalCorrupt`` when the first of them have left for the archive.
        """
        return self._pages(_ROWS, after, lambda row: row.offset)

    def rows_of(self, stream: str, after: int = 0) -> Iterator[Row]:
        """Every durable row of one stream with ``market_seq > after``, in order. Raises ``JournalUnavailable``."""
        return self._pages(_ROWS_OF, after, lambda row: row.market_seq, stream)

    def hash_at(self, offset: int) -> bytes | None:
        """The stored hash of one row; None if there is no such row. Raises ``JournalUnavailable``."""
        found = self._fetch(_HASH, self._shard, offset)
        return found[0][0] if found else None

    def snapshots(self, until: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Offset and bytes of the stored snapshots, at most at row ``until``, newest first; each read when asked for.

        Raises ``JournalUnavailable``.
        """
        for (offset,) in self._fetch(_SNAPSHOTS, self._shard, OFFSET_MAX if until is None else until):
            yield offset, b"".join(part for (part,) in self._fetch(_PARTS, self._shard, offset))

    def answers(self, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], tuple[int, bytes]]:
        """Offset and fingerprint of the rows that answered these (sender, client order id) pairs, where there are."""
        found: dict[tuple[str, str], tuple[int, bytes]] = {}
        for start in range(0, len(keys), KEYS_MAX):
            users, ids = zip(*keys[start : start + KEYS_MAX], strict=True)
            for user, client_order_id, offset, fingerprint in self._fetch(_ANSWERS, self._shard, users, ids):
                found.setdefault((user, client_order_id), (offset, fingerprint or b""))
        return found

    def _pages(self, query: str, after: int, key: Callable[[Row], int], *more: str) -> Iterator[Row]:
        begun = after
        while True:
            page = [Row(*record) for record in self._fetch(query, self._shard, after, BATCH_ROWS, *more)]
            if page and key(page[0]) != after + 1 and after == begun:
                self._explain_gap(after, page[0])
            yield from page
            if len(page) < BATCH_ROWS:
                return
            after = key(page[-1])

    def _explain_gap(self, after: int, row: Row) -> None:
        """``row`` is not the next one. Raises ``JournalCorrupt`` if that is because those before it have left."""
        if not self._fetch("select 1 where to_regclass('archives') is not null"):
            return
        for last, file in self._fetch(_ARCHIVED, self._shard):
            if after < last < row.offset:
                problem = (
                    f"it is in the archive, like all rows up to {last} ({file}), and there is no snapshot to begin from"
                    " instead: perps restore makes a whole database of the archive and this one"
                )
                raise JournalCorrupt(after + 1, problem)

    def _fetch(self, query: str, *values: Any) -> list[Record]:
        return self._run(lambda connection: connection.fetch(query, *values, timeout=READ_TIMEOUT_S))

    def _run(self, ask: Callable[[Connection[Record]], Awaitable[T]]) -> T:
        async def session() -> T:
            # Each query here has an index in its order. Of a partition that was begun a moment ago the planner knows
            # too little to see that, and would sort the whole journal for every page.
            connection = await connect(
                self._url, name="perps history", enable_seqscan="off", enable_bitmapscan="off", enable_sort="off"
            )
            try:
                return await ask(connection)
            finally:
                await end(connection)

        with database_errors("reading the journal"):
            return uvloop.run(session())
