"""Snapshots in PostgreSQL: in the database of the journal they follow from, cut into parts."""

from __future__ import annotations

from typing import Final

import uvloop

from persistence.connect import connect, database_errors, end

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
        with database_errors(f"saving the snapshot of row {offset}"):
            uvloop.run(self._save(offset, body, keep))

    async def _save(self, offset: int, body: bytes, keep: int) -> None:
        parts = [body[start : start + PART_BYTES] for start in range(0, len(body), PART_BYTES)]
        records = [(self._shard, offset, n, part) for n, part in enumerate(parts)]
        connection = await connect(self._url, name="perps snapshot")
        try:
            async with connection.transaction():
                await connection.execute(_DELETE, self._shard, offset)
                await connection.execute(_INSERT, self._shard, offset, len(body))
                await connection.copy_records_to_table(
                    "snapshot_parts", records=records, columns=("shard", "offset", "n", "body")
                )
                await connection.execute(_FORGET, self._shard, keep)
        finally:
            await end(connection)
