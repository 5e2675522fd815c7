"""Margin in and out."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from perps.wire.base import Answer, Body, ClientOrderId, Money, Number, Offset, UserId
from perps.wire.errors import ErrorCode as Code
from perps.wire.operation import COMMAND, Operation
from perps.wire.orders.order import Pending
from perps.wire.trading import Position


class MarginBody(Body):
    """Margin that goes into a position, or comes out of it."""

    amount: Annotated[
        Number,
        Meta(
            description="US dollars that leave the wallet for the position's margin. Below 0: from the margin into the "
            "wallet.",
            examples=["50", "-12.5"],
        ),
    ]
    client_order_id: ClientOrderId | None = None
    user_id: Annotated[UserId | None, Meta(description="For administrators: whose position and wallet it is.")] = None


class MarginChanged(Answer):
    """A position with more margin, or less."""

    position: Annotated[Position, Meta(description="As it stands now, at the mark price of that moment.")]
    amount: Annotated[Money, Meta(description="Has left the wallet; below 0: has come into it.")]
    new_balance: Annotated[Money, Meta(description="What the wallet holds now.")]
    client_order_id: str | None
    offset: Offset


MARGIN: Final = Operation(
    name="changeMargin",
    tag="Trading",
    method="POST",
    path="/api/markets/perps/{positionId}/margin",
    summary="Pay margin into a position, or take some out",
    description="Size, entry price and profit stay as they are; the liquidation price moves. Margin goes in whenever "
    "the market is not halted. It comes out only where an open would be let through, and never profit that is not "
    "realized: margin and equity each stay at the market's initial margin or above. "
    "Only the position's owner pays, and is paid. In a market with `execution` `next_price` margin comes out by an "
    "order (202), which the first price after it decides.",
    scope="trade",
    body=MarginBody,
    answers={200: MarginChanged, 202: Pending},
    links={"closePosition": {"positionId": "/position/id"}, "getBalance": {"userId": "/position/userId"}},
    refusals=(
        Code.MARKET_NOT_FOUND,
        Code.POSITION_NOT_FOUND,
        Code.USER_NOT_FOUND,
        Code.CLIENT_ORDER_ID_REUSED,
        Code.MARKET_HALTED,
        Code.MARKET_REDUCE_ONLY,
        Code.PRICE_STALE,
        Code.PRICE_UNCONFIRMED,
        Code.POSITION_CLOSED,
        Code.TOO_MANY_OPEN_ORDERS,
        Code.INSUFFICIENT_MARGIN,
        Code.INSUFFICIENT_FUNDS,
        *COMMAND,
    ),
)
