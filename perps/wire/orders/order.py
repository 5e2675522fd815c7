"""One order as the contract has it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from perps.commands import OrderKind, Side
from perps.wire.base import Answer, Money, Offset, OrderId, PositionId, Price, Quantity, Rate, Ticker, Time, UserId
from perps.wire.orders.twap import Twap

Status = Literal["open", "filled", "cancelled", "expired"]


class Order(Answer):
    """One order: waiting, or ended."""

    id: OrderId
    user_id: UserId
    ticker: Ticker
    type: OrderKind
    side: Annotated[Side, Meta(description="Of the position that it begins or is about.")]
    size: Annotated[
        Money | None,
        Meta(
            description="The most notional. Of a close its worth when it was placed, of a withdrawal the margin. Null "
            "of an exit, which has a `percentage`."
        ),
    ]
    leverage: Annotated[int, Meta(description="Of an order about a position: that of the position.")]
    price: Annotated[
        Price,
        Meta(
            description="Of a limit the worst average fill price, of a stop or a take-profit the mark, of others the "
            "quote before them. Of a trailing stop the mark that sets it off now; once it has ended, that of its end."
        ),
    ]
    reserve: Annotated[
        Money,
        Meta(description="What it keeps for its fill. Of an ended order what it kept, of a `twap` the rest."),
    ]
    acceptable_price: Price | None
    take_profit: Price | None
    stop_loss: Price | None
    status: Status
    reason: Annotated[
        str | None,
        Meta(
            description="Why it ended unfilled: `owner`, `expired`, `cancel_timer`, `settled`, `position_closed`, "
            "`completed` (a `twap` whose last slice took nothing), or the code that its fill was refused with."
        ),
    ]
    position_id: Annotated[
        PositionId | None, Meta(description="The position that its fill began, or that it is about.")
    ]
    average_price: Annotated[Price | None, Meta(description="Of its fill, or of all its slices so far.")]
    placed_at: Annotated[Time, Meta(description="Or replaced.")]
    expires_at: Time | None
    closed_at: Time | None
    reduce_only: Annotated[
        bool, Meta(description="Whether it takes from its position: an exit, a close or a withdrawal.")
    ]
    percentage: Annotated[Rate | None, Meta(description="Of an exit or a close: the share of the position.")]
    quantity: Annotated[Quantity | None, Meta(description="Of a close by `quantity`: the base units.")]
    callback: Annotated[
        Rate | None,
        Meta(description="Of a trailing stop: how far the mark comes back from `extremePrice` before it leaves."),
    ]
    extreme_price: Annotated[
        Price | None,
        Meta(
            description="Of a trailing stop: the best mark since it was placed, the highest of a long, the lowest of a "
            "short. It moves with the mark, and no event tells it: it is the best of this and each later mark."
        ),
    ]
    twap: Annotated[Twap | UnsetType, Meta(description="Of a `twap` alone: its slices.")] = UNSET


class Pending(Answer):
    """An order that has been taken, and will be decided at the next price."""

    order: Order
    new_balance: Annotated[Money, Meta(description="What the wallet held after the row.")]
    client_order_id: str | None
    offset: Offset
