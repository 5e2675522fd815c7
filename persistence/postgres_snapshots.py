"""Snapshots in PostgreSQL: in the database of the journal they follow from, cut into parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persistence.connect import ask

if TYPE_CHECKING:
    from asyncpg import Connection, Record

PART_BYTES: Final = 4 << 20
"""Bytes of a snapshot in one record: PostgreSQL holds a few copies of a record in memory at a time."""

_DELETE: Final = 'delete from snapshots where shard = $1 and "offset" = $2'
_INSERT: Final = 'insert into snapshots (shard, "offset", size) values ($1, $2, $3)'
_FORGET: Final = (
    'delete from snapshots where shard = $1 and "offset" not in'
    ' (select "offset" from snapshots where shard = $1 order by "offset" desc limit $2)'
)


class PostgresSnapshots:
    """Satisfies ``web.snapshots.SnapshotStore``. Blocking; safe from any thread that runs no event loop itself."""

    def __init__(self, url: str, shard: int = 0) -> None:
        self._url, self._shard = url, shard

    def save(self, offset: int, body: bytes, *, keep: int) -> None:
        """Store a snapshot, in place of one at the same row, and forget all but the newest ``keep``.

        All of it or nothing. Raises ``JournalUnavailable``.
        """
        parts = [body[start : start + PART_BYTES] for start in range(0, len(body), PART_BYTES)]
        records = [(self._shard, offset, n, part) for n, part in enumerate(parts)]

        async def write(connection: Connection[Record]) -> None:
            async with connection.transaction():
                await connection.execute(_DELETE, self._shard, offset)
                await connection.execute(_INSERT, self._shard, offset, len(body))
                await connection.copy_records_to_table(
                    "snapshot_parts", records=records, columns=("shard", "offset", "n", "body")
                )
                await connection.execute(_FORGET, self._shard, keep)

        ask(self._url, write, name="perps snapshot", doing=f"saving the snapshot of row {offset}")
