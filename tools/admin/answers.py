"""One question to the venue, and its answer on the screen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

from tools.argument_types import CURSOR, Whole
from tools.output import flat, show_json, show_line, show_record, show_table
from tools.settings import Access

if TYPE_CHECKING:
    from tools.client import Venue

Record = dict[str, Any]
T = TypeVar("T")

limit_option = click.option("--limit", type=Whole(1, 500), default=100, show_default=True, help="At most this many.")
cursor_option = click.option("--cursor", type=CURSOR, help="The next page: the cursor that the page before printed.")


def ask(access: Access, question: Callable[[Venue], Awaitable[bytes]]) -> bytes:
    """Put one question to the venue; the JSON of its answer. Errors: ToolError."""
    from tools.client import Venue

    async def put() -> bytes:
        async with Venue(access.url, access.key, key_from=access.key_from) as venue:
            return await question(venue)

    return asyncio.run(put())


def decoded(access: Access, answer: bytes, kind: type[T]) -> T:
    """The venue's answer in this form. Errors: BadAnswer."""
    from tools.client import decode_answer

    return decode_answer(answer, kind, access.url)


def show_answer(access: Access, answer: bytes, *, as_json: bool) -> None:
    """An answer as names and values, or as the JSON that it is. Errors: BadAnswer."""
    if as_json:
        show_json(answer)
    else:
        show_record(decoded(access, answer, Record))


def show_rows(records: Sequence[Record], columns: Mapping[str, str], cursor: str | None = None) -> None:
    """Records as a table. ``columns``: the heads, and the dotted name of the value below each.

    ``cursor``: there is a next page; stderr says how to see it.
    """
    rows = [dict(flat(record)) for record in records]
    show_table(list(columns), [[row.get(name, "-") for name in columns.values()] for row in rows])
    if cursor is not None:
        show_line(f"there are more; to see them, add: --cursor {cursor}", err=True)
