"""What a market's price and volume did lately: candles by interval, and the last 24 hours of time."""

from __future__ import annotations

from itertools import islice
from typing import Final

from perps.units import Micros, Millis, Ticks

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000

INTERVALS: Final[dict[str, int]] = {
    "1m": MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "1h": 60 * MINUTE_MS,
    "4h": 240 * MINUTE_MS,
    "1d": DAY_MS,
}
"""Candle intervals, milliseconds. Candles begin at multiples of their interval since 1970 UTC."""

CANDLES_KEPT: Final = 1_500
"""Candles in memory per interval; older ones come from the query tables. More than the minutes of a day."""


class Candle:
    """Open, high, low, close of the quote price (ticks), volume (micros of notional) and number of trades."""

    __slots__ = ("close", "count", "high", "low", "open", "start", "volume")

    def __init__(self, start: int, price: int) -> None:
        self.start = start
        self.open = self.high = self.low = self.close = price
        self.volume = 0
        self.count = 0

    def price(self, price: int) -> None:
        """Take a newer price."""
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price


class Day:
    """The last 24 hours: change against the price 24 hours ago, high, low, volume."""

    __slots__ = ("first", "high", "last", "low", "volume")

    def __init__(self, first: int, last: int, high: int, low: int, volume: int) -> None:
        self.first, self.last, self.high, self.low, self.volume = first, last, high, low, volume


class MarketHistory:
    """Candles of one market, built from committed prices and trades in order."""

    def __init__(self) -> None:
        self._candles: dict[int, dict[int, Candle]] = {interval: {} for interval in INTERVALS.values()}
        self.complete_since: int | None = None
        """Time of the first price: before it there is nothing to look for elsewhere."""

    def price(self, at: Millis, quote: Ticks) -> None:
        """A price, from a feed or from a trade."""
        if self.complete_since is None:
            self.complete_since = at
        for interval, candles in self._candles.items():
            self._candle(candles, interval, at, quote).price(quote)

    def trade(self, at: Millis, quote: Ticks, volume: Micros) -> None:
        """A trade: the quote it left behind and its notional."""
        for interval, candles in self._candles.items():
            candle = self._candle(candles, interval, at, quote)
            candle.price(quote)
            candle.volume += volume
            candle.count += 1

    def candles(self, interval: int, start_ms: int, end_ms: int, limit: int) -> list[Candle] | None:
        """The newest ``limit`` candles opening in [start, end), oldest first; None if memory does not reach back."""
        candles = self._candles[interval]
        first = next(iter(candles), None)
        reaches_back = first is None or len(candles) < CANDLES_KEPT or start_ms >= first
        found = list(islice((c for c in reversed(candles.values()) if start_ms <= c.start < end_ms), limit))
        if not reaches_back and len(found) < limit:
            return None
        return found[::-1]

    def day(self, now_ms: int, price: int) -> Day:
        """The 24 hours up to ``now_ms``, to the minute, at the present ``price``. No candle, no change: price holds."""
        since = now_ms - DAY_MS
        first: int | None = None
        high = low = price
        volume = 0
        before: Candle | None = None
        for candle in reversed(self._candles[MINUTE_MS].values()):
            if candle.start <= since:
                before = candle
                break
            first = candle.open
            high, low = max(high, candle.high), min(low, candle.low)
            volume += candle.volume
        if before is not None:
            first = before.close
            high, low = max(high, first), min(low, first)
        return Day(price if first is None else first, price, high, low, volume)

    @staticmethod
    def _candle(candles: dict[int, Candle], interval: int, at: int, quote: int) -> Candle:
        start = at - at % interval
        candle = candles.get(start)
        if candle is None:
            candle = candles[start] = Candle(start, quote)
            if len(candles) > CANDLES_KEPT:
                del candles[next(iter(candles))]
        return candle
