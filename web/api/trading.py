"""Open, close one or all, margin in and out, and what an open would do."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from perps.commands import ChangeMargin, ClosePosition, OpenPosition, SetTriggers
from perps.market.position import position_id
from perps.params import MarketParams
from perps.refusals import Rejected
from perps.rules.opening import decide_open
from perps.rules.orders.next_price import unbounded
from perps.rules.rule import Given
from perps.units import AMOUNT_MAX, PPB, Ppb
from perps.wire import close_all, trading
from perps.wire import margin as margin_wire
from perps.wire.base import Answer
from perps.wire.close_all import CLOSES_MAX, CloseAllBody, ClosedAll, CloseRefused, CloseResult
from perps.wire.margin import MarginBody
from perps.wire.operation import NoQuery
from perps.wire.orders.order import Pending
from perps.wire.trading import CloseBody, Closed, OpenBody, Quoted
from perps.wire.triggers import TRIGGERS, TriggersBody
from web.answers import decimals, errors, orders, positions
from web.api.bodies.commands import check_exits, close_command, exits, margin_command, open_command, ticker_of_position
from web.api.call import REPLAYED, Call, Reply, Route, replayable
from web.gateway import Done, in_name_of, wallet_of


def opening(call: Call[OpenBody, NoQuery]) -> OpenPosition:
    """What an open, or its quote, asks for."""
    return open_command(call.body)


async def open_position(call: Call[OpenBody, NoQuery], asked: OpenPosition) -> Answer | Reply:
    """Open a position: what it became, or a refusal."""
    asked = _with_exits(call, asked)
    answer = await call.do(asked, call.body.client_order_id)
    params = call.context.market(asked.ticker).market.params
    return _waits(answer, params) or replayable(positions.opened(answer.entry, params), answer)


async def quote(call: Call[OpenBody, NoQuery], asked: OpenPosition) -> Quoted:
    """What an open would do now, from committed state; nothing changes and no money is looked at."""
    context = call.context
    call.command = command = in_name_of(call.principal, _with_exits(call, asked))
    view = context.market(command.ticker)
    user = context.user(command.user)
    now_ms = context.clock.now_ms()
    theirs = await context.gateway.not_theirs(call.principal, command)
    if theirs is not None:
        raise errors.of_rejected(theirs, view.market.params)
    given = Given(now_ms, view.price_in_doubt, held=AMOUNT_MAX, referrer=user.referrer)
    params = view.market.params
    outcome = decide_open(view.market, unbounded(command) if params.executes_later else command, given)
    if isinstance(outcome, Rejected):
        raise errors.of_rejected(outcome, params)
    quoted = positions.quoted(outcome[0], view.market, context.model.offset)
    if params.executes_later:
        quoted.reserve = decimals.money(command.bound(params.taker_fee))
    return quoted


def closing(call: Call[CloseBody, NoQuery]) -> ClosePosition:
    """What a close asks for."""
    return close_command(call.body, call.path["positionId"], call.context.lot_size)


async def close_position(call: Call[CloseBody, NoQuery], asked: ClosePosition) -> Answer | Reply:
    """Close a position or a share of it: what was paid out, or a refusal."""
    answer = await call.do(asked, call.body.client_order_id)
    params = call.context.market(asked.ticker).market.params
    return _waits(answer, params) or replayable(positions.reduced(answer.entry, params), answer)


async def close_all_positions(call: Call[CloseAllBody, NoQuery]) -> ClosedAll:
    """Close what a user has open, each position by itself: what became of each."""
    context, ticker = call.context, call.body.ticker
    user = wallet_of(call.principal, call.body.user_id)
    context.user(user)
    if ticker is not None:
        context.market(ticker)
    found = [
        (market, position_id(market, position.number))
        for market, position in context.model.open_positions(user)
        if ticker in (None, market)
    ]
    asked = found[:CLOSES_MAX]
    outcomes = await asyncio.gather(
        *(_closed(call, market, name, part) for part, (market, name) in enumerate(asked)), return_exceptions=True
    )
    results = [_result(name, outcome) for (_, name), outcome in zip(asked, outcomes, strict=True)]
    return ClosedAll(results=results, remaining=len(found) - len(asked), offset=context.model.offset)


async def _closed(call: Call[CloseAllBody, NoQuery], ticker: str, name: str, part: int) -> Closed | Pending:
    answer = await call.do(ClosePosition(ticker=ticker, user="", position_id=name, share=Ppb(PPB)), part=part)
    params = call.context.market(ticker).market.params
    return orders.pending(answer.entry, params) or positions.reduced(answer.entry, params)


def _result(name: str, outcome: Closed | Pending | BaseException) -> CloseResult:
    if isinstance(outcome, BaseException):
        return CloseResult(position_id=name, error=errors.refused_item(CloseRefused, outcome))
    if isinstance(outcome, Pending):
        return CloseResult(position_id=name, order=outcome.order)
    return CloseResult(position_id=name, closed=outcome)


def _waits(answer: Done, params: MarketParams) -> Reply | None:
    """The answer 202 to what waits for the next price; None: it was done at once."""
    waiting = orders.pending(answer.entry, params)
    return None if waiting is None else Reply(waiting, status=202, headers=REPLAYED if answer.repeated else {})


def margin(call: Call[MarginBody, NoQuery]) -> ChangeMargin:
    """What margin in or out asks for."""
    return margin_command(call.body, call.path["positionId"])


async def change_margin(call: Call[MarginBody, NoQuery], asked: ChangeMargin) -> Answer | Reply:
    """Pay margin into a position or take some out: how it stands now, or a refusal."""
    answer = await call.do(asked, call.body.client_order_id)
    params = call.context.market(asked.ticker).market.params
    return _waits(answer, params) or replayable(positions.margin_changed(answer.entry, params), answer)


def leaving(call: Call[TriggersBody, NoQuery]) -> str:
    """Whose market new exits are for: of another's tick nothing can be said yet."""
    check_exits(call.body)
    return ticker_of_position(call.path["positionId"])


async def set_triggers(call: Call[TriggersBody, NoQuery], ticker: str) -> Answer | Reply:
    """Give a position both exits anew: the position with them, or a refusal."""
    view = call.context.model.markets.get(ticker)
    if view is None:
        raise errors.not_found("position", position=call.path["positionId"])
    params = view.market.params
    profit, stop = exits(call.body, params)
    asked = SetTriggers(ticker=ticker, user="", position_id=call.path["positionId"], take_profit=profit, stop_loss=stop)
    answer = await call.do(asked, call.body.client_order_id)
    return replayable(positions.triggers_set(answer.entry, params), answer)


def _with_exits(call: Call[OpenBody, NoQuery], asked: OpenPosition) -> OpenPosition:
    """An open with the exits that its body names, on its market's tick."""
    if call.body.take_profit is None and call.body.stop_loss is None:
        return asked
    profit, stop = exits(call.body, call.context.market(asked.ticker).market.params)
    return replace(asked, take_profit=profit, stop_loss=stop)


ROUTES = (
    Route(trading.OPEN, open_position, opening),
    Route(trading.QUOTE, quote, opening),
    Route(trading.CLOSE, close_position, closing),
    Route(margin_wire.MARGIN, change_margin, margin),
    Route(close_all.CLOSE_ALL, close_all_positions),
    Route(TRIGGERS, set_triggers, leaving),
)
