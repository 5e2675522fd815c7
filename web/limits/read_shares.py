"""Who may have how much of the database read for them at a time: connections are few, and everybody waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from actors.shares import Shares
from web.answers.errors import RequestError
from web.auth import STRANGERS

LOOK_UPS_MAX: Final = 64
"""Look-ups of one sender at a time."""

STRANGERS_LOOK_UPS_MAX: Final = 64
"""Of all callers without a key together: market data is public, and lists of what is past come from the database."""

STRANGERS_LOOKING_UP: Final = 2
"""How many of those are in the database at a time, of the four connections there are; the others wait for these."""

STRANGERS_WAIT_S: Final = 5.0
"""How long one may wait for that: as the others each take a few milliseconds, the database is in trouble by then."""


class ReadShares:
    """Counts look-ups by sender, and lets strangers wait for each other so that callers with a key need not."""

    def __init__(self, each: int = LOOK_UPS_MAX, strangers: int = STRANGERS_LOOK_UPS_MAX) -> None:
        self._shares, self._strangers = Shares(each), strangers
        self._places = asyncio.Semaphore(STRANGERS_LOOKING_UP)

    @asynccontextmanager
    async def one(self, sender: str | None) -> AsyncIterator[None]:
        """While a sender (None: a stranger, who waits for a place) has something looked up. Raises ``rate_limited``."""
        who, most = (STRANGERS, self._strangers) if sender is None else (sender, self._shares.each)
        if not self._shares.take(who, most):
            whose = "callers without a key" if sender is None else "yours"
            raise _refused(f"Too many look-ups of {whose} are in progress.", most)
        try:
            if sender is not None:
                yield
                return
            await self._place()
            try:
                yield
            finally:
                self._places.release()
        finally:
            self._shares.give(who)

    async def _place(self) -> None:
        try:
            async with asyncio.timeout(STRANGERS_WAIT_S):
                await self._places.acquire()
        except TimeoutError as error:
            raise _refused(
                "Too many callers without a key are waiting for the database.", STRANGERS_LOOKING_UP
            ) from error


def _refused(why: str, limit: int) -> RequestError:
    return RequestError("rate_limited", f"{why} Retry in 1 s.", {"limit": limit})
