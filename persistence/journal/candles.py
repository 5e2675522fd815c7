"""Candles in SQL. Those that have ended are stored; the open ones are made of the fills and prices of their minute."""

from __future__ import annotations

from typing import Final

from perps.candles import HOUR_MS, MINUTE_MS

_CANDLE: Final = "start, open, high, low, close, volume, count"


def _present(ticker: str) -> str:
    """When the open minute and the open hour of a market of shard $1 began. NULL: it has had no price.

    ``offset 0`` keeps the planner from looking for the newest event again at each place that needs it.
    """
    newest = "select at from {} where shard = $1 and ticker = {} order by at desc limit 1"
    prices, fills = newest.format("prices", ticker), newest.format("fills", ticker)
    return f"""(
        select at - at % {MINUTE_MS} as minute, at - at % {HOUR_MS} as hour
          from (select greatest(({prices}), ({fills})) as at offset 0) newest
    ) present"""


def _ended_minutes(ticker: str) -> str:
    """The ended minutes of the open hour of a market of shard $1. Needs ``_present``."""
    return f"""
        select {_CANDLE} from candles where shard = $1 and ticker = {ticker} and width = {MINUTE_MS}
           and start >= present.hour and start < present.hour + {HOUR_MS}
    """


def _open_minute(ticker: str) -> str:
    """The open minute of a market of shard $1, as one candle. Needs ``_present``.

    Both ends of the minute are named, so that the planner expects few events and reads them by index.
    """
    span = f"shard = $1 and ticker = {ticker} and at >= present.minute and at < present.minute + {MINUTE_MS}"
    return f"""
        select min(at - at % {MINUTE_MS}) as start, (min(place))[3] as open, max(quote) as high, min(quote) as low,
               (max(place))[3] as close, sum(volume) as volume, sum(trades) as count
          from (
            select at, array["offset", n, quote_price] as place, quote_price as quote, 0 as volume, 0 as trades
              from prices where {span}
            union all
            select at, array["offset", n, quote_after], quote_after, abs(cost), 1 from fills where {span}
          ) events
        having count(*) > 0
    """


OPEN_HOURS: Final = f"""
    select market.ticker, {_CANDLE}
      from unnest($2::text[]) market(ticker), lateral {_present("market.ticker")}, lateral (
        {_ended_minutes("market.ticker")} union all {_open_minute("market.ticker")}
    ) minutes
    order by market.ticker, start
"""
"""By market, of those named in $2: the minutes of its open hour, oldest first; the last is its open minute."""


def candles_query(width: int, *, newest: bool) -> str:
    """The newest or oldest $6 candles of market $2 that begin in [$3, $4), of $5 milliseconds, in that order.

    Each begins at a multiple of $5, as $3 and $4 must, and is made of candles of ``width``. $7: how many of these $6
    candles can have at most. So many are read, by their index: what lies beyond them belongs to none of the $6.
    """
    order = "desc" if newest else "asc"
    open_pieces = _open_minute("$2")
    if width == HOUR_MS:
        open_pieces = f"{_ended_minutes('$2')} union all {open_pieces}"
    return f"""
        with stored as materialized (
            select {_CANDLE} from candles
             where shard = $1 and ticker = $2 and width = {width} and start >= $3 and start < $4
             order by start {order} limit $7
        ), present as materialized (
            select * from {_present("$2")}
             where minute >= $3 and minute < $4 {"" if newest else "and (select count(*) from stored) < $7"}
        ), pieces as (
            select * from stored
            union all
            select {_CANDLE} from present, lateral ({open_pieces}) open_pieces
        )
        select start - start % $5 as start, (min(array[start, open]))[2], max(high), min(low),
               (max(array[start, close]))[2], sum(volume), sum(count)
          from pieces group by 1 order by 1 {order} limit $6
    """
