"""What the journal holds, read from PostgreSQL without owning it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, TypeVar

from perps.journal import Row
from perps.venue import JournalCorrupt
from persistence.connection.connect import BY_INDEX, READ_TIMEOUT_S
from persistence.connection.session import ask
from persistence.journal.look_ups import PostgresLookUps
from persistence.journal.selections import (
    EPOCH_AND_HASH_AT,
    LAST,
    NEWEST_ARCHIVE,
    OFFSET_MAX,
    ROW_COLUMNS,
    ROWS_AFTER,
    SNAPSHOT_PARTS,
    SNAPSHOTS_UNTIL,
)

if TYPE_CHECKING:
    from asyncpg import Connection, Record

BATCH_ROWS: Final = 10_000
"""Rows fetched at a time, each time on a short connection. The next are read while these are taken in, as PostgreSQL
works beside the interpreter: an abandoned iterator leaves nothing behind but that one reading."""

T = TypeVar("T")

_ROWS_OF: Final = (
    f"select {ROW_COLUMNS} from journal where shard = $1 and stream = $4 and market_seq > $2"
    " order by market_seq limit $3"
)


class PostgresHistory:
    """Satisfies ``actors.ports.History``. Blocking; safe from any thread that is not running an event loop itself."""

    def __init__(self, url: str, shard: int = 0) -> None:
        self._url, self._shard = url, shard

    def rows(self, after: int = 0) -> Iterator[Row]:
        """Every durable row with ``offset > after``, in order. Raises ``JournalUnavailable``.

        Raises ``JournalCorrupt`` when the first of them have left for the archive.
        """
        return self._pages(ROWS_AFTER, after, lambda row: row.offset)

    def rows_of(self, stream: str, after: int = 0) -> Iterator[Row]:
        """Every durable row of one stream with ``market_seq > after``, in order. Raises ``JournalUnavailable``."""
        return self._pages(_ROWS_OF, after, lambda row: row.market_seq, stream)

    def epoch_and_hash_at(self, offset: int) -> tuple[int, bytes] | None:
        """The stored epoch and hash of one row; None if there is no such row. Raises ``JournalUnavailable``."""
        found = self._fetch(EPOCH_AND_HASH_AT, self._shard, offset)
        return (found[0]["epoch"], found[0]["hash"]) if found else None

    def last(self) -> int:
        """Offset of the last durable row; 0 if there is none. Raises ``JournalUnavailable``."""
        return int(self._fetch(LAST, self._shard)[0][0])

    def snapshots(self, until: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Offset and bytes of the stored snapshots, at most at row ``until``, newest first; each read when asked for.

        Raises ``JournalUnavailable``.
        """
        for (offset,) in self._fetch(SNAPSHOTS_UNTIL, self._shard, OFFSET_MAX if until is None else until):
            yield offset, b"".join(part for (part,) in self._fetch(SNAPSHOT_PARTS, self._shard, offset))

    def look_ups(self, limit_s: float) -> PostgresLookUps:
        """A way to ask which row answered a client id, for one thread; each time within ``limit_s``."""
        return PostgresLookUps(self._url, self._shard, limit_s)

    def _pages(self, query: str, after: int, key: Callable[[Row], int], *more: str) -> Iterator[Row]:
        def read(after: int) -> list[Row]:
            return [Row(*record) for record in self._fetch(query, self._shard, after, BATCH_ROWS, *more)]

        page = read(after)
        if page and key(page[0]) != after + 1:
            self._explain_gap(after, page[0])
        while len(page) == BATCH_ROWS:
            coming = _ahead(partial(read, key(page[-1])))
            yield from page
            page = coming.result()
        yield from page

    def _explain_gap(self, after: int, row: Row) -> None:
        """``row`` is not the next one. Raises ``JournalCorrupt`` if that is because those before it have left."""
        if not self._fetch("select 1 where to_regclass('archives') is not null"):
            return
        for last, file in self._fetch(NEWEST_ARCHIVE, self._shard):
            if after < last < row.offset:
                problem = (
                    f"it is in the archive, like all rows up to {last} ({file}), and there is no snapshot to begin from"
                    " instead: perps restore makes a whole database of the archive and this one"
                )
                raise JournalCorrupt(after + 1, problem)

    def _fetch(self, query: str, *values: Any) -> list[Record]:
        return self._run(lambda connection: connection.fetch(query, *values, timeout=READ_TIMEOUT_S))

    def _run(self, work: Callable[[Connection[Record]], Coroutine[Any, Any, T]]) -> T:
        return ask(self._url, work, name="perps history", doing="reading the journal", **BY_INDEX)


def _ahead(read: Callable[[], T]) -> Future[T]:
    """What ``read`` returns or raises, when it has. Not of a pool: the end of the process would wait for that."""
    coming: Future[T] = Future()

    def run() -> None:
        try:
            coming.set_result(read())
        except BaseException as error:  # noqa: BLE001 - raised where the page is wanted
            coming.set_exception(error)

    Thread(target=run, name="journal page", daemon=True).start()
    return coming
