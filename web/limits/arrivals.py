"""Bodies that are still on their way: each has its time, and none when the venue stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Arrivals:
    """What is waited for now. On one event loop."""

    def __init__(self) -> None:
        self._waits: set[asyncio.Timeout] = set()
        self._ended = False

    @asynccontextmanager
    async def one(self, seconds: float) -> AsyncIterator[None]:
        """The time one body has: none at all after ``end``. Raises ``TimeoutError``."""
        async with asyncio.timeout(0 if self._ended else seconds) as wait:
            self._waits.add(wait)
            try:
                yield
            finally:
                self._waits.discard(wait)

    def end(self) -> None:
        """From now on nobody's body is waited for."""
        self._ended = True
        now = asyncio.get_running_loop().time()
        for wait in self._waits:
            if not wait.expired():
                wait.reschedule(now)
