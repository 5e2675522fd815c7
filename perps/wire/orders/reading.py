"""A user's orders as they are, resting or ended."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from msgspec import UNSET, Meta, UnsetType

from perps.wire.base import ALLOWED, Answer, Cursor, Offset, Ticker, UserId
from perps.wire.errors import ErrorCode as Code
from perps.wire.history import UserTrade
from perps.wire.lists import Page
from perps.wire.operation import Operation
from perps.wire.orders.order import Order


class OrderAnswer(Answer):
    """One order."""

    order: Order
    offset: Offset
    fills: Annotated[
        list[UserTrade] | UnsetType, Meta(description="When it is looked at: the trades that filled it, newest first.")
    ] = UNSET


Selection = Literal["open", "closed", "all"]


class OrdersQuery(Page):
    """Which of a user's orders."""

    user_id: Annotated[UserId, Meta(description="Whose. `me`: the key's own user.")] = "me"
    status: Annotated[
        Selection,
        Meta(description="`closed`: however they ended.", extra={ALLOWED: get_args(Selection)}),
    ] = "open"
    ticker: Ticker | None = None


class Orders(Answer):
    """A user's orders, those placed last first."""

    orders: list[Order]
    offset: Offset
    next_cursor: Cursor | None


LIST: Final = Operation(
    name="listOrders",
    tag="Trading",
    method="GET",
    path="/api/orders",
    summary="A user's orders, those placed last first",
    scope="read",
    query=OrdersQuery,
    answers={200: Orders},
    refusals=(Code.USER_NOT_FOUND, Code.RATE_LIMITED),
)

GET: Final = Operation(
    name="getOrder",
    tag="Trading",
    method="GET",
    path="/api/orders/{orderId}",
    summary="One order, resting or ended",
    scope="read",
    answers={200: OrderAnswer},
    refusals=(Code.ORDER_NOT_FOUND, Code.RATE_LIMITED),
)
