"""Trades of the net position, and net positions."""

from __future__ import annotations

import asyncio

from perps.commands import TradeNet
from perps.wire import net as wire
from perps.wire.base import Answer
from perps.wire.net import NetPositions, NetPositionsQuery, TradeBody
from perps.wire.operation import NoQuery
from web.answers import net as answers
from web.answers.net import Netted, Valuation
from web.answers.times import rfc3339
from web.api.bodies.commands import trade_command
from web.api.call import Call, Reply, Route, replayable
from web.readside.standings import POSITIONS_AT_ONCE


def trading(call: Call[TradeBody, NoQuery]) -> TradeNet:
    """What a trade asks for."""
    return trade_command(call.body)


async def trade_net(call: Call[TradeBody, NoQuery], asked: TradeNet) -> Answer | Reply:
    """Trade the net position: what was closed and opened, or a refusal."""
    answer = await call.do(asked, call.body.client_order_id)
    params = call.context.market(asked.ticker).market.params
    return replayable(answers.net_traded(answer.entry, params), answer)


async def net_positions(call: Call[None, NetPositionsQuery]) -> NetPositions:
    """What a user holds in each market, all of one moment; added up in pieces, so that nothing waits for it."""
    context, user, ticker = call.context, call.path["userId"], call.query.ticker
    model = context.model
    context.user(user)
    offset, now_ms = model.offset, context.clock.now_ms()
    held = [(market, position) for market, position in model.open_positions(user) if ticker in (None, market)]
    markets = {market: model.markets[market].market for market in sorted({market for market, _ in held})}
    added = {
        name: Netted(Valuation(market.params, market.mark, market.funding_index)) for name, market in markets.items()
    }
    for count, (name, position) in enumerate(held, 1):
        added[name].add(position)
        if not count % POSITIONS_AT_ONCE:
            await asyncio.sleep(0)
    return NetPositions(
        net_positions=[each.shown() for each in added.values()], timestamp=rfc3339(now_ms), offset=offset
    )


ROUTES = (
    Route(wire.TRADE, trade_net, trading),
    Route(wire.NET_POSITIONS, net_positions),
)
