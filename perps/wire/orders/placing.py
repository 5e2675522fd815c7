"""Placing orders that wait for a price, one or many, what one would do, and giving one other terms."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from msgspec import UNSET, Meta, UnsetType

from perps.commands import Side
from perps.params import Execution
from perps.wire.base import ALLOWED, Answer, Body, ClientOrderId, Money, Number, Offset, Price, Ticker, UserId
from perps.wire.errors import ErrorCode as Code
from perps.wire.errors import ItemRefused
from perps.wire.operation import COMMAND, Operation
from perps.wire.orders.order import Order, Pending, Status
from perps.wire.orders.twap import IntervalMs, Slices, Twap
from perps.wire.trading import AcceptablePrice, Fee, Fill, Position, StopLoss, TakeProfit

BATCH_MAX: Final = 20
"""Orders in one request."""

Size = Annotated[Number, Meta(description="The most notional to take, in US dollars.", examples=["1000"])]
Leverage = Annotated[int, Meta(ge=1, le=1_000_000, description="At most the market's `maxLeverage`.", examples=[10])]
OrderPrice = Annotated[
    Number,
    Meta(
        description="Of a limit the worst average fill price. Of a stop the mark price that sets it off: above the "
        "present one for a long, below it for a short. Of an exit too: a `stop` of a long lies below, its "
        "`take_profit` above; a short's the other way round. A multiple of the tick size. A trailing stop has none.",
        examples=["9800"],
    ),
]

ExpiresAt = Annotated[
    str,
    Meta(description="When the order ends unfilled, RFC 3339. Null: never.", examples=["2026-11-23T00:00:00.000Z"]),
]

StopsPrice = Annotated[
    AcceptablePrice, Meta(description="Of a stop, or of each slice of a `twap`: the worst average price.")
]

PlacedKind = Literal["limit", "stop", "take_profit", "trailing_stop", "twap"]

LeftPosition = Annotated[
    str,
    Meta(
        max_length=64,
        description="Of an exit: the position of yours that it leaves. An exit has no `side`, `size` or `leverage`; "
        "`ticker` may be left out.",
        examples=["BTC-PERP-1"],
    ),
]

Share = Annotated[
    Number,
    Meta(
        description="Of an exit: the share to close of what the position has by then, more than 0 and at most 1, which "
        "is all and the default. Rounded down to whole lots, but at least one.",
        examples=["0.5"],
    ),
]

Callback = Annotated[
    Number,
    Meta(
        description="Of a trailing stop: how far the mark comes back from its best before the position leaves, as a "
        "share of the best mark: more than 0 and less than 1, at most 9 decimals; 0.02 is 2 %. It has no `price`.",
        examples=["0.02"],
    ),
]


class OrderBody(Body, kw_only=True):
    """An order that waits: an entry, with ``positionId`` an exit of that position, or a ``twap``."""

    ticker: Annotated[Ticker | None, Meta(description="Of an entry: its market.")] = None
    type: Annotated[PlacedKind, Meta(extra={ALLOWED: get_args(PlacedKind)})]
    side: Annotated[Side | None, Meta(description="Of an entry.")] = None
    size: Size | None = None
    leverage: Leverage | None = None
    price: Annotated[OrderPrice | None, Meta(description="Of all but a `trailing_stop` and a `twap`.")] = None
    expires_at: ExpiresAt | None = None
    acceptable_price: StopsPrice | None = None
    take_profit: TakeProfit | None = None
    stop_loss: StopLoss | None = None
    client_order_id: ClientOrderId | None = None
    user_id: Annotated[UserId | None, Meta(description="For administrators: whose wallet pays.")] = None
    position_id: LeftPosition | None = None
    percentage: Share | None = None
    slices: Slices | None = None
    interval_ms: IntervalMs | None = None
    callback: Callback | None = None


class ReplaceBody(Body):
    """Other terms for a resting order. What is left out stays. Null takes away what an order can be without."""

    size: Size | None = None
    leverage: Leverage | None = None
    price: OrderPrice | None = None
    expires_at: ExpiresAt | UnsetType | None = UNSET
    acceptable_price: StopsPrice | UnsetType | None = UNSET
    take_profit: TakeProfit | UnsetType | None = UNSET
    stop_loss: StopLoss | UnsetType | None = UNSET
    client_order_id: ClientOrderId | None = None
    user_id: Annotated[UserId | None, Meta(description="For administrators: whose order it is.")] = None
    percentage: Share | None = None
    callback: Callback | None = None


class Placed(Pending):
    """An order as its own row left it: resting, filled at once, or ended at once."""

    position: Annotated[Position | UnsetType, Meta(description="Filled at once: the position.")] = UNSET
    fill: Annotated[Fill | UnsetType, Meta(description="Filled at once: the fill.")] = UNSET


class Expected(Answer):
    """What becomes of an order at its price, if nothing else in the market changes until then."""

    status: Annotated[
        Literal["filled", "cancelled", "open"], Meta(description="`open`: it goes on resting, for the `reason`.")
    ]
    index_price: Annotated[Price, Meta(description="The nearest index price at which it is due.")]
    reason: str | None = None
    fill: Fill | None = None
    fee: Fee | None = None
    margin_required: Annotated[Money | None, Meta(description="Of an entry.")] = None
    pnl: Annotated[Money | None, Meta(description="Of an exit, before the fee.")] = None
    net_settlement: Annotated[Money | None, Meta(description="Of an exit: what the wallet gets.")] = None
    liquidation_price: Annotated[Price | None, Meta(description="Of what is open afterwards.")] = None
    bankruptcy_price: Price | None = None


class OrderQuoted(Answer):
    """What placing an order would do now."""

    status: Annotated[Status, Meta(description="What the placement would answer: `open`, `filled` or `cancelled`.")]
    reason: Annotated[str | None, Meta(description="Why it would be cancelled at once.")]
    reserve: Annotated[Money, Meta(description="What would leave the wallet.")]
    max_fee: Annotated[Money | None, Meta(description="The most that its fee can be, in `reserve`. Null of an exit.")]
    mark_price: Price
    expected: Expected
    warnings: Annotated[
        list[Literal["stop_beyond_liquidation"]],
        Meta(description="The mark reaches the liquidation price no later than the stop."),
    ]
    offset: Offset
    execution: Annotated[
        Execution,
        Meta(description="`next_price`: no price that is there already fills it, only one that is stamped after it."),
    ]
    trigger_price: Annotated[
        Price | None,
        Meta(description="The mark that would set it off now; of a trailing stop it follows. Null: a limit or a TWAP."),
    ]
    twap: Annotated[
        Twap | UnsetType, Meta(description="Of a `twap`. `expected` is then all of it, at the present index price.")
    ] = UNSET


class OrderRefused(ItemRefused):
    """Why one order of several was not taken."""


class OrderResult(Answer):
    """What became of one order of several: ``error``, or what a single placement answers."""

    order: Order | UnsetType = UNSET
    position: Position | UnsetType = UNSET
    fill: Fill | UnsetType = UNSET
    new_balance: Money | UnsetType = UNSET
    client_order_id: str | UnsetType | None = UNSET
    offset: Offset | UnsetType = UNSET
    error: OrderRefused | UnsetType = UNSET


class OrderResults(Answer):
    """One result for each order, in the order of the request."""

    results: list[OrderResult]
    offset: Offset


_TERMS: Final = (
    Code.USER_NOT_FOUND,
    Code.MARKET_HALTED,
    Code.MARKET_REDUCE_ONLY,
    Code.PRICE_STALE,
    Code.POSITION_SIZE_TOO_SMALL,
    Code.POSITION_SIZE_TOO_LARGE,
    Code.LEVERAGE_TOO_HIGH,
    Code.ORDER_WOULD_TRIGGER,
    Code.PRICE_UNCONFIRMED,
    Code.CLIENT_ORDER_ID_REUSED,
    Code.INSUFFICIENT_FUNDS,
    *COMMAND,
)

PLACE: Final = Operation(
    name="placeOrder",
    tag="Trading",
    method="POST",
    path="/api/orders",
    summary="Place an order that waits for its price",
    description="It fills whole, as an open, when its price comes; then it begins a position. Until then the market "
    "keeps the most that the fill can take, `reserve`. A `twap` fills in slices, the first at once: it opens a "
    "position, then increases it. With `positionId` it is an exit: it closes a share of that "
    "position, keeps nothing, and ends with the position. A `trailing_stop` is an exit with a `callback` in place of a "
    "`price`: it leaves once the mark has come back so far from its best. The answer says what the order's own row "
    "did; a later fill is told by the user's stream and by `GET /api/orders/{orderId}`.",
    scope="trade",
    body=OrderBody,
    answers={201: Placed},
    links={"cancelOrder": {"orderId": "/order/id"}, "getOrder": {"orderId": "/order/id"}},
    refusals=(
        Code.MARKET_NOT_FOUND,
        Code.POSITION_NOT_FOUND,
        Code.POSITION_CLOSED,
        Code.TOO_MANY_OPEN_ORDERS,
        *_TERMS,
    ),
)

QUOTE: Final = Operation(
    name="quoteOrder",
    tag="Trading",
    method="POST",
    path="/api/orders/quote",
    summary="Ask what an order would do. Nothing changes, and the venue does not look at the wallet",
    description="The same refusals as for placing it, but for the money. `expected`: what becomes of it at its price.",
    scope="trade",
    body=OrderBody,
    answers={200: OrderQuoted},
    refusals=(
        Code.MARKET_NOT_FOUND,
        Code.POSITION_NOT_FOUND,
        Code.POSITION_CLOSED,
        Code.TOO_MANY_OPEN_ORDERS,
        *(code for code in _TERMS if code not in (Code.CLIENT_ORDER_ID_REUSED, Code.INSUFFICIENT_FUNDS, *COMMAND)),
    ),
)

PLACE_MANY: Final = Operation(
    name="placeOrders",
    tag="Trading",
    method="POST",
    path="/api/orders/batch",
    summary="Place up to 20 orders, each taken or refused for itself",
    scope="trade",
    body=list[OrderBody],
    answers={200: OrderResults},
    refusals=COMMAND,
)

REPLACE: Final = Operation(
    name="replaceOrder",
    tag="Trading",
    method="PATCH",
    path="/api/orders/{orderId}",
    summary="Give a resting order other terms",
    description="It keeps its id and is placed anew. What the body leaves out stays as it is at that moment, whoever "
    "else replaces it; null takes away `expiresAt`, `acceptablePrice`, `takeProfit` or `stopLoss`. Only the difference "
    "of the reserves moves.",
    scope="trade",
    body=ReplaceBody,
    answers={200: Placed},
    refusals=(Code.ORDER_NOT_FOUND, Code.ORDER_CLOSED, Code.ORDER_PENDING, Code.ORDER_CHANGED, *_TERMS),
)
