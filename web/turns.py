"""Whose turn it is to have a large body read: one at a time, and callers with a key do not wait for strangers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """Two lines, one for callers with a key and one for strangers, in which each has a turn of the event loop."""

    def __init__(self) -> None:
        self._known, self._strangers = asyncio.Lock(), asyncio.Lock()

    @asynccontextmanager
    async def one(self, *, known: bool) -> AsyncIterator[None]:
        """Wait for a turn; the next one's is at the earliest the loop's next, whatever comes of this one."""
        async with self._known if known else self._strangers:
            try:
                yield
            finally:
                await asyncio.sleep(0)
