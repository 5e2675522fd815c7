"""The journal's partitions: which there are, and making the next one before it is needed."""

from __future__ import annotations

import re
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from perps.journal import JournalUnavailable
from persistence.connection.session import ask
from persistence.errors import OtherPartitions

if TYPE_CHECKING:
    from asyncpg import Connection

PARTITION_ROWS: Final = 1_000_000
"""Offsets of one partition, where nobody chose another number when the database was made."""

LOCK: Final = (0x70657270, -2)
"""Advisory lock held while partitions are made: "perp" and no shard."""

LOCK_TIMEOUT_MS: Final = 1_000
"""How long the making of a partition waits for somebody else who changes the table's schema, before it is put off."""

RETRY_S: Final = 5.0
"""Pause after partitions could not be made ahead."""

CLOSE_S: Final = 2.0
"""How long ``close`` waits for partitions that are just being made. Left behind they are harmless."""

_PARTITIONS: Final = """
    select child.relname, pg_get_expr(child.relpartbound, child.oid), pg_inherits.inhdetachpending
      from pg_inherits join pg_class child on child.oid = inhrelid
     where inhparent = 'journal'::regclass
"""
_BOUND: Final = re.compile(r"FOR VALUES FROM \('(\d+)'\) TO \('(\d+)'\)")


class Partition(Struct, frozen=True, order=True):
    """Some consecutive offsets of all shards, in a table of their own."""

    first: int
    last: int
    """The last offset there is room for, whether there are rows yet or not."""
    name: str
    is_leaving: bool = False
    """Its detachment was begun and not ended: no query sees its rows any more."""


async def partitions(connection: Connection[Any]) -> list[Partition]:
    """All partitions of the journal, in order. Raises ``JournalUnavailable`` for one that is none of ours."""
    found = []
    for name, bound, is_leaving in await connection.fetch(_PARTITIONS):
        ends = _BOUND.fullmatch(bound)
        if ends is None:
            raise JournalUnavailable(f"the journal has a partition {name} that no venue has made: {bound}")
        found.append(Partition(int(ends[1]), int(ends[2]) - 1, name, is_leaving))
    return sorted(found)


async def settle_partition_rows(connection: Connection[Any], chosen: int | None) -> int:
    """How many offsets each partition has. ``chosen`` (None: no choice) decides it in a database that is new.

    A database is new until its journal has had an owner. Raises ``OtherPartitions`` if it is not, and ``chosen`` is not
    what it has; and what asyncpg raises.
    """
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1, $2)", *LOCK)
        rows = int(await connection.fetchval("select partition_rows from journal_layout"))
        if chosen is None or chosen == rows:
            return rows
        if await connection.fetchval("select exists (select from owner)"):
            raise OtherPartitions(
                f"this database was made with --partition-rows {rows}, which cannot be changed to {chosen}:"
                " leave the option out, or start a venue on a new database"
            )
        await connection.execute("alter table journal detach partition journal_1")
        await connection.execute(
            f"alter table journal attach partition journal_1 for values from (1) to ({chosen + 1:d})"
        )
        await connection.execute("update journal_layout set partition_rows = $1", chosen)
    return chosen


async def make_partitions(connection: Connection[Any], offset: int, rows: int = PARTITION_ROWS) -> int:
    """Make partitions of ``rows`` offsets until there is room for row ``offset``; the last offset there is room for.

    All or none. Nobody who reads or writes the journal waits: the new table is attached while it is empty, which locks
    the parent against changes of its schema only (SHARE UPDATE EXCLUSIVE). ``create table … partition of`` would wait
    for every reader, and every writer for it. Raises what asyncpg raises.
    """
    room = await _room(connection)
    if room >= offset:
        return room
    async with connection.transaction():
        await connection.execute(f"set local lock_timeout = {LOCK_TIMEOUT_MS:d}")
        await connection.execute("select pg_advisory_xact_lock($1, $2)", *LOCK)
        room = await _room(connection)
        while room < offset:
            await connection.execute(_creation(room + 1, room + rows))
            room += rows
    return room


async def _room(connection: Connection[Any]) -> int:
    return max((partition.last for partition in await partitions(connection)), default=0)


def _creation(first: int, last: int) -> str:
    """Statements that make and attach a partition, with the constraints of the first one (migrations 0003, 0004)."""
    name = f"journal_{first:d}"
    return f"""
        create table {name} (
            like journal,
            constraint {name}_offset primary key (shard, "offset"),
            constraint {name}_client_order_id unique (user_id, client_order_id, shard),
            constraint {name}_stream_sequence unique (shard, stream, market_seq)
        );
        alter table journal attach partition {name} for values from ({first:d}) to ({last + 1:d});
    """


class PartitionMaker:
    """Makes the next partition once half of the last one is full, on a connection and in a thread of its own.

    The journal's writer waits only if the partition it needs is still not there.
    """

    def __init__(self, url: str) -> None:
        """Begins with ``make_now``."""
        self._url = url
        self.rows = PARTITION_ROWS
        """Offsets of a partition in this database."""
        self.room = 0
        """The last offset that there is known to be a partition for."""
        self._thread: threading.Thread | None = None
        self._not_before = 0.0

    def look_ahead(self, offset: int) -> None:
        """Row ``offset`` is the last one: begin to make what will be needed soon. Does not wait."""
        if self.room - offset >= self.rows // 2:
            return
        busy = self._thread is not None and self._thread.is_alive()
        if busy or monotonic() < self._not_before:
            return
        self._not_before = monotonic() + RETRY_S
        self._thread = threading.Thread(target=self._make, args=(offset + self.rows,), name="partitions", daemon=True)
        self._thread.start()

    async def make_now(self, connection: Connection[Any], offset: int) -> None:
        """Be sure that there is room for row ``offset``. Raises what asyncpg raises."""
        if offset > self.room:
            self.room = await make_partitions(connection, offset, self.rows)

    def close(self) -> None:
        """Wait for what is being made, not for long."""
        if self._thread is not None:
            self._thread.join(CLOSE_S)

    def _make(self, offset: int) -> None:
        try:
            made = ask(
                self._url,
                lambda connection: make_partitions(connection, offset, self.rows),
                name="perps partitions",
                doing="making a partition",
            )
            self.room = max(self.room, made)
        except JournalUnavailable:
            return  # it is tried again; in the end the writer makes it itself and reports what is wrong
        self._not_before = 0.0
