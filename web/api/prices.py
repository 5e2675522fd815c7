"""Prices: the only way in for any of them."""

from __future__ import annotations

import asyncio
from typing import Any

from perps.wire import prices as wire
from perps.wire.operation import NoQuery
from perps.wire.prices import PriceAnswer, PriceBody, PriceItem, PriceRefused, PriceResult, PriceResults
from web.answers.errors import RequestError, of_item, refused_item
from web.answers.markets import market
from web.api.bodies.commands import check_price, price_command
from web.api.call import Call, Route


def one(call: Call[PriceBody, NoQuery]) -> PriceBody:
    """A price that its market can be asked to take."""
    check_price(call.body)
    return call.body


async def set_price(call: Call[PriceBody, NoQuery], asked: PriceBody) -> PriceAnswer:
    """One price: the market after it and how many positions it liquidated."""
    return await _taken(call, call.path["ticker"], asked)


def many(call: Call[list[PriceItem], NoQuery]) -> list[PriceItem]:
    """Prices that their markets can be asked to take."""
    for index, item in enumerate(call.body):
        try:
            check_price(item)
        except RequestError as error:
            raise of_item(index, error) from error
    return call.body


async def set_prices(call: Call[list[PriceItem], NoQuery], asked: list[PriceItem]) -> PriceResults:
    """Many prices: each taken or refused for itself, in the order given within a market."""
    outcomes = await asyncio.gather(*(_taken(call, item.ticker, item) for item in asked), return_exceptions=True)
    return PriceResults(results=[_result(outcome) for outcome in outcomes], offset=call.context.model.offset)


async def _taken(call: Call[Any, NoQuery], ticker: str, asked: PriceBody) -> PriceAnswer:
    context = call.context
    view = context.market(ticker)
    answer = await call.do(price_command(asked, view.market.params))
    return PriceAnswer(
        market=market(view, context.clock.now_ms()),
        liquidations=answer.liquidations,
        offset=answer.entry.row.offset,
    )


def _result(outcome: PriceAnswer | BaseException) -> PriceResult:
    if isinstance(outcome, BaseException):
        return PriceResult(error=refused_item(PriceRefused, outcome))
    return PriceResult(market=outcome.market, liquidations=outcome.liquidations, offset=outcome.offset)


ROUTES = (Route(wire.SET_PRICE, set_price, one), Route(wire.SET_PRICES, set_prices, many))
