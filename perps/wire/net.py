"""Trades of a net position, and net positions: what an exchange with one position a market shows."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from perps.commands import Side
from perps.wire import trading
from perps.wire.base import (
    Answer,
    Body,
    ClientOrderId,
    Money,
    Number,
    Offset,
    Percent,
    Price,
    Quantity,
    Query,
    Ticker,
    Time,
    UserId,
)
from perps.wire.errors import ErrorCode as Code
from perps.wire.operation import Operation
from perps.wire.trading import AcceptablePrice, Fee, Fill, MaxSlippageBps, Position


class TradeBody(Body):
    """A trade: it closes the other side first, then opens with what is left."""

    ticker: Ticker
    side: Annotated[Side, Meta(description="`long` buys, `short` sells.")]
    size: Annotated[
        Number,
        Meta(
            description="The most notional to trade, in US dollars: what is closed and what is opened together.",
            examples=["1500"],
        ),
    ]
    leverage: Annotated[
        int,
        Meta(ge=1, le=1_000_000, description="Of what is opened. What is closed does not look at it.", examples=[10]),
    ]
    acceptable_price: AcceptablePrice | None = None
    max_slippage_bps: MaxSlippageBps | None = None
    client_order_id: ClientOrderId | None = None
    user_id: Annotated[UserId | None, Meta(description="For administrators: who trades.")] = None
    reduce_only: Annotated[bool, Meta(description="Only close: nothing is opened with what is left.")] = False


class NetClose(Answer):
    """What a trade has closed of one position."""

    position: Annotated[Position, Meta(description="What is left. If nothing is left: the part that was closed last.")]
    fill: Fill
    gross_settlement: Annotated[Money, Meta(description="The closed part's margin and its `pnl`.")]
    net_settlement: Annotated[Money, Meta(description="The same less the fee.")]
    margin_returned: Annotated[Money, Meta(description="The part of the settlement that was margin.")]
    pnl: Money
    bad_debt: Money
    fee: Fee


class NetOpen(Answer):
    """What a trade has opened, or added to a position."""

    position: Position
    fill: Fill
    margin_paid: Annotated[Money, Meta(description="For the lots of this fill.")]
    fee: Fee


class NetTraded(Answer):
    """What a trade has done: all of it in one journal row."""

    fill: Annotated[Fill, Meta(description="The whole trade, at its average price.")]
    closed: Annotated[list[NetClose], Meta(description="Positions of the other side, the oldest first.")]
    opened: Annotated[NetOpen | None, Meta(description="The position that was opened with what was left.")]
    increased: Annotated[NetOpen | None, Meta(description="Or the position on the same side that it was added to.")]
    pnl: Annotated[Money, Meta(description="Of all that was closed, before fees.")]
    bad_debt: Annotated[Money, Meta(description="Of all that was closed: what it lost beyond its margin.")]
    net_settlement: Annotated[Money, Meta(description="Of all that was closed: margin and profit less fees.")]
    margin_paid: Annotated[Money, Meta(description="For what was opened or increased.")]
    fee: Annotated[Fee, Meta(description="Of the whole trade.")]
    new_balance: Annotated[Money, Meta(description="What the wallet holds now.")]
    client_order_id: str | None
    offset: Offset


class NetPosition(Answer):
    """All open positions of a user in one market, as one."""

    ticker: Ticker
    side: Annotated[Literal["long", "short", "flat"], Meta(description="`flat`: as many lots long as short.")]
    quantity: Annotated[Quantity, Meta(description="Longs less shorts, without a sign.")]
    long_quantity: Quantity
    short_quantity: Quantity
    entry_price: Annotated[
        Price | None, Meta(description="The average of the positions on `side`. Null when it is `flat`.")
    ]
    mark_price: Price
    margin: Annotated[Money, Meta(description="Of all of them.")]
    unrealized_pnl: Annotated[Money, Meta(description="Of all of them, funding included.")]
    unrealized_pnl_percent: Annotated[Percent, Meta(description="Per cent of the margin.")]
    positions: Annotated[int, Meta(ge=1, description="How many there are.")]


class NetPositions(Answer):
    """A user's net positions, by ticker."""

    net_positions: list[NetPosition]
    timestamp: Time
    offset: Offset


class NetPositionsQuery(Query):
    """Which of a user's net positions."""

    ticker: Annotated[Ticker | None, Meta(description="Only the one in this market.")] = None


TRADE: Final = Operation(
    name="tradeNet",
    tag="Trading",
    method="POST",
    path="/api/markets/perps/trade",
    summary="Trade the net position: close the other side first, then open with what is left",
    description="It closes your positions on the other side, the oldest first. What is left of `size` opens a "
    "position, or is added to your oldest one on the same side. All of it is done together, or refused. The fees of "
    "closes come out of what they bring, and so may the margin of what is opened. "
    "In a market with `execution` `next_price` nothing is netted: `validation_error`.",
    scope="trade",
    body=TradeBody,
    answers={201: NetTraded},
    refusals=(
        *(code for code in trading.OPEN.refusals if code not in (Code.TOO_MANY_OPEN_ORDERS, Code.POSITION_CLOSED)),
        Code.HOUSE_CANNOT_PAY,
    ),
)
NET_POSITIONS: Final = Operation(
    name="listNetPositions",
    tag="Users",
    method="GET",
    path="/api/markets/net-positions/{userId}",
    summary="A user's open positions added up by market",
    scope="read",
    own=True,
    query=NetPositionsQuery,
    answers={200: NetPositions},
    refusals=(Code.USER_NOT_FOUND, Code.RATE_LIMITED),
)
