"""Market data, public; and prices, the only way in for any of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from perps.query_rows import Candle
from perps.units import Pico
from web.answers import decimals
from web.answers.errors import RequestError, invalid, not_one_of
from web.answers.markets import market as shown_market
from web.answers.times import rfc3339
from web.answers.trades import trade
from web.api.bodies import body, body_list
from web.api.commands import done
from web.api.context import CONTEXT
from web.api.requests import (
    PRICES_MAX,
    PriceBody,
    PriceItem,
    check_price,
    check_price_item,
    cursor,
    limit,
    price_command,
    ticker,
    time_ms,
)
from web.api.responses import json_response, page
from web.auth import Principal
from web.readside.candle_pages import newest_page, page_from
from web.readside.history import CANDLES_KEPT, INTERVALS

routes = web.RouteTableDef()


@routes.get("/api/markets/perps")
async def markets(request: web.Request) -> web.Response:
    """Every market, as of one offset."""
    context = request.app[CONTEXT]
    now_ms = context.clock.now_ms()
    shown = [shown_market(view, now_ms) for view in context.model.markets.values()]
    return json_response({"markets": shown, "count": len(shown), "offset": context.model.offset})


@routes.get("/api/markets/perps/{ticker:(?!(?:open|quote)$)[^/]+}")
async def market(request: web.Request) -> web.Response:
    """One market."""
    context = request.app[CONTEXT]
    view = context.market(ticker(request.match_info["ticker"]))
    return json_response({"market": shown_market(view, context.clock.now_ms()), "offset": context.model.offset})


@routes.get("/api/markets/perps/{ticker}/candles")
async def candles(request: web.Request) -> web.Response:
    """Candles of the quote price, oldest first; from memory, or from the query tables where memory ends."""
    context = request.app[CONTEXT]
    name = request.query.get("interval", "1m")
    interval = INTERVALS.get(name)
    if interval is None:
        raise not_one_of("interval", INTERVALS)
    count, fill = limit(request), _flag(request, "fill")
    now_ms = context.clock.now_ms()
    end = min(_moment(request, "to", now_ms + 1), now_ms + 1)
    start = _candles_from(request)
    view = context.market(ticker(request.match_info["ticker"]))

    async def find(start_ms: int, end_ms: int, most: int, *, newest: bool) -> Sequence[Candle]:
        found = view.history.candles(interval, start_ms, end_ms, most, newest=newest)
        if found is None:
            async with context.looking_up(request):
                found = await context.queries.candles(
                    view.market.ticker,
                    interval_ms=interval,
                    start_ms=start_ms,
                    end_ms=end_ms,
                    limit=most,
                    newest=newest,
                )
        return found

    if start is None:
        span = range(max(0, end - interval * CANDLES_KEPT), end, interval)
        shown = await newest_page(find, span, count, fill=fill)
    else:
        shown = await page_from(find, range(start, end, interval), count, fill=fill)
    rows = [_candle(candle, view.market.params.tick_size) for candle in shown.candles]
    answer = {
        "candles": rows,
        "interval": name,
        "closed": not rows or rows[-1][0] + interval <= now_ms,
        "nextCursor": None if shown.next_ms is None else str(shown.next_ms),
        "offset": context.model.offset,
    }
    return json_response(answer)


@routes.get("/api/markets/perps/{ticker}/trades")
async def trades(request: web.Request) -> web.Response:
    """Trades, newest first, without user and position."""
    return await _fills(request, None)


@routes.get("/api/markets/perps/{ticker}/liquidations")
async def liquidations(request: web.Request) -> web.Response:
    """Liquidations, newest first."""
    return await _fills(request, ("liquidation",))


@routes.get("/api/markets/perps/{ticker}/prices")
async def prices(request: web.Request) -> web.Response:
    """Prices the market took, newest first."""
    context = request.app[CONTEXT]
    count, before = limit(request), cursor(request)
    view = context.market(ticker(request.match_info["ticker"]))
    tick = view.market.params.tick_size
    async with context.looking_up(request):
        records = await context.queries.prices(view.market.ticker, before=before, limit=count)
    shown = [
        {
            "indexPrice": decimals.price(record.index_price, tick),
            "markPrice": decimals.price(record.mark_price, tick),
            "quotePrice": decimals.price(record.quote_price, tick),
            "source": record.source,
            "reason": record.reason,
            "sequence": record.sequence,
            "at": rfc3339(record.at),
            "offset": record.offset,
        }
        for record in records
    ]
    return json_response(page("prices", shown, records, count))


@routes.get("/api/markets/perps/{ticker}/funding")
async def funding(request: web.Request) -> web.Response:
    """Funding settled so far: none, the index stands at 0."""
    context = request.app[CONTEXT]
    limit(request), cursor(request)
    context.market(ticker(request.match_info["ticker"]))
    return json_response({"funding": [], "nextCursor": None})


@routes.post("/api/markets/perps/{ticker}/price")
async def set_price(request: web.Request) -> web.Response:
    """One price: 200 with the market after it and how many positions it liquidated."""
    context = request.app[CONTEXT]
    asked = await body(request, PriceBody)
    name = ticker(request.match_info["ticker"])
    check_price(asked)
    principal = context.keys.require(request, "price")
    return json_response(await _set_price(request, principal, name, asked))


@routes.post("/api/markets/prices")
async def set_prices(request: web.Request) -> web.Response:
    """Many prices: each taken or refused for itself, in the order given within a market."""
    context = request.app[CONTEXT]
    asked = await body_list(request, PriceItem, most=PRICES_MAX, check=check_price_item)
    principal = context.keys.require(request, "price")
    outcomes = await asyncio.gather(
        *(_set_price(request, principal, item.ticker, item) for item in asked), return_exceptions=True
    )
    return json_response({"results": [_result(outcome) for outcome in outcomes], "offset": context.model.offset})


async def _set_price(request: web.Request, principal: Principal, name: str, asked: PriceBody) -> dict[str, Any]:
    context = request.app[CONTEXT]
    view = context.market(name)
    answer = await done(request, principal, price_command(asked, view.market.params))
    return {
        "market": shown_market(view, context.clock.now_ms()),
        "liquidations": answer.liquidations,
        "offset": answer.entry.row.offset,
    }


def _result(outcome: dict[str, Any] | BaseException) -> dict[str, Any]:
    if isinstance(outcome, RequestError):
        return {"error": {"code": outcome.code, "message": outcome.message, "details": outcome.details}}
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _candle(candle: Candle, tick: Pico) -> list[Any]:
    prices = (candle.open, candle.high, candle.low, candle.close)
    shown = [decimals.price(price, tick) for price in prices]
    return [candle.start, *shown, decimals.money(candle.volume), candle.count]


def _candles_from(request: web.Request) -> int | None:
    """Where the query's page of candles begins: at its ``cursor``, else at its ``from``; None: it has neither."""
    text, since = request.query.get("cursor"), _moment(request, "from", 0)
    if text is None:
        return max(since, 0) if "from" in request.query else None
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise invalid("cursor must be the nextCursor of an earlier page of this list.", field="cursor")
    return int(text)


def _flag(request: web.Request, field: str) -> bool:
    text = request.query.get(field, "0")
    if text not in ("0", "1"):
        raise not_one_of(field, ("0", "1"))
    return text == "1"


def _moment(request: web.Request, field: str, default: int) -> int:
    text = request.query.get(field)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= 15:
        return int(text)
    return time_ms(text, field)


async def _fills(request: web.Request, kinds: tuple[str, ...] | None) -> web.Response:
    context = request.app[CONTEXT]
    count, before = limit(request), cursor(request)
    view = context.market(ticker(request.match_info["ticker"]))
    async with context.looking_up(request):
        records = await context.queries.fills(ticker=view.market.ticker, kinds=kinds, before=before, limit=count)
    shown = [trade(record, view.market.params, private=False) for record in records]
    return json_response(page("liquidations" if kinds else "trades", shown, records, count))
