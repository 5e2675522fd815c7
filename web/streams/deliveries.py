"""Who is to be written to, and in which turn of the event loop: behind the answers of the commit, some at a time.

A commit with a thousand readers writes a thousand times, 10 µs each. Within the commit that would hold up its answers
and all that comes next by 10 ms; like this, by the 0.6 ms of one turn. Who is due again before its turn has come gets
both at once, so a venue that is too busy for its readers writes to them more seldom, and each time more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from web.streams.subscribers import Subscriber

AT_ONCE: Final = 64
"""Subscribers who are written to in one turn of the loop."""


class Deliveries:
    """The subscribers for whom something waits, each once, in the order in which it came. On one event loop."""

    def __init__(self) -> None:
        self._due: deque[Subscriber] = deque()
        self._goes_on = False

    def add(self, subscriber: Subscriber) -> None:
        """Something waits for one for whom nothing did."""
        self._due.append(subscriber)
        if not self._goes_on:
            self._goes_on = True
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self._some)  # the commit's answers are sent in the turn between

    def flush(self) -> None:
        """Write to all of them now."""
        while self._due:
            self._due.popleft().deliver()

    def _some(self) -> None:
        for _ in range(min(AT_ONCE, len(self._due))):
            self._due.popleft().deliver()
        self._goes_on = bool(self._due)
        if self._goes_on:
            asyncio.get_running_loop().call_soon(self._some)
