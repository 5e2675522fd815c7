"""Whole partitions of the journal leave for the archive: written, read back, recorded, detached, dropped.

In this order, each step durable before the next: wherever it is cut off there is the partition or the file or both, and
doing it again goes on from there. A venue may run meanwhile: nothing here keeps it from reading or writing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from perps.journal import GENESIS, JournalUnavailable, Row
from perps.snapshot.format import Snapshot, SnapshotBroken
from perps.venue import VenueState
from persistence.connection.session import ANSWER_TIMEOUT_S, BlockingSession
from persistence.journal.partitions import Partition, partitions
from persistence.journal.selections import (
    EPOCH_AND_HASH_AT,
    LAST,
    OFFSET_MAX,
    ROW_COLUMNS,
    SNAPSHOT_PARTS,
    SNAPSHOTS_UNTIL,
)
from persistence.operator.archive import ArchiveBroken, ArchiveFile, check_file, file_name, write_file

if TYPE_CHECKING:
    from asyncpg import Connection

PAGE_ROWS: Final = 2_000

DETACH_TIMEOUT_S: Final = 600
"""How long a detachment waits for those who still read the partition. Past it the next run ends it."""

LOCK: Final = (0x70657270, -3)
"""Advisory lock held while archiving: "perp" and no shard."""

_RECORDS: Final = (
    "select first_offset, last_offset, last_hash, file from archives where shard = $1 order by last_offset"
)
_RECORD: Final = (
    "insert into archives (shard, first_offset, last_offset, previous_hash, last_hash, file)"
    " values ($1, $2, $3, $4, $5, $6) on conflict (shard, last_offset) do update"
    " set file = excluded.file, archived_at = now()"
)
_DETACHED: Final = """
    select relname from pg_class
     where relkind = 'r' and not relispartition and relname = $1
       and relnamespace = (select relnamespace from pg_class where oid = 'journal'::regclass)
"""

Tell = Callable[[str], object]
OnSnapshot = Callable[[Snapshot, VenueState], object]


class Kept(Struct, frozen=True):
    """A partition that stays, and why."""

    first: int
    last: int
    why: str


class Rule(Struct, frozen=True, kw_only=True):
    """Which partitions may leave, besides what always holds."""

    before: int | None = None
    """Only those that end before this row."""
    not_after: int
    """Only those without a row after this time, milliseconds since 1970."""


class _Recorded(Struct, frozen=True):
    first: int
    last: int
    last_hash: bytes
    file: str


class Archiver(BlockingSession):
    """Archives the partitions of one shard's journal. Blocking; used by one thread, which runs no event loop itself.

    Every method raises ``JournalUnavailable`` when the database does not answer, ``ArchiveBroken`` and ``OSError`` when
    the directory or a file in it will not do.
    """

    def __init__(
        self, url: str, directory: Path, shard: int = 0, *, on_snapshot: OnSnapshot = lambda snapshot, state: None
    ) -> None:
        """Connects. Raises ``JournalUnavailable``, also when another is at it.

        ``on_snapshot`` may find a snapshot unfit to start from, by raising ``SnapshotBroken``.
        """
        self._directory, self._shard, self._on_snapshot = directory.absolute(), shard, on_snapshot
        super().__init__(
            url,
            name="perps archive",
            doing="archiving",
            lock_timeout=f"{DETACH_TIMEOUT_S}s",
            client_connection_check_interval="2s",
        )

    async def _begin(self, connection: Connection[Any]) -> None:
        if await connection.fetchval("select to_regclass('archives')") is None:
            raise JournalUnavailable("no venue of this version has been served from this database")
        if not await connection.fetchval("select pg_try_advisory_lock($1, $2)", *LOCK):
            raise JournalUnavailable("this database is being archived already")

    def finish(self) -> list[ArchiveFile]:
        """End what an earlier run began: partitions whose file was recorded, and which are not gone yet."""
        leaving = {partition.name for partition in self._partitions() if partition.is_leaving}
        ended = []
        for record in self._records():
            name = f"journal_{record.first}"
            if name in leaving:
                found = self._check_again(record)
                self._execute(f"alter table journal detach partition {name} finalize")
                self._execute(f"drop table {name}")
                ended.append(found)
                leaving.discard(name)
            elif self._fetch(_DETACHED, name):
                found = self._check_again(record)
                self._execute(f"drop table {name}")
                ended.append(found)
        if leaving:
            raise JournalUnavailable(
                f"{', '.join(leaving)} is being detached, and not by perps archive: end that first"
            )
        return ended

    def plan(self, rule: Rule) -> tuple[list[Partition], Kept | None]:
        """The partitions that may leave, oldest first; and the first that may not, which keeps all after it."""
        last, bound = self._fetch(LAST, self._shard)[0][0], self._oldest_snapshot()
        may: list[Partition] = []
        for partition in self._partitions():
            why = self._why_not(partition, rule, last, bound)
            if why is not None:
                return may, Kept(partition.first, partition.last, why)
            may.append(partition)
        return may, None

    def archive(self, partition: Partition, tell: Tell = lambda step: None) -> ArchiveFile:
        """Write, read back, record, detach and drop one partition, the oldest there is."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / file_name(self._shard, partition.first, partition.last)
        previous_hash = self._hash_before(partition.first)
        if not path.exists():
            tell("writing")
            write_file(self._directory, self._shard, self._rows(partition), previous_hash)
        tell("reading back")
        found = check_file(path)
        last_hash = self._fetch(EPOCH_AND_HASH_AT, self._shard, partition.last)[0]["hash"]
        if (found.previous_hash, found.last_hash) != (previous_hash, last_hash):
            raise ArchiveBroken(f"{path} is there, and its rows are not those of the database: move it away")
        values = (self._shard, found.first, found.last, found.previous_hash, found.last_hash, str(path))
        self._execute(_RECORD, *values)
        tell("detaching")
        self._execute(f"alter table journal detach partition {partition.name} concurrently")
        tell("dropping")
        self._execute(f"drop table {partition.name}")
        return found

    def _why_not(self, partition: Partition, rule: Rule, last: int, bound: int | None) -> str | None:
        if last <= partition.last:
            return "it is being written"
        if rule.before is not None and partition.last >= rule.before:
            return f"it does not end before row {rule.before}"
        if bound is None:
            return "there is no snapshot that can be used: take one first (perps snapshot)"
        if partition.last >= bound:
            return f"the oldest snapshot kept, of row {bound}, does not come after it"
        query = f'select count(*), min(shard), max(shard), min("offset"), max("offset"), max(at) from {partition.name}'
        count, lowest, highest, *ends, newest = self._fetch(query)[0]
        if count and (lowest, highest) != (self._shard, self._shard):
            return "it holds rows of another shard"
        if count != partition.last - partition.first + 1 or ends != [partition.first, partition.last]:
            return "rows of it are missing: ask perps verify"
        if newest > rule.not_after:
            return "its newest row is not old enough: the client order ids in it are still answered for"
        return None

    def _oldest_snapshot(self) -> int | None:
        """The row of the oldest snapshot; None if not one of them can be used."""
        offsets = [int(offset) for (offset,) in self._fetch(SNAPSHOTS_UNTIL, self._shard, OFFSET_MAX)]
        for offset in offsets:
            if self._can_be_used(offset):
                return offsets[-1]
        return None

    def _can_be_used(self, offset: int) -> bool:
        try:
            snapshot = Snapshot.decode(b"".join(part for (part,) in self._fetch(SNAPSHOT_PARTS, self._shard, offset)))
            self._on_snapshot(snapshot, snapshot.state())
        except SnapshotBroken:
            return False
        rows = self._fetch(EPOCH_AND_HASH_AT, self._shard, snapshot.offset)
        return [tuple(row) for row in rows] == [(snapshot.epoch, snapshot.last_hash)]

    def _hash_before(self, first: int) -> bytes:
        """The hash of the row before ``first``, the first one in the database: it has been archived."""
        if first == 1:
            return GENESIS
        for record in self._records():
            if record.last == first - 1:
                return record.last_hash
        raise JournalUnavailable(f"row {first - 1} is missing, and was not archived: ask perps verify")

    def _check_again(self, record: _Recorded) -> ArchiveFile:
        path = self._directory / file_name(self._shard, record.first, record.last)
        if not path.exists():
            raise ArchiveBroken(f"rows {record.first} to {record.last} have left for {record.file}: give its directory")
        found = check_file(path)
        if found.last_hash != record.last_hash:
            raise ArchiveBroken(f"{path} holds other rows than were archived")
        return found

    def _rows(self, partition: Partition) -> Iterator[Row]:
        query = (
            f'select {ROW_COLUMNS} from {partition.name} where shard = $1 and "offset" > $2 order by "offset" limit $3'
        )
        after = partition.first - 1
        while page := [Row(*record) for record in self._fetch(query, self._shard, after, PAGE_ROWS)]:
            yield from page
            after = page[-1].offset

    def _partitions(self) -> Sequence[Partition]:
        return self._run(partitions(self._connected()))

    def _records(self) -> list[_Recorded]:
        return [_Recorded(*record) for record in self._fetch(_RECORDS, self._shard)]

    def _execute(self, statement: str, *values: Any) -> None:
        self._run(self._connected().execute(statement, *values, timeout=2 * ANSWER_TIMEOUT_S))
