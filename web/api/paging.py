"""Pages of lists: where one begins, and where the next one does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from perps.wire.lists import Page, PositionsPage


class _Placed(Protocol):
    @property
    def offset(self) -> int: ...
    @property
    def n(self) -> int: ...


def before(query: Page | PositionsPage) -> tuple[int, int] | None:
    """The (offset, n) of the last item already seen; None for the first page."""
    if query.cursor is None:
        return None
    offset, _, n = query.cursor.partition("-")
    return int(offset), int(n)


def next_cursor(records: Sequence[_Placed], limit: int) -> str | None:
    """The cursor of the next page; None when this was the last."""
    return f"{records[-1].offset}-{records[-1].n}" if len(records) == limit else None
