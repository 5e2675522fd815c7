"""Event streams."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from perps.commands import PriceSource, Side
from perps.effects import TradeKind
from perps.params import Mode
from perps.wire.base import Answer, Money, Offset, Price, Quantity, Query, Ticker, Time
from perps.wire.errors import ErrorCode as Code
from perps.wire.markets import Market
from perps.wire.operation import EVENTS, Operation


class StreamQuery(Query):
    """Which markets to follow, and from where."""

    tickers: Annotated[str | None, Meta(description="Tickers with commas between; without it, all markets.")] = None
    ticker: Annotated[str | None, Meta(description="The same.")] = None
    since: Annotated[str | None, Meta(description="The last id that you saw; also the header `Last-Event-ID`.")] = None


class MarketsNow(Answer):
    """``snapshot``: the state now. All later events happened after it."""

    markets: list[Market]
    offset: Offset


class PriceEvent(Answer):
    """``price``: a market took a price."""

    ticker: Ticker
    index_price: Price
    mark_price: Price
    quote_price: Price
    source: PriceSource
    offset: Offset
    at: Time


class TradeEvent(Answer):
    """``trade``, and the same again as ``liquidation`` for a trade of that kind: the fields of a public trade."""

    ticker: Ticker
    kind: TradeKind
    side: Annotated[Side, Meta(description="The side of the position.")]
    price: Annotated[Price, Meta(description="The average price paid.")]
    size: Money
    quantity: Quantity
    mark_price: Price
    quote_price: Price
    offset: Offset
    at: Time
    realized_pnl: Annotated[Money | UnsetType, Meta(description="Of closes and liquidations.")] = UNSET


class MarketEvent(Answer):
    """``market``: a market was listed, or its mode changed."""

    ticker: Ticker
    status: Mode
    reason: str
    offset: Offset
    at: Time
    name: Annotated[str | UnsetType, Meta(description="Of a new market.")] = UNSET


class Reset(Answer):
    """``reset``: the stream cannot continue from the place that you asked for; a ``snapshot`` follows."""

    since: str
    offset: Offset


MARKET_STREAM: Final = Operation(
    name="streamMarkets",
    tag="Streams",
    method="GET",
    path="/api/sse/markets",
    summary="Prices, trades, liquidations and modes, as server-sent events",
    description="Each event comes once, in order, after its commit. The last event of a journal row carries "
    "`id: <epoch>-<offset>`: send it as `Last-Event-ID` or `since` to continue behind it. A comment every 15 s keeps "
    "the connection open.",
    query=StreamQuery,
    answers={200: EVENTS},
    events={
        "snapshot": MarketsNow,
        "price": PriceEvent,
        "trade": TradeEvent,
        "liquidation": TradeEvent,
        "market": MarketEvent,
        "reset": Reset,
    },
    refusals=(Code.MARKET_NOT_FOUND, Code.OVERLOADED),
)
