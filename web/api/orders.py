"""Resting orders: placed, looked at, replaced and cancelled."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from perps.commands import CancelOrder, CancelOrders, SetCancelTimer
from perps.events import CancelTimerSet, OrderCancelled, own_of
from perps.market.order import split_order_id
from perps.market.state import Market
from perps.order_quotes import quote_order
from perps.query_rows import FillRecord
from perps.refusals import RejectCode, Rejected
from perps.rules.orders.cancel_timers import TIMER_MS_MAX, TIMER_MS_MIN
from perps.rules.orders.resting import BY_OWNER
from perps.rules.rule import Given
from perps.units import AMOUNT_MAX
from perps.wire.base import Answer
from perps.wire.operation import NoQuery
from perps.wire.orders import cancelling, reading
from perps.wire.orders import placing as wire
from perps.wire.orders.cancelling import CancelAfterBody, CancelQuery, CancelsAfter, OrdersCancelled
from perps.wire.orders.order import Order
from perps.wire.orders.placing import (
    BATCH_MAX,
    OrderBody,
    OrderQuoted,
    OrderRefused,
    OrderResult,
    OrderResults,
    Placed,
    ReplaceBody,
)
from perps.wire.orders.reading import OrderAnswer, Orders, OrdersQuery
from web.answers import order_quotes, orders
from web.answers.errors import RequestError, invalid, not_found, of_item, of_rejected, refused_item
from web.answers.rows import own_event
from web.answers.times import rfc3339
from web.answers.trades import user_trade
from web.api.bodies.commands import ticker_of_position
from web.api.bodies.orders import check_order, check_replacement, order_command, replacement
from web.api.bodies.units import number
from web.api.call import Call, Reply, Route, replayable
from web.api.paging import before
from web.gateway import POSITION_SHOWN_MAX, Done, in_name_of, wallet_of

FILLS_SHOWN_MAX: Final = 100
"""Fills of one order in an answer."""

REPLACES_MAX: Final = 8
"""How often a replacement is tried while others change the same order's size or leverage."""


def placing(call: Call[OrderBody, NoQuery]) -> OrderBody:
    """An order that its market can be asked to take."""
    check_order(call.body)
    return call.body


async def place(call: Call[OrderBody, NoQuery], asked: OrderBody) -> Answer | Reply:
    """Place one order: what its own row did."""
    return replayable(*await _placed(call, asked))


async def quote(call: Call[OrderBody, NoQuery], asked: OrderBody) -> OrderQuoted:
    """What an order would do now, from committed state; nothing changes and no money is looked at."""
    context, market = call.context, _market_of(call, asked)
    call.command = command = in_name_of(call.principal, order_command(asked, market.params))
    user = context.user(command.user)
    theirs = await context.gateway.not_theirs(call.principal, command)
    if theirs is not None:
        raise of_rejected(theirs, market.params)
    at = max(market.at, context.clock.now_ms())
    in_doubt = context.model.markets[market.ticker].price_in_doubt
    outcome = quote_order(market, command, Given(at, in_doubt, held=AMOUNT_MAX, referrer=user.referrer))
    if isinstance(outcome, Rejected):
        raise of_rejected(outcome, market.params)
    return order_quotes.quoted(outcome, market, context.model.offset)


def placing_many(call: Call[list[OrderBody], NoQuery]) -> list[OrderBody]:
    """Orders that their markets can be asked to take."""
    if len(call.body) > BATCH_MAX:
        raise invalid(f"The list must have 1 to {BATCH_MAX} items.", maximum=BATCH_MAX)
    for index, item in enumerate(call.body):
        try:
            check_order(item)
        except RequestError as error:
            raise of_item(index, error) from error
    return call.body


async def place_many(call: Call[list[OrderBody], NoQuery], asked: list[OrderBody]) -> OrderResults:
    """Place several orders, one behind the other: each taken or refused for itself."""
    placing = (_placed(call, item, part) for part, item in enumerate(asked))
    outcomes = await asyncio.gather(*placing, return_exceptions=True)
    return OrderResults(results=[_result(outcome) for outcome in outcomes], offset=call.context.model.offset)


async def listed(call: Call[None, OrdersQuery]) -> Orders:
    """A user's orders, those placed last first, from the query tables."""
    query, context = call.query, call.context
    user = call.as_user(query.user_id)
    context.user(user)
    async with call.looking_up():
        records = await context.queries.orders(
            user, status=query.status, ticker=query.ticker, before=before(query), limit=query.limit
        )
    shown = [orders.recorded(record, context.model.markets[record.ticker].market) for record in records]
    cursor = f"{records[-1].placed_offset}-0" if len(records) == query.limit else None
    return Orders(orders=shown, offset=context.model.offset, next_cursor=cursor)


async def one(call: Call[None, NoQuery]) -> OrderAnswer:
    """One order: for its owner and for administrators."""
    name, context = call.path["orderId"], call.context
    async with call.looking_up():
        record = await context.queries.order(name[:POSITION_SHOWN_MAX])
    parts = split_order_id(name)
    if record is None or parts is None:
        raise _no_order(name)
    call.principal.require_self(record.user_id)
    market, fills = context.model.markets[record.ticker].market, list[FillRecord]()
    if record.filled_lots is not None:
        async with call.looking_up():
            fills = await context.queries.fills_of_order(*parts, limit=FILLS_SHOWN_MAX)
    return OrderAnswer(
        order=orders.recorded(record, market),
        offset=context.model.offset,
        fills=[user_trade(fill, market.params) for fill in fills],
    )


def replacing(call: Call[ReplaceBody, NoQuery]) -> ReplaceBody:
    """Other terms that a market can be asked for."""
    check_replacement(call.body)
    return call.body


async def replaced(call: Call[ReplaceBody, NoQuery], asked: ReplaceBody) -> Answer | Reply:
    """Give a resting order other terms: what that row did."""
    parts = split_order_id(call.path["orderId"])
    view = None if parts is None else call.context.model.markets.get(parts[0])
    if parts is None or view is None:
        raise _no_order(call.path["orderId"])
    answer = await _replaced(call, asked, view.market, parts[1])
    return replayable(orders.placed(answer.entry, view.market.params), answer)


async def _replaced(
    call: Call[ReplaceBody, NoQuery], asked: ReplaceBody, market: Market, number: int, attempt: int = 0
) -> Done:
    """The market knows the terms that stay. It is told what is known here of those that the ledger's bound follows
    from, and refuses if they are others by then. Its refusal comes behind the row that changed them: so they are known
    here now.
    """
    command = replacement(asked, call.path["orderId"], market.orders.by_number.get(number), market.params)
    try:
        return await call.do(command, asked.client_order_id, part=attempt or None)
    except RequestError as error:
        if error.code != RejectCode.ORDER_CHANGED or attempt + 1 >= REPLACES_MAX:
            raise
    return await _replaced(call, asked, market, number, attempt + 1)


async def cancel(call: Call[None, NoQuery]) -> OrderAnswer:
    """Cancel one resting order."""
    name = call.path["orderId"]
    parts = split_order_id(name)
    if parts is None or parts[0] not in call.context.model.markets:
        raise _no_order(name)
    answer = await call.do(CancelOrder(ticker=parts[0], user="", order_id=name))
    params = call.context.market(parts[0]).market.params
    event = own_event(answer.entry, OrderCancelled)
    shown = orders.cancelled(answer.entry, params, event.reason, event.order.user)[0]
    return OrderAnswer(order=shown, offset=answer.entry.row.offset)


async def cancel_all(call: Call[None, CancelQuery]) -> OrdersCancelled:
    """Cancel all resting orders of a user: one row a market."""
    context, query = call.context, call.query
    user = wallet_of(call.principal, query.user_id)
    context.user(user)
    tickers = [context.market(query.ticker).market.ticker] if query.ticker else list(context.model.markets)
    done = await asyncio.gather(*(_cancelled(call, ticker, user) for ticker in tickers))
    return OrdersCancelled(orders=[order for ended in done for order in ended], offset=context.model.offset)


def cancelling_after(call: Call[CancelAfterBody, NoQuery]) -> int:
    """In how many milliseconds; 0: never."""
    after = 0 if call.body.seconds is None else number(call.body.seconds, 3, "seconds")
    if after and not TIMER_MS_MIN <= after <= TIMER_MS_MAX:
        raise invalid("seconds must be 0, or from 1 to 86400.", field="seconds")
    return after


async def cancel_after(call: Call[CancelAfterBody, NoQuery], after_ms: int) -> CancelsAfter:
    """Set a user's cancel timer in a market, or end it."""
    context, ticker = call.context, call.context.market(call.body.ticker).market.ticker
    user = wallet_of(call.principal, call.body.user_id)
    context.user(user)
    answer = await call.do_what_is_left(SetCancelTimer(ticker=ticker, user=user, after_ms=after_ms))
    if answer is None:
        return CancelsAfter(ticker=ticker, user_id=user, cancels_at=None, offset=context.model.offset)
    event = own_of(answer.entry.events)  # funding, if there was no timer to end
    ends = rfc3339(event.at) if isinstance(event, CancelTimerSet) and event.at is not None else None
    return CancelsAfter(ticker=ticker, user_id=user, cancels_at=ends, offset=answer.entry.row.offset)


async def _cancelled(call: Call[None, CancelQuery], ticker: str, user: str) -> list[Order]:
    answer = await call.do_what_is_left(CancelOrders(ticker=ticker, user=user))
    if answer is None:
        return []
    return orders.cancelled(answer.entry, call.context.market(ticker).market.params, BY_OWNER, user)


async def _placed(call: Call[Any, NoQuery], asked: OrderBody, part: int | None = None) -> tuple[Placed, Done]:
    """The answer, and the row that it is of."""
    params = _market_of(call, asked).params
    answer = await call.do(order_command(asked, params), asked.client_order_id, part=part)
    return orders.placed(answer.entry, params), answer


def _result(outcome: tuple[Placed, Done] | BaseException) -> OrderResult:
    if isinstance(outcome, BaseException):
        return OrderResult(error=refused_item(OrderRefused, outcome))
    return orders.result(outcome[0])


def _market_of(call: Call[Any, NoQuery], body: OrderBody) -> Market:
    """The market that an order is for. Raises ``market_not_found``, of an exit ``position_not_found``."""
    if body.position_id is None:
        return call.context.market(body.ticker or "").market
    view = call.context.model.markets.get(ticker_of_position(body.position_id))
    if view is None:
        raise not_found("position", position=body.position_id[:POSITION_SHOWN_MAX])
    return view.market


def _no_order(name: str) -> RequestError:
    return not_found("order", order=name[:POSITION_SHOWN_MAX])


ROUTES = (
    Route(wire.PLACE, place, placing),
    Route(wire.QUOTE, quote, placing),
    Route(wire.PLACE_MANY, place_many, placing_many),
    Route(reading.LIST, listed),
    Route(reading.GET, one),
    Route(wire.REPLACE, replaced, replacing),
    Route(cancelling.CANCEL, cancel),
    Route(cancelling.CANCEL_ALL, cancel_all),
    Route(cancelling.CANCEL_AFTER, cancel_after, cancelling_after),
)
