"""One face for both stores, so that one contract suite can run on either."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Protocol

from actors.ports import History, Journal
from perps.journal import Entry
from perps.query_rows import KeyRecord
from persistence.journal.history import PostgresHistory
from persistence.journal.snapshots import PostgresSnapshots
from persistence.journal.writer import PostgresJournal
from persistence.reads.equity import PostgresEquity
from persistence.reads.keys import PostgresKeys
from persistence.reads.queries import PostgresQueries
from tests.support.memory import MemoryJournal, MemoryKeys, MemoryQueries, MemoryStore
from tests.support.memory_equity import MemoryEquity
from tests.support.postgres import sql

Queries = PostgresQueries | MemoryQueries
QUERY_TABLES = ("fills", "legs", "prices", "positions")


class Keys(Protocol):
    async def load(self) -> list[KeyRecord]: ...
    async def newest(self, *, before: tuple[int, str] | None, limit: int) -> list[KeyRecord]: ...
    async def add(self, key: KeyRecord) -> None: ...
    async def revoke(self, key_id: str, at: int) -> bool: ...


class Snapshots(Protocol):
    def save(self, offset: int, body: bytes, *, keep: int, broken: Mapping[int, bytes] | None = None) -> None: ...


class Store(Protocol):
    """A place for one venue's journal."""

    def acquire(self) -> Journal:
        """Become the owner."""
        ...

    def depose(self) -> None:
        """Let another owner take over, past whatever lock the present one holds."""
        ...

    @property
    def history(self) -> History: ...

    @property
    def snapshots(self) -> Snapshots: ...

    def queries(self) -> Queries: ...

    def keys(self) -> Keys: ...

    def equity(self) -> PostgresEquity | MemoryEquity: ...

    def query_rows(self) -> int:
        """How many records the query tables hold together."""
        ...


class MemoryBackend:
    def __init__(self) -> None:
        self._store = MemoryStore()

    def acquire(self) -> MemoryJournal:
        return self._store.acquire()

    def depose(self) -> None:
        self._store.acquire()

    @property
    def history(self) -> MemoryStore:
        return self._store

    @property
    def snapshots(self) -> MemoryStore:
        return self._store

    def queries(self) -> MemoryQueries:
        return MemoryQueries(self._store)

    def keys(self) -> MemoryKeys:
        return MemoryKeys(self._store)

    def equity(self) -> MemoryEquity:
        return MemoryEquity(self._store)

    def query_rows(self) -> int:
        store = self._store
        return len(store.fills) + len(store.legs) + len(store.prices) + len(store.positions)


class PostgresBackend:
    def __init__(self, url: str) -> None:
        self._url = url
        self._journals: list[PostgresJournal] = []

    def acquire(self) -> PostgresJournal:
        self._journals.append(PostgresJournal.acquire(self._url))
        return self._journals[-1]

    def depose(self) -> None:
        sql(self._url, "update owner set epoch = epoch + 1")

    @property
    def history(self) -> PostgresHistory:
        return PostgresHistory(self._url)

    @property
    def snapshots(self) -> PostgresSnapshots:
        return PostgresSnapshots(self._url)

    def queries(self) -> PostgresQueries:
        return PostgresQueries(self._url)

    def keys(self) -> PostgresKeys:
        return PostgresKeys(self._url)

    def equity(self) -> PostgresEquity:
        return PostgresEquity(self._url)

    def query_rows(self) -> int:
        return sum(int(sql(self._url, f"select count(*) from {table}")[0][0]) for table in QUERY_TABLES)

    def end(self) -> None:
        """Close every journal that was acquired."""
        for journal in self._journals:
            journal.close()


def looked_up(history: History, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], tuple[int, bytes]]:
    """The answers to these (sender, client order id) pairs, asked for over a session of their own."""
    with closing(history.look_ups(10)) as look_ups:
        return look_ups.answers(keys)


def write(journal: Journal, entries: Sequence[Entry], sizes: Sequence[int] = (1, 7, 300, 2, 1000)) -> None:
    """Append in batches of these sizes, over and over: single rows, statements and COPYs."""
    start = turn = 0
    while start < len(entries):
        size = sizes[turn % len(sizes)]
        journal.append(entries[start : start + size])
        start, turn = start + size, turn + 1
