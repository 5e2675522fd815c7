"""What has been in a market: candles, trades, liquidations, prices, funding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from perps.query_rows import Candle, FillRecord
from perps.units import Pico
from perps.wire import history as wire
from perps.wire.flows import FLOWS, Flows, FlowsQuery
from perps.wire.history import CandleRow, Candles, CandlesQuery, Funding, Liquidations, Prices, Trades
from perps.wire.lists import Page
from web.answers import decimals
from web.answers.flows import flow_fields
from web.answers.funding import recorded_hour
from web.answers.trades import price, trade
from web.api.bodies.units import moment_ms
from web.api.call import Call, Route
from web.api.paging import before, next_cursor
from web.readside.candle_pages import newest_page, page_from
from web.readside.flows import WINDOWS
from web.readside.history import CANDLES_KEPT, INTERVALS

LIQUIDATION: Final = ("liquidation",)


async def candles(call: Call[None, CandlesQuery]) -> Candles:
    """Candles of the quote price, oldest first; from memory, or from the query tables where memory ends."""
    context, query = call.context, call.query
    interval = INTERVALS[query.interval]
    now_ms = context.clock.now_ms()
    end = min(moment_ms(query.end, "to", now_ms + 1), now_ms + 1)
    start = moment_ms(query.cursor or query.start, "from", max(0, end - interval * CANDLES_KEPT))
    view = context.market(call.path["ticker"])

    async def find(start_ms: int, end_ms: int, limit: int, *, newest: bool) -> Sequence[Candle]:
        found = view.history.candles(interval, start_ms, end_ms, limit, newest=newest)
        if found is None:
            async with call.looking_up():
                found = await context.queries.candles(
                    view.market.ticker,
                    interval_ms=interval,
                    start_ms=start_ms,
                    end_ms=end_ms,
                    limit=limit,
                    newest=newest,
                )
        return found

    paged = newest_page if query.start is None and query.cursor is None else page_from
    found = await paged(find, range(max(0, start), end, interval), query.limit, fill=query.fill == "1")
    rows = [_candle(candle, view.market.params.tick_size) for candle in found.candles]
    return Candles(
        candles=rows,
        interval=query.interval,
        closed=not rows or rows[-1][0] + interval <= now_ms,
        next_cursor=None if found.next_ms is None else str(found.next_ms),
        offset=context.model.offset,
    )


def _candle(candle: Candle, tick: Pico) -> CandleRow:
    prices = (candle.open, candle.high, candle.low, candle.close)
    opened, high, low, closed = (decimals.price(price, tick) for price in prices)
    return candle.start, opened, high, low, closed, decimals.money(candle.volume), candle.count


async def trades(call: Call[None, Page]) -> Trades:
    """Trades, newest first, without user and position."""
    params, records = call.context.market(call.path["ticker"]).market.params, await _fills(call, None)
    shown = [trade(record, params) for record in records]
    return Trades(trades=shown, next_cursor=next_cursor(records, call.query.limit))


async def liquidations(call: Call[None, Page]) -> Liquidations:
    """Liquidations, newest first."""
    params, records = call.context.market(call.path["ticker"]).market.params, await _fills(call, LIQUIDATION)
    shown = [trade(record, params) for record in records]
    return Liquidations(liquidations=shown, next_cursor=next_cursor(records, call.query.limit))


async def prices(call: Call[None, Page]) -> Prices:
    """Prices the market took, newest first."""
    params, query = call.context.market(call.path["ticker"]).market.params, call.query
    async with call.looking_up():
        records = await call.context.queries.prices(params.ticker, before=before(query), limit=query.limit)
    shown = [price(record, params) for record in records]
    return Prices(prices=shown, next_cursor=next_cursor(records, query.limit))


async def funding(call: Call[None, Page]) -> Funding:
    """Funding, hour by hour, newest first."""
    params, query = call.context.market(call.path["ticker"]).market.params, call.query
    async with call.looking_up():
        records = await call.context.queries.funding(params.ticker, before=before(query), limit=query.limit)
    shown = [recorded_hour(record, params) for record in records]
    return Funding(funding=shown, next_cursor=next_cursor(records, query.limit))


async def flows(call: Call[None, FlowsQuery]) -> Flows:
    """What was traded in the last minute, five, hour or day."""
    context, window = call.context, call.query.window
    view = context.market(call.path["ticker"])
    flow = view.flows.window(context.clock.now_ms(), WINDOWS[window])
    return Flows(**flow_fields(view.market.ticker, window, flow, context.model.offset))


async def _fills(call: Call[None, Page], kinds: tuple[str, ...] | None) -> list[FillRecord]:
    context, query = call.context, call.query
    ticker = context.market(call.path["ticker"]).market.ticker
    async with call.looking_up():
        return await context.queries.fills(ticker=ticker, kinds=kinds, before=before(query), limit=query.limit)


ROUTES = (
    Route(wire.CANDLES, candles),
    Route(wire.TRADES, trades),
    Route(wire.LIQUIDATIONS, liquidations),
    Route(wire.PRICES, prices),
    Route(wire.FUNDING, funding),
    Route(FLOWS, flows),
)
