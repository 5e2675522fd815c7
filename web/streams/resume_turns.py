"""Turns of readers who catch up: a reader with few rows left is soon done, and callers with a key wait for no stranger.

A turn is one page of rows. There are two lines: callers with a key, and strangers. In each line, every other turn goes
to the reader with the fewest rows left. The turns in between go to one sender after the other (a stranger's sender is
the address, for IPv6 its 64-bit network), and there to the reader who has waited longest, so nobody waits for ever.

Kept beside the cap of streams for each caller, which is 256 and does not hold on this machine: behind 100 readers of
50,000 rows each, a reader with 10 rows left waits for 2 of their pages instead of 100.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Final

from sortedcontainers import SortedDict

from web.limits.budgets import site

KNOWN_RESUMING: Final = 2
"""Turns at a time of callers with a key; the connections of the database are four."""

STRANGERS_RESUMING: Final = 1
"""Of all strangers together. With their look-ups (``web/limits/shares``) they leave one connection to others."""

Turn = Callable[[int], AbstractAsyncContextManager[None]]
"""A reader's next turn, by how many rows it has left: entered when it comes."""

Place = tuple[int, int]
"""(rows left, number): a reader's place in the line. Numbers rise in the order of arrival."""


class Line:
    """Readers of one kind who wait for their turns; ``at_once`` have one at a time."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._come = 0
        self._by_length: SortedDict[Place, str] = SortedDict()
        """Senders by place: fewest rows left first."""
        self._by_sender: dict[str, dict[Place, asyncio.Future[None]]] = {}
        """Waiting readers by sender: senders in the order of their turns, readers in the order of arrival."""
        self._is_shortest_next = True

    @property
    def waiting(self) -> int:
        """Readers in the line."""
        return len(self._by_length)

    @asynccontextmanager
    async def turn(self, sender: str, rows_left: int) -> AsyncIterator[None]:
        """Wait for a turn; a next one begins at the earliest in the event loop's next turn."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(sender, rows_left)
        try:
            yield
            await asyncio.sleep(0)
        finally:
            self._hand_on()

    async def _wait(self, sender: str, rows_left: int) -> None:
        self._come += 1
        place, future = (rows_left, self._come), asyncio.get_running_loop().create_future()
        self._by_length[place] = sender
        self._by_sender.setdefault(sender, {})[place] = future
        try:
            await future
        except asyncio.CancelledError:
            if place in self._by_length:
                self._take(place)
            elif not future.cancelled():  # the turn had just come
                self._hand_on()
            raise

    def _hand_on(self) -> None:
        while self._by_length:
            future = self._take(self._next())
            if not future.done():
                self._is_shortest_next = not self._is_shortest_next
                future.set_result(None)
                return
        self._free += 1

    def _next(self) -> Place:
        """Whose turn it is; a sender who has it in the round goes to its end."""
        if self._is_shortest_next:
            shortest: Place = self._by_length.peekitem(0)[0]
            return shortest
        sender = next(iter(self._by_sender))
        self._by_sender[sender] = self._by_sender.pop(sender)
        return next(iter(self._by_sender[sender]))

    def _take(self, place: Place) -> asyncio.Future[None]:
        """Leave the line. The sender's other readers keep their places."""
        sender = self._by_length.pop(place)
        future = self._by_sender[sender].pop(place)
        if not self._by_sender[sender]:
            del self._by_sender[sender]
        return future


class ResumeTurns:
    """The two lines."""

    def __init__(self) -> None:
        self._known, self._strangers = Line(KNOWN_RESUMING), Line(STRANGERS_RESUMING)

    def of(self, payer: str | None, address: str) -> Turn:
        """The turns of a reader. ``payer``: whose share it uses; None: a stranger's, known by ``address``."""
        return partial(self._strangers.turn, site(address)) if payer is None else partial(self._known.turn, payer)
