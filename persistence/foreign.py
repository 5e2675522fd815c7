"""A question to a database that is not ours: read-only, bounded, and everything back as text."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

from persistence import connect

if TYPE_CHECKING:
    from asyncpg import Connection, Record

QUERY_TIMEOUT_S: Final = 60.0


def ask(url: str, query: str, rows_max: int) -> tuple[list[str], list[list[str]]]:
    """The columns of a query and at most ``rows_max`` of its rows. Raises ``JournalUnavailable``.

    Numbers keep every digit they have; a binary one (``float8``) is told by the shortest decimal that names it.
    """

    async def read(connection: Connection[Record]) -> tuple[list[str], list[list[str]]]:
        async with connection.transaction(readonly=True):
            statement = await connection.prepare(query)
            names = [attribute.name for attribute in statement.get_attributes()]
            cursor = await statement.cursor()
            found = await cursor.fetch(rows_max, timeout=QUERY_TIMEOUT_S)
            return names, [[_text(value) for value in record] for record in found]

    return connect.ask(
        url,
        read,
        name="perps reconcile",
        doing="asking the other database",
        default_transaction_read_only="on",
        statement_timeout=f"{QUERY_TIMEOUT_S:.0f}s",
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, date) else str(value)
