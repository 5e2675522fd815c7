"""One question to the venue, and its answer on the screen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import rich_click as click
from msgspec import Raw, Struct, to_builtins

from perps.wire.operation import Operation
from tools.argument_types import CURSOR, Whole
from tools.output import flat, show_json, show_line, show_record, show_table
from tools.settings import Access

Record = dict[str, Any]
T = TypeVar("T")

limit_option = click.option("--limit", type=Whole(1, 500), default=100, show_default=True, help="At most this many.")
cursor_option = click.option("--cursor", type=CURSOR, help="The next page: the cursor that the page before printed.")


def show_answer(access: Access, operation: Operation, *, as_json: bool, **values: object) -> None:
    """Ask, and show the answer as names and values, or as the JSON that it is. Errors: ToolError."""
    show_as(access, operation, Record, show_record, as_json=as_json, **values)


def show_as(
    access: Access,
    operation: Operation,
    kind: type[T],
    show: Callable[[T], object],
    *,
    as_json: bool,
    **values: object,
) -> None:
    """Ask, and ``show`` the answer in this form, or print the JSON that it is. Errors: ToolError."""
    if as_json:
        show_json(bytes(asyncio.run(_ask(access, operation, Raw, values))))
    else:
        show(asyncio.run(_ask(access, operation, kind, values)))


class Page(Protocol):
    """One page of a list."""

    next_cursor: str | None


P = TypeVar("P", bound=Page)


def show_list(
    access: Access,
    operation: Operation,
    kind: type[P],
    items: Callable[[P], Sequence[Struct]],
    columns: Mapping[str, str],
    *,
    as_json: bool,
    **values: object,
) -> None:
    """Ask for a page of a list, and show its items as a table, or the JSON that it is. Errors: ToolError."""

    def show(page: P) -> None:
        show_rows(items(page), columns, page.next_cursor)

    show_as(access, operation, kind, show, as_json=as_json, **values)


async def _ask(access: Access, operation: Operation, kind: type[T], values: Mapping[str, object]) -> T:
    from tools.client import venue_at

    async with venue_at(access) as venue:
        return await venue.call(operation, kind, **values)


def show_rows(records: Sequence[Struct | Record], columns: Mapping[str, str], cursor: str | None = None) -> None:
    """Records, or the contract's structs, as a table. ``columns``: the heads, and the dotted names of the values below.

    ``cursor``: there is a next page; stderr says how to see it.
    """
    rows = [dict(flat(record)) for record in to_builtins(records)]
    show_table(list(columns), [[row.get(name, "-") for name in columns.values()] for row in rows])
    if cursor is not None:
        show_line(f"there are more; to see them, add: --cursor {cursor}", err=True)
