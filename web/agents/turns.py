"""Turns of the event loop: how much of what agents ask for begins in one, over all channels.

Payers take turns, so somebody with many channels, or with much on one, waits for himself. What is not an agent's goes
on between two turns.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

MOST: Final = 64
"""Envelopes that begin in a turn: as many as the core takes of one payer at a time."""

LEAST: Final = 8
"""As many begin in each turn, however long the turns are."""

SLOW_S: Final = 0.01
"""A turn that takes longer halves what begins in the next ones."""

MORE: Final = 4
"""So many more begin after a turn that does not."""


class Turns:
    """The turns of all channels of a venue. On one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[tuple[int, asyncio.Future[None]]]] = {}
        """How many envelopes want to begin, by payer: whose turn is next comes first."""
        self._most = self._left = MOST
        """How many begin in a turn, and how many still may in this one."""
        self._is_coming = False
        self._began: float | None = None
        """When this turn began, if the next one follows it at once."""

    async def take(self, payer: str, count: int) -> None:
        """Wait until ``count`` envelopes of a payer may begin. A few more begin in a turn than may, and wait for it."""
        if self._left > 0 and not self._waiting:
            self._left -= count
            self._come()
            return
        may_begin: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(payer, deque()).append((count, may_begin))
        self._come()
        await may_begin

    def _come(self) -> None:
        if not self._is_coming:
            self._is_coming = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """Another turn of the loop."""
        self._is_coming = False
        now = asyncio.get_running_loop().time()
        if self._began is not None:
            is_slow = now - self._began > SLOW_S
            self._most = max(self._most // 2, LEAST) if is_slow else min(self._most + MORE, MOST)
        self._left = min(self._left + self._most, self._most)
        while self._left > 0 and self._waiting:
            payer = next(iter(self._waiting))
            wanted = self._waiting.pop(payer)
            count, may_begin = wanted.popleft()
            if wanted:
                self._waiting[payer] = wanted  # behind the others
            if not may_begin.done():
                may_begin.set_result(None)
                self._left -= count
        self._began = now if self._waiting else None
        if self._waiting or self._left < self._most:
            self._come()
