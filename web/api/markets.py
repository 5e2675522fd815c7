"""Markets: what everybody sees of them, and what an administrator does with them."""

from __future__ import annotations

from typing import Any

from perps.commands import FundMarket, ListMarket, SetMode, SettleMarket, UpdateMarket
from perps.params import Mode
from perps.wire import markets as wire
from perps.wire.base import Answer
from perps.wire.listing import ChangesBody, MarketBody
from perps.wire.markets import FundBody, Listed, MarketAnswer, MarketList, ModeBody, Settled
from perps.wire.operation import NoQuery
from web.answers import markets
from web.api.bodies.changes import changes_of, check_changes
from web.api.bodies.commands import list_command
from web.api.bodies.units import signed_money
from web.api.call import Call, Reply, Route, replayable


async def list_markets(call: Call[None, NoQuery]) -> MarketList:
    """Every market, as of one offset."""
    model, now_ms = call.context.model, call.context.clock.now_ms()
    shown = [markets.market(view, now_ms) for view in model.markets.values()]
    return MarketList(markets=shown, count=len(shown), offset=model.offset)


async def get_market(call: Call[None, NoQuery]) -> MarketAnswer:
    """One market."""
    return _now(call, call.path["ticker"], call.context.model.offset)


def listing(call: Call[MarketBody, NoQuery]) -> ListMarket:
    """What a listing asks for."""
    return list_command(call.body)


async def list_market(call: Call[MarketBody, NoQuery], asked: ListMarket) -> Listed:
    """List a market, or say which rule its parameters break."""
    await call.do(asked)
    view = call.context.market(asked.ticker)
    now = _now(call, asked.ticker, view.offset)
    return Listed(
        market=now.market,
        offset=now.offset,
        largest=markets.largest(view),
        warnings=markets.warnings(view.market.params),
    )


async def set_mode(call: Call[ModeBody, NoQuery]) -> MarketAnswer:
    """Enable a market, let it only reduce, or halt it."""
    ticker = call.path["ticker"]
    answer = await call.do(SetMode(ticker=ticker, mode=Mode(call.body.mode)))
    return _now(call, ticker, answer.entry.row.offset)


async def settle_market(call: Call[None, NoQuery]) -> Settled:
    """Close every position of a halted market at one price, and end it."""
    ticker = call.path["ticker"]
    answer = await call.do(SettleMarket(ticker=ticker))
    now = markets.market(call.context.market(ticker), call.context.clock.now_ms())
    return markets.settled(answer.entry, now, call.context.market(ticker).market.params)


def update(call: Call[ChangesBody, NoQuery]) -> ChangesBody:
    """Changes that a market can be asked for."""
    check_changes(call.body)
    return call.body


async def update_market(call: Call[ChangesBody, NoQuery], asked: ChangesBody) -> MarketAnswer:
    """Change some of a market's parameters, or say which rule they would break."""
    ticker = call.path["ticker"]
    changes = changes_of(asked, call.context.market(ticker).market.params)
    answer = await call.do(UpdateMarket(ticker=ticker, changes=changes, force=asked.force))
    return _now(call, ticker, answer.entry.row.offset)


def funding(call: Call[FundBody, NoQuery]) -> FundMarket:
    """What money in or out asks for."""
    amount = signed_money(call.body.amount, "amount")
    return FundMarket(ticker=call.path["ticker"], account=call.body.account, amount=amount)


async def fund_market(call: Call[FundBody, NoQuery], asked: FundMarket) -> Answer | Reply:
    """Pay money from outside into a market's house or insurance, or take it out."""
    answer = await call.do(asked, call.body.client_order_id)
    return replayable(markets.funded(answer.entry), answer)


def _now(call: Call[Any, NoQuery], ticker: str, offset: int) -> MarketAnswer:
    view = call.context.market(ticker)
    return MarketAnswer(market=markets.market(view, call.context.clock.now_ms()), offset=offset)


ROUTES = (
    Route(wire.LIST_MARKETS, list_markets),
    Route(wire.GET_MARKET, get_market),
    Route(wire.LIST_MARKET, list_market, listing),
    Route(wire.SET_MODE, set_mode),
    Route(wire.UPDATE, update_market, update),
    Route(wire.SETTLE, settle_market),
    Route(wire.FUND, fund_market, funding),
)
