"""Plays prices: the clock that says when each is due, and those that are due sent together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

from perps.client import Refused
from tools.errors import ToolError
from tools.feeds.files import Tick
from tools.feeds.market_feed import PriceFeed, RefusedPrice

BATCH_MAX: Final = 500
"""Prices in one request: of those that are due, as many wait for nothing else."""

T = TypeVar("T")

Sleep = Callable[[float], Awaitable[object]]


@dataclass
class Pacer:
    """Says when a recorded time is due. ``speed``: recorded seconds per real second; None: all is due at once."""

    speed: float | None
    now: Callable[[], float] = time.monotonic
    sleep: Sleep = asyncio.sleep
    _begin: tuple[float, int] | None = None

    async def until(self, at_ms: int) -> None:
        """Wait until ``at_ms`` is due. The first time that is asked for is due at once."""
        wait = self.wait_s(at_ms)
        if wait > 0:
            await self.sleep(wait)

    def wait_s(self, at_ms: int) -> float:
        """Seconds until ``at_ms`` is due; 0 or less: it is."""
        if self.speed is None:
            return 0.0
        if self._begin is None:
            self._begin = (self.now(), at_ms)
        begin, begin_ms = self._begin
        return begin + (at_ms - begin_ms) / 1000 / self.speed - self.now()


async def replay(feed: PriceFeed, blocks: Iterator[Sequence[Tick]], pacer: Pacer, tell: Callable[[Tick], None]) -> None:
    """Send recorded ticks to a market in their order, together if they are due. Errors: ToolError, with the line."""
    async for ticks in _read_ahead(blocks):
        at = 0
        while at < len(ticks):
            await pacer.until(ticks[at].at_ms)
            end = at + 1
            while end < min(len(ticks), at + BATCH_MAX) and pacer.wait_s(ticks[end].at_ms) <= 0:
                end += 1
            await _send(feed, ticks[at:end])
            tell(ticks[end - 1])
            at = end


async def _send(feed: PriceFeed, ticks: Sequence[Tick]) -> None:
    try:
        await feed.send_many([tick.price for tick in ticks])
    except (Refused, RefusedPrice) as error:
        tick = ticks[error.at if isinstance(error, RefusedPrice) else 0]
        raise ToolError(f"line {tick.line}, price {tick.price:f}: {error}") from error


async def simulate(
    feed: PriceFeed,
    prices: Iterator[float],
    *,
    interval_s: float,
    steps: int | None,
    tell: Callable[[], None],
    now: Callable[[], float] = time.monotonic,
    sleep: Sleep = asyncio.sleep,
) -> None:
    """Send a price every ``interval_s``. If the venue is slow, later prices move back; they never come in a burst."""
    due = now()
    for price in islice(prices, steps):
        await feed.send_float(price)
        tell()
        due = max(due + interval_s, now())
        await sleep(max(due - now(), 0.0))


async def _read_ahead(items: Iterator[T]) -> AsyncIterator[T]:
    """Items of an iterator that blocks, read in a thread."""
    done = object()
    while (item := await asyncio.to_thread(next, items, done)) is not done:
        yield item  # type: ignore[misc]
