"""A stored venue to look at, and hands to damage it with."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from msgspec.structs import astuple

from perps.journal import GENESIS, Row, make_row
from persistence.journal.history import PostgresHistory
from persistence.journal.snapshots import PostgresSnapshots
from persistence.journal.writer import PostgresJournal
from tests.support.entries import Scribe
from tests.support.postgres import database_url, fill, server_url, sql
from tests.support.snapshots import snapshot_of
from tools.cli import main

__all__ = ["database_url", "server_url"]

ROWS = 120
SNAPSHOTS = (40, 90)


@dataclass(frozen=True)
class Stored:
    """A venue's database, and what the venue that wrote it held in memory at the end."""

    url: str
    scribe: Scribe

    def run(self, query: str, *values: Any) -> list[asyncpg.Record]:
        """One statement, as somebody with a client and the password would send it."""
        return sql(self.url, query, *values)

    def rows(self) -> list[Row]:
        """The journal as it is now."""
        return list(PostgresHistory(self.url).rows())

    def offset_of(self, kind: str, after: int = 60) -> int:
        """The first row of a kind behind row ``after``."""
        return next(row.offset for row in self.rows() if row.kind == kind and row.offset > after)

    def change(self, offset: int, **fields: Any) -> None:
        """Change a row and no hash."""
        for name, value in fields.items():
            self.run(f'update journal set {name} = $2 where "offset" = $1', offset, value)

    def chain(self, start: int, end: int | None = None) -> None:
        """Write the hashes of rows ``start`` to ``end`` (the last) anew, as a forger with much patience would."""
        rows = self.rows()
        previous = next((row.hash for row in rows if row.offset == start - 1), GENESIS)
        changes = []
        for row in rows:
            if start <= row.offset <= (end or rows[-1].offset):
                previous = make_row(previous, *astuple(row)[:-1]).hash
                changes.append((row.offset, previous))

        async def write() -> None:
            connection = await asyncpg.connect(self.url)
            await connection.executemany('update journal set hash = $2 where "offset" = $1', changes)
            await connection.close()

        asyncio.run(write())


@pytest.fixture
def stored(database_url: str) -> Stored:
    """A market day of some rows, written as a venue writes, with two snapshots."""
    scribe = Scribe()
    scribe.live(ROWS, seed=11)

    def write(url: str) -> None:
        with PostgresJournal.acquire(url) as journal:
            for start in range(0, ROWS, 30):
                journal.append(scribe.entries[start : start + 30])
        for offset in SNAPSHOTS:
            PostgresSnapshots(url).save(offset, snapshot_of(scribe.entries[:offset]).encode(), keep=3)

    fill(database_url, "audited", write)
    return Stored(database_url, scribe)


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    """The exit code of a command, and the JSON it printed."""
    capsys.readouterr()
    code = main(arguments)
    said = capsys.readouterr()
    assert said.err == ""
    return code, json.loads(said.out)
