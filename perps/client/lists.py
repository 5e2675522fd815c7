"""Lists that come in pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable
from typing import Any, Generic, Protocol, TypeVar

from perps.client.errors import BadAnswer


class Page(Protocol):
    """One page of a list."""

    next_cursor: str | None


P = TypeVar("P", bound=Page)
T = TypeVar("T")


class Listing(Generic[P, T]):
    """A list. ``async for`` gives all its items, page after page; ``await`` gives one page as the venue sends it."""

    def __init__(
        self, ask: Callable[[str | None], Awaitable[P]], items: Callable[[P], Iterable[T]], cursor: str | None
    ) -> None:
        self._ask, self._items, self._cursor = ask, items, cursor

    def __await__(self) -> Generator[Any, Any, P]:
        return self._ask(self._cursor).__await__()

    async def __aiter__(self) -> AsyncIterator[T]:
        cursor, is_first = self._cursor, True
        while is_first or cursor is not None:
            page = await self._ask(cursor)
            for item in self._items(page):
                yield item
            if page.next_cursor is not None and page.next_cursor == cursor:
                raise BadAnswer(f"the page at the cursor {cursor} names itself as the next one")
            cursor, is_first = page.next_cursor, False
