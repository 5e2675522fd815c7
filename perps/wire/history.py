"""What has been: candles, trades, liquidations, prices, funding."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from msgspec import UNSET, Meta, UnsetType

from perps.commands import PriceSource, Side
from perps.effects import TradeKind
from perps.wire.base import (
    ALLOWED,
    END,
    TAKES,
    Answer,
    Cursor,
    Money,
    Offset,
    OrderId,
    PositionId,
    Price,
    Quantity,
    Rate,
    Ticker,
    Time,
    UserId,
)
from perps.wire.errors import ErrorCode as Code
from perps.wire.lists import Limited, Page
from perps.wire.operation import NOTHING, Operation
from perps.wire.trading import Fee

Interval = Literal["1m", "5m", "15m", "1h", "4h", "1d"]


Moment = Annotated[
    str,
    Meta(description="Milliseconds since 1970, or RFC 3339.", examples=["1795368840000", "2026-11-22T17:34:00Z"]),
]


OpenTime = Annotated[
    str,
    Meta(
        pattern=r"^\d{1,15}" + END,
        description="Where the next page begins: the open time of its first candle. Send it as `cursor` or as `from`.",
        examples=["1795368840000"],
        extra={TAKES: "the nextCursor of an earlier page of this list"},
    ),
]


class CandlesQuery(Limited, rename=lambda name: {"start": "from", "end": "to"}.get(name, name)):
    """Which candles. With ``from`` or ``cursor`` the oldest from there on, otherwise the newest."""

    interval: Annotated[Interval, Meta(extra={ALLOWED: get_args(Interval)})] = "1m"
    start: Annotated[Moment | None, Meta(description="The first candle opens at or after it.")] = None
    end: Annotated[Moment | None, Meta(description="The last candle opens before it.")] = None
    cursor: Annotated[OpenTime | None, Meta(description="The `nextCursor` of the page before, instead of `from`.")] = (
        None
    )
    fill: Annotated[
        Literal["0", "1"],
        Meta(
            description="1: an interval without a trade or price has a flat candle, at the close before it.",
            extra={ALLOWED: ("0", "1")},
        ),
    ] = "0"


CandleRow = Annotated[
    tuple[int, Price, Price, Price, Price, Money, int],
    Meta(description="`[openMs, open, high, low, close, volume, count]` of the quote price."),
]


class Candles(Answer):
    """Candles, oldest first."""

    candles: list[CandleRow]
    interval: Interval
    closed: Annotated[bool, Meta(description="Whether the last candle is over.")]
    next_cursor: OpenTime | None
    offset: Offset


ExitReason = Literal["take_profit", "stop_loss", "trailing_stop"]


class Trade(Answer):
    """A trade as everybody sees it."""

    id: str
    ticker: Ticker
    kind: TradeKind
    side: Annotated[Side, Meta(description="The side of the position: the close of a long sells, and is `long`.")]
    price: Annotated[Price, Meta(description="The average price paid.")]
    quantity: Quantity
    size: Annotated[Money, Meta(description="Price × quantity.")]
    mark_price: Annotated[Price, Meta(description="After the trade.")]
    quote_price: Annotated[Price, Meta(description="After the trade.")]
    at: Time
    offset: Offset
    realized_pnl: Annotated[Money | UnsetType, Meta(description="Of closes and liquidations.")] = UNSET
    reason: Annotated[ExitReason | UnsetType, Meta(description="Of a close that an exit of the position made.")] = UNSET
    order_id: Annotated[OrderId | UnsetType, Meta(description="The order that it filled, if there was one.")] = UNSET


class Trades(Answer):
    """A market's trades, newest first."""

    trades: list[Trade]
    next_cursor: Cursor | None


class Liquidations(Answer):
    """A market's liquidations, newest first."""

    liquidations: list[Trade]
    next_cursor: Cursor | None


class UserTrade(Trade, kw_only=True):
    """A trade as its owner sees it."""

    position_id: PositionId
    user_id: UserId
    index_price: Price
    funding: Money
    bad_debt: Money
    fee: Fee


class UserTrades(Answer):
    """A user's own trades, newest first."""

    trades: list[UserTrade]
    next_cursor: Cursor | None


class PriceTaken(Answer):
    """A price that a market took."""

    index_price: Price
    mark_price: Price
    quote_price: Price
    source: PriceSource
    reason: str | None
    sequence: int | None
    at: Time
    offset: Offset


class Prices(Answer):
    """Prices that a market took, newest first."""

    prices: list[PriceTaken]
    next_cursor: Cursor | None


class FundingHour(Answer):
    """An hour of funding that is over. Longs pay what is above 0 and receive what is below."""

    at: Annotated[Time, Meta(description="The end of the hour.")]
    rate: Annotated[Rate, Meta(description="What was paid, as a share of the notional at `indexPrice`.")]
    payment: Annotated[Rate, Meta(description="What each base unit paid since the entry before, US dollars.")]
    funding_index: Annotated[Rate, Meta(description="What a base unit has paid since the listing, US dollars.")]
    index_price: Price


class Funding(Answer):
    """Funding, hour by hour, newest first."""

    funding: list[FundingHour]
    next_cursor: Cursor | None


CANDLES: Final = Operation(
    name="listCandles",
    tag="Market data",
    method="GET",
    path="/api/markets/perps/{ticker}/candles",
    summary="Candles of the quote price, oldest first",
    query=CandlesQuery,
    answers={200: Candles, 304: NOTHING},
    refusals=(Code.MARKET_NOT_FOUND, Code.RATE_LIMITED),
)
TRADES: Final = Operation(
    name="listTrades",
    tag="Market data",
    method="GET",
    path="/api/markets/perps/{ticker}/trades",
    summary="Trades, newest first, without user and position",
    query=Page,
    answers={200: Trades},
    refusals=(Code.MARKET_NOT_FOUND, Code.RATE_LIMITED),
)
LIQUIDATIONS: Final = Operation(
    name="listLiquidations",
    tag="Market data",
    method="GET",
    path="/api/markets/perps/{ticker}/liquidations",
    summary="Liquidations, newest first",
    query=Page,
    answers={200: Liquidations},
    refusals=(Code.MARKET_NOT_FOUND, Code.RATE_LIMITED),
)
PRICES: Final = Operation(
    name="listPrices",
    tag="Market data",
    method="GET",
    path="/api/markets/perps/{ticker}/prices",
    summary="Every price that the market took, newest first",
    query=Page,
    answers={200: Prices},
    refusals=(Code.MARKET_NOT_FOUND, Code.RATE_LIMITED),
)
FUNDING: Final = Operation(
    name="listFunding",
    tag="Market data",
    method="GET",
    path="/api/markets/perps/{ticker}/funding",
    summary="Funding, hour by hour, newest first",
    query=Page,
    answers={200: Funding},
    refusals=(Code.MARKET_NOT_FOUND, Code.RATE_LIMITED),
)
USER_TRADES: Final = Operation(
    name="listUserTrades",
    tag="Users",
    method="GET",
    path="/api/users/{userId}/trades",
    summary="A user's own trades, newest first",
    scope="read",
    own=True,
    query=Page,
    answers={200: UserTrades},
    refusals=(Code.USER_NOT_FOUND, Code.RATE_LIMITED),
)
