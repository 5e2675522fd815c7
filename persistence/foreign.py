"""A question to a database that is not ours: read-only, bounded, and everything back as text."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

import uvloop

from persistence.connect import connect, database_errors, end

QUERY_TIMEOUT_S: Final = 60.0


def ask(url: str, query: str, rows_max: int) -> tuple[list[str], list[list[str]]]:
    """The columns of a query and at most ``rows_max`` of its rows. Raises ``JournalUnavailable``.

    Numbers keep every digit they have; a binary one (``float8``) is told by the shortest decimal that names it.
    """

    async def run() -> tuple[list[str], list[list[str]]]:
        connection = await connect(
            url,
            name="perps reconcile",
            default_transaction_read_only="on",
            statement_timeout=f"{QUERY_TIMEOUT_S:.0f}s",
        )
        try:
            async with connection.transaction(readonly=True):
                statement = await connection.prepare(query)
                names = [attribute.name for attribute in statement.get_attributes()]
                cursor = await statement.cursor()
                found = await cursor.fetch(rows_max, timeout=QUERY_TIMEOUT_S)
                return names, [[_text(value) for value in record] for record in found]
        finally:
            await end(connection)

    with database_errors("asking the other database"):
        return uvloop.run(run())


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, date) else str(value)
