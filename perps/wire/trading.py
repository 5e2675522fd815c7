"""Opens, closes, quotes and positions."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from msgspec import UNSET, Meta, UnsetType

from perps.commands import Side
from perps.params import Execution
from perps.wire.base import (
    ALLOWED,
    Answer,
    Body,
    ClientOrderId,
    Cursor,
    Money,
    Number,
    Offset,
    Percent,
    PositionId,
    Price,
    Quantity,
    Rate,
    Ticker,
    Time,
    UserId,
)
from perps.wire.errors import ErrorCode as Code
from perps.wire.lists import PositionsPage
from perps.wire.markets import TradingRange
from perps.wire.operation import COMMAND, Operation
from perps.wire.orders.order import Pending

AcceptablePrice = Annotated[
    Number,
    Meta(description="The worst average fill price that you accept: up to 12 decimals.", examples=["10100"]),
]
MaxSlippageBps = Annotated[
    int,
    Meta(
        ge=0,
        le=10_000,
        description="The worst fill price that you accept: a distance from the quote before the trade, in 1/10,000.",
        examples=[50],
    ),
]


TakeProfit = Annotated[
    Number,
    Meta(
        description="The venue closes the whole position, at market, when the mark price reaches this: "
        "a long at or above it, a short at or below it. A multiple of the tick size.",
        examples=["11000"],
    ),
]
StopLoss = Annotated[
    Number,
    Meta(
        description="The same for the other way: a long at or below it, a short at or above it.",
        examples=["9500"],
    ),
]


GrownPosition = Annotated[
    str,
    Meta(
        max_length=64,
        description="A position of yours, on the same side, that the order is added to. Without it: a new one.",
        examples=["BTC-PERP-1"],
    ),
]


class OpenBody(Body):
    """An order that opens a position, or is added to one."""

    ticker: Ticker
    side: Side
    size: Annotated[
        Number,
        Meta(
            description="The most notional to take, in US dollars. "
            "The venue fills as many whole lots as fit, with their own price impact.",
            examples=["1000"],
        ),
    ]
    leverage: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="At most the market's `maxLeverage`; with `tiers` that of the position's size.",
            examples=[10],
        ),
    ]
    acceptable_price: AcceptablePrice | None = None
    max_slippage_bps: MaxSlippageBps | None = None
    take_profit: TakeProfit | None = None
    stop_loss: StopLoss | None = None
    client_order_id: ClientOrderId | None = None
    user_id: Annotated[UserId | None, Meta(description="For administrators: whose wallet pays.")] = None
    position_id: GrownPosition | None = None


class CloseBody(Body):
    """How much of a position to close, and at what price. No body closes all of it at any price.

    At most one of ``percentage``, ``quantity`` and ``size``.
    """

    percentage: Annotated[
        Number | None,
        Meta(
            description="The share to close: more than 0 and at most 1, which is all and the default; 0.5 closes half. "
            "Rounded down to whole lots, but at least one.",
            examples=["0.5"],
        ),
    ] = None
    quantity: Annotated[
        Number | None,
        Meta(
            description="Base units to close, a multiple of the lot size, instead of `percentage`. At most all.",
            examples=["0.05"],
        ),
    ] = None
    size: Annotated[
        Number | None,
        Meta(
            description="The most notional to close, in US dollars, instead of `percentage`: whole lots.",
            examples=["250"],
        ),
    ] = None
    acceptable_price: AcceptablePrice | None = None
    max_slippage_bps: MaxSlippageBps | None = None
    client_order_id: ClientOrderId | None = None


Warning_ = Annotated[
    Literal["stop_beyond_liquidation"] | UnsetType,
    Meta(description="The mark price reaches the liquidation price before the stop-loss, or at the same time."),
]


class Fill(Answer):
    """One trade against the house."""

    price: Annotated[Price, Meta(description="The average price paid.")]
    quantity: Quantity
    notional: Annotated[Money, Meta(description="What the lots cost, or brought.")]
    price_impact: Annotated[Rate, Meta(description="A fraction of the quote before the trade.")]


class Fee(Answer):
    """A fee. The parts sum to the amount."""

    amount: Money
    platform_paid: Money
    referrer_paid: Annotated[Money, Meta(description="The referrer's share of the fee.")]


PositionStatus = Literal["open", "closed", "liquidated"]


class Position(Answer):
    """One position, open or past."""

    id: PositionId
    user_id: UserId
    ticker: Ticker
    organization_id: str
    side: Side
    quantity: Quantity
    size: Annotated[Money, Meta(description="What the quantity cost at entry.")]
    entry_price: Price
    mark_price: Annotated[Price, Meta(description="Of a past position: its exit price.")]
    leverage: int
    margin: Money
    liquidation_price: Annotated[
        Price | None,
        Meta(description="The mark price at which it is liquidated. Null of a past position."),
    ]
    bankruptcy_price: Annotated[Price | None, Meta(description="Where the margin is used up. Null of a past position.")]
    unrealized_pnl: Money
    unrealized_pnl_percent: Annotated[Percent, Meta(description="Per cent of the margin.")]
    funding_paid: Money
    take_profit: Annotated[Price | None, Meta(description="Of a past position: what it had in the end.")]
    stop_loss: Annotated[Price | None, Meta(description="Of a past position: what it had in the end.")]
    status: PositionStatus
    opened_at: Time
    closed_at: Time | None
    exit_price: Annotated[
        Price | UnsetType, Meta(description="Of a past position, and of the part that a close has just closed.")
    ] = UNSET
    realized_pnl: Annotated[
        Money | UnsetType, Meta(description="Before fees: of a past position, or of this close.")
    ] = UNSET


class Opened(Answer):
    """A position that an open has made, or made larger."""

    position: Position
    fill: Fill
    margin_paid: Annotated[Money, Meta(description="Has left the wallet, for the lots of this fill.")]
    fee: Fee
    new_balance: Annotated[Money, Meta(description="What the wallet holds now.")]
    client_order_id: str | None
    offset: Offset
    warning: Warning_ = UNSET


class Closed(Answer):
    """A position, or a part of it, that has been closed."""

    position: Annotated[Position, Meta(description="What is left. If nothing is left: the part that was closed last.")]
    fill: Fill
    gross_settlement: Annotated[Money, Meta(description="The closed part's margin and its `pnl`.")]
    net_settlement: Annotated[Money, Meta(description="The same less the fee: what the wallet got.")]
    margin_returned: Annotated[Money, Meta(description="The part of the settlement that was margin.")]
    pnl: Money
    bad_debt: Annotated[
        Money,
        Meta(description="What the position lost beyond its margin. The market's insurance and house pay it."),
    ]
    fee: Fee
    was_liquidated: bool
    new_balance: Annotated[Money, Meta(description="What the wallet holds now.")]
    client_order_id: str | None
    offset: Offset


class Quoted(Answer):
    """What an open would do now."""

    fill: Fill
    margin_required: Money
    fee: Fee
    total_required: Annotated[Money, Meta(description="Margin and fee together.")]
    entry_price: Annotated[Price, Meta(description="The position's average, what it had before included.")]
    equity: Annotated[Money, Meta(description="The position's margin and profit just after the open.")]
    liquidation_price: Price
    bankruptcy_price: Price
    offset: Offset
    largest_size: Annotated[Money, Meta(description="The largest `size` of this side that fits the market's caps now.")]
    trading_range: TradingRange
    execution: Annotated[
        Execution,
        Meta(description="`next_price`: this is what it would be at the last price; it fills at the next."),
    ]
    max_leverage: Annotated[int, Meta(description="The highest leverage of a position of this size.")]
    maintenance_rate: Annotated[Rate, Meta(description="What a position of this size must keep of its notional.")]
    warning: Warning_ = UNSET
    reserve: Annotated[
        Money | UnsetType, Meta(description="With `next_price`: what leaves the wallet until the fill, its most.")
    ] = UNSET


Selection = Literal["open", "closed", "all"]


class PositionsQuery(PositionsPage):
    """Which of a user's positions."""

    status: Annotated[
        Selection,
        Meta(description="`closed` includes liquidated positions.", extra={ALLOWED: get_args(Selection)}),
    ] = "open"
    ticker: Ticker | None = None


class PositionStats(Answer):
    """Sums over one page of positions."""

    total_positions: int
    total_pnl: Money
    total_funding: Money


class Perpetuals(Answer):
    """Positions in perpetual futures."""

    positions: list[Position]
    stats: PositionStats


class Positions(Answer):
    """A user's positions, newest first."""

    perpetuals: Perpetuals
    timestamp: Time
    offset: Offset
    next_cursor: Cursor | None


_TRADE: Final = (
    Code.MARKET_NOT_FOUND,
    Code.USER_NOT_FOUND,
    Code.MARKET_HALTED,
    Code.PRICE_STALE,
    Code.PRICE_UNCONFIRMED,
    Code.WOULD_BE_LIQUIDATED,
    Code.PRICE_BEYOND_LIMIT,
)
_OPEN: Final = (
    *_TRADE,
    Code.MARKET_REDUCE_ONLY,
    Code.POSITION_SIZE_TOO_SMALL,
    Code.POSITION_SIZE_TOO_LARGE,
    Code.LEVERAGE_TOO_HIGH,
    Code.MAX_SKEW_EXCEEDED,
    Code.OPEN_INTEREST_EXCEEDED,
    Code.USER_LIMIT_EXCEEDED,
    Code.ORDER_WOULD_TRIGGER,
    Code.POSITION_NOT_FOUND,
    Code.POSITION_CLOSED,
)

OPEN: Final = Operation(
    name="openPosition",
    tag="Trading",
    method="POST",
    path="/api/markets/perps/open",
    summary="Open a position",
    description="Each open makes a new position, unless it names one by `positionId`: then it is added to that one. "
    "Nothing is netted. `minOrderSize` limits `size`, before rounding to "
    "whole lots, so a fill may be smaller. `marginPaid` and `fee.amount` have left the wallet. "
    "In a market with `execution` `next_price` the answer is 202 with an order: the first price after it fills it.",
    scope="trade",
    body=OpenBody,
    answers={201: Opened, 202: Pending},
    links={"closePosition": {"positionId": "/position/id"}, "listPositions": {"userId": "/position/userId"}},
    refusals=(
        *_OPEN,
        Code.TOO_MANY_OPEN_ORDERS,
        Code.CLIENT_ORDER_ID_REUSED,
        Code.INSUFFICIENT_FUNDS,
        *COMMAND,
    ),
)
QUOTE: Final = Operation(
    name="quotePosition",
    tag="Trading",
    method="POST",
    path="/api/markets/perps/quote",
    summary="Ask what an open would do now. Nothing changes, and the venue does not look at the wallet",
    scope="trade",
    body=OpenBody,
    answers={200: Quoted},
    refusals=_OPEN,
)
CLOSE: Final = Operation(
    name="closePosition",
    tag="Trading",
    method="POST",
    path="/api/markets/perps/{positionId}/close",
    summary="Close a position, or a share of it",
    description="The body may be empty: then the venue closes the whole position at any price. "
    "Only the owner's key and an administrator's may close it. "
    "In a market with `execution` `next_price` the answer is 202 with an order: the first price after it fills it.",
    scope="trade",
    body=CloseBody,
    body_optional=True,
    answers={200: Closed, 202: Pending},
    links={"listPositions": {"userId": "/position/userId"}, "getBalance": {"userId": "/position/userId"}},
    refusals=(
        *_TRADE,
        Code.POSITION_NOT_FOUND,
        Code.POSITION_CLOSED,
        Code.POSITION_SIZE_TOO_SMALL,
        Code.HOUSE_CANNOT_PAY,
        Code.TOO_MANY_OPEN_ORDERS,
        Code.CLIENT_ORDER_ID_REUSED,
        *COMMAND,
    ),
)
POSITIONS: Final = Operation(
    name="listPositions",
    tag="Users",
    method="GET",
    path="/api/markets/positions/{userId}",
    summary="A user's positions, newest first",
    scope="read",
    own=True,
    query=PositionsQuery,
    answers={200: Positions},
    refusals=(Code.USER_NOT_FOUND, Code.RATE_LIMITED),
)
