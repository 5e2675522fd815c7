"""Whose turn it is to have a large body read: one at a time, and callers with a key do not wait for strangers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from actors.shares import Shares
from web.answers.errors import RequestError
from web.auth import STRANGERS

WAITING_MAX: Final = 16
"""Large bodies of one sender that may wait for their turn: some 50 ms of everybody else's time."""

STRANGERS_WAITING_MAX: Final = 256
"""Of all callers without a key together: they wait for each other only, but each keeps its body in memory."""


class Turns:
    """Two lines, one for callers with a key and one for strangers, in which each has a turn of the event loop."""

    def __init__(self) -> None:
        self._known, self._strangers = asyncio.Lock(), asyncio.Lock()
        self._shares = Shares(WAITING_MAX)

    @asynccontextmanager
    async def one(self, sender: str | None) -> AsyncIterator[None]:
        """Wait for a turn; the next one's is at the earliest the loop's next, whatever comes of this one.

        ``sender`` is None for a stranger. Raises ``rate_limited`` for who has a share of the line already.
        """
        if sender is None:
            who, most, line = STRANGERS, STRANGERS_WAITING_MAX, self._strangers
        else:
            who, most, line = sender, WAITING_MAX, self._known
        if not self._shares.take(who, most):
            message = "Too many of your large requests are waiting. Nothing was done; retry in 1 s."
            raise RequestError("rate_limited", message, {"limit": most})
        try:
            async with line:
                try:
                    yield
                finally:
                    await asyncio.sleep(0)
        finally:
            self._shares.give(who)
