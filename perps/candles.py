"""Candles: what a market's quote price and volume did in a span of time. Made from committed rows, in order.

A candle ends when its market has its next price or trade, in a later span. Until then it is open. A span without a
price and without a trade has no candle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from perps.effects import Priced, Traded
from perps.journal import Entry
from perps.query_rows import Candle

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000

WIDTHS: Final = (MINUTE_MS, HOUR_MS)
"""Candles that are stored, milliseconds. All longer ones are made of these: each is a multiple of one of them."""

CandleRow = tuple[int, int, str, int, int, int, int, int, int, int, int]
"""A ``CandleRecord``, its fields in order."""


class _Open(Struct):
    """A market's open candles: its minute, and the ended minutes of the open hour, joined. None: there are none."""

    minute: Candle | None = None
    hour: Candle | None = None


class CandleMaker:
    """Takes all rows in order, and says which candles each one ends.

    It remembers two candles for each market. ``from_first``: it gets the journal's first row and all behind it.
    Otherwise ``begin`` must say of each market where it goes on, before the market's first row.
    """

    def __init__(self, *, from_first: bool = False) -> None:
        self._open: dict[str, _Open] = defaultdict(_Open) if from_first else {}

    def unknown(self, entries: Iterable[Entry]) -> set[str]:
        """The streams of these rows that are not known yet: ``begin`` must come before ``take``."""
        known = self._open
        return {entry.row.stream for entry in entries if entry.row.stream not in known}

    def begin(self, stream: str, minutes: Iterable[Candle] = ()) -> None:
        """Know a stream. ``minutes``: the candles of its open hour, oldest first; the last is its open minute."""
        known = self._open[stream] = _Open()
        for minute in minutes:
            if known.minute is not None:
                known.hour = _joined(known.hour, known.minute)
            known.minute = minute

    def forget(self) -> None:
        """Know no stream: what was taken last is not true, or nobody knows whether it is."""
        self._open.clear()

    def take(self, entries: Sequence[Entry]) -> list[CandleRow]:
        """The candles that these rows end, in the order of the rows. Runs for every row on the hot path."""
        ended: list[CandleRow] = []
        for entry in entries:
            for effects in entry.effects:
                for effect in effects:
                    if isinstance(effect, Traded):
                        fill = effect.fill
                        minute = self._minute(entry, fill.quote_after, ended)
                        minute.volume += abs(fill.cost)
                        minute.count += 1
                    elif isinstance(effect, Priced):
                        self._minute(entry, effect.quote, ended)
        return ended

    def _minute(self, entry: Entry, quote: int, ended: list[CandleRow]) -> Candle:
        """The minute of a row, with a quote that it brings taken in."""
        row = entry.row
        market = self._open[row.stream]
        minute = market.minute
        if minute is None or row.at - minute.start >= MINUTE_MS:
            if minute is not None:
                self._end(market, entry, ended)
            minute = market.minute = Candle(row.at - row.at % MINUTE_MS, quote, quote, quote, quote)
        else:
            minute.price(quote)
        return minute

    def _end(self, market: _Open, entry: Entry, ended: list[CandleRow]) -> None:
        row, minute = entry.row, market.minute
        if minute is None:
            return
        ended.append(_record(entry, 0, MINUTE_MS, minute))
        market.hour = _joined(market.hour, minute)
        if row.at - market.hour.start >= HOUR_MS:
            ended.append(_record(entry, 1, HOUR_MS, market.hour))
            market.hour = None


def _joined(hour: Candle | None, minute: Candle) -> Candle:
    return minute.starting(minute.start - minute.start % HOUR_MS) if hour is None else hour.followed_by(minute)


def _record(entry: Entry, n: int, width: int, candle: Candle) -> CandleRow:
    row = entry.row
    return (
        row.offset,
        n,
        row.stream,
        width,
        candle.start,
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
        candle.count,
    )
