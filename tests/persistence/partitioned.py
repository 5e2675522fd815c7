"""Databases whose journal lies in tiny partitions."""

from collections.abc import Sequence

from perps.journal import Entry
from persistence.journal.snapshots import PostgresSnapshots
from persistence.journal.writer import PostgresJournal
from tests.persistence.stores import PostgresBackend
from tests.support.entries import Scribe
from tests.support.postgres import sql
from tests.support.snapshots import snapshot_of


class TinyPartitions(PostgresBackend):
    """The PostgreSQL store with partitions of ``rows`` offsets."""

    def __init__(self, url: str, rows: int) -> None:
        super().__init__(url)
        self.rows = rows
        shrink(url, rows)

    def acquire(self) -> PostgresJournal:
        self._journals.append(PostgresJournal.acquire(self._url, partition_rows=self.rows))
        return self._journals[-1]


def shrink(url: str, rows: int) -> None:
    """Migrate an empty database, and give its first partition room for ``rows`` rows only."""
    PostgresJournal.acquire(url, partition_rows=rows).close()
    sql(url, "delete from owner")


def stored_day(url: str, rows: int, partition_rows: int, seed: int = 11) -> list[Entry]:
    """A market day of at least ``rows`` rows in an empty database, in tiny partitions; the rows."""
    store = TinyPartitions(url, partition_rows)
    entries = Scribe().live(rows, seed=seed)
    journal = store.acquire()
    for start in range(0, len(entries), 50):
        journal.append(entries[start : start + 50])
    store.end()
    return entries


def save_snapshot(url: str, entries: Sequence[Entry], offset: int) -> None:
    """Store the snapshot of a row."""
    PostgresSnapshots(url).save(offset, snapshot_of(entries[:offset]).encode(), keep=10)
