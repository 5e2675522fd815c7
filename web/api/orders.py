"""Resting orders: placed, looked at, replaced and cancelled."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from msgspec.structs import replace

from perps.commands import CancelOrder, CancelOrders, OrderKind, PlaceOrder, ReplaceOrder, SetCancelTimer
from perps.events import CancelTimerSet, OrderCancelled, own_of
from perps.market.order import Order as DomainOrder
from perps.market.order import split_order_id
from perps.params import MarketParams
from perps.query_rows import OrderRecord
from perps.rules.cancel_timers import TIMER_MS_MAX, TIMER_MS_MIN
from perps.rules.orders import BY_OWNER
from perps.units import Micros, Ticks
from perps.wire import orders as wire
from perps.wire.base import Answer
from perps.wire.errors import ErrorCode
from perps.wire.operation import NoQuery
from perps.wire.order import Order
from perps.wire.orders import (
    BATCH_MAX,
    CancelAfterBody,
    CancelQuery,
    CancelsAfter,
    OrderAnswer,
    OrderBody,
    OrderRefused,
    OrderResult,
    OrderResults,
    Orders,
    OrdersCancelled,
    OrdersQuery,
    Placed,
    ReplaceBody,
)
from web.answers import orders
from web.answers.decimals import PICO_PLACES
from web.answers.errors import RequestError, invalid, not_found, of_item
from web.answers.rows import own_event
from web.answers.times import rfc3339
from web.api.bodies.commands import check_exits, exits
from web.api.bodies.units import limit_price, number, positive_money, price_ticks, time_ms
from web.api.call import Call, Reply, Route, replayable
from web.api.paging import before
from web.gateway import POSITION_SHOWN_MAX, wallet_of


def placing(call: Call[OrderBody, NoQuery]) -> OrderBody:
    """An order that its market can be asked to take."""
    _check(call.body)
    return call.body


async def place(call: Call[OrderBody, NoQuery], asked: OrderBody) -> Answer | Reply:
    """Place one order: what its own row did."""
    answer, replayed = await _placed(call, asked)
    return Reply(answer, headers=replayed) if replayed else answer


def placing_many(call: Call[list[OrderBody], NoQuery]) -> list[OrderBody]:
    """Orders that their markets can be asked to take."""
    if len(call.body) > BATCH_MAX:
        raise invalid(f"The list must have 1 to {BATCH_MAX} items.", maximum=BATCH_MAX)
    for index, item in enumerate(call.body):
        try:
            _check(item)
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
    if user not in context.model.users:
        raise not_found("user", userId=user)
    async with call.looking_up():
        records = await context.queries.orders(
            user, status=query.status, ticker=query.ticker, before=before(query), limit=query.limit
        )
    shown = [orders.recorded(record, context.model.markets[record.ticker].market.params) for record in records]
    cursor = f"{records[-1].placed_offset}-0" if len(records) == query.limit else None
    return Orders(orders=shown, offset=context.model.offset, next_cursor=cursor)


async def one(call: Call[None, NoQuery]) -> OrderAnswer:
    """One order: for its owner and for administrators."""
    name, context = call.path["orderId"], call.context
    async with call.looking_up():
        record = await context.queries.order(name[:POSITION_SHOWN_MAX])
    if record is None:
        raise _no_order(name)
    call.principal.require_self(record.user_id)
    view = context.model.markets[record.ticker]
    return OrderAnswer(order=orders.recorded(record, view.market.params), offset=context.model.offset)


def replacing(call: Call[ReplaceBody, NoQuery]) -> ReplaceBody:
    """Other terms that a market can be asked for."""
    body = call.body
    if body.size is not None:
        positive_money(body.size, "size")
    _check_prices(body)
    return body


async def replaced(call: Call[ReplaceBody, NoQuery], asked: ReplaceBody) -> Answer | Reply:
    """Give a resting order other terms: what that row did."""
    context, name = call.context, call.path["orderId"]
    parts = split_order_id(name)
    view = None if parts is None else context.model.markets.get(parts[0])
    if parts is None or view is None:
        raise _no_order(name)
    order: DomainOrder | OrderRecord | None = view.market.orders.by_number.get(parts[1])
    params = view.market.params
    if order is None and asked.client_order_id is not None:
        # It may be this replacement's repetition, which is known by its terms: those that the order ended with.
        async with call.looking_up():
            order = await context.queries.order(name[:POSITION_SHOWN_MAX])
    answer = await call.do(_replacement(asked, name, order, params), asked.client_order_id)
    return replayable(orders.placed(answer.entry, params), answer)


async def cancel(call: Call[None, NoQuery]) -> OrderAnswer:
    """Cancel one resting order."""
    name = call.path["orderId"]
    parts = split_order_id(name)
    if parts is None or parts[0] not in call.context.model.markets:
        raise _no_order(name)
    answer = await call.do(CancelOrder(ticker=parts[0], user="", order_id=name))
    params = call.context.market(parts[0]).market.params
    event = own_event(answer.entry, OrderCancelled)
    (shown,) = orders.cancelled(answer.entry, params, event.reason, event.order.user)[:1]
    return OrderAnswer(order=shown, offset=answer.entry.row.offset)


async def cancel_all(call: Call[None, CancelQuery]) -> OrdersCancelled:
    """Cancel all resting orders of a user: one row a market."""
    context, query = call.context, call.query
    user = wallet_of(call.principal, query.user_id)
    view = context.model.users.get(user)
    if view is None:
        raise not_found("user", userId=user)
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
    if user not in context.model.users:
        raise not_found("user", userId=user)
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


async def _placed(call: Call[Any, NoQuery], asked: OrderBody, part: int | None = None) -> tuple[Placed, dict[str, str]]:
    """The answer, and the headers of one that is repeated."""
    params = call.context.market(asked.ticker).market.params
    answer = await call.do(_command(asked, params), asked.client_order_id, part=part)
    shown = orders.placed(answer.entry, params)
    reply = replayable(shown, answer)
    return shown, dict(reply.headers) if isinstance(reply, Reply) else {}


def _result(outcome: tuple[Placed, dict[str, str]] | BaseException) -> OrderResult:
    if isinstance(outcome, RequestError):
        refused = OrderRefused(code=ErrorCode(outcome.code), message=outcome.message, details=dict(outcome.details))
        return OrderResult(error=refused)
    if isinstance(outcome, BaseException):
        raise outcome
    return orders.result(outcome[0])


def _check(body: OrderBody) -> None:
    """Everything about an order that can be wrong without knowing its market."""
    positive_money(body.size, "size")
    _check_prices(body)
    if body.acceptable_price is not None and body.type == "limit":
        raise invalid("acceptablePrice is for stops: the price of a limit is its bound.", field="acceptablePrice")


def _check_prices(body: OrderBody | ReplaceBody) -> None:
    if body.price is not None and number(body.price, PICO_PLACES, "price") <= 0:
        raise invalid("price must be positive.", field="price")
    limit_price(body.acceptable_price, "acceptablePrice")
    check_exits(body)
    if body.expires_at is not None:
        time_ms(body.expires_at, "expiresAt")


def _command(body: OrderBody, params: MarketParams) -> PlaceOrder:
    """The command an order asks for, once ``_check`` has passed."""
    nano, rest = limit_price(body.acceptable_price, "acceptablePrice")
    profit, stop = exits(body, params)
    return PlaceOrder(
        ticker=params.ticker,
        user=body.user_id or "",
        order=OrderKind(body.type),
        side=body.side,
        size=positive_money(body.size, "size"),
        leverage=body.leverage,
        price=price_ticks(body.price, params.tick_size),
        expires_at=None if body.expires_at is None else time_ms(body.expires_at, "expiresAt"),
        acceptable_price=nano,
        acceptable_price_pico=rest,
        take_profit=profit,
        stop_loss=stop,
    )


def _replacement(
    body: ReplaceBody, name: str, order: DomainOrder | OrderRecord | None, params: MarketParams
) -> ReplaceOrder:
    """All terms: those that the body names, and the order's. Of one that is gone any will do for a refusal."""
    command = ReplaceOrder(
        ticker=params.ticker,
        user=body.user_id or "",
        order_id=name,
        size=Micros(1),
        leverage=1,
        price=Ticks(1),
    )
    if order is not None:
        command = replace(command, **{field: getattr(order, field) for field in _TERMS})
    profit, stop = exits(body, params)
    nano, rest = limit_price(body.acceptable_price, "acceptablePrice")
    named: dict[str, Any] = {
        "size": None if body.size is None else positive_money(body.size, "size"),
        "leverage": body.leverage,
        "price": None if body.price is None else price_ticks(body.price, params.tick_size),
        "expires_at": None if body.expires_at is None else time_ms(body.expires_at, "expiresAt"),
        "acceptable_price": nano,
        "acceptable_price_pico": None if nano is None else rest,
        "take_profit": profit,
        "stop_loss": stop,
    }
    return replace(command, **{field: value for field, value in named.items() if value is not None})


_TERMS: Final = (
    "size",
    "leverage",
    "price",
    "expires_at",
    "acceptable_price",
    "acceptable_price_pico",
    "take_profit",
    "stop_loss",
)


def _no_order(name: str) -> RequestError:
    return not_found("order", order=name[:POSITION_SHOWN_MAX])


ROUTES = (
    Route(wire.PLACE, place, placing),
    Route(wire.PLACE_MANY, place_many, placing_many),
    Route(wire.LIST, listed),
    Route(wire.GET, one),
    Route(wire.REPLACE, replaced, replacing),
    Route(wire.CANCEL, cancel),
    Route(wire.CANCEL_ALL, cancel_all),
    Route(wire.CANCEL_AFTER, cancel_after, cancelling_after),
)
