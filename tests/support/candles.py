"""Candles the slow way: every event of every row, in order. And a market whose events lie minutes to days apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from random import Random
from typing import Final, NamedTuple

from perps.events import MarketListed, PositionOpened, PositionReduced, PriceUpdated
from perps.journal import Entry
from perps.query_rows import Candle, CandleRecord
from perps.units import Millis
from tests.support.entries import USD, Scribe

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
GAPS: Final = (0, 0, 1, 900, 20_000, MINUTE - 1, MINUTE, 3 * MINUTE, HOUR - 1, HOUR, 5 * HOUR, 100 * HOUR)
TICKERS: Final = ("BTC-PERP", "ETH-PERP")


class Moment(NamedTuple):
    """What one event says about the price."""

    offset: int
    at: int
    quote: int
    volume: int
    trades: int


def moments(entries: Sequence[Entry], ticker: str) -> list[Moment]:
    """The events of a market that have a price, in order."""
    found: list[Moment] = []
    for row, event in ((entry.row, event) for entry in entries for event in entry.events):
        match event:
            case PriceUpdated(quote=quote) | MarketListed(price=quote) if row.stream == ticker:
                found.append(Moment(row.offset, row.at, quote, 0, 0))
            case PositionOpened(fill=fill) | PositionReduced(fill=fill) if row.stream == ticker:
                found.append(Moment(row.offset, row.at, fill.quote_after, abs(fill.cost), 1))
            case _:
                pass
    return found


def slow_candles(entries: Sequence[Entry], ticker: str, width: int) -> list[Candle]:
    """All candles of a market, the open one too."""
    return [_candle(start, events) for start, events in _spans(entries, ticker, width)]


def slow_records(entries: Sequence[Entry]) -> list[CandleRecord]:
    """What is stored of all markets: each candle that has ended, in the order of the rows that ended them."""
    found = [
        CandleRecord(later[0].offset, n, ticker, width, *_fields(_candle(start, events)))
        for ticker in {entry.row.stream for entry in entries}
        for n, width in enumerate((MINUTE, HOUR))
        for (start, events), (_, later) in pairwise(_spans(entries, ticker, width))
    ]
    return sorted(found, key=lambda record: (record.offset, record.n))


def restless(rows: int, seed: int) -> Scribe:
    """Two markets with at least ``rows`` rows, any time of ``GAPS`` between them, some at the border of a span."""
    random, scribe = Random(seed), Scribe()
    scribe.add_user("ann", deposit=10**9 * USD)
    scribe.list_market("BTC-PERP")
    scribe.list_market("ETH-PERP", price=300_000)
    while scribe.offset < rows:
        to_border = -scribe.now % random.choice((MINUTE, HOUR))
        scribe.now = Millis(scribe.now + random.choice((*GAPS, to_border, to_border, max(to_border - 1, 0))))
        ticker = random.choice(TICKERS)
        match random.randrange(5):
            case 0:
                scribe.deposit("ann", USD)
            case 1:
                scribe.open("ann", size=random.randrange(20, 5_000) * USD, ticker=ticker)
            case _:
                index = scribe.markets[ticker].index_price
                scribe.price(max(1, index * random.randrange(995, 1006) // 1000), ticker)
    return scribe


def _spans(entries: Sequence[Entry], ticker: str, width: int) -> list[tuple[int, list[Moment]]]:
    found = groupby(moments(entries, ticker), key=lambda moment: moment.at // width * width)
    return [(start, list(events)) for start, events in found]


def _candle(start: int, events: Sequence[Moment]) -> Candle:
    quotes = [event.quote for event in events]
    volume, count = sum(event.volume for event in events), sum(event.trades for event in events)
    return Candle(start, quotes[0], max(quotes), min(quotes), quotes[-1], volume, count)


def _fields(candle: Candle) -> tuple[int, int, int, int, int, int, int]:
    return candle.start, candle.open, candle.high, candle.low, candle.close, candle.volume, candle.count
