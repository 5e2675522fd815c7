"""Cancelling orders: one, all of a user, or later, unless its owner speaks before."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from perps.wire.base import Answer, Body, Number, Offset, Query, Ticker, Time, UserId
from perps.wire.errors import ErrorCode as Code
from perps.wire.operation import COMMAND, Operation
from perps.wire.orders.order import Order
from perps.wire.orders.reading import OrderAnswer


class CancelQuery(Query):
    """Whose resting orders to cancel, and in which market."""

    user_id: Annotated[UserId | None, Meta(description="For administrators: whose.")] = None
    ticker: Annotated[Ticker | None, Meta(description="Without it: in all markets.")] = None


class OrdersCancelled(Answer):
    """The orders that were cancelled."""

    orders: list[Order]
    offset: Offset


class CancelAfterBody(Body):
    """When a user's resting orders in a market end by themselves."""

    ticker: Ticker
    seconds: Annotated[
        Number | None,
        Meta(
            description="From now, 1 to 86400, at most 3 decimals. 0 or null: they do not end by themselves any more.",
            examples=["60"],
        ),
    ] = None
    user_id: Annotated[UserId | None, Meta(description="For administrators: whose orders.")] = None


class CancelsAfter(Answer):
    """When a user's resting orders in a market end by themselves."""

    ticker: Ticker
    user_id: UserId
    cancels_at: Annotated[Time | None, Meta(description="Null: they do not.")]
    offset: Offset


CANCEL: Final = Operation(
    name="cancelOrder",
    tag="Trading",
    method="DELETE",
    path="/api/orders/{orderId}",
    summary="Cancel a resting order",
    description="Works in every mode of the market and at every price. The reserve goes back to the wallet. Where the "
    "market executes at the next price, it cannot be cancelled before a price has come after it: `order_pending`.",
    scope="trade",
    repeatable=True,
    answers={200: OrderAnswer},
    refusals=(Code.ORDER_NOT_FOUND, Code.ORDER_CLOSED, Code.ORDER_PENDING, *COMMAND),
)

CANCEL_ALL: Final = Operation(
    name="cancelOrders",
    tag="Trading",
    method="DELETE",
    path="/api/orders",
    summary="Cancel all resting orders of a user, in one market or in all",
    scope="trade",
    query=CancelQuery,
    repeatable=True,
    answers={200: OrdersCancelled},
    refusals=(Code.MARKET_NOT_FOUND, Code.USER_NOT_FOUND, *COMMAND),
)

CANCEL_AFTER: Final = Operation(
    name="cancelAllAfter",
    tag="Trading",
    method="POST",
    path="/api/orders/cancel-all-after",
    summary="Cancel a user's resting orders in a market later, unless this is sent again before",
    description="For a bot that may fall silent: it sends this again and again; when it stops, its orders end, with "
    "the reason `cancel_timer`. Exit orders, `takeProfit` and `stopLoss` of positions stay. Each call replaces the one "
    "before.",
    scope="trade",
    body=CancelAfterBody,
    repeatable=True,
    answers={200: CancelsAfter},
    refusals=(Code.MARKET_NOT_FOUND, Code.USER_NOT_FOUND, *COMMAND),
)
