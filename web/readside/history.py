"""What a market's price and volume did lately: candles by interval, and the last 24 hours of time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from msgspec import Struct

from perps.candles import HOUR_MS, MINUTE_MS
from perps.query_rows import Candle
from perps.units import Micros, Millis, Ticks
from web.readside.sums import Sum, packed, unpacked

DAY_MS: Final = 86_400_000

INTERVALS: Final[dict[str, int]] = {
    "1m": MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "1h": HOUR_MS,
    "4h": 4 * HOUR_MS,
    "1d": DAY_MS,
}
"""Candle intervals, milliseconds. Candles begin at multiples of their interval since 1970 UTC."""

CandleImage = tuple[int, int, int, int, int, Sum, int]
"""start, open, high, low, close, volume, count."""

FAR: Final = 1 << 62
"""Above every price."""

CANDLES_KEPT: Final = 1_500
"""Candles in memory per interval; older ones come from the query tables. More than the minutes of a day."""


class Day:
    """The last 24 hours: change against the price 24 hours ago, high, low, volume."""

    __slots__ = ("first", "high", "last", "low", "volume")

    def __init__(self, first: int, last: int, high: int, low: int, volume: int) -> None:
        self.first, self.last, self.high, self.low, self.volume = first, last, high, low, volume


class _PastDay(NamedTuple):
    key: tuple[int, int | None]
    first: int | None
    high: int
    low: int
    volume: int


class HistoryImage(Struct, frozen=True, array_like=True):
    """A market's history, frozen: the present minute, and the ended candles of each interval, oldest first."""

    minute: CandleImage | None
    ended: dict[int, list[CandleImage]]


class MarketHistory:
    """Candles of one market, built from committed prices and trades in order.

    Only the present minute is kept up to date; when it ends it is joined to the longer candles.
    """

    def __init__(self) -> None:
        self._minute: Candle | None = None
        self._past: _PastDay | None = None
        self._ended: dict[int, dict[int, Candle]] = {interval: {} for interval in INTERVALS.values()}

    @classmethod
    def from_image(cls, image: HistoryImage) -> MarketHistory:
        """The history an image was taken of."""
        history = cls()
        history._minute = _candle(image.minute) if image.minute else None
        for interval, candles in image.ended.items():
            history._ended[interval] = {candle[0]: _candle(candle) for candle in candles}
        return history

    def image(self) -> HistoryImage:
        """All of it, frozen."""
        ended = {interval: [_image(candle) for candle in candles.values()] for interval, candles in self._ended.items()}
        return HistoryImage(_image(self._minute) if self._minute else None, ended)

    def price(self, at: Millis, quote: Ticks) -> None:
        """A price, from a feed."""
        self._at(at, quote).price(quote)

    def trade(self, at: Millis, quote: Ticks, volume: Micros) -> None:
        """A trade: the quote it left behind and its notional."""
        minute = self._at(at, quote)
        minute.price(quote)
        minute.volume += volume
        minute.count += 1

    def candles(
        self, interval: int, start_ms: int, end_ms: int, limit: int, *, newest: bool = True
    ) -> list[Candle] | None:
        """The newest or oldest ``limit`` candles opening in [start, end), oldest first.

        None if memory does not reach back far enough to say.
        """
        ended = self._ended[interval]
        first = next(iter(ended), None)
        whole = len(ended) < CANDLES_KEPT or (first is not None and start_ms >= first)
        wanted = (candle for candle in self._newest_first(interval) if start_ms <= candle.start < end_ms)
        if not newest:
            return list(wanted)[::-1][:limit] if whole else None
        found = list(islice(wanted, limit))
        return found[::-1] if whole or len(found) == limit else None

    def day(self, now_ms: int, price: int) -> Day:
        """The 24 hours up to ``now_ms``, to the minute, at the present ``price``. No candle, no change: price holds."""
        since = now_ms - DAY_MS
        past = self._past_day(since)
        first, high, low, volume = past.first, past.high, past.low, past.volume
        minute = self._minute
        if minute is not None and minute.start > since:
            first = minute.open if first is None else first
            high, low, volume = max(high, minute.high), min(low, minute.low), volume + minute.volume
        elif minute is not None:
            first = minute.close
        first = price if first is None else first
        return Day(first, price, max(high, price, first), min(low, price, first), volume)

    def _past_day(self, since: int) -> _PastDay:
        """What the ended minutes after ``since`` have in common: walked once a minute, not at every request."""
        key = (since // MINUTE_MS, None if self._minute is None else self._minute.start)
        if self._past is not None and self._past.key == key:
            return self._past
        first: int | None = None
        high, low, volume = 0, FAR, 0
        for candle in reversed(self._ended[MINUTE_MS].values()):
            if candle.start <= since:
                first = candle.close
                break
            first = candle.open
            high, low = max(high, candle.high), min(low, candle.low)
            volume += candle.volume
        self._past = _PastDay(key, first, high, low, volume)
        return self._past

    def _at(self, at: int, quote: int) -> Candle:
        """The candle of the minute ``at`` falls in."""
        minute = self._minute
        if minute is None or at - minute.start >= MINUTE_MS:
            if minute is not None:
                self._end(minute)
            minute = self._minute = Candle(at - at % MINUTE_MS, quote, quote, quote, quote)
        return minute

    def _end(self, minute: Candle) -> None:
        """The minute is over: it goes into every interval."""
        for interval, ended in self._ended.items():
            start = minute.start - minute.start % interval
            begun = ended.get(start)
            ended[start] = minute.starting(start) if begun is None else begun.followed_by(minute)
            if len(ended) > CANDLES_KEPT:
                del ended[next(iter(ended))]

    def _newest_first(self, interval: int) -> Iterator[Candle]:
        minute, ended = self._minute, reversed(self._ended[interval].values())
        last = next(ended, None)
        if minute is not None:
            start = minute.start - minute.start % interval
            if last is not None and last.start == start:
                last = last.followed_by(minute)
            else:
                yield minute.starting(start)
        if last is not None:
            yield last
        yield from ended


def _image(candle: Candle) -> CandleImage:
    """All of a candle, frozen."""
    return candle.start, candle.open, candle.high, candle.low, candle.close, packed(candle.volume), candle.count


def _candle(image: CandleImage) -> Candle:
    """The candle an image was taken of."""
    start, opened, high, low, closed, volume, count = image
    return Candle(start, opened, high, low, closed, unpacked(volume), count)
