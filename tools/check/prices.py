"""What adversaries play on: prices that a market had, prices of a file, or simulated ones."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice, pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

from perps.params import MarketParams
from perps.units import PICO
from tools.errors import ToolError
from tools.feeds.files import PriceFile, Reading
from tools.feeds.price_process import Process, price_path

if TYPE_CHECKING:
    from perps.client import Venue

LEAST: Final = 100
"""Fewer prices say nothing."""


class Played(NamedTuple):
    """Prices in ticks, how far apart they are (ms), and where they come from."""

    prices: Sequence[int]
    interval_ms: int
    origin: str

    @property
    def largest_step(self) -> float:
        """The largest move from one price to the next, as a fraction."""
        pairs = zip(self.prices, self.prices[1:], strict=False)
        return max((abs(after - before) / before for before, after in pairs), default=0.0)


def of_file(path: Path, params: MarketParams, most: int) -> Played:
    """The newest prices of a file. Errors: ToolError."""
    file = PriceFile(path, Reading(), time.time_ns() // 1_000_000)
    skipped = max(file.read_through().prices - most, 0)
    ticks = list(islice(file.ticks(), skipped, None))
    return _played([(tick.at_ms, tick.price) for tick in ticks], params, str(path))


async def of_venue(venue: Venue, ticker: str, params: MarketParams, most: int) -> Played | None:
    """The newest prices that a venue's market had; None if there are too few. Errors: VenueError."""
    from tools.times import parse_time_ms

    found: list[tuple[int, Decimal]] = []
    async for taken in venue.list_prices(ticker, limit=500):
        found.append((parse_time_ms(taken.at), Decimal(taken.index_price)))
        if len(found) == most:
            break
    return _played(found[::-1], params, "the venue's own prices") if len(found) >= LEAST else None


def simulated(price: int, seed: int, count: int, interval_ms: int, volatility: float) -> Played:
    """Prices of the simulated feed; ``volatility`` is that of a step, as a fraction."""
    path: Iterator[float] = price_path(float(price), seed, Process(volatility=volatility))
    prices = [price, *(max(round(step), 1) for step in islice(path, count - 1))]
    return Played(prices, interval_ms, f"simulated, {volatility * 10_000:g} bp a step, seed {seed}")


def _played(found: Sequence[tuple[int, Decimal]], params: MarketParams, origin: str) -> Played:
    if len(found) < LEAST:
        raise ToolError(f"{origin}: {len(found)} prices are too few; give at least {LEAST}")
    tick = Decimal(params.tick_size) / PICO
    prices = [max(round(price / tick), 1) for _, price in found]
    waits = [after - before for (before, _), (after, _) in pairwise(found)]
    return Played(prices, max(int(median(waits)), 1), origin)
