"""Sends prices to the venue: one market's feed, and the clock that says when each price is due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import islice
from typing import Final, TypeVar

from perps.client import Refused, Venue
from perps.wire.markets import Market
from tools.errors import ToolError
from tools.feeds.csv_file import Tick

CHUNK_TICKS: Final = 1024
"""Ticks read from a file at a time, in a thread."""

T = TypeVar("T")

Sleep = Callable[[float], Awaitable[object]]


def next_sequence(last: int) -> int:
    """The number of a feed's next price: microseconds since 1970, or one more than ``last`` if that is not newer.

    So a later run continues after an earlier one, and if two feeds send to one market the newer price counts.
    """
    return max(last + 1, time.time_ns() // 1000)


def on_tick(price: Decimal, tick_size: Decimal) -> Decimal:
    """The nearest multiple of the tick size, half to even, at least one tick."""
    ticks = (price / tick_size).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
    return max(ticks, Decimal(1)) * tick_size


@dataclass
class PriceFeed:
    """One market's prices in order, each rounded to the tick, with a sequence that grows.

    ``overtaken`` counts prices that came too late: another feed had sent the market a newer one.
    """

    venue: Venue
    ticker: str
    tick_size: Decimal
    sequence: int = 0
    source: str = "oracle"
    sent: int = 0
    overtaken: int = 0
    liquidations: int = 0
    last: Decimal | None = None

    @classmethod
    async def of(cls, venue: Venue, ticker: str) -> tuple[PriceFeed, Market]:
        """The feed of a market, and the market as it is now."""
        market = (await venue.get_market(ticker)).market
        return cls(venue, ticker, Decimal(market.tick_size)), market

    async def send(self, price: Decimal, *, reason: str | None = None) -> None:
        """Set the market's index to the tick nearest to ``price``. Errors: VenueError."""
        await self._send(on_tick(price, self.tick_size), None, reason)

    async def send_change(self, change: Decimal, *, reason: str | None = None) -> None:
        """Move the market's index by a fraction of itself: 0.03 is 3 % up. Errors: VenueError."""
        await self._send(None, change, reason)

    async def _send(self, price: Decimal | None, change: Decimal | None, reason: str | None) -> None:
        self.sequence = next_sequence(self.sequence)
        try:
            answer = await self.venue.set_price(
                self.ticker, price, change=change, sequence=self.sequence, source=self.source, reason=reason
            )
            self.liquidations += answer.liquidations
            price = price or Decimal(answer.market.index_price)
        except Refused as error:
            if error.code != "price_stale":
                raise
            if not error.is_repeated:  # else an earlier try may have been taken
                self.overtaken += 1
                return
        self.sent += 1
        self.last = price or self.last

    async def send_float(self, price: float, *, reason: str | None = None) -> None:
        """As ``send``, for a simulated price: its shortest decimal is sent exactly."""
        await self.send(Decimal(repr(price)), reason=reason)


@dataclass
class Pacer:
    """Says when a recorded time is due. ``speed``: recorded seconds per real second; None: all is due at once."""

    speed: float | None
    now: Callable[[], float] = time.monotonic
    sleep: Sleep = asyncio.sleep
    _begin: tuple[float, int] | None = None

    async def until(self, at_ms: int) -> None:
        """Wait until ``at_ms`` is due. The first time that is asked for is due at once."""
        if self.speed is None:
            return
        if self._begin is None:
            self._begin = (self.now(), at_ms)
        begin, begin_ms = self._begin
        wait = begin + (at_ms - begin_ms) / 1000 / self.speed - self.now()
        if wait > 0:
            await self.sleep(wait)


async def replay(feed: PriceFeed, ticks: Iterator[Tick], pacer: Pacer, tell: Callable[[Tick], None]) -> None:
    """Send recorded ticks to a market, one after the other. Errors: ToolError, which names the line."""
    async for tick in _read_ahead(ticks):
        await pacer.until(tick.at_ms)
        try:
            await feed.send(tick.price)
        except Refused as error:
            raise ToolError(f"line {tick.line}, price {tick.price:f}: {error}") from error
        tell(tick)


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


async def _read_ahead(ticks: Iterator[T]) -> AsyncIterator[T]:
    """Items of an iterator that blocks, read in a thread, a bounded chunk at a time."""
    while chunk := await asyncio.to_thread(lambda: list(islice(ticks, CHUNK_TICKS))):
        for tick in chunk:
            yield tick
