"""Snapshots in PostgreSQL: in the database of the journal they follow from, cut into parts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from persistence.connection.session import ask
from persistence.journal.selections import SNAPSHOT_PARTS

if TYPE_CHECKING:
    from asyncpg import Connection, Record

PART_BYTES: Final = 4 << 20
"""Bytes of a snapshot in one record: PostgreSQL holds a few copies of a record in memory at a time."""

SAVE_TIMEOUT_S: Final = 60.0
"""Longest time to store one, waiting for another that is being stored included."""

CUT_S: Final = 1.0
"""After which a server that does not even answer the end of the transaction is left."""

_SESSION: Final = dict.fromkeys(("statement_timeout", "idle_in_transaction_session_timeout"), f"{SAVE_TIMEOUT_S:.0f}s")
"""The server's own limits: a client that stops in its transaction must not hold up the others."""

_LOCK: Final = "lock table snapshots in share row exclusive mode"
"""One is stored at a time. Readers do not wait for it."""
_STORED: Final = 'select 1 from snapshots where shard = $1 and "offset" = $2'
_DELETE: Final = 'delete from snapshots where shard = $1 and "offset" = $2'
_INSERT: Final = 'insert into snapshots (shard, "offset", size) values ($1, $2, $3)'
_FORGET: Final = (
    'delete from snapshots where shard = $1 and "offset" <> $2 and "offset" not in'
    ' (select "offset" from snapshots where shard = $1 order by "offset" desc limit $3)'
)


class PostgresSnapshots:
    """Satisfies ``web.snapshot_taking.SnapshotStore``. Blocking; safe from any thread without a running event loop."""

    def __init__(self, url: str, shard: int = 0) -> None:
        self._url, self._shard = url, shard

    def save(self, offset: int, body: bytes, *, keep: int, broken: Mapping[int, bytes] | None = None) -> None:
        """Store a snapshot, in place of one at the same row; forget those that are ``broken`` (SHA-256 of their bytes,
        by row), then all but this one and the newest ``keep``.

        All of it or nothing; done already if it is there. Raises ``JournalUnavailable``.
        """

        async def write(connection: Connection[Record]) -> None:
            cut = asyncio.get_running_loop().call_later(SAVE_TIMEOUT_S + CUT_S, connection.terminate)
            try:
                async with asyncio.timeout(SAVE_TIMEOUT_S), connection.transaction():
                    await connection.execute(_LOCK)
                    await self._forget(connection, broken or {})
                    if await self._stored(connection, offset) != body:
                        await self._put(connection, offset, body)
                    await connection.execute(_FORGET, self._shard, offset, keep)
            finally:
                cut.cancel()

        ask(self._url, write, name="perps snapshot", doing=f"saving the snapshot of row {offset}", **_SESSION)

    async def _forget(self, connection: Connection[Record], broken: Mapping[int, bytes]) -> None:
        """Those of these bytes only: another may have been stored in the place of one."""
        for offset, digest in broken.items():
            stored = await self._stored(connection, offset)
            if stored is not None and sha256(stored).digest() == digest:
                await connection.execute(_DELETE, self._shard, offset)

    async def _stored(self, connection: Connection[Record], offset: int) -> bytes | None:
        if await connection.fetchval(_STORED, self._shard, offset) is None:
            return None
        return b"".join([part for (part,) in await connection.fetch(SNAPSHOT_PARTS, self._shard, offset)])

    async def _put(self, connection: Connection[Record], offset: int, body: bytes) -> None:
        parts = (body[start : start + PART_BYTES] for start in range(0, len(body), PART_BYTES))
        records = [(self._shard, offset, n, part) for n, part in enumerate(parts)]
        await connection.execute(_DELETE, self._shard, offset)
        await connection.execute(_INSERT, self._shard, offset, len(body))
        await connection.copy_records_to_table(
            "snapshot_parts", records=records, columns=("shard", "offset", "n", "body")
        )
