"""A question to a database that is not ours: only read, bounded in time and size, and everything back as text."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from perps.journal import JournalUnavailable
from persistence.connection import session

if TYPE_CHECKING:
    from asyncpg import Connection, Record

QUERY_TIMEOUT_S: Final = 60.0
"""For the whole answer."""

PAGE_ROWS: Final = 1_000
CELL_CHARS_MAX: Final = 1_000
"""Of one value; the rest is cut off where it is."""

CHARS_MAX: Final = 64 << 20
"""Of the whole answer."""

AS_TEXT: Final = {"datestyle": "ISO", "timezone": "UTC", "extra_float_digits": "3"}
"""Settings under which a time can be read again, and a binary number is the shortest decimal that names it."""


def ask(url: str, query: str, rows_max: int) -> tuple[list[str], list[list[str]]]:
    """The columns of a query and at most ``rows_max`` of its rows; NULL is the empty text.

    The query becomes a part of another one, so that only what has rows can be asked: a COPY, which may run a program
    of the server's even in a read-only transaction, is a syntax error there. What is left to a query of a
    superuser are functions that do such things: the role should be one that may only read.

    Raises ``JournalUnavailable``.
    """

    async def read(connection: Connection[Record]) -> tuple[list[str], list[list[str]]]:
        try:
            async with asyncio.timeout(QUERY_TIMEOUT_S), connection.transaction(readonly=True):
                return await _read(connection, query.strip().removesuffix(";"), rows_max)
        except TimeoutError:
            raise JournalUnavailable(f"asking the other database: no answer within {QUERY_TIMEOUT_S:.0f} s") from None

    return session.ask(
        url,
        read,
        name="perps reconcile",
        doing="asking the other database",
        default_transaction_read_only="on",
        statement_timeout=f"{QUERY_TIMEOUT_S:.0f}s",
        **AS_TEXT,
    )


async def _read(connection: Connection[Record], query: str, rows_max: int) -> tuple[list[str], list[list[str]]]:
    await connection.prepare(query)  # what is wrong with it is told in its own words
    columns = (await connection.prepare(f"select * from (\n{query}\n) theirs")).get_attributes()
    numbers = range(len(columns))
    cells = ", ".join(f"coalesce(left(c{number}::text, {CELL_CHARS_MAX}), '')" for number in numbers)
    names = ", ".join(f"c{number}" for number in numbers)
    statement = await connection.prepare(f"select {cells} from (\n{query}\n) theirs ({names})")
    cursor = await statement.cursor()
    rows: list[list[str]] = []
    size = 0
    while len(rows) < rows_max:
        page = [list(record) for record in await cursor.fetch(min(PAGE_ROWS, rows_max - len(rows)))]
        if not page:
            break
        rows += page
        size += sum(len(cell) for row in page for cell in row)
        if size > CHARS_MAX:
            raise JournalUnavailable(f"asking the other database: more than {CHARS_MAX} characters")
    return [column.name for column in columns], rows
